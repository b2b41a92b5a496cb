"""What ``data_cards/`` and its record say of a variant: what its cards, README.md and croissant.json, share."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from noisybench.data.source import FREQUENCY, PARENT, UNIT, Option
from noisybench.ground.arrays import UNKNOWN, WRONG
from noisybench.variants.corrections import CHECKED, DROPPED
from noisybench.variants.variant import MARK, Variant


@dataclass(frozen=True, slots=True)
class DataCard:
    """One file of ``data_cards/``.

    Attributes:
        facts: Its front matter; what the code knows too is checked by a test.
        text: Markdown below the title.
    """

    facts: Mapping[str, Any]
    text: str


def data_cards() -> Path:
    """The folder of data cards: inside the package where a wheel was installed, else beside it in the repository."""
    inside = Path(__file__).parents[1] / "data_cards"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "data_cards"


def read_data_card(drawer: Literal["sources", "noises"], name: str) -> DataCard | None:
    """The card of a source or a noise of noisybench; None for one that is not from here."""
    from huggingface_hub import RepoCard

    path = next((path for path in (data_cards() / drawer).glob("*.md") if path.stem == name), None)
    if path is None:
        return None
    card = RepoCard(path.read_text(encoding="utf-8"))
    return DataCard(card.data.to_dict(), "## " + card.text.partition("\n## ")[2])


def source_card(variant: Variant) -> DataCard | None:
    """The card of the variant's source, unless it only has the name of one of noisybench's."""
    card = read_data_card("sources", variant.provenance.source)
    classes = None if card is None else card.facts.get("classes", variant.num_classes)
    if card is None or variant.num_classes not in (classes.values() if isinstance(classes, dict) else [classes]):
        return None
    names = card.facts.get("class_names", list(variant.class_names))
    return card if names == list(variant.class_names) else None


def noise_card(variant: Variant) -> DataCard | None:
    """The card of the variant's noise, unless it only has the name of one of noisybench's."""
    card = read_data_card("noises", variant.provenance.noise)
    return card if card is not None and set(variant.provenance.params) <= set(card.facts["parameters"]) else None


def columns_of(variant: Variant) -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of each column that ``write_variant`` writes."""
    yield "sample", "int64", "Index of the training sample in the order of the source."
    yield "label", "int64", "Given label, to train on."
    alone = f", {WRONG} where no more is known than that the published label is wrong" if has_wrong(variant) else ""
    yield "clean", "int64", f"Reference label; {UNKNOWN} where it is unknown{alone}."
    if variant.flip_probability is not None:
        yield (
            "flip_probability",
            str(variant.flip_probability.dtype),
            "Probability of a wrong label, given the input and the clean label.",
        )
    if variant.selected is not None:
        yield "selected", "bool", "Chosen for noising; a chosen label may still be right."
    for name, mark in variant.marks.items():
        altered = f"Altered before any label was: {name.replace('_', ' ')}."
        yield f"{MARK}{name}", mark.dtype.name, MEANINGS.get(name, altered)


ANSWER_COLUMNS = (
    ("sample", "int64", "Index of the training sample that was asked about."),
    ("annotator", "int64", "Number of who answered."),
    ("label", "int64", "Class that was answered."),
)
"""Name, type and meaning of each column of ``answers.parquet``."""

MEANINGS = {
    PARENT: "Sample of the base source whose input it is; -1 for one from elsewhere.",
    UNIT: "Sub-population that the sample is of; -1 of none.",
    FREQUENCY: "Training samples of that sub-population; 0 of none.",
    "votes": "How many annotators gave the label that most of them gave.",
    "split": "Each annotator gave another label.",
    CHECKED: "A person chose or confirmed the label.",
    DROPPED: "A person left the sample out: it has its row, and is not trained on.",
    "contested": "All annotators gave the same label, which is not the reference.",
}
"""Marks that are no alterations."""


def has_wrong(variant: Variant) -> bool:
    """Whether of some samples no more is known than that their published label is wrong."""
    return bool((variant.clean == WRONG).any())


def correction_words(variant: Variant) -> str:
    """What people decided about the labels, in words; empty where nobody did."""
    made = variant.provenance.corrections
    if made is None:
        return ""
    decided = f"{made.accepted} corrected, {made.kept} confirmed, {made.dropped} dropped"
    return f"{decided}, by people who looked at variant {made.variant_id[:8]}"


def truth_words(variant: Variant) -> str:
    """How much of the truth is known, in words."""
    n, known, classed = len(variant.labels), int(variant.known.sum()), int(variant.class_known.sum())
    alone = f", and of {known - classed} no more than that their label is wrong" if known > classed else ""
    dropped = int(variant.dropped.sum())
    rest = f"; {dropped} are dropped" if dropped else ""
    return (
        f"The right class is known of {classed} of {n} samples{alone}; of {n - known - dropped} nothing is known{rest}."
    )


def title_of(variant: Variant, source: DataCard | None, noise: DataCard | None) -> str:
    """Name of a variant for people."""
    p = variant.provenance
    return f"{name_of(source, p.source)} with {name_of(noise, p.noise)} ({p.variant_id[:8]})"


def name_of(card: DataCard | None, name: str) -> str:
    """What people call a source or a noise; its own name where there is no card."""
    return name if card is None else str(card.facts["title"])


def licences_of(source: DataCard | None, noise: DataCard | None) -> list[str]:
    """Identifiers of the hub: those that are stated, else ``other`` or ``unknown``."""
    given = ["unknown" if source is None else str(source.facts["licence"])]
    if noise is not None and "licence" in noise.facts:
        given.append(str(noise.facts["licence"]))
    return [licence for licence in given if licence not in ("other", "unknown")] or given[:1]


def licence_words(card: DataCard | None, licence: str) -> str:
    """A licence as a card of a variant names it."""
    if licence == "other" and card is not None:
        return str(card.facts["licence_name"]).replace("-", " ")
    return "not known to noisybench" if licence == "unknown" else licence


def as_call(name: str, options: Mapping[str, Option]) -> str:
    """A source or a noise with its options, as in ``symmetric(rate=0.2)``."""
    given = ", ".join(f"{key}={as_option(value)[0]}" for key, value in options.items())
    return f"{name}({given})" if given else name


def as_option(value: Option) -> tuple[str, str | None]:
    """A recorded value as the command line takes it, and its digest where it is a file."""
    if isinstance(value, bool):
        return str(value).lower(), None
    file = re.fullmatch(r"(.+) sha256:([0-9a-f]{64})", str(value), re.DOTALL)
    return (file[1], file[2]) if file else (str(value), None)


def named_files(value: Option) -> list[tuple[str, str]]:
    """Name and digest of each file that a recorded value names: the value itself, or options within a text of steps."""
    text, digest = as_option(value)
    if digest is not None:
        return [(text, digest)]
    return re.findall(r"=([^=]+?) sha256:([0-9a-f]{64})", text)
