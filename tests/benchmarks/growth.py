"""How processor time and peak memory of every command grow with the samples.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/growth.py [--most 40000] [--only WORD…] [--memory] [--json FILE]``.

An ``.npz`` of n × 16 float32 whose classes overlap, from 10,000 samples doubled up to ``--most``, or 1,000,000 alone with
``--memory``. Each command is a process of its own (``wait4``: its processor seconds and ``ru_maxrss``, and those of the
processes that it waited for), ended after ``--limit`` of these seconds and then not run with more samples. A row is
printed as soon as it is measured. The ratio is that of n to n / 2, each less the time at 1,000 samples, which is the start
of Python and its imports. n log n gives 2.1 to 2.2; above 2.6 it is flagged, if the command then takes half a second above
its start, and so are 4 GB. Not run above ``most``: what compares all pairs of samples, which is quadratic and said, and
what trains many networks, whose time is that of so many epochs.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

D, START, FIRST, MILLION = 16, 1000, 10_000, 1_000_000
TOO_STEEP, LEAST_SECONDS, MOST_GB = 2.6, 0.5, 4.0
ALL_PAIRS, INDEXED, TRAINED = 80_000, 160_000, 20_000


@dataclass(frozen=True, slots=True)
class Verb:
    """A command.

    Attributes:
        name: As it is shown.
        words: Its arguments; ``DATA``, ``VARIANT``, ``RUNS``, ``GIVEN``, ``PROBS``, ``MATRIX`` and ``NEW`` stand for paths.
        most: Largest n.
        after: The command whose runs it reads; empty where none.
    """

    name: str
    words: tuple[str, ...]
    most: int = 10**9
    after: str = ""


def _build(noise: str, *more: str, rate: bool = True, most: int = 10**9) -> Verb:
    words = (
        "build",
        "npz",
        "--data",
        "DATA",
        "--noise",
        noise,
        *(("--rate", "0.2") if rate else ()),
        *more,
        "--out",
        "NEW",
    )
    return Verb(f"build {' '.join((noise, *more[1::2]))}", words, most)


VERBS = (
    _build("symmetric"),
    _build("symmetric", "--mode", "exact_per_class"),
    _build("pair_flip"),
    _build("asymmetric", "--set", "map=cifar10"),
    _build("transition", "--set", "matrix=MATRIX", rate=False),
    _build("as_found", rate=False),
    _build("composed", "--set", "steps=symmetric(rate=0.1); pair_flip(rate=0.1)", rate=False),
    _build("coteaching"),
    _build("dividemix_symmetric"),
    _build("loss_correction"),
    _build("xia_raw", rate=False),
    _build("instance"),
    _build("bounded_instance"),
    _build("cluster_based", "--set", "embedding=pca"),
    _build("coherent"),
    _build("polynomial_margin", most=TRAINED),
    _build("coherent", "--set", "auroc=0.6", most=TRAINED),
    _build("difficulty", "--set", "auroc=0.6", most=TRAINED),
    _build("confusion", most=TRAINED),
    _build("averaged_softmax", most=TRAINED),
    _build("rater_pool", most=TRAINED),
    _build("neighbourhood", most=ALL_PAIRS),
    _build("neighbourhood", "--set", "index=hnsw", most=INDEXED),
    Verb("describe", ("describe", "VARIANT")),
    Verb("describe --html", ("describe", "VARIANT", "--html", "NEW.html")),
    Verb("describe --pred-probs", ("describe", "VARIANT", "--pred-probs", "PROBS")),
    Verb(
        "evaluate, fast",
        ("evaluate", "VARIANT", "--model", "mlp", "--epochs", "1", "--detectors", "fast", "--out", "RUNS"),
    ),
    Verb("evaluate, standard", ("evaluate", "VARIANT", "--model", "mlp", "--epochs", "2", "--out", "NEW"), TRAINED * 4),
    Verb("memorize", ("memorize", "VARIANT", "--models", "2", "--epochs", "1", "--workers", "1", "--out", "RUNS")),
    Verb("memorize, ridge", ("memorize", "VARIANT", "--model", "ridge", "--out", "NEW")),
    Verb("score --pred-probs", ("score", "VARIANT", "--pred-probs", "PROBS", "--name", "given", "--out", "GIVEN")),
    Verb("score --features", ("score", "VARIANT", "--features", "input", "--out", "NEW"), ALL_PAIRS),
    Verb("suspects of data", ("suspects", "DATA", "--out", "NEW"), ALL_PAIRS),
    Verb("suspects of data --index", ("suspects", "DATA", "--index", "hnsw", "--out", "NEW"), INDEXED),
    Verb("suspects of runs", ("suspects", "RUNS"), after="evaluate, fast"),
    Verb("suspects of probabilities", ("suspects", "GIVEN"), after="score --pred-probs"),
    Verb("leaderboard", ("leaderboard", "RUNS"), after="evaluate, fast"),
    Verb("verify a variant", ("verify", "VARIANT")),
    Verb("verify runs", ("verify", "RUNS"), after="evaluate, fast"),
    Verb("export csv", ("export", "VARIANT", "--format", "csv", "--to", "NEW.csv")),
    Verb("export huggingface", ("export", "VARIANT", "--to", "NEW")),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took.

    Attributes:
        seconds: Of the processor.
        gigabytes: At its peak.
        said: Its last line.
        fault: Why it did not end well; empty where it did.
    """

    seconds: float
    gigabytes: float
    said: str
    fault: str


