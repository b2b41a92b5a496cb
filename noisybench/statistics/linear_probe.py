"""Held-out probabilities of logistic regression on features: what models that did not see a sample say of it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Floats32, Labels, check_groups, check_labels
from noisybench.ground.checks import check_room, whole
from noisybench.ground.random_streams import permutation
from noisybench.statistics.ridge import check_several
from noisybench.statistics.spectrum import centred_units, check_several_rows, spectrum

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Inverse penalties C that are tried, in this order, features being of length one."""
COMPONENTS = 256
"""Principal components that the regression is on."""
SMALL = 5_000
"""Samples up to which all folds choose C; of more, the first fold does."""
STEPS = 300
"""Steps of L-BFGS at most."""
LEAST = 1e-12
"""Probability below which a given label costs no more."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Probabilities by models that saw neither the sample nor its group.

    Attributes:
        probabilities: Rows that sum to 1, shape (n, k).
        strength: The inverse penalty C that was chosen.
    """

    probabilities: Floats
    strength: float


def held_out_probabilities(
    features: NDArray[Any],
    labels: Labels,
    num_classes: int,
    *,
    groups: NDArray[Any] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> HeldOut:
    """Probabilities of k-fold logistic regression: (n, d) and (n,) → (n, k).

    Features lose their mean, get length one and are turned to their first ``COMPONENTS`` principal components; all
    samples take part in that, for it uses no label. Then multinomial logistic regression (L-BFGS of scikit-learn, binary
    of two classes), whose inverse penalty C is the one with the least mean log loss of the *given* labels held out: no
    truth is used. The strengths go up, each fit starts from the last, and the first that is worse ends it. Up to
    ``SMALL`` samples are judged on all folds, more on the first.

    A class that is not among a fold's training labels has probability 0 there. Where there are fewer groups than folds,
    each group is a fold.

    Args:
        features: Shape (n, d), finite.
        labels: Given labels, shape (n,), of at least two classes.
        num_classes: Columns of the result.
        groups: Number of each sample's group, shape (n,): a group is in one fold. None puts each sample into its own.
        folds: At least 2.
        seed: Of the folds.

    Raises:
        BadData: Features or groups that are none, or labels of one class.
        BadUsage: Fewer than two folds, or more than fits in memory.
    """
    labels = check_labels(labels, num_classes)
    n = len(labels)
    folds, seed = whole(folds, "folds", least=2), whole(seed, "seed", least=0)
    check_room(
        n, num_classes, "a probability of each class for each sample", "leave out what asks for held-out answers"
    )
    check_several_rows(features, n)
    check_several(labels)
    members = np.arange(n) if groups is None else check_groups(groups, n)
    return held_out_on(probe_inputs(features, n), labels, num_classes, deal_folds(labels, members, folds, seed))


def probe_inputs(features: NDArray[Any], n: int) -> Floats32:
    """What no label decides: features of length one in their first ``COMPONENTS`` principal components, (n, d) → (n, c)."""
    return spectrum(centred_units(features, n), COMPONENTS).coordinates.astype(np.float32)


def held_out_on(inputs: Floats32, labels: Labels, num_classes: int, fold: Labels) -> HeldOut:
    """What labels decide, of ``probe_inputs`` and ``deal_folds``; ``held_out_probabilities`` checks what it is given."""
    n = len(labels)
    parts = [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(fold.max() + 1)]
    first = parts if n <= SMALL else parts[:1]
    models = [_Probe(inputs, labels, num_classes, train, held) for train, held in first]
    strength, answers = _choose(models, labels)
    probabilities = np.zeros((n, num_classes))
    models += [_Probe(inputs, labels, num_classes, train, held) for train, held in parts[len(first) :]]
    for i, model in enumerate(models):
        probabilities[model.held] = answers[i] if i < len(answers) else model.answers(strength)
    return HeldOut(probabilities, strength)


def deal_folds(labels: Labels, groups: Labels, folds: int, seed: int) -> Labels:
    """Fold of each sample, shape (n,), groups whole and each class spread evenly.

    The largest groups first, equal ones in an order drawn from the seed: each goes to the fold with the fewest samples of
    its commonest class so far, among those to the smallest, among those to the first. So samples without company differ
    by at most one of each class between folds.
    """
    sizes = np.bincount(groups)
    folds = min(folds, len(sizes))
    order = np.lexsort((labels, groups))
    runs = np.flatnonzero(np.diff(groups[order], prepend=-1) | np.diff(labels[order], prepend=-1))
    counts = np.diff(runs, append=len(order))
    of_run = groups[order][runs]
    best = np.lexsort((-counts, of_run))
    commonest = labels[order][runs][best[np.unique(of_run[best], return_index=True)[1]]]
    drawn = permutation(seed, "linear_probe/folds", len(sizes))
    per_class = [[0] * folds for _ in range(int(labels.max()) + 1)]
    totals = [0] * folds
    fold_of = np.empty(len(sizes), dtype=np.int64)
    for group in drawn[np.argsort(-sizes[drawn], kind="stable")].tolist():
        own = per_class[commonest[group]]
        chosen = min(range(folds), key=lambda f: (own[f], totals[f]))
        own[chosen] += int(sizes[group])
        totals[chosen] += int(sizes[group])
        fold_of[group] = chosen
    return fold_of[groups]


class _Probe:
    """Logistic regression without one fold, asked of that fold."""

    def __init__(
        self, inputs: NDArray[np.float32], labels: Labels, k: int, train: NDArray[np.intp], held: NDArray[np.intp]
    ) -> None:
        from sklearn.linear_model import LogisticRegression

        self.inputs, self.labels, self.k, self.train, self.held = inputs, labels, k, train, held
        self.classes = np.unique(labels[train])
        self.model = LogisticRegression(max_iter=STEPS, warm_start=True)

    def answers(self, strength: float) -> Floats:
        """Probabilities of the held-out samples at a strength, shape (m, k)."""
        from sklearn.exceptions import ConvergenceWarning

        found = np.zeros((len(self.held), self.k))
        if len(self.classes) == 1:
            found[:, self.classes[0]] = 1
            return found
        self.model.C = strength
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # nearly there is good enough
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # they are classes
            self.model.fit(self.inputs[self.train], self.labels[self.train])
        found[:, self.classes] = self.model.predict_proba(self.inputs[self.held]).astype(np.float64)
        found /= found.sum(1, keepdims=True)
        return found


def _choose(models: Sequence[_Probe], labels: Labels) -> tuple[float, list[Floats]]:
    """The strength of least log loss, and the models' answers at it."""
    best, least, answers = STRENGTHS[0], np.inf, list[Floats]()
    for strength in STRENGTHS:
        found = [model.answers(strength) for model in models]
        of_given = np.concatenate([a[np.arange(len(a)), labels[m.held]] for a, m in zip(found, models, strict=True)])
        loss = -float(np.log(np.maximum(of_given, LEAST)).mean())
        if loss >= least:
            break
        best, least, answers = strength, loss, found
    return best, answers
