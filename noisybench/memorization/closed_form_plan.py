"""Planning what is solved again in closed form: ridge regression, kernel ridge regression, or Nyström's approximation.

Features lose their mean over all samples and get length one, and the penalty, the kernel's width and the landmarks are
fixed, all beforehand. Where a sample is left out, the weights and the bias, which is not penalised, are fitted again, and
nothing else. No torch here.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from noisybench.data.extraction import choose_features, features_of
from noisybench.data.source import Source
from noisybench.ground.arrays import Bools, Features, Floats
from noisybench.ground.checks import check_choice, check_kind, unknown, whole
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.ground.files import file_name
from noisybench.ground.options import parse_options, plain_options
from noisybench.ground.random_streams import permutation
from noisybench.memorization.learner import CLOSED_FORM, ESTIMANDS, Estimand, Learner, learner_of_setup
from noisybench.statistics.refits import (
    Fit,
    check_exact,
    check_penalty,
    check_width,
    fit_kernel_ridge,
    fit_nystrom,
    fit_ridge,
)
from noisybench.statistics.spectrum import MOST_SIDE

PENALTY = 3.0
"""Penalty λ of ridge regression: the middle one of ``ridge.PENALTIES``, which were chosen on ``consensus.TUNING_SETS``."""
KERNEL_PENALTY, WIDTH = 0.3, 0.5
"""Penalty and width of the Gaussian kernel, rows being of length one: of a grid those that fit 99 % of the wrong labels of
the median set of ``consensus.TUNING_SETS``, and of these the pair that answers most given labels without the sample;
``tests/benchmarks/closed_form.py`` chose them."""
CHOSEN_ON = "noisybench.statistics.consensus.TUNING_SETS"
"""Where the defaults were chosen, as records say it: sets of which no other figure is reported."""


@dataclass(frozen=True, slots=True)
class Ridge:
    """Ridge regression on the features.

    Attributes:
        penalty: λ, at least 1e-6.
    """

    penalty: float = PENALTY

    def check(self, _: int) -> None:
        """Raise ``BadUsage`` for what cannot be meant of so many samples."""
        check_penalty(self.penalty)

    def fit(self, units: Floats, _: Bools) -> Fit:
        """The fit on rows (n, d), which are overwritten."""
        return fit_ridge(units, self.penalty)


@dataclass(frozen=True, slots=True)
class KernelRidge:
    """Kernel ridge regression, exactly, of up to ``refits.MOST_EXACT`` samples.

    Attributes:
        penalty: λ, at least 1e-6.
        width: Of the Gaussian kernel exp(-‖u - v‖² / (2 width²)), above 0; None takes the linear kernel.
    """

    penalty: float = KERNEL_PENALTY
    width: float | None = WIDTH

    def check(self, n: int) -> None:
        """Raise ``BadUsage`` for what cannot be meant of so many samples."""
        check_penalty(self.penalty)
        check_width(self.width)
        check_exact(n)

    def fit(self, units: Floats, _: Bools) -> Fit:
        """The fit on rows (n, d)."""
        return fit_kernel_ridge(units, self.penalty, self.width)


@dataclass(frozen=True, slots=True)
class KernelRidgeNystrom:
    """Nyström's approximation of kernel ridge regression, of any number of samples.

    Attributes:
        penalty: See ``KernelRidge``.
        width: See ``KernelRidge``.
        landmarks: Samples that the kernel is described by; of fewer samples, all, and it is no approximation then.
        landmark_seed: Decides which.
    """

    penalty: float = KERNEL_PENALTY
    width: float | None = WIDTH
    landmarks: int = 2_000
    landmark_seed: int = 0

    def check(self, _: int) -> None:
        """Raise ``BadUsage`` for what cannot be meant."""
        check_penalty(self.penalty)
        check_width(self.width)
        if whole(self.landmarks, "landmarks", least=1) > MOST_SIDE:
            msg = f"landmarks must be at most {MOST_SIDE}, got {self.landmarks}: as large a matrix is decomposed"
            raise BadUsage(msg)
        whole(self.landmark_seed, "landmark_seed", least=0)

    def fit(self, units: Floats, kept: Bools) -> Fit:
        """The fit on rows (n, d), of landmarks among the kept ones (n,)."""
        order = permutation(self.landmark_seed, "landmarks", int(kept.sum()))
        return fit_nystrom(units, self.penalty, self.width, np.flatnonzero(kept)[order[: self.landmarks]])


Solved: TypeAlias = Ridge | KernelRidge | KernelRidgeNystrom
MODELS: Mapping[str, type[Solved]] = {
    "ridge": Ridge, "kernel_ridge": KernelRidge, "kernel_ridge_nystrom": KernelRidgeNystrom
}  # fmt: skip
"""Name of a model → its options."""


@dataclass(frozen=True, slots=True)
class ClosedFormPlan:
    """What is solved again without samples.

    Attributes:
        how: The model and its options.
        features: What it sees, in one word: ``input``, or the name of features.
        estimand: What is called memorization, see ``Estimand``: ``leave_one_out`` is Feldman and Zhang's own of a learner
            that draws nothing, 1[argmax f = label] - 1[argmax f without the sample = label], of -1, 0 and 1;
            ``leave_one_out_margin`` is f - f without the sample, at the label, which is leverage × (1 - f without the
            sample); ``subsets`` is the mean over refits on random subsets, with its error.
        fraction: Share of the samples in each random subset; of ``subsets`` alone, as the next.
        balanced: Whether every sample is left out equally often.
    """

    how: Solved = Ridge()
    features: str = "input"
    estimand: Estimand = "leave_one_out"
    fraction: float = 0.7
    balanced: bool = True

    def __post_init__(self) -> None:
        check_kind(self.how, tuple(MODELS.values()), "how", "Ridge(penalty=3.0) is one")
        check_choice(self.estimand, "estimand", ESTIMANDS)

    @property
    def model(self) -> str:
        """Name of the model."""
        return next(name for name, kind in MODELS.items() if isinstance(self.how, kind))

    @property
    def learner(self) -> Learner:
        """Whose memorization is measured."""
        return learner_of_setup(self.setup)

    @property
    def setup(self) -> dict[str, Any]:
        """Everything that decides the measurement but labels, features and the seed of subsets."""
        of_subsets = {"fraction": self.fraction, "balanced": self.balanced} if self.estimand == "subsets" else {}
        return {
            "model": self.model,
            "recipe": CLOSED_FORM,
            "estimand": self.estimand,
            "options": _options(self.how),
            "features": self.features,
            **of_subsets,
        }

    @property
    def chosen(self) -> dict[str, str]:
        """Option that decides how closely labels are fitted → where it is from."""
        options = {field.name: field.default for field in fields(self.how) if field.name in ("penalty", "width")}
        return {name: CHOSEN_ON if getattr(self.how, name) == value else "given" for name, value in options.items()}

    def folder(self, *, seed: int = 0) -> str:
        """Name of the folder of its measurement, safe on every file system; the seed is that of subsets."""
        return folder_of_solved(self.setup, seed=seed)


def folder_of_solved(setup: Mapping[str, Any], *, seed: int) -> str:
    """Name of the folder of a measurement, from everything else that decides it."""
    of_seed = {"seed": seed} if setup["estimand"] == "subsets" else {}
    what = json.dumps({**setup, "purpose": "truth", **of_seed}, sort_keys=True)
    digest = hashlib.sha256(what.encode()).hexdigest()[:8]
    return f"{file_name(setup['model'])}-{setup['estimand']}-{file_name(setup['features'])}-truth-{digest}"


def plan_closed_form(
    source: Source,
    *,
    model: str = "ridge",
    features: str = "input",
    options: Mapping[str, str] | None = None,
    features_options: Mapping[str, str] | None = None,
    estimand: Estimand = "leave_one_out",
    fraction: float = 0.7,
    balanced: bool = True,
    device: str = "cpu",
    cache: str | Path | None = None,
) -> tuple[ClosedFormPlan, Features]:
    """What is solved again without samples, and the features that it sees, for ``memorize``.

    Args:
        source: What is regressed on.
        model: ``ridge``, ``kernel_ridge`` or ``kernel_ridge_nystrom``.
        features: ``input``, or what ``choose_features`` takes.
        options: Of the model, as text: ``penalty``; of kernels also ``width``; of Nyström's also ``landmarks`` and
            ``landmark_seed``.
        features_options: Of the features, as text.
        estimand: See ``ClosedFormPlan``, as are ``fraction`` and ``balanced``.
        fraction: Of the samples in each subset.
        balanced: Leave each sample out equally often.
        device: Of torch, for features that need it.
        cache: Folder in which features are kept.

    Raises:
        UnknownName: No such model, features or option.
        BadUsage: A value that cannot be meant, or more samples than the model takes.
    """
    check_kind(source, Source, "source", "load_source('digits') or source_from_arrays(…) gives one")
    check_kind(model, str, "model", f"say {', '.join(MODELS)}")
    check_kind(features, str, "features", "say 'input', or a name such as 'pca'")
    check_kind(options or {}, Mapping, "options", "give texts by name, as {'penalty': '1'}")
    if model not in MODELS:
        raise UnknownName(unknown(model, tuple(MODELS), "model in closed form"))
    how = parse_options(MODELS[model], options or {}, what=f"model '{model}'")
    how.check(len(source.labels))  # before features take their time
    if features == "input":
        if features_options:
            msg = "--features-set is for --features; 'input' has no options"
            raise BadUsage(msg)
        return ClosedFormPlan(how, "input", estimand, fraction, balanced), features_of(source, "input")
    chosen = choose_features(features, features_options)
    plan = ClosedFormPlan(how, chosen.word, estimand, fraction, balanced)
    return plan, features_of(source, chosen, device=device, cache=cache)


def _options(how: Solved) -> dict[str, Any]:
    """Options as records and digests hold them: a penalty of 3 is one of 3.0."""
    told = plain_options(how)
    return {name: float(value) if name in ("penalty", "width") else value for name, value in told.items()}
