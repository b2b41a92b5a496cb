"""Kills runs at file writes, at seeded moments and by power cuts, lets each go on, and prints what they left as JSON.

A process of its own, that has imported everything: from it runs can be forked, each in a fraction of a second instead
of the seconds that an import takes. Says: killed_runs.py FOLDER WRITES MOMENTS CUTS, with how many of each.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from noisybench.board.results import evaluate
from noisybench.cards.variant_card import write_cards
from noisybench.data.loading import load_source
from noisybench.items import find
from noisybench.training.optimizers import RecipeOptimizer
from noisybench.variants.building import build_variant
from noisybench.variants.variant import write_variant

SOURCE = load_source("digits", limit=120)


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
    step, replace = RecipeOptimizer.step, Path.replace

    def counting_step(self: RecipeOptimizer) -> None:
        counts["steps"] += 1
        step(self)

    def counting_replace(self: Path, target: Path) -> Path:
        counts["writes"] += 1
        return replace(self, target)

    RecipeOptimizer.step, Path.replace = counting_step, counting_replace  # type: ignore[method-assign, assignment]
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


def cut_at_write(out: Path, number: int, seed: int) -> None:
    """``work`` until a power cut right after that write: its file, and each that was not synced since, is torn.

    A file is torn where the seed says: emptied, cut off, or zeroed from there on, as file systems leave it.
    """
    draw, left, replace = random.Random(seed), [number], Path.replace
    on_disk: dict[Path, bool] = {}

    def noting_fsync(descriptor: int) -> None:
        on_disk[Path(f"/proc/self/fd/{descriptor}").readlink()] = True

    def last_replace(self: Path, target: Path) -> Path:
        end = replace(self, target)
        on_disk[target] = on_disk.pop(self, False)
        if left[0] == 0:
            for path in sorted(path for path, synced in on_disk.items() if path == target or not synced):
                if path.is_file():
                    tear(path, draw)
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return end

    os.fsync = noting_fsync  # type: ignore[assignment]
    Path.replace = last_replace  # type: ignore[method-assign, assignment]
    work(out)


def tear(path: Path, draw: random.Random) -> None:
    """Empty a file, cut it off at a byte, or zero it from there on or a block of it."""
    whole = path.read_bytes()
    first = draw.randrange(len(whole))
    block = first + draw.choice((16, 512, len(whole)))
    torn = draw.choice((b"", whole[:first], whole[:first] + bytes(len(whole[first:block])) + whole[block:]))
    path.write_bytes(torn)


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


def main(folder: Path, writes: int, moments: int, cuts: int) -> None:
    os.fsync = lambda _: None  # type: ignore[assignment]  # a killed process loses nothing that is not synced
    work(folder / "first")  # imports what is imported where it is used
    tell = folder / "counts.json"
    reference = folder / "reference"
    began = time.perf_counter()
    assert forked(lambda: counted(reference, tell)) == 0
    seconds = time.perf_counter() - began
    whole = json.loads(tell.read_text())
    random.seed(0)
    every = max(1, whole["writes"] // writes)
    kills: list[tuple[str, Callable[[Path], None], float | None]] = [
        (f"write-{k}", lambda out, k=k: killed_at_write(out, k), None)  # type: ignore[misc]
        for k in range(0, whole["writes"], every)
    ]
    kills += [(f"moment-{k}", work, random.uniform(0, seconds)) for k in range(moments)]
    kills += [
        (f"cut-{k}", lambda out, k=k: cut_at_write(out, random.Random(k).randrange(whole["writes"]), k), None)  # type: ignore[misc]
        for k in range(cuts)
    ]
    expected, wrong, ends = files(reference), [], {}
    for name, task, moment in kills:
        out = folder / name
        code = forked(lambda out=out, task=task: task(out), kill_after=moment)  # type: ignore[misc]
        resumed = forked(lambda out=out: counted(out, tell))  # type: ignore[misc]
        ends[name] = {"killed": code, "resumed": resumed, "steps": json.loads(tell.read_text())["steps"]}
        left = files(out)
        if resumed or left != expected:
            wrong.append([name, *sorted(each for each in {*left, *expected} if left.get(each) != expected.get(each))])
        shutil.rmtree(out)
    print(json.dumps({"whole": whole, "wrong": wrong, "ends": ends}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *map(int, sys.argv[2:]))
