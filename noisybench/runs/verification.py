"""Verifying any folder: the variants below it, each against its source, and the runs, each against its variant."""

from collections.abc import Iterator
from pathlib import Path

from noisybench.cards.verify import variants_below, verify_draw, verify_variant
from noisybench.ground.errors import BadData, BadUsage
from noisybench.runs.verify import unfinished_runs, verify_runs
from noisybench.variants.location import source_of
from noisybench.variants.variant import check_source, read_variant


def verify(path: str | Path, *, data: str | Path | None = None, own_source: str | None = None) -> list[str]:
    """Check that variants and runs, all that are below a folder, are whole and belong together; what was checked.

    Args:
        path: A variant's folder, or any folder above variants or runs.
        data: Where the files of the variants' source are; None takes the place that each variant remembers.
        own_source: ``package.module:attribute`` of a source that is none of noisybench's.

    Raises:
        BadData: What differs, and from what.
    """
    return list(verify_each(path, data=data, own_source=own_source))


def verify_each(path: str | Path, *, data: str | Path | None = None, own_source: str | None = None) -> Iterator[str]:
    """The same, each sentence as soon as it is known; nothing is checked that is not asked for. See ``verify``."""
    path, data = Path(path), None if data is None else Path(data)
    if (path / "variant.json").is_file():
        yield from _verify_with_source(path, data, own_source)
        yield f"{path} is whole"
        return
    folders = variants_below(path)
    for folder in folders:
        for sentence in _verify_with_source(folder, data, own_source):
            yield f"{folder}: {sentence}"
    left = 0
    if not folders or next(path.rglob("run.json"), None) or next(path.rglob("memorization.parquet"), None):
        yield from verify_runs(path)
        left = unfinished_runs(path)
    runs = f", but for {left} unfinished run{'' if left == 1 else 's'}" if left else ""
    yield f"{path} is whole{runs}"


def _verify_with_source(folder: Path, data: Path | None, own_source: str | None) -> Iterator[str]:
    """Check a variant against itself and, where that is to be had, against its source."""
    yield from verify_variant(folder)
    variant = read_variant(folder)
    try:
        source = source_of(variant, folder, data, own_source)
    except (BadData, BadUsage) as error:
        if data is not None or own_source is not None:
            raise
        yield f"the source was not checked, nor the labels drawn again from it: {error}"
        return
    check_source(source, variant)
    yield f"the source's {'' if source.inputs is None else 'inputs and '}labels are those it was built from"
    if source.name == "huggingface" != variant.provenance.source:
        yield "the labels were not drawn again: the source was read from its export"
        return
    yield verify_draw(variant, source)
