"""Single pictures of a board: their axes hold the numbers of the page's data, and files are the same whenever written.

The references are the made-up data themselves, and loops over all pairs.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from charted import CELLS, CURVE, chart_data
from shell import shell

from noisybench.board.detector_table import detector_rows
from noisybench.board.page_data import page_data
from noisybench.board.pictures import PICTURES, draw_board, figure_of
from noisybench.board.row_pictures import pareto_front
from noisybench.board.run_pictures import regions_of, without_shared
from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import Scores, scores_path, write_scores
from noisybench.ground.drawing import in_style, save_picture
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.files import write_columns, write_json
from noisybench.noise.noises.as_found import AsFound
from noisybench.runs.record import RunRecord, about_labels
from noisybench.variants.building import build_variant
from noisybench.variants.variant import write_variant

mpl = pytest.importorskip("matplotlib")

DATA = chart_data()
DATA["about"] = {"term": ["Sources", "Noises"], "words": ["digits (1,437 samples)", "symmetric(rate=0.2), 1 draw"]}
VIEW = DATA["views"][0]
ROWS = VIEW["tables"][0]["rows"]
KNOWN = [row for row, mean in enumerate(ROWS["mean"]) if mean is not None]
N = 90


@pytest.fixture(autouse=True)
def styled() -> Iterator[None]:
    with in_style():
        yield


def picture_of(data: Any, picture: str, view: Any) -> Any:  # noqa: ANN401
    """The figure; matplotlib's types say less of it than is known here."""
    return figure_of(data, picture, view)


def words_of(figure: Any) -> str:  # noqa: ANN401
    """What stands below a figure."""
    return " ".join(figure._supxlabel.get_text().split())


def test_intervals_hold_means_ends_and_ranks() -> None:
    """A line from low to high and a mark at the mean of each row, best above; a line over its ranks beside."""
    figure = picture_of(DATA, "intervals", VIEW)
    means, ranks = figure.axes
    lines = [line for line in means.lines if len(line.get_ydata()) == 2 and line.get_linestyle() == "-"]
    marks = [line for line in means.lines if len(line.get_ydata()) == 1]
    assert [list(line.get_xdata()) for line in lines] == [[ROWS["low"][row], ROWS["high"][row]] for row in KNOWN]
    assert [line.get_xdata()[0] for line in marks] == [ROWS["mean"][row] for row in KNOWN]
    assert [line.get_ydata()[0] for line in marks] == list(range(len(KNOWN)))
    assert means.yaxis_inverted()
    assert [line.get_markerfacecolor() != "white" for line in marks] == [
        ROWS["surely_worse"][row] is False for row in KNOWN
    ]
    sets = [tuple(line.get_xdata()) for line in ranks.lines if len(line.get_xdata()) == 2]
    assert sets == [(ROWS["rank_low"][row], ROWS["rank_high"][row]) for row in KNOWN if ROWS["rank"][row] is not None]
    assert means.get_yticklabels()[0].get_text() == "cumulative_loss · mlp, standard, 30 epochs"
    assert "chance" in [text.get_text() for text in means.texts]
    assert "Sources: digits (1,437 samples) · Noises: symmetric(rate=0.2), 1 draw" in words_of(figure)


def test_values_near_one_stand_on_a_logit_scale() -> None:
    """Where most detectors are above .9 the axis is the logarithm of the odds; ends at 1 are drawn to its end, and it says so."""
    mean = [None if one is None else round(1 - (1 - one) / 20, 6) for one in ROWS["mean"]]
    rows = {**ROWS, "mean": mean, "low": [one and one - 0.001 for one in mean], "high": [one and 1.0 for one in mean]}
    view = {**VIEW, "tables": [{**VIEW["tables"][0], "rows": rows}, *VIEW["tables"][1:]]}
    figure = picture_of(DATA, "intervals", view)
    means = figure.axes[0]
    assert means.get_xscale() == "logit"
    assert means.get_xlabel().endswith("logit scale")
    marks = [line.get_xdata()[0] for line in means.lines if len(line.get_ydata()) == 1]
    assert marks == pytest.approx([mean[row] for row in KNOWN], abs=1e-12)
    ends = {line.get_xdata()[1] for line in means.lines if len(line.get_ydata()) == 2 and line.get_linestyle() == "-"}
    assert len(ends) == 1
    assert max(marks) < ends.pop() < means.get_xlim()[1] < 1
    assert "drawn to it" in words_of(figure)
    ticks = [float(label.get_text()) for label in means.get_xticklabels()]
    assert ticks == pytest.approx(means.get_xticks().tolist())
    assert picture_of(DATA, "cost", view).axes[0].get_yscale() == "logit"


