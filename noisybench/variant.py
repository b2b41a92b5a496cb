"""A variant: the labels that a model is trained on, what is known of the right ones, and how they came to be."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import Option, Source, check_marks, check_names
from noisybench.drawing import Mode, check_mode
from noisybench.ground.arrays import UNKNOWN, WRONG, Labels, check_labels, read_only
from noisybench.ground.checks import whole
from noisybench.ground.digests import label_digest
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import (
    check_fields,
    file_name,
    read_array,
    read_columns,
    read_record,
    write_array,
    write_columns,
    write_json,
)
from noisybench.ground.options import plain_options
from noisybench.ground.version import __version__

RateDefinition = Literal["effective", "inclusive", "per_source_class", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """What a noise returns.

    Attributes:
        labels: Given labels, shape (n,).
        flip_probability: P(label wrong | input, clean label), shape (n,); None for a noise without a law.
        transition: Nominal T[i, j] = P(given j | clean i), shape (k, k); None where there is none.
        selected: Who was chosen for noising, which is not who was flipped, shape (n,); None where nobody was chosen.
        rate_definition: What the noise's ``rate`` is a rate of: all labels (``effective``), redraws that may give the
            own class back (``inclusive``), or the labels of the mapped classes (``per_source_class``).
        doubted: Whose clean label is not to be trusted and becomes ``UNKNOWN``, shape (n,); None leaves all as they are.
        marks: What the noise has to say of samples beside their label, by name, each of shape (n,): see ``Source``.
    """

    labels: Labels
    flip_probability: NDArray[np.float64] | None = None
    transition: NDArray[np.float64] | None = None
    selected: NDArray[np.bool_] | None = None
    rate_definition: RateDefinition = "none"
    doubted: NDArray[np.bool_] | None = None
    marks: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class Noise(Protocol):
    """What a file of ``noises/`` gives: a frozen dataclass whose fields are the noise's parameters.

    One that cannot be drawn in every mode says in a class variable ``modes`` in which it can.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    found: ClassVar[bool]  # errors that people made (True) need no clean label to start from, injected ones do

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        """Draw the labels once, from ``seed`` alone; ``source`` is left as it was.

        Its clean labels are classes or ``UNKNOWN``: what is ``WRONG`` is shown to no noise, and keeps its label.
        """


@dataclass(frozen=True, slots=True)
class Provenance:
    """Enough to know where a label column came from, and to notice if it changed. Holds no path."""

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
        transition: Nominal transition matrix, shape (k, k), or None.
        provenance: Where ``labels`` came from.
        marks: What was done to samples that is no flip of a label, by name, each of shape (n,): see ``Source``.

    Raises:
        Mismatch: The labels are not those that the provenance describes.
        BadData: A column of another length, or labels outside the classes.
    """

    labels: Labels
    clean: Labels
    class_names: tuple[str, ...]
    flip_probability: NDArray[np.float64] | None
    selected: NDArray[np.bool_] | None
    transition: NDArray[np.float64] | None
    provenance: Provenance
    marks: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_marks(self.marks, len(self.labels))
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
        if variant_id(self.provenance.source_sha256, self.labels) != self.provenance.variant_id:
            msg = (
                f"variant id {self.provenance.variant_id[:12]} does not follow from its source and labels; build again"
            )
            raise Mismatch(msg)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where it is known whether the label is wrong, shape (n,)."""
        return self.clean != UNKNOWN

    @property
    def class_known(self) -> NDArray[np.bool_]:
        """Where the right class is known too, shape (n,)."""
        return self.clean >= 0

    @property
    def mislabeled(self) -> NDArray[np.bool_]:
        """Where the label is known to be wrong, shape (n,). The realised flips are the truth, not the requested rate."""
        return self.known & (self.labels != self.clean)

    @property
    def name(self) -> str:
        """Name of its folder: source, noise and the first eight digits of the variant id."""
        return file_name(f"{self.provenance.source}-{self.provenance.noise}-{self.provenance.variant_id[:8]}")


def variant_id(source_sha256: str, labels: Labels) -> str:
    """SHA-256 of the source's digest and the labels as little-endian int64: what ties traces, scores and truths."""
    return hashlib.sha256(bytes.fromhex(source_sha256) + labels.astype("<i8").tobytes()).hexdigest()


