"""A probe: what every training sample is asked, and when."""

from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

from noisybench.training.asking import Batch

When = Literal["every_epoch", "with_curvature", "last_epoch"]
"""When a probe is asked: after every epoch; with curvature, which is asked after some; or after the last one alone."""
MOST_EPOCHS = 10**9
"""Epochs between two observations of a probe that is asked after the last one alone."""


class Probe(Protocol):
    """What a file of ``probes/`` gives: a batch → one value (b,) or one vector (b, k) per sample.

    A probe may say ``when`` it is asked; else it is after every epoch. One that must see all samples at once, or
    remembers what it saw of earlier epochs, is a ``Gathering``. It may leave further columns in ``Batch.beside``. One
    that costs more with more classes says ``passes_a_further_class``, those beyond the first. One that uses a pass of
    the ``Batch`` which others of the same epoch use too says which it ``shares``: name of the property → how many of
    its passes that is. One whose passes are forward alone says ``forward_only``. One that some models cannot be asked for
    another reason than a lack of features says ``may_refuse``, so that this is seen before a training.

    Attributes:
        name: Column of the trace.
        passes: Forward (and backward) passes over the training set per observation, beyond the shared logits.
        gradient: Whether it asks for more than logits, and so cannot be had from recorded training batches; one that
            asks for features, which come with the logits, needs no pass for them.
    """

    @property
    def name(self) -> str: ...
    @property
    def passes(self) -> float: ...
    @property
    def gradient(self) -> bool: ...
    def __call__(self, batch: Batch) -> Tensor: ...


def passes_of(probe: Probe, num_classes: int) -> float:
    """Passes over the training set that a probe takes at each of its observations, shared ones included."""
    return probe.passes + (num_classes - 1) * float(getattr(probe, "passes_a_further_class", 0.0))


@runtime_checkable
class Gathering(Probe, Protocol):
    """A probe whose column is made of its values of all samples, and of what it remembers of earlier epochs.

    One that needs all samples and no earlier epoch says ``remembers = False``: its column is then that of each epoch.
    """

    def gather(self, values: Tensor, labels: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The column of this epoch, shape (n,) or (n, k), and what to remember; None remembers nothing.

        A training writes the column of a probe that remembers after the last epoch alone, and keeps the memory in its
        checkpoint, so that it goes on with the same bytes. What was given as memory stays as it is.

        Args:
            values: What the probe gave in this epoch, shape (n, ...). It may be written over.
            labels: Given labels, shape (n,), int64.
            memory: What this returned after the epoch before, shape (n, ...); None at first.
        """
        ...