def test_families_hold_the_mean_of_each_noise() -> None:
    """Colours and words of the map are the means of the tables of single noises; of one noise there is no map."""
    panel = picture_of(DATA, "families", VIEW).axes[0]
    wanted = [
        [dict(zip(table["rows"]["entry"], table["rows"]["mean"], strict=True))[ROWS["entry"][row]] for table in VIEW["tables"][1:]]
        for row in KNOWN
        if DATA["entries"]["kind"][ROWS["entry"][row]] != "reference"
    ]  # fmt: skip
    assert panel.images[0].get_array().tolist() == wanted
    words = [float(text.get_text()) for text in panel.texts]
    assert np.abs(np.array(words) - np.ravel(wanted)).max() <= 0.0005 + 1e-9
    assert [label.get_text() for label in panel.get_xticklabels()] == DATA["noises"]
    one = {name: values[:2] for name, values in DATA["slices"].items()}
    with pytest.raises(BadData, match="there is one noise, rate and data set here"):
        picture_of({**DATA, "slices": one}, "families", VIEW)


def test_several_data_sets_are_columns_of_one_row_each() -> None:
    """Where a table has a row for each data set, the map has one for each contestant, and a column for each data set."""
    first, second = VIEW["tables"][1]["rows"], VIEW["tables"][2]["rows"]
    tables = [{"rows": {**rows, "source": [at] * len(rows["entry"])}} for at, rows in enumerate((first, second))]
    both = {name: tables[0]["rows"][name] + tables[1]["rows"][name] for name in first}
    view = {**VIEW, "tables": [{"rows": both, "chance": None}, *tables]}
    slices = {"source": [-1, 0, 1, -1], "noise": [-1, -1, -1, 0], "rate": [-1] * 4, "table": [0, 1, 2, 0]}
    data = {**DATA, "slices": slices, "sources": {"name": ["digits", "other"], "samples": [1, 1]}}
    panel = picture_of(data, "families", view).axes[0]
    cells = panel.images[0].get_array().tolist()
    mean = [dict(zip(rows["entry"], rows["mean"], strict=True)) for rows in (first, second)]
    wanted = [
        [mean[0][entry], mean[1][entry]] for entry in first["entry"] if DATA["entries"]["kind"][entry] != "reference"
    ]
    assert cells == wanted
    assert "other" not in panel.get_yticklabels()[0].get_text()
    assert [label.get_text() for label in panel.get_xticklabels()] == ["digits", "other"]


