"""Memorization: how much the answer of models for a sample hangs on having seen it, estimated from a pool of them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, read_only
from noisybench.ground.checks import a_path
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import column_names, read_columns, read_metadata, write_columns
from noisybench.ground.records import record_as
from noisybench.memorization.learner import EXACT_ESTIMANDS, RELEASED, Learner, learner_in_words
from noisybench.memorization.pool import BLOCK, Pool
from noisybench.variants.variant import Variant


@dataclass(frozen=True, slots=True, eq=False)
class Memorization:
    """How much a learner's answer for a sample hangs on having seen it, with its error.

    All but the counts are NaN exactly where an arm is empty, that is, where every model saw the sample or none did.

    Of a learner that is solved in closed form with each sample left out (``learner.is_exact``), no model is drawn: p_in says
    whether the fit on all samples gives the label, and p_out whether that without the sample does; there are no models to
    count, and ``stderr`` is 0, since nothing is estimated. NaN stands where the sample took no part.

    Of a learner that others trained (``learner.is_released``), a measure that their file does not hold is NaN for every
    sample, and there are no models to count where it does not say which saw which sample.

    Attributes:
        values: p_in - p_out, shape (n,), in [-1, 1]; higher is more memorized. With the estimand ``leave_one_out_margin`` the
            answer for the label minus that without the sample; with ``c_score`` one minus the C-score.
        stderr: Standard error of ``values``, shape (n,).
        p_in: Share of the models that saw the sample and give its label, shape (n,).
        p_out: The same of the models that did not see it, shape (n,).
        margin: Mean margin of the models that saw it minus that of the others, shape (n,), in logits; in answers, which are
            regressed on 0 and 1, of what is solved in closed form.
        clean_damage: Share that gives the right label without the sample minus the share with it, shape (n,); NaN also
            where the right label is unknown. Where the given label is right, it is minus the memorization.
        n_in: Models that saw it, shape (n,), int64.
        n_out: Models that did not, shape (n,), int64.
        models: Their number.
        learner: Whose memorization it is: what was trained on subsets, and how.
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
    learner: Learner
    variant_id: str

    def __post_init__(self) -> None:
        for name in (*MEASURES, "n_in", "n_out"):
            array: object = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "iuf":
                msg = f"'{name}' must be an array of one number a sample, got {type(array).__name__}"
                raise BadData(msg)
        for name in (*MEASURES, "n_out"):
            if getattr(self, name).shape != self.n_in.shape:
                msg = f"'{name}' has shape {getattr(self, name).shape}, 'n_in' has {self.n_in.shape}"
                raise BadData(msg)
        self._check_numbers()
        counts = self.n_in + self.n_out
        if (self.n_in < 0).any() or (self.n_out < 0).any() or (counts != self.models).any():
            first = np.flatnonzero((self.n_in < 0) | (self.n_out < 0) | (counts != self.models))[0]
            msg = f"sample {first}: {self.n_in[first]} models in and {self.n_out[first]} out are not all {self.models}"
            raise BadData(msg)
        if self.learner.is_exact and (self.models or np.nan_to_num(self.stderr).any()):
            msg = f"leaving out each sample exactly draws no model and has no error; got {self.models} models"
            raise BadData(msg)

    def _check_numbers(self) -> None:
        """Raise ``BadData`` for what is infinite, or NaN where it is known, or a number where it cannot be."""
        exact, released = self.learner.is_exact, self.learner.is_released
        uncounted = exact or (released and not self.models)
        empty = np.isnan(self.values) if uncounted else (self.n_in == 0) | (self.n_out == 0)
        for name in MEASURES:
            column = getattr(self, name)
            if released and name != "values" and np.isnan(column).all():
                continue
            wrong = np.isnan(column) != empty
            if name == "clean_damage":
                wrong = ~np.isnan(column) & empty
            wrong |= np.isinf(column)
            if wrong.any():
                first = np.flatnonzero(wrong)[0]
                beside = f"with {self.n_in[first]} models that saw the sample and {self.n_out[first]} that did not"
                only = "one of the two is none"
                if uncounted:
                    beside, only = f"with memorization {self.values[first]}", "that is NaN"
                msg = f"{name}[{first}] = {column[first]} {beside}; expected a number, and NaN only where {only}"
                raise BadData(msg)

    def __repr__(self) -> str:
        size = f"{len(self.values)} samples" + ("" if self.learner.is_exact else f", {self.models} models")
        return f"Memorization({size}: {self.learner.name}; variant {self.variant_id[:8]})"


