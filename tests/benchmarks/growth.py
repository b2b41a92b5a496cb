"""How time and memory of every command grow with the samples, as whole commands: n, and n × 2.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/growth.py [--most 1000000] [--classes 10] [--only REGEX] [--json FILE]``. An
``.npz`` of n × 16 float32 whose classes overlap, from 10,000 samples to ``--most``: processor seconds and peak memory of
each command (``wait4`` of the child and those that it waited for). The ratio for n × 2 is of what a command takes above
its time at 1,000 samples, which is the start of Python and its imports. It is flagged above n log n, which is 2.1 to 2.2,
where it is more than 2.6 and more than half a second. Memory is flagged above 4 GB. What compares all pairs of samples, and
says so, runs to 100,000.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from measuring import Row, machine, write

D, START = 16, 1000
TOO_STEEP, LEAST_SECONDS, MOST_GB = 2.6, 0.5, 4.0
ALL_PAIRS = 100_000


@dataclass(frozen=True, slots=True)
class Verb:
    """A command.

    Attributes:
        name: As it is shown.
        words: Its arguments; ``DATA``, ``VARIANT``, ``RUNS``, ``PROBS`` and ``NEW`` stand for paths.
        most: Largest n.
    """

    name: str
    words: tuple[str, ...]
    most: int = 10**9


def _build(noise: str, *more: str, most: int = 10**9) -> Verb:
    words = ("build", "npz", "--data", "DATA", "--noise", noise, "--rate", "0.2", *more, "--out", "NEW")
    return Verb(f"build {' '.join((noise, *more[1::2]))}", words, most)


VERBS = (
    _build("symmetric"),
    _build("symmetric", "--mode", "exact_per_class"),
    _build("pair_flip"),
    _build("instance"),
    _build("bounded_instance"),
    _build("polynomial_margin"),
    _build("cluster_based", "--set", "embedding=pca"),
    _build("coherent"),
    _build("coherent", "--set", "auroc=0.6"),
    _build("difficulty", "--set", "auroc=0.6"),
    _build("confusion"),
    _build("averaged_softmax"),
    _build("rater_pool"),
    _build("neighbourhood", most=ALL_PAIRS),
    Verb("describe", ("describe", "VARIANT")),
    Verb("describe --html", ("describe", "VARIANT", "--html", "NEW.html")),
    Verb("describe --pred-probs", ("describe", "VARIANT", "--pred-probs", "PROBS"), ALL_PAIRS),
    Verb("verify a variant", ("verify", "VARIANT")),
    Verb(
        "evaluate, fast",
        ("evaluate", "VARIANT", "--model", "mlp", "--epochs", "1", "--detectors", "fast", "--out", "RUNS"),
    ),
    Verb("evaluate, standard", ("evaluate", "VARIANT", "--model", "mlp", "--epochs", "2", "--out", "NEW")),
    Verb("memorize", ("memorize", "VARIANT", "--models", "2", "--epochs", "1", "--workers", "1", "--out", "RUNS")),
    Verb("memorize, ridge", ("memorize", "VARIANT", "--model", "ridge", "--out", "NEW")),
    Verb("score --pred-probs", ("score", "VARIANT", "--pred-probs", "PROBS", "--name", "given", "--out", "RUNS")),
    Verb(
        "score --features, fast",
        ("score", "VARIANT", "--features", "input", "--detectors", "fast", "--out", "RUNS"),
        ALL_PAIRS,
    ),
    Verb("score --features", ("score", "VARIANT", "--features", "input", "--out", "NEW"), ALL_PAIRS),
    Verb("suspects", ("suspects", "DATA", "--out", "NEW"), ALL_PAIRS),
    Verb("leaderboard", ("leaderboard", "RUNS")),
    Verb("verify runs", ("verify", "RUNS")),
    Verb("export csv", ("export", "VARIANT", "--format", "csv", "--to", "NEW.csv")),
    Verb("export huggingface", ("export", "VARIANT", "--to", "NEW")),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: seconds of the processor, gigabytes at its peak, and its last line."""

    seconds: float
    gigabytes: float
    said: str