def build_variant(source: Source, noise: Noise, *, seed: int = 0, mode: Mode | None = None) -> Variant:
    """Draw the labels of ``source`` once, and write down how.

    Where a source knows no right class at all, a noise that injects errors starts from the labels as they came, and the
    provenance says so (``reference="labels"``). Where it knows some, the others keep their label and what is known of it.

    Args:
        source: Left as it was.
        noise: An instance of what a file of ``noises/`` gives.
        seed: Decides every draw.
        mode: How the counts are drawn, see ``noisybench.drawing``; None takes ``exact`` where the noise has that mode,
            else the first that it has.

    Raises:
        BadUsage: A seed or a mode that cannot be meant.
        BadData: The noise cannot be applied to this source.
    """
    if mode is not None:
        check_mode(mode)
    if isinstance(noise, type) or not is_dataclass(noise):
        given = f"the class {noise.__name__}" if isinstance(noise, type) else repr(noise)
        msg = f"noise must be an instance with its parameters, as find('noises', 'symmetric')(rate=0.2), got {given}"
        raise BadUsage(msg)
    mode = mode or getattr(noise, "modes", get_args(Mode))[0]
    if noise.found:  # nothing is drawn, so neither may tell two variants apart
        seed, mode = 0, "exact"
    seed = whole(seed, "seed", least=0)
    name = noise_name(noise)
    reference: Literal["clean", "labels"] = "clean"
    base = source
    if not noise.found and not (source.clean >= 0).any():
        reference = "labels"
        base = replace(source, clean=np.where(source.clean == WRONG, WRONG, source.labels))
    if not noise.found and not (base.clean >= 0).any():
        msg = (
            f"source '{source.name}' has no sample of known class, so noise '{name}' has nothing to make wrong; "
            f"take its errors as they are: --noise as_found"
        )
        raise BadData(msg)
    if not noise.found and source.num_classes < 2:  # noqa: PLR2004 - a right class and a wrong one
        msg = f"source '{source.name}' has {source.num_classes} class: a wrong label needs at least two"
        raise BadData(msg)
    shown = replace(base, clean=read_only(np.where(base.clean == WRONG, UNKNOWN, base.clean)))
    draw = noise(shown, seed=seed, mode=mode)
    labels = check_labels(draw.labels, source.num_classes, what=f"labels drawn by '{name}'")
    # That the published label is wrong says nothing of another one.
    lost = (base.clean == WRONG) & (labels != source.labels)
    if draw.doubted is not None:
        lost |= draw.doubted
    return Variant(
        labels=labels,
        clean=read_only(np.where(lost, UNKNOWN, base.clean)),
        class_names=source.class_names,
        flip_probability=None if draw.flip_probability is None else read_only(draw.flip_probability),
        selected=None if draw.selected is None else read_only(draw.selected),
        transition=None if draw.transition is None else read_only(draw.transition),
        provenance=Provenance(
            source=source.name,
            source_options=dict(source.options),
            limit=source.limit,
            source_sha256=source.sha256,
            source_order=source.order,
            noise=name,
            params=plain_options(noise),
            rate_definition=draw.rate_definition,
            reference=reference,
            seed=seed,
            mode=mode,
            labels_sha256=label_digest(labels),
            variant_id=variant_id(source.sha256, labels),
            noisybench=__version__,
        ),
        marks={**source.marks, **draw.marks},
    )


def noise_name(noise: Noise) -> str:
    """Name of a noise: of its file, or of its class where it is a user's own."""
    module = type(noise).__module__
    return (
        module.removeprefix("noisybench.noises.") if module.startswith("noisybench.noises.") else type(noise).__name__
    )


def check_transition(matrix: NDArray[np.float64], num_classes: int) -> None:
    """Raise ``BadData`` unless ``matrix`` is (k, k), not negative, with rows P(given | clean) that sum to one."""
    if matrix.shape != (num_classes, num_classes):
        msg = (
            f"a transition matrix of {num_classes} classes has shape ({num_classes}, {num_classes}), got {matrix.shape}"
        )
        raise BadData(msg)
    if not (matrix >= 0).all():  # NaN is not >= 0 either
        row, column = np.argwhere(~(matrix >= 0))[0]
        msg = f"transition[{row}, {column}] = {matrix[row, column]} is not a probability"
        raise BadData(msg)
    sums = matrix.sum(1)
    wrong = np.flatnonzero(np.abs(sums - 1) > 1e-8)  # noqa: PLR2004 - rounding of a sum
    if wrong.size:
        hint = "; its columns do: give the transpose" if np.allclose(matrix.sum(0), 1, atol=1e-8) else ""
        msg = f"row {wrong[0]} of the transition matrix sums to {sums[wrong[0]]:.6g}, expected 1{hint}"
        raise BadData(msg)


