"""What the package datasets loads: name of a split → samples, whatever is wrong with the files."""

import hashlib
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import Any

from noisybench.data.splits import split_role
from noisybench.ground.download import check_asked_for, is_offline
from noisybench.ground.errors import BadData, BadUsage

BUILDERS = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json", ".arrow": "arrow"}
CARDS = ("README.md", ".huggingface.yaml")
"""Files in which a folder may say itself what its splits are."""


def load_splits(origin: str | Path, config: str | None, split: str) -> Mapping[str, Any]:
    """Split name → ``datasets.Dataset``.

    Args:
        origin: Name on the hub, or a folder or file.
        config: Name of a configuration, or None.
        split: What the only split of a file or of a saved data set without splits is called.

    Raises:
        BadUsage: A configuration of what has none.
        BadData: It cannot be loaded.
    """
    _check_asked_for(origin)
    import datasets
    import pyarrow as pa
    import yaml

    saved = isinstance(origin, Path) and any((origin / name).is_file() for name in ("dataset_dict.json", "state.json"))
    if config is not None and isinstance(origin, Path) and (saved or origin.is_file()):
        msg = f"config={config} names a part of a data set on the hub or in a folder; {origin} has none, leave it out"
        raise BadUsage(msg)
    try:
        with _quiet():
            if saved:
                loaded = datasets.load_from_disk(origin)
                return {split: loaded} if isinstance(loaded, datasets.Dataset) else loaded
            if isinstance(origin, str) or origin.is_dir():
                odd = _capital_splits(origin) if isinstance(origin, Path) and config is None else None
                place = _cache_of(origin) if isinstance(origin, Path) else None
                return datasets.load_dataset(str(origin), config, data_files=odd, cache_dir=place)
            if origin.is_file() and origin.suffix in BUILDERS:
                return datasets.load_dataset(BUILDERS[origin.suffix], data_files={split: str(origin)})
    except (
        OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError, pa.ArrowException,
        # What datasets stumbles over in damaged or foreign records; the first also for a saved data set without samples.
        LookupError, TypeError, AttributeError, MemoryError, StopIteration, yaml.YAMLError, pickle.UnpicklingError,
    ) as error:  # fmt: skip
        cause = error.__cause__ or error  # datasets wraps what a reader said in a sentence that says nothing
        reason = (str(cause).splitlines() or [type(cause).__name__])[0]
        if isinstance(cause, pickle.UnpicklingError) or "allow_pickle" in reason:
            # The words of torch and of NumPy advise to trust the file.
            reason = "it holds Python objects, which are never unpickled"
        if isinstance(cause, StopIteration) or "BatchSize must be greater than 0" in reason:
            reason = "it has no rows; expected samples"
        caches = (datasets.config.HF_CACHE_HOME, datasets.config.HF_DATASETS_CACHE)
        if isinstance(cause, OSError) and any(str(cache) in reason for cache in caches):
            reason += "; set HF_HOME to a folder that can be written to"
        msg = f"datasets cannot load '{origin}': {reason}"
        raise BadData(msg) from None
    msg = f"{origin} is no folder and no file ending in {', '.join(BUILDERS)}"
    raise BadData(msg)


def _cache_of(folder: Path) -> str:
    """Where ``datasets`` keeps what it reads of a folder, by its path and the names, sizes and times of its files.

    By itself it knows a folder whose card names the files by the last part of its path alone, and would take another's
    samples for its own.
    """
    import datasets

    digest = hashlib.sha256(str(folder.resolve()).encode())
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        found = file.stat()
        digest.update(f"{file.relative_to(folder)} {found.st_size} {found.st_mtime_ns}\n".encode())
    return str(Path(datasets.config.HF_DATASETS_CACHE) / f"folder-{digest.hexdigest()[:16]}")


def _check_asked_for(origin: str | Path) -> None:
    """Raise ``Unasked`` for what would be downloaded where nothing may be."""
    if isinstance(origin, str):
        check_asked_for(f"data set '{origin[:80]}' of the hub")
    elif is_offline() and any(_names_addresses(origin / name) for name in CARDS):
        check_asked_for(f"a file that the card of {origin} names by its address")


def _names_addresses(card: Path) -> bool:
    """Whether the head of a card, which may say where files are, holds an address."""
    if not card.is_file():
        return False
    text = card.read_text(encoding="utf-8", errors="replace")
    head = text.split("\n---", 1)[0] if card.suffix == ".md" else text
    configs = head.partition("configs:")[2]
    return "://" in configs or "::" in configs


@contextmanager
def _quiet() -> Iterator[None]:
    """Neither its log, which says again what it raises, nor progress bars where nobody looks."""
    import datasets

    verbosity, bars = datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()
    datasets.logging.set_verbosity(CRITICAL + 1)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)
        if not bars:
            datasets.enable_progress_bars()


def _capital_splits(folder: Path) -> dict[str, list[str]] | None:
    """Split → patterns of its files, of a folder whose splits ``datasets`` knows only in lower case; else None.

    It would take the samples of ``Train`` and ``Test`` for one training set.
    """
    cards = [folder / name for name in CARDS if (folder / name).is_file()]
    if any("configs:" in card.read_text(encoding="utf-8", errors="replace") for card in cards):
        return None
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    roles = {entry: split_role(entry.name if entry.is_dir() else entry.name.split(".")[0]) for entry in entries}
    if all(role is None or entry.name == entry.name.lower() for entry, role in roles.items()):
        return None
    splits: dict[str, list[str]] = {}
    for entry, role in roles.items():
        if role is not None:
            splits.setdefault(role, []).append(f"{entry.name}/**" if entry.is_dir() else entry.name)
    return splits if "train" in splits else None
