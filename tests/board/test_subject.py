"""What a table is of, in every format: data sets apart, parts by name, ablations, and a colleague who gets the folder zipped."""

import csv
import io
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from shell import shell
from sklearn.metrics import roc_auc_score

from noisybench.board.detector_table import Row
from noisybench.board.leaderboard import Leaderboard, leaderboard, models_board
from noisybench.board.page_data import page_data
from noisybench.board.rendering import to_table
from noisybench.board.row_words import MOST_PARTS, shown_parts, span
from noisybench.board.subject import sources_of
from noisybench.data.source import Option, Source, source_from_arrays
from noisybench.detection.scoring import Scores, read_scores, scores_path, write_scores
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.ground.files import write_columns, write_json
from noisybench.ground.version import __version__
from noisybench.items import find
from noisybench.runs.reading import read_runs
from noisybench.runs.record import RunRecord, about_labels
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, read_variant, write_variant

DETECTORS = ("aum", "forgetting", "entropy")
FORMATS = ("table", "markdown", "csv", "json", "latex", "parquet")


def made(n: int, name: str = "made", classes: int = 3, seed: int = 0) -> Source:
    """A data set of ``n`` samples."""
    rng = np.random.default_rng([n, seed])
    inputs = rng.random((n, 2)).astype(np.float32)
    return source_from_arrays(name, inputs, rng.integers(0, classes, n), class_names=list("abcdefghijklmno"[:classes]))


