"""Evaluation: from a variant to a run folder, and what is not done twice."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from noisybench.board.finding import find_suspects
from noisybench.board.finished import Result
from noisybench.board.leaderboard import leaderboard
from noisybench.board.results import evaluate
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.detection.scoring import Detector, read_scores
from noisybench.ground.errors import BadData, BadUsage, Mismatch, TrainingFailed, UnknownName
from noisybench.ground.files import read_columns, read_json, write_columns, write_json
from noisybench.ground.version import __version__
from noisybench.items import find
from noisybench.runs.detector_choice import choose_detectors
from noisybench.runs.training_run import plan_evaluation
from noisybench.runs.verify import verify_runs
from noisybench.training.machine import Machine
from noisybench.training.optimizers import RecipeOptimizer
from noisybench.training.plan import plan_run
from noisybench.training.trace import read_trace
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, read_variant

FAST = {"epochs": 6, "options": {"batch_size": "64"}}
DETECTORS = [*choose_detectors("standard")]


@pytest.fixture(scope="module")
def variant(digits: Source) -> Variant:
    return build_variant(digits, find("noises", "symmetric")(rate=0.2), seed=0)


@pytest.fixture(scope="module")
def results(digits: Source, variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    out = tmp_path_factory.mktemp("runs")
    return evaluate(variant, digits, seeds=(0, 1), out=out, **FAST)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def runs(results: list[Result]) -> list[Path]:
    return [result.path for result in results]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timing.json"
    }


def test_a_run_folder_holds_what_the_contract_says(variant: Variant, runs: list[Path]) -> None:
    """Folder names, files, an epoch's trace each, scores of every detector; the variant lies beside its runs."""
    first = runs[0]
    assert first.name == "seed-0"
    assert first.parent.name.startswith("mlp-standard-")
    assert first.parent.parent.name == f"digits-symmetric-{variant.provenance.variant_id[:8]}"
    assert [path.name for path in sorted((first / "trace").iterdir())] == [
        f"epoch-{k:04d}.parquet" for k in range(1, 7)
    ]
    assert {path.stem for path in (first / "scores").iterdir()} == set(DETECTORS)
    assert read_variant(first.parent.parent / "variant").provenance == variant.provenance
    kept = {path.name for path in first.parent.parent.joinpath("variant").iterdir()}
    assert kept == {"variant.json", "labels.parquet", "transition.npy"}  # and not its cards
    history = read_columns(first / "history.parquet")[0]
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert history["test_accuracy"][-1] > 0.8
    assert not list(first.rglob("*.part"))
    assert str(first.parent.parent.parent) not in (first / "run.json").read_text()


def test_agreement_follows_from_the_written_scores(variant: Variant, results: list[Result]) -> None:
    """What a result and the board say is scikit-learn's, from the score files; the best detectors find the flips."""
    for metric, area in (("auroc", roc_auc_score), ("average_precision", average_precision_score)):
        found = {a.detector: a for a in results[0].agreement(metric)}
        assert set(found) == set(DETECTORS)
        for name in DETECTORS:
            scores = read_scores(results[0].path / "scores" / f"{name}.parquet")
            assert scores.variant_id == variant.provenance.variant_id
            assert found[name].value == pytest.approx(area(variant.mislabeled, scores.values), abs=1e-12)
            assert np.array_equal(results[0].scores[name].values, scores.values)
    found = {a.detector: a for a in results[0].agreement()}
    assert found["cumulative_loss"].value > 0.97
    assert found["entropy"].kind == "control"
    assert {a.metric for a in found.values()} == {"auroc"}
    rows = {row.detector: row for row in leaderboard([result.path for result in results])}
    assert rows["perfect"].mean == 1
    areas = [{a.detector: a.value for a in result.agreement()} for result in results]
    for name in DETECTORS:
        assert rows[name].mean == pytest.approx(np.mean([area[name] for area in areas]), abs=1e-12)
    follows = f"history and {len(DETECTORS)} detectors follow"
    assert sum(follows in told for told in verify_runs(results[0].path.parent)) == 2


