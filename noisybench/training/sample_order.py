"""Batches of anyone's loader, in the order of the samples: what cannot be tied to a sample is refused."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SequentialSampler, Subset

from noisybench.ground.arrays import Labels
from noisybench.ground.errors import BadData, BadUsage, Mismatch

SampleInputs = Tensor | Mapping[str, Tensor] | Iterable[Tensor | Sequence[Tensor] | Mapping[str, Tensor]]
"""Inputs (n, ...) of all samples, or a tensor of each input that the model takes by name; or batches of such in sample
order, alone, as pairs (inputs, labels), or with the labels under the name ``labels``."""
PAIR = 2
LABEL_NAMES = ("labels", "label")
"""Names under which a batch of named inputs may hold labels, as the Hugging Face Trainer's do."""
MEND = "give a loader over the training set with shuffle=False and drop_last=False"


def check_loader(inputs: object) -> None:
    """Refuse no inputs, and a ``DataLoader`` that gives the samples in another order than theirs; let all else through.

    Raises:
        BadUsage: It is None; or it shuffles, samples, or reads a stream with several workers, or its data set does.
    """
    if inputs is None:
        msg = (
            "to observe is to ask a model about inputs, and these are None; give those of the samples or, where there are "
            "labels alone, the probabilities of a model of your own to score_given"
        )
        raise BadUsage(msg)
    if not isinstance(inputs, DataLoader):
        return
    dataset: Any = inputs.dataset
    if isinstance(dataset, IterableDataset):
        if inputs.num_workers > 1:
            msg = (
                f"the loader reads a stream with {inputs.num_workers} workers, which mix its samples; "
                f"give one with num_workers=0"
            )
            raise BadUsage(msg)
        return
    while isinstance(dataset, Subset):
        if not _in_order(dataset.indices):
            msg = "the loader's data set is a Subset in another order than the samples 0..n-1; give the whole training set"
            raise BadUsage(msg)
        dataset = dataset.dataset
    batches = inputs.batch_sampler
    sampler = inputs.sampler
    if batches is not None:
        if type(batches) is not BatchSampler:
            msg = f"the loader's batches come from a {type(batches).__name__}, whose order is not known; {MEND}"
            raise BadUsage(msg)
        sampler = batches.sampler
    if not isinstance(sampler, SequentialSampler) and not _in_order(sampler):
        msg = (
            f"the loader gives the samples in the order of a {type(sampler).__name__}, so that each would get the values "
            f"of another; {MEND}"
        )
        raise BadUsage(msg)


def _in_order(indices: object) -> bool:
    """Whether indices are 0, 1, 2 and so on; False of a sampler, which to read might draw from it."""
    if not isinstance(indices, (range, list, tuple, np.ndarray, Tensor)):
        return False
    return np.array_equal(np.asarray(indices), np.arange(len(indices)))


@contextmanager
def generators_kept(inputs: object) -> Iterator[None]:
    """Leave the generators of NumPy and Python, and a loader's own, as they were: to read a data set may draw from them."""
    generator = inputs.generator if isinstance(inputs, DataLoader) else None
    state = None if generator is None else generator.get_state()
    numpys, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002 - the one that transforms draw from
    try:
        yield
    finally:
        if generator is not None and state is not None:
            generator.set_state(state)
        np.random.set_state(numpys)  # noqa: NPY002
        random.setstate(pythons)


def split(inputs: SampleInputs, batch_size: int) -> Iterable[Any]:
    """Batches of that size of whole tensors; what comes in batches stays in its own."""
    if isinstance(inputs, Tensor):
        return inputs.split(batch_size)
    if isinstance(inputs, Mapping):
        inputs = _named(inputs, what="the inputs")
        n = count(inputs)
        return ({name: value[i : i + batch_size] for name, value in inputs.items()} for i in range(0, n, batch_size))
    return inputs


def count(inputs: Tensor | Mapping[str, Tensor]) -> int:
    """Samples of a batch."""
    return len(inputs if isinstance(inputs, Tensor) else next(iter(inputs.values())))


def batches_in_order(
    parts: Iterable[Any], labels: Tensor, *, clean: Labels | None
) -> Iterator[tuple[int, Tensor | dict[str, Tensor]]]:
    """Index of the first sample of each batch, and its inputs (b, ...) on the device of ``labels``.

    Args:
        parts: Batches of inputs, or of pairs (inputs, labels) as data sets give them: inputs (b, ...), labels (b,); or
            of inputs by name, with or without labels.
        labels: Given labels, shape (n,), int64.
        clean: Where a loader's own labels may be the clean ones instead: these, shape (n,), those below 0 unknown.

    Raises:
        BadData: A batch is something else, or there are more or fewer inputs than labels.
        Mismatch: The labels of the pairs are not those of the samples, whether given or clean.
    """
    start, n = 0, len(labels)
    told: list[Tensor] = []
    for part in parts:
        inputs, own = _inputs_of(part)
        stop = start + count(inputs)
        if stop > n:
            msg = f"there are inputs of more than {n} samples, and {n} labels; expected one each"
            raise BadData(msg)
        if own is not None:
            told.append(own.detach().cpu())
        if isinstance(inputs, Tensor):
            yield start, inputs if inputs.device == labels.device else inputs.to(labels.device)
        else:
            yield start, {name: value.to(labels.device) for name, value in inputs.items()}
        start = stop
    if start != n:
        dropped = isinstance(parts, DataLoader) and parts.drop_last
        hint = ": drop_last=True leaves out the last batch, say drop_last=False" if dropped else ""
        msg = f"there are inputs of {start} samples and {n} labels; expected one each{hint}"
        raise BadData(msg)
    if told:
        _check_told(torch.cat(told).numpy(), labels.cpu().numpy(), clean)


