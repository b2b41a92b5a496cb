"""A measurement of memorization that others released, laid beside the runs of a variant like one that was made here."""

import json
from collections.abc import Sequence
from pathlib import Path

from noisybench.ground.checks import a_path
from noisybench.ground.durability import rename_durably, temporary
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import read_metadata
from noisybench.ground.locks import locked
from noisybench.memorization.estimate import Memorization, write_memorization
from noisybench.memorization.learner import RELEASED
from noisybench.memorization.released_files import SHORT, folder_of_released, read_released
from noisybench.memorization.reliability import Summary, summarise_exact
from noisybench.runs.folder import keep_variant
from noisybench.variants.sample_files.values import Tell
from noisybench.variants.variant import Variant, check_variant


def keep_released(
    path: str | Path,
    variant: Variant,
    out: str | Path = "runs",
    *,
    sample_names: Sequence[str] | None = None,
    tell: Tell = lambda _: None,
) -> tuple[Path, Summary]:
    """Lay a released measurement of memorization beside the runs of a variant, where the board finds it.

    Args:
        path: The file, see ``read_released``.
        variant: Whose given labels must be those that it is of.
        out: Folder of runs.
        sample_names: What people call each sample, shape (n,), for files whose rows are matched by file names.
        tell: Called with a sentence for what was checked, and for what the file does not say.

    Returns:
        The measurement: its folder, with ``memorization.parquet`` in it, and its summary.

    Raises:
        BadData: The file cannot be read, is of no known layout, or contradicts itself.
        Mismatch: It is of other labels.
    """
    check_variant(variant)
    home = a_path(out, "out") / variant.name
    found = read_released(path, variant, sample_names=sample_names)
    for note in found.notes:
        tell(note)
    folder = home / "memorization" / found.folder
    keep_variant(variant, home / "variant", sample_names)
    with locked(folder), temporary(folder / "memorization.parquet") as fresh:
        write_memorization(found.memorization, fresh, metadata={RELEASED: json.dumps(dict(found.record))})
        if not _is_there(folder / "memorization.parquet", fresh):
            rename_durably(fresh, folder / "memorization.parquet")
    return folder, summarise_exact(found.memorization, variant)


def _is_there(path: Path, fresh: Path) -> bool:
    return path.is_file() and path.read_bytes() == fresh.read_bytes()


def verify_released(path: Path, told: Memorization) -> str:
    """Check that a released measurement says whose it is, and lies in the folder of its file.

    That its values are the file's is taken on trust: the file does not lie here.

    Raises:
        BadData: It does not say of which file it is.
        Mismatch: Its folder belongs to another file.
    """
    again = "delete that folder and take the released file again"
    try:
        record = json.loads(read_metadata(path)[RELEASED])
        file, sha256, source = (str(record[name])[:200] for name in ("file", "sha256", "source"))
    except (KeyError, TypeError, ValueError, RecursionError):
        msg = f"{path} does not say of which released file it is; {again}"
        raise BadData(msg) from None
    wanted = folder_of_released(told.learner, sha256)
    if path.parent.name != wanted or sha256[:SHORT] != told.learner.trained:
        msg = f"{path.parent} holds what belongs into a folder called {wanted}; it was renamed, or is a copy: delete it"
        raise Mismatch(msg)
    return f"{path.parent}: taken on trust, memorization as released in {file} (sha256 {sha256[:12]}) by {source}"