def test_a_result_says_what_it_can_be_asked_for(results: list[Result], runs: list[Path]) -> None:
    """It is a path to whoever wants one, and refuses truths, metrics and strata that its labels do not have."""
    assert Path(results[0]) == runs[0]
    assert results[0].truths() == ("mislabeled",)
    assert results[0].history["test_accuracy"] == read_columns(runs[0] / "history.parquet")[0]["test_accuracy"][-1]
    for asked, message in (
        ({"metric": "aurock"}, "no metric is called 'aurock'; did you mean 'auroc'"),
        ({"truth": "memorization"}, "'noisybench memorize VARIANT --out RUNS' measures it"),
        ({"stratum": "clean"}, "no stratum of 'mislabeled' is called 'clean'"),
    ):
        with pytest.raises(UnknownName, match=message):
            results[0].agreement(**asked)


@pytest.mark.usefixtures("warm_processes")
def test_processes_give_the_same_bytes(digits: Source, variant: Variant, runs: list[Path], tmp_path: Path) -> None:
    """Two workers write what one process writes, file for file, timing apart; and progress is told by each."""
    steps: list[None] = []
    again = evaluate(
        variant,
        digits,
        seeds=(0, 1),
        machine=Machine(workers=2),
        out=tmp_path,
        progress=lambda: steps.append(None),
        **FAST,  # type: ignore[arg-type]
    )
    folders = [result.path for result in again]
    assert [path.relative_to(tmp_path) for path in folders] == [path.relative_to(runs[0].parents[2]) for path in runs]
    for one, other in zip(runs, folders, strict=True):
        assert files(one) == files(other)
    assert len(steps) == 12


