"""A source: inputs, the labels they came with, and what is known of the right ones."""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from noisybench.data.crowd.answers import Answers, answers_from_matrix, check_answers
from noisybench.data.inputs import IMAGE_DIMENSIONS, AnyInputs, add_inputs, as_inputs, check_inputs, rows_of
from noisybench.data.label_columns import label_columns
from noisybench.ground.arrays import UNKNOWN, Labels, check_array, check_labels, read_only
from noisybench.ground.checks import check_kind, unknown, whole
from noisybench.ground.errors import BadData, BadUsage, Mismatch, UnknownName

PARENT = "parent"
"""Mark that is no yes or no: which sample of the base an input is of; -1 for one that came from elsewhere."""

UNIT, FREQUENCY = "unit", "frequency"
"""Marks of a frequency spectrum: number of the sub-population a sample is of, -1 for none; and how many of its samples are
trained on, 0 for none. The two test marks are those of held-out siblings."""

SCORE_INSTEAD = (
    "name the inputs when you build it, or bring what a model of your own says of each sample: noisybench score VARIANT "
    "--pred-probs FILE --name NAME"
)
"""What a source of labels alone is good for, as an end of a sentence that refuses something else."""

Augmentation = Literal["none", "crop", "crop_flip"]
Option = str | int | float | bool


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Training inputs, the labels they came with, and a test set.

    Attributes:
        name: Name of the loader, such as ``"cifar10"``.
        inputs: Images (n, h, w, c) uint8 or features (n, d) float32, in the order of the published files; an array, a
            memory map, or what is read when it is asked for, see ``LazyInputs``. None where there are labels alone:
            ``inputs_of`` refuses what needs more.
        labels: Labels as published, shape (n,).
        clean: Reference labels, shape (n,); ``UNKNOWN`` where there is none, ``WRONG`` where no more is known than that
            the label is not right.
        test_inputs: Like ``inputs``, shape (m, ...); None where there is no test set.
        test_labels: Shape (m,); None where there is no test set.
        class_names: One name per class, in index order.
        sha256: Digest of ``inputs`` and ``labels`` as read, see ``source_digest``.
        order: The sample order that was recognised, in words.
        augmentation: What may be done to a training image without changing its class.
        options: The loader's options, without paths.
        limit: How many samples were kept, where not all were.
        marks: What was done to samples that is no flip of a label, by name: true or false, and whose input it is, each
            of shape (n,); see ``noisybench.data.alteration``.
        sample_names: What people call each sample, such as its file below the folder of the source, shape (n,); None
            where the number is all there is. They are no part of the digest.
        notes: What the loader chose and what it found odd, a sentence each, which ``build`` shows.
        answers: What several people said of the samples; None where that is not known. They are no part of the digest.
        left_out: What people call the samples that the loader left out, such as broken images, those of the test set
            after the others.
        texts: The text that each training input was made of, shape (n,); None where they were made of something else.
        rows: The row of a table that each training input was made of, in words for people, shape (n,); None likewise.
        originals: The images as their files hold them, where ``inputs`` are those brought to one side: what gives them at
            another, see ``noisybench.data.images.files.images_at``. None where the inputs are all there is. Neither these
            nor texts and rows are part of the digest.
        test_marks: What is said of test samples, by name, each of shape (m,), such as the ``unit`` they are siblings of;
            no part of the digest.
    """

    name: str
    inputs: Any  # AnyInputs | None; by that type, everyone with an array would have to prove that it is one
    labels: Labels
    clean: Labels
    test_inputs: Any  # AnyInputs | None
    test_labels: Labels | None
    class_names: tuple[str, ...]
    sha256: str
    order: str = "as read"
    augmentation: Augmentation = "none"
    options: Mapping[str, Option] = field(default_factory=dict)
    limit: int | None = None
    marks: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    sample_names: Sequence[str] | None = None
    notes: tuple[str, ...] = ()
    answers: Answers | None = None
    left_out: tuple[str, ...] = ()
    texts: Sequence[str] | None = None
    rows: Sequence[str] | None = None
    originals: Any = None  # ImageFiles | ArrowRows | None, which are no spine of this file
    test_marks: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_array(self.labels, f"source '{self.name}': labels", dimensions=1)
        check_array(self.clean, f"source '{self.name}': clean", dimensions=1)
        check_marks(self.marks, len(self.labels))
        check_marks(self.test_marks, 0 if self.test_labels is None else len(self.test_labels), "test mark")
        check_answers(self.answers, len(self.labels), self.num_classes, f"source '{self.name}'")
        check_labels(self.labels, self.num_classes, what=f"source '{self.name}': labels")
        check_labels(self.clean, self.num_classes, allow_unknown=True, what=f"source '{self.name}': clean labels")
        if self.inputs is not None:
            check_inputs(self.inputs, f"inputs of source '{self.name}'")
        if not len(self.labels) or (self.test_labels is not None and not len(self.test_labels)):
            msg = f"source '{self.name}' has an empty training or test set; expected samples (or no test set at all)"
            raise BadData(msg)
        check_names(self.class_names, f"source '{self.name}'")
        if len(set(self.class_names)) != len(self.class_names):
            msg = f"source '{self.name}' has two classes of one name among: {', '.join(self.class_names)}"
            raise BadData(msg)
        n = len(self.labels) if self.inputs is None else len(self.inputs)
        if not n == len(self.labels) == len(self.clean):
            msg = (
                f"source '{self.name}' has {n} inputs, {len(self.labels)} labels "
                f"and {len(self.clean)} clean labels; expected as many of each"
            )
            raise BadData(msg)
        self._check_told()
        if (self.test_inputs is None) != (self.test_labels is None):
            msg = f"source '{self.name}' has test inputs or test labels without the other; give both or neither"
            raise BadData(msg)
        if self.test_inputs is not None and self.test_labels is not None:
            if self.inputs is None:
                msg = f"source '{self.name}' has test inputs and no inputs to train on; give both or neither"
                raise BadData(msg)
            check_labels(self.test_labels, self.num_classes, what=f"source '{self.name}': test labels")
            if self.test_inputs.shape[1:] != self.inputs.shape[1:] or len(self.test_inputs) != len(self.test_labels):
                msg = (
                    f"source '{self.name}' has test inputs of shape {self.test_inputs.shape} and "
                    f"{len(self.test_labels)} test labels; expected (m, {', '.join(map(str, self.inputs.shape[1:]))})"
                )
                raise BadData(msg)

    def _check_told(self) -> None:
        """Raise ``BadData`` unless what is told of samples is told of each."""
        for what, told in (("names of them", self.sample_names), ("original images", self.originals)):
            if told is not None and len(told) != len(self.labels):
                msg = f"source '{self.name}' has {len(self.labels)} samples and {len(told)} {what}"
                raise BadData(msg)
        check_words(self.texts, len(self.labels), f"source '{self.name}': texts")
        check_words(self.rows, len(self.labels), f"source '{self.name}': rows")

    def __repr__(self) -> str:
        shape = "without inputs" if self.inputs is None else f"of shape {tuple(self.inputs.shape[1:])}"
        size = f"{len(self.labels)} samples {shape}, {self.num_classes} classes"
        return f"Source('{self.name}', {size}, sha256 {self.sha256[:8]})"

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input as a model sees it: (c, h, w) for images, (d,) for features."""
        inputs = inputs_of(self, "a model")
        if inputs.ndim == IMAGE_DIMENSIONS:
            h, w, c = inputs.shape[1:]
            return (c, h, w)
        return tuple(inputs.shape[1:])


