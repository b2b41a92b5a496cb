"""Cards of a variant: README.md for people and the Hugging Face hub, croissant.json for machines.

Both follow from the variant and its files alone: no date, no path, so that the same variant has the same cards and
``verify`` can write them again and compare. What is said of the source and the noise comes from ``data_cards/``.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from noisybench.arrays import UNKNOWN
from noisybench.description import PRINTED_CLASSES, RATE_WORDS, Description, describe
from noisybench.options import file_digest
from noisybench.source import Option
from noisybench.tables import replacing
from noisybench.variant import Provenance, Variant

README = "README.md"
CROISSANT = "croissant.json"
LICENCE_URLS = {
    "cc-by-nc-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "cc-by-sa-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "mit": "https://opensource.org/license/mit",
}


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
    inside = Path(__file__).parent / "data_cards"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "data_cards"


def read_data_card(drawer: Literal["sources", "noises"], name: str) -> DataCard | None:
    """The card of a source or a noise of noisybench; None for one that is not from here."""
    from huggingface_hub import RepoCard

    path = next((path for path in (data_cards() / drawer).glob("*.md") if path.stem == name), None)
    if path is None:
        return None
    card = RepoCard(path.read_text(encoding="utf-8"))
    return DataCard(card.data.to_dict(), "## " + card.text.partition("\n## ")[2])


def write_cards(variant: Variant, folder: Path) -> None:
    """Write README.md and croissant.json into the folder in which ``write_variant`` has written the variant."""
    for name, text in ((README, card_of(variant)), (CROISSANT, croissant_of(variant, folder))):
        with replacing(folder / name) as part:
            part.write_bytes(encoded(text))


def encoded(text: str) -> bytes:
    """A card as bytes: UTF-8, the same line ends on every system; half a surrogate pair in a name becomes ``?``."""
    return text.encode("utf-8", "replace")


# --- README.md ---------------------------------------------------------------------------------------------------------


def card_of(variant: Variant) -> str:
    """The data card of a variant: front matter of the Hugging Face hub, then Markdown."""
    description, source, noise = describe(variant), _source_card(variant), _noise_card(variant)
    sections = [
        ("", _summary(variant, source, noise)),
        ("Build it again", _recipe(variant.provenance, source, noise)),
        ("Rates", _rates(variant, description)),
        ("Classes", _classes(variant, description)),
        ("Transition matrices", _matrices(variant, description)),
        ("Warnings", [f"- {_escape(sentence)}" for sentence in description.warnings] or ["None."]),
        ("Columns of labels.parquet", _column_table(variant)),
        ("Licence", _licence_lines(variant, source, noise)),
        ("Citation", _citations(variant, source, noise)),
        ("The source", _data_card_lines(source, variant.provenance.source, "source")),
        ("The noise", _data_card_lines(noise, variant.provenance.noise, "noise")),
    ]
    lines = ["---", _front_matter(variant, source, noise), "---", "", f"# {_escape(_title(variant, source, noise))}"]
    for heading, body in sections:
        lines += ["", *([f"## {heading}", ""] if heading else []), *body]
    return "\n".join(lines) + "\n"


def _front_matter(variant: Variant, source: DataCard | None, noise: DataCard | None) -> str:
    from huggingface_hub import DatasetCardData

    features = [
        {"name": name, "dtype": _class_label(variant) if name in ("label", "clean") else dtype}
        for name, dtype, _ in _columns(variant)
    ]
    licences = _licences(source, noise)
    task = None if source is None else source.facts.get("task")
    fields: dict[str, Any] = {
        "pretty_name": _title(variant, source, noise),
        "license": licences[0] if len(licences) == 1 else licences,
        "license_name": source.facts.get("licence_name") if source is not None and licences == ["other"] else None,
        "task_categories": None if task is None else [task],
        "size_categories": [_size_category(len(variant.labels))],
        "tags": ["label-noise", "noisybench", variant.provenance.noise],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "labels.parquet"}]}],
        "dataset_info": {"features": features},
    }
    text: str = DatasetCardData(**fields).to_yaml(line_break="\n", original_order=list(fields))
    return text


def _class_label(variant: Variant) -> dict[str, Any]:
    return {"class_label": {"names": {str(k): name for k, name in enumerate(variant.class_names)}}}


def _summary(variant: Variant, source: DataCard | None, noise: DataCard | None) -> list[str]:
    p = variant.provenance
    part = "" if p.limit is None else f", its first {p.limit} training samples"
    found = noise is not None and noise.facts["found"]
    rows = {
        "variant id": f"`{p.variant_id}`",
        "source": f"{_escape(_call(p.source, p.source_options))}{part}",
        "source digest": f"`{p.source_sha256}`",
        "order of the samples": _escape(p.source_order),
        "noise": _escape(_call(p.noise, p.params)),
        "drawn": "not: the labels are as people or programs gave them" if found else f"mode {p.mode}, seed {p.seed}",
        "reference": "the clean labels of the source"
        if p.reference == "clean"
        else "the labels of the source as they came: it knows no clean ones",
        "made by": f"noisybench {_escape(p.noisybench)}",
    }
    what = (
        f"A label column of {len(variant.labels)} samples and {variant.num_classes} classes, with the clean labels as "
        f"far as they are known. The inputs are not here: row i belongs to training sample i of "
        f"{_escape(_name_of(source, p.source))}, in the order named below."
    )
    return [
        what,
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {key} | {value} |" for key, value in rows.items()),
    ]


def _recipe(provenance: Provenance, source: DataCard | None, noise: DataCard | None) -> list[str]:
    """The command that builds the variant, and what it leaves open."""
    notes = []
    words = ["noisybench", "build"]
    if source is None:
        notes.append(f"Source '{provenance.source}' is not one of noisybench's: name your own as package.module:Class.")
    words += ["package.module:Class" if source is None else provenance.source, "--noise"]
    if noise is None:
        notes.append(f"Noise '{provenance.noise}' is not one of noisybench's: name your own as package.module:Class.")
    words.append(f"package.module:{provenance.noise}" if noise is None else provenance.noise)
    for flag, options in (("--set", provenance.params), ("--source-set", provenance.source_options)):
        for key, value in options.items():
            text, digest = _as_option(value)
            if digest is not None:
                notes.append(f"{text} is the file with sha256 {digest}.")
            words += ["--rate", text] if (flag, key) == ("--set", "rate") else [flag, f"{key}={text}"]
    if source is not None and source.facts["access"] == "yours" and "id" not in provenance.source_options:
        words += ["--data", "DATA"]
        notes.append("DATA is the file or folder of the source; its digest above tells whether it is the right one.")
    if source is not None and source.facts["access"] == "download":
        notes.append("Say --data DIR where the files of the source are there already, as they need no download then.")
    if provenance.limit is not None:
        words += ["--limit", str(provenance.limit)]
    if noise is None or not noise.facts["found"]:
        words += ["--seed", str(provenance.seed), "--mode", provenance.mode]
    return [*_fenced(shlex.join(words), "sh"), *(f"\n{_escape(note)}" for note in notes)]


def _rates(variant: Variant, description: Description) -> list[str]:
    nominal, definition = description.nominal_rate, RATE_WORDS[variant.provenance.rate_definition]
    told = "none was asked for" if nominal is None else f"{_percent(nominal)} {definition}".strip()
    expected = description.expected_rate
    unknown = description.n - description.known
    return [
        "| | |",
        "| --- | --- |",
        f"| nominal | {told} |",
        f"| expected | {'not known' if expected is None else f'{_percent(expected)} of the labels wrong'} |",
        f"| realised | {_percent(description.realised_rate)} of {description.known} samples of known class |",
        f"| clean label unknown | {unknown} of {description.n} samples; unknown is {UNKNOWN}, and is not taken as clean |",
    ]


def _classes(variant: Variant, description: Description) -> list[str]:
    given = np.bincount(variant.labels, minlength=variant.num_classes)
    nominal = description.nominal_class_rates
    lines = [
        "| class | name | known samples | given | realised rate | nominal rate |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for k, name in enumerate(variant.class_names):
        rates = _percent(description.class_rates[k]), _percent(None if nominal is None else nominal[k])
        lines.append(f"| {k} | {_escape(name)} | {description.class_counts[k]} | {given[k]} | {' | '.join(rates)} |")
    return lines


def _matrices(variant: Variant, description: Description) -> list[str]:
    if variant.num_classes > PRINTED_CLASSES:
        there = " and `transition.npy` holds the nominal one" if variant.transition is not None else ""
        return [f"Of {variant.num_classes} classes: `noisybench describe --json` prints them{there}."]
    lines = ["P(given class | clean class) in %; a row is a clean class."]
    for title, matrix in (("Realised", description.transition), ("Nominal", description.nominal_transition)):
        if matrix is None:
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


def _column_table(variant: Variant) -> list[str]:
    rows = [f"| `{name}` | {dtype} | {meaning} |" for name, dtype, meaning in _columns(variant)]
    return ["| column | type | meaning |", "| --- | --- | --- |", *rows]


def _licence_lines(variant: Variant, source: DataCard | None, noise: DataCard | None) -> list[str]:
    lines = []
    for card, name, what in ((source, variant.provenance.source, "source"), (noise, variant.provenance.noise, "noise")):
        if card is None:
            lines.append(f"- {_escape(name)} ({what}): not known to noisybench")
        elif (licence := card.facts.get("licence")) is not None:
            lines.append(f"- {_escape(_name_of(card, name))} ({what}): {_licence_words(card, licence)}")
    return [*lines, "", "The labels fall under what holds for the source, and for the noise where people made it."]


def _citations(variant: Variant, source: DataCard | None, noise: DataCard | None) -> list[str]:
    lines = []
    for card, name in ((source, variant.provenance.source), (noise, variant.provenance.noise)):
        text = "not known to noisybench" if card is None else card.facts.get("citation", "none")
        lines.append(f"- {_escape(_name_of(card, name))}: {_escape(text)}")
    return lines


def _data_card_lines(card: DataCard | None, name: str, what: str) -> list[str]:
    """The text of a data card, its headings one level lower."""
    if card is None:
        return [f"'{_escape(name)}' is not one of noisybench's: there is no data card for this {what}."]
    origin = f"From `data_cards/{what}s/{name}.md` of noisybench, whose front matter holds the facts in full."
    return [origin, "", *re.sub(r"(?m)^##", "###", card.text.strip("\n")).split("\n")]


# --- croissant.json ----------------------------------------------------------------------------------------------------


def croissant_of(variant: Variant, folder: Path) -> str:
    """Croissant 1.0 (JSON-LD) of a variant: its files with their digests, and a field for each column.

    Raises:
        BadData: ``labels.parquet`` cannot be read.
    """
    source, noise = _source_card(variant), _noise_card(variant)
    cards = [card for card in (source, noise) if card is not None]
    files = [_file_object(folder / "labels.parquet", "application/x-parquet", "The columns of the variant.")]
    if variant.transition is not None:
        what = "Nominal transition matrix, P(given class | clean class), as a NumPy array."
        files.append(_file_object(folder / "transition.npy", "application/octet-stream", what))
    record = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": variant.name,
        "alternateName": _title(variant, source, noise),
        "description": (
            f"A label column for {_name_of(source, variant.provenance.source)} with noise "
            f"{_call(variant.provenance.noise, variant.provenance.params)}; the inputs are not here. "
            f"Variant id {variant.provenance.variant_id}, source digest {variant.provenance.source_sha256}, order of "
            f"the samples: {variant.provenance.source_order}."
        ),
        "license": [LICENCE_URLS.get(licence, _licence_words(source, licence)) for licence in _licences(source, noise)],
        "version": "1.0.0",  # other labels would be another variant, of another name
        "citeAs": " ".join(card.facts["citation"] for card in cards if "citation" in card.facts) or None,
        "keywords": ["label noise", variant.provenance.source, variant.provenance.noise],
        "distribution": files,
        "recordSet": [_classes_set(variant), _samples_set(variant)],
    }
    plain = {key: value for key, value in record.items() if value is not None}
    return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _file_object(path: Path, encoding: str, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "description": description,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B" if path.is_file() else "0 B",
        "encodingFormat": encoding,
        "sha256": file_digest(path),
    }


def _samples_set(variant: Variant) -> dict[str, Any]:
    kinds = {"i": "sc:Integer", "f": "sc:Float", "b": "sc:Boolean"}
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": "One record a training sample of the source, in its order.",
        "key": {"@id": "samples/sample"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"samples/{name}",
                "name": name,
                "description": meaning,
                "dataType": ["sc:Integer", "cr:Label"] if name == "label" else kinds[np.dtype(dtype).kind],
                "source": {"fileObject": {"@id": "labels.parquet"}, "extract": {"column": name}},
            }
            for name, dtype, meaning in _columns(variant)
        ],
    }


def _classes_set(variant: Variant) -> dict[str, Any]:
    parts = (("index", "sc:Integer", "Class index, as in the columns."), ("name", "sc:Text", "Name of the class."))
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "The names of the classes.",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/index"},
        "field": [
            {"@type": "cr:Field", "@id": f"classes/{part}", "name": part, "description": meaning, "dataType": kind}
            for part, kind, meaning in parts
        ],
        "data": [{"classes/index": k, "classes/name": name} for k, name in enumerate(variant.class_names)],
    }


# The context that the specification of Croissant 1.0 prescribes.
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


# --- what both say -----------------------------------------------------------------------------------------------------


def _source_card(variant: Variant) -> DataCard | None:
    """The card of the variant's source, unless it only has the name of one of noisybench's."""
    card = read_data_card("sources", variant.provenance.source)
    if card is None or card.facts.get("classes", variant.num_classes) != variant.num_classes:
        return None
    names = card.facts.get("class_names", list(variant.class_names))
    return card if names == list(variant.class_names) else None


def _noise_card(variant: Variant) -> DataCard | None:
    card = read_data_card("noises", variant.provenance.noise)
    return card if card is not None and set(variant.provenance.params) <= set(card.facts["parameters"]) else None


def _columns(variant: Variant) -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of each column that ``write_variant`` writes."""
    yield "sample", "int64", "Index of the training sample in the order of the source."
    yield "label", "int64", "Given label, to train on."
    yield "clean", "int64", f"Reference label; {UNKNOWN} where it is unknown."
    if variant.flip_probability is not None:
        yield (
            "flip_probability",
            str(variant.flip_probability.dtype),
            "Probability of a wrong label, given the input and the clean label.",
        )
    if variant.selected is not None:
        yield "selected", "bool", "Chosen for noising; a chosen label may still be right."


