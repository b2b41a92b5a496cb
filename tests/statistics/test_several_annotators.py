"""Classes by several people's answers, beside plain loops of the formulas, made annotators, cleanlab and public sets."""

from collections.abc import Sequence
from math import exp
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from noisybench.data.crowd.answer_files import read_answer_file
from noisybench.data.crowd.answers import Answers, answers_from_matrix, one_each
from noisybench.data.crowd.joining import collect, join
from noisybench.data.tables.columns import read_table
from noisybench.data.tables.layout import layout_of
from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics.annotators import check_triples, dawid_skene, vote_counts, vote_shares
from noisybench.statistics.crowdlab import crowdlab
from noisybench.statistics.glad import _expect, _loss, glad

TINY = answers_from_matrix(
    [[0, 0, -1, 1], [1, 1, 1, -1], [2, 0, 2, 2], [-1, 1, 0, 1], [2, -1, 2, 0], [-1, -1, -1, -1], [0, 2, 0, 0]]
)
"""Seven samples, one of which nobody answered, four annotators, three classes."""


def made(
    n: int, k: int, people: int, *, share: float, seed: int, sure: tuple[float, float] = (0.35, 0.95)
) -> tuple[Answers, NDArray[np.int64], NDArray[np.float64]]:
    """Answers of people with confusion matrices of their own, the right classes (n,), and the matrices (people, k, k)."""
    random = np.random.default_rng(seed)
    right = random.integers(0, k, n)
    matrices = np.empty((people, k, k))
    for a, skill in enumerate(random.uniform(*sure, people)):
        matrices[a] = (1 - skill) * random.dirichlet(np.ones(k), k)
        matrices[a][np.diag_indices(k)] += skill
    answered = random.random((n, people)) < share
    drawn = (matrices[:, right].cumsum(2) < random.random((people, n, 1))).sum(2).T
    return answers_from_matrix(np.where(answered, np.minimum(drawn, k - 1), -1)), right, matrices


def plain_dawid_skene(answers: Answers, n: int, k: int, s: float, rounds: int) -> NDArray[np.float64]:
    """Dawid and Skene's iteration, a loop over every index of the formulas."""
    rows = list(zip(answers.sample.tolist(), answers.annotator.tolist(), answers.label.tolist(), strict=True))
    people, seen = sorted({a for _, a, _ in rows}), sorted({i for i, _, _ in rows})
    t = {i: [sum(j == label for who, _, label in rows if who == i) for j in range(k)] for i in seen}
    t = {i: [vote / sum(votes) for vote in votes] for i, votes in t.items()}
    for _ in range(rounds):
        prior = [sum(t[i][j] for i in seen) / len(seen) for j in range(k)]
        law = {}
        for a in people:
            for j in range(k):
                asked = sum(t[i][j] for i, who, _ in rows if who == a)
                for answer in range(k):
                    hits = sum(t[i][j] for i, who, label in rows if who == a and label == answer)
                    law[a, j, answer] = (hits + s) / (asked + k * s)
        for i in seen:
            joint = [prior[j] for j in range(k)]
            for sample, a, label in rows:
                if sample == i:
                    joint = [joint[j] * law[a, j, label] for j in range(k)]
            t[i] = [value / sum(joint) for value in joint]
    return np.array([t.get(i, prior) for i in range(n)])


