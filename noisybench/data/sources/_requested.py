"""Folders of sets that cannot be downloaded: their authors give them on request, or they must be put together."""

from pathlib import Path

from noisybench.ground.errors import BadData, BadUsage


def requested_folder(name: str, data: Path | None, how: str) -> Path:
    """The folder ``data``, which the user had to fill.

    Args:
        name: Of the source.
        data: What ``--data`` says.
        how: Whom to ask and what to put where, for messages.

    Raises:
        BadUsage: No folder is given.
        BadData: It is no folder.
    """
    if data is None:
        msg = f"source '{name}' reads files that noisybench cannot download: {how}; then say --data DIR"
        raise BadUsage(msg)
    if not data.is_dir():
        msg = f"{data} is no folder of {name}: {how}"
        raise BadData(msg)
    return data


def first_existing(paths: list[Path], what: str) -> Path:
    """The first of some files or folders that is there.

    Raises:
        BadData: None is.
    """
    found = next((path for path in paths if path.exists()), None)
    if found is None:
        msg = f"{paths[0]} is missing{''.join(f', and so is {path}' for path in paths[1:])}; expected {what}"
        raise BadData(msg)
    return found
