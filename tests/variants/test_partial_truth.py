"""Truth of three kinds: the right class is known, no more than that the label is wrong, or nothing.

Every number is held against a loop over the samples, or against the same variant without the samples it may not use.
"""

import json
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import ClassVar

import datasets
import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.board.agreement import against_labels, against_memorization
from noisybench.board.flags_table import both_truths
from noisybench.board.references import reference_scores
from noisybench.cards.ceilings import ceilings_of
from noisybench.cards.croissant import CROISSANT
from noisybench.cards.dependence import against_difficulty
from noisybench.cards.description import describe
from noisybench.cards.description_text import to_record, to_text
from noisybench.cards.variant_card import card_of, write_cards
from noisybench.cards.verify import verify_draw, verify_variant
from noisybench.data.source import Source, source_from_arrays
from noisybench.detection.scoring import Scores
from noisybench.ground.arrays import UNKNOWN, WRONG, Labels
from noisybench.memorization.estimate import estimate_memorization
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import Pool
from noisybench.memorization.reliability import summarise
from noisybench.noise.annotators import counts_in
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.instance import Instance
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.noise.noises.transition import Transition
from noisybench.variants.building import build_variant
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Draw, Noise
from noisybench.variants.transitions import all_entries
from noisybench.variants.variant import Variant, read_variant, write_variant

N, K = 400, 4


def source(*, seed: int = 0) -> Source:
    """Of 400 samples a fifth is wrong, half of these of unknown right class; of every fifth sample nothing is known."""
    rng = np.random.default_rng(seed)
    clean = rng.integers(K, size=N)
    labels = np.where(rng.random(N) < 0.2, (clean + rng.integers(1, K, N)) % K, clean)
    told = np.where((labels != clean) & (rng.random(N) < 0.5), WRONG, clean)
    told[::5] = UNKNOWN
    inputs = np.eye(K)[clean] + rng.normal(size=(N, K))
    return source_from_arrays("mine", inputs, labels, clean=told, class_names=list("abcd"))


@pytest.fixture(scope="module")
def found() -> Variant:
    return build_variant(source(), AsFound())


@pytest.fixture(scope="module")
def values() -> NDArray[np.float64]:
    return np.round(np.random.default_rng(1).normal(size=N), 1)


def without(variant: Variant, base: Source, kept: NDArray[np.bool_]) -> Variant:
    """The same label column of some of the samples."""
    part = replace(base, inputs=base.inputs[kept], labels=variant.labels[kept], clean=variant.clean[kept])
    return build_variant(part, AsFound())


def test_all_three_kinds_are_told_apart(found: Variant) -> None:
    """Known to be right or wrong, known to be wrong, and of known class, sample by sample."""
    assert {UNKNOWN, WRONG} < set(found.clean.tolist())
    for i, (label, clean) in enumerate(zip(found.labels, found.clean, strict=True)):
        assert found.known[i] == (clean != -1)
        assert found.mislabeled[i] == (clean == -2 or clean not in (-1, label))
        assert found.class_known[i] == (clean >= 0)


def test_metrics_count_what_is_known_to_be_wrong(found: Variant, values: NDArray[np.float64]) -> None:
    """AUROC over all pairs, precision at a tenth, and the shares of the reference, by loops."""
    told = {a.metric: a for a in against_labels(Scores("mine", values, found.provenance.variant_id), found)}
    wrong = [v for v, m in zip(values, found.mislabeled, strict=True) if m]
    right = [v for v, m, k in zip(values, found.mislabeled, found.known, strict=True) if k and not m]
    area = sum((w > r) + (w == r) / 2 for w, r in product(wrong, right)) / (len(wrong) * len(right))
    assert told["auroc"].value == pytest.approx(area, abs=1e-12)
    assert {a.n for a in told.values()} == {len(wrong) + len(right)} == {320}
    assert told["average_precision_normalised"].value == pytest.approx(
        (told["average_precision"].value - len(wrong) / 320) / (1 - len(wrong) / 320)
    )
    references = {scores.detector: scores.values for scores in reference_scores(found, seed=0)}
    assert np.array_equal(references["perfect"], found.mislabeled)
    for k in range(K):
        members = [i for i in range(N) if found.labels[i] == k and found.clean[i] != -1]
        share = np.mean([found.clean[i] != k for i in members])
        assert references["given_label_only"][found.labels == k] == pytest.approx(share)


