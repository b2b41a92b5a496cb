"""The accuracy of suggested labels in tables: over wrong labels of known class, beside what needs no evidence."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.board.agreement import against_right_classes
from noisybench.board.leaderboard import leaderboard
from noisybench.board.references import reference_suggestions
from noisybench.board.results import evaluate
from noisybench.cards.item_page import item_page
from noisybench.data.loading import load_source
from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import RESERVED, Suggestion
from noisybench.detection.suggesting import suggest
from noisybench.ground.arrays import UNKNOWN, WRONG
from noisybench.ground.errors import BadData, BadUsage, Mismatch, UnknownName
from noisybench.ground.lookup import find, names
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.detector_choice import choose_detectors
from noisybench.training.machine import Machine
from noisybench.training.trace import read_trace
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant


@pytest.fixture(scope="module")
def variant() -> Variant:
    """500 labels of 7 classes, of which class 6 is given to nobody; some truths are missing in either way."""
    generator = np.random.default_rng(0)
    clean = generator.choice(7, 500, p=[0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])
    labels = np.where(generator.random(500) < 0.3, generator.integers(0, 6, 500), np.minimum(clean, 5))
    clean[:20], clean[20:60] = UNKNOWN, np.where(labels[20:60] % 2, WRONG, clean[20:60])
    source = source_from_arrays("mine", None, labels, clean=clean, class_names=tuple("abcdefg"))
    return build_variant(source, AsFound())


def suggestion(variant: Variant, labels: NDArray[Any]) -> Suggestion:
    return Suggestion("mine", labels.astype(np.int64), variant.provenance.variant_id)


def test_the_share_is_that_of_a_loop(variant: Variant) -> None:
    """Samples of unknown truth, or known to be wrong and no more, are left out; no suggestion is not right."""
    generator = np.random.default_rng(1)
    labels = np.where(generator.random(500) < 0.5, variant.clean, generator.integers(-1, 7, 500))
    labels = np.where(labels == variant.labels, UNKNOWN, np.maximum(labels, UNKNOWN))
    pairs = [(s, c) for s, g, c in zip(labels, variant.labels, variant.clean, strict=True) if c >= 0 and g != c]
    (row,) = against_right_classes(suggestion(variant, labels), variant, detector="mine")
    assert row.n == len(pairs)
    assert row.value == pytest.approx(sum(s == c for s, c in pairs) / len(pairs))
    assert 0 < row.low < row.value < row.high < 1
    assert (row.truth, row.metric) == ("mislabeled", "suggestion_accuracy")
    (none,) = against_right_classes(None, variant, detector="mine")
    assert np.isnan([none.value, none.low, none.high]).all()
    nothing = replace(variant, clean=np.full(500, UNKNOWN))
    (empty,) = against_right_classes(suggestion(variant, labels), nothing, detector="mine")
    assert np.isnan(empty.value)
    assert empty.n == 0


def test_what_is_of_other_labels_is_refused(variant: Variant) -> None:
    """Both values stand in the sentence."""
    with pytest.raises(Mismatch, match="suggestions of 'x' are of variant 000000000000, the truth is of"):
        against_right_classes(Suggestion("x", np.zeros(500, np.int64), "0" * 64), variant, detector="x")
    with pytest.raises(
        BadData, match=r"have shape \(3,\), the variant has 500 samples; expected one suggestion per sample"
    ):
        against_right_classes(suggestion(variant, np.zeros(3)), variant, detector="mine")


def test_references_are_those_of_loops(variant: Variant) -> None:
    """None suggests the given label; the likeliest other class knows no truth, the given label alone its transitions."""
    found = {one.detector: one.labels for one in reference_suggestions(variant, seed=0)}
    counts = Counter(variant.labels.tolist())
    wrong = variant.mislabeled & variant.class_known
    rights = {g: Counter(variant.clean[wrong & (variant.labels == g)].tolist()) for g in range(7)}
    for sample, own in enumerate(variant.labels):
        assert counts[found["likeliest_other_class"][sample]] == max(counts[k] for k in range(7) if k != own)
        only = found["given_label_only"][sample]
        assert rights[own][only] == max(rights[own].values(), default=0)
        assert found["perfect"][sample] == (variant.clean[sample] if wrong[sample] else UNKNOWN)
    for labels in found.values():
        assert not (labels == variant.labels).any()
        assert labels.max() < 7
    assert set(found) <= set(RESERVED)
    many = [{one.detector: one.labels for one in reference_suggestions(variant, seed=s)}["random"] for s in range(60)]
    away = (np.array(many) - variant.labels) % 7
    shares = np.bincount(away.ravel(), minlength=7)[1:] / away.size
    assert shares == pytest.approx(np.full(6, 1 / 6), abs=0.01)
    assert not np.array_equal(many[0], many[1])


def test_one_class_has_no_other() -> None:
    """Nothing can be suggested."""
    source = source_from_arrays("mine", None, np.zeros(4, np.int64), class_names=("a",))
    for one in reference_suggestions(build_variant(source, AsFound()), seed=0):
        assert one.labels.tolist() == [UNKNOWN] * 4


def test_a_network_suggests_what_it_said_before_it_learnt_the_label(tmp_path: Path) -> None:
    """Its last prediction is the wrong label that it has learnt; over all epochs the right class is the commonest other."""
    source = load_source("digits", limit=150)
    variant = build_variant(source, Symmetric(0.2))
    results = evaluate(
        variant, source, epochs=12, seeds=(0, 1), recipe="overfit", detectors=["aum"], out=tmp_path,
        options={"susceptibility": "off"}, machine=Machine(workers=1),
    )  # fmt: skip
    wrong, traces = variant.mislabeled, [read_trace(result.path / "trace") for result in results]
    right = [float((result.suggestions["aum"].labels == variant.clean)[wrong].mean()) for result in results]
    for trace, share in zip(traces, right, strict=True):
        assert (trace["prediction"][-1] == variant.clean)[wrong].mean() < 0.6
        assert share > 0.8
    together = suggest(traces, find("detectors", "aum"), variant.labels)
    assert (together.labels == variant.clean)[wrong].mean() > 0.8
    rows = {row.detector: row for row in leaderboard(tmp_path, metric="suggestion_accuracy")}
    assert rows["aum"].mean == pytest.approx(np.mean(right))
    assert rows["perfect"].mean == 1
    assert (rows["aum"].n, rows["aum"].rank) == (int(wrong.sum()), 1)
    assert set(rows) == {"aum", "random", "likeliest_other_class", "given_label_only", "perfect"}
    again = {row.detector: row.mean for row in leaderboard(tmp_path, metric="suggestion_accuracy")}  # from the cache
    assert again == {name: row.mean for name, row in rows.items()}
    with pytest.raises(
        UnknownName, match="no metric is called 'suggestion_acuracy'; did you mean 'suggestion_accuracy'"
    ):
        leaderboard(tmp_path, metric="suggestion_acuracy")


def test_there_may_be_no_truth_to_rank_by(tmp_path: Path) -> None:
    """The caption says of which kind."""
    source = load_source("digits", limit=60)
    labels = source_from_arrays("mine", source.inputs, source.labels, clean=np.full(60, UNKNOWN))
    variant = build_variant(labels, AsFound())
    evaluate(variant, labels, epochs=1, seeds=(0,), detectors=["aum"], out=tmp_path, options={"susceptibility": "off"})
    board = leaderboard(tmp_path, metric="suggestion_accuracy")
    assert board.caption == (
        "There is no truth to rank by: of no label is it known that it is wrong, and which class is right."
    )


def test_the_metric_is_listed_and_its_reference_is_no_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``list metrics`` has it; a user's detector of the reference's name is refused."""
    assert "suggestion_accuracy" in names("metrics")
    page = item_page("metrics", "suggestion_accuracy")
    assert (page.facts["against"], page.facts["values"]) == ("mislabeled", "0 to 1")
    (tmp_path / "own_likeliest.py").write_text(
        "from noisybench import Detector\nD = Detector('likeliest_other_class', ('loss',), lambda t: t['loss'][-1], 'me')\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        BadUsage, match="is called 'likeliest_other_class', as one of noisybench's detectors or references"
    ):
        choose_detectors(["own_likeliest:D"])
