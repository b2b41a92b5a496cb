"""The rows of a table for programs: every field of each as plain values, in JSON, CSV and Parquet."""

import csv
import io
import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

from noisybench.board.curvature_steps import CurvatureStep
from noisybench.board.detector_table import Row
from noisybench.board.further_figures import FurtherFigures
from noisybench.board.model_table import ModelRow
from noisybench.board.row_words import CROSS_ENTROPY, AnyRow, Rows
from noisybench.ground.files import replacing
from noisybench.ground.text import spreadsheet_cell, visible
from noisybench.ground.version import __version__
from noisybench.runs.record import WITH_HISTORY

_LATER = ("declared", "aliases", "clustered")  # fields since 0.4.0, last in every form
_IN_PAIRS = ("surely_worse", "equivalent", "floor", "moderated")
_OF_DETECTORS = (*CurvatureStep._fields, "neighbours_alike", *_IN_PAIRS, *FurtherFigures._fields)
_OF_MODELS = (
    "own_detector", "own_detection", "own_detection_low", "own_detection_high", "corrected", "corrected_low",
    "corrected_high", "seconds", "knows",
)  # fmt: skip
_IN_COLUMNS_OF_THEIR_OWN = ("source", "subject", "parts", "ablation", "at_right")
PART = ("mean", "low", "high", "rank", "rank_low")
"""What there is of a row in each part of a table: columns such as ``mean[symmetric]``."""


def to_records(rows: Rows) -> list[dict[str, Any]]:
    """Every field of every row, NaN as None, several values as a list: for JSON, pandas and others.

    The fields of 0.4.0 come first, then what a row is of: ``source`` (in words), ``samples`` (of all its data sets),
    ``noise``, ``rate``, ``wrong_share`` and ``draws`` (lists of one entry a noise), ``variant_ids``, and ``noisybench``,
    the version that made the table. Options that tell rows apart have a column of their name, and each part of a table
    has ``mean[NAME]``, ``low[NAME]``, ``high[NAME]``, ``rank[NAME]`` and ``rank_low[NAME]``.
    """
    options = [name for row in rows for name, _ in row.ablation]
    return [{name: _plain(value) for name, value in _flat(row, options).items()} for row in rows]


def _plain(value: Any) -> Any:  # noqa: ANN401 - a field of any kind
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _flat(row: AnyRow, options: list[str]) -> dict[str, Any]:
    """Field → value in the order of 0.1.0, then what came since; a learner as its fields, whose memorization in words."""
    flat: dict[str, Any] = {}
    later = (*_LATER, *_OF_DETECTORS, *_IN_COLUMNS_OF_THEIR_OWN, *(_OF_MODELS if isinstance(row, ModelRow) else ()))
    for field in fields(row):
        value = getattr(row, field.name)
        if field.name == "learner":
            flat |= {"model": value.model, "recipe": value.recipe, "setup": row.setup, "observe": row.observe}
            flat |= {"features": value.features, "regime": row.regime, "trained": value.trained, "epochs": value.epochs}
        elif field.name == "truth_learner":
            flat[field.name] = value.name if value is not None else ""
        elif field.name not in ("version", "information", "pretrained", "block", *later):
            flat[field.name] = value
    flat["version"] = row.version
    if not isinstance(row, ModelRow):
        told = row.pretrained
        flat |= {"information": ", ".join(row.information), "block": row.block}
        flat |= {"pretrained": None, "pretrained_supervised": None, "pretrained_overlap": None}
        if told is not None:
            flat |= {
                "pretrained": told.data,
                "pretrained_supervised": told.supervised,
                "pretrained_overlap": told.overlap,
            }
        flat |= {"declared": row.declared, "aliases": row.aliases, "clustered": row.clustered}
    if isinstance(row, Row):
        flat |= {name: getattr(row, name) for name in _OF_DETECTORS}
    if isinstance(row, ModelRow):
        flat |= _at_right(row) | {name: getattr(row, name) for name in _OF_MODELS}
    flat["objective"] = row.learner.objective or (CROSS_ENTROPY if row.regime in WITH_HISTORY else "")
    return flat | _subject(row) | _divided(row, options, taken=set(flat))


