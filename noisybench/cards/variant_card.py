"""Cards of a variant: README.md for people and the Hugging Face hub, croissant.json for machines.

Both follow from the variant and its files alone: no date, no path, so that the same variant has the same cards and
``verify`` can write them again and compare. What is said of the source and the noise comes from ``data_cards/``.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.cards.croissant import CROISSANT, croissant_of
from noisybench.cards.crowd import crowd_rows
from noisybench.cards.data_cards import (
    ANSWER_COLUMNS,
    DataCard,
    as_call,
    as_option,
    columns_of,
    correction_words,
    has_wrong,
    licence_words,
    licences_of,
    name_of,
    noise_card,
    source_card,
    title_of,
)
from noisybench.cards.description import Description, describe
from noisybench.cards.description_text import PRINTED_CLASSES, RATE_WORDS, known_words, worst_classes
from noisybench.ground.arrays import UNKNOWN, WRONG
from noisybench.ground.checks import a_path
from noisybench.ground.files import replacing
from noisybench.ground.rounding import rounding_words
from noisybench.variants.corrections import CORRECTIONS
from noisybench.variants.transitions import SparseTransition, is_large
from noisybench.variants.variant import ANSWERS, Variant, check_variant, transition_file

README = "README.md"


def write_cards(variant: Variant, folder: str | Path) -> None:
    """Write README.md and croissant.json into the folder in which ``write_variant`` has written the variant."""
    check_variant(variant)
    folder = a_path(folder, "folder")
    for name, text in ((README, card_of(variant)), (CROISSANT, croissant_of(variant, folder))):
        with replacing(folder / name) as part:
            part.write_bytes(encoded(text))


def encoded(text: str) -> bytes:
    """A card as bytes: UTF-8, the same line ends on every system; half a surrogate pair in a name becomes ``?``."""
    return text.encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Exported:
    """What the card of a variant says when its inputs, where it has some, are beside it.

    Attributes:
        files: Split → pattern of its files.
        use: Lines of Markdown: how to open them.
        columns: Name, type and meaning of each column.
    """

    files: Mapping[str, str]
    use: Sequence[str]
    columns: Sequence[tuple[str, str, str]]


def card_of(variant: Variant, exported: Exported | None = None) -> str:
    """The data card of a variant, or of an export of it: front matter of the Hugging Face hub, then Markdown."""
    description, source, noise = describe(variant), source_card(variant), noise_card(variant)
    rows = columns_of(variant) if exported is None else exported.columns
    here = exported is not None and any(name in ("image", "features") for name, *_ in exported.columns)
    sections = [
        ("", _summary(variant, source, noise, here=here)),
        *([] if exported is None else [("Open it", exported.use)]),
        ("Build it again", _recipe(variant, source, noise)),
        ("Rates", _rates(variant, description)),
        *([] if description.crowd is None else [("Annotators", _annotators(description, here=exported is None))]),
        ("Classes", _classes(variant, description)),
        ("Transition matrices", _matrices(variant, description)),
        ("Warnings", [f"- {_escape(sentence)}" for sentence in description.warnings] or ["None."]),
        ("Columns of labels.parquet" if exported is None else "Columns", _column_table(rows)),
        ("Licence", _licence_lines(variant, source, noise)),
        ("Citation", _citations(variant, source, noise)),
        ("The source", _data_card_lines(source, variant.provenance.source, "source")),
        ("The noise", _data_card_lines(noise, variant.provenance.noise, "noise")),
    ]
    title = _escape(title_of(variant, source, noise))
    lines = ["---", _front_matter(variant, source, noise, exported), "---", "", f"# {title}"]
    for heading, body in sections:
        lines += ["", *([f"## {heading}", ""] if heading else []), *body]
    return "\n".join(lines) + "\n"


def _front_matter(variant: Variant, source: DataCard | None, noise: DataCard | None, exported: Exported | None) -> str:
    """The metadata above a card, in YAML, as the Hugging Face hub reads them."""
    from huggingface_hub import DatasetCardData

    # A class of the hub is unknown at -1, and can be nothing else below zero.
    # The names of many would be most of the card.
    classes = () if is_large(variant.num_classes) else ("label",) if has_wrong(variant) else ("label", "clean")
    features = [
        {"name": name, "dtype": _class_label(variant) if name in classes else dtype}
        for name, dtype, _ in columns_of(variant)
    ]
    files = {"train": "labels.parquet"} if exported is None else exported.files
    licences = licences_of(source, noise)
    task = None if source is None else source.facts.get("task")
    fields: dict[str, Any] = {
        "pretty_name": title_of(variant, source, noise),
        "license": licences[0] if len(licences) == 1 else licences,
        "license_name": source.facts.get("licence_name") if source is not None and licences == ["other"] else None,
        "task_categories": None if task is None else [task],
        "size_categories": [_size_category(len(variant.labels))],
        "tags": ["label-noise", "noisybench", variant.provenance.noise],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": path} for split, path in files.items()],
            }
        ],
        # The files of an export say their types themselves.
        "dataset_info": {"features": features} if exported is None else None,
    }
    text: str = DatasetCardData(**fields).to_yaml(line_break="\n", original_order=list(fields))
    return text


def _class_label(variant: Variant) -> dict[str, Any]:
    return {"class_label": {"names": {str(k): name for k, name in enumerate(variant.class_names)}}}


def left_out_words(names: Sequence[str]) -> str:
    """How many samples the source left out, and the first of them."""
    more = f" and {len(names) - 5} more, which variant.json names" if len(names) > 5 else ""  # noqa: PLR2004 - of a line
    return f"{len(names)} broken image{'s' if len(names) > 1 else ''}: {', '.join(names[:5])}{more}"


def _summary(variant: Variant, source: DataCard | None, noise: DataCard | None, *, here: bool) -> list[str]:
    """The table of where the labels came from."""
    p = variant.provenance
    part = "" if p.limit is None else f", its first {p.limit} training samples"
    found = noise is not None and noise.facts["found"]
    rows = {
        "variant id": f"`{p.variant_id}`",
        "source": f"{_escape(as_call(p.source, p.source_options))}{part}",
        "source digest": f"`{p.source_sha256}`",
        "order of the samples": _escape(p.source_order),
        "noise": _escape(as_call(p.noise, p.params)),
        "drawn": "not: the labels are as people or programs gave them" if found else f"mode {p.mode}, seed {p.seed}",
        **(
            {"corrections": f"{corrected}; `{CORRECTIONS}` holds them"}
            if (corrected := correction_words(variant))
            else {}
        ),
        "reference": "the clean labels of the source"
        if p.reference == "clean"
        else "the labels of the source as they came: it knows no clean ones",
        **({"left out": _escape(left_out_words(p.left_out))} if p.left_out else {}),
        "made by": f"noisybench {_escape(p.noisybench)}",
    }
    what = (
        f"A label column of {len(variant.labels)} samples and {variant.num_classes} classes, with the clean labels as "
        f"far as they are known. The inputs are {'' if here else 'not '}here: row i {'is' if here else 'belongs to'} "
        f"training sample i of {_escape(name_of(source, p.source))}, in the order named below."
    )
    return [
        what,
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {key} | {value} |" for key, value in rows.items()),
    ]


def _recipe(variant: Variant, source: DataCard | None, noise: DataCard | None) -> list[str]:
    """The command that builds the variant, and what it leaves open."""
    provenance, notes = variant.provenance, []
    words = ["noisybench", "build"]
    if source is None:
        notes.append(f"Source '{provenance.source}' is not one of noisybench's: name your own as package.module:Class.")
    words += ["package.module:Class" if source is None else provenance.source, "--noise"]
    if noise is None:
        notes.append(f"Noise '{provenance.noise}' is not one of noisybench's: name your own as package.module:Class.")
    words.append(f"package.module:{provenance.noise}" if noise is None else provenance.noise)
    for flag, options in (("--set", provenance.params), ("--source-set", provenance.source_options)):
        for key, value in options.items():
            text, digest = as_option(value)
            if digest is not None:
                notes.append(f"{text} is the file with sha256 {digest}.")
            words += ["--rate", text] if (flag, key) == ("--set", "rate") else [flag, f"{key}={text}"]
    if source is not None and source.facts["access"] in ("yours", "manual") and "id" not in provenance.source_options:
        words += ["--data", "DATA"]
        notes.append("DATA is the file or folder of the source.")
    if source is not None and source.facts["access"] == "download":
        notes.append("Say --data DIR where the files of the source are there already, as they need no download then.")
    if provenance.limit is not None:
        words += ["--limit", str(provenance.limit)]
    if noise is None or not noise.facts["found"]:
        words += ["--seed", str(provenance.seed), "--mode", provenance.mode]
    words += _corrected(variant)
    notes += _rounded(variant)
    notes.append(
        "The source digest above decides whether it is the same variant: a copy of the data with other bytes, such as "
        "JPEG pixels, gives another id."
    )
    return [*_fenced(shlex.join(words), "sh"), *(f"\n{_escape(note)}" for note in notes)]


def _rounded(variant: Variant) -> list[str]:
    """A note on a draw that rests on last digits."""
    drawn_on = variant.provenance.drawn_on
    if not drawn_on:
        return []
    note = (
        f"The noise reads the inputs, and who is wrong can depend on last digits: other processors, threads and versions than those "
        f"that drew it ({rounding_words(drawn_on)}) may give other labels, and so another id."
    )
    return [note]


def _corrected(variant: Variant) -> list[str]:
    return [] if variant.corrections is None else ["--corrections", CORRECTIONS]


def _rates(variant: Variant, description: Description) -> list[str]:
    """The table of rates: asked for, expected, realised."""
    nominal, definition = description.nominal_rate, RATE_WORDS[variant.provenance.rate_definition]
    told = "none was asked for" if nominal is None else f"{_percent(nominal)} {definition}".strip()
    told += ", before the corrections" if nominal is not None and variant.corrections is not None else ""
    expected = description.expected_rate
    dropped = int(variant.dropped.sum())
    unknown = description.n - description.known - dropped
    alone = (
        [f"| known to be wrong, right class unknown | {description.wrong_alone} of {description.n} samples; {WRONG} |"]
        if description.wrong_alone
        else []
    )
    return [
        "| | |",
        "| --- | --- |",
        f"| nominal | {told} |",
        f"| expected | {'not known' if expected is None else f'{_percent(expected)} of the labels wrong'} |",
        f"| realised | {_percent(description.realised_rate)} of {known_words(description)} |",
        *alone,
        *([f"| dropped | {dropped} of {description.n} samples, left out of the rates |"] if dropped else []),
        *_ceilings(description),
        f"| clean label unknown | {unknown} of {description.n} samples; unknown is {UNKNOWN}, and is not taken as clean |",
    ]


def _ceilings(description: Description) -> list[str]:
    """What the law of the noise leaves to be reached; nothing for a noise that has none."""
    ceilings = description.ceilings
    if ceilings.basis == "realised matrix" or np.isnan(ceilings.oracle_accuracy):
        return []
    rows = {
        "accuracy on the given labels, saying the clean class": (ceilings.oracle_accuracy,) * 2,
        "best accuracy on the given labels": ceilings.bayes_accuracy,
        "samples whose likeliest label is the clean class": ceilings.identifiable,
    }
    # Rounded twice, so that no machine's last bit decides a digit.
    found = {key: [f"{round(end, 9):.2%}" for end in ends] for key, ends in rows.items()}
    return [f"| {key} | {low if low == high else f'{low} to {high}'} |" for key, (low, high) in found.items()]


def _annotators(description: Description, *, here: bool) -> list[str]:
    """What several annotators answered, as a table, and in which file; ``here`` or in the folder of the variant."""
    assert description.crowd is not None  # noqa: S101 - nothing is said without it
    return [
        "| | |",
        "| --- | --- |",
        *(f"| {key} | {value} |" for key, value in crowd_rows(description.crowd, description.n).items()),
        "",
        f"`{'' if here else 'noisybench/'}{ANSWERS}` has a row for each answer; annotators are numbers, in the order of what the source calls them.",
        "",
        *_column_table(ANSWER_COLUMNS),
    ]


def _classes(variant: Variant, description: Description) -> list[str]:
    given = np.bincount(variant.labels, minlength=variant.num_classes)
    nominal = description.nominal_class_rates
    shown: Sequence[int] = range(variant.num_classes)
    lines = []
    if is_large(variant.num_classes):
        shown, sizes = worst_classes(description)[:PRINTED_CLASSES], description.class_counts
        told = (
            f"{variant.num_classes} classes with {sizes.min()} to {sizes.max()} known samples each, in the middle "
            f"{np.median(sizes):g}; {int((given == 0).sum())} are given to no sample. Those of the highest realised rate "
            f"are below; `noisybench describe --json` has them all."
        )
        lines = [told, ""]
    lines += [
        "| class | name | known samples | given | realised rate | nominal rate |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for k in shown:
        name = variant.class_names[k]
        rates = _percent(description.class_rates[k]), _percent(None if nominal is None else nominal[k])
        lines.append(f"| {k} | {_escape(name)} | {description.class_counts[k]} | {given[k]} | {' | '.join(rates)} |")
    return lines


def _matrices(variant: Variant, description: Description) -> list[str]:
    """The realised and the nominal transition matrix as text."""
    if variant.num_classes > PRINTED_CLASSES:
        place = transition_file(variant)
        there = "" if place is None else f" and `{place}` holds the nominal one"
        return [f"Of {variant.num_classes} classes: `noisybench describe --json` prints them{there}."]
    lines = ["P(given class | clean class) in %; a row is a clean class."]
    for title, matrix in (("Realised", description.transition), ("Nominal", description.nominal_transition)):
        if matrix is None or isinstance(matrix, SparseTransition):
            lines += ["", f"{title}: none; this noise has no transition matrix."]
            continue
        lines += [
            "",
            f"{title}:",
            "",
            f"| | {' | '.join(map(str, range(len(matrix))))} |",
            f"| {' | '.join(['---'] * (len(matrix) + 1))} |",
            *(f"| **{k}** | {' | '.join(map(_cell, row))} |" for k, row in enumerate(matrix)),
        ]
    return lines


def _column_table(columns: Iterable[tuple[str, str, str]]) -> list[str]:
    rows = [f"| `{name}` | {dtype} | {meaning} |" for name, dtype, meaning in columns]
    return ["| column | type | meaning |", "| --- | --- | --- |", *rows]


def _licence_lines(variant: Variant, source: DataCard | None, noise: DataCard | None) -> list[str]:
    lines = []
    for card, name, what in ((source, variant.provenance.source, "source"), (noise, variant.provenance.noise, "noise")):
        if card is None:
            lines.append(f"- {_escape(name)} ({what}): not known to noisybench")
        elif (licence := card.facts.get("licence")) is not None:
            lines.append(f"- {_escape(name_of(card, name))} ({what}): {licence_words(card, licence)}")
    return lines


def _citations(variant: Variant, source: DataCard | None, noise: DataCard | None) -> list[str]:
    lines = []
    for card, name in ((source, variant.provenance.source), (noise, variant.provenance.noise)):
        text = "not known to noisybench" if card is None else card.facts.get("citation", "none")
        lines.append(f"- {_escape(name_of(card, name))}: {_escape(text)}")
    return lines


def _data_card_lines(card: DataCard | None, name: str, what: str) -> list[str]:
    """The text of a data card, its headings one level lower."""
    if card is None:
        return [f"'{_escape(name)}' is not one of noisybench's: there is no data card for this {what}."]
    origin = f"From `data_cards/{what}s/{name}.md` of noisybench, whose front matter holds the facts in full."
    return [origin, "", *re.sub(r"(?m)^##", "###", card.text.strip("\n")).split("\n")]


def _size_category(n: int) -> str:
    """How the hub sorts data sets by their number of rows."""
    steps = (("1K", 10**3), ("10K", 10**4), ("100K", 10**5), ("1M", 10**6), ("10M", 10**7), ("100M", 10**8))
    lower = "n"
    for name, limit in steps:
        if n < limit:
            return f"n<{name}" if lower == "n" else f"{lower}<n<{name}"
        lower = name
    return "n>100M" if lower == "n" else "100M<n<1B"


def _percent(value: float | None) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.4%}"


def _cell(value: np.float64) -> str:
    return "–" if np.isnan(value) else f"{100 * value:.1f}"


def _fenced(text: str, language: str) -> Sequence[str]:
    """A block of code whose fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return [f"{fence}{language}", text, fence]


def _escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line: a class may be called ``a|b`` or ``<script>``."""
    visible = "".join(c if c.isprintable() else " " for c in text)
    return re.sub(r"([\\`*_\[\]<>|&#~$])", r"\\\1", " ".join(visible.split()))
