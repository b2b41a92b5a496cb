"""Verifying any folder: the variants below it, each against its source, and the runs, each against its variant."""

from collections.abc import Iterator
from pathlib import Path

from noisybench.cards.verify import lies_beside_runs, variants_below, verify_draw, verify_variant
from noisybench.ground.download import Unasked, offline
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.walking import find_below, reached
from noisybench.runs.verify import Further, unfinished_runs, verify_runs
from noisybench.variants.location import source_of
from noisybench.variants.variant import check_source, read_variant


def check_each(
    path: Path, *, data: Path | None = None, own_source: str | None = None, further: Further = lambda _: ()
) -> Iterator[str]:
    """Check variants and runs below a folder, each sentence as soon as it is known.

    Nothing is downloaded unless ``data`` or ``own_source`` is given: a folder may be a stranger's, and so may be what it
    names.

    Args:
        path: A variant's folder, or any folder above variants or runs.
        data: Where the files of the variants' source are; None takes the place that each variant remembers.
        own_source: A source by its name, or ``package.module:attribute`` of one that is none of noisybench's.
        further: Called with each run that was found whole.

    Raises:
        BadData: What differs, and from what.
    """
    if (path / "variant.json").is_file() and not lies_beside_runs(path):
        yield from _verify_with_source(path, data, own_source)
        yield f"{path} is whole"
        return
    folders = variants_below(path)
    for folder in folders:
        for sentence in _verify_with_source(folder, data, own_source):
            yield f"{folder}: {sentence}"
    left = 0
    below = find_below(reached(path), {"run.json", "memorization.parquet", "history.parquet", "scores"})
    if not folders or below.paths:
        yield from verify_runs(path, further=further)
        left = unfinished_runs(path)
    else:
        for sentence in below.left_out:
            yield f"not checked: {sentence}"
    runs = f", but for {left} unfinished run{'' if left == 1 else 's'}" if left else ""
    yield f"{path} is whole{runs}"


def _verify_with_source(folder: Path, data: Path | None, own_source: str | None) -> Iterator[str]:
    """Check a variant against itself and, where that is to be had, against its source."""
    cards = folder.name != "variant" or (folder / "README.md").is_file()  # without runs, but laid there for some
    yield from verify_variant(folder, cards=cards)
    variant = read_variant(folder)
    told = data is not None or own_source is not None
    with offline(unless=told):
        try:
            source = source_of(variant, folder, data, own_source)
        except Unasked as error:
            yield (
                f"the source was not checked, nor the labels drawn again from it: {error}; --data DIR says where it is, "
                f"--source {variant.provenance.source} that it may be downloaded"
            )
            return
        except (BadData, BadUsage) as error:
            if told:
                raise
            yield f"the source was not checked, nor the labels drawn again from it: {error}"
            return
        check_source(source, variant)
        yield f"the source's {'' if source.inputs is None else 'inputs and '}labels are those it was built from"
        if source.name == "huggingface" != variant.provenance.source:
            yield "the labels were not drawn again: the source was read from its export"
            return
        yield verify_draw(variant, source)