@pytest.mark.parametrize("higher", [True, False])
def test_the_pareto_front_is_what_no_pair_refutes(*, higher: bool) -> None:
    """Against all pairs, with ties in both: a row is on the front unless another is as cheap and as good, and not both equal."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        costs, means = rng.integers(0, 6, 12).astype(float).tolist(), rng.integers(0, 6, 12).astype(float).tolist()
        sign = 1 if higher else -1
        points = {(cost, sign * mean) for cost, mean in zip(costs, means, strict=True)}
        best = {one for one in points if not any(a <= one[0] and b >= one[1] and (a, b) != one for a, b in points)}
        front = pareto_front(costs, means, higher=higher)
        assert [(costs[i], sign * means[i]) for i in front] == sorted(best)


def test_cost_holds_seconds_and_means() -> None:
    """A mark for every row with a time that is no reference, and the names of the front."""
    panel = picture_of(DATA, "cost", VIEW).axes[0]
    marks = {(line.get_xdata()[0], line.get_ydata()[0]) for line in panel.lines if len(line.get_xdata()) == 1}
    assert marks == {(ROWS["seconds"][row], ROWS["mean"][row]) for row in KNOWN if ROWS["seconds"][row] is not None}
    assert panel.get_xscale() == "log"
    assert "cumulative_loss · mlp, standard, 30 epochs" in [text.get_text() for text in panel.texts]


def test_pictures_of_a_run_hold_its_numbers() -> None:
    """Histogram in percent of its kind, ROC and precision at their grids, cells of memorization by rank and value."""
    details, grids, maps = DATA["details"], DATA["grids"], DATA["memorization"]
    heights = [patch.get_data().values for patch in picture_of(DATA, "histogram", VIEW).axes[0].patches]
    for kind, found in zip(("right", "wrong"), heights[::2], strict=True):
        assert found == pytest.approx(100 * np.array(details[kind][0]) / sum(details[kind][0]))
    roc, precision = picture_of(DATA, "roc", VIEW).axes
    assert roc.lines[1].get_xydata() == pytest.approx(np.column_stack([grids["false_alarms"], np.array(details["roc"][0]) / 1000]))  # fmt: skip
    assert precision.lines[1].get_xydata() == pytest.approx(np.column_stack([grids["recall"], np.array(details["precision"][0]) / 1000]))  # fmt: skip
    layers = [axes.images[0].get_array().filled(0) for axes in picture_of(DATA, "memorization", VIEW).axes if axes.images]  # fmt: skip
    cells = np.array(maps["cells"][0]).reshape(-1, 4)
    for layer, column in zip(layers, (1, 2), strict=True):
        assert [layer[cell // CELLS, cell % CELLS] for cell in cells[:, 0]] == cells[:, column].tolist()
        assert layer.sum() == cells[:, column].sum()
    nothing = {**DATA, "memorization": {name: [] for name in maps}}
    with pytest.raises(BadData, match="no run here has memorization that was measured"):
        picture_of(nothing, "memorization", VIEW)


def test_fits_are_means_of_the_runs() -> None:
    """The bold curves of each learner are the means of its runs at every epoch."""
    panels = [axes for axes in picture_of(DATA, "fits", VIEW).axes if axes.get_visible()]
    learner = np.array(DATA["runs"]["learner"])
    for which, panel in enumerate(panels):
        bold = [line for line in panel.lines if line.get_linewidth() == 1.8]
        for line, key in zip(bold, ("clean_fit", "mislabeled_fit"), strict=True):
            assert line.get_ydata() == pytest.approx(np.array(DATA["curves"][key])[learner == which].mean(0) / 10)
    assert "Wrong labels fitted:" in words_of(panels[0].figure)


def test_wrong_by_right_goes_through_the_means_at_each_epoch() -> None:
    """A panel for each data set and noise, a line for each learner in it, its mark at the last epoch; names lose what all share."""
    figure = picture_of(DATA, "wrong_by_right", VIEW)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    runs, curves = DATA["runs"], DATA["curves"]
    assert [panel.get_title() for panel in panels] == [f"digits, {noise}" for noise in DATA["noises"]]
    for noise, panel in enumerate(panels):
        lines = [line for line in panel.lines if line.get_linewidth() == 1.3]
        marks = [line for line in panel.lines if line.get_linestyle() == "None" and len(line.get_xdata()) == 1]
        for learner, (line, mark) in enumerate(zip(lines, marks, strict=True)):
            ours = [
                i
                for i, run in enumerate(curves["run"])
                if (runs["noise"][run], runs["learner"][run]) == (noise, learner)
            ]
            right, wrong = (np.mean([curves[key][i] for i in ours], 0) / 10 for key in ("clean_fit", "mislabeled_fit"))
            assert line.get_xdata() == pytest.approx(right)
            assert line.get_ydata() == pytest.approx(wrong)
            assert (mark.get_xdata()[0], mark.get_ydata()[0]) == pytest.approx((right[-1], wrong[-1]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == DATA["learners"]["words"]
    assert without_shared(["a, b, c", "a, b"]) == ["b, c", "b"]
    assert without_shared(["a, b"]) == ["a, b"]
    unknown = [[None] * CURVE for _ in curves["run"]]
    with pytest.raises(BadData, match="with right and wrong labels among its own"):
        picture_of({**DATA, "curves": {**curves, "mislabeled_fit": unknown}}, "wrong_by_right", VIEW)


def test_regions_meet_at_the_means() -> None:
    """Every model is in the region that a loop finds, ties with the mean included; the counts stand in the corners."""
    across, up = np.array([0.1, 0.3, 0.1, 0.3, 0.2]), np.array([0.9, 0.9, 0.5, 0.5, 0.7])
    assert regions_of(across, up).region.tolist() == [1, 2, 3, 4, 1]
    panel = picture_of(DATA, "regions", VIEW).axes[0]
    runs = DATA["runs"]
    means = np.mean(runs["susceptibility"]), np.mean(runs["train_accuracy"])
    assert (panel.lines[-2].get_xdata()[0], panel.lines[-1].get_ydata()[0]) == pytest.approx(means)
    counts = [0, 0, 0, 0]
    for ease, fit in zip(runs["susceptibility"], runs["train_accuracy"], strict=True):
        counts[(0 if fit >= means[1] else 2) + (0 if ease <= means[0] else 1)] += 1
    assert [int(text.get_text().rsplit(" ", 1)[1]) for text in panel.texts] == counts
    with pytest.raises(BadData, match="regions take two runs or more"):
        picture_of({**DATA, "runs": {name: values[:1] for name, values in runs.items()}}, "regions", VIEW)


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_a_file_is_the_same_whenever_it_is_written(tmp_path: Path, suffix: str) -> None:
    """No date is in it; text stays text."""
    for name in ("a", "b"):
        save_picture(picture_of(DATA, "histogram", VIEW), tmp_path / f"{name}.{suffix}")
    content = (tmp_path / f"a.{suffix}").read_bytes()
    assert content == (tmp_path / f"b.{suffix}").read_bytes()
    if suffix == "svg":
        assert b"wrong labels (918)" in content


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A variant with runs of two seeds and two detectors."""
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    given = np.arange(N) % 3
    clean = np.where(rng.random(N) < 1 / 3, (given + 1) % 3, given)
    source = source_from_arrays("made", np.zeros((N, 1), np.float32), given, clean=clean, class_names=list("abc"))
    variant, folder = build_variant(source, AsFound()), tmp_path / "runs" / "made"
    write_variant(variant, folder / "variant")
    for seed in (0, 1):
        scores = {"mine": rng.random(N) + 0.5 * variant.mislabeled, "yours": rng.random(N)}
        record = RunRecord(
            regime="training", features="input", **about_labels(variant), model="mlp", recipe="standard", setup="digest",
            trained="abc", epochs=2, observe="after", seed=seed, detectors={name: name for name in scores},
            form="scores", controls=["yours"], versions={"noisybench": "0.2.0"},
        )  # fmt: skip
        run = folder / "mlp-standard" / f"seed-{seed}"
        write_json(record.as_json(), run / "run.json")
        for name, values in scores.items():
            write_scores(Scores(name, values, variant.provenance.variant_id), scores_path(run, name))
        curve = np.array([0.5, 0.8])
        write_columns({"epoch": np.array([1, 2]), "train_accuracy": curve, "mislabeled_fit": curve / 4, "clean_fit": curve}, run / "history.parquet")  # fmt: skip
    return tmp_path / "runs"


