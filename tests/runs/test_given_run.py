"""Scores and probabilities of other code: read by sample id, refused when they are of other labels, judged as all others."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr
from shell import shell
from sklearn.metrics import average_precision_score, roc_auc_score

from noisybench.board.finding import find_suspects
from noisybench.board.finished import score_given
from noisybench.board.leaderboard import leaderboard
from noisybench.board.results import evaluate
from noisybench.data.loading import load_source
from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import read_scores, scores_path
from noisybench.ground import checks
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import read_columns, write_columns
from noisybench.memorization.estimate import Memorization, write_memorization
from noisybench.memorization.learner import Learner
from noisybench.noise.cifar_n_files import read_annotations
from noisybench.noise.noises.cifar_n import CifarN
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.given_run import CONFIDENT, keep_given
from noisybench.runs.verify import verify_runs
from noisybench.training.trace import read_trace
from noisybench.variants.building import build_variant
from noisybench.variants.sample_files.values import Form, read_given
from noisybench.variants.variant import Variant, write_variant

N, K = 40, 3
NAMES = ("cat", "dog", "owl")
CLEAN = np.arange(N) % K
VARIANT = build_variant(
    source_from_arrays("x", np.zeros((N, 1)), CLEAN, clean=CLEAN, class_names=NAMES), Symmetric(rate=0.3)
)
ID = VARIANT.provenance.variant_id
RANDOM = np.random.default_rng(0)
SCORES: NDArray[np.float64] = RANDOM.normal(size=N)
PROBS: NDArray[np.float64] = RANDOM.dirichlet(np.ones(K), N)
SHUFFLED = RANDOM.permutation(N)
IDS = np.arange(N)
BY_CLASS = {name: PROBS[:, j] for j, name in enumerate(NAMES)}


def csv(path: Path, columns: dict[str, Any]) -> None:
    lines = [",".join(map(str, row)) for row in zip(*(np.asarray(c).tolist() for c in columns.values()), strict=True)]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="utf-8")


def parquet(path: Path, columns: dict[str, Any]) -> None:
    metadata = columns.pop("metadata", None)
    rows = {name: list(c) if isinstance(c, np.ndarray) and c.ndim > 1 else c for name, c in columns.items()}
    arrays = {name: pa.array(c) for name, c in rows.items()}
    pq.write_table(pa.table(arrays).replace_schema_metadata(metadata), path)


WRITERS: dict[str, Callable[[Path, Any], Any]] = {
    "csv": csv,
    "parquet": parquet,
    "npz": lambda path, arrays: np.savez(path, **arrays),
    "npy": np.save,
}


def written(folder: Path, kind: str, content: Any) -> Path:  # noqa: ANN401 - an array, or columns by name
    path = folder / f"x.{kind}"
    WRITERS[kind](path, dict(content) if isinstance(content, dict) else content)
    return path


def taken(columns: dict[str, NDArray[Any]], rows: NDArray[np.int64] = SHUFFLED) -> dict[str, NDArray[Any]]:
    return {name: column[rows] for name, column in columns.items()}


BY_ID = {"sample": IDS, "score": SCORES}
READ: list[tuple[Form, str, Any]] = [
    ("scores", "npy", SCORES),
    ("scores", "npz", {"anything": SCORES}),
    ("scores", "npz", {"scores": SCORES, "pred_probs": PROBS, "variant_id": ID, "labels": VARIANT.labels}),
    ("scores", "npz", taken({**BY_ID, "labels": VARIANT.labels.astype(np.uint8), "other": PROBS})),
    ("scores", "csv", taken(BY_ID)),
    ("scores", "csv", taken({"quality": SCORES, "sample": IDS, "variant_id": np.full(N, ID), "label": VARIANT.labels})),
    ("scores", "csv", {**taken(BY_ID), "text": ["a b"] * N}),
    ("scores", "parquet", taken({**BY_ID, "variant_id": np.full(N, ID)})),
    ("scores", "parquet", taken({**BY_ID, "sample": IDS.astype(str)})),
    ("scores", "csv", {"sample_id": np.argsort(SCORES), "aum": np.sort(SCORES)}),  # as the package aum writes it
    ("scores", "csv", taken({"Unnamed: 0": IDS, "label_score": SCORES})),
    ("scores", "csv", taken({"": IDS, "quality": SCORES})),
    (
        "scores",
        "csv",
        taken({"": SHUFFLED, "id": IDS * 1.0, "quality": SCORES}),
    ),  # row names are no ids where there are
    ("scores", "parquet", taken({"__index_level_0__": IDS, "quality": SCORES})),
    ("scores", "npz", taken({"ids": IDS, "scores": SCORES})),
    ("scores", "csv", taken({**BY_ID, "given_label": np.array(NAMES)[VARIANT.labels]})),
    ("scores", "parquet", taken({**BY_ID, "noisy_label": np.array(NAMES)[VARIANT.labels]})),
    (
        "scores",
        "npz",
        {"scores": np.sort(SCORES), "labels": VARIANT.labels[np.argsort(SCORES)], "id": np.argsort(SCORES)},
    ),
    ("scores", "parquet", {**taken({**BY_ID, "features": PROBS}), "metadata": {"variant_id": ID, "other": "x"}}),
    ("pred_probs", "npy", PROBS),
    ("pred_probs", "npz", {"whatever": PROBS}),
    ("pred_probs", "npz", {"pred_probs": PROBS, "noisy_labels": VARIANT.labels, "true_labels": CLEAN}),
    ("pred_probs", "npz", taken({"sample": IDS, "probabilities": PROBS})),
    ("pred_probs", "csv", taken({"owl": PROBS[:, 2], "sample": IDS, "cat": PROBS[:, 0], "dog": PROBS[:, 1]})),
    ("pred_probs", "csv", taken({"sample": IDS, "1": PROBS[:, 1], "0": PROBS[:, 0], "2": PROBS[:, 2]})),
    ("pred_probs", "parquet", taken({"p2": PROBS[:, 2], "sample": IDS, "p0": PROBS[:, 0], "p1": PROBS[:, 1]})),
    ("pred_probs", "parquet", taken({"sample": IDS.astype(np.int8), "probabilities": PROBS})),
]


@pytest.mark.parametrize(("form", "kind", "content"), READ)
def test_every_form_of_file_gives_the_same_numbers(form: Form, kind: str, content: Any, tmp_path: Path) -> None:  # noqa: ANN401
    """To the bit, rows matched by sample id, classes by name; what else the file holds is left alone."""
    found = read_given(written(tmp_path, kind, content), VARIANT, form).values
    np.testing.assert_array_equal(found, SCORES if form == "scores" else PROBS)


def test_what_is_stored_narrower_or_wider_is_read(tmp_path: Path) -> None:
    """Float16 with its rounded sums, lists of a fixed length, whole numbers and flags, upper-case endings."""
    half = PROBS.astype(np.float16)
    assert (half.astype(np.float64).sum(1) != 1).any()
    np.testing.assert_array_equal(read_given(written(tmp_path, "npy", half), VARIANT, "pred_probs").values, half)
    write_columns({"sample": IDS, "probabilities": half}, tmp_path / "f.parquet")
    np.testing.assert_array_equal(read_given(tmp_path / "f.parquet", VARIANT, "pred_probs").values, half)
    large = pa.array(list(PROBS), pa.large_list(pa.float64()))  # as polars writes them
    pq.write_table(pa.table({"sample": IDS, "probabilities": large}), tmp_path / "l.parquet")
    np.testing.assert_array_equal(read_given(tmp_path / "l.parquet", VARIANT, "pred_probs").values, PROBS)
    for values in (SCORES > 0, (SCORES * 9).astype(np.int32)):
        np.testing.assert_array_equal(read_given(written(tmp_path, "npy", values), VARIANT, "scores").values, values)
        np.testing.assert_array_equal(
            read_given(written(tmp_path, "parquet", {"sample": IDS, "score": values}), VARIANT, "scores").values, values
        )
    (tmp_path / "x.npy").rename(tmp_path / "y.NPY")
    assert read_given(tmp_path / "y.NPY", VARIANT, "scores").values.shape == (N,)


def changed(values: NDArray[Any], at: Any, value: float) -> NDArray[Any]:  # noqa: ANN401 - any index
    values = values.copy()
    values[at] = value
    return values


OTHER = np.where(np.isin(IDS, (3, 5)), (VARIANT.labels + 1) % K, VARIANT.labels)
REFUSED: list[tuple[Form, str, Any, str]] = [
    # whose rows
    ("scores", "csv", {"score": SCORES}, r"has no column 'sample' \(nor 'sample_id', .*\) to match its rows by; give .*before any sorting"),
    ("scores", "parquet", {"score": SCORES}, "has no column 'sample'"),
    ("scores", "csv", taken(BY_ID, IDS[3:]), r"each sample once: sample 0 is missing \(3 such samples\)"),
    ("scores", "parquet", taken(BY_ID, IDS[:-1]), r"sample 39 is missing \(1 such samples\)"),
    ("scores", "csv", {**BY_ID, "sample": changed(IDS, [4, 7], 9)}, r"sample 9 stands there more than once \(1 such"),
    ("scores", "csv", {**BY_ID, "sample": IDS + 1}, r"sample 40 of .*x.csv is none of the variant's 0..39 \(1 such rows\)"),
    ("scores", "npz", {**BY_ID, "sample": IDS - 2}, r"sample -2 of .*x.npz is none of the variant's 0..39 \(2 such rows\)"),
    ("scores", "npz", {**BY_ID, "sample": IDS * 1.0}, r"'sample' of .* must be whole numbers of shape \(n,\), got float64"),
    ("scores", "csv", {**BY_ID, "sample": [f"img{i}" for i in IDS]}, r"column 'sample' of .*: 'img0' in line 2 is no number \(40 such lines: 2, 3, 4, 5, 6, …\)"),
    ("scores", "parquet", {**BY_ID, "sample": [f"{i}!" for i in IDS]}, "column 'sample' of .* holds '0!', expected ids 0..39; no names are kept"),
    ("scores", "npy", SCORES[:-1], r"has shape \(39,\), expected 40 rows: one for each sample of the variant"),
    ("scores", "csv", {"sample": np.arange(99), "score": np.arange(99.0)}, r"sample 40 of .* is none of the variant's 0..39"),
    ("scores", "parquet", {"sample": np.arange(99), "score": np.arange(99.0)}, "has 99 rows .*, the variant has 40 samples"),
    # whose labels
    ("scores", "npz", {"scores": SCORES, "variant_id": "ab" * 32}, "is of variant 'abababababab', the labels are of"),
    ("scores", "csv", {**BY_ID, "variant_id": [ID] * 39 + ["abcdef"]}, "is of variant 'abcdef', the labels are of"),
    ("scores", "parquet", {**BY_ID, "variant_id": ["abcdef"] * N}, "is of variant 'abcdef', the labels are of"),
    ("scores", "parquet", {**BY_ID, "metadata": {"variant_id": "abcdef"}}, "is of variant 'abcdef', the labels are of"),
    ("scores", "npz", {"scores": SCORES, "labels": OTHER}, "was made with other labels: 2 of 40 are not the variant's"),
    ("pred_probs", "npz", {"pred_probs": PROBS, "noisy_labels": CLEAN}, "other labels: 12 of 40 are not the variant's"),
    ("scores", "csv", {**taken(BY_ID), "label": VARIANT.labels}, "was made with other labels: .* are not the variant's"),
    ("scores", "npz", {"scores": SCORES, "labels": CLEAN * 1.0}, r"labels in .* must be integers of shape \(n,\), got float"),
    ("scores", "csv", {**BY_ID, "given_label": [NAMES[j] for j in OTHER]}, "other labels: 2 of 40 .*sample 3 "),
    ("scores", "parquet", {**BY_ID, "label": ["?"] * N}, "other labels: 40 of 40 are not the variant's"),
    # whose order
    ("scores", "npy", np.sort(SCORES), "is sorted by its scores, so its rows do not stand in the order of the samples"),
    ("scores", "csv", {"sample": IDS, "aum": np.sort(SCORES)[::-1]}, "is sorted by its scores"),
    # which column
    ("scores", "npz", {"a": SCORES, "b": SCORES}, "has nothing called 'score'; it has: a, b"),
    ("pred_probs", "csv", {"sample": IDS, "cat": SCORES, "dog": SCORES}, "has nothing called 'pred_probs', nor one for each"),
    ("scores", "npz", {}, "has nothing called 'score'; it has: nothing"),
    # which values
    ("scores", "npy", changed(SCORES, [2, 6], np.nan), r"scores in .* must be finite, sample 2 has nan \(2 such samples\)"),
    ("scores", "csv", {**BY_ID, "score": changed(SCORES, 6, -np.inf)}, r"must be finite, sample 6 has -inf \(1 such"),
    ("scores", "csv", {**BY_ID, "score": ["", *SCORES[1:]]}, r"column 'score' of .*x.csv: line 2 is empty \(1 such line\); expected a number in each"),
    ("scores", "csv", {**BY_ID, "score": [*SCORES[:-2], "0,5", "1"]}, r"line 40 of .* has 3 cells, its header 2 \(1 such line"),
    ("scores", "parquet", {**BY_ID, "score": [None, *SCORES[1:]]}, "as Parquet: 1 values of 'score' are missing"),
    ("scores", "csv", {**BY_ID, "score": ["low"] * N}, r"column 'score' of .*: 'low' in line 2 is no number \(40 such lines: 2, 3, 4, 5, 6, …\); expected a number"),
    ("scores", "npy", SCORES.astype(str), "'array' of .* holds <U.*, expected numbers"),
    ("scores", "npy", SCORES * 1j, "'array' of .* holds complex128, expected numbers"),
    ("scores", "npz", {"scores": SCORES.astype(object)}, "'scores' of .* holds Python objects, which are never unpickled"),
    ("scores", "npy", PROBS, r"have shape \(40, 3\), expected \(40,\); say --pred-probs if it is these"),
    ("pred_probs", "npy", SCORES, r"probabilities in .* have shape \(40,\), expected \(40, 3\); say --scores if it is these"),
    ("pred_probs", "npy", PROBS[:, :2], r"probabilities in .* have shape \(40, 2\), expected \(40, 3\)$"),
    ("pred_probs", "npy", np.zeros((N, K, 1)), r"have shape \(40, 3, 1\), expected \(40, 3\)$"),
    ("pred_probs", "npy", changed(PROBS, (4, 1), np.inf), r"probabilities in .* must be finite, sample 4 has inf \(1 such"),
    ("pred_probs", "npy", np.log(PROBS) + 2, r"no probability \(.* such samples\); these look like logits: give their softmax"),
    ("pred_probs", "npy", np.log(PROBS), r"\(40 such samples\); these look like logarithms of them: give their exponential"),
    ("pred_probs", "npy", PROBS * 100, "these look like percent: divide them by 100"),
    ("pred_probs", "npy", np.tile([3, 0, 2], (N, 1)), "these look like counts: divide each row by its sum"),
    ("pred_probs", "npy", PROBS * 0.9, r"probabilities\[0\] sums to 0.9000 \(40 such rows\), expected 1"),
    ("pred_probs", "parquet", {"sample": IDS, "probabilities": [[1.0]] + [[0.5, 0.5]] * 39}, "2 different lengths"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "kind", "content", "message"), REFUSED)
def test_what_cannot_be_meant_is_refused(form: Form, kind: str, content: Any, message: str, tmp_path: Path) -> None:  # noqa: ANN401
    """One sentence, which says the first offending sample and how many; of other labels, it is a mismatch."""
    other = "other labels" in message or "of variant" in message
    with pytest.raises(Mismatch if other else BadData, match=message) as caught:
        read_given(written(tmp_path, kind, content), VARIANT, form)
    assert "\n" not in str(caught.value)


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    """Blank lines and breaks within quotes count, the header is line 1; separators and decimal commas are seen."""
    path = tmp_path / "x.csv"
    rows = [f"{i};{SCORES[i]}" for i in range(N)]
    path.write_text("\ufeffsample;score\n" + "\n".join(rows), encoding="utf-8")
    np.testing.assert_array_equal(read_given(path, VARIANT, "scores").values, SCORES)
    path.write_text("sample;score\n\n" + "\n".join(rows).replace(".", ","), encoding="utf-8")
    with pytest.raises(BadData, match=r"'.*,.*' in line 3 is no number .*; write decimal points, not commas"):
        read_given(path, VARIANT, "scores")
    quoted = [f'{i},{SCORES[i]},"a\nb"' for i in range(N)]
    quoted[2] = '2,?,"a"'
    path.write_text("sample,score,text\n" + "\n".join(quoted), encoding="utf-8")
    with pytest.raises(BadData, match=r"column 'score' of .*: '\?' in line 6 is no number \(1 such line\)"):
        read_given(path, VARIANT, "scores")


def test_the_order_of_arrays_is_checked_by_labels_beside_them(tmp_path: Path) -> None:
    """Given or clean ones in the folder, those that are said, and a file beside it that is of something else."""
    path = written(tmp_path, "npy", SCORES)
    told: list[str] = []
    read_given(path, VARIANT, "scores", tell=told.append)
    assert [sentence.partition(" says ")[2] for sentence in told] == [
        "neither by ids nor by labels whose its rows are; they are taken in the order of the samples"
    ]
    for labels in (VARIANT.labels, VARIANT.clean):
        np.save(tmp_path / "noisy_labels.npy", labels)
        read_given(path, VARIANT, "scores", tell=pytest.fail)
    np.save(tmp_path / "noisy_labels.npy", VARIANT.labels[::-1])
    with pytest.raises(Mismatch, match=r"noisy_labels.npy was made with other labels: \d+ of 40"):
        read_given(path, VARIANT, "scores")
    csv(tmp_path / "own.csv", {"given_label": np.array(NAMES)[VARIANT.labels]})
    np.save(path, np.sort(SCORES))  # which the labels say to be in order
    read_given(path, VARIANT, "scores", labels=tmp_path / "own.csv", tell=pytest.fail)
    with pytest.raises(Mismatch, match=r"noisy_labels.npy was made with other labels"):
        read_given(path, VARIANT, "scores", labels=tmp_path / "noisy_labels.npy")
    np.save(tmp_path / "labels.npy", VARIANT.labels[:5])
    with pytest.raises(BadData, match=r"labels of shape \(5,\), expected \(40,\): one for each row"):
        read_given(path, VARIANT, "scores", labels=tmp_path / "labels.npy")
    with pytest.raises(BadUsage, match="save the labels as one of these"):
        read_given(path, VARIANT, "scores", labels=tmp_path / "labels.txt")


def test_probabilities_that_agree_with_no_label_are_doubted(tmp_path: Path) -> None:
    """In the order of folders, and with columns of other classes; good ones, and those of clean labels, are not."""
    for labels, rows, columns, doubted in (
        (VARIANT.labels, IDS, [0, 1, 2], False),
        (VARIANT.clean, IDS, [0, 1, 2], False),
        (VARIANT.labels, np.argsort(VARIANT.clean, kind="stable"), [0, 1, 2], True),
        (VARIANT.labels, IDS, [1, 2, 0], True),
    ):
        told: list[str] = []
        good = (0.8 * np.eye(K) + 0.2 / K)[labels]
        read_given(written(tmp_path, "npy", good[rows][:, columns]), VARIANT, "pred_probs", tell=told.append)
        assert [text.startswith("warning: the likeliest class in") for text in told] == [False] + [True] * doubted
    told = []
    read_given(written(tmp_path, "csv", {"id": IDS, "score": SCORES}), VARIANT, "scores", tell=told.append)
    assert told[0].endswith("x.csv are matched by its column 'id'")


def test_a_flipped_bit_of_a_table_is_refused_or_read(tmp_path: Path) -> None:
    """Any byte of a Parquet file with lists: pyarrow 26 ends the process when asked for what its footer says of a column."""
    whole = written(tmp_path, "parquet", {"sample": IDS, "probabilities": PROBS}).read_bytes()
    path, refused = tmp_path / "y.parquet", 0
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    places = [*range(0, footer, 97), *range(footer, len(whole), 9)]
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        try:
            assert read_given(path, VARIANT, "pred_probs").values.shape == (N, K)
        except BadData as error:
            assert "\n" not in str(error)  # noqa: PT017 - either will do
            refused += 1
    assert refused > len(places) // 4


def test_files_and_names_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    """Missing, cut or of another kind; doubled columns; no file, two files, or a name that is taken. Nothing is left."""
    path = written(tmp_path, "npz", {"scores": SCORES})
    whole = path.read_bytes()
    for kind, words in (
        ("npz", "is truncated or no .npz file; save it again"),
        ("npy", "cannot be read as a NumPy array"),
        (
            "csv",
            "is a zip archive or an Excel workbook|cannot be read as CSV: .*; write it again|has no column 'sample'",
        ),
        ("parquet", "cannot be read as Parquet: .*; write it again"),
    ):
        place = tmp_path / f"cut.{kind}"
        with pytest.raises(BadData, match=r"cut.* cannot be read: No such file"):
            read_given(place, VARIANT, "scores")
        for content in (b"", whole[:100]):
            place.write_bytes(content)
            with pytest.raises(BadData, match=words):
                read_given(place, VARIANT, "scores")
    csv(tmp_path / "x.csv", {"sample": IDS, "score": SCORES, "score ": SCORES})
    (tmp_path / "x.csv").write_text((tmp_path / "x.csv").read_text(encoding="utf-8").replace("score ", "score"))
    with pytest.raises(BadData, match="has 'score' 2 times; expected it once"):
        read_given(tmp_path / "x.csv", VARIANT, "scores")
    with pytest.raises(
        BadUsage, match=r"x.txt is no .npz, .npy, .csv, .tsv, .jsonl, .parquet file; save the scores as one of these"
    ):
        read_given(tmp_path / "x.txt", VARIANT, "scores")
    out = tmp_path / "out"
    refused: list[tuple[dict[str, Any], str]] = [
        (
            {},
            r"give scores \(--scores\), probabilities \(--pred-probs\) or training dynamics \(--dynamics\), got nothing",
        ),
        ({"scores": path, "pred_probs": path}, "got both"),
        ({"pred_probs": path, "lower_is_suspicious": True}, "--lower-is-suspicious is for --scores"),
        *(({"scores": path, "name": name}, f"'{name}' is the name of one of noisybench's own") for name in TAKEN),
        *(({"scores": path, "name": name}, "a name must be a line of 1 to 80 characters") for name in NO_NAMES),
    ]
    for given, message in refused:
        with pytest.raises(BadUsage, match=message):
            score_given(VARIANT, out, **{"name": "mine", **given})
    with pytest.raises(BadData, match=r"gone.npy cannot be read: No such file"):
        score_given(VARIANT, out, name="mine", scores=tmp_path / "gone.npy")
    with pytest.raises(BadData, match="has shape"):
        score_given(VARIANT, out, name="mine", scores=written(tmp_path, "npy", SCORES[1:]))
    assert not out.exists()


TAKEN = ("aum", "self_confidence", "perfect", "random", "memorization by mlp, overfit")
NO_NAMES = ("", "  ", "a\nb", "a" * 81, "\x1b[31m")


@pytest.fixture(scope="module")
def worse(data: Path) -> Variant:
    """CIFAR-10N's worst labels, on images of one pixel."""
    file = data / "cifar_n" / "CIFAR-10_human.pt"
    clean = read_annotations(file)["clean_label"]
    images = np.zeros((len(clean), 1, 1, 3), dtype=np.uint8)
    source = source_from_arrays("cifar10", images, clean, clean=clean, class_names=[str(j) for j in range(10)])
    return build_variant(source, CifarN("worse", file))


