"""A variant: the labels that a model is trained on, what is known of the right ones, and how they came to be."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.data.crowd.answers import COLUMNS, Answers, check_answers
from noisybench.data.source import FREQUENCY, PARENT, UNIT, Option, Source, check_marks, check_names
from noisybench.ground.archives import read_archive, write_archive
from noisybench.ground.arrays import UNKNOWN, Labels, check_array, check_labels, read_only
from noisybench.ground.checks import a_path, check_kind
from noisybench.ground.digests import label_digest
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import file_name, read_columns, write_columns, write_json
from noisybench.ground.npy import read_array, write_array
from noisybench.ground.records import read_json_as
from noisybench.variants.corrections import (
    CHECKED,
    CORRECTIONS,
    DROPPED,
    CorrectionRecord,
    Corrections,
    parse_corrections,
    write_corrections,
)
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import RateDefinition
from noisybench.variants.transitions import AnyTransition, SparseTransition, check_transition, compact


@dataclass(frozen=True, slots=True)
class Provenance:
    """Enough to know where a label column came from, and to notice if it changed. Holds no path.

    ``left_out`` names the samples that the source left out, such as broken images, and ``corrections`` tells what people
    decided about the labels that source and noise gave; a record without any does not say so. ``drawn_on`` is what decided
    the last digits of a draw that rests on them, see ``rounding_here``; None of others, and of those before 0.5.0.
    """

    source: str
    source_options: Mapping[str, Option]
    limit: int | None
    source_sha256: str
    source_order: str
    noise: str
    params: Mapping[str, Option]
    rate_definition: RateDefinition
    reference: Literal["clean", "labels"]
    seed: int
    mode: Mode
    labels_sha256: str
    variant_id: str
    noisybench: str
    left_out: tuple[str, ...] = ()
    corrections: CorrectionRecord | None = None
    drawn_on: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRecord(Provenance):
    """What ``variant.json`` holds: the provenance, and what the columns beside it must be."""

    class_names: tuple[str, ...]
    columns_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """A label column for a source. The inputs never change, so they are not here.

    Attributes:
        labels: Labels to train on, shape (n,).
        clean: Reference labels, shape (n,); ``UNKNOWN`` where there is none, ``WRONG`` where no more is known than that
            the label is not right.
        class_names: One name per class, in index order.
        flip_probability: P(label wrong | input, clean label), shape (n,), or None.
        selected: Who was chosen for noising, shape (n,), or None.
        transition: Nominal transition matrix, shape (k, k), or None; of more than 1,000 classes a ``SparseTransition``.
        provenance: Where ``labels`` came from.
        marks: What was done to samples that is no flip of a label, by name, each of shape (n,): see ``Source``.
        answers: What several people said of the samples, or None.
        corrections: What people decided about the labels, or None. A corrected variant has the marks ``checked`` and
            ``dropped``, and no law of its noise: neither flip probabilities nor a matrix describe what people chose.

    Raises:
        Mismatch: The labels are not those that the provenance describes, or do not follow from the corrections.
        BadData: A column of another length, or labels outside the classes.
    """

    labels: Labels
    clean: Labels
    class_names: tuple[str, ...]
    flip_probability: NDArray[np.float64] | None
    selected: NDArray[np.bool_] | None
    transition: AnyTransition | None
    provenance: Provenance
    marks: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    answers: Answers | None = None
    corrections: Corrections | None = None

    def __post_init__(self) -> None:
        check_kind(self.provenance, Provenance, "provenance", "build_variant(source, noise) writes one")
        for what, values in (("labels", self.labels), ("clean labels", self.clean)):
            check_array(values, what, dimensions=1)
        check_marks(self.marks, len(self.labels))
        check_answers(self.answers, len(self.labels), self.num_classes, f"variant of '{self.provenance.source}'")
        check_names(self.class_names, f"variant of '{self.provenance.source}'")
        check_labels(self.labels, self.num_classes)
        check_labels(self.clean, self.num_classes, allow_unknown=True, what="clean labels")
        for name in ("clean", "flip_probability", "selected"):
            column = getattr(self, name)
            if column is not None and column.shape != self.labels.shape:
                msg = f"column '{name}' has shape {column.shape}, the labels have {self.labels.shape}"
                raise BadData(msg)
        for name, kind in (("flip_probability", "f"), ("selected", "b"), ("transition", "f")):
            column = getattr(self, name)
            if isinstance(column, SparseTransition):
                continue  # checked below
            if column is not None and column.dtype.kind != kind:
                msg = f"'{name}' is {column.dtype}, expected {'numbers' if kind == 'f' else 'true or false'}"
                raise BadData(msg)
        if self.transition is not None:
            check_transition(self.transition, self.num_classes)
        found, told = label_digest(self.labels), self.provenance.labels_sha256
        if found != told:
            msg = (
                f"the labels are not those of their provenance: sha256 {found[:12]}, expected {told[:12]}; build again"
            )
            raise Mismatch(msg)
        self._check_corrections()
        if variant_id(self.provenance.source_sha256, self.labels, self.dropped) != self.provenance.variant_id:
            msg = (
                f"variant id {self.provenance.variant_id[:12]} does not follow from its source and labels; build again"
            )
            raise Mismatch(msg)

    def _check_corrections(self) -> None:
        """Raise ``Mismatch`` unless labels and marks are what the corrections, if there are any, make of the labels before."""
        made, n, told = self.corrections, len(self.labels), self.provenance.corrections
        if (None if made is None else made.record) != told:
            msg = "the corrections are not those of their provenance; build again"
            raise Mismatch(msg)
        if made is None:
            return
        if not (made.samples < n).all() or not self._follows_from(made):
            msg = "labels and marks do not follow from the corrections; build again"
            raise Mismatch(msg)

    def _follows_from(self, made: Corrections) -> bool:
        """Whether labels and marks are what corrections of the samples make of the labels before."""
        n, before = len(self.labels), made.labels_before(self.labels)
        marks = {CHECKED: made.mark(n, "accept", "keep"), DROPPED: made.mark(n, "drop")}
        own = {name: self.marks[name] for name in marks if name in self.marks and self.marks[name].dtype == np.bool_}
        return (
            np.array_equal(made.labels_after(before), self.labels)
            and all(name in own and np.array_equal(own[name], mark) for name, mark in marks.items())
            and variant_id(self.provenance.source_sha256, before) == made.variant_id
        )

    def __repr__(self) -> str:
        truth = f"{self.mislabeled.sum()} mislabeled of {self.known.sum()} known"
        return f"Variant('{self.name}', {len(self.labels)} samples, {self.num_classes} classes, {truth})"

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def variant_id(self) -> str:
        return self.provenance.variant_id

    @property
    def dropped(self) -> NDArray[np.bool_]:
        """Who was left out by a person, shape (n,): observed and scored, and no part of training and of any truth."""
        if self.corrections is None:  # whatever a source calls its marks
            return np.zeros(len(self.labels), dtype=np.bool_)
        dropped: NDArray[np.bool_] = self.marks[DROPPED]
        return dropped

    @property
    def copies(self) -> Labels | None:
        """Number of each sample's group, shape (n,): of units of copies, see ``frequency_spectrum``; else None.

        Copies are in the same subsets, folds and halves, so that no held-out answer rests on a copy of what it is about.
        """
        if not {UNIT, FREQUENCY, PARENT} <= {*self.marks}:
            return None
        parent, n = self.marks[PARENT], len(self.labels)
        groups = np.unique(np.where(parent < 0, parent.max() + 1 + np.arange(n), parent), return_inverse=True)[1]
        return groups.astype(np.int64) if groups.max() + 1 < n else None

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where it is known whether the label is wrong, shape (n,); nowhere among those dropped."""
        return (self.clean != UNKNOWN) & ~self.dropped

    @property
    def class_known(self) -> NDArray[np.bool_]:
        """Where the right class is known too, shape (n,); nowhere among those dropped."""
        return (self.clean >= 0) & ~self.dropped

    @property
    def mislabeled(self) -> NDArray[np.bool_]:
        """Where the label is known to be wrong, shape (n,). The realised flips are the truth, not the requested rate."""
        return self.known & (self.labels != self.clean)

    @property
    def name(self) -> str:
        """Name of its folder: source, noise, the first eight digits of the variant id, and whether it was corrected."""
        corrected = "" if self.corrections is None else "-corrected"
        return file_name(f"{self.provenance.source}-{self.provenance.noise}-{self.variant_id[:8]}{corrected}")