MEASURES = ("values", "stderr", "p_in", "p_out", "margin", "clean_damage")


def estimate_memorization(pool: Pool, variant: Variant) -> Memorization:
    """Memorization of the given labels, its margin version and its damage to the right labels.

    mem(i) = P(model gives label i | it saw sample i) - P(model gives label i | it did not), both over models trained on
    random subsets. The standard error is that of two binomial shares, each with its p taken as (hits + 1/2) / (models
    + 1), so that it is not zero where all models agree.

    Source: Feldman and Zhang 2020, arXiv:2008.03703, equation 1 and section 3: of the subsampled learner, not of
    leave-one-out on all samples. Clean damage is ours.

    Raises:
        Mismatch: The pool is of another variant.
        BadUsage: It is a detector's: what judges must have no model in common with what is judged.
    """
    check_same(pool, variant)
    if pool.purpose != "truth":
        msg = (
            f"a pool of purpose '{pool.purpose}' gives detectors, and no memorization to judge them by: they would agree "
            f"for the wrong reason; train one of purpose 'truth'"
        )
        raise BadUsage(msg)
    return estimate_from(pool, variant, np.ones(len(pool.included), dtype=np.bool_))


def estimate_from(pool: Pool, variant: Variant, chosen: Bools) -> Memorization:
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
    return memorization_of_counts(Counts(n_in, hits, right, margin), variant, pool.learner, models=int(chosen.sum()))


class Counts(NamedTuple):
    """What is counted of the models that did not see each sample (row 0) and of those that did (row 1), shape (2, n) each.

    Attributes:
        models: How many.
        hits: How many give its label.
        right: How many give its right label.
        margin: Sum of their margins; NaN where nobody knows.
    """

    models: Floats
    hits: Floats
    right: Floats
    margin: Floats


def memorization_of_counts(counts: Counts, variant: Variant, learner: Learner, *, models: int) -> Memorization:
    """The estimate that counts of models give, see ``estimate_memorization``."""
    n_in, hits, right, margin = counts
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
        clean_damage=read_only(np.where(variant.class_known, damage, np.nan)),
        n_in=read_only(n_in[1].astype(np.int64)),
        n_out=read_only(n_in[0].astype(np.int64)),
        models=models,
        learner=learner,
        variant_id=variant.provenance.variant_id,
    )


