"""What frozen features are asked for, where suspects are looked for by a detector."""

from noisybench.board.agreement_file import COMMANDS
from noisybench.ground.errors import BadUsage
from noisybench.ground.lookup import find, objectives_leaving


def computed_for(detector: str | None) -> list[str]:
    """The fast detectors, and the one that is asked for.

    Raises:
        BadUsage: One that frozen features do not feed.
    """
    if detector is None or ":" in detector:
        return ["fast"]
    asked = find("detectors", detector)
    if "features" in asked.fed_by:
        return ["fast", detector]
    command, *flags = COMMANDS[asked.fed_by[0]].split() if asked.fed_by else ("evaluate",)
    flags += [f"--objective {name}" for name in objectives_leaving(asked.left_by_objective)[:1]]
    words = " ".join([command, "VARIANT", *flags, *([f"--detectors {detector}"] if command == "evaluate" else [])])
    msg = (
        f"detector '{detector}' is not scored from frozen features, by which suspects are found here; 'noisybench {words}' "
        f"scores it, and 'noisybench suspects RUN --detector {detector}' then ranks by it"
    )
    raise BadUsage(msg)
