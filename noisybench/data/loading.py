"""Reading a source by name."""

from pathlib import Path
from typing import TYPE_CHECKING

from noisybench.ground.checks import whole
from noisybench.ground.lookup import find
from noisybench.ground.options import parse_options

if TYPE_CHECKING:
    from noisybench.data.source import LoadSource, Source


def load_source(name: str, data: str | Path | None = None, *, limit: int | None = None, **options: str) -> "Source":
    """Read a source by name: ``load_source("cifar10", "data/cifar10", limit=10_000)``.

    Args:
        name: Name of a file of ``sources/``, or ``package.module:Class``.
        data: Where its files are; None is the cache, filled by a download where the source allows one.
        limit: Keep the first ``limit`` training samples.
        options: The source's own options, as text.

    Raises:
        UnknownName: No such source or option.
        BadData: The files are missing or are not what they must be.
    """
    loader: LoadSource = parse_options(find("sources", name), options, what=f"source '{name}'")
    return loader(None if data is None else Path(data), limit=None if limit is None else whole(limit, "limit", least=1))
