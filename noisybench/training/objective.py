"""The objective: what a training minimises, what it keeps of each sample, and what it leaves beside a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from noisybench.ground.checks import check_choice, check_kind
from noisybench.ground.digests import code_of
from noisybench.ground.errors import BadUsage, TrainingFailed
from noisybench.ground.lookup import HOMES, find
from noisybench.ground.options import parse_options, plain_options
from noisybench.training.asking import Batch
from noisybench.training.probe import Probe, When

State = dict[str, Tensor]
"""Named tensors of an objective. They are all that it keeps from one step to the next, and stand in the checkpoint."""
Knowledge = Literal["nothing", "rate", "transition"]
"""What an objective is told of the truth: nothing, the rate of wrong labels, or their transition matrix."""
BY_PRODUCTS: Mapping[str, When] = {"objective.target": "last_epoch", "objective.indicator": "every_epoch"}
"""Column of a trace that an objective may leave → when it is written: the target (n, k) that it has estimated in place of
the given labels, and how far it trusts each given label (n,), from 0 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What an objective is told before the first step.

    Attributes:
        labels: Given labels of the training, shape (n,), int64.
        num_classes: Classes of the model (k).
        epochs: Of the training.
        rows: Samples that are trained on, ascending, shape (m,).
        transition: T[i, j] = P(given j | clean i), shape (k, k), float32; None of an objective that does not know it.
        rate: True share of wrong labels; None of an objective that does not know it.
    """

    labels: Tensor
    num_classes: int
    epochs: int
    rows: Tensor
    transition: Tensor | None = None
    rate: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One batch of a training.

    Attributes:
        logits: Of the batch, shape (b, k), float32, with gradient.
        labels: Given labels, shape (b,), int64.
        chosen: Numbers of the samples, shape (b,).
        epoch: From 1.
        state: Of the objective; it may be written over in place.
        task: What the objective was told before the first step.
        generator: Of the objective's own draws in this epoch, on the CPU.
        ask: Numbers of other samples (m,) → their logits (m, k), float32, with gradient, in train mode and augmented.
        branch: What the added branch gives for the batch, float32, with gradient; None without one.
    """

    logits: Tensor
    labels: Tensor
    chosen: Tensor
    epoch: int
    state: State
    task: Task
    generator: torch.Generator
    ask: Callable[[Tensor], Tensor]
    branch: Tensor | None = None

    @property
    def done(self) -> float:
        """Share of the training that is over before this epoch: 0 in the first."""
        return (self.epoch - 1) / self.task.epochs


class Objective:
    """What a file of ``objectives/`` gives: a frozen dataclass whose fields are its options.

    Only ``loss`` must be written. What an objective keeps from one step to the next is its ``State``, and nothing else:
    so a run that was stopped goes on with the same bytes.

    Attributes:
        source: Where the definition stands.
        leaves: Which of ``BY_PRODUCTS`` it leaves.
    """

    source: ClassVar[str]
    leaves: ClassVar[tuple[str, ...]] = ()

    @property
    def knows(self) -> Knowledge:
        """What it must be told of the truth."""
        return "nothing"

    def branch(self, features: int) -> nn.Module | None:  # noqa: ARG002 - of those that add one
        """What is added to the model: fed the features of the last linear layer, shape (b, features)."""
        return None

    def start(self, task: Task) -> State:  # noqa: ARG002 - of those that keep something
        """What it keeps, before the first step."""
        return {}

    def loss(self, step: Step) -> Tensor:
        """What is minimised: a scalar, the mean over the batch."""
        raise NotImplementedError

    def after_backward(self, parameters: Sequence[nn.Parameter], task: Task, epoch: int) -> None:
        """Change gradients before the optimiser's step."""

    def end_epoch(self, state: State, task: Task, epoch: int, probabilities: Callable[[], Tensor]) -> None:
        """Change the state after an epoch.

        Args:
            state: To be written over in place.
            task: What the objective was told before the first step.
            epoch: That has ended, from 1.
            probabilities: Asks the model about every sample, un-augmented and in eval mode: shape (n, k), no gradient.
        """

    def by_products(self, state: State, task: Task) -> Mapping[str, Tensor]:  # noqa: ARG002 - of those that leave some
        """The columns that it leaves, after an epoch: name → (n,) or (n, k)."""
        return {}


@dataclass(frozen=True, slots=True)
class ByProduct:
    """The probe of a column that an objective leaves: it asks the objective, and not the model.

    Attributes:
        name: Of the column.
        when: It is written.
        read: The column of all samples as it is now; None where nobody trains.
        passes: Over the training set: none.
        gradient: Whether it asks for more than logits: no.
    """

    name: str
    when: When
    read: Callable[[], Tensor] | None = None
    passes: float = 0
    gradient: bool = False

    def __call__(self, batch: Batch) -> Tensor:
        """The rows of the batch.

        Raises:
            BadUsage: Nobody trains, so that there is no objective to ask.
        """
        if self.read is None:
            msg = f"column '{self.name}' is left by an objective in 'evaluate --objective', and no model can be asked for it"
            raise BadUsage(msg)
        return self.read()[batch.start : batch.start + len(batch.labels)].detach()


def by_product(name: str) -> Probe:
    """The probe of a column of ``BY_PRODUCTS``."""
    return ByProduct(name, BY_PRODUCTS[name])


