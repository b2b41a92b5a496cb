"""Reading a source by name, or one's own data by where they are."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from noisybench.data.recognising import recognise_source
from noisybench.ground.checks import whole
from noisybench.ground.lookup import find
from noisybench.ground.options import parse_options

if TYPE_CHECKING:
    from noisybench.data.source import LoadSource, Source


def load_source(
    what: str | Path, data: str | Path | None = None, *, limit: int | None = None, **options: str
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
    name, place, note = str(what), None if data is None else Path(data), ""
    if data is None:
        found = recognise_source(what)
        name, place, options, note = found.source, found.data, {**found.options, **options}, found.note
    loader: LoadSource = parse_options(find("sources", name), options, what=f"source '{name}'")
    source = loader(place, limit=None if limit is None else whole(limit, "limit", least=1))
    return replace(source, notes=(note, *source.notes)) if note else source