@pytest.mark.parametrize("smoothing", [1.0, 0.25])
def test_dawid_and_skene_is_the_plain_loop(smoothing: float) -> None:
    """After as many rounds, on a tiny set, a sample that nobody answered included."""
    found = dawid_skene(TINY, 7, 3, smoothing=smoothing)
    expected = plain_dawid_skene(TINY, 7, 3, smoothing / 3, found.rounds)
    np.testing.assert_allclose(found.posterior, expected, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(found.posterior[5], found.prior, rtol=1e-12)


def test_dawid_and_skene_finds_the_annotators_it_was_made_of() -> None:
    """With many answers: matrices and prior within sampling error, and more right classes than the majority has."""
    answers, right, matrices = made(4000, 3, 8, share=0.6, seed=0)
    found = dawid_skene(answers, 4000, 3)
    assert np.abs(found.confusion - matrices).max() < 0.05
    np.testing.assert_allclose(found.confusion.sum(2), 1, rtol=1e-9)
    np.testing.assert_allclose(found.prior, np.bincount(right) / 4000, atol=0.02)
    voted = (vote_shares(answers, 4000, 3).argmax(1) == right).mean()
    assert (found.posterior.argmax(1) == right).mean() > voted + 0.01


def test_someone_who_says_the_opposite_is_understood() -> None:
    """An annotator who swaps two classes is worth as much as one who does not; by votes alone he spoils them."""
    answers, right, _ = made(500, 2, 4, share=1, seed=1, sure=(0.7, 0.75))
    label = np.where(answers.annotator == 0, 1 - answers.label, answers.label)
    swapped = Answers(answers.sample, answers.annotator, label)
    found = dawid_skene(swapped, 500, 2)
    assert found.confusion[0, 0, 1] > 0.7
    np.testing.assert_allclose(found.posterior, dawid_skene(answers, 500, 2).posterior, atol=0.05)
    voted = (vote_shares(swapped, 500, 2).argmax(1) == right).mean()
    assert (found.posterior.argmax(1) == right).mean() > voted + 0.2


def test_without_smoothing_an_answer_that_never_was_is_impossible() -> None:
    """Maximum likelihood: its likelihood is the greatest, its rows still sum to 1, nothing is NaN."""
    bare, smoothed = (dawid_skene(TINY, 7, 3, smoothing=s) for s in (0.0, 1.0))
    assert np.isfinite(bare.posterior).all()
    assert bare.log_likelihood > smoothed.log_likelihood
    np.testing.assert_allclose(bare.posterior.sum(1), 1, rtol=1e-12)


def plain_glad(parameters: NDArray[np.float64], answers: Answers, n: int, k: int) -> NDArray[np.float64]:
    """GLAD's expectation, a loop over every index of the formula."""
    people = int(answers.annotator.max()) + 1
    found = np.full((n, k), 1 / k)
    for i in range(n):
        for j in range(k):
            for sample, a, label in zip(answers.sample, answers.annotator, answers.label, strict=True):
                if sample == i:
                    right = 1 / (1 + exp(-parameters[a] * exp(parameters[people + i])))
                    found[i, j] *= right if label == j else (1 - right) / (k - 1)
    return found


def test_the_expectation_of_glad_is_the_plain_loop() -> None:
    """Posteriors, and the posterior of the parameters up to a constant."""
    random = np.random.default_rng(0)
    table, counts = check_triples(TINY, 7, 3), vote_counts(TINY, 7, 3)
    values = []
    for _ in range(2):
        parameters = random.normal(0.5, 1, 4 + 7)
        joint = plain_glad(parameters, TINY, 7, 3)
        posterior, value = _expect(parameters, table, counts)
        np.testing.assert_allclose(posterior, joint / joint.sum(1, keepdims=True), rtol=1e-10)
        values.append(value - (np.log(joint.sum(1)).sum() - 0.5 * ((parameters - 1) ** 2).sum()))
    assert values[0] == pytest.approx(values[1], abs=1e-10)


def test_the_gradient_of_glad_is_that_of_its_loss() -> None:
    """Central differences."""
    random = np.random.default_rng(1)
    table, parameters = check_triples(TINY, 7, 3), random.normal(0.5, 1, 11)
    agreeing = random.random(len(TINY))
    gradient = _loss(parameters, table, agreeing)[1]
    for at in range(11):
        step = np.zeros(11)
        step[at] = 1e-6
        ends = [_loss(parameters + sign * step, table, agreeing)[0] for sign in (1, -1)]
        assert gradient[at] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-7)


