"""Fitting: many classifiers of scikit-learn on random subsets of a variant, in blocks as ``retraining`` leaves them.

No torch here, so that a worker starts in the time that scikit-learn takes.
"""

import logging
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.inputs import IMAGE_DIMENSIONS, in_memory
from noisybench.data.source import Source, check_unchanged
from noisybench.ground.arrays import Features, Floats, Labels
from noisybench.ground.checks import check_room, unknown, whole
from noisybench.ground.engine import Progress, check_sendable
from noisybench.ground.errors import BadUsage, TrainingFailed, UnknownName
from noisybench.ground.random_streams import derive
from noisybench.ground.version import __version__
from noisybench.memorization.block_tasks import BlockTask, Retraining, fill_pool
from noisybench.memorization.closed_form import digest_of_features
from noisybench.memorization.fitted_plan import FittedPlan
from noisybench.memorization.pool import BLOCK, PURPOSES, Block, Purpose, class_type, write_block
from noisybench.memorization.subsets import check_fraction, group_size, subsets
from noisybench.memorization.tested_blocks import digest_of_asked, tested_beside, write_tested
from noisybench.variants.variant import Variant, check_source

if TYPE_CHECKING:
    from noisybench.training.machine import Machine

log = logging.getLogger("noisybench")

LEAST_PROBABILITY = 1e-6
"""Probability below which none counts in a margin: of no tree's leaf or neighbour, it would be minus infinity."""


def fit_subsets(
    source: Source,
    variant: Variant,
    learner: FittedPlan,
    folder: str | Path,
    *,
    models: int = 500,
    seed: int = 0,
    purpose: Purpose = "truth",
    features: Features | None = None,
    ask_test: bool = False,
    machine: "Machine",
    progress: Progress = lambda: None,
) -> Retraining:
    """Fit classifiers to random subsets of the variant and leave what they say of every sample in ``folder``.

    As ``retrain``, with the same subsets: classifier i depends on the learner, the labels, the seed, the purpose and i
    alone. It sees inputs or features as networks do: flattened, each column, or each channel of images, with mean 0 and
    deviation 1 over all samples. A class that is not in its subset has probability 0. A margin is the difference of two
    log-probabilities, none counted below ``LEAST_PROBABILITY``: of a softmax, the same number as that of logits.

    Args:
        source: The inputs; its labels are not used.
        variant: The labels to fit and to be asked for.
        learner: Classifier and fraction.
        folder: Of this pool alone.
        models: How many.
        seed: Decides every subset and whatever a classifier draws.
        purpose: ``truth`` or ``detector``.
        features: What the classifiers see in place of the inputs, shape (n, d), where the learner says so.
        ask_test: Ask each about the test set as well, and leave that beside the blocks, which stay the same.
        machine: Its workers, with a block at a time and one thread each, and its shard of the blocks.
        progress: Called after each model.

    Raises:
        BadUsage: A number or a purpose that cannot be meant, inputs that are read lazily, or no test set to ask about.
        BadData: The folder holds models that were made differently, or another process works on it.
        Mismatch: The variant was made from another source.
        TrainingFailed: A classifier cannot be fitted, or gives no probabilities.
        Unfinished: The blocks of the machine's shard are there, and others are not.
    """
    check_source(source, variant)
    check_unchanged(source)
    models, seed = whole(models, "models", least=2), whole(seed, "seed", least=0)
    if purpose not in PURPOSES:
        raise UnknownName(unknown(purpose, PURPOSES, "purpose of a pool"))
    check_fraction(learner.fraction, int((~variant.dropped).sum()))
    check_room(len(variant.labels), variant.num_classes, "an answer for each class", "take fewer samples")
    seen = _seen(source, learner, features)
    tested = digest_of_asked(source, learner.features) if ask_test else None
    rows, tests = _normalised(seen, in_memory(source.test_inputs, "a test set") if ask_test else None)
    record = _record(variant, learner, features, purpose=purpose, seed=seed)
    if machine.runner.sends and models > 1:
        check_sendable(learner.how.make, f"model '{learner.how.name}'")
    shared = _Shared(rows, tests, variant, learner, record, tested)
    how: dict[str, Any] = {"models": models, "machine": machine, "tested": tested, "progress": progress}
    return fill_pool(_fit_block, shared, Path(folder), variant, record, **how)


