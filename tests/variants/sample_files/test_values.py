"""Files of the tools that people come from: cleanlab's and AUM's own, cartography's by its documented formats, file names."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from aum import AUMCalculator
from cleanlab import Datalab
from numpy.typing import NDArray
from shell import shell

from noisybench.board.finished import score_given
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.lookup import find
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.verify import verify_runs
from noisybench.training.trace import read_trace
from noisybench.variants.building import build_variant
from noisybench.variants.sample_files.values import read_given
from noisybench.variants.sample_names import read_names, rows_by_name, write_names
from noisybench.variants.variant import write_variant

N, K = 60, 3
CLASSES = ("cat", "dog", "owl")
RANDOM = np.random.default_rng(0)
CLEAN = RANDOM.integers(K, size=N)
FILES = [f"{'ab'[i % 2]}/img_{i:03}.png" for i in range(N)]


def source(names: list[str] | None = None, classes: tuple[str, ...] = CLASSES) -> Source:
    return source_from_arrays("x", np.zeros((N, 1)), CLEAN, clean=CLEAN, class_names=classes, sample_names=names)


VARIANT = build_variant(source(), Symmetric(rate=0.3))
PROBS: NDArray[np.float64] = 0.1 / K + 0.9 * RANDOM.dirichlet(np.ones(K), N)
SCORES = PROBS[np.arange(N), VARIANT.labels]
ORDER = RANDOM.permutation(N)
GIVEN = np.array(CLASSES)[VARIANT.labels]


@pytest.fixture(scope="module")
def lab() -> Datalab:
    """What Datalab finds, of labels that are texts."""
    found = Datalab({"label": GIVEN.tolist()}, label_name="label", verbosity=0)
    found.find_issues(pred_probs=PROBS)
    return found


DATALAB: list[Callable[[Any, Path], Path]] = [
    lambda lab, d: to(lab.get_issues("label"), d / "issues.csv"),
    lambda lab, d: to(lab.get_issues("label").sort_values("label_score"), d / "issues.csv"),
    lambda lab, d: to(lab.get_issues("label").sort_values("label_score"), d / "issues.parquet"),
    lambda lab, d: to(lab.get_issues("label"), d / "issues.parquet"),
    lambda lab, d: to(lab.get_issues(), d / "issues.csv"),
    lambda lab, d: to(lab.get_issues(), d / "issues.parquet"),
    lambda lab, d: to(lab.get_issues("label"), d / "issues.csv", index=False),
    lambda lab, d: to(lab.get_issues("label"), d / "issues.tsv", sep="\t"),
    lambda lab, d: to(lab.get_issues("label"), d / "issues.csv.gz"),
]


def to(frame: Any, path: Path, **how: Any) -> Path:  # noqa: ANN401 - pandas
    """A data frame in a file."""
    if path.suffix == ".parquet":
        frame.to_parquet(path, **how)
    else:
        frame.to_csv(path, **how)
    return path


@pytest.mark.parametrize("write", DATALAB)
def test_issues_of_datalab_are_read_as_they_are(
    lab: Datalab, write: Callable[[Any, Path], Path], tmp_path: Path
) -> None:
    """In any order, with row names or given labels to go by; the score is low where a label is suspicious."""
    expected = lab.get_issues("label")["label_score"].to_numpy()
    found = read_given(write(lab, tmp_path), VARIANT, "scores")
    np.testing.assert_allclose(found.values, expected, rtol=1e-15)
    assert (found.lower_is_suspicious, found.tool) == (True, "'label_score' of cleanlab")


def test_issues_of_datalab_that_tell_no_order_are_refused(lab: Datalab, tmp_path: Path) -> None:
    """What lab.save writes has neither ids nor labels: --labels, or the file that has them; sorted, labelled otherwise."""
    alone = to(lab.get_issues(), tmp_path / "issues.csv", index=False)
    with pytest.raises(BadData, match=r"no column 'sample' .*; of cleanlab's Datalab, write lab.get_issues\('label'\)"):
        read_given(alone, VARIANT, "scores")
    with pytest.raises(
        BadUsage, match=r"is a folder, expected a file of scores; Datalab's scores are issues.csv in it"
    ):
        read_given(tmp_path, VARIANT, "scores")
    np.save(tmp_path / "given.npy", VARIANT.labels)
    checked = read_given(alone, VARIANT, "scores", labels=tmp_path / "given.npy")
    np.testing.assert_allclose(checked.values, lab.get_issues()["label_score"], rtol=1e-15)
    by_score = lab.get_issues("label").sort_values("label_score")
    with pytest.raises(
        Mismatch, match=r"other labels: .*; they are as many of each class, so its rows may stand in an"
    ):
        read_given(to(by_score, tmp_path / "sorted.csv", index=False), VARIANT, "scores")
    other = lab.get_issues("label").assign(given_label="cat")
    with pytest.raises(Mismatch, match=r"was made with other labels: \d+ of 60 .*; score the labels of this variant"):
        read_given(to(other, tmp_path / "other.csv"), VARIANT, "scores")
    lab.get_issues("label").to_pickle(tmp_path / "issues.pkl")
    with pytest.raises(
        BadUsage, match=r"is a pickle, which is never read, because it may hold code; save the scores as"
    ):
        read_given(tmp_path / "issues.pkl", VARIANT, "scores")
    with pytest.raises(BadUsage, match="has no column 'quality'; it has: .*label_score"):
        read_given(tmp_path / "other.csv", VARIANT, "scores", column="quality")


def test_numbers_that_name_classes_are_recognised(tmp_path: Path) -> None:
    """Given labels 1, 2, 3 of classes of these names, as whole numbers, as fractions and as texts."""
    variant = build_variant(source(classes=("1", "2", "3")), Symmetric(rate=0.3))
    for labels in (variant.labels + 1, (variant.labels + 1.0).astype(str), variant.labels):
        frame = pd.DataFrame({"given_label": labels, "label_score": SCORES})
        np.testing.assert_array_equal(read_given(to(frame, tmp_path / "x.parquet"), variant, "scores").values, SCORES)
        np.testing.assert_array_equal(read_given(to(frame, tmp_path / "x.csv"), variant, "scores").values, SCORES)


def test_files_of_aum_are_read_as_they_are(tmp_path: Path) -> None:
    """By the ids that were given to it, numbers or file names; its record of every epoch is refused with the other's name."""
    named = build_variant(source(FILES), Symmetric(rate=0.3))
    logits, labels = torch.from_numpy(np.log(PROBS)), torch.from_numpy(named.labels.copy())
    expected = torch.where(torch.eye(K)[labels] > 0, -torch.inf, logits).amax(1)
    margin = (logits[torch.arange(N), labels] - expected).numpy()
    for ids, names in ((range(N), None), (FILES, FILES), (range(N), FILES)):
        calculator = AUMCalculator(str(tmp_path), compressed=False)
        calculator.update(logits[ORDER], labels[ORDER], [ids[i] for i in ORDER])
        calculator.finalize()
        found = read_given(tmp_path / "aum_values.csv", named, "scores", sample_names=names)
        np.testing.assert_allclose(found.values, margin, rtol=1e-12)
        assert (found.lower_is_suspicious, found.tool) == (True, "'aum' of AUM")
    with pytest.raises(BadData, match=r"AUM's margins of every epoch; give aum_values.csv"):
        read_given(tmp_path / "full_aum_records.csv", named, "scores")