def write_memorization(
    memorization: Memorization,
    path: Path,
    *,
    answers: Mapping[str, Floats] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write an estimate in sample order, with its learner, its number of models and the id of its variant.

    Args:
        memorization: What was measured.
        path: The file.
        answers: The columns of ``ANSWERS``, where each sample was left out exactly: there is then no column of counts and
            of errors.
        metadata: What else the file says of itself.
    """
    columns: dict[str, NDArray[Any]] = {"sample": np.arange(len(memorization.values), dtype=np.int64)}
    columns |= {COLUMNS[name]: getattr(memorization, name) for name in _measures_of(memorization)}
    columns |= answers or {}
    told = {
        "variant_id": memorization.variant_id,
        "learner": json.dumps(memorization.learner.as_json()),
        "models": str(memorization.models),
    }
    write_columns(columns, path, metadata={**told, **(metadata or {})})


def _measures_of(memorization: Memorization) -> list[str]:
    """Fields that a file has a column of: all that is known."""
    if memorization.learner.is_exact:
        return [name for name in COLUMNS if name not in COUNTED]
    if not memorization.learner.is_released:
        return [*COLUMNS]
    known = [name for name in MEASURES if name == "values" or not np.isnan(getattr(memorization, name)).all()]
    return [*known, *(("n_in", "n_out") if memorization.models else ())]


def _columns_in(path: Path, told: Mapping[str, Any]) -> list[str]:
    """Columns of measures that the file of a learner with such fields must have, or, of a released one, has."""
    if told.get("estimand") in EXACT_ESTIMANDS:
        return [COLUMNS[name] for name in COLUMNS if name not in COUNTED]
    if told.get("recipe") != RELEASED:
        return [*COLUMNS.values()]
    there = set(column_names(path)) - {"memorization"}
    return ["memorization", *(name for name in COLUMNS.values() if name in there)]


def read_memorization(path: Path, variant_id: str | None = None) -> Memorization:
    """Read what ``write_memorization`` wrote.

    Args:
        path: The file.
        variant_id: The variant that it must be of; None asks nothing.

    Raises:
        BadData: The file is missing, is no Parquet, lacks a column, or holds values that no pool gives.
        Mismatch: It is of another variant.
    """
    path = a_path(path)
    told = _fields_in(read_metadata(path).get("learner", ""))
    exact = told.get("estimand") in EXACT_ESTIMANDS
    columns, metadata = read_columns(path, ["sample", *_columns_in(path, told), *(ANSWERS if exact else ())])
    _check_file(path, columns, metadata, variant_id)
    learner = _learner_of(metadata["learner"], path)
    one, other = ("answer_in", "answer_out") if learner.estimand == "leave_one_out_margin" else ("p_in", "p_out")
    known = {one, other} <= {*columns}
    if known and not np.array_equal(columns[one] - columns[other], columns["memorization"], equal_nan=True):
        msg = f"{path}: memorization is not {one} - {other}; it was changed after it was written: estimate again"
        raise BadData(msg)
    if exact:
        columns["stderr"] = np.where(np.isnan(columns["memorization"]), np.nan, 0.0)
    for name in COLUMNS.values():
        kind = np.int64 if name in ("n_in", "n_out") else np.float64
        columns.setdefault(name, np.full(len(columns["sample"]), 0 if kind is np.int64 else np.nan, dtype=kind))
    try:
        return Memorization(
            **{name: read_only(columns[column]) for name, column in COLUMNS.items()},
            models=int(metadata["models"]),
            learner=learner,
            variant_id=metadata["variant_id"],
        )
    except BadData as error:
        msg = f"{path}: {error}; estimate again"
        raise BadData(msg) from None


def _check_file(
    path: Path, columns: Mapping[str, NDArray[Any]], metadata: Mapping[str, str], variant_id: str | None
) -> None:
    """Raise ``BadData`` or ``Mismatch`` for columns and metadata that no measurement of a variant has."""
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
    for name in {"p_in", "p_out"} & {*columns}:
        outside = np.flatnonzero((columns[name] < 0) | (columns[name] > 1))
        if outside.size:
            msg = f"{path}: {name}[{outside[0]}] = {columns[name][outside[0]]} is no share; estimate again"
            raise BadData(msg)


def _fields_in(text: str) -> Mapping[str, Any]:
    """The fields of the learner in a file's metadata; none where there are none."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _learner_of(text: str, path: Path) -> Learner:
    """The learner in a file's metadata: its fields as JSON, or the words of version 0.1.0."""
    fields = _fields_in(text)
    if fields:
        return record_as(fields, Learner, path, mend="estimate again")
    learner = learner_in_words(text)
    if learner is None:
        msg = f"{path} does not say of which learner it is, but '{text[:60]}'; estimate again"
        raise BadData(msg)
    return learner


def read_memorizations(runs: Path, variant: Variant) -> dict[str, tuple[Path, Memorization]]:
    """Every estimate beside the runs of a variant, by the name of its folder, with the path of its file.

    Raises:
        BadData: A file is broken, or two are of learners of one name.
        Mismatch: One is of another variant.
    """
    paths = sorted((runs / "memorization").glob("*/memorization.parquet"))
    found = {path.parent.name: (path, read_memorization(path, variant.provenance.variant_id)) for path in paths}
    folders: dict[Learner, Path] = {}
    for path, memorization in found.values():
        other = folders.setdefault(memorization.learner, path.parent)
        if other != path.parent:
            raise BadData(already_measured(memorization.learner.name, other, path.parent))
    return found


def already_measured(learner: str, there: Path, here: Path) -> str:
    """The message for a learner that was measured with another seed or options: no table could tell the two apart."""
    return (
        f"{there} is of '{learner}' as {here} would be, with another seed, which no table could tell "
        f"apart; give another --out, or delete one of the two folders"
    )


COLUMNS = {name: "memorization" if name == "values" else name for name in (*MEASURES, "n_in", "n_out")}
"""Field of ``Memorization`` → column of its file."""
COUNTED = ("stderr", "n_in", "n_out")
"""Fields that come from counting models: no columns where each sample was left out exactly."""
ANSWERS = ("answer_in", "answer_out", "leverage")
"""Columns of a file where each sample was left out exactly: the answer for its label, that without it, and its leverage."""


def check_same(what: Pool | Memorization, variant: Variant) -> None:
    """Raise ``Mismatch`` unless a pool or memorization is of the variant's labels."""
    if what.variant_id != variant.provenance.variant_id:
        kind = type(what).__name__.lower()
        msg = (
            f"the {kind} is of variant '{what.variant_id[:12]}', the labels are of {variant.provenance.variant_id[:12]}"
        )
        raise Mismatch(msg)


def mean_of(values: Floats) -> float:
    """Mean, NaN of nothing."""
    return float(values.mean()) if values.size else float("nan")