def variant_id(source_sha256: str, labels: Labels, dropped: NDArray[np.bool_] | None = None) -> str:
    """SHA-256 of the source's digest and the labels as little-endian int64: what ties traces, scores and truths.

    Where samples are dropped, their numbers follow in the same form.
    """
    digest = hashlib.sha256(bytes.fromhex(source_sha256) + labels.astype("<i8").tobytes())
    if dropped is not None:
        digest.update(np.flatnonzero(dropped).astype("<i8").tobytes())
    return digest.hexdigest()


def check_variant(variant: object) -> None:
    """Raise ``BadUsage`` for what is no variant, such as its folder."""
    check_kind(variant, Variant, "variant", "read_variant(folder) or build_variant(source, noise) gives one")


def write_variant(variant: Variant, folder: str | Path) -> None:
    """Write a variant's folder; ``variant.json`` comes last, so that a folder which has it is whole.

    The record holds a digest of every column, and the table one of the record: neither can be edited unnoticed.
    """
    check_variant(variant)
    folder = a_path(folder, "folder")
    columns: dict[str, NDArray[Any]] = {
        "sample": np.arange(len(variant.labels), dtype=np.int64),
        "label": variant.labels,
        "clean": variant.clean,
    }
    if variant.flip_probability is not None:
        columns["flip_probability"] = variant.flip_probability
    if variant.selected is not None:
        columns["selected"] = variant.selected
    columns |= {f"{MARK}{name}": mark for name, mark in variant.marks.items()}
    record = VariantRecord(
        **{field.name: getattr(variant.provenance, field.name) for field in fields(Provenance)},
        class_names=variant.class_names,
        columns_sha256=_columns_digest(columns, variant.transition, variant.answers),
    )
    metadata = {"variant_id": variant.provenance.variant_id, "record_sha256": _record_digest(record)}
    write_columns(columns, folder / "labels.parquet", metadata=metadata)
    place = transition_file(variant)
    if isinstance(variant.transition, SparseTransition):
        write_archive(variant.transition.arrays(), folder / SPARSE)
    elif variant.transition is not None:
        write_array(variant.transition, folder / DENSE)
    for name in (DENSE, SPARSE):
        if name != place:
            (folder / name).unlink(missing_ok=True)
    if variant.answers is not None:
        write_columns(answer_columns(variant.answers), folder / ANSWERS, metadata=metadata)
    else:
        (folder / ANSWERS).unlink(missing_ok=True)
    if variant.corrections is not None:
        write_corrections(variant.corrections, folder / CORRECTIONS, variant.class_names)
    else:
        (folder / CORRECTIONS).unlink(missing_ok=True)
    write_json(_as_json(record), folder / "variant.json")