def test_classes_are_told_of_samples_of_known_class_alone(found: Variant) -> None:
    """Counts, matrix and ceilings are those of the variant without the others; the realised rate counts all that is wrong."""
    description, alone = describe(found), describe(without(found, source(), found.class_known))
    counts = np.zeros((K, K), dtype=int)
    for label, clean in zip(found.labels, found.clean, strict=True):
        if clean >= 0:
            counts[clean, label] += 1
    assert np.array_equal(description.class_counts, counts.sum(1))
    np.testing.assert_allclose(all_entries(description.transition), counts / counts.sum(1, keepdims=True))
    assert description.realised_rate == found.mislabeled.sum() / found.known.sum() != alone.realised_rate
    assert (description.known, description.wrong) == (found.known.sum(), found.mislabeled.sum())
    assert description.wrong_alone == (found.clean == WRONG).sum()
    assert alone.wrong_alone == 0
    assert description.wrong == counts.sum() - np.trace(counts) + description.wrong_alone
    np.testing.assert_allclose(description.class_rates, alone.class_rates)
    assert ceilings_of(found, description.transition).bayes_accuracy == alone.ceilings.bayes_accuracy
    assert description.ceilings.given_label_auroc == alone.ceilings.given_label_auroc
    assert any(f"of {description.wrong_alone} of 400 samples no more is known" in w for w in description.warnings)
    assert any("the clean label of 80 of 400 samples is unknown" in w for w in description.warnings)


def test_difficulty_counts_what_is_known_to_be_wrong(found: Variant, values: NDArray[np.float64]) -> None:
    """Rates of the bins by a loop; where a noise has a law, what was wrong before is wrong for certain."""
    told = against_difficulty(found, values)
    assert told.n == 320
    assert sum(part.rate.value * part.n for part in told.bins) == pytest.approx(found.mislabeled.sum())
    noisy = build_variant(source(), Symmetric(0.25), seed=2)
    before = (noisy.clean == WRONG).sum()
    expected = sum(part.expected * part.n for part in against_difficulty(noisy, values).bins)
    assert expected == pytest.approx(0.25 * noisy.class_known.sum() + before)


@dataclass(frozen=True)
class Spy:
    """Gives every sample the next class, and refuses to be shown what it could not use."""

    found: ClassVar[bool] = False

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:  # noqa: ARG002 - nothing is drawn
        assert (source.clean >= UNKNOWN).all()
        kept = source.clean == UNKNOWN
        return Draw(labels=np.where(kept, source.labels, (np.maximum(source.clean, 0) + 1) % source.num_classes))


