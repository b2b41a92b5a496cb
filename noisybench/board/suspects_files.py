"""Suspects as files of other tools: csv, Parquet, JSON, and tasks of Label Studio."""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from noisybench.board.suspects import Suspects
from noisybench.ground.checks import a_path, check_kind, unknown
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.ground.files import replacing
from noisybench.ground.text import spreadsheet_cell


def write_suspects(suspects: Suspects, path: str | Path, *, style: str | None = None, top: int | None = None) -> Path:
    """Write the chosen suspects, most suspicious first.

    Args:
        suspects: What ``find_suspects`` gives.
        path: The file; its folder is made.
        style: ``csv``, ``parquet``, ``json`` or ``labelstudio``; None takes the ending of the file.
        top: How many; None takes those that are flagged.

    Raises:
        UnknownName: No such format.
        BadUsage: The ending says none.
    """
    check_kind(suspects, Suspects, "suspects", "find_suspects(…) gives some")
    path = a_path(path, "path")
    if style is not None:
        check_kind(style, str, "style", f"give one of {', '.join(STYLES)}")
    ending = path.suffix.lower().removeprefix(".")
    if style is None:
        if ending not in STYLES:
            msg = (
                f"{path} does not say its format; end it in .csv, .parquet or .json, or say one of {', '.join(STYLES)}"
            )
            raise BadUsage(msg)
        style = ending
    if style not in STYLES:
        raise UnknownName(unknown(style, tuple(STYLES), "format of suspects"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        STYLES[style](suspects, top, part)
    return path


def _write_csv(suspects: Suspects, top: int | None, path: Path) -> None:
    columns = suspects.columns(top)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([spreadsheet_cell(value) if isinstance(value, str) else value for value in row])


def _write_parquet(suspects: Suspects, top: int | None, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    told = {"variant_id": suspects.variant_id, "detector": suspects.detector}
    table = pa.table(dict(suspects.columns(top))).replace_schema_metadata(told)
    pq.write_table(table, path, compression="zstd")


def _write_json(suspects: Suspects, top: int | None, path: Path) -> None:
    path.write_text(json.dumps(suspects.record(top), indent=2, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _write_labelstudio(suspects: Suspects, top: int | None, path: Path) -> None:
    """A list of tasks: what a sample is, the label that it has as an annotation, the suggested one as a prediction."""
    chosen = suspects.chosen(top)
    tasks = [
        {
            "data": _shown(suspects, int(i)),
            "annotations": [{"result": [_choice(suspects.class_names[suspects.given[i]])]}],
            "predictions": _prediction(suspects, int(i)),
        }
        for i in chosen
    ]
    path.write_text(json.dumps(tasks, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _shown(suspects: Suspects, sample: int) -> dict[str, Any]:
    """What a task shows of a sample, by the type of its data: an image, a text, or the words of its row."""
    shown: dict[str, Any] = {"sample": sample, "suspicion": float(suspects.suspicion[sample])}
    if suspects.names is not None:
        shown["name"] = suspects.names[sample]
    source = suspects.inputs
    file = suspects.file(sample)
    if file is not None:
        shown["image"] = f"/data/local-files/?d={quote(file.as_posix())}"
    elif source is not None and source.texts is not None:
        shown["text"] = source.texts[sample]
    elif source is not None and source.rows is not None:
        shown["text"] = source.rows[sample]
    return shown


def _choice(name: str) -> dict[str, Any]:
    return {"from_name": "label", "to_name": "sample", "type": "choices", "value": {"choices": [name]}}


def _prediction(suspects: Suspects, sample: int) -> list[dict[str, Any]]:
    suggested = suspects.suggestion(sample)
    model = f"noisybench {suspects.detector}"
    return [{"model_version": model, "result": [_choice(suggested)]}] if suggested else []


STYLES: Mapping[str, Callable[[Suspects, int | None, Path], None]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
    "json": _write_json,
    "labelstudio": _write_labelstudio,
}
"""Formats of a file of suspects, by name."""
