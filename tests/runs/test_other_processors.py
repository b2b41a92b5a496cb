"""What one kind of processor made is whole on another: a process that is told to do without this one's instructions makes it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisybench import BadData, Mismatch, find, load_source, verify
from noisybench.cards import verify as cards_verify
from noisybench.cards.verify import verify_draw
from noisybench.data.source import Source
from noisybench.detection.scoring import read_scores, scores_path, write_scores
from noisybench.ground.digests import label_digest
from noisybench.ground.rounding import rounding_here
from noisybench.runs.verify import verify_runs
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Corrections
from noisybench.variants.variant import Variant, read_variant, variant_id

OLD = {
    "ATEN_CPU_CAPABILITY": "default",  # torch
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX2 FMA3 AVX512F AVX512CD AVX512_SKX ASIMDHP ASIMDDP SVE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
}
"""Names in the environment → what keeps a library from newer instructions; names that this machine has not are passed over."""
MAKE = """
from noisybench import build_variant, detect, evaluate, find, load_source, score_features, write_cards, write_variant
from noisybench.memorization.subset_plan import plan_learner

source = load_source("digits", limit=120)
variant = build_variant(source, find("noises", "symmetric")(rate=0.2))
evaluate(variant, source, epochs=4, seeds=(0,), out="runs", options={"curvature": "authors"})
score_features(source, variant, "pca", "runs", detectors="all")
detect(source, variant, plan_learner(source, epochs=1)[0], "runs", models=10)
drawn = build_variant(load_source("digits"), find("noises", "exchanged")(rate=0.3, auroc=0.6, coherence=0.1))
write_variant(drawn, "drawn")
write_cards(drawn, "drawn")
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a training, of frozen features and of a pool, and a variant whose noise reads the inputs."""
    folder = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MAKE],
        cwd=folder,
        env={**os.environ, **OLD},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_runs_of_another_kind_are_whole(elsewhere: Path) -> None:
    """Scores are the trace's but for rounding, which a sentence names where there is some."""
    told = verify(elsewhere / "runs")
    assert any("detectors follow from the trace" in sentence for sentence in told)
    assert any("detectors follow from the columns that frozen features left" in sentence for sentence in told)
    assert any("answers follow from the pool's models" in sentence for sentence in told)
    assert told[-1].endswith("is whole")


@pytest.mark.parametrize(("share", "near"), [(1e-8, True), (1e-3, False)], ids=["rounding", "a thousandth"])
def test_scores_may_differ_by_rounding_alone(elsewhere: Path, tmp_path: Path, share: float, *, near: bool) -> None:
    """By a share of the spread of all, of one sample: the least is told, more is an error."""
    runs = shutil.copytree(elsewhere / "runs", tmp_path / "runs")
    (folder,) = runs.glob("*/mlp-standard-*/seed-0")
    path = scores_path(folder, "aum")
    scores = read_scores(path)
    moved = scores.values.copy()
    moved[scores.values.argmin()] += share * np.ptp(moved)
    write_scores(replace(scores, values=moved), path)
    if near:
        assert any(
            ": of " in one and "aum" in one and "the last digits are others here" in one for one in verify_runs(runs)
        )
    else:
        with pytest.raises(BadData, match="the scores of 'aum' do not follow from the trace"):
            list(verify_runs(runs))


@pytest.mark.parametrize(("pattern", "name"), [("mlp-standard-*", "forgetting"), ("*-pool-*", "held_out_error")])
def test_digits_may_not_part_what_ties(elsewhere: Path, tmp_path: Path, pattern: str, name: str) -> None:
    """Most counts and shares tie: whoever parts them by who is wrong has another ranking, however small the digits."""
    runs = shutil.copytree(elsewhere / "runs", tmp_path / "runs")
    (folder,) = runs.glob(f"*/{pattern}/seed-0")
    path = scores_path(folder, name)
    scores = read_scores(path)
    wrong = read_variant(folder.parents[1] / "variant").mislabeled
    write_scores(replace(scores, values=scores.values + 1e-9 * wrong), path)
    with pytest.raises(BadData, match=f"the scores of '{name}' do not follow from the trace"):
        list(verify_runs(runs))