def test_glad_tells_able_people_and_easy_samples() -> None:
    """Made by its own law: abilities are ranked, an opponent's is negative, and it beats the votes."""
    random = np.random.default_rng(2)
    n, k, ability = 1500, 4, np.array([2.5, 1.8, 1.2, 0.8, 0.4, -1.0])
    right, ease = random.integers(0, k, n), np.exp(random.normal(0.5, 1, n))
    hit = random.random((n, 6)) < 1 / (1 + np.exp(-ability * ease[:, None]))
    answers = answers_from_matrix(np.where(hit, right[:, None], (right[:, None] + random.integers(1, k, (n, 6))) % k))
    found = glad(answers, n, k)
    assert np.array_equal(np.argsort(found.ability), np.argsort(ability))
    assert found.ability[5] < 0
    assert np.corrcoef(np.log(found.ease), np.log(ease))[0, 1] > 0.4
    assert (found.posterior.argmax(1) == right).mean() > (vote_shares(answers, n, k).argmax(1) == right).mean() + 0.01


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [2, 5])
def test_crowdlab_is_cleanlabs(k: int, seed: int) -> None:
    """Consensus, quality, posterior of every class and weights on random data; ties of votes among them."""
    multiannotator = pytest.importorskip("cleanlab.multiannotator")
    answers, right, _ = made(200, k, 10, share=0.25, seed=seed)
    matrix = np.full((200, 10), np.nan)
    matrix[answers.sample, answers.annotator] = answers.label
    some = ~np.isnan(matrix).all(1)
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(k), 200) * 0.6
    probabilities[np.arange(200), right] += 0.4
    theirs = multiannotator.get_label_quality_multiannotator(
        matrix[some], probabilities[some], verbose=False, return_weights=True
    )
    ours = crowdlab(answers.taken(np.flatnonzero(some)), probabilities[some], k)
    assert np.array_equal(theirs["label_quality"]["consensus_label"], ours.consensus)
    quality = ours.posterior[np.arange(some.sum()), ours.consensus]
    np.testing.assert_allclose(theirs["label_quality"]["consensus_quality_score"], quality, rtol=0, atol=1e-12)
    assert theirs["model_weight"] == pytest.approx(ours.model_weight, rel=1e-12)
    np.testing.assert_allclose(theirs["annotator_weight"], ours.annotator_weights, rtol=1e-10)
    counts = (~np.isnan(matrix[some])).sum(1)
    agreement = multiannotator._get_annotator_agreement_with_consensus(matrix[some], ours.consensus)
    posterior = multiannotator._get_post_pred_probs_and_weights(
        matrix[some], ours.consensus, probabilities[some], counts, agreement, verbose=False
    )[0]
    np.testing.assert_allclose(posterior, ours.posterior, rtol=0, atol=1e-12)


def test_crowdlab_says_what_the_classifier_does_where_nobody_answered() -> None:
    answers, _, _ = made(60, 3, 6, share=0.5, seed=3)
    few = Answers(
        answers.sample[answers.sample > 4], *(c[answers.sample > 4] for c in (answers.annotator, answers.label))
    )
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    np.testing.assert_allclose(crowdlab(few, probabilities, 3).posterior[:5], probabilities[:5], rtol=1e-12)


def test_samples_and_people_may_come_in_any_order() -> None:
    """Other numbers of samples and annotators: the same posteriors."""
    answers, _, _ = made(80, 3, 7, share=0.4, seed=5)
    random = np.random.default_rng(0)
    samples, people = random.permutation(80), random.permutation(9)
    other = SimpleNamespace(
        sample=samples[answers.sample][::-1],
        annotator=people[answers.annotator][::-1],
        label=answers.label[::-1].copy(),
    )
    probabilities = random.dirichlet(np.ones(3), 80)
    moved = np.empty_like(probabilities)
    moved[samples] = probabilities
    pairs = [
        (vote_shares(answers, 80, 3), vote_shares(other, 80, 3)),
        (dawid_skene(answers, 80, 3).posterior, dawid_skene(other, 80, 3).posterior),
        (glad(answers, 80, 3).posterior, glad(other, 80, 3).posterior),
        (crowdlab(answers, probabilities, 3).posterior, crowdlab(other, moved, 3).posterior),
    ]
    for one, two in pairs:
        np.testing.assert_allclose(two[samples], one, atol=1e-4)
        np.testing.assert_allclose(one.sum(1), 1, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"num_classes": 1}, BadUsage, "tell 1 class apart; expected at least two"),
        ({"num_classes": 2}, BadData, "which is not a class|is not a class of 0..1"),
        ({"n": 3}, BadData, r"an answer is to sample \d, the samples are 0..2 \(\d+ such answers\)"),
        (
            {"answers": Answers(*np.zeros((3, 0), dtype=np.int64))},
            BadData,
            "there are no answers; expected at least one",
        ),
        ({"n": 1 << 40}, BadUsage, "more than fit: look at fewer samples"),
    ],
)
def test_what_is_no_answers_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    for method in (vote_shares, dawid_skene, glad):
        with pytest.raises(error, match=message):
            method(**{"answers": TINY, "n": 7, "num_classes": 3, **change})