def run(words: Sequence[str], place: Path, limit: int) -> Cost:
    """The cost of a command with one thread, whose processes are ended after ``limit`` seconds of the processor each.

    Linux counts the memory of the process that starts another as that of the other, so that this one stays small: no NumPy,
    no torch, and the data are made by another.
    """
    with (place / "said").open("wb") as said:
        child = subprocess.Popen([sys.executable, "-m", "noisybench", *words], stdout=said, stderr=subprocess.STDOUT)
        resource.prlimit(child.pid, resource.RLIMIT_CPU, (limit, limit))
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    last = ((place / "said").read_text(errors="replace").strip().splitlines() or [""])[-1]
    fault = f"failed: {last}" if child.returncode else ""
    if child.returncode == -signal.SIGKILL:
        fault = f"ended after {limit} s, or for want of memory"
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6, last, fault)


def make_data(n: int, k: int, place: Path) -> None:
    """Write overlapping classes of 16 numbers, probabilities, and a matrix of transitions."""
    import numpy as np

    rng = np.random.default_rng(0)
    labels = np.append(np.arange(k), rng.integers(0, k, n - k))
    middles = rng.normal(size=(k, D)).astype(np.float32)
    inputs = middles[labels] + rng.standard_normal((n, D), dtype=np.float32)
    np.savez(place / "data.npz", inputs=inputs, labels=labels)
    probs = rng.random((n, k), dtype=np.float32)
    probs[np.arange(n), labels] += k / 2
    np.save(place / "probs.npy", probs / probs.sum(1, keepdims=True))
    np.save(place / "matrix.npy", np.eye(k) * 0.8 + 0.2 / k)


def prepared(n: int, k: int, place: Path, limit: int) -> dict[str, str]:
    """Paths by the words that stand for them: the data, and a variant of them."""
    maker = get_context("spawn").Process(target=make_data, args=(n, k, place))
    maker.start()
    maker.join()
    names = {"DATA": "data.npz", "PROBS": "probs.npy", "MATRIX": "matrix.npy", "RUNS": "runs", "GIVEN": "given"}
    paths = {word: str(place / name) for word, name in names.items()}
    build = [
        "build",
        "npz",
        "--data",
        paths["DATA"],
        "--noise",
        "symmetric",
        "--rate",
        "0.2",
        "--out",
        str(place / "variants"),
    ]
    built = run(build, place, limit)
    if built.fault:
        sys.exit(f"no variant of {n:,} samples: {built.fault}")
    return paths | {"VARIANT": built.said}


def asked(verbs: Sequence[Verb], words: Sequence[str]) -> list[Verb]:
    """The commands whose names begin with one of the words, and those whose runs they need; all where there are none."""
    chosen = {verb.name for verb in verbs if not words or any(verb.name.startswith(word) for word in words)}
    needed = {verb.after for verb in verbs if verb.name in chosen}
    return [verb for verb in verbs if verb.name in chosen | needed]