def inputs_of(source: Source, what: str, instead: str = SCORE_INSTEAD) -> Any:  # noqa: ANN401 - of Source.inputs
    """The inputs of a source, shape (n, ...), for what cannot do without them.

    Args:
        source: Any.
        what: What needs them, the beginning of the sentence that refuses a source of labels alone.
        instead: What can be done with labels alone, its end.

    Raises:
        BadUsage: There are none.
    """
    check_kind(source, Source, "source", "load_source('digits') or source_from_arrays(…) gives one")
    if source.inputs is None:
        msg = f"{what} needs inputs, and source '{source.name}' has labels alone; {instead}"
        raise BadUsage(msg)
    return source.inputs


class LoadSource(Protocol):
    """What a file of ``sources/`` gives: a frozen dataclass whose fields are the loader's options."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __init__(self, **options: Any) -> None: ...  # noqa: ANN401 - the fields of the class

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        """Read the first ``limit`` training samples (None: all) from ``data`` (None: the cache, after a download)."""


def source_from_arrays(
    name: str,
    inputs: Any,  # noqa: ANN401 - anything NumPy can read
    labels: Any,  # noqa: ANN401
    *,
    clean: Any = None,  # noqa: ANN401
    test_inputs: Any = None,  # noqa: ANN401
    test_labels: Any = None,  # noqa: ANN401
    class_names: Sequence[str] | None = None,
    order: str = "as read",
    augmentation: Augmentation = "none",
    options: Mapping[str, Option] | None = None,
    limit: int | None = None,
    sample_names: Sequence[str] | None = None,
    marks: Mapping[str, NDArray[Any]] | None = None,
    notes: Sequence[str] = (),
    answers: Any = None,  # noqa: ANN401
    left_out: Sequence[str] = (),
    texts: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    originals: Any = None,  # noqa: ANN401 - of Source.originals
    test_marks: Mapping[str, NDArray[Any]] | None = None,
) -> Source:
    """A source from arrays, from inputs that are read lazily, or from labels alone.

    Args:
        name: Name of the source.
        inputs: Images (n, h, w, c) or (n, h, w) uint8, or features (n, d) of any real type; or ``LazyInputs``; None
            where there are labels alone.
        labels: Classes, shape (n,) or (n, 1): indices of ``class_names``, else any numbers or texts, see
            ``noisybench.data.label_columns``.
        clean: Reference labels, shape (n,), -1 where unknown, -2 where the label is known to be wrong and the right class
            is not; None where nobody knows any.
        test_inputs: Shape (m, ...), or None.
        test_labels: Shape (m,), or None; a sample whose label is -1 is left out, with a note, and so are all of them
            where there are no inputs.
        class_names: One per class, also of those that no sample has; None: the labels that occur are the classes, each
            named by its number or text, in order.
        order: The sample order that was recognised, in words.
        augmentation: What may be done to a training image without changing its class.
        options: The loader's options, without paths.
        limit: Keep the first ``limit`` training samples.
        sample_names: What people call each, shape (n,).
        marks: What is said of each, by name, shape (n,), see ``Source``.
        notes: What was chosen and what is odd, a sentence each.
        answers: ``Answers``, or class indices of shape (n, annotators), -1 where an annotator did not answer.
        left_out: What people call samples that were left out.
        texts: The text of each sample, shape (n,), as a list, an array or a column of strings; see ``Source``.
        rows: The row of a table of each sample, in words, shape (n,).
        originals: The images before they were brought to one side, shape (n,) or as many as ``inputs``.
        test_marks: What is said of test samples, by name, shape (m,), of all that are given.

    Raises:
        BadUsage: A limit that is no positive whole number, or an augmentation that does not exist.
        BadData: Arrays that do not fit together, or inputs that are NaN or infinite.
    """
    columns = label_columns(labels, clean, test_labels, class_names=class_names, source=name)
    given, tested = columns.labels, columns.test_labels
    if augmentation not in get_args(Augmentation):
        raise UnknownName(unknown(augmentation, get_args(Augmentation), "augmentation"))
    limit = None if limit is None else whole(limit, "limit", least=1)
    if limit is not None and limit >= len(given):
        limit = None
    kept = slice(limit)
    reference = np.full_like(given, UNKNOWN) if columns.clean is None else columns.clean
    test = None if test_inputs is None else as_inputs(test_inputs, f"test inputs of source '{name}'")
    unlabelled: list[str] = []
    tested_marks = dict(test_marks or {})
    if test is not None and tested is not None and len(test) == len(tested) and (tested == UNKNOWN).any():
        labelled = np.flatnonzero(tested != UNKNOWN)
        unlabelled = [without_labels("the test set", len(tested) - len(labelled), len(tested))]
        test, tested = (rows_of(test, labelled), tested[labelled]) if labelled.size else (None, None)
        tested_marks = {mark: values[labelled] for mark, values in tested_marks.items() if labelled.size}
    read = None if inputs is None else as_inputs(inputs, f"inputs of source '{name}'")
    if read is None:
        if test is None and tested is not None:  # only a model could be tested
            tested, tested_marks = None, {}
            unlabelled = ["the test set has no inputs and is left out"]
        unlabelled.append(WITHOUT_INPUTS)
    elif limit is not None and limit < len(read):
        read = rows_of(read, kept)
    given = given[kept]
    if answers is not None and not isinstance(answers, Answers):
        answers = answers_from_matrix(answers, what=f"source '{name}': answers")
    return Source(
        name=name,
        inputs=read,
        labels=read_only(given),
        clean=read_only(reference[kept]),
        test_inputs=test,
        test_labels=None if tested is None else read_only(tested),
        class_names=columns.class_names,
        sha256=source_digest(read, given),
        order=order,
        augmentation=augmentation,
        options=dict(options or {}),
        limit=limit,
        marks={name: read_only(mark[kept]) for name, mark in (marks or {}).items()},
        sample_names=None if sample_names is None else sample_names[kept],
        notes=(*notes, *columns.notes, *unlabelled),
        left_out=tuple(left_out),
        answers=answers if answers is None or limit is None else answers.first(limit),
        texts=_first_words(texts, limit),
        rows=_first_words(rows, limit),
        originals=originals if originals is None or len(originals) == len(given) else originals.take(kept),
        test_marks={mark: read_only(values) for mark, values in tested_marks.items()},
    )


def untested(source: Source) -> Source:
    """The source without its test set, for what is not tested or sees other inputs."""
    return replace(source, test_inputs=None, test_labels=None, test_marks={})


def _first_words(words: Sequence[str] | None, limit: int | None) -> Sequence[str] | None:
    """Those that are kept, at most ``limit``; a column of NumPy or pandas becomes a list, what is made when asked for stays so."""
    if words is None or isinstance(words, str | bytes):
        return words
    plain = words if isinstance(words, Sequence) else list(words)
    return plain if limit is None or len(plain) <= limit else plain[:limit]


def without_labels(what: str, absent: int, n: int) -> str:
    """What is told where test samples have no labels, as those of a benchmark that withholds them."""
    if absent < n:
        return f"{what}: {absent} of {n} samples have no label (-1 or missing) and are left out"
    return f"{what} has no labels (-1 or missing) and is left out"


WITHOUT_INPUTS = (
    "there are labels and no inputs: 'noisybench score' brings probabilities or scores of your own, for suspects, "
    "leaderboard, describe and export; what trains a model or looks at inputs is refused"
)
"""Note of a source of labels alone."""


def source_digest(inputs: AnyInputs | None, labels: Labels) -> str:
    """SHA-256 over the inputs' type, shape and bytes (or their own digest) and the labels as little-endian int64.

    Without inputs, the word ``none`` stands in their place; no type of inputs begins like it.
    """
    digest = hashlib.sha256(b"none" if inputs is None else f"{inputs.dtype.name} {inputs.shape}".encode())
    if inputs is not None:
        add_inputs(digest, inputs)
    digest.update(labels.astype("<i8").data)
    return digest.hexdigest()


def check_unchanged(source: Source) -> None:
    """Raise ``Mismatch`` if an array of inputs or labels was written to since the source was made from it.

    What is read lazily or lies in a file is not read again.
    """
    if type(source.inputs) is np.ndarray and source_digest(source.inputs, source.labels) != source.sha256:
        msg = f"the inputs or labels of source '{source.name}' were changed after it was made; make it from a copy"
        raise Mismatch(msg)


def check_words(words: Sequence[str] | None, n: int, what: str) -> None:
    """Raise ``BadData`` unless there are none, or one text a sample.

    Of words that are made when they are asked for, the number alone is seen.
    """
    if words is None:
        return
    if isinstance(words, str | bytes) or not isinstance(words, Sequence):
        msg = f"{what} must be a list of texts, one a sample, got {type(words).__name__}"
        raise BadData(msg)
    if len(words) != n:
        msg = f"{what}: there are {len(words)} of {n} samples; expected one a sample"
        raise BadData(msg)
    if isinstance(words, list | tuple):
        odd = next((i for i, text in enumerate(words) if not isinstance(text, str)), None)
        if odd is not None:
            msg = f"{what}[{odd}] is {type(words[odd]).__name__}, expected a text; leave it empty where there is none"
            raise BadData(msg)


def check_marks(marks: Mapping[str, NDArray[Any]], n: int, what: str = "mark") -> None:
    """Raise ``BadData`` unless every mark has a plain name and is true or false, or an index, for each of n samples."""
    for name, mark in marks.items():
        if not (name.isidentifier() and name.isascii()):
            msg = f"a {what} is called {name!r}; expected a name of letters, digits and underscores"
            raise BadData(msg)
        if mark.shape != (n,) or mark.dtype not in (np.bool_, np.int64):
            msg = f"{what} '{name}' is {mark.dtype} of shape {mark.shape}, expected bool or int64 of shape ({n},)"
            raise BadData(msg)


def check_names(names: Sequence[str], what: str) -> None:
    """Raise ``BadData`` unless every class name can be written to a file and to a line of text."""
    for k, name in enumerate(names):
        if not isinstance(name, str) or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
            msg = (
                f"{what}: the name of class {k}, {name!r}, is no text of whole, printable characters; "
                f"give the class another name"
            )
            raise BadData(msg)