def write_runs(
    root: Path,
    source: Source,
    noise: str = "symmetric",
    rate: float = 0.2,
    draw: int = 0,
    **fields: Any,  # noqa: ANN401 - fields of run.json
) -> Variant:
    """A label column and runs of two seeds, whose scores know something of the wrong labels."""
    variant = build_variant(source, find("noises", noise)(rate=rate), seed=draw)
    home = root / variant.name
    write_variant(variant, home / "variant")
    for seed in (0, 1):
        setup = fields.get("setup", "one")
        folder = home / f"mlp-{setup}" / f"seed-{seed}"
        about: dict[str, Any] = {"setup": setup, "trained": "abc123", "recipe": "standard", "lr": 0.1, "momentum": 0.9}
        record = RunRecord(
            regime="training",
            features="input",
            **about_labels(variant),
            model="mlp",
            epochs=30,
            observe="after",
            seed=seed,
            detectors={name: name for name in DETECTORS},
            controls=["entropy"],
            versions={"noisybench": "0.4.0"},
            **about | fields,
        )
        write_json(record.as_json(), folder / "run.json")
        rng = np.random.default_rng([draw, seed, len(source.labels), round(100 * rate)])
        for i, name in enumerate(DETECTORS):
            values = rng.random(len(variant.labels)) + (0.8 - 0.3 * i) * variant.mislabeled
            write_scores(Scores(name, values, variant.provenance.variant_id), scores_path(folder, name))
        history = {"epoch": [30], "test_accuracy": [0.9], "mislabeled_fit": [0.5], "clean_fit": [0.9]}
        write_columns({name: np.array(values) for name, values in history.items()}, folder / "history.parquet")
    return variant


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets; of the larger two noises, one of them at two rates, two draws each; of the other one draw."""
    root = tmp_path_factory.mktemp("subject") / "runs"
    for draw in (0, 1):
        for noise, rate in (("symmetric", 0.2), ("symmetric", 0.4), ("pair_flip", 0.3)):
            write_runs(root, made(150), noise, rate, draw)
    write_runs(root, made(90, "other"))
    return root


@cache
def auroc(root: Path, detector: str, *, given: int | None = None) -> dict[tuple[str, str, float, str], float]:
    """(source, noise, rate, variant id) → mean AUROC over the seeds, one run and one class after the other."""
    found: dict[tuple[str, str, float, str], list[float]] = {}
    for run in read_runs(root):
        variant = read_variant(run.home / "variant")
        values = read_scores(scores_path(run.path, detector)).values
        here = np.ones(len(values), dtype=bool) if given is None else variant.labels == given
        wrong = variant.mislabeled[here]
        key = (run.record.source, run.record.noise, float(run.record.params["rate"]), run.record.variant_id)
        if 0 < wrong.sum() < len(wrong):
            found.setdefault(key, []).append(roc_auc_score(wrong, values[here]))
    return {key: float(np.mean(areas)) for key, areas in found.items()}


def family_mean(areas: dict[tuple[str, str, float, str], float]) -> float:
    """Over label columns, then rates, then families, by loops."""
    families: dict[tuple[str, str], dict[float, list[float]]] = {}
    for (source, noise, rate, _), area in areas.items():
        families.setdefault((source, noise), {}).setdefault(rate, []).append(area)
    return float(np.mean([np.mean([np.mean(one) for one in rates.values()]) for rates in families.values()]))


def row_of(rows: Sequence[Row], detector: str, source: str = "") -> Row:
    (row,) = [row for row in rows if row.detector == detector and source in row.source]
    return row


def test_a_row_names_what_it_is_of(runs: Path) -> None:
    """Data set and size, noises with nominal and realised share and draws, label columns, and versions."""
    row = row_of(leaderboard(runs).rows, "aum", "made")
    assert [source.words for source in row.subject.sources] == ["made (150 samples)"]
    variants = [read_variant(path) for path in runs.glob("made-*/variant")]
    assert row.subject.variants == tuple(sorted(variant.provenance.variant_id for variant in variants))
    told = {noise.words: (noise.rate, noise.draws) for noise in row.subject.noises}
    assert told == {
        "pair_flip(rate=0.3)": (0.3, 2),
        "symmetric(rate=0.2, inclusive=false)": (0.2, 2),
        "symmetric(rate=0.4, inclusive=false)": (0.4, 2),
    }
    for noise in row.subject.noises:
        shares = [
            np.mean(variant.labels != variant.clean)
            for variant in variants
            if noise.words.startswith(f"{variant.provenance.noise}(rate={variant.provenance.params['rate']}")
        ]
        assert noise.wrong_share == pytest.approx(np.mean(shares), abs=1e-12)
    assert row.subject.versions == "0.4.0"


def test_data_sets_are_averaged_only_when_asked(runs: Path) -> None:
    """Two blocks with ranks of their own and the values of their runs alone; one row over both where they are pooled."""
    apart = leaderboard(runs)
    words = ["made (150 samples)", "other (90 samples)"]
    assert list(dict.fromkeys(row.source for row in apart)) == words
    areas = auroc(runs, "aum")
    for name in ("made", "other"):
        ours = [row for row in apart.rows if row.source.startswith(name) and row.kind == "detector"]
        assert [row.rank for row in ours] == [1, 2]
        assert all(row.complete for row in ours)
        expected = family_mean({key: area for key, area in areas.items() if key[0] == name})
        assert row_of(ours, "aum").mean == pytest.approx(expected, abs=1e-12)
    pooled = row_of(leaderboard(runs, pool=True).rows, "aum")
    assert (pooled.source, pooled.families, pooled.variants) == ("", 3, 7)
    assert pooled.mean == pytest.approx(family_mean(areas), abs=1e-12)
    by_source = row_of(leaderboard(runs, by="source").rows, "aum")
    assert (by_source.mean, [part.name for part in by_source.parts]) == (pooled.mean, words)
    assert [row.source for row in models_board(runs)] == words
    assert [row.source for row in models_board(runs, pool=True)] == [""]


def test_two_data_sets_of_one_name_are_told_apart_in_words(tmp_path: Path) -> None:
    """By their sizes, by options that differ, or by their digests; a run that is not finished makes its block incomplete."""
    write_runs(tmp_path, made(60))
    write_runs(tmp_path, made(90))
    assert {row.source for row in leaderboard(tmp_path)} == {"made (60 samples)", "made (90 samples)"}
    write_runs(tmp_path, made(90, seed=1))
    with_digests = {row.source for row in leaderboard(tmp_path)}
    assert "made (60 samples)" in with_digests
    assert {re.fullmatch(r"made [0-9a-f]{8} \(90 samples\)", words) is None for words in with_digests} == {True, False}
    assert len(with_digests) == 3
    options: tuple[dict[str, Option], ...] = ({"words": 1024, "label": "a"}, {"words": 1024, "label": "b"})
    found = [run for run in read_runs(tmp_path) if run.record.source_sha256 != made(90, seed=1).sha256]
    runs = [replace(run, record=replace(run.record, source_options=options[run.record.n == 60])) for run in found]
    assert {one.words for one in sources_of(runs).values()} == {
        "made(label=a) (90 samples)",
        "made(label=b) (60 samples)",
    }
    begun = next(run for run in read_runs(tmp_path) if run.record.n == 60)
    record = json.loads((begun.path / "run.json").read_text())
    (begun.path / "run.json").write_text(json.dumps({**record, "detectors": {}, "controls": None}))
    complete = {(row.source, row.complete) for row in leaderboard(tmp_path) if row.kind == "detector"}
    assert {words for words, whole in complete if not whole} == {"made (60 samples)"}


@pytest.mark.parametrize("by", ["noise", "rate", "variant"])
def test_parts_are_those_of_a_loop(runs: Path, by: str) -> None:
    """Each part is the mean of its label columns alone, and ranks by itself; a data set without it has none."""
    board = leaderboard(runs, by=by)
    place = {"noise": 1, "rate": 2, "variant": 3}[by]

    def words(value: object) -> str:
        return str(value)[:8] if by == "variant" else str(value)

    for source in ("made", "other"):
        for detector in DETECTORS:
            row = row_of(board.rows, detector, source)
            areas = {key: area for key, area in auroc(runs, detector).items() if key[0] == source}
            for part in row.parts:
                ours = {key: area for key, area in areas.items() if part.name.endswith(words(key[place]))}
                if not ours:
                    assert np.isnan(part.mean)
                    continue
                assert part.mean == pytest.approx(family_mean(ours), abs=1e-12)
                assert (part.rank is None) == (detector == "entropy")
    names = [part.name for part in board[0].parts]
    assert {"noise": ["pair_flip", "symmetric"], "rate": ["rate=0.2", "rate=0.3", "rate=0.4"]}.get(by, names) == names
    plain = leaderboard(runs)
    assert [replace(row, parts=()) for row in board] == list(plain)


def test_classes_are_those_of_a_loop(runs: Path) -> None:
    """A part for each given class compares its samples alone; their mean counts every class alike."""
    row = row_of(leaderboard(runs, by="class").rows, "aum", "made")
    by_class = [auroc(runs, "aum", given=given) for given in range(3)]
    ours = [{key: area for key, area in areas.items() if key[0] == "made"} for areas in by_class]
    assert [part.name for part in row.parts] == ["mean of classes", "class a", "class b", "class c"]
    assert [part.mean for part in row.parts[1:]] == pytest.approx([family_mean(areas) for areas in ours], abs=1e-12)
    assert row.parts[0].mean == pytest.approx(np.mean([part.mean for part in row.parts[1:]]), abs=1e-12)


def test_of_many_parts_people_see_the_worst(tmp_path: Path) -> None:
    """Twelve classes at most, those in which the best detector is worst; programs get all, and the caption says so."""
    write_runs(tmp_path, made(600, classes=14), rate=0.4)
    board = leaderboard(tmp_path, by="class")
    best = board[0]
    worst = sorted(best.parts[1:], key=lambda part: part.mean)[:MOST_PARTS]
    assert shown_parts(board.rows) == ["mean of classes", *(part.name for part in worst)]
    assert (
        "of 15 parts the 13 in which the best detector is worst are shown, csv and json have all"
        in board.caption.lower()
    )
    assert sum(name.startswith("mean[class") for name in board.to_records()[0]) == 14
    for width, columns in ((None, 18), (200, 18), (110, 8)):  # no column is cut: intervals go, then the last parts
        console = Console(width=width or 400, file=io.StringIO(), record=True)
        console.print(to_table(board.rows, width))
        printed = console.export_text()
        assert printed.splitlines()[1].count("class") <= columns
        assert f"{best.rank} [{best.rank_low}, {best.rank_high}]" in printed
        assert ("no room here" in printed.replace("\n", " ")) == (width is not None)
    with pytest.raises(UnknownName, match="no column of parts is called 'clas'; did you mean 'class'"):
        leaderboard(tmp_path, by="clas")


def test_ablations_are_named(tmp_path: Path) -> None:
    """Two learning rates of one recipe: the rate is a column in every form; a digest stays where no field tells."""
    write_runs(tmp_path, made(60), setup="a" * 64, lr=0.02)
    write_runs(tmp_path, made(60), setup="b" * 64, lr=0.1)
    for board in (leaderboard(tmp_path), models_board(tmp_path)):
        assert {row.ablation for row in board if row.setup} == {(("lr", 0.02),), (("lr", 0.1),)}
        header, _, *lines = [line.split(" | ") for line in board.to_markdown().splitlines() if line.startswith("|")]
        assert {line[header.index("lr")] for line in lines} - {"–"} == {"0.02", "0.1"}
        assert "aaaaaaaa" not in board.to_markdown()
        assert {row["lr"] for row in board.to_records() if row["setup"]} == {0.02, 0.1}
        assert "0.02" in board.to_csv()
        assert r" & 0.02 " in board.to_latex()
    learners = page_data(tmp_path)["learners"]
    assert learners["words"] == [f"mlp, standard, 30 epochs (lr {lr})" for lr in (0.02, 0.1)]
    assert [
        command.endswith(f" --set lr={lr}") for lr, command in zip((0.02, 0.1), learners["command"], strict=True)
    ] == [True, True]
    write_runs(tmp_path, made(60), setup="c" * 64, lr=0.02)
    assert {"standard, 30 epochs, aaaaaaaa", "standard, 30 epochs, cccccccc"} <= {
        cell for line in leaderboard(tmp_path).to_markdown().splitlines() for cell in line.split(" | ")
    }
    write_runs(tmp_path, made(60), setup="d" * 64, lr=0.02, momentum=0.5, weight_decay=0.1)
    assert "lr=0.02, momentum=0.5, weight_decay=0.1" in leaderboard(tmp_path).to_markdown()
    assert {row["weight_decay"] for row in leaderboard(tmp_path).to_records()} == {None, 0.1}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.98765, 0.9753, 1.0), "0.988 [0.975, 1.000]"),  # half a width of 0.012: three decimals
        ((0.98765, 0.9, 1.0), "0.988 [0.900, 1.000]"),
        ((0.5, 0.2, 0.8), "0.50 [0.20, 0.80]"),
        ((0.98765, 0.98756, 0.98774), "0.9877 [0.9876, 0.9877]"),  # four at most
        ((0.5, 0.5, 0.5), "0.500 [0.500, 0.500]"),
        ((0.98765, np.nan, np.nan), "0.988"),
        ((2e-5, 1e-5, 3e-5), "2.0e-05 [1.0e-05, 3.0e-05]"),
        ((np.nan, np.nan, np.nan), "–"),
    ],
)
def test_digits_follow_the_interval(values: tuple[float, float, float], words: str) -> None:
    """Half the width has two digits, to at most four decimals."""
    assert span(*values) == words


def test_latex_is_a_table_of_booktabs(runs: Path) -> None:
    """A label, as many cells in each line, a heading and a rule for each data set, the best of a block bold."""
    board = leaderboard(runs, by="noise")
    text = board.to_latex()
    assert text.startswith("\\begin{table}\n\\caption{AUROC against")
    assert "\\label{tab:mislabeled-auroc}\n\\begin{tabular}" in text
    columns = len(re.search(r"\\begin\{tabular\}\{(l+)\}", text)[1])  # type: ignore[index]
    body = text.split("\\toprule\n")[1].split("\\bottomrule")[0].splitlines()
    headings = [line for line in body if "multicolumn" in line]
    assert headings == [
        rf"\multicolumn{{{columns}}}{{l}}{{\textit{{{source}}}}} \\"
        for source in ("made (150 samples)", "other (90 samples)")
    ]
    for line in body:
        if line != r"\midrule" and line not in headings:
            assert line.endswith(r" \\")
            assert line.count(" & ") == columns - 1
    assert body.count(r"\midrule") == 2
    best, second = (next(line for line in body if f"& {name} &" in line) for name in ("aum", "forgetting"))
    row = row_of(board.rows, "forgetting", "made")
    assert re.search(r"& aum & \\textbf\{\d\.\d+\} \[", best)
    assert (r"& forgetting & \underline{" in second) == (row.rank_low == 1)
    for opening, closing in ("{}", (r"\begin", r"\end")):
        plain = text.replace(r"\{", "").replace(r"\}", "")
        assert plain.count(opening) == plain.count(closing)


def text_of(style: str, runs: Path, folder: Path) -> str:
    """What a person who looks for a word finds in a format."""
    if style == "table":
        return " ".join(shell("leaderboard", runs).out.split())
    ending = {"markdown": "md", "latex": "tex"}.get(style, style)
    done = shell("leaderboard", runs, "--to", folder / f"board.{ending}")
    assert done.code == 0, done.err
    if style == "parquet":
        return str(pq.read_table(folder / "board.parquet").to_pylist())
    return (folder / f"board.{ending}").read_text(encoding="utf-8")


def test_a_colleague_gets_the_folder_zipped(runs: Path, tmp_path: Path) -> None:
    """Runs zipped, moved and unpacked elsewhere: the same table, whose every format says what it is of."""
    shutil.make_archive(str(tmp_path / "runs"), "zip", runs)
    elsewhere = tmp_path / "a colleague" / "got this"
    shutil.unpack_archive(tmp_path / "runs.zip", elsewhere)
    board = leaderboard(elsewhere)
    assert board.to_records() == leaderboard(runs).to_records()
    ids = [row.subject.variants[0][:8] for row in board.rows[:1]]
    for style in FORMATS:
        text = text_of(style, elsewhere, tmp_path).replace("\\", "")
        for word in ("made (150 samples)", "other (90 samples)", "symmetric(rate=0.2", "pair_flip(rate=0.3)", *ids):
            assert word in text, (style, word)
        assert "0.4.0" in text, style
        assert __version__ in text, style
        assert "aum" in text, style


def test_every_number_of_the_caption_stands_in_the_columns(runs: Path, tmp_path: Path) -> None:
    """What the caption says a table is of can be looked up in its rows, in JSON, CSV and Parquet alike."""
    board = leaderboard(runs)
    said = re.search(r"Of made .*table by noisybench [0-9.]+\.", board.caption)
    assert said is not None
    records = json.loads(board.to_json())
    board.to_parquet(tmp_path / "board.parquet")
    assert pq.read_table(tmp_path / "board.parquet").to_pylist() == records
    there = set()
    for record in records:
        there |= {str(record["samples"]), str(record["variants"]), record["version"], record["noisybench"]}
        there |= {str(record["epochs"]), *map(str, record["draws"]), *map(str, record["rate"])}
        there |= {f"{share:.3f}" for share in record["wrong_share"]} | {one[:8] for one in record["variant_ids"]}
    counted = {"3"}  # more label columns than are named
    told = re.findall(r"(?<![\w.])(?:[0-9a-f]{8}|\d+(?:\.\d+)*)(?![\w])", said[0])
    assert len(told) > 20
    assert set(told) - there <= counted
    for words in re.findall(r"\w+\([^()]*\)", said[0]):
        assert any(words in record["noise"] for record in records) or "label columns" in words, words
    lines = list(csv.DictReader(io.StringIO(board.to_csv())))
    assert [line["source"] for line in lines] == [record["source"] for record in records]
    assert [line["draws"] for line in lines] == ["; ".join(map(str, record["draws"])) for record in records]


def test_a_terminal_names_the_data_sets_of_the_blocks(runs: Path) -> None:
    """A line with the name of each, in the order of the rows; none where there is one."""
    console = Console(width=220, file=io.StringIO(), record=True)
    console.print(to_table(leaderboard(runs, by="noise").rows))
    printed = console.export_text()
    places = [printed.index(words) for words in ("made (150 samples)", "aum", "other (90 samples)", "AUROC against")]
    assert places == sorted(places)
    page = leaderboard(runs)._repr_html_()
    assert page.count("<th colspan=") == 2
    one = leaderboard(next(iter(runs.glob("other-*"))))
    assert "**" not in one.to_markdown()
    assert "multicolumn" not in one.to_latex()


def test_a_table_is_written_to_a_file(runs: Path, tmp_path: Path) -> None:
    """Its ending says the format, or ``--format``; what cannot be is refused before anything is read."""
    board = leaderboard(runs)
    for name, text in (("a.csv", board.to_csv()), ("a.JSON", board.to_json() + "\n"), ("deep/a.tex", board.to_latex())):
        for content in ("", "what was there before"):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
            done = shell("leaderboard", runs, "--to", path)
            assert (done.code, done.out, path.read_text(encoding="utf-8")) == (0, "", text)
            assert f"note: {path} holds the table" in done.err
    assert board.write(tmp_path / "b", style="markdown").read_text(encoding="utf-8") == board.to_markdown()
    home = next(iter(runs.glob("other-*")))
    for arguments, sentence in (
        (["--to", tmp_path / "a.xls"], "a.xls does not say its format; end it in .csv, .json, .md, .tex, .parquet, or"),
        (["--to", tmp_path / "a.csv", "--format", "jsn"], "no format of a file is called 'jsn'; did you mean 'json'"),
        (["--format", "parquet"], "'parquet' is the format of a file; say --to FILE as well"),
        (["--to", home / "mlp-one" / "seed-0" / "a.csv"], "would lie in the folder of a run or a variant"),
        (["--models", "--by", "noise"], "--models is a table of its own and takes no --by"),
    ):
        done = shell("leaderboard", "nowhere", *arguments)
        assert done.code == 2, done.err
        assert sentence in " ".join(done.err.split())
    with pytest.raises(BadUsage, match="would lie in the folder of a run"):
        Leaderboard(board.rows).write(home / "variant" / "a.csv")
