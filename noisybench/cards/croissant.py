"""croissant.json of a variant, for machines: Croissant 1.0."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.cards.data_cards import (
    ANSWER_COLUMNS,
    as_call,
    columns_of,
    correction_words,
    licences_of,
    name_of,
    noise_card,
    source_card,
    title_of,
    truth_words,
)
from noisybench.ground.digests import file_digest
from noisybench.variants.corrections import CORRECTIONS
from noisybench.variants.variant import ANSWERS, DENSE, Variant, transition_file

CROISSANT = "croissant.json"
LICENCE_URLS = {
    "cc-by-nc-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "cc-by-sa-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "mit": "https://opensource.org/license/mit",
}
NO_LICENCE = ("other", "unknown")  # what the hub calls none that is stated, and none that is known


def croissant_of(variant: Variant, folder: Path) -> str:
    """Croissant 1.0 (JSON-LD) of a variant: its files with their digests, and a field for each column.

    Raises:
        BadData: ``labels.parquet`` cannot be read.
    """
    source, noise = source_card(variant), noise_card(variant)
    cards = [card for card in (source, noise) if card is not None]
    files = [_file_object(folder / "labels.parquet", "application/x-parquet", "The columns of the variant.")]
    if (place := transition_file(variant)) is not None:
        how = (
            "a NumPy array" if place == DENSE else "NumPy arrays: entries (rows, columns, values), others left @ right"
        )
        what = f"Nominal transition matrix, P(given class | clean class), as {how}."
        files.append(_file_object(folder / place, "application/octet-stream", what))
    if variant.answers is not None:
        files.append(_file_object(folder / ANSWERS, "application/x-parquet", "What several annotators answered."))
    if variant.corrections is not None:
        what = f"What people decided about the labels, against those before: {correction_words(variant)}."
        files.append(_file_object(folder / CORRECTIONS, "text/csv", what))
    record = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": variant.name,
        "alternateName": title_of(variant, source, noise),
        "description": (
            f"A label column for {name_of(source, variant.provenance.source)} with noise "
            f"{as_call(variant.provenance.noise, variant.provenance.params)}; the inputs are not here. "
            f"Variant id {variant.provenance.variant_id}, source digest {variant.provenance.source_sha256}, order of "
            f"the samples: {variant.provenance.source_order}. {truth_words(variant)}"
        ),
        "license": [LICENCE_URLS.get(name, name) for name in licences_of(source, noise) if name not in NO_LICENCE]
        or None,
        "version": "1.0.0",  # other labels would be another variant, of another name
        "citeAs": " ".join(card.facts["citation"] for card in cards if "citation" in card.facts) or None,
        "keywords": ["label noise", variant.provenance.source, variant.provenance.noise],
        "distribution": files,
        "recordSet": [
            _classes_set(variant),
            _columns_set("samples", "labels.parquet", columns_of(variant)),
            *([] if variant.answers is None else [_columns_set("answers", ANSWERS, ANSWER_COLUMNS)]),
        ],
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


def _columns_set(name: str, file: str, columns: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """The record set of the samples, or of the answers about them: a field for each column of a file."""
    kinds = {"i": "sc:Integer", "f": "sc:Float", "b": "sc:Boolean"}
    samples = name == "samples"
    record: dict[str, Any] = {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": "One record a training sample of the source, in its order."
        if samples
        else "One record an answer of an annotator to a sample.",
        "key": {"@id": "samples/sample"} if samples else [{"@id": "answers/sample"}, {"@id": "answers/annotator"}],
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": meaning,
                "dataType": ["sc:Integer", "cr:Label"] if column == "label" else kinds[np.dtype(dtype).kind],
                "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
            }
            for column, dtype, meaning in columns
        ],
    }
    return record


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