def run(words: Sequence[str], place: Path) -> Cost | None:
    """The cost of a command with one thread; None, and its message on the screen, where it fails."""
    with (place / "said").open("wb") as said:
        child = subprocess.Popen([sys.executable, "-m", "noisybench", *words], stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    lines = (place / "said").read_text(errors="replace").strip().splitlines() or [""]
    if child.returncode:
        print(f"  failed: noisybench {' '.join(words)}: {lines[-1]}")
        return None
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6, lines[-1])


def data_of(n: int, k: int, place: Path) -> dict[str, str]:
    """Paths by the words that stand for them: overlapping classes in 16 numbers, and probabilities."""
    rng = np.random.default_rng(0)
    labels = np.append(np.arange(k), rng.integers(0, k, n - k))
    middles = rng.normal(size=(k, D)).astype(np.float32)
    inputs = middles[labels] + rng.normal(size=(n, D)).astype(np.float32)
    np.savez(place / "data.npz", inputs=inputs, labels=labels)
    probs = rng.random((n, k), dtype=np.float32)
    probs[np.arange(n), labels] += k / 2
    np.save(place / "probs.npy", probs / probs.sum(1, keepdims=True))
    return {"DATA": str(place / "data.npz"), "PROBS": str(place / "probs.npy"), "RUNS": str(place / "runs")}


def costs_at(n: int, k: int, verbs: Sequence[Verb]) -> dict[str, Cost]:
    """The cost of each command at n samples."""
    found: dict[str, Cost] = {}
    with TemporaryDirectory() as name:
        place = Path(name)
        paths = data_of(n, k, place)
        build = ["build", "npz", "--data", paths["DATA"], "--noise", "symmetric", "--rate", "0.2"]
        built = run([*build, "--out", str(place / "variants")], place)
        if built is None:
            return found
        paths["VARIANT"] = built.said
        for number, verb in enumerate(verbs):
            if n <= verb.most:
                here = paths | {"NEW": str(place / f"new{number}")}
                here |= {f"NEW{end}": here["NEW"] + end for end in (".csv", ".html")}
                cost = run([here.get(word, word) for word in verb.words], place)
                if cost is not None:
                    found[verb.name] = cost
    return found


def sizes_to(most: int) -> list[int]:
    """1, 2, 10, 20, … times 10,000, and at last half of the most and the most."""
    tens = [10_000 * 10**power * times for power in range(9) for times in (1, 2)]
    return [*(n for n in tens if n < most // 2), most // 2, most]


def main() -> None:
    """Measure and print a line for each command and size; exit with 1 where one is flagged."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the machine and the rows there")
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--only", default="", help="a regular expression: commands whose names it is found in")
    given = parser.parse_args()
    verbs = [verb for verb in VERBS if re.search(given.only, verb.name)]
    start = costs_at(max(START, given.classes * 5), given.classes, verbs)
    sizes, rows, flagged = sizes_to(given.most), [], 0
    before: dict[int, dict[str, Cost]] = {}
    print(machine())
    for n in sizes:
        before[n] = costs_at(n, given.classes, verbs)
        for name, cost in before[n].items():
            half = before.get(n // 2, {}).get(name)
            above = cost.seconds - start[name].seconds
            ratio = None if half is None else above / max(half.seconds - start[name].seconds, 0.01)
            marks = ["steeper than n log n"] * (ratio is not None and ratio > TOO_STEEP and above > LEAST_SECONDS)
            marks += ["above 4 GB"] * (cost.gigabytes > MOST_GB)
            flagged += bool(marks)
            grown = "" if ratio is None else f"× {ratio:.2f}"
            line = f"{name:34} {n:>9,}  {cost.seconds:8.2f} s  {cost.gigabytes:5.2f} GB  {grown:8}  {', '.join(marks)}"
            print(line.rstrip(), flush=True)
            unit = "times half the samples"
            rows.append(Row(f"{name}, {n:,}", cost.seconds, half and half.seconds, ratio, unit, 1))
            rows.append(Row(f"{name}, {n:,}: GB", cost.gigabytes, None, None, "", 1))
    if given.json is not None:
        write(given.json, rows, {"classes": float(given.classes)})
    sys.exit(int(bool(flagged)))


if __name__ == "__main__":
    main()
