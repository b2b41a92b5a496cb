"""What a training leaves in its folder, before it goes on and when it has ended."""

from collections.abc import Mapping
from pathlib import Path

from noisybench.ground.errors import BadData
from noisybench.ground.mending import can_be_read, take_away
from noisybench.training.checkpoint import CHECKPOINT, epochs_trained
from noisybench.training.trace import epochs_observed, mend_trace


def take_away_damaged(folder: Path) -> None:
    """Remove what cannot be read of what an earlier call left, so that it is trained, observed and written again."""
    mend_trace(folder / "trace")
    for name, is_sound in (("history.parquet", can_be_read), (CHECKPOINT, epochs_trained)):
        path = folder / name
        if path.is_file() and not is_sound(path):
            take_away(path)


def check_nothing_vanished(folder: Path, due: Mapping[int, set[str]]) -> None:
    """Raise ``BadData`` if an epoch of the trace is no longer there, or was damaged, while the run trained."""
    mend_trace(folder / "trace")
    seen = epochs_observed(folder / "trace")
    lost = [epoch for epoch in due if not due[epoch] <= seen.get(epoch, set())]
    if lost:
        msg = (
            f"{folder / 'trace'} lost epoch {lost[0]} while the run trained ({len(lost)} of {len(due)} epochs); "
            f"see what takes files away there, and say the same again: the run is then trained again"
        )
        raise BadData(msg)
