"""What a description tells of the noise from probabilities: estimates and errors, doubts, and what is left out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from shell import shell

from noisybench.cards import estimated_transitions
from noisybench.cards.description import describe
from noisybench.cards.description_page import description_page
from noisybench.cards.description_text import to_record, to_text
from noisybench.data.source import source_from_arrays
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.pair_flip import PairFlip
from noisybench.statistics.transition_estimation import METHODS, estimate_transition, transition_error
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Corrections
from noisybench.variants.variant import Variant, write_variant

Floats = NDArray[np.float64]
N, K = 600, 3
CLEAN = np.arange(N) % K
NAMES = ["ant", "bee", "<cat>"]
SOURCE = source_from_arrays("made", np.zeros((N, 1)), CLEAN, clean=CLEAN, class_names=NAMES)
VARIANT = build_variant(SOURCE, PairFlip(0.3), seed=1)


def near(classes: NDArray[np.int64], sure: float, k: int = K) -> Floats:
    """Probabilities of ``sure`` and more for these classes."""
    rng = np.random.default_rng(0)
    return sure * np.eye(k)[classes] + (1 - sure) * rng.dirichlet(np.full(k, 0.5), len(classes))


HELD_OUT = near(CLEAN, 0.6)
FITTED = near(VARIANT.labels, 0.9)


def as_found(labels: NDArray[np.int64], clean: NDArray[np.int64] | None = None, k: int = K) -> Variant:
    names = [str(i) for i in range(k)]
    source = source_from_arrays("own", np.zeros((len(labels), 1)), labels, clean=clean, class_names=names)
    return build_variant(source, AsFound())


def test_estimates_are_held_against_realised_and_nominal() -> None:
    """Each is the function's matrix, with its error against both; rates and confusions follow from it."""
    description = describe(VARIANT, pred_probs=HELD_OUT)
    found = description.transition_estimates
    assert found is not None
    assert [one.method for one in found.estimates] == list(METHODS)
    assert found.agreement == (HELD_OUT.argmax(1) == VARIANT.labels).mean()
    assert found.confidence == pytest.approx(HELD_OUT.max(1).mean())
    for one in found.estimates:
        expected = estimate_transition(HELD_OUT, VARIANT.labels, method=one.method)
        np.testing.assert_array_equal(one.transition, expected)
        for error, truth in ((one.from_realised, description.transition), (one.from_nominal, VARIANT.transition)):
            assert error is not None
            assert isinstance(truth, np.ndarray)
            assert error[:2] == transition_error(expected, truth)[:2]
        assert one.mean_rate == pytest.approx(1 - expected.diagonal().mean())
        confusions = one.confusions()
        rows = [expected[i, j] for i in range(K) for j in range(K) if i != j]
        assert [share for _, _, share in confusions] == sorted(rows, reverse=True)[:3]
        assert all(expected[i, j] == share for i, j, share in confusions)
    joint = found.estimates[METHODS.index("confident_joint")]
    assert joint.from_realised is not None
    assert joint.from_realised.total_variation < 0.02


def test_nothing_is_held_against_an_unknown_truth() -> None:
    """No error, no column of realised rates; without probabilities no estimate."""
    variant = as_found(VARIANT.labels)
    description = describe(variant, pred_probs=HELD_OUT)
    assert description.transition_estimates is not None
    assert {(one.from_realised, one.from_nominal) for one in description.transition_estimates.estimates} == {
        (None, None)
    }
    text = to_text(variant, description)
    assert "noise estimated from the probabilities" in text
    assert "realised matrix" not in text
    assert "realised" not in text.split("wrong labels of each class")[1].splitlines()[0]
    bare = describe(variant)
    assert bare.transition_estimates is None
    assert to_record(variant, bare, matrices=True)["transition_estimates"] is None
    assert "estimated" not in to_text(variant, bare)


def test_what_is_unknown_is_no_number() -> None:
    """A class that nobody is given: null in JSON, a word in text and page, and named once."""
    labels = np.where(VARIANT.labels == 2, 0, VARIANT.labels)
    variant = as_found(labels, CLEAN)
    description = describe(variant, pred_probs=HELD_OUT)
    record = json.loads(json.dumps(to_record(variant, description, matrices=True), allow_nan=False))
    for one in record["transition_estimates"]["methods"]:
        assert one["unknown_classes"] == [2]
        assert one["transition"][2] == [None] * 3
        assert one["class_rates"][2] is one["from_realised"]["rows"][2] is None
        assert one["mean_rate"] == pytest.approx(np.mean(one["class_rates"][:2]))
        assert one["from_nominal"] is None
    text = to_text(variant, description)
    assert re.search(r"^ +2 2 +(unknown +){5}100\.0$", text, re.MULTILINE)
    assert "unknown for 1 of 3 classes (first: 2 2)" in text
    page = description_page(variant, description)
    assert "unknown for 1 of 3 classes" in page
    assert "nan" not in text + page


