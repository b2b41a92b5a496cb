"""Trials: a few subset models that are trained and thrown away, and what else of a pool is timed on a part of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import Bools, Features
from noisybench.memorization.estimate import estimate_from
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import BLOCK, Pool
from noisybench.memorization.retraining import Tried, try_models
from noisybench.memorization.stacking import stacks_perceptrons
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.memorization.subsets import check_fraction
from noisybench.runs.pool_run import NEIGHBOURS, where_to_look
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.training.machine import limited_threads
from noisybench.variants.variant import Variant

BUDGET = 1.0
"""Seconds that a trial takes at least, unless the whole thing takes less: shorter ones are told apart by chance."""
GROWTH = 3
"""How many times more samples, and then epochs, the next trial has."""
NEIGHBOURING = 1_500
"""Samples of whose neighbours the time of looking for all is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What is trained and thrown away.

    Attributes:
        source: See ``retrain``, as the next three.
        variant: Whose labels.
        learner: What is trained.
        features: What the models see in place of the inputs.
        device: Where; a GPU's time is that of the clock, a CPU's that of the processor.
        together: Models at a time by ``torch.func``.
        tests: Test samples that each model is asked about as well.
    """

    source: Source
    variant: Variant
    learner: SubsetPlan
    features: Features | None
    device: str
    together: int
    tests: int = 0

    @property
    def clock(self) -> Callable[[], float]:
        return time.process_time if self.device == "cpu" else time.perf_counter

    @property
    def is_stacked(self) -> bool:
        """Whether models would be trained several at a time, in either way."""
        seen = self.source if self.features is None else replace(self.source, inputs=self.features)
        return self.together > 1 or stacks_perceptrons(seen, self.learner.plan)

    def seconds_of_model(self, *, alone: bool) -> float:
        """Seconds of one model from its first weights to the end of its answers.

        Two trainings are timed, a short one and one that takes long enough: what the second takes beyond the first is the
        time of further steps, without any beginning.
        """
        count = 1 if alone or not self.is_stacked else self.together if self.together > 1 else BLOCK
        whole, recipe = self._subset, self.learner.plan.recipe
        few = min(whole, recipe.batch_size)
        self._try(1, 2, 1, alone=alone)  # torch imports its optimisers with the first one
        short = self._try(count, few, 1, alone=alone)
        longer, epochs, found = few, 1, short
        while found.training - short.training < BUDGET and (longer < whole or epochs < recipe.epochs):
            epochs = min(recipe.epochs, GROWTH * epochs) if longer == whole else epochs
            longer = min(whole, GROWTH * longer)
            found = self._try(count, longer, epochs, alone=alone)
        further = longer * epochs - few
        each = max(found.training - short.training, 0.0) / further if further else short.training / few
        beginning = max(short.training - few * each, 0.0)
        asked = found.asking / longer * (len(self.variant.labels) + self.tests)
        return (beginning + each * whole * recipe.epochs) / count + asked

    @property
    def _subset(self) -> int:
        """Samples that a model is trained on."""
        return check_fraction(self.learner.fraction, int((~self.variant.dropped).sum()))

    def _try(self, count: int, samples: int, epochs: int, *, alone: bool) -> Tried:
        """Some models on so many samples each, as far apart as those of a subset are."""
        n, plan = len(self.variant.labels), self.learner.plan
        kept = np.flatnonzero(~self.variant.dropped)
        included: Bools = np.zeros((count, n), dtype=np.bool_)
        included[:, kept[np.linspace(0, len(kept) - 1, samples).astype(np.int64)]] = True
        short = replace(self.learner, plan=replace(plan, recipe=replace(plan.recipe, epochs=epochs)))
        return try_models(
            self.source,
            self.variant,
            short,
            included,
            features=self.features,
            device=self.device,
            together=self.together if self.together > 1 and not alone else None,
            alone=alone,
            clock=self.clock,
        )


def seconds_of_estimate(variant: Variant, models: int) -> float:
    """Processor seconds of reading a pool, of the estimate and of that of both halves, from the estimate of some models."""
    n, rows = len(variant.labels), 10
    included: Bools = np.zeros((rows, n), dtype=np.bool_)
    included[::2] = True
    pool = Pool(
        included=included,
        predictions=np.zeros(included.shape, dtype=np.uint8),
        margins=np.zeros(included.shape, dtype=np.float16),
        held_out=np.zeros((n, 0), dtype=np.float32),
        groups=np.zeros(rows, dtype=np.int64),
        learner=Learner("", "", 0, "", "", 0.5, balanced=True),
        purpose="truth",
        seed=0,
        variant_id=variant.provenance.variant_id,
    )
    began = time.process_time()
    estimate_from(pool, variant, np.ones(rows, dtype=np.bool_))
    return 3 * (time.process_time() - began) * models / rows


def seconds_of_neighbours(source: Source, variant: Variant, features: Features | None, threads: int) -> float:
    """Processor seconds of looking for the neighbours of every sample, from those of some: they grow with the square."""
    near = where_to_look(source, features)
    if near is None:
        return 0.0
    rows = np.arange(min(NEIGHBOURING, len(near)))
    with limited_threads(threads):
        began = time.process_time()
        neighbour_labels(near[rows], variant.labels[rows], variant.num_classes, min(NEIGHBOURS, len(rows) - 1))
        return (time.process_time() - began) * (len(near) / len(rows)) ** 2