def measure(sizes: Sequence[int], verbs: Sequence[Verb], k: int, limit: int) -> dict[str, dict[int, Cost]]:
    """Measure each command at each size, and print a row for each at once."""
    found: dict[str, dict[int, Cost]] = {verb.name: {} for verb in verbs}
    for n in sizes:
        with TemporaryDirectory() as name:
            place = Path(name)
            paths = prepared(n, k, place, limit)
            for number, verb in enumerate(verbs):
                costs = found[verb.name]
                if n > verb.most or any(cost.fault for cost in costs.values()):
                    continue
                here = paths | {"NEW": str(place / f"new{number}")}
                here |= {f"NEW{end}": here["NEW"] + end for end in (".csv", ".html")} | {
                    "matrix=MATRIX": f"matrix={paths['MATRIX']}"
                }
                costs[n] = run([here.get(word, word) for word in verb.words], place, limit)
                cost, grown = costs[n], growth(costs, n)
                ratio = "" if grown is None else f"× {grown:.2f}"
                told = ", ".join([cost.fault] * bool(cost.fault) + flags(costs, n))
                line = f"{verb.name[:38]:38} {n:>9,} {cost.seconds:8.2f} s {cost.gigabytes:6.2f} GB  {ratio:8} {told}"
                print(line.rstrip(), flush=True)
    return found


def growth(costs: dict[int, Cost], n: int) -> float | None:
    """How many times longer n samples take than half of them, without the start; None where that was not measured."""
    if n // 2 not in costs or costs[n].fault or START not in costs:
        return None
    start = costs[START].seconds
    return (costs[n].seconds - start) / max(costs[n // 2].seconds - start, 0.05)


def flags(costs: dict[int, Cost], n: int) -> list[str]:
    """What is wrong with a command's costs at n samples."""
    grown = growth(costs, n)
    steep = grown is not None and grown > TOO_STEEP and costs[n].seconds - costs[START].seconds > LEAST_SECONDS
    return ["steeper than n log n"] * steep + ["above 4 GB"] * (costs[n].gigabytes > MOST_GB)


def sizes_to(most: int) -> list[int]:
    """10,000, doubled as long as it is not above the most."""
    return [FIRST * 2**i for i in range(40) if FIRST * 2**i <= most]


def main() -> None:
    """Measure; exit with 1 where a command is flagged or does not end well."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the machine and the rows there")
    parser.add_argument("--most", type=int, default=40_000, metavar="N")
    parser.add_argument("--memory", action="store_true", help="1,000,000 samples alone")
    parser.add_argument("--classes", type=int, default=10, metavar="K")
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="WORD", help="commands whose names begin with one of these"
    )
    parser.add_argument("--limit", type=int, default=300, metavar="SECONDS", help="of the processor, for each command")
    given = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        sys.exit("set OMP_NUM_THREADS=1: the processor time of several threads compares nothing")
    sizes = [MILLION] if given.memory else [START, *sizes_to(given.most)]
    verbs = asked(VERBS, given.only)
    if not verbs:
        sys.exit(f"no command's name begins so; expected some of: {', '.join(verb.name for verb in VERBS)}")
    found = measure(sizes, verbs, given.classes, given.limit)
    if given.json is not None:
        keep(given.json, found)
    wrong = [name for name, costs in found.items() for n in costs if costs[n].fault or flags(costs, n)]
    sys.exit(int(bool(wrong)))


def keep(path: Path, found: dict[str, dict[int, Cost]]) -> None:
    """Write the command, the machine and the rows as JSON; ``measuring`` imports torch, so not before all is measured."""
    from measuring import machine

    rows = [
        {"name": name, "samples": n, "seconds": cost.seconds, "gigabytes": cost.gigabytes, "growth": growth(costs, n)}
        for name, costs in found.items()
        for n, cost in costs.items()
        if not cost.fault
    ]
    command = "OMP_NUM_THREADS=1 python tests/benchmarks/growth.py"
    path.write_text(
        json.dumps({"command": command, "machine": machine(), "rows": rows}, indent=2) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