def _title(variant: Variant, source: DataCard | None, noise: DataCard | None) -> str:
    p = variant.provenance
    return f"{_name_of(source, p.source)} with {_name_of(noise, p.noise)} ({p.variant_id[:8]})"


def _name_of(card: DataCard | None, name: str) -> str:
    return name if card is None else str(card.facts["title"])


def _licences(source: DataCard | None, noise: DataCard | None) -> list[str]:
    """Identifiers of the hub: those that are stated, else ``other`` or ``unknown``."""
    given = ["unknown" if source is None else str(source.facts["licence"])]
    if noise is not None and "licence" in noise.facts:
        given.append(str(noise.facts["licence"]))
    return [licence for licence in given if licence not in ("other", "unknown")] or given[:1]


def _licence_words(card: DataCard | None, licence: str) -> str:
    if licence == "other" and card is not None:
        return str(card.facts["licence_name"]).replace("-", " ")
    return "not known to noisybench" if licence == "unknown" else licence


def _size_category(n: int) -> str:
    """How the hub sorts data sets by their number of rows."""
    steps = (("1K", 10**3), ("10K", 10**4), ("100K", 10**5), ("1M", 10**6), ("10M", 10**7), ("100M", 10**8))
    lower = "n"
    for name, limit in steps:
        if n < limit:
            return f"n<{name}" if lower == "n" else f"{lower}<n<{name}"
        lower = name
    return "n>100M" if lower == "n" else "100M<n<1B"


def _call(name: str, options: Mapping[str, Option]) -> str:
    given = ", ".join(f"{key}={_as_option(value)[0]}" for key, value in options.items())
    return f"{name}({given})" if given else name


def _as_option(value: Option) -> tuple[str, str | None]:
    """A value as the command line takes it, and its digest where it is a file."""
    if isinstance(value, bool):
        return str(value).lower(), None
    file = re.fullmatch(r"(.+) sha256:([0-9a-f]{64})", str(value), re.DOTALL)
    return (file[1], file[2]) if file else (str(value), None)


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
