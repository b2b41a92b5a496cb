"""Refusing the modes that a noise does not have. A noise that lacks one names those it has in ``modes``."""

from noisybench.drawing import Mode, check_mode
from noisybench.ground.errors import BadUsage


def require_mode(noise: str, mode: Mode, modes: tuple[Mode, ...]) -> None:
    """Raise ``BadUsage`` unless ``mode`` is one of ``modes``, in a sentence that names them."""
    check_mode(mode)
    if mode not in modes:
        has = " or ".join(modes)
        msg = f"noise '{noise}' is drawn in mode {has} only, got '{mode}': say --mode {modes[0]}"
        raise BadUsage(msg)
