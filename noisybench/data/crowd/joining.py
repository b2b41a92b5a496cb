"""Answers of several people, joined with the samples of one's own data, and the given labels that they make."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noisybench.data.classes import class_spelling, nobody_knows
from noisybench.data.crowd.answer_files import AnswerFile
from noisybench.data.crowd.answers import Answers, majority, one_each
from noisybench.data.tables.columns import ArrowColumn
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.errors import BadData, BadUsage

Rule = Literal["majority", "one", "column"]
COLUMN: Literal["column"] = "column"
"""The rule by which the labels are those that the samples came with, and answers only come too."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """How the given labels are made of answers, and by which seed where they are drawn."""

    rule: Rule
    seed: int = 0
    chosen: bool = False  # because nobody said how

    def labels(self, answers: Answers, n: int) -> tuple[Labels, str]:
        """One label a sample, shape (n,), ``UNKNOWN`` where nobody answered, and a sentence about them."""
        if self.rule == "one":
            said = f"given labels are one answer a sample, drawn with seed {self.seed}"
            return one_each(answers, n, seed=self.seed), said
        labels, tied = majority(answers, n)
        ties = (
            f"ties ({tied.sum()} of {n} samples) go to the class of the smallest index"
            if tied.any()
            else "without ties"
        )
        otherwise = "; aggregate=one:SEED takes one answer a sample, aggregate=column a column" if self.chosen else ""
        return labels, f"given labels are the majority of the answers, {ties}{otherwise}"


def read_aggregate(text: str | None, *, answered: bool, labelled: bool) -> Aggregate | None:
    """What ``aggregate`` says, None where there are no answers; left out, the labels that there are stay.

    Args:
        text: ``majority``, ``one:SEED`` or ``column``; None where nobody said.
        answered: Whether there are answers.
        labelled: Whether the samples come with labels too.

    Raises:
        BadUsage: Something else, or without answers.
    """
    if not answered:
        if text is None:
            return None
        msg = f"aggregate={text} says how answers make the given labels, and there are none: say --source-set answers=FILE"
        raise BadUsage(msg)
    if text is None:
        return Aggregate(COLUMN if labelled else "majority", chosen=True)
    drawn = re.fullmatch(r"one:(\d{1,18})", text)
    if drawn:
        return Aggregate("one", int(drawn[1]))
    if text not in ("majority", COLUMN):
        msg = f"aggregate must be majority, one:SEED (such as one:0) or column, got '{text}'"
        raise BadUsage(msg)
    return Aggregate(COLUMN if text == COLUMN else "majority")


@dataclass(frozen=True, slots=True)
class Joined:
    """Answers of samples by their rows: classes are still texts.

    Attributes:
        sample: Row of the sample, shape (m,).
        annotator: Number of who answered, shape (m,).
        said: What was answered, Arrow strings (m,).
        key: Column by which they were found; None where the items are numbers of rows.
        notes: A sentence for each choice and each oddity.
    """

    sample: NDArray[np.int64]
    annotator: NDArray[np.int64]
    said: ArrowColumn
    key: str | None
    notes: tuple[str, ...]

    def answered(self, n: int) -> NDArray[np.bool_]:
        """Whether anybody answered, shape (n,)."""
        return np.bincount(self.sample, minlength=n) > 0


def join(
    file: AnswerFile, n: int, columns: Sequence[tuple[str, ArrowColumn]], classes: Collection[str], *, sure: bool
) -> Joined:
    """The answers to n samples, found by the column that knows the most of the items.

    Args:
        file: The answers.
        n: Samples.
        columns: Name and texts (n,) of each column that the items may be of.
        classes: Labels that the samples have, as they are written.
        sure: Whether the items are of one of ``columns``, and no numbers of rows.

    Raises:
        BadData: No item is found, or several samples are called as an item is.
    """
    items = pc.unique(file.items)
    found = [(name, _rows_called(items, texts)) for name, texts in columns if file.rows is None]
    if not (sure and found):
        found.append(("", _row_numbers(items, n)))
    if file.rows is not None and file.rows != n:
        msg = f"{file.answer} of {file.path} has {file.rows} rows, the samples are {n}; expected a row for each"
        raise BadData(msg)
    key, rows = max(found, key=lambda pair: int((pair[1] >= 0).sum()))  # the first of several
    if not (rows >= 0).any():
        looked = ", ".join(f"column '{name}'" for name, _ in columns) or "nothing else to be called by"
        msg = (
            f"no sample is called as column '{file.item}' of {file.path} says, such as '{items[0].as_py()}': the table has "
            f"{looked}, and rows count from 0; say --source-set id=COLUMN for what the samples are called"
        )
        raise BadData(msg)
    if key:
        _check_once(dict(columns)[key], key, items.filter(pa.array(rows >= 0)), file)
    sample = rows[pc.index_in(file.items, value_set=items).to_numpy()]
    silent = _silent(file.said, classes)
    kept = (sample >= 0) & ~silent
    if not kept.any():
        msg = f"column '{file.answer}' of {file.path} holds no answer to any sample; expected classes"
        raise BadData(msg)
    notes = [*file.notes, *_join_notes(file, sample, silent, key)]
    return Joined(sample[kept], file.annotators[kept], file.said.filter(pa.array(kept)), key or None, tuple(notes))


def make_labels(
    joined: Joined,
    file: AnswerFile,
    rule: Aggregate,
    said: Labels,
    *,
    own: Labels | None,
    clean: Labels,
    names: Sequence[str],
    what: str,
    declared: bool = False,
) -> tuple[Labels, Answers, tuple[str, ...]]:
    """Given labels (n,), ``UNKNOWN`` where nobody answered, the answers as classes, and a sentence for what is to be told.

    Args:
        joined: The answers.
        file: Where they stand.
        rule: How they make the labels.
        said: Class of each of them, shape (m,).
        own: Labels that the samples came with, shape (n,); None where the answers make them.
        clean: Right classes, shape (n,), ``UNKNOWN`` where nobody knows.
        names: Of all classes.
        what: Where ``own`` stands, in words.
        declared: Whether ``names`` were declared, so that each is a class of the samples.

    Raises:
        BadData: An annotator answered differently, or no answer is a class that samples have.
    """
    answers, told = collect(joined, said, file)
    known = np.union1d(clean[clean >= 0], clean[:0] if own is None else own)
    odd = doubts(answers, np.arange(len(names)) if declared else known, clean, names, file)
    if own is None:
        labels, sentence = rule.labels(answers, len(clean))
    else:
        otherwise = "; aggregate=majority takes the answers" if rule.chosen else ""
        labels, sentence = own, f"given labels are {what}, and the answers come too{otherwise}"
    return labels, answers, (*told, sentence, *odd)


def collect(joined: Joined, labels: Labels, file: AnswerFile) -> tuple[Answers, tuple[str, ...]]:
    """The answers as classes; the same answer of an annotator to a sample again is one, which is told.

    Raises:
        BadData: An annotator answered differently.
    """
    order = np.lexsort((labels, joined.annotator, joined.sample))
    sample, annotator, label = (column[order] for column in (joined.sample, joined.annotator, labels))
    again = np.concatenate([[False], (np.diff(sample) == 0) & (np.diff(annotator) == 0)])
    torn = np.flatnonzero(again & np.concatenate([[False], np.diff(label) != 0]))
    if torn.size:
        row = int(order[torn[0]])
        said = [joined.said[int(order[i])].as_py() for i in (torn[0] - 1, torn[0])]
        msg = (
            f"annotator '{file.names[joined.annotator[row]]}' of {file.path} answers sample {joined.sample[row]} both "
            f"'{said[0]}' and '{said[1]}' ({torn.size} such pairs); keep one answer of each annotator to a sample"
        )
        raise BadData(msg)
    told = f"answers of {file.path.name} that are there twice count once ({again.sum()} such answers)"
    notes = (told,) if again.any() else ()
    return Answers(sample[~again], annotator[~again], label[~again]), notes


def doubts(
    answers: Answers, known: NDArray[np.int64], clean: Labels, names: Sequence[str], file: AnswerFile
) -> Iterator[str]:
    """What is odd of the classes that were answered, a sentence each.

    Args:
        answers: The answers.
        known: Classes that samples have, by labels that do not come from the answers.
        clean: Right classes, shape (n,).
        names: Of all classes.
        file: Where the answers stand.

    Raises:
        BadData: None of the classes is one that samples have.
    """
    extra = np.setdiff1d(answers.label, known)
    if len(known) > 1 and len(extra) and len(extra) == len(np.unique(answers.label)):
        theirs, ours = (", ".join(f"'{names[k]}'" for k in classes[:3]) for classes in (extra, known))
        msg = f"column '{file.answer}' of {file.path} answers {theirs}, the classes of the samples are {ours}; write them alike"
        raise BadData(msg)
    if len(known) and len(extra):
        count = int(np.isin(answers.label, extra).sum())
        some = ", ".join(f"'{names[k]}'" for k in extra[:5]) + (", …" if len(extra) > 5 else "")  # noqa: PLR2004
        yield (
            f"answers of {file.path.name} name classes that no sample has ({some}; {count} such answers): they are classes "
            f"like the others; leave an answer empty where it is none"
        )
    right = clean[answers.sample]
    both = right >= 0
    if both.sum() >= 100:  # noqa: PLR2004 - from here on an agreement by chance can be told
        k = len(names)
        shares = [np.bincount(part[both], minlength=k) / both.sum() for part in (answers.label, right)]
        agree, chance = float((answers.label == right)[both].mean()), float(shares[0] @ shares[1])
        samples = len(np.unique(answers.sample[both]))  # answers to one agree with each other
        if chance < 1 and agree <= chance + 3 * np.sqrt(chance * (1 - chance) / samples):
            yield (
                f"the answers of {file.path.name} are the right class in {agree:.1%} of {both.sum()} cases, no more than by "
                f"chance: they may be of other samples"
            )


def _rows_called(items: ArrowColumn, texts: ArrowColumn) -> NDArray[np.int64]:
    """Row of each item by what the rows are called, ``UNKNOWN`` where none is; a number however it is written."""
    every = pc.unique(pa.concat_arrays([items, texts]))
    spelling = class_spelling(text for text in every.to_pylist() if text)
    named = [
        pa.array([spelling.get(text, "") for text in column.to_pylist()], pa.string()) for column in (items, texts)
    ]
    rows = pc.index_in(named[0], value_set=pc.unique(named[1])).fill_null(UNKNOWN).to_numpy()
    if len(pc.unique(named[1])) < len(named[1]):  # the first of those that are called so
        first = np.unique(pc.index_in(named[1], value_set=pc.unique(named[1])).to_numpy(), return_index=True)[1]
        rows = np.where(rows >= 0, first[rows], UNKNOWN)
    return rows.astype(np.int64)


def _row_numbers(items: ArrowColumn, n: int) -> NDArray[np.int64]:
    """Items as numbers of rows, ``UNKNOWN`` for all where one of them is none."""
    spelling = class_spelling(items.to_pylist())
    texts = [spelling[text] for text in items.to_pylist()]
    if not all(text.isascii() and text.isdecimal() and len(text) < 16 and int(text) < n for text in texts):  # noqa: PLR2004
        return np.full(len(items), UNKNOWN, dtype=np.int64)
    return np.array([int(text) for text in texts], dtype=np.int64)


def _check_once(texts: ArrowColumn, key: str, items: ArrowColumn, file: AnswerFile) -> None:
    """Refuse items that several samples are called like."""
    counts = pc.value_counts(texts.filter(pc.is_in(texts, value_set=items)))
    several = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(several):
        msg = (
            f"{several[0]['counts'].as_py()} rows have '{several[0]['values'].as_py()}' in column '{key}', by which the answers "
            f"of {file.path.name} are found ({len(several)} such items); expected each item in one row"
        )
        raise BadData(msg)


def _silent(said: ArrowColumn, classes: Collection[str]) -> NDArray[np.bool_]:
    """Where nothing was answered: empty, -1, NaN and the like, unless a class is called so, as -1 is beside 1 alone."""
    found = pc.unique(said).to_pylist()
    absent = [text for text in found if nobody_knows(text, classes)]
    spelling = class_spelling(text for text in found if text not in absent)
    left = set(spelling.values())
    if left == {"1"}:
        absent = [text for text in absent if not re.fullmatch(r"-1(\.0+)?", text)]
    mask: NDArray[np.bool_] = pc.is_in(said, value_set=pa.array(absent, pa.string())).to_numpy(zero_copy_only=False)
    return mask


def _join_notes(
    file: AnswerFile,
    sample: NDArray[np.int64],
    silent: NDArray[np.bool_],
    key: str,
) -> Iterator[str]:
    """What was recognised and what is left out, a sentence each."""
    if file.rows is None:
        found = f"found in column '{key}'" if key else "the number of the row, from 0"
        yield (
            f"answers of {file.path.name}: '{file.item}' is what was asked about ({found}), '{file.annotator}' who answered, "
            f"'{file.answer}' what"
        )
    unknown = file.items.filter(pa.array(sample < 0))
    if len(unknown):
        yield (
            f"answers of {file.path.name} about items that no sample is called, such as '{unknown[0].as_py()}', are left out "
            f"({len(unknown)} such answers)"
        )
    if silent.any() and file.rows is None:
        yield f"rows of {file.path.name} without an answer (empty, -1 or the like) are left out ({silent.sum()} such rows)"