def test_probabilities_of_cifar10n_have_the_known_answer(worse: Variant, data: Path, tmp_path: Path) -> None:
    """1 - p[given label] of a fine-tuned ResNet-18: AUROC 0.9634, average precision 0.9512; the same by scikit-learn."""
    file = data / "pred_probs" / "cifar10n_worse__resnet18.npz"
    result = score_given(worse, tmp_path, name="resnet18", pred_probs=file)
    found = {
        metric: {a.detector: a.value for a in result.agreement(metric)}["self_confidence"]
        for metric in ("auroc", "average_precision")
    }
    assert found["auroc"] == pytest.approx(0.9634, abs=5e-5)
    assert found["average_precision"] == pytest.approx(0.9512, abs=5e-5)
    probabilities = np.load(file)["pred_probs"].astype(np.float64)
    suspicion = 1 - probabilities[np.arange(50_000), worse.labels]
    assert found["auroc"] == pytest.approx(roc_auc_score(worse.mislabeled, suspicion), abs=1e-12)
    assert found["average_precision"] == pytest.approx(average_precision_score(worse.mislabeled, suspicion), abs=1e-12)
    np.testing.assert_array_equal(result.scores["self_confidence"].values, suspicion)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_given_runs_stand_beside_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the command line: the same leaderboard, ranked with a training of two seeds; verify and suspects take them."""
    monkeypatch.chdir(tmp_path)
    source = load_source("digits", limit=150)
    variant = build_variant(source, Symmetric(rate=0.2))
    write_variant(variant, "variant")
    evaluate(variant, source, seeds=(0, 1), epochs=1, detectors=("aum",))
    sure = 0.1 + 0.9 * np.eye(10)[variant.clean] * RANDOM.uniform(0.2, 1, (150, 1))
    sure /= sure.sum(1, keepdims=True)
    quality = sure[np.arange(150), variant.labels]
    np.save("probs.npy", sure)
    csv(Path("quality.csv"), taken({"sample": np.arange(150), "score": quality}, RANDOM.permutation(150)))
    code, out, err = shell("score", "variant", "--pred-probs", "probs.npy", "--name", "my net", "--json")
    assert (code, err.count("\n")) == (0, 1)
    assert err.endswith(
        "probs.npy says neither by ids nor by labels whose its rows are; they are taken in the order of the samples\n"
    )
    np.save("given.npy", variant.labels)
    checked = shell(
        "score", "variant", "--pred-probs", "probs.npy", "--name", "my net", "--json", "--labels", "given.npy"
    )
    assert checked == (0, out, "")
    record = json.loads(out)
    area = roc_auc_score(variant.mislabeled, 1 - quality)
    assert record["detectors"]["self_confidence"]["auroc"]["value"] == pytest.approx(area, abs=1e-6)
    assert list(record["detectors"]) == ["self_confidence", "normalized_margin", "confident_learning"]
    command = ("score", "variant", "--scores", "quality.csv", "--name", "mine")
    code, out, err = shell(*command)
    assert code == 0
    assert "warning: 'mine' ranks mislabeled samples below clean ones (AUROC" in err
    assert "score again with --lower-is-suspicious" in err
    code, out, err = shell(*command, "--lower-is-suspicious")
    assert (code, err) == (0, "")
    line, place = out.splitlines()
    assert line.split()[:3] == ["mine", "AUROC", f"{area:.4f}"]
    np.testing.assert_array_equal(read_scores(Path(place) / "scores" / "mine.parquet").values, -quality)
    rows = {row.detector: row for row in leaderboard("runs") if row.kind == "detector"}
    assert set(rows) == {"aum", "mine", "self_confidence", "normalized_margin", "confident_learning"}
    assert all(row.rank is not None and row.complete for row in rows.values())
    assert [rows[name].learner.model for name in ("mine", "self_confidence", "aum")] == ["mine", "my net", "mlp"]
    assert [row["model"] for row in json.loads(shell("leaderboard", "runs", "--models", "--format", "json").out)] == [
        "mlp"
    ]
    told = shell("verify", "runs")
    assert told.code == 0
    assert "the scores are those that were given" in told.out
    assert "3 detectors follow from the probabilities" in told.out
    worst = find_suspects(place).table(3)
    assert [w.sample for w in worst] == np.argsort(quality, kind="stable")[:3].tolist()
    assert {w.suggested for w in worst} == {""}
    answered = find_suspects(record["path"])
    others = np.where(np.arange(10) == answered.given[:, None], -1, sure).argmax(1)
    assert answered.suggested.tolist() == others.tolist()


def test_the_same_file_again_changes_nothing_but_the_truths_it_is_held_against(tmp_path: Path) -> None:
    """Memorization measured since is one of them at once; another sign, or a damaged part, makes the run anew."""
    path = written(tmp_path, "npy", SCORES)
    result = score_given(VARIANT, tmp_path / "runs", name="mine", scores=path)
    folder, before = result.path, contents(result.path)
    assert result.truths() == ("mislabeled",)
    times = {name: (folder / name).stat().st_mtime_ns for name in before}
    assert score_given(VARIANT, tmp_path / "runs", name="mine", scores=path) == result
    assert times == {name: (folder / name).stat().st_mtime_ns for name in before}
    n_in, p_in, p_out, rest = np.full(N, 7), RANDOM.uniform(size=N), RANDOM.uniform(size=N), np.zeros(N)
    learner = Learner("mlp", "overfit", 3, "abc123", fraction=0.7)
    truth = Memorization(p_in - p_out, rest, p_in, p_out, rest, rest, n_in, 10 - n_in, 10, learner, ID)
    write_memorization(truth, folder.parent.parent / "memorization" / "x" / "memorization.parquet")
    assert result.truths() == ("mislabeled", "memorization")
    (found,) = result.agreement(truth="memorization")
    assert (found.detector, found.learner) == ("mine", learner)
    assert found.value == pytest.approx(spearmanr(SCORES, p_in - p_out).statistic, abs=1e-12)
    score_given(VARIANT, tmp_path / "runs", name="mine", scores=path)
    assert times == {name: (folder / name).stat().st_mtime_ns for name in before}
    assert score_given(VARIANT, tmp_path / "runs", name="mine", scores=path, lower_is_suspicious=True) == result
    np.testing.assert_array_equal(read_scores(folder / "scores" / "mine.parquet").values, -SCORES)
    (folder / "scores" / "mine.parquet").unlink()
    score_given(VARIANT, tmp_path / "runs", name="mine", scores=path)
    assert contents(folder) == before


def test_ties_of_suspects_are_in_sample_order(tmp_path: Path) -> None:
    """So that a list of suspects does not depend on a sort."""
    run = score_given(VARIANT, tmp_path, name="mine", scores=np.arange(N) // 4 % 2 * 1.0)
    assert [found.sample for found in find_suspects(run).table(24)] == [
        *(i for i in range(N) if i // 4 % 2),
        *range(4),
    ]


def test_probabilities_beyond_memory_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of samples × classes; one number for each sample is always taken."""
    monkeypatch.setattr(checks, "MOST_CELLS", N * K - 1)
    message = r"probabilities of every class would hold 40 × 3 numbers .* more than fit: give a number .* with --scores"
    for given in (tmp_path / "is_not_there.npy", PROBS):
        with pytest.raises(BadUsage, match=message):
            score_given(VARIANT, tmp_path, name="mine", pred_probs=given)
    assert not list(tmp_path.iterdir())
    score_given(VARIANT, tmp_path, name="mine", scores=SCORES)


