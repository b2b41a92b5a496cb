"""Many label columns on prepared features. Reference: ordinary runs ``score --features`` and ``memorize --model ridge``."""

from pathlib import Path

import numpy as np
import pytest

from noisybench.data.extraction import features_of
from noisybench.data.loading import load_source
from noisybench.data.source import source_from_arrays
from noisybench.detection.scoring import read_scores
from noisybench.ground.errors import BadData, BadUsage, Mismatch, UnknownName
from noisybench.items import find
from noisybench.memorization.closed_form import leave_out_exactly
from noisybench.memorization.closed_form_plan import plan_closed_form
from noisybench.runs import frozen_features
from noisybench.runs.features_run import score_frozen
from noisybench.runs.folder import kinds_of, read_run_record
from noisybench.runs.frozen_scores import prepare_features, score_labels
from noisybench.training.trace import read_trace
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Action, Corrections
from noisybench.variants.variant import Variant

N, OUT = 80, np.array([0, 7, 70, 79])
DIGITS = load_source("digits", limit=300)
FEW = np.flatnonzero(DIGITS.labels < 4)[:N]
"""Four classes, of which logistic regression is soon done."""
SOURCE = source_from_arrays("few", DIGITS.inputs[FEW], DIGITS.labels[FEW], clean=DIGITS.labels[FEW])
FEATURES = features_of(SOURCE, "input")


def noisy(rate: float, seed: int = 0) -> Variant:
    return build_variant(SOURCE, find("noises", "symmetric")(rate=rate), seed=seed)


def without(variant: Variant) -> Variant:
    """The variant, of which a person dropped some samples."""
    dropped = tuple[Action, ...]("drop" for _ in OUT)
    made = Corrections(variant.variant_id, OUT, variant.labels[OUT], np.full(len(OUT), -1), dropped)
    return correct_variant(variant, made)


def test_every_value_is_that_of_an_ordinary_run(tmp_path: Path) -> None:
    """To the bit: all detectors and controls of two columns one after another, held-out answers, memorization."""
    groups = np.arange(N) // 2
    prepared = prepare_features(FEATURES, classes=4, groups=groups)
    plan, seen = plan_closed_form(SOURCE, estimand="leave_one_out_margin")
    for seed, variant in enumerate((noisy(0.1), noisy(0.4))):
        found = score_labels(prepared, variant, detectors="all", seed=seed)
        folder = score_frozen(SOURCE, variant, "input", tmp_path, detectors="all", groups=groups, seed=seed)
        assert dict(found.kinds) == kinds_of(folder, read_run_record(folder))
        assert {"ridge", "knn_shapley", "self_clean", "ridge_leverage"} <= {*found.scores}
        for name, values in found.scores.items():
            assert np.array_equal(values, read_scores(folder / "scores" / f"{name}.parquet").values), name
        assert np.array_equal(found.held_out, read_trace(folder / "trace")["held_out.probabilities"][-1])
        expected = leave_out_exactly(variant, plan, seen).memorization
        assert np.array_equal(found.memorization, expected.values)


def test_dropped_samples_and_copies_are_prepared_for(tmp_path: Path) -> None:
    """To the bit, like an ordinary run of the same variant."""
    variant = without(noisy(0.2))
    twice = find("alterations", "frequency_spectrum")(frequencies="1,2", others=20)(SOURCE, seed=0, foreign=None)
    copied = build_variant(twice, find("noises", "symmetric")(rate=0.2))
    assert copied.copies is not None
    for source, one in ((SOURCE, variant), (twice, copied)):
        plan, features = plan_closed_form(source, estimand="leave_one_out_margin")
        found = score_labels(prepare_features(features, classes=4, like=one), one, detectors="fast")
        folder = score_frozen(source, one, "input", tmp_path, detectors="fast")
        for name, values in found.scores.items():
            assert np.array_equal(values, read_scores(folder / "scores" / f"{name}.parquet").values), name
        expected = leave_out_exactly(one, plan, features).memorization
        assert np.array_equal(found.memorization, expected.values, equal_nan=True)
        assert np.array_equal(np.isnan(found.memorization), one.dropped)


def test_what_no_label_decides_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not at all where no detector asks for it."""
    prepared, variant = prepare_features(FEATURES, classes=4), noisy(0.2)
    fast = score_labels(prepared, variant, detectors="fast")
    assert not {"gaussian", "surroundings"} & {*vars(prepared)}
    every = score_labels(prepared, variant, detectors="all")
    for name in (
        "orders_of",
        "gaussian_spectrum",
        "neighbours_by",
        "probe_inputs",
        "ridge_spectrum",
        "around_points",
        "fit_kept",
    ):
        monkeypatch.setattr(frozen_features, name, None)
    again = score_labels(prepared, variant, detectors="all")
    assert {*fast.scores} < {*every.scores} == {*again.scores}
    assert all(np.array_equal(again.scores[name], values) for name, values in every.scores.items())
    assert all(np.array_equal(every.scores[name], values) for name, values in fast.scores.items())


def test_what_does_not_belong_together_is_refused() -> None:
    prepared, variant = prepare_features(FEATURES, classes=4), noisy(0.2)
    with pytest.raises(Mismatch, match="other dropped samples or copies than the features were prepared for; prepare"):
        score_labels(prepared, without(variant))
    with pytest.raises(Mismatch, match="prepared for 3 classes, and the labels have 4"):
        score_labels(prepare_features(FEATURES, classes=3), variant)
    with pytest.raises(Mismatch, match="features of 79 samples, and 80 labels"):
        score_labels(prepare_features(FEATURES[1:], classes=4), variant)
    with pytest.raises(Mismatch, match="features of 79 samples, and 80 labels"):
        prepare_features(FEATURES[1:], classes=4, like=variant)
    with pytest.raises(
        BadUsage, match=r"prepared is the ndarray .*; prepare_features\(features, classes=10\) gives it"
    ):
        score_labels(FEATURES, variant)  # type: ignore[arg-type]
    with pytest.raises(BadUsage, match="features is the list"):
        prepare_features([[1.0]], classes=4)  # type: ignore[arg-type]
    with pytest.raises(BadData, match=r"features must be numbers of shape \(n, d\)"):
        prepare_features(np.zeros(3), classes=4)
    with pytest.raises(BadData, match="features of 1 sample, expected at least two"):
        prepare_features(np.zeros((1, 3)), classes=4)
    with pytest.raises(BadData, match="all 5 samples have the same features"):
        prepare_features(np.ones((5, 2)), classes=4)
    with pytest.raises(BadData, match="there are 2 groups and 80 samples"):
        prepare_features(FEATURES, classes=4, groups=[0, 1])
    with pytest.raises(UnknownName, match="no_such"):
        score_labels(prepared, variant, detectors="no_such")