def write_variant(variant: Variant, folder: str | Path) -> None:
    """Write a variant's folder; ``variant.json`` comes last, so that a folder which has it is whole.

    The record holds a digest of every column, and the table one of the record: neither can be edited unnoticed.
    """
    folder = Path(folder)
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
    record = {
        **asdict(variant.provenance),
        "class_names": list(variant.class_names),
        "columns_sha256": _columns_digest(columns, variant.transition),
    }
    metadata = {"variant_id": variant.provenance.variant_id, "record_sha256": _record_digest(record)}
    write_columns(columns, folder / "labels.parquet", metadata=metadata)
    if variant.transition is not None:
        write_array(variant.transition, folder / "transition.npy")
    else:
        (folder / "transition.npy").unlink(missing_ok=True)
    write_json(record, folder / "variant.json")


def read_variant(folder: str | Path) -> Variant:
    """Read what ``write_variant`` wrote; its digests are checked.

    Raises:
        BadData: A file is missing, broken, or does not belong to the others.
    """
    folder = Path(folder)
    if not (folder / "variant.json").is_file():
        msg = f"{folder} is no variant: it has no variant.json; 'noisybench build' makes one"
        raise BadData(msg)
    record = read_record(folder / "variant.json")
    names = {field.name for field in fields(Provenance)} | {"class_names", "columns_sha256"}
    if set(record) != names:
        odd = ", ".join(sorted(names ^ set(record)))
        msg = f"{folder / 'variant.json'} does not have the fields of a variant (differs in: {odd})"
        raise BadData(msg)
    check_fields(record, get_type_hints(Provenance) | {"class_names": list[str]}, folder / "variant.json")
    if not re.fullmatch("[0-9a-f]{64}", record["source_sha256"]):
        msg = f"{folder / 'variant.json'}: source_sha256 '{record['source_sha256'][:80]}' is no SHA-256; build again"
        raise BadData(msg)
    columns, metadata = read_columns(folder / "labels.parquet")
    if metadata.get("variant_id") != record["variant_id"]:
        msg = f"{folder / 'labels.parquet'} is of another variant than variant.json; build again"
        raise Mismatch(msg)
    if not {"sample", "label", "clean"} <= set(columns):
        msg = f"{folder / 'labels.parquet'} has columns {', '.join(columns)}, expected sample, label, clean"
        raise BadData(msg)
    if not np.array_equal(columns["sample"], np.arange(len(columns["sample"]))):
        msg = f"{folder / 'labels.parquet'} is not in sample order; build again"
        raise BadData(msg)
    transition = read_array(folder / "transition.npy") if (folder / "transition.npy").is_file() else None
    if metadata.get("record_sha256") != _record_digest(record):
        msg = f"{folder / 'variant.json'} was changed after it was written; build again"
        raise Mismatch(msg)
    if record.pop("columns_sha256") != _columns_digest(columns, transition):
        msg = f"{folder} does not hold the columns that variant.json describes; build again"
        raise Mismatch(msg)
    class_names = tuple(record.pop("class_names"))
    return Variant(
        labels=read_only(columns["label"]),
        clean=read_only(columns["clean"]),
        class_names=class_names,
        flip_probability=read_only(columns["flip_probability"]) if "flip_probability" in columns else None,
        selected=read_only(columns["selected"]) if "selected" in columns else None,
        transition=None if transition is None else read_only(transition),
        provenance=Provenance(**record),
        marks={name.removeprefix(MARK): read_only(mark) for name, mark in columns.items() if name.startswith(MARK)},
    )


MARK = "mark_"
"""Begins the names of columns that are marks."""


def _columns_digest(columns: Mapping[str, NDArray[Any]], transition: NDArray[np.float64] | None) -> str:
    digest = hashlib.sha256()
    for name, values in columns.items():
        digest.update(f"{name} {values.dtype.name} ".encode())
        digest.update(values.tobytes())
    if transition is not None:
        digest.update(transition.tobytes())
    return digest.hexdigest()


def _record_digest(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