def read_variant(folder: str | Path) -> Variant:
    """Read what ``write_variant`` wrote; its digests are checked.

    Raises:
        BadData: A file is missing, broken, or does not belong to the others.
    """
    folder = a_path(folder, "folder")
    if not (folder / "variant.json").is_file():
        msg = f"{folder} is no variant: it has no variant.json; 'noisybench build' makes one"
        raise BadData(msg)
    record = read_json_as(folder / "variant.json", VariantRecord, mend="build again")
    if not re.fullmatch("[0-9a-f]{64}", record.source_sha256):
        msg = f"{folder / 'variant.json'}: source_sha256 '{record.source_sha256[:80]}' is no SHA-256; build again"
        raise BadData(msg)
    columns, metadata = read_columns(folder / "labels.parquet")
    if metadata.get("variant_id") != record.variant_id:
        msg = f"{folder / 'labels.parquet'} is of another variant than variant.json; build again"
        raise Mismatch(msg)
    if not {"sample", "label", "clean"} <= set(columns):
        msg = f"{folder / 'labels.parquet'} has columns {', '.join(columns)}, expected sample, label, clean"
        raise BadData(msg)
    if not np.array_equal(columns["sample"], np.arange(len(columns["sample"]))):
        msg = f"{folder / 'labels.parquet'} is not in sample order; build again"
        raise BadData(msg)
    transition = _read_transition(folder, len(record.class_names))
    if metadata.get("record_sha256") != _record_digest(record):
        msg = f"{folder / 'variant.json'} was changed after it was written; build again"
        raise Mismatch(msg)
    answers = _read_answers(folder)
    if record.columns_sha256 != _columns_digest(columns, transition, answers):
        msg = f"{folder} does not hold the columns that variant.json describes; build again"
        raise Mismatch(msg)
    corrections = None
    if record.corrections is not None:
        corrections = parse_corrections(folder / CORRECTIONS, record.class_names, len(columns["label"])).in_order()
    return Variant(
        labels=read_only(columns["label"]),
        clean=read_only(columns["clean"]),
        class_names=record.class_names,
        flip_probability=read_only(columns["flip_probability"]) if "flip_probability" in columns else None,
        selected=read_only(columns["selected"]) if "selected" in columns else None,
        transition=None if transition is None else compact(transition),
        provenance=Provenance(**{field.name: getattr(record, field.name) for field in fields(Provenance)}),
        marks={name.removeprefix(MARK): read_only(mark) for name, mark in columns.items() if name.startswith(MARK)},
        answers=answers,
        corrections=corrections,
    )