def warned(variant: Variant, probabilities: Floats) -> str:
    return " | ".join(describe(variant, pred_probs=probabilities).warnings)


def test_a_model_that_saw_the_labels_is_doubted() -> None:
    """Where truth is known by the wrong labels that it names; where none is, by agreeing with nearly all."""
    sentence = (
        "look as if their model had seen these labels: the likeliest class is the given label of 100.0% of the wrong"
    )
    assert sentence in warned(VARIANT, FITTED)
    assert "had seen" not in warned(VARIANT, HELD_OUT)
    unknown = as_found(VARIANT.labels)
    assert "either nearly all labels are right, or the model has seen them" in warned(unknown, FITTED)
    assert "has seen" not in warned(unknown, HELD_OUT)
    right = as_found(CLEAN, CLEAN)
    assert "seen" not in warned(right, near(CLEAN, 0.95))
    few = np.where(np.arange(N) < 300, CLEAN, UNKNOWN)  # of the rest nothing is known
    assert "had seen" in warned(as_found(VARIANT.labels, few), FITTED)


def test_probabilities_that_are_no_chances_are_doubted() -> None:
    """Surer than they agree with the labels, or less sure; where both are alike, nothing is said."""
    assert "the probabilities are too sure: on average 9" in warned(VARIANT, near(CLEAN, 0.95))
    assert "the probabilities are too unsure" in warned(as_found(CLEAN, CLEAN), near(CLEAN, 0.5))
    assert "too" not in warned(VARIANT, near(CLEAN, 0.5) @ np.array([[0.9, 0.1, 0], [0, 0.9, 0.1], [0.1, 0, 0.9]]))


def test_what_takes_long_or_says_nothing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason; too few samples, too many, and classes without end."""
    few = as_found(np.array([0, 1]), np.array([0, 1]))
    found = describe(few, pred_probs=np.eye(2, 3)).transition_estimates
    assert found is not None
    assert found.left_out == (("hoc", "it needs three samples"),)
    monkeypatch.setattr(estimated_transitions, "MOST_COMPARED", N - 1)
    description = describe(VARIANT, pred_probs=HELD_OUT)
    text = to_text(VARIANT, description)
    assert (
        "hoc: not estimated, it takes long for 600 samples of 3 classes; estimate_transition(…, method='hoc')" in text
    )
    assert "hoc: not estimated, it takes long" in description_page(VARIANT, description)
    many = as_found(np.arange(1001), np.arange(1001), 1001)
    found = describe(many, pred_probs=np.eye(1001)).transition_estimates
    assert found is not None
    assert not found.estimates
    assert dict(found.left_out)["dual_t"] == "a matrix of 1001 classes is too large"


def test_dropped_samples_tell_nothing() -> None:
    """Whatever the probabilities of the samples that a person dropped."""
    dropped = np.arange(5)
    corrections = Corrections(
        VARIANT.variant_id,
        samples=dropped,
        given=VARIANT.labels[dropped],
        corrected=np.full(5, UNKNOWN),
        actions=("drop",) * 5,
    )
    variant = correct_variant(VARIANT, corrections)
    other = HELD_OUT.copy()
    other[dropped] = np.eye(K)[(CLEAN[dropped] + 1) % K]
    first, second = (describe(variant, pred_probs=values).transition_estimates for values in (HELD_OUT, other))
    assert first is not None
    assert second is not None
    assert first.agreement == second.agreement == (HELD_OUT.argmax(1) == VARIANT.labels)[5:].mean()
    for one, two in zip(first.estimates, second.estimates, strict=True):
        np.testing.assert_array_equal(one.transition, two.transition)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(BadData, match=r"probabilities have shape \(600, 4\), the variant needs \(600, 3\)"):
        describe(VARIANT, pred_probs=np.full((N, 4), 0.25))


def test_the_command_tells_it_in_every_form(tmp_path: Path) -> None:
    """Text, JSON and page of a file of probabilities; one of a model that saw the labels is warned of."""
    write_variant(VARIANT, tmp_path / "v")
    np.save(tmp_path / "p.npy", FITTED)
    done = shell("describe", tmp_path / "v", "--pred-probs", tmp_path / "p.npy", "--html", tmp_path / "v.html")
    assert done.code == 0
    assert "warning: the probabilities look as if their model had seen these labels" in done.err
    assert "total variation from the nominal matrix" in done.out
    page = (tmp_path / "v.html").read_text(encoding="utf-8")
    assert "<h2>Noise estimated from probabilities</h2>" in page
    assert '<th scope="row" class="method">dual_t</th>' in page
    assert "&lt;cat&gt; → ant" in page
    record = json.loads(shell("describe", tmp_path / "v", "--pred-probs", tmp_path / "p.npy", "--json").out)
    assert [one["method"] for one in record["transition_estimates"]["methods"]] == list(METHODS)