def test_a_draw_that_reads_inputs_is_held_to_its_own_kind(elsewhere: Path) -> None:
    """Where it was drawn is on record and in the card; here what differs is told, and is no error."""
    recorded = json.loads((elsewhere / "drawn" / "variant.json").read_text("utf-8"))["drawn_on"]
    if rounding_here()["machine"].startswith("x86_64 "):  # of an OpenBLAS that chooses, else nothing was made elsewhere
        assert recorded["machine"] == "x86_64 Nehalem"
    assert {*recorded} >= {"machine", "threads", "numpy", "scipy", "scikit-learn", "torch"}
    assert recorded["machine"].split()[-1] in (elsewhere / "drawn" / "README.md").read_text("utf-8")
    told = verify(elsewhere / "drawn")
    assert told[-1].endswith("is whole")
    (drawn,) = (sentence for sentence in told if "drawn again, gives" in sentence)
    alike = drawn.endswith("drawn again, gives these labels")
    assert alike or f"drawn on {recorded['machine']}, threads" in drawn


def test_where_it_was_drawn_a_difference_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another seed on record is noticed on the same kind of processor; on another one, and of older records, it is told."""
    source = load_source("digits", limit=200)
    noise = find("noises", "coherent")(rate=0.3)
    variant = build_variant(source, noise)
    forged = replace(variant, provenance=replace(variant.provenance, seed=1))
    assert variant.provenance.drawn_on == rounding_here()
    assert verify_draw(variant, source).endswith("drawn again, gives these labels")
    with pytest.raises(Mismatch, match=r"does not give this variant but another .*labels"):
        verify_draw(forged, source)
    older = replace(forged, provenance=replace(forged.provenance, drawn_on=None))
    assert "which proves nothing" in verify_draw(older, source)
    assert "a machine that the record does not name" in verify_draw(older, source)
    monkeypatch.setattr(cards_verify, "rounding_here", lambda: {"machine": "abacus"})
    assert "now on abacus" in verify_draw(forged, source)


ABACUS = {"machine": "abacus"}


def _drawn_on_an_abacus(source: Source) -> Variant:
    """A variant whose noise reads the inputs, with a label less wrong than this machine gives, as if digits had been others."""
    variant = build_variant(source, find("noises", "coherent")(rate=0.3))
    labels = variant.labels.copy()
    labels[np.flatnonzero(variant.mislabeled)[0]] = variant.clean[variant.mislabeled][0]
    provenance = replace(
        variant.provenance,
        labels_sha256=label_digest(labels),
        variant_id=variant_id(source.sha256, labels),
        drawn_on=ABACUS,
    )
    return replace(variant, labels=labels, provenance=provenance)


@pytest.mark.parametrize("corrected", [False, True], ids=["as drawn", "corrected"])
def test_what_was_drawn_elsewhere_is_told(*, corrected: bool) -> None:
    """Also where people then corrected it: the corrections are of the labels that were drawn there."""
    source = load_source("digits", limit=200)
    variant = _drawn_on_an_abacus(source)
    if corrected:
        one = np.flatnonzero(variant.mislabeled)[-1:]
        made = Corrections(variant.variant_id, one, variant.labels[one], variant.clean[one], ("accept",))
        variant = correct_variant(variant, made)
    assert "gives another labels (in 1 of 200), which proves nothing" in verify_draw(variant, source)


def test_no_digits_excuse_another_truth() -> None:
    """What is known of the right classes, and of what the rate is one, follow from source and record on every machine."""
    source = load_source("digits", limit=200)
    variant = _drawn_on_an_abacus(source)
    clean = variant.clean.copy()
    clean[7] = (clean[7] + 1) % 10
    with pytest.raises(Mismatch, match=r"another clean \(in 1 of 200\)"):
        verify_draw(replace(variant, clean=clean), source)
    record = replace(variant.provenance, rate_definition="inclusive")
    with pytest.raises(Mismatch, match="another rate_definition"):
        verify_draw(replace(variant, provenance=record), source)


def test_a_draw_of_labels_alone_is_held_to_its_labels_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """It records no machine, and is drawn to the same labels on all of them."""
    source = load_source("digits", limit=200)
    variant = build_variant(source, find("noises", "symmetric")(rate=0.3))
    assert variant.provenance.drawn_on is None
    monkeypatch.setattr(cards_verify, "rounding_here", lambda: {"machine": "abacus"})
    with pytest.raises(Mismatch):
        verify_draw(replace(variant, provenance=replace(variant.provenance, seed=1)), source)


def test_a_step_that_reads_inputs_makes_the_whole_rest_on_them() -> None:
    composed: Any = find("noises", "composed")
    assert composed(steps="instance(rate=0.2); symmetric(rate=0.1)").rounded
    assert not composed(steps="pair_flip(rate=0.2); symmetric(rate=0.1)").rounded