def test_what_is_finished_is_not_done_again(
    digits: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call trains nothing; a further detector of recorded probes is only scored; a missing probe retrains."""
    count: list[int] = []
    real = RecipeOptimizer.step

    def counting(self: RecipeOptimizer) -> None:
        count.append(1)
        real(self)

    monkeypatch.setattr(RecipeOptimizer, "step", counting)

    def run(detectors: str) -> int:
        count.clear()
        folder = evaluated(digits, variant, tmp_path, detectors=detectors, epochs=2)
        assert detectors in read_json(folder / "run.json")["detectors"]
        return len(count)

    assert run("cumulative_loss") > 0
    assert run("cumulative_loss") == 0
    assert run("final_loss") == 0
    assert run("aum") > 0
    assert run("final_loss") == 0


def test_an_unfinished_run_is_started_again_with_the_same_end(
    digits: Source, variant: Variant, runs: list[Path], tmp_path: Path
) -> None:
    """A run that broke off in the middle of training ends with the bytes of one that did not."""

    class Stopped(Exception):
        pass

    def stop_after_three(seen: list[int] = []) -> None:  # noqa: B006 - it counts
        seen.append(1)
        if len(seen) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        evaluate(variant, digits, seeds=(0,), out=tmp_path, progress=stop_after_three, **FAST)  # type: ignore[arg-type]
    (result,) = evaluate(variant, digits, seeds=(0,), out=tmp_path, **FAST)  # type: ignore[arg-type]
    assert files(result.path) == files(runs[0])


def evaluated(source: Source, variant: Variant, out: Path, **how: Any) -> Path:  # noqa: ANN401 - of evaluate
    (result,) = evaluate(variant, source, out=out, **{"seeds": (0,), "detectors": "aum", "epochs": 1, **how})
    return result.path


def test_a_run_made_differently_is_not_overwritten(digits: Source, variant: Variant, tmp_path: Path) -> None:
    """A finished run of other threads in the same folder is refused with a way out, and stays."""
    folder = evaluated(digits, variant, tmp_path)
    before = files(folder)
    with pytest.raises(BadData, match="holds a run with threads = 1, now it is 2; give another --out"):
        evaluated(digits, variant, tmp_path, machine=Machine(threads=2))
    assert files(folder) == before


@pytest.mark.parametrize(("key", "value"), [("versions", {"noisybench": "0.0.9"}), ("machine", "abacus")])
def test_versions_guard_the_training_alone(
    digits: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: object
) -> None:
    """A finished run of another version is scored, ranked, verified and looked at; a probe more, and it is refused."""
    folder = evaluated(digits, variant, tmp_path, detectors="final_loss")
    write_json({**read_json(folder / "run.json"), key: value}, folder / "run.json")
    before = files(folder)
    with monkeypatch.context() as untrained:
        untrained.setattr(RecipeOptimizer, "step", None)
        assert evaluated(digits, variant, tmp_path, detectors="final_loss") == folder
        assert files(folder) == before
        evaluated(digits, variant, tmp_path, detectors="cumulative_loss")
    after = files(folder)
    changed = {name for name in after if after[name] != before.get(name)}
    added = {"scores/cumulative_loss.parquet", "suggestions/cumulative_loss.parquet"}
    assert changed == {"run.json", "agreement.parquet"} | added
    record = read_json(folder / "run.json")
    assert (set(record["detectors"]), record[key]) == ({"final_loss", "cumulative_loss"}, value)
    ranked = {row.detector: row for row in leaderboard(tmp_path) if row.kind == "detector"}
    assert {name for name, row in ranked.items() if row.rank} == {"final_loss", "cumulative_loss"}
    assert {row.version for row in ranked.values()} == {"0.0.9" if key == "versions" else __version__}
    assert find_suspects(folder, detector="cumulative_loss").table(1)
    with pytest.raises(Mismatch, match=f"says {key} = .*, the checkpoint is of a training with "):
        list(verify_runs(tmp_path))
    with pytest.raises(BadData, match=f"holds a run with {key} = .* give another --out"):
        evaluated(digits, variant, tmp_path, detectors="aum")
    assert files(folder) == after


def test_suspects_are_the_highest_scores_of_all_seeds(variant: Variant, runs: list[Path]) -> None:
    """Mean scores over seeds, highest first; most of the top are truly wrong, and the model often knows better."""
    suspects = find_suspects(runs[0].parent, detector="aum")
    found = suspects.table(50)
    values = np.mean([read_scores(run / "scores" / "aum.parquet").values for run in runs], axis=0)
    assert [suspect.sample for suspect in found] == np.argsort(-values, kind="stable")[:50].tolist()
    assert all(suspect.given == variant.class_names[variant.labels[suspect.sample]] for suspect in found)
    assert np.mean([variant.mislabeled[suspect.sample] for suspect in found]) > 0.95
    assert np.mean([suspect.suggested == variant.class_names[variant.clean[suspect.sample]] for suspect in found]) > 0.8
    assert suspects.detector == "aum"
    with pytest.raises(UnknownName, match="did you mean 'aum'"):
        find_suspects(runs[0], detector="aumm")
    with pytest.raises(BadUsage, match=f"trace is a part of a run; name the run, {runs[0]}$"):
        find_suspects(runs[0] / "trace")


def test_tampered_scores_are_found(digits: Source, variant: Variant, tmp_path: Path) -> None:
    """Scores that do not follow from their trace are named."""
    folder = evaluated(digits, variant, tmp_path)
    columns, metadata = read_columns(folder / "scores" / "aum.parquet")
    write_columns(
        {**columns, "score": columns["score"][::-1].copy()}, folder / "scores" / "aum.parquet", metadata=metadata
    )
    with pytest.raises(BadData, match="scores of 'aum' do not follow from the trace"):
        list(verify_runs(tmp_path))


@pytest.mark.parametrize("damage", [b"", b"PAR1 cut short"])
def test_damaged_scores_are_made_again_from_the_trace(
    digits: Source, variant: Variant, tmp_path: Path, damage: bytes
) -> None:
    """The same command mends a score file that was cut short, to the same bytes and without a training."""
    asked: Any = {"epochs": 2, "detectors": ["aum", "final_loss"], "seeds": [0], "out": tmp_path}
    (run,) = (result.path for result in evaluate(variant, digits, **asked))
    before = files(run)
    (run / "scores" / "aum.parquet").write_bytes(damage)
    told: list[None] = []
    evaluate(variant, digits, **asked, progress=lambda: told.append(None))
    assert files(run) == before
    assert not told  # no epoch was trained


def test_a_tampered_history_is_found(digits: Source, variant: Variant, tmp_path: Path) -> None:
    """A share of labels fitted that does not follow from the trace is named, with its epoch."""
    folder = evaluated(digits, variant, tmp_path, epochs=2)
    columns, metadata = read_columns(folder / "history.parquet")
    for name in ("mislabeled_fit", "clean_fit"):
        changed = {**columns, name: columns[name] + np.array([0, 0.25])}
        write_columns(changed, folder / "history.parquet", metadata=metadata)
        with pytest.raises(BadData, match=f"{name} of epoch 2 is .* the trace gives"):
            list(verify_runs(tmp_path))
    write_columns({k: v[:1] for k, v in columns.items()}, folder / "history.parquet", metadata=metadata)
    with pytest.raises(BadData, match="of different epochs"):
        list(verify_runs(tmp_path))


def test_no_agreement_of_a_stranger_is_believed(digits: Source, variant: Variant, tmp_path: Path) -> None:
    """What a folder says of agreement is not read, and changed scores are judged anew, whatever was judged before."""
    (result,) = evaluate(variant, digits, seeds=(0,), detectors="aum", epochs=1, out=tmp_path)
    (before,) = result.agreement()
    told = {"detector": np.array(["aum"]), "metric": np.array(["auroc"]), "value": np.array([0.99])}
    write_columns(told, result.path / "agreement.parquet")
    with pytest.raises(BadData, match=r"agreement.parquet is damaged; no table reads it: take it away, or say"):
        leaderboard(tmp_path)
    (result.path / "agreement.parquet").unlink()
    assert [row.mean for row in leaderboard(tmp_path) if row.detector == "aum"] == [before.value]
    path = result.path / "scores" / "aum.parquet"
    columns, metadata = read_columns(path)
    write_columns({**columns, "score": -columns["score"]}, path, metadata=metadata)
    (after,) = result.agreement()
    assert after.value == pytest.approx(1 - before.value, abs=1e-12)
    assert [row.mean for row in leaderboard(tmp_path) if row.detector == "aum"] == [after.value]


def test_a_record_that_says_something_else_is_noticed(digits: Source, variant: Variant, tmp_path: Path) -> None:
    """A detector without scores has not ended the run; one found under another's name does not follow from the trace."""
    folder = evaluated(digits, variant, tmp_path, detectors=("final_loss", "cumulative_loss"), epochs=2)
    record = read_json(folder / "run.json")
    write_json({**record, "detectors": {**record["detectors"], "el2n": "el2n"}}, folder / "run.json")
    with pytest.raises(BadData, match=r"no finished run below .* \(1 begun and not ended\)"):
        leaderboard(tmp_path)
    write_json({**record, "detectors": {"final_loss": "cumulative_loss"}}, folder / "run.json")
    with pytest.raises(BadData, match="says that 'final_loss' is the detector 'cumulative_loss'"):
        list(verify_runs(tmp_path))
    write_json({**record, "detectors": ["aum"]}, folder / "run.json")
    with pytest.raises(BadData, match="'detectors' is .*, expected"):
        leaderboard(tmp_path)


def test_features_without_test_set_and_without_truth(tmp_path: Path) -> None:
    """A user's own features: no test accuracy, no agreement, and still suspects; nothing unknown is counted as clean."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    inputs = rng.normal(size=(300, 5)) + 3 * np.eye(3, 5)[labels]
    given = labels.copy()
    given[:30] = (given[:30] + 1) % 3
    source = source_from_arrays("mine", inputs, given)
    variant = build_variant(source, find("noises", "as_found")())
    (result,) = evaluate(variant, source, seeds=(0,), out=tmp_path)
    assert np.isnan(read_columns(result.path / "history.parquet")[0]["test_accuracy"]).all()
    assert np.isnan(result.history["test_accuracy"])
    agreements = result.agreement()
    assert {a.detector for a in agreements} == set(DETECTORS)
    assert all(np.isnan(a.value) and a.n == 0 for a in agreements)
    top = find_suspects(result.path).table(30)
    assert np.mean([suspect.sample < 30 for suspect in top]) > 0.8


def test_curvature_options_reach_the_probe(digits: Source, variant: Variant, tmp_path: Path) -> None:
    """Epochs, draws and power of curvature are the run's own options, and change its folder."""
    options = {"curvature_every": "2", "curvature_draws": "2", "curvature_power": "2"}
    folder = evaluated(digits, variant, tmp_path, detectors="loss_curvature", epochs=3, options=options)
    assert read_trace(folder / "trace").column("curvature").epochs.tolist() == [2, 3]
    assert read_json(folder / "timing.json")["detectors"]["loss_curvature"]["passes"] == 2 * 3
    plain = evaluated(digits, variant, tmp_path, detectors="loss_curvature", epochs=3)
    assert plain.parent != folder.parent


def test_another_truth_or_test_set_is_not_answered_from_old_runs(digits: Source, tmp_path: Path) -> None:
    """The same labels held against other clean labels, or the same training set with another test set, are refused."""
    noise = find("noises", "as_found")()
    clean = digits.labels.copy()
    clean[:100] = (clean[:100] + 1) % 10
    changed: tuple[dict[str, Any], ...] = (
        {"clean": clean},
        {"test_labels": digits.test_labels[::-1].copy()},  # type: ignore[index]
        {"class_names": tuple("abcdefghij")},
    )
    for position, changes in enumerate(changed):
        out = tmp_path / str(position)
        arrays = {"clean": digits.clean, "test_inputs": digits.test_inputs, "test_labels": digits.test_labels}
        for given, fails in ((arrays, False), ({**arrays, **changes}, True)):
            source = source_from_arrays("mine", digits.inputs, digits.labels, **given)
            variant = build_variant(source, noise)
            if not fails:
                evaluate(variant, source, seeds=(0,), detectors="aum", epochs=1, out=out)
                continue
            with pytest.raises(
                BadData, match="other clean labels|other class names|test_sha256 = .* give another --out"
            ):
                evaluate(variant, source, seeds=(0,), detectors="aum", epochs=1, out=out)


@pytest.mark.usefixtures("warm_processes")
def test_models_of_other_libraries_go_to_other_processes(tmp_path: Path) -> None:
    """A name such as torchvision:… reaches other processes."""
    few = load_source("digits", limit=100)
    results = evaluate(
        build_variant(few, find("noises", "symmetric")(rate=0.2)),
        few,
        model="torchvision:mobilenet_v3_small",
        seeds=(0, 1),
        detectors="aum",
        epochs=1,
        options={"susceptibility": "off", "lr": "0.001"},
        machine=Machine(workers=2),
        out=tmp_path,
    )
    assert [result.path.name for result in results] == ["seed-0", "seed-1"]
    assert all([a.detector for a in result.agreement()] == ["aum"] for result in results)


def test_an_edited_model_is_another_model(
    digits: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is not answered from that of an older text; a function without a name of its own is refused."""
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from torch import nn\ndef net(*, num_classes, input_shape):\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    (tmp_path / "edited_net.py").write_text(text)
    setups = [plan_run(digits, model="edited_net:net").setup]
    (tmp_path / "edited_net.py").write_text(text + "# changed\n")
    setups.append(plan_run(digits, model="edited_net:net").setup)
    assert setups[0] != setups[1]
    with pytest.raises(BadUsage, match="must be a function of a module"):
        evaluate(variant, digits, model=partial(own_model, num_classes=3), out=tmp_path)


OWN = "from noisybench.detection.scoring import Detector\nD = Detector('{}', ('margin',), lambda trace: -trace['margin'][-1].astype(float), 'x')\n"


def test_a_detector_of_ones_own_keeps_its_name(
    digits: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is scored, priced and found under its own name, and may not take a built-in's."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_detector.py").write_text(OWN.format("last_margin"))
    (tmp_path / "taken_name.py").write_text(OWN.format("aum"))
    folder = evaluated(digits, variant, tmp_path / "runs", detectors=("own_detector:D",), epochs=2)
    assert read_json(folder / "timing.json")["detectors"]["last_margin"]["passes"] == 2
    assert find_suspects(folder).detector == "last_margin"
    with pytest.raises(BadUsage, match="have one name"):
        evaluate(variant, digits, detectors=("aum", "taken_name:D"), out=tmp_path / "runs")
    with pytest.raises(BadUsage, match="detector taken_name:D is called 'aum', as one of noisybench's"):
        evaluate(variant, digits, detectors=("taken_name:D",), out=tmp_path / "runs")


SHORT = """
from noisybench import Detector
D = Detector("own", ("margin",), lambda trace: -trace["margin"][-1][:3], "mine")
"""


def test_a_detector_that_forgets_samples_ends_no_run(
    digits: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before its scores are written, so that the tables of the other runs stand; then it is mended."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "short_detector.py").write_text(SHORT)
    (tmp_path / "whole_detector.py").write_text(SHORT.replace("[:3]", ""))
    asked: Any = {"epochs": 2, "seeds": [0], "out": tmp_path / "runs"}
    (run,) = evaluate(variant, digits, detectors="final_loss", **asked)
    with pytest.raises(BadData, match=rf"detector 'own' gave 3 scores, expected one for each of {len(variant.labels)}"):
        evaluate(variant, digits, detectors="short_detector:D", **asked)
    assert set(run.scores) == {"final_loss"}
    evaluate(variant, digits, detectors="whole_detector:D", **asked)
    last = read_trace(run.path / "trace")["margin"][-1]
    assert run.scores["own"].values.tolist() == (-last).astype(np.float64).tolist()


DOTTED = """
from noisybench.detection.scoring import Detector
from noisybench.training.probes._logits import LogitProbe
from noisybench.training.probes.margin import margin
PROBE = LogitProbe("my.margin", margin)
DETECTOR = Detector("my_margin", ("my.margin",), lambda trace: -trace["my.margin"].mean(0, dtype=float), "mine")
"""


def test_a_dot_in_the_name_of_a_probe_asks_for_no_pool(
    digits: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package's own probe ``my.margin`` is observed, and its detector is one of ``all`` and scored as aum is."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_package.py").write_text(DOTTED)
    about = tmp_path / "my_package-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1\n")
    groups = (
        "[noisybench.probes]\nmy.margin = my_package:PROBE\n[noisybench.detectors]\nmy_margin = my_package:DETECTOR\n"
    )
    (about / "entry_points.txt").write_text(groups)
    assert "my_margin" in choose_detectors("all")
    (result,) = evaluate(variant, digits, seeds=(0,), detectors=("my_margin", "aum"), epochs=2, out=tmp_path / "runs")
    assert np.array_equal(result.scores["my_margin"].values, result.scores["aum"].values)
    assert {row.detector for row in leaderboard(tmp_path / "runs") if row.rank} == {"my_margin", "aum"}
    assert any("2 detectors follow" in told for told in verify_runs(tmp_path / "runs"))


def test_a_record_names_no_code_to_import(
    digits: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with a detector of somebody's own is verified and added to without that code; its scores stay."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "gone_detector.py").write_text(OWN.format("own_margin"))
    (result,) = evaluate(variant, digits, seeds=(0,), detectors=("gone_detector:D",), epochs=2, out=tmp_path / "runs")
    folder, (before,) = result.path, result.agreement()
    assert before.detector == "own_margin"
    (tmp_path / "gone_detector.py").write_text("raise SystemExit('imported')")
    monkeypatch.delitem(sys.modules, "gone_detector")
    evaluate(variant, digits, seeds=(0,), detectors="aum", epochs=2, out=tmp_path / "runs")
    after = {a.detector: a for a in result.agreement()}
    assert (set(after), after["own_margin"]) == ({"aum", "own_margin"}, before)
    assert any("'own_margin' were not computed again: gone_detector:D" in told for told in verify_runs(folder))
    assert "gone_detector" not in sys.modules


def own_model(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    assert input_shape == (1, 8, 8)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))


def headless_model(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes), nn.Tanh())


OF_THE_LAST_LAYER = {"gradient_norm", "self_influence", "self_influence_kronecker"}


def test_a_model_without_a_last_linear_layer_is_asked_the_rest(
    digits: Source, variant: Variant, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a set what it cannot be asked is left out in one line, before anything is trained; what is named is refused."""
    plan = plan_run(digits, model=headless_model, **FAST)  # type: ignore[arg-type]
    planned = plan_evaluation(variant, digits, plan, machine=Machine(), detectors="standard")
    assert {*planned.detectors} == {*choose_detectors("standard")} - OF_THE_LAST_LAYER
    (line,) = caplog.messages
    assert line.startswith(
        "left out gradient_norm, self_influence, self_influence_kronecker: the logits of Sequential are"
    )
    with pytest.raises(BadUsage, match="detector 'self_influence': the logits of Sequential are not what an nn.Linear"):
        plan_evaluation(variant, digits, plan, machine=Machine(), detectors=["fast", "self_influence"])


def test_last_layer_detectors_know_the_learning_rate_and_cost_no_pass(
    digits: Source, variant: Variant, tmp_path: Path
) -> None:
    """Each epoch's self-influence is its rate times the squared gradient norm, observed after or during training."""
    for observe in ("after", "during"):
        options = {"batch_size": "256", "observe": observe}
        folder = evaluated(digits, variant, tmp_path, detectors=[*OF_THE_LAST_LAYER], epochs=3, options=options)
        trace, rates = read_trace(folder / "trace"), read_columns(folder / "history.parquet")[0]["learning_rate"]
        expected = rates[:, None] * trace["gradient_norm"].astype(np.float64) ** 2
        np.testing.assert_allclose(trace["self_influence"], expected, rtol=1e-5)
        assert trace.column("self_influence_kronecker").epochs.tolist() == [3]
        costs = read_json(folder / "timing.json")["detectors"]
        assert {name: costs[name]["passes"] for name in OF_THE_LAST_LAYER} == {
            "gradient_norm": 3, "self_influence": 3, "self_influence_kronecker": 1,
        }  # fmt: skip


def test_a_function_of_the_caller_is_a_model(digits: Source, variant: Variant, tmp_path: Path) -> None:
    """It is called with the number of classes and the input shape, and its name is safe in a path."""
    folder = evaluated(digits, variant, tmp_path, model=own_model)
    assert "own_model" in folder.parent.name
    assert ":" not in folder.parent.name


def test_defaults_suit_the_source(digits: Source) -> None:
    """Small grey images get the perceptron, coloured ones the network, and augmentation only where the source allows."""
    images = source_from_arrays("x", np.zeros((4, 32, 32, 3), np.uint8), [0, 1, 0, 1], augmentation="crop_flip")
    assert plan_run(digits).model == "mlp"
    assert plan_run(digits).recipe.augmentation == "none"
    assert plan_run(images).model == "small_cnn"
    assert plan_run(images).recipe.augmentation == "crop_flip"
    assert plan_run(images, recipe="overfit").recipe.augmentation == "none"
    assert plan_run(images, recipe="overfit").recipe.weight_decay == 0
    assert plan_run(images, options={"lr": "0.3"}).recipe.lr == 0.3
    assert plan_run(images, epochs=7).recipe.epochs == 7


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"recipe": "standart"}, UnknownName, "did you mean 'standard'"),
        ({"model": "mpl"}, UnknownName, "did you mean 'mlp'"),
        ({"options": {"lrr": "1"}}, UnknownName, "did you mean 'lr'"),
        ({"options": {"lr": "fast"}}, BadUsage, "must be a number, got 'fast'"),
        ({"options": {"observe": "before"}}, BadUsage, "one of after, during"),
        ({"options": {"curvature_every": "0"}}, BadUsage, "at least 1 epoch"),
        ({"epochs": 0}, BadUsage, "epochs must be at least 1"),
        ({"seeds": (0, 0)}, BadUsage, "seeds must be different"),
        ({"seeds": ()}, BadUsage, "got none"),
        ({"seeds": 0}, BadUsage, r"seeds must be several whole numbers, such as \(0, 1, 2\), got 0"),
        ({"seeds": [0.0]}, BadUsage, "each of the seeds must be a whole number, got 0.0"),
        ({"seeds": [True]}, BadUsage, "each of the seeds must be a whole number, got True"),
        ({"seeds": "01"}, BadUsage, "each of the seeds must be a whole number, got '0'"),
        ({"epochs": 1.5}, BadUsage, "epochs must be a whole number, got 1.5"),
        ({"epochs": True}, BadUsage, "epochs must be a whole number, got True"),
        ({"threads": 1.0}, BadUsage, "threads must be a whole number, got 1.0"),
        ({"checkpoint_every": True}, BadUsage, "checkpoint_every must be a whole number, got True"),
        ({"workers": "2"}, BadUsage, "workers must be a whole number, got '2'"),
        ({"detectors": ("aum", "aumm")}, UnknownName, "did you mean 'aum'"),
        ({"workers": 0}, BadUsage, "workers must be at least 1"),
        ({"device": "gpu"}, BadUsage, "no device is called 'gpu'"),
        ({"device": "meta"}, BadUsage, "no device is called 'meta'"),
        ({"epochs": 2, "options": {"epochs": "3"}}, BadUsage, "given twice"),
        ({"options": {"momentum": "1"}}, BadUsage, "momentum must be below 1"),
        ({"model": "json:dumps"}, TrainingFailed, "the model cannot be built .* TypeError"),
        ({"model": "os:path"}, BadUsage, "is a module, which is no model"),
        ({"detectors": ("json:dumps",)}, BadUsage, "which is no detector"),
        ({"model": "small_cnn", "options": {"lr": "1e30"}}, TrainingFailed, "training loss is"),
    ],
)
def test_bad_arguments_are_named(
    digits: Source, variant: Variant, tmp_path: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """One sentence: what was wrong and what would be right."""
    how = {
        name: arguments.pop(name) for name in ("device", "threads", "workers", "checkpoint_every") if name in arguments
    }
    with pytest.raises(error, match=message):
        evaluate(variant, digits, out=tmp_path, machine=Machine(**how), **{"seeds": (0,), **arguments})


def test_numbers_of_numpy_are_taken(tmp_path: Path) -> None:
    """Every number of a call may be NumPy's: the record is that of plain ones, and can be written."""
    source = load_source("digits", limit=np.int64(60))  # type: ignore[arg-type]
    variant = build_variant(source, find("noises", "symmetric")(rate=0.2))
    one: Any = np.int64(1)
    numbers: dict[str, Any] = {"epochs": one, "machine": Machine(threads=one, workers=one, checkpoint_every=one)}
    run = evaluated(source, variant, tmp_path / "a", seeds=np.arange(1), **numbers)
    plain = evaluated(source, variant, tmp_path / "b")
    assert (run / "run.json").read_bytes() == (plain / "run.json").read_bytes()


def test_a_variant_of_another_source_is_refused(variant: Variant, tmp_path: Path) -> None:
    """Before anything is written."""
    other = source_from_arrays("digits", np.zeros((1437, 8, 8, 1), np.uint8), variant.clean, clean=variant.clean)
    with pytest.raises(Mismatch, match="give the files that it was built from"):
        evaluate(variant, other, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_side_files_that_are_damaged_stop_nothing(digits: Source, variant: Variant, tmp_path: Path) -> None:
    """Times, on which no result depends, and the variant beside the runs, which the same command writes again."""
    folder = evaluated(digits, variant, tmp_path)
    expected = [{**record, "seconds": None, "passes": None} for record in leaderboard(tmp_path).to_records()]
    beside = folder.parent.parent / "variant"
    kept = files(beside)
    (folder / "timing.json").write_text("{", encoding="utf-8")
    assert [{**r, "seconds": None, "passes": None} for r in leaderboard(tmp_path).to_records()] == expected
    for name in kept:
        (beside / name).write_bytes(kept[name][:20])
        assert evaluated(digits, variant, tmp_path) == folder
        assert files(beside) == kept
    assert list(verify_runs(tmp_path))


def test_a_probe_of_the_user_s_own_is_refused_before_the_training(digits: Source, variant: Variant) -> None:
    """Its column would have another name than the detector asks for."""
    plan = plan_run(digits, **FAST)  # type: ignore[arg-type]
    with pytest.raises(
        BadUsage, match="needs 'mine:PROBE', and a training leaves columns of noisybench's probes alone"
    ):
        plan_evaluation(variant, digits, plan, machine=Machine(), detectors=[f"{__name__}:OF_MINE"])


OF_MINE = Detector("of_mine", ("mine:PROBE",), lambda trace: trace["mine:PROBE"][-1], "Nobody 2026, here")
