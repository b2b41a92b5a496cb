"""Your own table, CSV, JSON lines, Excel or Parquet, of images, texts, numbers or categories with their labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.data.classes import class_order
from noisybench.data.crowd.answers import Answers
from noisybench.data.crowd.tables import AnsweredRows, AnsweredTable, answered_table
from noisybench.data.images.files import original_files, read_images, unbroken_files
from noisybench.data.repeats import marked, repeated, repeated_images
from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.tables.class_doubts import class_doubts
from noisybench.data.tables.column_roles import NOTHING, bookkeeping, naming
from noisybench.data.tables.columns import (
    as_classes,
    beside,
    check_column,
    errors_as_bad_data,
    header,
    index_columns,
    read_table,
    spelled_classes,
)
from noisybench.data.tables.feature_columns import Choices, table_features
from noisybench.data.tables.input_columns import (
    Part,
    ReadInputs,
    TableKind,
    image_files,
    read_part,
    recognised,
    texts_of,
)
from noisybench.data.tables.layout import SUFFIXES, Layout, layout_of
from noisybench.data.tables.row_words import RowWords
from noisybench.data.tables.text_features import CHARACTERS, COLUMNS, Units, text_features, text_units
from noisybench.ground.arrays import Labels
from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.options import options_said


@dataclass(frozen=True, slots=True)
class Table:
    """One row a sample, in the order of the file: an image file, a text, or numbers and categories, and a label.

    Without ``image``, ``text`` and ``features``, a column such as ``path`` or ``file_name`` names image files; else a
    column ``text`` or the like holds texts; else every column that has no other meaning is a feature. Row numbers, ids,
    splits, file names and further labels have one, and a column that is the same in every row, or another text in nearly
    every one, says nothing: they are left out, and named in ``Source.notes``. Where none is left there are labels alone,
    and a column of ids or file names is what samples are called.

    What a column of features holds is seen from its training rows: numbers and dates are standardised, truths are 1 and 0,
    a category is a 0/1 column for each class, and gaps are filled and marked, see
    ``noisybench.data.tables.feature_columns.table_features``; of test rows nothing is learnt.

    Classes are the labels that occur, by value where all are whole numbers, however they are written (``1.0`` is ``1``),
    else by code points; fractions, ids and quantities are refused. Images are read as source ``folder`` reads them; texts
    become TF-IDF features, of which the training texts alone decide the words and their weights. Samples of the same
    image, text or id have the mark ``duplicate``. Text files may be packed by gzip, bzip2 or xz; separator, encoding and
    decimal commas are recognised.

    Attributes:
        label: Column of given labels, texts or whole numbers.
        clean: Column of the right classes; empty, -1, NaN or null where nobody knows. None where there is none.
        image: Column of image files, below ``root``.
        text: Column of texts.
        features: Columns of features, as ``a,b,c``; ``*`` is every column without another meaning, row numbers too, and
            ``nothing`` is no column: labels alone.
        id: Column of what samples are called, which ``suspects`` shows; of images it is their path.
        test: A file of test samples with the same columns, in the folder of the table.
        root: Folder of the images, in the folder of the table; None is that folder itself.
        side: Height and width in pixels that all images are brought to; None leaves them as they are, all of one size.
        skip_broken: Whether images that cannot be decoded are left out, and named; else they are refused, all at once.
        words: How many words, or runs of characters, are features, at most.
        separator: Between two columns of a text file: one character or its name, such as ``tab``; None recognises it.
        encoding: Of a text file, as Python calls it; None recognises UTF-8, UTF-16 and Western European text.
        decimal: ``.`` or ``,``, before the fraction of a number in a text file; None recognises it.
        sheet: Of an Excel workbook; None takes the first.
        numbers: Columns of features that are numbers, as ``a,b``, whatever their entries look like.
        categories: Columns of features that are categories, such as codes that are written as numbers.
        leave_out: Columns that are no features.
        date_format: How dates are written, as ``strptime`` has it, where that is not recognised, such as ``%d/%m/%y``.
        scale: Whether numbers are standardised; by default they are.
        gaps: ``fill`` (the default) or ``refuse``.
        units: What of texts is counted, ``words`` or ``characters``; None: words, if most texts hold spaces.
        answers: A file of what several people answered, a row an answer with columns item, annotator and answer in any
            usual spelling, or a ``.npy`` or ``.npz`` matrix (n, annotators). An item is found by ``id``, else by the
            column of the same name, by ids or file names, or is the number of a row from 0.
        aggregate: How they make the given label: ``majority`` (ties to the class of the smallest index), ``one:SEED`` (one
            answer a sample, each as likely) or ``column`` (``label`` is the given label, and the answers come too); None is
            ``column`` where there is a column ``label`` that is not ``clean``, else ``majority``. Rows that nobody answered
            are left out where answers make the label.

    Raises:
        BadUsage: No file is given, several kinds of inputs, or a column that does not exist.
        MissingPackage: A workbook is given, and openpyxl is not installed.
        BadData: The table cannot be read, or a value is missing or cannot be used.
    """

    label: str = "label"
    clean: str | None = None
    image: str | None = None
    text: str | None = None
    features: str | None = None
    id: str | None = None
    test: str | None = None
    root: str | None = None
    side: int | None = None
    words: int = COLUMNS
    separator: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    sheet: str | None = None
    numbers: str | None = None
    categories: str | None = None
    leave_out: str | None = None
    date_format: str | None = None
    scale: bool | None = None
    gaps: Literal["fill", "refuse"] | None = None
    units: Units | None = None
    answers: Path | None = None
    aggregate: str | None = None
    skip_broken: bool = False
    endings: ClassVar[tuple[str, ...]] = SUFFIXES

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        if data is None:
            msg = "source 'table' needs a file: say --data FILE, a .csv, .tsv, .jsonl, .xlsx or .parquet with a row for each sample"
            raise BadUsage(msg)
        layout = self._layout(data)
        choices = self._choices(layout)
        there = header(layout)
        answered = self._answered(data, layout, there)
        train, test, kind, rows = self._tables(data, layout, there, choices, answered)
        classes, clean, tested_classes, class_names = self._classes(train, test, rows)
        made = None if rows is None else rows.labels(classes, clean, class_names)
        read = self._inputs(data, kind, train, test, choices, limit=limit)
        called, said = self._names(layout, kind, train, read)
        samples = _Samples(classes, clean, called) if made is None else _Samples(made[0], clean, called, made[1])
        if read.rows is not None:
            samples = samples.taken(read.rows)
        if read.tested_rows is not None and tested_classes is not None:
            tested_classes = tested_classes[read.tested_rows]
        marks, twice = marked(self._repeats(read, samples, limit))
        recorded = self if answered is None else replace(self, answers=answered.file.path)
        return source_from_arrays(
            "table",
            read.inputs,
            samples.labels,
            clean=samples.clean,
            test_inputs=read.tested,
            test_labels=tested_classes,
            class_names=class_names,
            order="of the table",
            options=options_said(recorded, skip_broken=False),
            limit=limit,
            sample_names=samples.names or (None if rows is None else rows.names),
            marks=marks,
            notes=(
                *layout.notes,
                *kind.notes(),
                *read.notes,
                *said,
                *(() if rows is None else rows.notes),
                *(() if made is None else made[2]),
                *class_doubts(samples.labels, samples.clean, class_names, self.label, self.clean or ""),
                *twice,
            ),
            answers=samples.answers,
            left_out=read.left_out,
            texts=read.texts,
            rows=read.words,
            originals=read.originals,
        )

    def _tables(
        self, data: Path, layout: Layout, there: Sequence[str], choices: Choices, answered: AnsweredTable | None
    ) -> tuple[Part, Part | None, TableKind, AnsweredRows | None]:
        """The training table without rows that nobody answered, the test table, what inputs they have, and the answers."""
        kind = self._kind(there, layout, answered)
        label = self.label if answered is None else answered.label
        train = read_part(layout, kind, label, *(name for name in (self.clean, self.id) if name is not None))
        rows = None if answered is None else answered.rows(layout, train.columns, self.clean)
        train = train if rows is None else replace(train, columns=rows.columns)
        kind = kind.settled(train, choices)
        if self.test is None:
            return train, None, kind, rows
        file = self._layout(beside(data.parent, self.test, "test"))
        return train, read_part(file, kind, label or self.clean or self.label, training=False), kind, rows

    def _names(
        self, layout: Layout, kind: TableKind, train: Part, read: ReadInputs
    ) -> tuple[list[str] | None, tuple[str, ...]]:
        """What people call the training rows, None where nothing says so, and a note where that was chosen."""
        if self.id is not None:
            names: list[str] = train.columns[self.id].to_pylist()
            return names, ()
        if kind.form == NOTHING and read.called is None:
            return naming(kind.out, partial(_entries, layout))
        return read.called, ()

    def _repeats(
        self, read: ReadInputs, samples: "_Samples", limit: int | None
    ) -> Iterator[tuple[NDArray[np.bool_], str | None]]:
        """Ids and inputs that are there twice."""
        kept = _kept(limit)
        if self.id is not None and samples.names is not None:
            yield repeated(samples.names[kept], samples.labels[kept], None, self.id)
        if read.repeats is not None:
            yield read.repeats(samples.labels[kept])

    def _inputs(
        self, data: Path, kind: TableKind, train: Part, test: Part | None, choices: Choices, *, limit: int | None
    ) -> ReadInputs:
        """Inputs of the training and of the test table."""
        kept = _kept(limit)
        if kind.form == "image":
            return self._images(data, kind.columns[0], train, test, limit=limit)
        if kind.form == "text":
            texts, others = (() if part is None else texts_of(part, kind.columns[0]) for part in (train, test))
            units = self.units or text_units(texts)
            said = (CHARACTERS,) if self.units is None and units == "characters" else ()
            what = f"column '{kind.columns[0]}' of {data}"
            # Of all texts, so that a feature does not depend on the limit.
            inputs, tested = text_features(texts, others, columns=self.words, what=what, units=units)
            twice = partial(repeated, texts[kept], names=None, what="text")
            return ReadInputs(inputs, None if test is None else tested, notes=said, repeats=twice, texts=texts)
        if kind.found is None:  # labels alone
            return ReadInputs(None, None)
        other = None if test is None else test.columns
        features, tested_features, told = table_features(
            kind.found, other, [part.file for part in (train, test) if part is not None], choices
        )
        words = RowWords({name: train.columns[name] for name in kind.columns})
        return ReadInputs(features, tested_features, notes=told, words=words)

    def _images(self, data: Path, column: str, train: Part, test: Part | None, *, limit: int | None) -> ReadInputs:
        """Images of the files that a column names, those that are broken left out where that is asked for."""
        root = data.parent if self.root is None else beside(data.parent, self.root, "root")
        kept = _kept(limit)
        files, tested = (None if part is None else image_files(part, column, root) for part in (train, test))
        assert files is not None  # noqa: S101
        called = files
        left_out: tuple[str, ...] = ()
        notes: tuple[str, ...] = ()
        rows = tested_rows = None
        if self.skip_broken:
            rows, left_out, notes = unbroken_files(root, files, limit=limit)
            files = [files[i] for i in rows]
        if self.skip_broken and tested is not None:
            tested_rows, more, said = unbroken_files(root, tested)
            tested = [tested[i] for i in tested_rows]
            left_out, notes = left_out + more, notes + said
        inputs = read_images(root, files[kept], self.side)
        return ReadInputs(
            inputs,
            None if tested is None else read_images(root, tested, self.side),
            called,
            rows,
            tested_rows,
            notes,
            left_out,
            partial(repeated_images, inputs, files[kept]),
            originals=original_files(root, files[kept], self.side),
        )

    def _answered(self, data: Path, layout: Layout, there: Sequence[str]) -> AnsweredTable | None:
        """How the answers to a table go with it, where there are any."""
        return answered_table(
            self.answers,
            self.aggregate,
            data,
            there,
            label=self.label,
            clean=self.clean,
            id=self.id,
            index=index_columns(layout),
        )

    def _layout(self, file: Path) -> Layout:
        """How a file is written, as far as it is not said."""
        with errors_as_bad_data(file):
            return layout_of(
                file, separator=self.separator, encoding=self.encoding, decimal=self.decimal, sheet=self.sheet
            )

    def _choices(self, layout: Layout) -> Choices:
        """What is said of columns of features."""
        numbers, categories, out = map(_listed, (self.numbers, self.categories, self.leave_out))
        for name in set(numbers) & set(categories) | set(out) & {*numbers, *categories}:
            msg = f"column '{name}' is named twice; expected it in one of numbers=…, categories=… and leave_out=…"
            raise BadUsage(msg)
        return Choices(
            numbers, categories, self.date_format, self.scale is not False, self.gaps or "fill", layout.decimal
        )

    def _classes(
        self, train: Part, test: Part | None, rows: AnsweredRows | None
    ) -> tuple[Labels, Labels | None, Labels | None, tuple[str, ...]]:
        """Given classes and those that were answered, right and test classes, and the names of all."""
        clean = None if self.clean is None else train.columns[self.clean]
        tested = None if test is None else test.columns[test.label]
        labels = train.columns[self.label] if rows is None else rows.texts()
        columns, found = spelled_classes(labels, clean, tested)
        class_names = class_order(found)
        given = as_classes(columns[0], class_names, self.label, train.file)
        right = None if self.clean is None else as_classes(columns[1], class_names, self.clean, train.file)
        if test is None:
            return given, right, None, class_names
        return given, right, as_classes(columns[-1], class_names, test.label, test.file), class_names

    def _kind(self, there: Sequence[str], layout: Layout, answered: AnsweredTable | None) -> TableKind:
        """What the inputs are, of the columns that there are."""
        file = layout.file
        label = self.label if answered is None else answered.label
        items = () if answered is None or not answered.sure else answered.items
        others = [name for name in (label, self.clean, self.id) if name is not None]
        if label is not None and label not in there:
            found = unknown(label, tuple(there), f"column of {file}")
            msg = f"{found}; --source-set label=NAME names the column of classes"
            raise UnknownName(msg)
        wished, out = _listed(self.numbers) + _listed(self.categories), _listed(self.leave_out)
        for name in (*others, *wished, *out):
            check_column(name, there, file)
        rest = tuple(name for name in there if name not in (*others, *out))
        one = {"image": self.image, "text": self.text}
        given = [TableKind(form, (name,)) for form, name in one.items() if name is not None]
        if self.features == NOTHING and NOTHING not in there:
            given.append(TableKind(NOTHING, (), bookkeeping(rest, index_columns(layout))))
        elif self.features is not None:
            named = rest if self.features == "*" else _listed(self.features)
            given.append(
                TableKind("features", tuple(name for name in dict.fromkeys((*named, *wished)) if name not in out))
            )
        elif wished:
            given.append(TableKind("features", ()))
        if len(given) > 1:
            msg = f"inputs are one of image=…, text=… and features=…, got {' and '.join(kind.form for kind in given)}"
            raise BadUsage(msg)
        if given and (given[0].columns or given[0].form == NOTHING):
            for name in given[0].columns:
                check_column(name, there, file)
            return given[0]
        return recognised(layout, rest, wished, asked=[name for name in items if name in rest])


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """What is known of training samples besides their inputs, as ``Source`` has it; ``names`` are those that they have."""

    labels: Labels
    clean: Labels | None
    names: list[str] | None
    answers: Answers | None = None

    def taken(self, rows: Labels) -> "_Samples":
        """Some of them."""
        return _Samples(
            self.labels[rows],
            None if self.clean is None else self.clean[rows],
            None if self.names is None else [self.names[i] for i in rows],
            None if self.answers is None else self.answers.taken(rows),
        )


def _kept(limit: int | None) -> slice:
    """The samples that are kept; a limit below one is refused with the arrays."""
    return slice(None if limit is None else max(limit, 1))


def _listed(names: str | None) -> tuple[str, ...]:
    """``a, b`` as names."""
    return () if names is None else tuple(name.strip() for name in names.split(","))


def _entries(layout: Layout, name: str) -> list[str]:
    """A column of texts, none where it holds something else, such as dates."""
    try:
        texts: list[str] = read_table(layout, texts=(name,))[name].to_pylist()
    except BadData:
        return []
    return texts


SOURCE: type[LoadSource] = Table
