"""Reading a source by name, or one's own data by where they are."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisybench.data.recognising import Recognised, recognise_source
from noisybench.ground.checks import whole
from noisybench.ground.lookup import find
from noisybench.ground.options import parse_options

if TYPE_CHECKING:
    from noisybench.data.source import Source


def load_source(
    what: str | Path,
    data: str | Path | None = None,
    *,
    limit: int | None = None,
    **options: str,
) -> "Source":
    """Read a source by name or one's own data: ``load_source("cifar10", limit=10_000)``, ``load_source("photos/")``.

    Args:
        what: Name of a file of ``sources/``, or ``package.module:Class``; without ``data`` also a file, a folder or a data
            set of the hub, see ``noisybench.data.recognising``; ``Source.notes`` then says what it was taken for.
        data: Where the files of the source of that name are; None is the cache, filled by a download where the source
            allows one.
        limit: Keep the first ``limit`` training samples.
        options: The source's own options, as text.

    Raises:
        UnknownName: No such source, file or option.
        BadData: The files are missing or are not what they must be.
    """
    found = recognise_source(what) if data is None else Recognised(str(what), Path(data))
    source = load_at_side(found, options, limit=limit, side=None)
    return replace(source, notes=(found.note, *source.notes)) if found.note else source


def load_at_side(
    found: Recognised, options: Mapping[str, str], *, limit: int | None = None, side: int | None
) -> "Source":
    """Read what was recognised.

    Args:
        found: The source and where its files are.
        options: Of the source, as text, besides those that were recognised.
        limit: Keep the first ``limit`` training samples.
        side: Height and width that images are brought to where they have several sizes, or too many pixels for the memory,
            and no side is said; None refuses them.
    """
    loader = parse_options(find("sources", found.source), {**found.options, **options}, what=f"source '{found.source}'")
    return read_at_side(loader, found.data, None if limit is None else whole(limit, "limit", least=1), side)


def read_at_side(loader: Any, place: Path | None, limit: int | None, side: int | None) -> "Source":  # noqa: ANN401
    """What a loader, an item of ``sources/`` with its options, reads; see ``load_at_side``."""
    from noisybench.data.images.decoding import SeveralSizes
    from noisybench.data.images.files import TooManyPixels

    try:
        found: Source = loader(place, limit=limit)
    except (SeveralSizes, TooManyPixels) as error:
        if side is None or "side" not in {field.name for field in fields(loader)}:
            raise
        found = replace(loader, side=whole(side, "side", least=1))(place, limit=limit)
        why = "have several sizes" if isinstance(error, SeveralSizes) else "would fill the memory"
        told = f"images {why} and are brought to {side} × {side}, the largest centred square; side=… says otherwise"
        return replace(found, notes=(told, *found.notes))
    return found
