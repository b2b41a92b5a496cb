"""The recorder: a trace collected from a training loop, noisybench's own or anyone's."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from noisybench.ground.arrays import Labels, as_labels, check_labels
from noisybench.ground.checks import whole
from noisybench.ground.digests import label_digest
from noisybench.ground.errors import BadUsage, Mismatch
from noisybench.ground.lookup import find
from noisybench.training.asking import check_logits
from noisybench.training.gathering import Memory, check_remembered, remembering, without
from noisybench.training.observing import observe
from noisybench.training.probe import Probe
from noisybench.training.ranks import ALONE, Ranks, Turns, check_repeats, ranks_here
from noisybench.training.sample_order import (
    SampleInputs,
    check_tally,
)
from noisybench.training.trace import Observation, Trace, epochs_observed, read_trace, stack, write_observation
from noisybench.variants.variant import Variant


class Recorder:
    """Collects a trace from a training loop: noisybench's own, or anyone's.

    After each epoch call ``observe``; or give every training batch's own logits to ``update`` and then call
    ``end_epoch``, which costs no extra pass and records what the published code of AUM and forgetting records.

    Of several processes that train one model (``torchrun``, ``accelerate launch``) each makes a recorder with
    ``across_ranks=True``, calls it alike and gives ``update`` the batches of its own. Each sample counts once: where a
    sampler repeats some to fill a last batch, the answer of the earliest batch counts, and of batches of one turn that of
    the lowest rank. The first rank alone writes files; an error that it meets is raised on all.

    >>> import numpy as np, torch
    >>> from noisybench import Recorder, build_variant, find, load_source, score
    >>> source = load_source("digits", limit=100)
    >>> variant = build_variant(source, find("noises", "symmetric")(rate=0.2), seed=0)
    >>> inputs = torch.tensor(source.inputs.astype(np.float32)).flatten(1) / 16
    >>> model = torch.nn.Linear(64, 10)
    >>> recorder = Recorder(variant, ["margin", "loss"])
    >>> for epoch in range(1, 3):
    ...     _ = recorder.observe(model, inputs, epoch=epoch)
    >>> score(recorder.trace(), find("detectors", "aum")).values.shape
    (100,)
    """

    def __init__(
        self,
        variant: Variant | Sequence[int] | NDArray[np.integer[Any]],
        probes: Sequence[Probe | str],
        *,
        num_classes: int | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        folder: str | Path | None = None,
        resume: bool = False,
        keep: bool = False,
        epochs: int | None = None,
        across_ranks: bool = False,
    ) -> None:
        """Start an empty trace.

        Args:
            variant: Whose labels the model is trained on; or these labels alone, shape (n,), whose trace can be scored,
                but stands for no variant.
            probes: What is asked; a name is that of a file of ``probes/``.
            num_classes: Logits of the model, where there are labels alone; None takes as many as it gives.
            seed: For probes that draw.
            device: Where the model and its inputs are; see ``to``.
            folder: Write each epoch there instead of keeping it in memory.
            resume: Go on with the trace that the folder holds; an epoch observed again takes the place of the old one,
                and later ones stay until they are.
            keep: Of an epoch observed again, keep the columns that are not asked for now.
            epochs: Epochs of the whole training, after the last of which alone the column of a probe that remembers is
                kept. None keeps it of the newest epoch in memory, and of every one in a folder.
            across_ranks: Put together what all processes of ``torch.distributed`` record; without any it is no matter.
                What probes remember is on the first alone.

        Raises:
            BadUsage: The seed is no whole number, a variant is given another number of classes, or the folder holds a trace already and nothing was said of resuming it.
            BadData: The labels are no classes.
            Mismatch: The folder holds a trace of another variant.
        """
        self._clean: Labels | None = None
        self._kept: Tensor | None = None
        if isinstance(variant, Variant):
            if num_classes not in (None, variant.num_classes):
                msg = f"the variant has {variant.num_classes} classes, got num_classes={num_classes}; leave it out"
                raise BadUsage(msg)
            num_classes, labels, self._clean = variant.num_classes, variant.labels, variant.clean
            self._variant_id = variant.provenance.variant_id
            if variant.dropped.any():
                self._kept = torch.tensor(np.flatnonzero(~variant.dropped), device=device)
        else:
            labels = as_labels(variant)
            most = int(labels.max(initial=0)) + 1 if num_classes is None else whole(num_classes, "num_classes", least=1)
            labels = check_labels(labels, most, what="labels")
            self._variant_id = label_digest(labels)
        self._num_classes = num_classes
        self.probes: list[Probe] = [find("probes", probe) if isinstance(probe, str) else probe for probe in probes]
        self.labels = torch.tensor(labels, device=device)
        self.seconds: dict[str, float] = {"logits": 0.0}
        self._seed = whole(seed, "seed", least=0)
        self._folder = None if folder is None else Path(folder)
        self._resume = resume
        self._keeps = keep
        self._epochs = epochs
        self.across_ranks = across_ranks
        self.memory: dict[str, Tensor | None] = {}
        self._last: dict[str, int] = {}  # probe → epoch
        self._found: set[int] = set()  # epochs of a trace that is gone on with, until they are observed again
        if self._folder is not None and any(self._folder.glob("epoch-*.parquet")):
            if not resume:
                msg = f"{folder} holds a trace already; give an empty folder, or say resume=True to go on with it"
                raise BadUsage(msg)
            if read_trace(self._folder).variant_id != self._variant_id:
                msg = f"{folder} holds a trace of another variant; give an empty folder"
                raise Mismatch(msg)
            self._found = {*epochs_observed(self._folder)}
        self._observations: list[Observation] = []
        self._logits: Tensor | None = None
        self._times = torch.zeros(len(self.labels) + 1, dtype=torch.int32, device=device)  # the last: of no sample
        self._turns: Turns | None = None

    def __repr__(self) -> str:
        names, last = ", ".join(probe.name for probe in self.probes), max(self._last.values(), default=0)
        return f"Recorder({names}; {len(self.labels)} samples, up to epoch {last}, labels {self._variant_id[:8]})"

    def to(self, device: torch.device | str) -> None:
        """Expect the model and its inputs on that device from now on."""
        self.labels, self._times = self.labels.to(device), self._times.to(device)
        self._logits = None if self._logits is None else self._logits.to(device)
        self._kept = None if self._kept is None else self._kept.to(device)
        self.memory = {name: None if kept is None else kept.to(device) for name, kept in self.memory.items()}

    def observe(
        self,
        model: nn.Module,
        inputs: SampleInputs,
        *,
        epoch: int,
        probes: Sequence[Probe] | None = None,
        learning_rate: float | None = None,
    ) -> Observation:
        """Ask the model about every sample after ``epoch`` epochs.

        Args:
            model: See ``noisybench.observe``.
            inputs: Of every sample, in order.
            epoch: Epochs trained so far.
            probes: Only these; default all.
            learning_rate: Of the optimizer at the end of the epoch; None takes 1 where a probe weighs epochs by it.

        Raises:
            BadUsage: The epoch was observed already, or a later one; or a probe remembers earlier epochs of a trace that
                is gone on with, which no trace holds.
            TrainingFailed: See ``noisybench.observe``.
        """
        asked = self.probes if probes is None else list(probes)
        self._check_epoch(epoch, asked)
        memory = dict(self.memory)
        ask = partial(self._ask, memory=memory, learning_rate=learning_rate, ranks=self._ranks())
        return self._keep(ask(model, inputs, epoch, asked), memory)

    def update(self, logits: Tensor, samples: Tensor) -> None:
        """Remember a training batch's logits (b, k) of the samples (b,); reduced once an epoch, by ``end_epoch``.

        Raises:
            BadUsage: The samples are no whole numbers of 0..n-1, one a row of logits, each once an epoch; across ranks
                some may be there again, no more than a batch of each rank. On an accelerator, which to ask would slow
                down, and of samples that are there again ``end_epoch`` says so instead.
        """
        n = len(self.labels)
        samples = torch.as_tensor(samples, device=self.labels.device)
        if samples.is_floating_point() or samples.dtype == torch.bool or samples.shape != logits.shape[:1]:
            msg = (
                f"samples must be whole numbers of 0..{n - 1}, one for each of {len(logits)} rows of logits, got "
                f"{samples.dtype} of shape {tuple(samples.shape)}"
            )
            raise BadUsage(msg)
        check_logits(logits, len(samples), self._num_classes or max(logits.shape[-1], int(self.labels.max()) + 1))
        self._num_classes = logits.shape[-1]
        if self._logits is None:
            self._logits = torch.zeros(n + 1, logits.shape[1], device=self.labels.device)
        places = torch.where((samples < 0) | (samples >= n), n, samples)
        self._times.index_add_(0, places, torch.ones_like(places, dtype=torch.int32))
        if self._times.device.type == "cpu" and self._is_refused(places):
            self._check_tally(self._times, samples)
        if self._ranks().world > 1:
            self._turns = self._turns or Turns(n, self.labels.device)
            places = self._turns.take(places)
        self._logits[places] = logits.detach().float()

    def end_epoch(
        self,
        *,
        epoch: int,
        model: nn.Module | None = None,
        inputs: SampleInputs = (),
        probes: Sequence[Probe] | None = None,
        learning_rate: float | None = None,
    ) -> Observation:
        """Turn the logits of ``update`` into the epoch's values.

        Args:
            epoch: Epochs trained so far.
            model: SampleInputs by the probes that need more than logits, in eval mode; None leaves those probes out.
            inputs: Un-augmented inputs for those probes.
            probes: Only these; default all.
            learning_rate: See ``observe``.

        Raises:
            BadUsage: A sample was in no batch of this epoch, in several, or is none; or the epoch was observed already, or a later one.
        """
        asked = self.probes if probes is None else list(probes)
        self._check_epoch(epoch, asked)
        ranks = self._ranks()
        times = self._times if ranks.world == 1 else self._merge(ranks)
        self._check_tally(times)
        missing = np.flatnonzero((times[:-1] == 0).cpu().numpy())
        if self._logits is None or missing.size:
            hint = "; of several processes, say across_ranks=True" if ranks == ALONE != ranks_here() else ""
            msg = (
                f"{missing.size} of {len(self.labels)} samples were in no batch of epoch {epoch}; the first is sample "
                f"{missing[0] if missing.size else 0}: give each to update() once, of a loader without drop_last{hint}"
            )
            raise BadUsage(msg)
        # The logits are the inputs of a model that changes nothing, so both ways of observing are one.
        of_logits, gradients = ([p for p in asked if p.gradient == wanted] for wanted in (False, True))
        memory = dict(self.memory)
        ask = partial(self._ask, epoch=epoch, memory=memory, learning_rate=learning_rate)
        logits = self._logits[:-1]
        told = ranks.on_first(lambda: ask(nn.Identity(), logits, probes=of_logits, ranks=ALONE).values)
        values = ranks.from_first(told)
        if model is not None and gradients:
            values.update(ask(model, inputs, probes=gradients, ranks=ranks).values)
        self._begin_anew()
        return self._keep(Observation(epoch, values), memory)

    def trace(self) -> Trace:
        """What was recorded so far."""
        if self._folder is not None:
            return read_trace(self._folder)
        return stack(self._observations, variant_id=self._variant_id)

    def _ranks(self) -> Ranks:
        return ranks_here() if self.across_ranks else ALONE

    def _merge(self, ranks: Ranks) -> Tensor:
        """Have the first rank hold the logits of all samples; whether any rank had each, shape (n + 1,), int32.

        Raises:
            BadUsage: Samples were there again that fill no batch.
        """
        n = len(self.labels)
        turns = self._turns or Turns(n, self.labels.device)
        widths, largest = zip(*ranks.told_by_all((self._num_classes, turns.largest)), strict=True)
        k = next((width for width in widths if width is not None), 0)
        times = ranks.summed(self._times)
        is_own, has = ranks.owned(turns.of[:-1])
        try:
            check_repeats(times[:-1], sum(largest))
        except BadUsage:
            self._begin_anew()
            raise
        times[:-1] = has
        if self._logits is None and sum(largest):
            self._logits, self._num_classes = torch.zeros(n + 1, k, device=self.labels.device), k
        if self._logits is not None:
            self._logits[:-1][~is_own] = 0
            ranks.merge(self._logits[:-1])
        return times

    def _is_refused(self, places: Tensor) -> bool:
        """Whether a batch holds what is no sample or, of one process, a sample that was given before."""
        if self._ranks().world > 1:
            return bool(self._times[-1] > 0)
        return bool((self._times[places] > (places < len(self.labels))).any())

    def _begin_anew(self) -> None:
        """Forget which samples were given to ``update``."""
        self._times.zero_()
        self._turns = None

    def _check_tally(self, times: Tensor, samples: Tensor | None = None) -> None:
        """Begin the epoch anew where what was given to ``update`` is refused; ``samples`` of the last batch."""
        try:
            check_tally(times, samples)
        except BadUsage:
            self._begin_anew()
            raise

    def _check_epoch(self, epoch: int, asked: Sequence[Probe]) -> None:
        epoch, remember = whole(epoch, "epoch", least=0), remembering(asked)
        counted = remember if self._resume else {probe.name for probe in asked}
        last = max((self._last.get(name, -1) for name in counted), default=-1)
        if epoch <= last:
            msg = f"epoch {epoch} was given when epoch {last} had been observed; count them up, and give each once"
            raise BadUsage(msg)
        if min(self._found, default=epoch) < epoch:
            check_remembered(remember, self.memory, self._folder)

    def _keep(self, observation: Observation, memory: dict[str, Tensor | None]) -> Observation:
        """Keep an epoch's columns, and what its probes remember now that none has failed."""
        self.memory = {**dict.fromkeys(remembering(self.probes) & {*observation.values}), **memory}
        self._last.update(dict.fromkeys(observation.values, observation.epoch))
        self._found.discard(observation.epoch)
        again = remembering(self.probes) & {*observation.values}
        kept = observation if self._epochs in (None, observation.epoch) else without(observation, again)
        folder, ranks = self._folder, self._ranks()
        if folder is not None:
            write = partial(write_observation, kept, folder, variant_id=self._variant_id, keep=self._keeps)
            ranks.on_first(write)
        else:
            self._observations = [*(without(earlier, again) for earlier in self._observations), kept]
        return observation

    def _ask(
        self,
        model: nn.Module,
        inputs: SampleInputs,
        epoch: int,
        probes: Sequence[Probe],
        *,
        memory: Memory,
        learning_rate: float | None,
        ranks: Ranks,
    ) -> Observation:
        """Observe, and note the seconds of each probe that needs more than logits apart from the others."""
        return observe(
            model,
            inputs,
            self.labels,
            probes,
            epoch=epoch,
            num_classes=self._num_classes,
            clean=self._clean,
            seed=self._seed,
            learning_rate=learning_rate,
            seconds=self.seconds,
            memory=memory,
            kept=self._kept,
            ranks=ranks,
        )
