"""Memorization: what many models, each trained on a random subset, say of samples that they saw and that they did not.

No torch here: ``retraining`` trains the models; this file holds what they left, and everything that follows from it.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from noisybench.arrays import UNKNOWN, read_only
from noisybench.errors import BadData, BadUsage, Mismatch
from noisybench.streams import bits, permutation
from noisybench.tables import NO_ARRAY, check_fields, read_columns, replacing, write_columns
from noisybench.variant import Variant

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Purpose = Literal["truth", "detector"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

BLOCK = 50
"""Models in one file: the unit of work that is distributed, and the most that a killed run loses in each process."""
LARGEST_GROUP = 50


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """What many subset models said of every sample.

    Attributes:
        included: Whether the model was trained on the sample, shape (m, n).
        predictions: Predicted class, shape (m, n), uint8 or, for more than 256 classes, uint16.
        margins: Logit of the given label minus the best other, shape (m, n), float16.
        held_out: Mean softmax over the models that did not see the sample, shape (n, k), float32; NaN where all did.
        groups: Number of the balanced group of each model, shape (m,), int64; plain random subsets are a group each.
        learner: Architecture, recipe, fraction and features in words: memorization belongs to a learner.
        purpose: ``truth``, or ``detector``; never both, since no model may judge itself.
        seed: Decides, with the purpose, every subset and every model.
        variant_id: The labels that the models were trained on.
    """

    included: Bools
    predictions: NDArray[np.uint8] | NDArray[np.uint16]
    margins: NDArray[np.float16]
    held_out: NDArray[np.float32]
    groups: NDArray[np.int64]
    learner: str
    purpose: Purpose
    seed: int
    variant_id: str

    def __post_init__(self) -> None:
        for name in ("predictions", "margins"):
            if getattr(self, name).shape != self.included.shape:
                msg = f"'{name}' has shape {getattr(self, name).shape}, 'included' has {self.included.shape}"
                raise BadData(msg)
        if self.groups.shape != self.included.shape[:1] or self.held_out.shape[:1] != self.included.shape[1:]:
            msg = f"groups {self.groups.shape} and held_out {self.held_out.shape} do not fit {self.included.shape}"
            raise BadData(msg)


@dataclass(frozen=True, slots=True, eq=False)
class Memorization:
    """How much a learner's answer for a sample hangs on having seen it, with its error.

    All but the counts are NaN exactly where an arm is empty, that is, where every model saw the sample or none did.

    Attributes:
        values: p_in - p_out, shape (n,), in [-1, 1]; higher is more memorized.
        stderr: Standard error of ``values``, shape (n,).
        p_in: Share of the models that saw the sample and give its label, shape (n,).
        p_out: The same of the models that did not see it, shape (n,).
        margin: Mean margin of the models that saw it minus that of the others, shape (n,), in logits.
        clean_damage: Share that gives the right label without the sample minus the share with it, shape (n,); NaN also
            where the right label is unknown. Where the given label is right, it is minus the memorization.
        n_in: Models that saw it, shape (n,), int64.
        n_out: Models that did not, shape (n,), int64.
        models: Their number.
        learner: Architecture, recipe, fraction and features in words.
        variant_id: The labels that the models were trained on.
    """

    values: Floats
    stderr: Floats
    p_in: Floats
    p_out: Floats
    margin: Floats
    clean_damage: Floats
    n_in: NDArray[np.int64]
    n_out: NDArray[np.int64]
    models: int
    learner: str
    variant_id: str

    def __post_init__(self) -> None:
        empty = (self.n_in == 0) | (self.n_out == 0)
        for name in (*MEASURES, "n_out"):
            if getattr(self, name).shape != self.n_in.shape:
                msg = f"'{name}' has shape {getattr(self, name).shape}, 'n_in' has {self.n_in.shape}"
                raise BadData(msg)
        for name in MEASURES:
            column = getattr(self, name)
            wrong = np.isnan(column) != empty
            if name == "clean_damage":
                wrong = ~np.isnan(column) & empty
            wrong |= np.isinf(column)
            if wrong.any():
                first = np.flatnonzero(wrong)[0]
                msg = (
                    f"{name}[{first}] = {column[first]} with {self.n_in[first]} models that saw the sample and "
                    f"{self.n_out[first]} that did not; expected a number, and NaN only where one of the two is none"
                )
                raise BadData(msg)
        counts = self.n_in + self.n_out
        if (self.n_in < 0).any() or (self.n_out < 0).any() or (counts != self.models).any():
            first = np.flatnonzero((self.n_in < 0) | (self.n_out < 0) | (counts != self.models))[0]
            msg = f"sample {first}: {self.n_in[first]} models in and {self.n_out[first]} out are not all {self.models}"
            raise BadData(msg)


MEASURES = ("values", "stderr", "p_in", "p_out", "margin", "clean_damage")


def subsets(models: range, n: int, fraction: float, *, seed: int, balanced: bool = True) -> Bools:
    """Who is in the subset of each model, shape (len(models), n).

    A subset depends on the seed and the number of its model alone, not on how many models are asked for. Plain random
    subsets hold ``floor(fraction * n)`` samples each (Feldman and Zhang). Balanced ones come in groups of
    ``group_size(fraction)`` models, of which each sample is left out of equally many, so that no sample has fewer
    models in an arm than another; the sizes of a group's subsets differ by at most one. Each of them by itself is a
    uniformly random subset of its size, and who is left out together is drawn anew in each group.

    Args:
        models: Numbers of the models, consecutive.
        n: Samples.
        fraction: Of the samples in a subset, strictly between 0 and 1.
        seed: Decides every subset.
        balanced: Leave each sample out equally often.

    Raises:
        BadUsage: A fraction that cannot be meant, leaves subsets empty, or is no whole number of models in a group.
    """
    size = check_fraction(fraction, n)
    included = np.ones((len(models), n), dtype=np.bool_)
    if not balanced:
        for row, model in enumerate(models):
            included[row, permutation(seed, f"subset/{model}", n)[size:]] = False
        return included
    group = group_size(fraction)
    out = group - round(fraction * group)
    for number in sorted({model // group for model in models}):
        first = number * group
        rows = slice(max(first, models.start) - first, min(first + group, models.stop) - first)
        at = max(first, models.start) - models.start
        included[at : at + rows.stop - rows.start] = ~_left_out(seed, number, n, group, out)[rows]
    return included


def check_fraction(fraction: float, n: int) -> int:
    """``floor(fraction * n)``: samples in a plain random subset.

    Raises:
        BadUsage: The fraction does not lie strictly between 0 and 1, or a subset would have fewer than two samples.
    """
    if not 0 < fraction < 1:
        msg = f"fraction must lie strictly between 0 and 1 (0.7 is 70 % of the samples), got {fraction:g}"
        raise BadUsage(msg)
    size = math.floor(fraction * n + 1e-9)  # 0.29 * 100 is a little less than 29
    if size < 2 or size >= n:  # noqa: PLR2004 - a step needs two samples
        msg = f"a fraction of {fraction:g} of {n} samples leaves {size} in a subset; expected at least 2, and not all"
        raise BadUsage(msg)
    return size


def group_size(fraction: float) -> int:
    """Models in a balanced group: the least number of which the fraction is a whole one.

    >>> [group_size(fraction) for fraction in (0.5, 0.7, 0.75)]
    [2, 10, 4]

    Raises:
        BadUsage: There is none up to 50.
    """
    for size in range(2, LARGEST_GROUP + 1):
        if abs(fraction * size - round(fraction * size)) < 1e-9:  # noqa: PLR2004 - rounding of a product
            return size
    msg = (
        f"no group of up to {LARGEST_GROUP} models can leave each sample out of exactly a fraction of {1 - fraction:g} "
        f"of them; take a rounder fraction such as 0.7, or plain random subsets"
    )
    raise BadUsage(msg)


def _left_out(seed: int, number: int, n: int, group: int, out: int) -> Bools:
    """Who is left out by each model of a group, shape (group, n): each sample by ``out`` of them."""
    order = permutation(seed, f"group/{number}", n)
    # Samples are dealt like cards, so many at a time as there are models, in an order of the models drawn for each deal:
    # then two samples are left out together no more often than chance has it.
    deals = -(-n // group)
    models = np.argsort(bits(seed, f"deals/{number}", deals * group).reshape(deals, group), axis=1, kind="stable")
    place = np.arange(n)
    left_out = np.zeros((group, n), dtype=np.bool_)
    for turn in range(out):
        left_out[models[place // group, (place % group * out + turn) % group], order] = True
    return left_out


def estimate_memorization(pool: Pool, variant: Variant) -> Memorization:
    """Memorization of the given labels, its margin version and its damage to the right labels.

    mem(i) = P(model gives label i | it saw sample i) - P(model gives label i | it did not), both over models trained on
    random subsets. The standard error is that of two binomial shares, each with its p taken as (hits + 1/2) / (models
    + 1), so that it is not zero where all models agree.

    Source: Feldman and Zhang 2020, arXiv:2008.03703, equation 1 and section 3: of the subsampled learner, not of
    leave-one-out on all samples. Clean damage is ours.

    Raises:
        Mismatch: The pool is of another variant.
    """
    _check_same(pool, variant)
    return _estimate(pool, variant, np.ones(len(pool.included), dtype=np.bool_))


def _estimate(pool: Pool, variant: Variant, chosen: Bools) -> Memorization:
    """The estimate from the chosen models alone, ``chosen`` of shape (m,)."""
    n = len(variant.labels)
    n_in, hits, right, margin = (np.zeros((2, n)) for _ in range(4))  # row 0: without the sample, row 1: with it
    for rows in np.array_split(np.flatnonzero(chosen), -(-int(chosen.sum()) // BLOCK) or 1):
        included, predictions = pool.included[rows], pool.predictions[rows]
        margins = pool.margins[rows].astype(np.float64)
        for arm, member in enumerate((~included, included)):
            n_in[arm] += member.sum(0)
            hits[arm] += ((predictions == variant.labels) & member).sum(0)
            right[arm] += ((predictions == variant.clean) & member).sum(0)
            margin[arm] += np.where(member, margins, 0.0).sum(0)
    count = np.where((n_in > 0).all(0), n_in, np.nan)
    p_out, p_in = hits / count
    smooth = (hits + 0.5) / (count + 1)
    damage = right[0] / count[0] - right[1] / count[1]
    return Memorization(
        values=read_only(p_in - p_out),
        stderr=read_only(np.sqrt((smooth * (1 - smooth) / count).sum(0))),
        p_in=read_only(p_in),
        p_out=read_only(p_out),
        margin=read_only(margin[1] / count[1] - margin[0] / count[0]),
        clean_damage=read_only(np.where(variant.clean == UNKNOWN, np.nan, damage)),
        n_in=read_only(n_in[1].astype(np.int64)),
        n_out=read_only(n_in[0].astype(np.int64)),
        models=int(chosen.sum()),
        learner=pool.learner,
        variant_id=pool.variant_id,
    )


@dataclass(frozen=True, slots=True)
class SplitHalf:
    """How well two halves of a pool agree on memorization.

    Attributes:
        correlation: Pearson's, of the two halves' values; NaN where there is none.
        corrected: What two pools of the full size would be expected to have (Spearman and Brown: 2 r / (1 + r)).
    """

    correlation: float
    corrected: float


def split_half(pool: Pool, variant: Variant) -> SplitHalf:
    """Correlation between the memorization from every second group of models and that from the others.

    Groups and not models are split, because the models of a balanced group depend on each other.

    Raises:
        Mismatch: The pool is of another variant.
    """
    _check_same(pool, variant)
    odd = np.unique(pool.groups, return_inverse=True)[1] % 2 == 1
    one, other = (_estimate(pool, variant, chosen).values for chosen in (~odd, odd))
    both = np.isfinite(one) & np.isfinite(other)
    one, other = one[both], other[both]
    if len(one) < 2 or one.std() == 0 or other.std() == 0:  # noqa: PLR2004 - a correlation needs two points
        return SplitHalf(float("nan"), float("nan"))
    r = float(np.corrcoef(one, other)[0, 1])
    return SplitHalf(r, 2 * r / (1 + r) if r > -1 else float("-inf"))


def reliability(memorization: Memorization) -> float:
    """Share of the values' variance that is not their own error: 1 - mean(stderr²) / var(values).

    What an independent score correlates with the true memorization is attenuated by about its square root. NaN where
    the values do not vary; negative where they vary less than their errors say.
    """
    values = memorization.values[np.isfinite(memorization.values)]
    errors = memorization.stderr[np.isfinite(memorization.stderr)]
    if len(values) < 2 or values.var() == 0:  # noqa: PLR2004 - a variance needs two
        return float("nan")
    return float(1 - np.mean(errors**2) / values.var(ddof=1))


@dataclass(frozen=True, slots=True)
class Summary:
    """A memorization estimate in a few numbers. Means over no sample are NaN.

    Attributes:
        models: Models of the pool.
        undefined: Samples that all models saw, or none.
        rms_stderr: Root of the mean squared standard error.
        largest_stderr: The largest standard error.
        split_half: Correlation of two halves of the pool, see ``split_half``.
        split_half_corrected: The same for pools of full size.
        reliability: Share of the variance that is not error, see ``reliability``.
        mislabeled_fit: In-subset accuracy on mislabeled samples: mean p_in. Low means a learner that memorizes little.
        clean_fit: The same on correctly labelled ones.
        mislabeled_memorization: Mean memorization of mislabeled samples.
        clean_memorization: Mean memorization of correctly labelled ones.
        clean_damage: Mean damage to the right label of mislabeled samples.
        models_per_second: Trained, all processes together; NaN where nothing was trained.
    """

    models: int
    undefined: int
    rms_stderr: float
    largest_stderr: float
    split_half: float
    split_half_corrected: float
    reliability: float
    mislabeled_fit: float
    clean_fit: float
    mislabeled_memorization: float
    clean_memorization: float
    clean_damage: float
    models_per_second: float


def summarise(
    memorization: Memorization, pool: Pool, variant: Variant, *, models_per_second: float = float("nan")
) -> Summary:
    """The numbers that say how good an estimate is and what it found.

    Raises:
        Mismatch: The three are not of one variant.
    """
    _check_same(memorization, variant)
    halves = split_half(pool, variant)
    defined = np.isfinite(memorization.values)
    errors = memorization.stderr[defined]
    wrong, right = variant.mislabeled & defined, variant.known & ~variant.mislabeled & defined
    return Summary(
        models=memorization.models,
        undefined=int((~defined).sum()),
        rms_stderr=math.sqrt(_mean(errors**2)),
        largest_stderr=float(errors.max()) if errors.size else float("nan"),
        split_half=halves.correlation,
        split_half_corrected=halves.corrected,
        reliability=reliability(memorization),
        mislabeled_fit=_mean(memorization.p_in[wrong]),
        clean_fit=_mean(memorization.p_in[right]),
        mislabeled_memorization=_mean(memorization.values[wrong]),
        clean_memorization=_mean(memorization.values[right]),
        clean_damage=_mean(memorization.clean_damage[wrong]),
        models_per_second=models_per_second,
    )


def write_memorization(memorization: Memorization, path: Path) -> None:
    """Write an estimate in sample order, with its learner, its number of models and the id of its variant."""
    columns: dict[str, NDArray[Any]] = {"sample": np.arange(len(memorization.values), dtype=np.int64)}
    columns |= {COLUMNS[name]: getattr(memorization, name) for name in COLUMNS}
    metadata = {
        "variant_id": memorization.variant_id,
        "learner": memorization.learner,
        "models": str(memorization.models),
    }
    write_columns(columns, path, metadata=metadata)


def read_memorization(path: Path, variant_id: str | None = None) -> Memorization:
    """Read what ``write_memorization`` wrote.

    Args:
        path: The file.
        variant_id: The variant that it must be of; None asks nothing.

    Raises:
        BadData: The file is missing, is no Parquet, lacks a column, or holds values that no pool gives.
        Mismatch: It is of another variant.
    """
    columns, metadata = read_columns(path, ["sample", *COLUMNS.values()])
    for name, values in columns.items():
        kind = np.int64 if name in ("sample", "n_in", "n_out") else np.float64
        if values.dtype != kind or values.ndim != 1:
            msg = f"{path}: column '{name}' is {values.dtype}, expected one {np.dtype(kind)} a sample; estimate again"
            raise BadData(msg)
    if not np.array_equal(columns["sample"], np.arange(len(columns["sample"]))):
        msg = f"{path} is not in sample order; expected samples 0..{len(columns['sample']) - 1}"
        raise BadData(msg)
    if not re.fullmatch("[0-9]{1,9}", metadata.get("models", "")) or not {"learner", "variant_id"} <= set(metadata):
        msg = f"{path} does not say of which learner, variant and number of models it is; estimate again"
        raise BadData(msg)
    if variant_id is not None and metadata["variant_id"] != variant_id:
        msg = f"{path} is of variant '{metadata['variant_id'][:12]}', expected {variant_id[:12]}; estimate again"
        raise Mismatch(msg)
    for name in ("p_in", "p_out"):
        outside = np.flatnonzero((columns[name] < 0) | (columns[name] > 1))
        if outside.size:
            msg = f"{path}: {name}[{outside[0]}] = {columns[name][outside[0]]} is no share; estimate again"
            raise BadData(msg)
    if not np.array_equal(columns["p_in"] - columns["p_out"], columns["memorization"], equal_nan=True):
        msg = f"{path}: memorization is not p_in - p_out; it was changed after it was written: estimate again"
        raise BadData(msg)
    try:
        return Memorization(
            **{name: read_only(columns[column]) for name, column in COLUMNS.items()},
            models=int(metadata["models"]),
            learner=metadata["learner"],
            variant_id=metadata["variant_id"],
        )
    except BadData as error:
        msg = f"{path}: {error}; estimate again"
        raise BadData(msg) from None


def read_memorizations(runs: Path, variant: Variant) -> dict[str, tuple[Path, Memorization]]:
    """Every estimate beside the runs of a variant, by the name of its folder, with the place of its file.

    Raises:
        BadData: A file is broken.
        Mismatch: One is of another variant.
    """
    paths = sorted((runs / "memorization").glob("*/memorization.parquet"))
    return {path.parent.name: (path, read_memorization(path, variant.provenance.variant_id)) for path in paths}


COLUMNS = {name: "memorization" if name == "values" else name for name in (*MEASURES, "n_in", "n_out")}
"""Field of ``Memorization`` → column of its file."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What up to ``BLOCK`` consecutive models of a pool left: one file.

    Attributes:
        included: Shape (b, n).
        predictions: Shape (b, n), uint8 or uint16.
        margins: Shape (b, n), float16.
        held_out: Sum of the softmax over the models that did not see the sample, shape (n, k), float32; of how many,
            ``included`` says.
        record: What decides the block: ``RECORD`` and more. JSON.
    """

    included: Bools
    predictions: NDArray[np.uint8] | NDArray[np.uint16]
    margins: NDArray[np.float16]
    held_out: NDArray[np.float32]
    record: Mapping[str, Any]


RECORD = {
    "variant_id": str,
    "learner": str,
    "purpose": Purpose,
    "seed": int,
    "first": int,  # number of the first model
    "models": int,
    "group_size": int,
    "setup": dict,
}
"""Fields that the record of every block has. ``setup`` is everything else that decides the models."""


def block_path(folder: Path, number: int, models: int = BLOCK) -> Path:
    """File of a block; a last one of fewer models has their number in its name.

    >>> block_path(Path("pool"), 7).as_posix(), block_path(Path("pool"), 7, 20).as_posix()
    ('pool/block-0007.npz', 'pool/block-0007-of-20.npz')
    """
    return folder / (f"block-{number:04d}.npz" if models == BLOCK else f"block-{number:04d}-of-{models}.npz")


def blocks(models: int) -> Iterator[tuple[int, int]]:
    """Number and size of every block of a pool.

    >>> list(blocks(120))
    [(0, 50), (1, 50), (2, 20)]
    """
    for first in range(0, models, BLOCK):
        yield first // BLOCK, min(BLOCK, models - first)


def write_block(block: Block, path: Path) -> None:
    """Write a block; the same block gives the same bytes."""
    with replacing(path) as part, part.open("wb") as stream:
        np.savez(
            stream,
            allow_pickle=False,
            record=np.array(json.dumps(block.record, sort_keys=True, ensure_ascii=False)),
            included=np.packbits(block.included, axis=1),
            predictions=block.predictions,
            margins=block.margins,
            held_out=block.held_out,
        )


def read_block(path: Path, variant: Variant) -> Block:
    """Read what ``write_block`` wrote, never unpickling.

    Raises:
        BadData: The file is missing, damaged, or holds something else.
        Mismatch: It is of another variant.
    """
    mend = "delete it to train its models again"
    n, k = len(variant.labels), variant.num_classes
    try:
        if path.is_file() and not is_zipfile(path):
            raise BadZipFile  # which NumPy would take for a pickle
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            record = json.loads(str(file["record"][()]))
            arrays = {name: file[name] for name in ("included", "predictions", "margins", "held_out")}
    except (*NO_ARRAY, AttributeError) as error:
        pickled = "it holds Python objects, which are never unpickled" if "pickle" in str(error) else None
        reason = pickled or getattr(error, "strerror", None) or "it is damaged, or no block"
        msg = f"{path} cannot be read as a block of models: {reason}; {mend}"
        raise BadData(msg) from None
    if not isinstance(record, dict):
        msg = f"{path}: its record is a {type(record).__name__}, expected a JSON object; {mend}"
        raise BadData(msg)
    check_fields(record, RECORD, path)
    if record["variant_id"] != variant.provenance.variant_id:
        msg = (
            f"{path} is of variant '{record['variant_id'][:12]}', expected {variant.provenance.variant_id[:12]}; "
            f"give another --out"
        )
        raise Mismatch(msg)
    b = record["models"]
    wanted = {
        "included": ((b, -(-n // 8)), np.uint8),
        "predictions": ((b, n), class_type(k)),
        "margins": ((b, n), np.float16),
        "held_out": ((n, k), np.float32),
    }
    for name, (shape, kind) in wanted.items():
        if arrays[name].shape != shape or arrays[name].dtype != kind:
            found = f"{arrays[name].dtype} of shape {arrays[name].shape}"
            msg = f"{path}: '{name}' is {found}, expected {np.dtype(kind)} of shape {shape}; {mend}"
            raise BadData(msg)
    finite = np.isfinite(arrays["margins"]).all() and np.isfinite(arrays["held_out"]).all()
    if not finite or arrays["predictions"].max(initial=0) >= k or record["group_size"] < 1:
        msg = f"{path} holds values that no model gives; {mend}"
        raise BadData(msg)
    included = np.unpackbits(arrays["included"], axis=1, count=n).astype(np.bool_)
    return Block(included, arrays["predictions"], arrays["margins"], arrays["held_out"], record)


def read_pool(folder: Path, variant: Variant, *, models: int | None = None) -> Pool:
    """The pool that a folder of blocks holds.

    Args:
        folder: Of one pool.
        variant: The labels that it must be of.
        models: As many as ``retrain`` was asked for; None takes every block.

    Raises:
        BadUsage: Less than one model.
        BadData: A block is missing, damaged, or was made differently from the first.
        Mismatch: A block is of another variant.
    """
    if models is not None and models < 1:
        msg = f"models must be at least 1, got {models}"
        raise BadUsage(msg)
    paths = _block_paths(folder) if models is None else [block_path(folder, *block) for block in blocks(models)]
    parts: list[Block] = []
    for path in paths:
        part = read_block(path, variant)
        record = dict(part.record)
        expected = {**(parts[0].record if parts else record), "first": sum(len(p.included) for p in parts)}
        expected["models"] = BLOCK if path != paths[-1] else record["models"]
        differs = [name for name in expected if record.get(name) != expected[name]]
        if differs or not 1 <= record["models"] <= BLOCK:
            name = differs[0] if differs else "models"
            msg = (
                f"{path} has {name} = {record.get(name)}, expected {expected[name]}; a pool's blocks follow each other and "
                f"are made alike: delete it to train its models again"
            )
            raise BadData(msg)
        parts.append(part)
    record = dict(parts[0].record)
    included = np.concatenate([part.included for part in parts])
    held_out = np.sum([part.held_out for part in parts], axis=0, dtype=np.float64)
    left_out = (~included).sum(0)
    with np.errstate(invalid="ignore"):
        means = (held_out / left_out[:, None]).astype(np.float32)  # 0 / 0 is the NaN that is meant
    return Pool(
        included=read_only(included),
        predictions=read_only(np.concatenate([part.predictions for part in parts])),
        margins=read_only(np.concatenate([part.margins for part in parts])),
        held_out=read_only(means),
        groups=read_only(np.arange(len(included), dtype=np.int64) // record["group_size"]),
        learner=record["learner"],
        purpose=record["purpose"],
        seed=record["seed"],
        variant_id=record["variant_id"],
    )


def _block_paths(folder: Path) -> list[Path]:
    """Every whole block, and the largest of those that go on after them with fewer models.

    Raises:
        BadData: There is none, or one is missing in between.
    """
    found: dict[int, list[tuple[int, Path]]] = {}
    for path in folder.glob("block-*.npz"):
        name = re.fullmatch(r"block-([0-9]{4,9})(?:-of-([0-9]{1,2}))?\.npz", path.name)
        if name:
            found.setdefault(int(name[1]), []).append((int(name[2] or BLOCK), path))
    if not found:
        msg = f"{folder} holds no pool of models; 'noisybench memorize' trains one"
        raise BadData(msg)
    missing = sorted(set(range(max(found))) - {number for number, of in found.items() if max(of)[0] == BLOCK})
    if missing:
        msg = f"{folder} lacks {block_path(folder, missing[0]).name}; say the same command again to train its models"
        raise BadData(msg)
    return [max(found[number])[1] for number in sorted(found)]


def class_type(num_classes: int) -> type[np.uint8 | np.uint16]:
    """The smallest type that holds every class."""
    return np.uint8 if num_classes <= 256 else np.uint16  # noqa: PLR2004 - what a byte holds


def _check_same(what: Pool | Memorization, variant: Variant) -> None:
    if what.variant_id != variant.provenance.variant_id:
        kind = type(what).__name__.lower()
        msg = (
            f"the {kind} is of variant '{what.variant_id[:12]}', the labels are of {variant.provenance.variant_id[:12]}"
        )
        raise Mismatch(msg)


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")