def cartography(folder: Path, epochs: int = 3, **change: Any) -> list[NDArray[np.float32]]:  # noqa: ANN401 - a column
    """Training dynamics as log_training_dynamics writes them, each epoch in an order of its own; logits in sample order."""
    (folder / "training_dynamics").mkdir(parents=True, exist_ok=True)
    logits = [(np.log(PROBS) * (e + 1) + RANDOM.normal(size=(N, K))).astype(np.float32) for e in range(epochs)]
    for e, values in enumerate(logits):
        order = RANDOM.permutation(N)
        columns = {"guid": np.arange(N), f"logits_epoch_{e}": list(values), "gold": VARIANT.labels, **change}
        frame = pd.DataFrame({name: list(np.array(column)[order]) for name, column in columns.items()})
        frame.to_json(folder / "training_dynamics" / f"dynamics_epoch_{e}.jsonl", lines=True, orient="records")
    return logits


def test_training_dynamics_are_a_trace(tmp_path: Path) -> None:
    """Columns of the logits by their definitions, every detector that needs no more; the run is whole, and made once."""
    logits = np.stack(cartography(tmp_path / "bert"))
    result = score_given(VARIANT, tmp_path / "runs", name="bert", dynamics=tmp_path / "bert")
    trace = read_trace(result.path / "trace")
    given = logits[:, np.arange(N), VARIANT.labels]
    others = np.where(np.eye(K, dtype=bool)[VARIANT.labels], -np.inf, logits).max(-1)
    np.testing.assert_allclose(trace["margin"], given - others, atol=1e-4)
    np.testing.assert_array_equal(trace["correct"], logits.argmax(-1) == VARIANT.labels)
    assert trace.column("margin").epochs.tolist() == [1, 2, 3]
    needed = {name: find("detectors", name).needs for name in result.scores}
    assert {"aum", "forgetting", "label_confidence", "el2n", "gmm_loss", "entropy"} <= set(needed)
    assert not {"curvature", "held_out.probabilities"} & {column for needs in needed.values() for column in needs}
    np.testing.assert_allclose(result.scores["aum"].values, -(given - others).mean(0), atol=1e-4)
    assert [row.detector for row in result.agreement()] == list(result.scores)
    assert any(told.endswith("detectors follow from the logits") for told in verify_runs(tmp_path / "runs"))
    again = score_given(VARIANT, tmp_path / "runs", name="bert", dynamics=tmp_path / "bert" / "training_dynamics")
    assert again.path == result.path


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"gold": CLEAN}, "was made with other labels: 18 of 60 are not the variant's"),
    (
        {"guid": np.arange(N) + 1},
        r"sample 60 of .*dynamics_epoch_0.jsonl is none of the variant's 0..59 \(1 such rows\)",
    ),
    ({"guid": np.arange(N) // 2 * 2}, "must have each sample once: sample 0 stands there more than once"),
    ({"logits_epoch_0": [[0.0]] * N}, r"logits in .* have shape \(60, 1\), expected \(60, 3\): one for each class"),
    ({"logits_epoch_0": [[0.0, None, 1.0]] * N}, "holds something that is no number"),
    (
        {"guid": [f"s{i}" for i in range(N)]},
        "column 'guid' of .* holds 's.*', expected ids 0..59; no names are kept of",
    ),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_training_dynamics_of_other_labels_or_samples_are_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """One sentence each, and nothing is left."""
    cartography(tmp_path / "m", epochs=1, **change)
    with pytest.raises(Mismatch if "other labels" in message else BadData, match=message):
        score_given(VARIANT, tmp_path / "runs", name="bert", dynamics=tmp_path / "m")
    assert not (tmp_path / "runs").exists()


def test_folders_that_hold_no_training_dynamics_are_refused(tmp_path: Path) -> None:
    """None, a gap, another file, a line that is cut; and what is of scores alone."""
    with pytest.raises(BadData, match=r"holds no training dynamics; expected dynamics_epoch_0.jsonl"):
        score_given(VARIANT, tmp_path / "runs", name="bert", dynamics=tmp_path)
    cartography(tmp_path, epochs=3)
    files = sorted((tmp_path / "training_dynamics").iterdir())
    kept = files[1].read_bytes()
    files[1].unlink()
    with pytest.raises(BadData, match=r"has no dynamics_epoch_1.jsonl \(1 of 3 epochs are missing\)"):
        score_given(VARIANT, tmp_path / "runs", name="bert", dynamics=tmp_path)
    files[1].write_bytes(kept[:-9])
    with pytest.raises(BadData, match=r"line 60 of .* is no object of JSON; expected one in each line"):
        score_given(VARIANT, tmp_path / "runs", name="bert", dynamics=tmp_path)
    for given, words in (
        ({"lower_is_suspicious": True}, "--lower-is-suspicious is for --scores; training dynamics have one meaning"),
        ({"column": "gold"}, "--column is for --scores"),
        ({"labels": "x.npy"}, "--labels is for --scores and --pred-probs; training dynamics hold the labels"),
        ({"scores": "x.npy"}, r"got both"),
    ):
        with pytest.raises(BadUsage, match=words):
            score_given(VARIANT, tmp_path / "runs", name="bert", dynamics=tmp_path, **given)


def metrics(path: Path) -> dict[str, NDArray[Any]]:
    """td_metrics.jsonl: its index counts the rows of a shuffled epoch, its guid the samples."""
    columns = {"confidence": SCORES, "variability": SCORES**2, "correctness": 3.0 * (SCORES > 0.5)}
    columns["forgetfulness"] = np.where(SCORES > 0.5, 0, 1000)
    columns["threshold_closeness"] = SCORES * (1 - SCORES)
    shuffled = {name: column[ORDER] for name, column in columns.items()}
    frame = pd.DataFrame({"guid": ORDER, "index": np.arange(N), **shuffled})
    frame.to_json(path, lines=True, orient="records", double_precision=15)
    return columns


def test_metrics_of_cartography_are_scores(tmp_path: Path) -> None:
    """By guid, not by index; confidence unless another is named; each with its sign, also where it is packed."""
    columns = metrics(tmp_path / "td_metrics.jsonl")
    found = read_given(tmp_path / "td_metrics.jsonl", VARIANT, "scores")
    np.testing.assert_allclose(found.values, SCORES, rtol=1e-12)
    assert (found.lower_is_suspicious, found.tool) == (True, "'confidence' of dataset cartography")
    for name, lower in (("correctness", True), ("forgetfulness", False), ("variability", False)):
        found = read_given(tmp_path / "td_metrics.jsonl", VARIANT, "scores", column=name)
        np.testing.assert_allclose(found.values, columns[name], rtol=1e-12)
        assert found.lower_is_suspicious is lower
    for packed, opener in (("gz", gzip.open), ("bz2", bz2.open), ("xz", lzma.open)):
        with opener(tmp_path / f"x.jsonl.{packed}", "wb") as stream:
            stream.write((tmp_path / "td_metrics.jsonl").read_bytes())
        np.testing.assert_allclose(
            read_given(tmp_path / f"x.jsonl.{packed}", VARIANT, "scores").values, SCORES, rtol=1e-12
        )
        cut = tmp_path / f"cut.jsonl.{packed}"
        cut.write_bytes((tmp_path / f"x.jsonl.{packed}").read_bytes()[:-20])
        with pytest.raises(BadData, match=r"cannot be read as lines of JSON|is no object of JSON"):
            read_given(cut, VARIANT, "scores")


LINES: list[tuple[list[Any], str]] = [
    ([{"sample": 0, "score": 1.0}, {"sample": 1}], "line 2 of .* has no 'score', as the first line has"),
    ([{"sample": i, "score": "low"} for i in range(N)], "column 'score' of .* holds something that is no number"),
    ([{"sample": i, "score": [1.0] * (1 + i % 2)} for i in range(N)], "row 1 of 'score' .* has another length"),
    ([{"sample": i, "score": 10**400} for i in range(N)], "column 'score' of .* holds something that is no number"),
    ([[1, 2]], "line 1 of .* is no object of JSON"),
    ([], r"has no column 'sample'"),
]


@pytest.mark.parametrize(("rows", "message"), LINES)
def test_lines_of_json_that_cannot_be_meant_are_refused(rows: list[Any], message: str, tmp_path: Path) -> None:
    """By the line of the file."""
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    with pytest.raises(BadData, match=message):
        read_given(path, VARIANT, "scores")


def test_a_file_in_the_order_of_folders_is_refused_where_labels_cannot_tell(tmp_path: Path) -> None:
    """Labels in blocks agree with any order within a class: rows sorted by their scores there are refused."""
    clean = np.repeat(np.arange(K), 40)
    blocks = build_variant(
        source_from_arrays("x", np.zeros((120, 1)), clean, clean=clean, class_names=CLASSES),
        find("noises", "as_found")(),
    )
    scores = np.concatenate([np.sort(RANDOM.random(40)) for _ in range(K)])
    frame = pd.DataFrame({"given_label": clean, "label_score": scores})
    with pytest.raises(BadData, match="is sorted by its scores within each class"):
        read_given(to(frame, tmp_path / "x.csv", index=False), blocks, "scores")
    frame["label_score"] = RANDOM.random(120)
    read_given(to(frame, tmp_path / "x.csv", index=False), blocks, "scores")


NAMED: list[tuple[str, Callable[[str], str]]] = [
    ("file_name", str),
    ("File_Name", lambda name: name.replace("/", "\\")),
    ("path", lambda name: f"C:\\data\\train\\{name}".replace("/", "\\")),
    ("image", lambda name: f"/home/me/data/{name}"),
    ("name", lambda name: name.rpartition("/")[2]),
    ("id", lambda name: name.rpartition("/")[2].removesuffix(".png")),
    ("sample_id", lambda name: f"./{name}"),
]


@pytest.mark.parametrize(("column", "spelled"), NAMED)
def test_rows_are_matched_by_file_names(column: str, spelled: Callable[[str], str], tmp_path: Path) -> None:
    """Whole, below another folder, as Windows writes them, alone, without ending; of scores and of probabilities."""
    texts = [spelled(FILES[i]) for i in ORDER]
    frame = pd.DataFrame({column: texts, "score": SCORES[ORDER], **{c: PROBS[ORDER, j] for j, c in enumerate(CLASSES)}})
    for path in (to(frame, tmp_path / "x.csv"), to(frame, tmp_path / "x.parquet")):
        np.testing.assert_allclose(read_given(path, VARIANT, "scores", sample_names=FILES).values, SCORES, rtol=1e-15)
        np.testing.assert_allclose(
            read_given(path, VARIANT, "pred_probs", sample_names=FILES).values, PROBS, rtol=1e-15
        )
    arrays = {"ids": np.array(texts), "scores": SCORES[ORDER]}
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]  # of a mapping
    np.testing.assert_array_equal(read_given(tmp_path / "x.npz", VARIANT, "scores", sample_names=FILES).values, SCORES)


def test_names_that_tell_no_samples_apart_are_refused() -> None:
    """Unknown, doubled, missing and shared ones, each with the first of them."""
    same = ["a/1.png", "b/1.png", "b/2.png"]
    assert rows_by_name(["d/b/2.png", "d/a/1.png", "d/b/1.png"], same, "x").tolist() == [1, 2, 0]
    assert rows_by_name(["10", "9"], ["9", "10"], "x").tolist() == [1, 0]
    for texts, names, message in (
        (
            ["1.png", "2.png", "3.png"],
            same,
            r"x: '1.png' is the name of no sample \(3 such rows\); samples are called 'a/1",
        ),
        (["a/1.png", "b/1.png", "c/2.png"], same, r"x: 'c/2.png' is the name of no sample \(1 such rows\)"),
        (["a/1.png", "b/1.png"], same, r"x must have each sample once: 'b/2.png' has no row \(1 such samples\)"),
        ([*same, "b/2.png"], same, r"'b/2.png' stands there more than once \(1 such samples\)"),
        (["a", "b"], ["a", "a"], r"x: 'b' is the name of no sample"),
        (["a", "a"], ["a", "a"], r"x: 'a' is the name of 2 samples; give ids 0..1 as 'sample'"),
    ):
        with pytest.raises(BadData, match=message):
            rows_by_name(texts, names, "x")


def test_ids_of_a_table_are_no_positions(tmp_path: Path) -> None:
    """Numbers that are names go before positions; where they might be both, it is refused, and a column says which."""
    numbers = [str(1000 + i) for i in ORDER]
    frame = pd.DataFrame({"id": [int(text) for text in numbers], "score": SCORES})
    path = to(frame.sample(frac=1, random_state=0), tmp_path / "x.csv", index=False)
    np.testing.assert_array_equal(read_given(path, VARIANT, "scores", sample_names=numbers).values, SCORES)
    shuffled = [str(i) for i in ORDER]
    both = to(pd.DataFrame({"id": ORDER, "score": SCORES}), tmp_path / "both.csv", index=False)
    with pytest.raises(BadData, match="may hold ids or positions of samples; call it 'sample' where it counts them"):
        read_given(both, VARIANT, "scores", sample_names=shuffled)
    for name, expected in (("name", SCORES), ("sample", SCORES[np.argsort(ORDER)])):
        path = to(pd.DataFrame({name: ORDER, "score": SCORES}), tmp_path / "x.csv", index=False)
        np.testing.assert_array_equal(read_given(path, VARIANT, "scores", sample_names=shuffled).values, expected)


def test_names_are_kept_beside_a_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell matches by them, suspects show them, and a variant of a version that kept none says what to do."""
    monkeypatch.chdir(tmp_path)
    named = build_variant(source(FILES), Symmetric(rate=0.3))
    write_variant(named, "v")
    to(pd.DataFrame({"path": FILES, "label_quality": SCORES}).iloc[ORDER], tmp_path / "x.csv", index=False)
    command = ("score", "v", "--scores", "x.csv", "--name", "mine")
    code, out, err = shell(*command)
    assert (code, out) == (1, "")
    assert (
        "its column 'path' cannot be used, because no names are kept of this variant's samples: build it again" in err
    )
    write_names(FILES, Path("v"))
    assert read_names(Path("v"), N) == FILES
    code, out, err = shell(*command)
    assert code == 0
    assert err.splitlines()[:2] == [
        "the rows of x.csv are matched by its column 'path'",
        "the scores are 'label_quality' of cleanlab, low where a label is suspicious; --higher-is-suspicious says otherwise",
    ]
    worst = json.loads(shell("suspects", out.splitlines()[-1], "--top", "1", "--format", "json").out)
    assert worst[0]["name"] == FILES[int(SCORES.argmin())]
    code, _, err = shell(*command, "--higher-is-suspicious")
    assert "warning: the scores are 'label_quality' of cleanlab, low where a label is suspicious, and --high" in err
    cartography(tmp_path / "m")
    code, out, _ = shell("score", "v", "--dynamics", "m", "--name", "bert")
    assert code == 0
    assert out.splitlines()[0].startswith("aum ")