def able_to_read(probes: Sequence[Probe], objective: Objective, state: State, task: Task) -> list[Probe]:
    """The probes, those of by-products able to ask an objective.

    Raises:
        BadUsage: One is of a column that the objective does not leave.
    """
    able: list[Probe] = []
    for probe in probes:
        if isinstance(probe, ByProduct):
            if probe.name not in objective.leaves:
                msg = f"column '{probe.name}' is not left by {type(objective).__name__}; train with an objective that leaves it"
                raise BadUsage(msg)
            able.append(replace(probe, read=partial(_by_product, objective, state, task, probe.name)))
        else:
            able.append(probe)
    return able


def _by_product(objective: Objective, state: State, task: Task, name: str) -> Tensor:
    """A column of all samples.

    Raises:
        TrainingFailed: The objective does not give it, or in another shape.
    """
    left = objective.by_products(state, task)
    column = left.get(name) if isinstance(left, Mapping) else None
    n = len(task.labels)
    expected = (n,) if BY_PRODUCTS[name] == "every_epoch" else (n, task.num_classes)
    if not isinstance(column, Tensor) or column.shape != expected:
        given = f"a tensor of shape {(*column.shape,)}" if isinstance(column, Tensor) else f"a {type(column).__name__}"
        msg = f"by_products of {objective!r} gave {given} as '{name}', expected a tensor of shape {expected}"
        raise TrainingFailed(msg)
    return column


@dataclass(frozen=True, slots=True)
class NamedObjective:
    """An objective and what it was found by.

    Attributes:
        name: Of a file of ``objectives/``, or ``package.module:attribute``.
        objective: With its options.
        code: Digest of the file that one of the user's own stands in.
    """

    name: str
    objective: Objective
    code: str | None = None

    @property
    def is_default(self) -> bool:
        """Whether it is cross-entropy, which no digest and no record names."""
        return self.name == CROSS_ENTROPY

    @property
    def options(self) -> dict[str, str | int | float | bool]:
        """Every option, for JSON."""
        return plain_options(self.objective)

    @property
    def words(self) -> str:
        """Name, and the options that are not at their default: ``elr(strength=1)``. Empty of cross-entropy."""
        if self.is_default:
            return ""
        given: dict[str, Any] = self.options
        defaults = {field.name: field.default for field in fields(self.objective)}  # type: ignore[arg-type]
        said = ", ".join(f"{name}={_short(value)}" for name, value in given.items() if value != defaults[name])
        return f"{self.name}({said})" if said else self.name

    @property
    def digested(self) -> dict[str, Any]:
        """What of it a digest holds: nothing of cross-entropy, so that a folder of an earlier version keeps its name."""
        return {} if self.is_default else {"objective": self.words, "objective_code": self.code}

    @property
    def recorded(self) -> dict[str, Any]:
        """Its fields of a run's record: None of cross-entropy."""
        if self.is_default:
            return {}
        return {
            "objective": self.words,
            "objective_options": self.options,
            "objective_knows": self.objective.knows,
        }


CROSS_ENTROPY = "cross_entropy"
"""Name of the objective of a training that is told none."""


def plain_objective() -> Objective:
    """What a training minimises that is told no objective."""
    return choose_objective(CROSS_ENTROPY).objective


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def choose_objective(objective: "str | Objective", options: Mapping[str, str] | None = None) -> NamedObjective:
    """The objective of a name, with options as text; or one that was made, named.

    Raises:
        UnknownName: No such objective or option.
        BadUsage: A value that cannot be meant, an item of the user's own that is no objective, or options of one that was
            made already.
    """
    if isinstance(objective, Objective):
        if options:
            msg = f"options are for an objective by name, got {objective!r} with {', '.join(options)}"
            raise BadUsage(msg)
        kind = type(objective)
        module, name = kind.__module__, kind.__qualname__
        home = f"{HOMES['objectives']}."
        own = module.removeprefix(home) if module.startswith(home) else f"{module}:{name}"
        _check_declared(own, objective)
        return NamedObjective(own, objective, code_of(kind))
    check_kind(objective, str, "objective", "give the name of one, such as 'elr', or an Objective")
    kind = find("objectives", objective)
    made = parse_options(kind, options or {}, what=f"objective '{objective}'")
    if not isinstance(made, Objective):
        msg = f"objective '{objective}' must be a frozen dataclass derived from noisybench.Objective; docs/objectives.md shows one"
        raise BadUsage(msg)
    _check_declared(objective, made)
    return NamedObjective(objective, made, code_of(kind))


def _check_declared(name: str, objective: Objective) -> None:
    """Raise ``BadUsage`` for an objective that declares what there is not, or has options that no record holds."""
    what = f"objective '{name}'"
    declared: Any = getattr(type(objective), "__dataclass_params__", None)  # None of one that is no dataclass
    if declared is None or not declared.frozen:
        msg = f"{what} must be a frozen dataclass, whose options stay as they are; say @dataclass(frozen=True)"
        raise BadUsage(msg)
    if not isinstance(objective.leaves, tuple) or {*objective.leaves} - {*BY_PRODUCTS}:
        msg = f"{what} leaves {objective.leaves!r}; expected a tuple of some of {', '.join(BY_PRODUCTS)}"
        raise BadUsage(msg)
    check_choice(objective.knows, f"knows of {what}", get_args(Knowledge))
    options: dict[str, Any] = plain_options(objective)  # of one of the user's own, anything
    for option, value in options.items():
        if not isinstance(value, str | int | float | bool):
            msg = f"option '{option}' of {what} is {value!r}; expected a number, a text, or true or false"
            raise BadUsage(msg)
