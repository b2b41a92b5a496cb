"""Published files: fetched once into the cache, and never trusted without their digest."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData


class Unasked(BadData):
    """Something is not here, and may not be downloaded unless the user asks for it."""


_offline = ContextVar("offline", default=False)


@contextmanager
def offline(*, unless: bool = False) -> Iterator[None]:
    """Nothing is downloaded in this block: what is not here raises ``Unasked``.

    Args:
        unless: Whether the block may download after all.
    """
    before = _offline.set(_offline.get() or not unless)
    try:
        yield
    finally:
        _offline.reset(before)


def is_offline() -> bool:
    """Whether nothing may be downloaded here."""
    return _offline.get()


def check_asked_for(what: str) -> None:
    """Raise ``Unasked`` where nothing may be downloaded.

    Args:
        what: What would be, for the message.
    """
    if _offline.get():
        msg = f"{what} is not here, and nothing is downloaded unasked"
        raise Unasked(msg)


def cache_folder() -> Path:
    """``$NOISYBENCH_CACHE``, or the folder ``noisybench`` where the operating system keeps caches."""
    given = os.environ.get("NOISYBENCH_CACHE")
    return Path(given) if given else _cache_of_the_system()


@cache
def _cache_of_the_system() -> Path:
    import pooch

    return Path(pooch.os_cache("noisybench"))


def fetch(name: str, url: str, sha256: str, size: int, *, instead: str = "--data") -> Path:
    """The file ``name`` in the cache, downloaded where it is not there yet.

    A file that is there already is checked too, and downloaded again where it differs.

    Args:
        name: Name of the file in the cache.
        url: Where it is published.
        sha256: Of the file, as published; 64 hexadecimal digits.
        size: Of the file in bytes, for messages.
        instead: What a user without a network gives instead, for messages.

    Raises:
        BadData: It cannot be downloaded, or is not the file that was published.
    """
    there = cache_folder() / name
    if not (there.is_file() and file_digest(there) == sha256):
        check_asked_for(f"{name} ({size / 1e6:.1f} MB)")
    import pooch
    from requests.exceptions import RequestException

    pooch.get_logger().setLevel("WARNING")  # it tells of every download on stderr
    advice = f"get it otherwise and say {instead}"
    try:
        return Path(
            pooch.retrieve(
                url, f"sha256:{sha256}", fname=name, path=cache_folder(), downloader=pooch.HTTPDownloader(timeout=30)
            )
        )
    except RequestException as error:
        msg = f"{name} ({size / 1e6:.1f} MB) cannot be downloaded from {url} ({type(error).__name__}); {advice}"
        raise BadData(msg) from None
    except OSError as error:
        msg = (
            f"{name} cannot be kept in the cache {cache_folder()} ({error.strerror or type(error).__name__}); set "
            f"NOISYBENCH_CACHE to a folder that can be written to, or {advice}"
        )
        raise BadData(msg) from None
    except ValueError:  # what pooch raises for a digest; the file is gone by then
        msg = f"{name} from {url} is not the published file of {size} bytes with sha256 {sha256[:12]}…; {advice}"
        raise BadData(msg) from None