@pytest.mark.parametrize("noise", [Spy(), Symmetric(0.3), Instance(0.3), Transition(Path("matrix.npy"))])
@pytest.mark.parametrize("mode", ["exact", "exact_per_class", "bernoulli"])
def test_noises_leave_alone_what_has_no_class(
    noise: Noise, mode: Mode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their label, their truth and nothing more; what a noise draws is what it would if these were unknown."""
    monkeypatch.chdir(tmp_path)
    np.save("matrix.npy", 0.7 * np.eye(K) + 0.075)
    base = source()
    variant = build_variant(base, noise, seed=3, mode=mode)
    classless = base.clean < 0
    assert np.array_equal(variant.labels[classless], base.labels[classless])
    assert np.array_equal(variant.clean, base.clean)
    hidden = replace(base, clean=np.where(base.clean == WRONG, UNKNOWN, base.clean))
    assert np.array_equal(variant.labels, build_variant(hidden, noise, seed=3, mode=mode).labels)
    assert variant.mislabeled[base.clean == WRONG].all()
    if variant.flip_probability is not None:
        assert np.array_equal(np.isnan(variant.flip_probability), classless)
    folder = tmp_path / "variant"
    write_variant(variant, folder)
    write_cards(variant, folder)
    again = read_variant(folder)
    assert np.array_equal(again.clean, variant.clean)
    wrong = int(variant.mislabeled.sum())
    assert list(verify_variant(folder))[-1].endswith(f"({wrong} of 320)")
    if not isinstance(noise, Spy):
        assert verify_draw(again, base).endswith("drawn again, gives these labels")


def test_labels_as_they_came_stay_wrong_where_they_are(found: Variant) -> None:
    """A source that knows of wrong labels alone, and of no right one: the others are the reference for a noise."""
    base = replace(source(), clean=np.where(found.clean == WRONG, WRONG, UNKNOWN))
    variant = build_variant(base, Symmetric(0.2), seed=1)
    assert variant.provenance.reference == "labels"
    assert np.array_equal(variant.clean, np.where(found.clean == WRONG, WRONG, base.labels))
    assert variant.mislabeled[found.clean == WRONG].all()
    told = describe(build_variant(base, AsFound()))
    assert (told.realised_rate, told.wrong_alone, told.class_counts.sum()) == (1.0, (found.clean == WRONG).sum(), 0)
    assert to_text(variant, told).endswith("4 classes; 'noisybench describe --json' has their matrices")


def test_a_label_from_elsewhere_is_not_known_to_be_wrong() -> None:
    """What is known to be wrong is the published label; a noise that people made may name another."""

    @dataclass(frozen=True)
    class Elsewhere:
        found: ClassVar[bool] = True

        def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:  # noqa: ARG002 - nothing is drawn
            labels: Labels = source.labels.copy()
            labels[::2] = (labels[::2] + 1) % K
            doubted = np.arange(N) == np.flatnonzero(source.clean >= 0)[0]
            return Draw(labels=labels, doubted=doubted, marks={"first": doubted})

    base = source()
    variant = build_variant(base, Elsewhere())
    for i, (before, after) in enumerate(zip(base.clean, variant.clean, strict=True)):
        lost = (before == WRONG and i % 2 == 0) or variant.marks["first"][i]
        assert after == (UNKNOWN if lost else before)
    assert variant.marks["first"].sum() == 1


def test_cards_say_how_much_is_known(found: Variant, tmp_path: Path) -> None:
    """README, croissant, text and record; the hub's library reads the column back."""
    write_variant(found, tmp_path / "variant")
    write_cards(found, tmp_path / "variant")
    alone, classed = int((found.clean == WRONG).sum()), int(found.class_known.sum())
    assert f"| known to be wrong, right class unknown | {alone} of 400 samples; -2 |" in card_of(found)
    assert "of 320 samples known to be right or wrong |" in card_of(found)
    assert "-1 where it is unknown, -2 where no more is known than that the published label is wrong" in card_of(found)
    told = json.loads((tmp_path / "variant" / CROISSANT).read_text(encoding="utf-8"))["description"]
    assert told.endswith(
        f"The right class is known of {classed} of 400 samples, and of {alone} no more than that their label is wrong; "
        f"of 80 nothing is known."
    )
    description = describe(found)
    assert to_record(found, description)["wrong_alone"] == alone
    assert f"({description.wrong} wrong, {alone} of unknown right class; interval" in to_text(found, description)
    loaded = datasets.load_dataset(str(tmp_path / "variant"), cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded.map(lambda row: row)["clean"][:] == found.clean.tolist()
    whole = build_variant(replace(source(), clean=source().labels), AsFound())
    assert "right class unknown" not in card_of(whole)
    counts = all_entries(counts_in(tmp_path / "variant" / "labels.parquet", K))
    assert np.array_equal(counts.sum(1), description.class_counts)


def test_memorization_damages_known_classes_only(found: Variant, values: NDArray[np.float64]) -> None:
    """Clean damage is NaN without a right class, and its mean over the mislabeled is of the others; both truths count."""
    rng = np.random.default_rng(2)
    models = 20
    half = rng.random((models // 2, N)) < 0.5
    included = np.concatenate([half, ~half])
    pool = Pool(
        included=included,
        predictions=rng.integers(K, size=(models, N)).astype(np.uint8),
        margins=rng.normal(size=(models, N)).astype(np.float16),
        held_out=np.full((N, K), 0.25, np.float32),
        groups=np.tile(np.arange(models // 2), 2),
        learner=Learner("guess", "none", 0, ""),
        purpose="truth",
        seed=0,
        variant_id=found.provenance.variant_id,
    )
    memorization = estimate_memorization(pool, found)
    assert np.array_equal(np.isnan(memorization.clean_damage), found.clean < 0)
    i = int(np.flatnonzero(found.mislabeled & found.class_known)[0])
    hit = pool.predictions[:, i] == found.clean[i]
    assert memorization.clean_damage[i] == pytest.approx(hit[~included[:, i]].mean() - hit[included[:, i]].mean())
    told = summarise(memorization, pool, found)
    chosen = [memorization.clean_damage[i] for i in range(N) if found.clean[i] not in (-1, -2, found.labels[i])]
    assert told.clean_damage == pytest.approx(np.mean(chosen))
    scores = Scores("mine", values, found.provenance.variant_id)
    sizes = {a.stratum: a.n for a in against_memorization(scores, memorization, found)}
    assert sizes == {"all": N, "clean": (found.known & ~found.mislabeled).sum(), "mislabeled": found.mislabeled.sum()}
    assert both_truths([scores], memorization, found)[0].n == 320
