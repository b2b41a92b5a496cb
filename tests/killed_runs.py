"""Kills runs at every file write and at seeded moments, lets each go on, and prints what they left as JSON.

A process of its own, that has imported everything: from it runs can be forked, each in a fraction of a second instead
of the seconds that an import takes.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from noisybench.board.results import evaluate
from noisybench.cards.variant_card import write_cards
from noisybench.data.loading import load_source
from noisybench.items import find
from noisybench.variants.building import build_variant
from noisybench.variants.variant import write_variant

SOURCE = load_source("digits", limit=120)
MOMENTS = 20


def work(out: Path) -> None:
    """Build a variant and evaluate it: every kind of file is written."""
    variant = build_variant(SOURCE, find("noises", "symmetric")(rate=0.2))
    write_variant(variant, out / "variant")
    write_cards(variant, out / "variant")
    options = {"curvature_every": "2", "curvature_draws": "2", "susceptibility": "off"}
    for detectors in ("aum", ("aum", "final_loss", "loss_curvature")):  # the second takes the training once more
        evaluate(variant, SOURCE, seeds=(0,), epochs=3, options=options, detectors=detectors, out=out / "runs")


def counted(out: Path, tell: Path) -> None:
    """``work``, counting file writes and training steps into the file ``tell``."""
    counts = {"writes": 0, "steps": 0}
    step, replace = torch.optim.SGD.step, Path.replace

    def counting_step(self: torch.optim.SGD, *rest: Any) -> Any:  # noqa: ANN401
        counts["steps"] += 1
        return step(self, *rest)

    def counting_replace(self: Path, target: Path) -> Path:
        counts["writes"] += 1
        return replace(self, target)

    torch.optim.SGD.step, Path.replace = counting_step, counting_replace  # type: ignore[method-assign, assignment]
    work(out)
    tell.write_text(json.dumps(counts))


def killed_at_write(out: Path, number: int) -> None:
    """``work``, killed when the temporary file of that write is whole and its name not yet changed."""
    left, replace = [number], Path.replace

    def last_replace(self: Path, target: Path) -> Path:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return replace(self, target)

    Path.replace = last_replace  # type: ignore[method-assign, assignment]
    work(out)


def forked(task: Callable[[], None], *, kill_after: float | None = None) -> int:
    """Run ``task`` in a fork; its exit code, or minus the signal that ended it."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            task()
            code = 0
        finally:
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def files(out: Path) -> dict[str, str]:
    """Every file but the timing, as a digest of its bytes."""
    return {
        str(path.relative_to(out)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "timing.json"
    }


def main(folder: Path) -> None:
    work(folder / "first")  # imports what is imported where it is used
    tell = folder / "counts.json"
    reference = folder / "reference"
    assert forked(lambda: counted(reference, tell)) == 0
    seconds = 1e9
    for k in range(3):
        began = time.perf_counter()
        forked(lambda k=k: work(folder / f"timed-{k}"))  # type: ignore[misc]
        seconds = min(seconds, time.perf_counter() - began)
    whole = json.loads(tell.read_text())
    random.seed(0)
    kills: list[tuple[str, Callable[[Path], None], float | None]] = [
        (f"write-{k}", lambda out, k=k: killed_at_write(out, k), None)  # type: ignore[misc]
        for k in range(whole["writes"])
    ]
    kills += [(f"moment-{k}", work, random.uniform(0, seconds)) for k in range(MOMENTS)]
    ends = {}
    for name, task, moment in kills:
        out = folder / name
        code = forked(lambda out=out, task=task: task(out), kill_after=moment)  # type: ignore[misc]
        resumed = forked(lambda out=out: counted(out, tell))  # type: ignore[misc]
        ends[name] = {"killed": code, "resumed": resumed, "files": files(out)}
        ends[name]["steps"] = json.loads(tell.read_text())["steps"]
    print(json.dumps({"whole": whole, "files": files(reference), "ends": ends}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