def _inputs_of(part: Any) -> tuple[Tensor | dict[str, Tensor], Tensor | None]:  # noqa: ANN401 - whatever a loader gives
    """Inputs (b, ...) of a batch, alone or by name, and its own labels (b,) where it has some.

    Raises:
        BadData: It is neither inputs nor a pair.
    """
    if isinstance(part, Tensor) and part.ndim:
        return part, None
    if isinstance(part, Mapping):
        named = _named(part, what="a batch")
        own = next((named.pop(name) for name in LABEL_NAMES if name in named), None)
        if named and own is None:
            return named, None
        if own is not None and named and _are_labels(own, count(named)):
            return named, own.reshape(-1).long()
        shapes = ", ".join(f"{name} {value.dtype} {tuple(value.shape)}" for name, value in part.items())
        msg = f"a batch holds {shapes}; expected inputs by name and, where there are any, labels (b,), whole numbers"
        raise BadData(msg)
    if isinstance(part, (list, tuple)) and len(part) == PAIR and all(isinstance(each, Tensor) for each in part):
        inputs, own = part
        if inputs.ndim and _are_labels(own, len(inputs)):
            return inputs, own.reshape(-1).long()
        shapes = f"{tuple(inputs.shape)} and {own.dtype} {tuple(own.shape)}"
        msg = f"a batch is a pair of shapes {shapes}, expected inputs (b, ...) and their labels (b,), whole numbers"
        raise BadData(msg)
    held = f"{len(part)} parts" if isinstance(part, (list, tuple)) else f"a {type(part).__name__}"
    msg = (
        f"a batch holds {held}, expected a tensor of inputs (b, ...), tensors by name, or a pair (inputs, labels); "
        f"give (batch[0] for batch in loader), of a loader that does not shuffle"
    )
    raise BadData(msg)


def _named(inputs: Mapping[str, Any], *, what: str) -> dict[str, Tensor]:
    """Tensors by name, as many rows each.

    Raises:
        BadData: They are something else.
    """
    rows = [len(value) if isinstance(value, Tensor) and value.ndim else None for value in inputs.values()]
    if None in rows or len(set(rows)) != 1:
        kinds = (tuple(each.shape) if isinstance(each, Tensor) else type(each).__name__ for each in inputs.values())
        held = ", ".join(f"{name}: {kind}" for name, kind in zip(inputs, kinds, strict=True)) or "nothing"
        msg = f"{what} by name must be tensors with a row for each sample, got {held}; leave out what the model does not take"
        raise BadData(msg)
    return dict(inputs)


def _are_labels(own: Tensor, b: int) -> bool:
    """Whether a tensor may be the labels of b samples."""
    whole = not own.is_floating_point() and not own.is_complex() and own.dtype != torch.bool
    return whole and own.shape in ((b,), (b, 1))


def _check_told(told: Labels, given: Labels, clean: Labels | None) -> None:
    """Refuse labels of a loader that are neither the given nor the clean ones of the samples in their order."""
    odd = np.flatnonzero(told != given)
    if not odd.size:
        return
    known = np.zeros(len(given), bool) if clean is None else clean >= 0
    if clean is not None and known.any() and np.array_equal(told[known], clean[known]):
        return
    i = odd[0]
    msg = (
        f"the loader's own labels are not those of the samples: {odd.size} of {len(given)} differ, the first of sample {i} "
        f"({told[i]}, not {given[i]}), so its samples come in another order, or are of other labels; {MEND}"
    )
    raise Mismatch(msg)


def check_tally(times: Tensor, samples: Tensor | None) -> None:
    """Refuse an epoch in which a sample was given twice, or none of 0..n-1.

    Args:
        times: How often each sample was given, shape (n + 1,); the last: how often none of them.
        samples: Of the last batch, to name one.

    Raises:
        BadUsage: It is to be refused.
    """
    times, n = times.cpu(), len(times) - 1
    if times[n]:
        strays = [] if samples is None else samples[(samples < 0) | (samples >= n)].tolist()
        which = f"sample {strays[0]}" if strays else "a sample"
        msg = f"update() was given {which}, which is none of 0..{n - 1}; give the index of each in the training set"
        raise BadUsage(msg)
    twice = np.flatnonzero(times.numpy() > 1)
    if twice.size:
        msg = (
            f"sample {twice[0]} was given to update() more than once in an epoch ({twice.size} such samples); give each "
            f"once, of a loader without replacement, and call end_epoch() after each epoch"
        )
        raise BadUsage(msg)
