"""Altering: a source made from another, whose inputs or classes are no longer what they were.

None of it is a flip of a label. What was done to a sample is told by a mark, a truth of its own; where no class of the
source is right any more, the clean label becomes unknown, so that the sample counts neither as mislabeled nor as right.
Alterations come before noise: a noise keeps the labels of samples whose clean label is unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from noisybench.data.inputs import rows_of
from noisybench.data.source import FREQUENCY, PARENT, UNIT, LoadSource, Source, inputs_of, source_digest
from noisybench.data.tables.row_words import words_at
from noisybench.ground.arrays import Labels, read_only
from noisybench.ground.checks import check_rate, unknown
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.lookup import find, summary
from noisybench.ground.options import parse_call, parse_options
from noisybench.ground.random_streams import permutation

ANSWERS_LEFT_OUT = "answers of annotators are left out: they are of the samples before they were altered"


class Alter(Protocol):
    """What a file of ``alterations/`` gives: a frozen dataclass whose fields are its options."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __init__(self, **options: Any) -> None: ...  # noqa: ANN401 - the fields of the class

    def __call__(self, source: Source, *, seed: int, foreign: Source | None) -> Source:
        """A new source, from ``seed`` alone; ``source`` is left as it was. ``foreign`` is where other inputs are had."""


def changed(
    source: Source,
    *,
    inputs: NDArray[Any] | None = None,
    labels: Labels | None = None,
    clean: Labels | None = None,
    kept: NDArray[np.intp] | None = None,
    marks: Mapping[str, NDArray[Any]],
    **fields: Any,  # noqa: ANN401 - of Source
) -> Source:
    """A source with other columns, and the marks of every alteration so far.

    Args:
        source: As it was.
        inputs: Shape (n, ...); None leaves them.
        labels: Shape (n,); None leaves them.
        clean: Shape (n,); None leaves them.
        kept: Which samples stay, ascending, one that stands twice becomes two; None keeps all. Other columns are those
            before.
        marks: Name → (n,) of this alteration, of the samples before; a mark that is there is joined with.
        fields: Further fields of the new source.

    Raises:
        BadUsage: There are labels alone, whose scores, from elsewhere, would be of the samples before.
        BadData: No clean label would be left.
    """
    before_inputs = alterable(source)
    n = len(source.labels)
    if {UNIT, FREQUENCY} <= {*source.marks}:
        msg = (
            "what comes after frequency_spectrum would make its frequencies untrue: let it be the last step, without a "
            "limit; its option 'others' says how many other samples stay"
        )
        raise BadUsage(msg)
    kept = np.arange(n) if kept is None else kept
    left = (source.clean if clean is None else clean)[kept]
    if (source.clean >= 0).any() and not (left >= 0).any():
        msg = f"an alteration of source '{source.name}' would leave no clean label known; lower its rate"
        raise BadData(msg)
    before = {PARENT: np.arange(n, dtype=np.int64), **source.marks}
    joined = {
        name: before[name] | mark if name in before and mark.dtype == bool else mark for name, mark in marks.items()
    }
    columns = {name: read_only(values[kept]) for name, values in {**before, **joined}.items()}
    new_inputs = rows_of(before_inputs if inputs is None else inputs, kept)
    new_labels = read_only((source.labels if labels is None else labels)[kept])
    return replace(
        source,
        inputs=new_inputs,
        labels=new_labels,
        clean=read_only(left),
        sha256=source_digest(new_inputs, new_labels),
        marks=columns,
        sample_names=None,  # the mark ``parent`` tells which sample of the base it is
        answers=None,  # they are of the inputs before
        texts=_altered_words(source.texts, source, inputs, columns[PARENT], kept),
        rows=_altered_words(source.rows, source, inputs, columns[PARENT], kept),
        originals=None if inputs is not None or source.originals is None else source.originals.take(kept),
        notes=source.notes if source.answers is None else (*source.notes, ANSWERS_LEFT_OUT),
        **fields,
    )