def _seen(source: Source, learner: FittedPlan, features: Features | None) -> NDArray[Any]:
    """What the classifiers see of every sample, as it was read.

    Raises:
        BadUsage: The learner is on other inputs, the features are of more or fewer samples, or inputs are read lazily.
    """
    if (features is None) != (learner.features == "input"):
        msg = f"the learner is one on '{learner.features}'; give features with any learner that is not on 'input'"
        raise BadUsage(msg)
    if features is None:
        return in_memory(source.inputs, f"model '{learner.how.name}'")
    if len(features) != len(source.labels):
        msg = f"there are {len(features)} rows of features for {len(source.labels)} samples; expected one each"
        raise BadUsage(msg)
    return features


def _normalised(inputs: NDArray[Any], tests: NDArray[Any] | None) -> tuple[Features, Features | None]:
    """Rows (n, d) float32 with mean 0 and deviation 1, and test rows (t, d) by the same moments; as ``Inputs`` does it."""
    axes = (0, 1, 2) if inputs.ndim == IMAGE_DIMENSIONS else (0,)
    mean = inputs.mean(axes, dtype=np.float64)
    deviation = inputs.std(axes, dtype=np.float64)
    scale = np.where(deviation > 0, deviation, 1.0).astype(np.float32)

    def rows(values: NDArray[Any]) -> Features:
        found: Features = values.astype(np.float32)
        found -= mean.astype(np.float32)
        found /= scale
        return found.reshape(len(found), -1)

    return rows(inputs), None if tests is None else rows(tests)


