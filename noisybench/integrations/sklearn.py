"""scikit-learn: a classifier that also says which of the labels it was fitted on are probably wrong."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from noisybench.ground.arrays import Floats, Labels
from noisybench.runs.features_run import group_numbers
from noisybench.statistics.consensus import consensus, disagreeing
from noisybench.statistics.grouping import find_groups
from noisybench.statistics.linear_probe import STEPS, held_out_probabilities
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.statistics.ridge import leave_one_out_ridge


class MislabelDetector(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Suspicious labels of a training set, and a classifier fitted on it: X (n, d) and y (n,).

    Three kinds of evidence are put together, each of models or samples that do not know the label in question:
    leave-one-out ridge regression, held-out logistic regression, and the labels of the nearest neighbours by cosine; see
    the detector ``feature_consensus``. Near duplicates do not vouch for each other. All three look at directions from the
    mean of X, so columns of different units want a ``StandardScaler`` before this.

    ``predict`` answers new samples by logistic regression on all labels, the suspicious ones included.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> wrong = y[:300].copy()
    >>> wrong[7] = 2
    >>> found = MislabelDetector().fit(X[:300], wrong)
    >>> int(found.suspicion_.argmax()), bool(found.suspects_[7]), int(found.suggested_[7]), int(y[7])
    (7, True, 7, 7)

    Attributes:
        suspicion_: Mean of three scaled margins against the label, shape (n,); higher is more likely mislabeled, above 0
            another class is likelier. No probability.
        suspects_: Whether a label disagrees with the evidence (see ``statistics.consensus``), shape (n,). Their number is
            no estimate of how many labels are wrong: where classes overlap, right labels disagree too.
        suggested_: The likeliest class other than the label by held-out logistic regression, shape (n,), of the type of y.
        held_out_probabilities_: Of models that saw neither a sample nor its group, shape (n, k), columns as ``classes_``.
        groups_: Number of each sample's group, shape (n,): near duplicates, and those that were given to ``fit``.
        classes_: The classes of y, in order, shape (k,).
        n_features_in_: Columns of X.
        feature_names_in_: Their names, where X has names.
    """

    def __init__(self, *, folds: int = 5, n_neighbors: int = 20, random_state: Any = 0) -> None:  # noqa: ANN401 - whatever scikit-learn takes
        """Set what decides the evidence.

        Args:
            folds: Parts of the held-out logistic regression.
            n_neighbors: Neighbours that are asked; fewer where there are fewer other samples.
            random_state: Of the folds: a seed, a ``RandomState``, or None for other folds each time.
        """
        self.folds = folds
        self.n_neighbors = n_neighbors
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> "MislabelDetector":  # noqa: ANN401, N803 - scikit-learn's own
        """Find the suspicious labels, and fit the classifier.

        Args:
            X: Shape (n, d), numbers.
            y: Labels, shape (n,): whole numbers or texts, at least two classes.
            groups: What belongs together and is therefore no evidence for each other, such as the patient of a picture,
                shape (n,). None, NaN and the empty text are groups of their own.

        Raises:
            ValueError: Inputs that are not finite numbers, fewer than two samples or classes, or quantities as labels.
        """
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], ensure_min_samples=2)  # noqa: N806
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        labels: Labels = codes.astype(np.int64)
        k, n = len(self.classes_), len(labels)
        if k == 1:
            msg = f"y has one class, {self.classes_[0]}; expected at least two, one of which may be wrong"
            raise ValueError(msg)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        own = None if groups is None else group_numbers(groups, n)
        self.groups_ = find_groups(X, own)
        held_out = held_out_probabilities(X, labels, k, groups=self.groups_, folds=self.folds, seed=seed)
        ridge = leave_one_out_ridge(X, labels, k, groups=self.groups_)
        nearest = min(self.n_neighbors, n - 1)
        shares = neighbour_labels(X, labels, k, nearest, groups=self.groups_)
        self.held_out_probabilities_ = held_out.probabilities
        self.suspicion_ = consensus(labels, ridge.answers, held_out.probabilities, shares)
        self.suspects_ = disagreeing(self.suspicion_)
        others = held_out.probabilities.copy()
        others[np.arange(n), labels] = -1
        self.suggested_ = self.classes_[others.argmax(1)]
        self._mean = X.mean(axis=0, dtype=np.float64)
        self._model = LogisticRegression(C=held_out.strength, max_iter=STEPS).fit(self._directions(X), labels)
        return self

    def predict_proba(self, X: Any) -> Floats:  # noqa: ANN401, N803
        """Probabilities of each of ``classes_`` for new samples: (m, d) → (m, k)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)  # noqa: N806
        return self._model.predict_proba(self._directions(X))

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: ANN401, N803
        """Classes of new samples: (m, d) → (m,)."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)]

    def _directions(self, X: NDArray[Any]) -> Floats:  # noqa: N803
        """Unit vectors from the mean of the training set, as the evidence has them: (m, d) → (m, d)."""
        centred = X.astype(np.float64) - self._mean
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        directions: Floats = centred / np.where(lengths > 0, lengths, 1)
        return directions