def _altered_words(
    words: Sequence[str] | None,
    source: Source,
    inputs: NDArray[Any] | None,
    parent: NDArray[np.int64],
    kept: NDArray[np.intp],
) -> Sequence[str] | None:
    """Texts or rows of the samples that are kept: a copy has those of its twin, and a damaged or foreign input none.

    Args:
        words: Of the samples before, shape (n,).
        source: As it was.
        inputs: Those after, of the samples before; None where they are those of ``source``.
        parent: Which sample of the base each is of that is kept, shape (m,).
        kept: Which samples stay, shape (m,).
    """
    if words is None:
        return None
    before = parents(source)
    same = parent == before[kept]
    found = np.where(same, kept, -1)
    if not same.all():
        first = {origin: row for row, origin in reversed([*enumerate(before.tolist())])}
        found[~same] = [first.get(origin, -1) for origin in parent[~same].tolist()]
    if inputs is not None and isinstance(source.inputs, np.ndarray):
        flat = [part.reshape(len(part), -1)[kept] for part in (inputs, source.inputs)]
        found[same & (flat[0] != flat[1]).any(1)] = -1
    return words_at(words, found)


def alterable(source: Source) -> Any:  # noqa: ANN401 - of Source.inputs
    """The inputs of a source that is altered, or whose inputs replace others.

    Raises:
        BadUsage: There are none.
    """
    return inputs_of(source, "an alteration", "leave it out, or name the inputs of the source")


def parents(source: Source) -> NDArray[np.int64]:
    """A copy of the base sample of every input, shape (n,)."""
    return np.array(source.marks.get(PARENT, np.arange(len(source.labels))), dtype=np.int64)


def choose(source: Source, rate: float, purpose: str, *, seed: int) -> NDArray[np.intp]:
    """Samples that are altered, the nearest integer to ``rate`` of all, in a random order, shape (m,)."""
    n = len(source.labels)
    count = round(check_rate(rate) * n)
    return permutation(seed, purpose, n)[:count]


def check_how(how: str, known: tuple[str, ...]) -> None:
    """Raise ``UnknownName`` for a way to alter that does not exist."""
    if how not in known:
        raise UnknownName(unknown(how, known, "way"))


def check_truth(source: Source, what: str) -> None:
    """Raise ``BadData`` for a source that knows no clean label, where an alteration would have to say that it voids some."""
    if not (source.clean >= 0).any():
        msg = (
            f"alteration '{what}' makes clean labels unknown, and source '{source.name}' knows none: give a source with "
            f"clean labels"
        )
        raise BadData(msg)


def parse_alterations(text: str) -> list[Alter]:
    """The alterations that a text such as ``"long_tail(factor=10); duplicates(rate=0.01)"`` names, in its order.

    Raises:
        UnknownName: No such alteration or option.
        BadUsage: A step that does not read so, a value that cannot be meant, or one that is none of noisybench's.
    """
    return [_alteration(part) for part in text.split(";") if part.strip()]


def _alteration(text: str) -> Alter:
    name, options = parse_call(text, what="an alteration")
    if not summary("alterations", name):  # a record is read by strangers, who may name no code
        find("alterations", name)
        msg = f"alteration '{name}' must be one of noisybench's own"
        raise BadUsage(msg)
    alteration: Alter = parse_options(find("alterations", name), options, what=f"alteration '{name}'")
    return alteration


def load_base(text: str, data: Path | None, *, limit: int | None = None) -> Source:
    """A source of noisybench by its name and options, as ``cifar100(labels=coarse)``; whole unless there is a limit.

    Raises:
        UnknownName: No such source or option.
        BadUsage: One that is none of noisybench's, or altered itself, or a file that is named with its folder.
        BadData: Its files are missing or are not what they must be.
    """
    name, options = parse_call(text, what="a source")
    if name == "altered" or not summary("sources", name):
        find("sources", name)
        msg = f"source '{name}' cannot be altered: give one of noisybench's own, and all alterations as steps"
        raise BadUsage(msg)
    loader: LoadSource = parse_options(find("sources", name), options, what=f"source '{name}'")
    for key in options:  # the text is put on record: a record holds no place, and a stranger's may not name one
        value = getattr(loader, key)
        if isinstance(value, Path) and str(value) != value.name:
            msg = f"{key} of source '{name}' must be named without its folder, got '{value}': go to the folder that holds it"
            raise BadUsage(msg)
    return loader(data, limit=limit)