def _record(
    variant: Variant, learner: FittedPlan, features: Features | None, *, purpose: Purpose, seed: int
) -> dict[str, Any]:
    """Everything that decides the blocks of a pool, as JSON."""
    return {
        "variant_id": variant.provenance.variant_id,
        "learner": learner.learner.name,
        "purpose": purpose,
        "seed": seed,
        "group_size": group_size(learner.fraction) if learner.balanced else 1,
        "setup": {
            **learner.setup,
            "features_sha256": None if features is None else digest_of_features(features),
            "device": "cpu",
            "versions": {"noisybench": __version__, "numpy": np.__version__, **learner.how.versions},
        },
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """What every block needs."""

    rows: Features
    tests: Features | None
    variant: Variant
    learner: FittedPlan
    record: Mapping[str, Any]
    tested: str | None


def _fit_block(task: BlockTask, shared: _Shared, progress: Progress) -> None:
    """Fit the classifiers of a block, ask each about every sample, and write what they said."""
    from threadpoolctl import threadpool_limits

    variant, learner, record = shared.variant, shared.learner, shared.record
    n, k = len(variant.labels), variant.num_classes
    numbers = range(task.first, task.first + task.count)
    seed = derive(record["seed"], record["purpose"])
    included = subsets(
        numbers,
        n,
        learner.fraction,
        seed=seed,
        balanced=learner.balanced,
        dropped=variant.dropped,
        groups=variant.copies,
    )
    predictions: NDArray[Any] = np.zeros(included.shape, dtype=class_type(k))
    tested: NDArray[Any] = np.zeros(
        (len(included), 0 if shared.tests is None else len(shared.tests)), dtype=class_type(k)
    )
    margins, held_out = np.zeros(included.shape, dtype=np.float16), np.zeros((n, k))
    with threadpool_limits(1), warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        for row, number in enumerate(numbers):
            fitted = _Fitted(
                learner, shared.rows, variant, np.flatnonzero(included[row]), derive(seed, "model", number)
            )
            probabilities = fitted.ask(shared.rows)
            predictions[row] = probabilities.argmax(1)
            margins[row] = _margins(probabilities, variant.labels)
            left_out = ~included[row]
            held_out[left_out] += probabilities[left_out]
            if shared.tests is not None:
                tested[row] = fitted.ask(shared.tests).argmax(1)
            progress()
    _tell(learner.how.name, raised)
    own = {**record, "first": task.first, "models": task.count}
    if shared.tested is not None:  # before the block, which says that all of this is there
        write_tested(tested, {**own, "test_sha256": shared.tested}, tested_beside(task.path))
    write_block(Block(included, predictions, margins, held_out.astype(np.float32), own), task.path)


class _Fitted:
    """A classifier that was fitted to a subset: it counts the classes that are there, and is asked about all."""

    def __init__(
        self, learner: FittedPlan, rows: Features, variant: Variant, chosen: NDArray[np.intp], seed: int
    ) -> None:
        self._name, self._k = learner.how.name, variant.num_classes
        self._classes, labels = np.unique(variant.labels[chosen], return_inverse=True)
        try:
            self._model = learner.how.build(seed)
            self._model.fit(rows[chosen], labels)
        except Exception as error:  # whatever an estimator raises
            raise TrainingFailed(self._failed("cannot be fitted", error)) from error

    def ask(self, rows: Features) -> Floats:
        """Probability of each class, shape (b, k); 0 of a class that is not in the subset."""
        try:
            given = np.asarray(self._model.predict_proba(rows))
        except Exception as error:
            raise TrainingFailed(self._failed("cannot be asked for probabilities", error)) from error
        if given.shape != (len(rows), len(self._classes)) or not np.isfinite(given).all() or given.min(initial=0) < 0:
            msg = (
                f"model '{self._name}' gives {given.dtype} of shape {given.shape} for probabilities of {len(self._classes)} "
                f"classes; expected {(len(rows), len(self._classes))}, finite and none below 0"
            )
            raise TrainingFailed(msg)
        found = np.zeros((len(rows), self._k))
        found[:, self._classes] = given
        return found

    def _failed(self, what: str, error: Exception) -> str:
        reason = f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"
        return f"model '{self._name}' {what} on a random subset: {reason}"


def seconds_of_fit(
    source: Source, variant: Variant, learner: FittedPlan, features: Features | None, *, tests: int = 0, budget: float
) -> float:
    """Processor seconds of one classifier, fitted to a subset and asked about every sample: the mean of some.

    Args:
        source: See ``fit_subsets``, as the next three.
        variant: Whose labels.
        learner: Classifier and fraction.
        features: What it sees in place of the inputs.
        tests: Test samples that it is asked about as well, each as long as a training sample.
        budget: Seconds that the trial takes, about.
    """
    from threadpoolctl import threadpool_limits

    rows, _ = _normalised(_seen(source, learner, features), None)
    how: dict[str, Any] = {"balanced": learner.balanced, "dropped": variant.dropped, "groups": variant.copies}
    included = subsets(range(BLOCK), len(variant.labels), learner.fraction, seed=0, **how)
    seconds: list[float] = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while sum(seconds) < budget and len(seconds) < BLOCK:
            began = time.process_time()
            chosen = np.flatnonzero(included[len(seconds)])
            fitted = _Fitted(learner, rows, variant, chosen, len(seconds))
            made = time.process_time()
            fitted.ask(rows)
            asked = time.process_time() - made
            seconds.append(made - began + asked * (1 + tests / len(rows)))
    return float(np.mean(seconds[1:] or seconds))  # the first imports what it needs


def _margins(probabilities: Floats, labels: Labels) -> Floats:
    """Log-probability of the label minus the best other, shape (n,)."""
    rows = np.arange(len(labels))
    logs = np.log(np.maximum(probabilities, LEAST_PROBABILITY))
    given = logs[rows, labels]
    logs[rows, labels] = -np.inf
    best: Floats = logs.max(1)
    return given - best


def _tell(model: str, raised: list[warnings.WarningMessage]) -> None:
    """Say in one line what the classifiers of a block warned of most."""
    from sklearn.exceptions import ConvergenceWarning

    stopped = sum(issubclass(one.category, ConvergenceWarning) for one in raised)
    if stopped:
        log.warning(
            "%s did not converge in %d fits, and is asked as it is; more iterations may help (max_iter)", model, stopped
        )