def test_files_of_one_name_are_one_row(tmp_path: Path) -> None:
    """One for each of two variants are one complete, ranked row; another file takes the place of the first."""
    source = source_from_arrays("x", np.zeros((N, 1)), CLEAN, clean=CLEAN, class_names=NAMES)
    other = build_variant(source, Symmetric(rate=0.3), seed=1)
    first = score_given(VARIANT, tmp_path, name="mine", scores=written(tmp_path, "npy", SCORES))
    score_given(other, tmp_path, name="mine", scores=written(tmp_path, "npy", SCORES + 1))
    (row,) = [row for row in leaderboard(tmp_path) if row.kind == "detector"]
    assert (row.detector, row.variants, row.complete, row.rank) == ("mine", 2, True, 1)
    assert score_given(VARIANT, tmp_path, name="mine", scores=written(tmp_path, "npy", SCORES + 2)) == first
    np.testing.assert_array_equal(first.scores["mine"].values, SCORES + 2)
    assert len([row for row in leaderboard(tmp_path) if row.kind == "detector"]) == 1
    assert len(list(verify_runs(tmp_path))) == 3


def test_a_given_run_that_was_changed_is_not_whole(tmp_path: Path) -> None:
    """Scores rewritten, and given labels or probabilities of a trace that are not the run's."""
    scores = score_given(VARIANT, tmp_path, name="mine", scores=written(tmp_path, "npy", SCORES)).path
    probs = score_given(VARIANT, tmp_path, name="net", pred_probs=written(tmp_path, "npy", PROBS)).path
    assert len(list(verify_runs(tmp_path))) == 3

    def rewritten(path: Path, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        columns, metadata = read_columns(path)
        write_columns({**columns, name: change(columns[name])}, path, metadata=metadata)

    for file, name, change, message in (
        (scores / "scores" / "mine.parquet", "score", np.negative, "mine.parquet was changed after it was written"),
        (probs / "scores" / "self_confidence.parquet", "score", np.negative, "do not follow from the trace"),
        (probs / "trace" / "epoch-0000.parquet", "held_out.probabilities", lambda p: p[:, ::-1], "do not follow from"),
        (
            probs / "trace" / "epoch-0000.parquet",
            "given",
            lambda g: (g + 1) % K,
            "has other given labels than the variant",
        ),
    ):
        whole = file.read_bytes()
        rewritten(file, name, change)
        with pytest.raises(BadData, match=message):
            list(verify_runs(tmp_path))
        file.write_bytes(whole)
    assert len(list(verify_runs(tmp_path))) == 3


def test_a_large_file_is_mapped_and_its_run_is_that_of_the_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Single precision from .npy (mapped), .npz, .parquet and memory: scores and trace alike, which follow from each other."""
    single = PROBS.astype(np.float32)
    contents: dict[str, Any] = {
        "npy": single,
        "npz": {"p": single},
        "parquet": {"sample": IDS, "probabilities": single},
    }
    whole = keep_given(VARIANT, tmp_path / "whole", name="model", pred_probs=PROBS)
    monkeypatch.setattr("noisybench.ground.npy.MAPPED", 1)
    monkeypatch.setattr("noisybench.ground.files.GROUP", 20 * single[0].nbytes)  # bytes of a group of rows
    assert isinstance(read_given(written(tmp_path, "npy", single), VARIANT, "pred_probs").values, np.memmap)
    for kind, content in (*contents.items(), ("memory", single)):
        given = content if kind == "memory" else written(tmp_path, kind, content)
        run = keep_given(VARIANT, tmp_path / kind, name="model", pred_probs=given)
        np.testing.assert_array_equal(read_trace(run / "trace")["held_out.probabilities"][0], single)
        for name in CONFIDENT:
            expected = read_scores(scores_path(whole, name)).values
            np.testing.assert_array_equal(read_scores(scores_path(run, name)).values, expected)
        assert any("3 detectors follow from the probabilities" in line for line in verify_runs(tmp_path / kind))
    assert (
        pq.read_metadata(
            tmp_path / "npy" / run.relative_to(tmp_path / kind) / "trace/epoch-0000.parquet"
        ).num_row_groups
        > 1
    )


def test_scoring_a_file_needs_no_torch() -> None:
    """Neither to read it, nor to judge it, nor to show what it makes suspect."""
    words = (
        "import sys, noisybench.runs.given_run, noisybench.cli.app, noisybench.board.finding; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