def test_a_picture_agrees_with_the_table(home: Path) -> None:
    """The marks of the intervals are the means of ``detector_rows``, to the four digits of the page."""
    data = page_data(home)
    panel = picture_of(data, "intervals", data["views"][0]).axes[0]
    marks = [line.get_xdata()[0] for line in panel.lines if len(line.get_xdata()) == 1]
    assert marks == pytest.approx([row.mean for row in detector_rows(home)], abs=5.1e-5)


def test_the_command_draws_and_says_what_it_cannot(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file by its suffix; one sentence for another suffix, picture, option or truth, and where matplotlib is missing."""
    path = tmp_path / "board.svg"
    result = shell("leaderboard", home, "--plot", path, "--metric", "average_precision")
    assert (result.code, result.out) == (0, "")
    assert f"{path} holds the picture" in result.err
    assert "average precision (wrong labels)" in path.read_text(encoding="utf-8")
    assert "made (90 samples)" in path.read_text(encoding="utf-8")
    for arguments, code, words in (
        (("--plot", "board.jpg"), 2, "board.jpg is no .png, .svg, .pdf file"),
        (("--plot", path, "--picture", "interval"), 2, "no picture is called 'interval'; did you mean 'intervals'?"),
        (("--plot", path, "--models"), 2, "--plot draws a picture and takes no --models"),
        (("--picture", "cost"), 2, "--picture is for --plot FILE, which is missing"),
        (("--plot", path, "--truth", "memorization", "--metric", "kendall"), 2, "pictures show memorization by 'spearman' alone"),
        (("--plot", path, "--truth", "open_set"), 2, "no run here has the truth 'open_set'; there is mislabeled"),
        (("--plot", path, "--picture", "families"), 1, "there is one noise, rate and data set here"),
    ):  # fmt: skip
        result = shell("leaderboard", home, *arguments)
        assert result.code == code, (arguments, result.err)
        assert words in " ".join(result.err.split()), (arguments, result.err)
        assert "Traceback" not in result.err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    result = shell("leaderboard", home, "--plot", path)
    assert result.code == 1
    assert "needs the package 'matplotlib': pip install 'noisybench[plot]'" in " ".join(result.err.split())


def test_what_can_be_drawn_is_refused_by_name() -> None:
    """From Python the same sentences, before a run is read."""
    with pytest.raises(UnknownName, match="no picture is called 'bars'; there are: intervals, families"):
        draw_board("nowhere", "a.pdf", picture="bars")
    with pytest.raises(BadUsage, match="a.txt is no"):
        draw_board("nowhere", "a.txt")
    assert len(PICTURES) == 9