def test_what_cannot_be_said_is_refused() -> None:
    with pytest.raises(BadUsage, match="smoothing must be a number of pseudo-answers, 0 or more, got -1"):
        dawid_skene(TINY, 7, 3, smoothing=-1)
    alone = Answers(np.arange(3), np.arange(3), np.arange(3))
    with pytest.raises(BadData, match="no sample has answers of two people"):
        crowdlab(alone, np.full((3, 3), 1 / 3), 3)
    with pytest.raises(BadData, match="sums to"):
        crowdlab(TINY, np.full((7, 3), 1.0), 3)


# --- public sets -------------------------------------------------------------------------------------------------------


def public(data: Path, name: str, answers: str, key: str, truth: str) -> tuple[Answers, NDArray[np.int64], int]:
    """Answers of a public set, the right classes and how many there are."""
    table = read_table(layout_of(data / "crowd" / name), texts=(key, truth))
    file = read_answer_file(data / "crowd" / answers, (key, truth))
    names = sorted(set(table[truth].to_pylist()))
    joined = join(file, len(table[truth]), [(key, table[key])], names, sure=True)
    labels = np.array([names.index(text) for text in joined.said.cast(pa.string()).to_pylist()])
    return (
        collect(joined, labels, file)[0],
        np.array([names.index(text) for text in table[truth].to_pylist()]),
        len(names),
    )


def test_product_has_the_accuracies_that_are_known(data: Path) -> None:
    """Majority .8966; Dawid and Skene near .94: .9377 here, .9393 without smoothing; GLAD between. In seconds."""
    answers, right, k = public(data, "product_truth.csv", "product_answers.csv", "question", "truth")
    n = len(right)
    assert (answers.label != right[answers.sample]).mean() == pytest.approx(0.1837, abs=5e-5)
    posteriors = (vote_shares(answers, n, k), dawid_skene(answers, n, k).posterior, glad(answers, n, k).posterior)
    found = [(posterior.argmax(1) == right).mean() for posterior in posteriors]
    assert found == pytest.approx([0.8966, 0.9377, 0.9283], abs=5e-4)
    bare = dawid_skene(answers, n, k, smoothing=0).posterior
    assert (bare.argmax(1) == right).mean() == pytest.approx(0.9393, abs=5e-4)


@pytest.mark.parametrize(
    ("name", "key", "truth", "accuracies", "areas"),
    [
        ("music_genre", "id", "class", (0.7114, 0.7486, 0.7957), (0.8417, 0.9112, 0.9092)),
        ("isbook", "question", "gold", (0.961, 0.959, 0.963), (0.8848, 0.8698, 0.9182)),
    ],
)
def test_public_crowds(
    name: str, key: str, truth: str, accuracies: Sequence[float], areas: Sequence[float], data: Path
) -> None:
    """Right classes by shares of votes, Dawid and Skene, and GLAD; AUROC of their doubt about one answer a sample.

    In single precision, as a run keeps them: on isBook GLAD has .918 so and .901 in double precision, which also ranks
    the samples that it is sure of to 1e-7.
    """
    answers, right, k = public(data, f"{name}.csv", f"{name}_answers.csv", key, truth)
    n = len(right)
    given = one_each(answers, n, seed=0)
    posteriors = (vote_shares(answers, n, k), dawid_skene(answers, n, k).posterior, glad(answers, n, k).posterior)
    found = [(posterior.argmax(1) == right).mean() for posterior in posteriors]
    kept = [posterior.astype(np.float32)[np.arange(n), given].astype(np.float64) for posterior in posteriors]
    doubts = [roc_auc_score(given != right, 1 - chance) for chance in kept]
    assert found == pytest.approx(accuracies, abs=2e-3)
    assert doubts == pytest.approx(areas, abs=2e-3)
