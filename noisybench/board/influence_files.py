"""High-influence pairs as a file: csv, JSON, Markdown or Parquet, with names and labels of both samples."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from noisybench.data.source import Source
from noisybench.ground.checks import a_path, check_kind
from noisybench.ground.errors import BadUsage
from noisybench.ground.files import replacing
from noisybench.ground.record_tables import write_records
from noisybench.ground.text import markdown_cell, spreadsheet_cell
from noisybench.memorization.influence import InfluencePairs
from noisybench.variants.variant import Variant

Records = Sequence[Mapping[str, Any]]


def pair_records(pairs: InfluencePairs, source: Source, variant: Variant) -> list[dict[str, Any]]:
    """A record of each pair, the largest influence first.

    Fields: ``train``, ``name`` (where samples have names), ``given`` and ``clean`` (its labels in words, the latter None
    where it is not known), ``test``, ``label`` (of the test sample), ``influence``, ``stderr``, ``p_value``,
    ``q_value`` and ``memorization`` (of the training sample), see ``InfluencePairs``.
    """
    check_kind(pairs, InfluencePairs, "pairs", "influence_pairs(pool, variant, …) gives them")
    check_kind(source, Source, "source", "load_source('digits') or source_from_arrays(…) gives one")
    check_kind(variant, Variant, "variant", "build_variant(source, noise) gives one")
    classes, names = variant.class_names, source.sample_names
    tests = source.test_labels
    if tests is None:
        msg = f"source '{source.name}' has no test set, so that it is none that these pairs are of"
        raise BadUsage(msg)
    records = []
    for row, (train, test) in enumerate(zip(pairs.train.tolist(), pairs.test.tolist(), strict=True)):
        clean = int(variant.clean[train])
        record: dict[str, Any] = {"train": train}
        if names is not None:
            record["name"] = str(names[train])
        record |= {"given": classes[variant.labels[train]], "clean": classes[clean] if clean >= 0 else None}
        record |= {"test": test, "label": classes[tests[test]]}
        for column in ("influence", "stderr", "p_value", "q_value", "memorization"):
            record[column] = float(getattr(pairs, column)[row])
        records.append(record)
    return records


def write_pairs(pairs: InfluencePairs, source: Source, variant: Variant, path: str | Path) -> Path:
    """Write high-influence pairs, the largest influence first; what the file held before is replaced.

    Args:
        pairs: What ``influence_pairs`` gives.
        source: Of the variant, with its test set.
        variant: Whose labels.
        path: A file that ends in .csv, .json, .md or .parquet; its folder is made.

    Raises:
        BadUsage: Another ending.
    """
    check_kind(pairs, InfluencePairs, "pairs", "influence_pairs(…) gives some")
    path = check_pairs_file(path)
    records = pair_records(pairs, source, variant)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        WRITERS[path.suffix.lower()](records, pairs, part)
    return path


def check_pairs_file(path: str | Path) -> Path:
    """``path``, where pairs can be written there.

    Raises:
        BadUsage: Its name ends in something else than .csv, .json, .md or .parquet.
    """
    path = a_path(path)
    if path.suffix.lower() not in WRITERS:
        msg = f"{path} does not say its format; end it in {', '.join(WRITERS)}"
        raise BadUsage(msg)
    return path


def words_of_pairs(pairs: InfluencePairs) -> str:
    """What was compared, what was found, and what chance would give, in three sentences."""
    helping = int((pairs.influence > 0).sum())
    return (
        f"Compared were {pairs.compared} pairs of a training sample (memorization {pairs.memorized:g} and more) and a test "
        f"sample, by {pairs.models} models of {pairs.learner.name}. {pairs.helps} pairs help (influence {pairs.least:g} and "
        f"more; chance alone would give {_many(pairs.helps_by_chance)}), and {pairs.harms} pairs harm (influence "
        f"-{pairs.least:g} and less; chance alone would give {_many(pairs.harms_by_chance)}). Listed are {helping} that help "
        f"and {len(pairs.train) - helping} that harm, of which a share of {pairs.most_q:g} at most is expected to be chance."
    )


def _many(pairs: float) -> str:
    return f"{pairs:.2g}" if pairs < 10 else f"{pairs:.0f}"  # noqa: PLR2004 - two digits


def _write_csv(records: Records, pairs: InfluencePairs, path: Path) -> None:
    columns = list(records[0]) if records else list(COLUMNS)
    del pairs
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for record in records:
            writer.writerow([spreadsheet_cell(one) if isinstance(one, str) else one for one in record.values()])


def _write_json(records: Records, pairs: InfluencePairs, path: Path) -> None:
    told = {name: getattr(pairs, name) for name in SUMMARY} | {"learner": pairs.learner.name, "pairs": list(records)}
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _write_markdown(records: Records, pairs: InfluencePairs, path: Path) -> None:
    columns = list(records[0]) if records else list(COLUMNS)
    lines = [columns, ["---"] * len(columns)]
    for record in records:
        cells = ("" if one is None else f"{one:.3g}" if isinstance(one, float) else str(one) for one in record.values())
        lines.append([markdown_cell(one) for one in cells])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    path.write_text(f"{markdown_cell(words_of_pairs(pairs))}\n\n{table}\n", encoding="utf-8")


def _write_parquet(records: Records, pairs: InfluencePairs, path: Path) -> None:
    told = {name: str(getattr(pairs, name)) for name in SUMMARY} | {"learner": pairs.learner.name}
    write_records(records, path, metadata=told)


COLUMNS = ("train", "given", "clean", "test", "label", "influence", "stderr", "p_value", "q_value", "memorization")
"""Columns of a file without pairs."""
SUMMARY = (
    "variant_id", "models", "memorized", "least", "most_q", "compared", "helps", "harms", "helps_by_chance", "harms_by_chance",
)  # fmt: skip
"""Fields that a file tells of all pairs together."""
WRITERS: Mapping[str, Callable[[Records, InfluencePairs, Path], None]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".md": _write_markdown,
    ".parquet": _write_parquet,
}
"""How a file ends → what writes it."""