def transition_file(variant: Variant) -> str | None:
    """Name of the file of its transition matrix; None where it has none."""
    if variant.transition is None:
        return None
    return SPARSE if isinstance(variant.transition, SparseTransition) else DENSE


def _read_transition(folder: Path, num_classes: int) -> AnyTransition | None:
    if (folder / SPARSE).is_file():
        arrays = read_archive(folder / SPARSE, ("rows", "columns", "values", "left", "right"))
        return SparseTransition(num_classes, **{name: read_only(values) for name, values in arrays.items()})
    return read_only(read_array(folder / DENSE)) if (folder / DENSE).is_file() else None


DENSE, SPARSE = "transition.npy", "transition.npz"
"""Files of a transition matrix: of all its entries, and of the arrays of a ``SparseTransition``."""
MARK = "mark_"
"""Begins the names of columns that are marks."""
ANSWERS = "answers.parquet"
"""File of what several people answered, beside the labels."""


def answer_columns(answers: Answers) -> dict[str, NDArray[np.int64]]:
    """The columns of ``answers.parquet``, by name."""
    return {name: getattr(answers, name) for name in COLUMNS}


def _read_answers(folder: Path) -> Answers | None:
    if not (folder / ANSWERS).is_file():
        return None
    columns, _ = read_columns(folder / ANSWERS, list(COLUMNS))
    return Answers(**columns)


def _columns_digest(
    columns: Mapping[str, NDArray[Any]], transition: AnyTransition | None, answers: Answers | None
) -> str:
    digest = hashlib.sha256()
    if answers is not None:
        columns = {**columns, **{f"answers.{name}": values for name, values in answer_columns(answers).items()}}
    for name, values in columns.items():
        digest.update(f"{name} {values.dtype.name} ".encode())
        digest.update(values.tobytes())
    if isinstance(transition, SparseTransition):
        for name, values in transition.arrays().items():
            digest.update(f"{name} {values.dtype.name} {values.shape} ".encode())
            digest.update(values.tobytes())
    elif transition is not None:
        digest.update(transition.tobytes())
    return digest.hexdigest()


def _record_digest(record: VariantRecord) -> str:
    return hashlib.sha256(json.dumps(_as_json(record), sort_keys=True).encode()).hexdigest()


def _as_json(record: VariantRecord) -> dict[str, Any]:
    """What ``variant.json`` holds: every field but those that not every variant has, where they are empty."""
    rare = ("left_out", "corrections", "drawn_on")
    return {key: value for key, value in asdict(record).items() if key not in rare or value}


def check_source(source: Source, variant: Variant) -> None:
    """Raise ``Mismatch`` unless the variant's labels belong to these inputs."""
    check_kind(source, Source, "source", "load_source('digits') or source_from_arrays(…) gives one")
    check_kind(variant, Variant, "variant", "build_variant(…) or read_variant(folder) gives one")
    if variant_id(source.sha256, variant.labels, variant.dropped) != variant.provenance.variant_id:
        msg = (
            f"the variant was made from '{variant.provenance.source}' {variant.provenance.source_sha256[:12]}, "
            f"not from '{source.name}' {source.sha256[:12]}; give the files that it was built from"
        )
        raise Mismatch(msg)
