"""Suspects of four data sets of one's own, by noisybench and by the library that people know, over many draws of errors.

Run: ``OMP_NUM_THREADS=1 NOISYBENCH_TEST_DATA=… python tests/benchmarks/own_data.py [--sets wine,texts] [--errors uniform]
[--draws 20] [--json FILE]``. ``--show FILE…`` prints the tables of finished runs again. The sets and errors are those of
``own_data_sets``, the tools those of ``own_data_tools``. With ``OWN_DATA_CACHE`` the features of photographs are kept there.

A set keeps its samples over the draws of uniform and confusable errors; of people's errors and of none each draw has other
samples, but for wine, of which there is one. Intervals are of the mean difference over draws (95 %, t), so they speak of
other errors in such a set, not of other sets. Words, decided before a figure was seen: ``level`` where the interval lies
within ``LEVEL`` of 0, else ``better`` or ``worse`` where it leaves 0 out, else ``open``.

Before anything is measured, the command itself is asked once a set, on files, and must say what the arrays say.
"""

import argparse
import json
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from own_data_sets import SETS, Errors, Labels, OwnData, planted
from own_data_tools import FEATURES, OWN_ROAD, Tool, by_command, evidence, file_order, on_evidence, ours

LEVEL = 0.02
"""Precision within which two tools are level."""
SLOW, FEW = ("Datalab, probabilities", "CleanLearning"), 5
"""Tools that fit logistic regression to the pixels of photographs, and the draws that they get there."""
WITHOUT, WITH = "noisybench, no extras", "noisybench, extras"


@dataclass(frozen=True, slots=True)
class Measured:
    """A tool on one draw of errors.

    Attributes:
        precision_at_count: Share of wrong labels among as many suspects as there are wrong labels; NaN without errors.
        precision: The same at the tool's own cut; NaN where it flags nothing.
        recall: Share of the wrong labels that it flags; NaN without errors.
        flagged: How many it flags, which is what it tells the user.
        wrong: How many are.
        suggestions_of_wrong: Share of the wrong labels whose suggestion is right.
        suggestions_of_flagged: Share of the flagged labels whose suggestion is right.
        mended: Labels corrected less labels broken, if all flagged ones are replaced.
        seconds: Processor time.
    """

    precision_at_count: float
    precision: float
    recall: float
    flagged: int
    wrong: int
    suggestions_of_wrong: float
    suggestions_of_flagged: float
    mended: int
    seconds: float


def measured(tool: Tool, data: OwnData, labels: Labels) -> Measured:
    """One tool on one draw."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tools that are not ours
        found = tool(data, labels)
    seconds = time.process_time() - start
    wrong, right = labels != data.clean, found.suggested == data.clean
    count, flagged = int(wrong.sum()), found.flagged
    top = np.argsort(-found.suspicion, kind="stable")[:count]
    return Measured(
        precision_at_count=float(wrong[top].mean()) if count else np.nan,
        precision=float(wrong[flagged].mean()) if flagged.any() else np.nan,
        recall=float(flagged[wrong].mean()) if count else np.nan,
        flagged=int(flagged.sum()),
        wrong=count,
        suggestions_of_wrong=float(right[wrong].mean()) if count else np.nan,
        suggestions_of_flagged=float(right[flagged].mean()) if flagged.any() else np.nan,
        mended=int((wrong & right & flagged).sum()) - int((~wrong & ~right & flagged).sum()),
        seconds=seconds + found.before,
    )


def tools_of(name: str) -> dict[str, Tool]:
    """The tools of a set: two of ours, where extras change something, and theirs on both roads."""
    without, extras = FEATURES[name]
    found = {
        WITHOUT: ours(extras=False),
        **({WITH: ours(extras=True)} if extras != without else {}),
        **OWN_ROAD,
        **on_evidence(extras=False),
    }
    return {**found, **on_evidence(extras=True)} if extras != without else found


def over_draws(name: str, errors: Errors, draws: int) -> dict[str, list[Measured]]:
    """Every tool on the same draws, in turns."""
    tools, load = tools_of(name), SETS[name]
    found: dict[str, list[Measured]] = {tool: [] for tool in tools}
    for draw in range(1 if (name, errors) == ("wine", "none") else draws):
        data = load(draw if errors in {"human", "none"} else 0)
        labels = planted(data, errors, draw)
        for features in set(FEATURES[name]):
            evidence(data, labels, features)  # before the clock starts
        for tool, function in tools.items():
            if not (name == "photographs" and tool in SLOW and draw >= FEW):
                found[tool].append(measured(function, data, labels))
    return found


def prove(name: str) -> None:
    """Raise unless ``noisybench suspects`` says of a set's files what the arrays say, with each kind of features.

    Patches are drawn from images by number, and class folders number them class by class: the arrays are put so here.
    """
    data = SETS[name](0)
    labels = planted(data, "uniform", 0)
    for extras, features in enumerate(dict.fromkeys(FEATURES[name])):
        if features == "patches":
            order = file_order(data, labels)
            data = replace(data, inputs=data.inputs[order], clean=data.clean[order], rows=None)
            labels = labels[order]
        told, known = by_command(data, labels, features), ours(extras=bool(extras))(data, labels)
        gap = float(np.abs(told.suspicion - known.suspicion).max())
        same = float((told.flagged == known.flagged).mean())
        print(
            f"{name}, {features}: suspicion within {gap:.1e} of the command's, {same:.1%} of the flags alike",
            flush=True,
        )
        assert gap < CLOSE


CLOSE = 0.02
"""Difference of suspicion that rounding may make; its spread is about 1."""


def paired(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Mean difference over the draws that both have, and half of its 95 % t interval; NaN of a single draw."""
    from scipy.stats import t

    count = min(len(ours), len(theirs))
    gaps = np.subtract(ours[:count], theirs[:count])
    reach = float(t.ppf(0.975, count - 1)) * gaps.std(ddof=1) / count**0.5 if count > 1 else np.nan
    return float(gaps.mean()), float(reach)