def _at_right(row: ModelRow) -> dict[str, Any]:
    """Wrong labels fitted at each share of right labels, as ``wrong_at_right_90`` and the ends of its interval."""
    found: dict[str, Any] = {}
    for at in row.at_right:
        name = f"wrong_at_right_{100 * at.right:.0f}"
        found |= {name: at.wrong, f"{name}_low": at.low, f"{name}_high": at.high}
    return found


def _subject(row: AnyRow) -> dict[str, Any]:
    """What a row is of."""
    subject = row.subject
    return {
        "source": "; ".join(source.words for source in subject.sources),
        "samples": sum(source.samples for source in subject.sources),
        "noise": [noise.words for noise in subject.noises],
        "rate": [noise.rate for noise in subject.noises],
        "wrong_share": [noise.wrong_share for noise in subject.noises],
        "draws": [noise.draws for noise in subject.noises],
        "variant_ids": subject.variants,
        "noisybench": __version__,
    }


def _divided(row: AnyRow, options: list[str], *, taken: set[str]) -> dict[str, Any]:
    """Options that tell rows apart, where no field has their name, and the parts of a row."""
    told = dict(row.ablation)
    found: dict[str, Any] = {name: told.get(name) for name in options if name not in taken}
    for part in row.parts if isinstance(row, Row) else ():
        found |= {f"{name}[{part.name}]": getattr(part, name) for name in PART}
    return found


def to_json(rows: Rows) -> str:
    """A JSON list of ``to_records``."""
    return visible(json.dumps(to_records(rows), indent=2, ensure_ascii=False, allow_nan=False))


def to_csv(rows: Rows) -> str:
    """CSV of ``to_records``; None is empty, and several values stand in one cell, joined by ``; ``."""
    text = io.StringIO()
    records = to_records(rows)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([spreadsheet_cell(name) for name in records[0]] if records else [])
    for record in records:
        writer.writerow([_csv_cell(name, value) for name, value in record.items()])
    return text.getvalue()


def _csv_cell(name: str, value: Any) -> Any:  # noqa: ANN401 - what ``to_records`` gives
    if isinstance(value, list):
        between = ", " if name == "aliases" else "; "  # as in 0.4.0
        value = between.join("" if one is None else str(one) for one in value)
    return spreadsheet_cell(value) if isinstance(value, str) else value


def to_parquet(rows: Rows, path: Path) -> None:
    """Parquet of ``to_records``: columns of the same names, lists where there are several values, null for None."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = to_records(rows)
    columns = {name: [record[name] for record in records] for name in (records[0] if records else ())}
    table = pa.table({name: _column(name, values) for name, values in columns.items()})
    with replacing(path) as part:
        pq.write_table(table.replace_schema_metadata({"noisybench": __version__}), part, compression="zstd")


_LISTS = {
    "aliases": "string",
    "noise": "string",
    "rate": "float64",
    "wrong_share": "float64",
    "draws": "int64",
    "variant_ids": "string",
}
_MAYBE_EMPTY = {
    "pretrained": "string", "pretrained_overlap": "string", "pretrained_supervised": "bool_", "matched": "bool_",
    "surely_worse": "bool_", "equivalent": "bool_", "worst_class": "string",
    "rank": "int64", "rank_low": "int64", "rank_high": "int64",
}  # fmt: skip
"""Types of columns that may hold nothing but None, where they are no numbers with decimals."""


def _column(name: str, values: list[Any]) -> Any:  # noqa: ANN401 - pyarrow is imported where it is used
    """A column of one type, the same whatever it holds; of options of several types, their words."""
    import pyarrow as pa

    if name in _LISTS:
        return pa.array(values, pa.list_(getattr(pa, _LISTS[name])()))
    kinds = {type(value) for value in values} - {type(None)}
    kind = _MAYBE_EMPTY.get(name.partition("[")[0])
    if kind is not None:
        return pa.array(values, getattr(pa, kind)())
    if kinds <= {int, float}:
        return pa.array(values, pa.int64() if kinds == {int} else pa.float64())
    return pa.array(values if len(kinds) == 1 else [None if value is None else str(value) for value in values])