def word(gap: float, reach: float) -> str:
    """What a difference of precision is called."""
    if abs(gap) + reach <= LEVEL:
        return "level"
    return "open" if not abs(gap) > reach else "better" if gap > 0 else "worse"


# Tables

Figures = Mapping[str, Sequence[Mapping[str, Any]]]
COLUMNS = {
    "precision_at_count": "precision at the true count", "precision": "precision at its cut", "recall": "recall at its cut",
    "flagged": "flagged", "wrong": "wrong", "suggestions_of_wrong": "suggestion right, of wrong",
    "suggestions_of_flagged": "of flagged", "mended": "mended", "seconds": "seconds",
}  # fmt: skip
"""Field of ``Measured`` → heading of the printed table."""


def _mean(found: Sequence[Mapping[str, Any]], column: str) -> str:
    """Mean over the draws that have a value."""
    values = np.array([np.nan if one[column] is None else one[column] for one in found], np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return "–"
    whole = column in {"flagged", "wrong", "mended", "seconds"}
    return f"{values.mean():.1f}".replace("-", "−") if whole else _short(values.mean())


def _short(value: float) -> str:
    """Three digits without the zero before the point."""
    return f"{value:.3f}".replace("0.", ".", 1)


def _gap(found: Figures, own: str, other: str) -> str:
    """How much better one is than the other, at the true count."""
    if own not in found or own == other:
        return ""
    gap, reach = paired(*([one["precision_at_count"] for one in found[tool]] for tool in (own, other)))
    return f"{'−' if gap < 0 else '+'}{_short(abs(gap))} ± {_short(reach)} {word(gap, reach)}"


def best(found: Figures, tools: Sequence[str]) -> str:
    """The tool of the highest mean precision at the true count."""
    return max(tools, key=lambda tool: np.mean([one["precision_at_count"] for one in found[tool]]))


def summary(results: Mapping[str, Figures]) -> None:
    """Ours beside the best of theirs on either road, whichever that is: one line a set and law of errors."""
    print(
        "| set, errors | no extras | extras | best of their own road | no extras − it | extras − it | best on our evidence | ours − it |"
    )
    print(f"|{'---|' * 8}")
    for key, found in results.items():
        if key.endswith("none"):
            continue
        top = best(found, list(OWN_ROAD))
        on_ours = best(found, [tool for tool in found if tool not in OWN_ROAD and tool not in (WITHOUT, WITH)])
        cells = [_mean(found[own], "precision_at_count") if own in found else "the same" for own in (WITHOUT, WITH)]
        cells += [f"{_mean(found[top], 'precision_at_count')} {top}", _gap(found, WITHOUT, top), _gap(found, WITH, top)]
        own = WITH if WITH in found else WITHOUT
        cells += [f"{_mean(found[on_ours], 'precision_at_count')} {on_ours}", _gap(found, own, on_ours)]
        print(f"| {key.replace('/', ', ')} | {' | '.join(cells)} |")


def false_flags(results: Mapping[str, Figures]) -> None:
    """What each tool flags of labels without an error, in per cent."""
    none = {key.partition("/")[0]: found for key, found in results.items() if key.endswith("none")}
    tools = list(dict.fromkeys(tool for found in none.values() for tool in found))
    print(f"\n| without an error, flagged | {' | '.join(none)} |\n|---|{'---|' * len(none)}")
    for tool in tools:
        cells = [f"{_mean(found[tool], 'flagged')}" if tool in found else "" for found in none.values()]
        print(f"| {tool} | {' | '.join(cells)} |")


def table(key: str, found: Figures) -> None:
    """All figures of one set and law of errors, and how much better ours are at the true count."""
    gaps = [own for own in (WITHOUT, WITH) if own in found]
    heads = [*COLUMNS.values(), *(f"{own.split(', ')[1]} − it" for own in gaps), "draws"]
    print(f"\n**{key.replace('/', ', ')}**\n\n| tool | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for tool, measures in found.items():
        cells = [_mean(measures, column) for column in COLUMNS] + [_gap(found, own, tool) for own in gaps]
        print(f"| {tool} | {' | '.join(cells)} | {len(measures)} |")


def show(results: Mapping[str, Figures]) -> None:
    """Print every table."""
    summary(results)
    false_flags(results)
    for key, found in results.items():
        if not key.endswith("none"):
            table(key, found)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--errors", default="uniform,confusable,human,none")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure of every draw there")
    parser.add_argument("--show", type=Path, nargs="+", metavar="FILE", help="print the tables of these files")
    given = parser.parse_args()
    results: dict[str, Any] = {}
    if given.show:
        for file in given.show:
            results |= json.loads(file.read_text(encoding="utf-8"))
        show(
            {
                key: results[key]
                for name in SETS
                for errors in get_args(Errors)
                if (key := f"{name}/{errors}") in results
            }
        )
        return
    for name in given.sets.split(","):
        prove(name)
        for errors in given.errors.split(","):
            if errors == "human" and name != "photographs":
                continue
            start = time.perf_counter()
            found = over_draws(name, errors, given.draws)
            print(f"{name}, {errors}: {time.perf_counter() - start:.0f} s", flush=True)
            results[f"{name}/{errors}"] = {tool: [asdict(one) for one in measures] for tool, measures in found.items()}
            if given.json is not None:
                given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    show(results)


if __name__ == "__main__":
    main()
