"""Made-up data of a leaderboard's page, and a page that holds every chart of them."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.ground.html.page import asset, page

SCRIPTS = ("charts_axes.js", "charts_rows.js", "charts_runs.js")
CHARTS = ("intervals", "heat", "pareto", "fits", "regions", "histogram", "curve", "memorization")
BODY = "".join(
    f'<figure id="{name}"><figcaption><b>{name.capitalize()}</b></figcaption><div class="plot"></div></figure>'
    for name in CHARTS
)
CALLS = """const state = {
  view: 0, table: 0, source: -1, noise: -1, rate: -1, learner: -1, entry: 1, detail: 0, map: 0,
  rows: page.data.views[0].tables[0].rows,
  shown: page.data.views[0].tables[0].rows.entry.map((_, row) => row),
  open(entry) { window.opened = entry; },
};
const given = {};
const draw = () => {
  for (const figure of document.querySelectorAll("figure")) {
    given[figure.id] = page.charts[figure.id](figure, page.data, state);
    figure.hidden = !given[figure.id];
  }
};
draw();"""
STYLE = """figure { margin: 1.5rem 0; padding: 0.75rem; border: 1px solid var(--line); border-radius: 10px; }
figcaption { margin-bottom: 0.4rem; color: var(--quiet); font-size: var(--small); }
figcaption b { color: var(--ink); }"""

DETECTORS = (
    "cumulative_loss", "area_under_margin", "aum", "csl", "second_split_forgetting_time", "small_loss", "el2n",
    "forgetting", "<b>label</b>", "curvature", "knn_agreement", "confident_learning", "entropy", "random", "flag_nothing",
)  # fmt: skip
NOISES = ["symmetric", "asymmetric", "instance_dependent", "cifar_n_random1", "cluster", "difficulty"]
LEARNERS = ["mlp, standard, 30 epochs", "resnet18, overfit, 100 epochs"]
BINS, CELLS, CURVE = 20, 12, 24


def chart_data(seed: int = 0) -> dict[str, Any]:
    """Plain JSON in the form that ``noisybench.board.page_data`` describes, of the parts that charts read."""
    rng = np.random.default_rng(seed)
    entries = [(name, learner) for learner in range(len(LEARNERS)) for name in DETECTORS[:-3]]
    entries += [("entropy", 0), ("random", -1), ("flag_nothing", -1)]
    kinds = ["detector"] * (len(entries) - 3) + ["control", "reference", "reference"]
    blocks = ["pretrained" if name == "knn_agreement" else "" for name, _ in entries]
    skill = np.sort(rng.uniform(0.55, 0.995, len(entries)))[::-1]
    skill[-3:] = 0.61, 0.5, math.nan
    tables = [_table(entries, kinds, blocks, skill)]
    tables += [
        _table(entries, kinds, blocks, np.clip(skill - rng.uniform(0, 0.15, len(skill)), 0.45, 1)) for _ in NOISES
    ]
    runs = [(learner, noise, seed) for learner in range(2) for noise in range(len(NOISES)) for seed in range(2)]
    fits = rng.uniform(0.1, 1, len(runs))
    return {
        "format": 2,
        "words": {
            "mislabeled_fit": "Wrong labels fitted: the share of wrong labels that the model predicts for their samples.",
            "clean_fit": "Right labels fitted: the same share of the labels that are right.",
            "susceptibility": "Susceptibility: how far one step on inputs with random labels lowers the loss on them, in nats.",
            "memorization": "Memorization of a sample: how much likelier models trained on it predict its given label.",
        },
        "sources": {"name": ["digits"], "samples": [1437]},
        "noises": NOISES,
        "rates": ["0.2"],
        "slices": {
            "source": [-1, *[-1 for _ in NOISES]],
            "noise": [-1, *range(len(NOISES))],
            "rate": [-1, *[-1 for _ in NOISES]],
            "table": [0, *range(1, 1 + len(NOISES))],
        },
        "learners": {"words": LEARNERS},
        "entries": {
            "detector": [name for name, _ in entries],
            "learner": [learner for _, learner in entries],
            "kind": kinds,
            "block": blocks,
        },
        "runs": {
            "learner": [learner for learner, _, _ in runs],
            "source": [0] * len(runs),
            "noise": [noise for _, noise, _ in runs],
            "rate": [0] * len(runs),
            "seed": [seed for _, _, seed in runs],
            "draw": [0] * len(runs),
            "test_accuracy": [round(0.97 - 0.2 * fit, 4) for fit in fits],
            "train_accuracy": [round(0.8 + 0.2 * fit, 4) for fit in fits],
            "mislabeled_fit": [round(float(fit), 4) for fit in fits],
            "clean_fit": [0.99] * len(runs),
            "susceptibility": [round(0.05 * float(fit + u), 4) for fit, u in zip(fits, rng.random(len(runs)), strict=True)],
        },
        "views": [
            {
                "key": "mislabeled-auroc", "truth": "mislabeled", "metric": "auroc", "metric_title": "AUROC", "title": "wrong labels",
                "words": "", "chance": 0.5, "bounds": [0, 1], "higher": True, "truth_learners": [], "tables": tables,
            }
        ],
        "curves": {
            "run": list(range(len(runs))),
            "epoch": [[1 + 4 * e for e in range(CURVE)] for _ in runs],
            "mislabeled_fit": [[round(1000 * fit * (e / CURVE) ** 2) for e in range(CURVE)] for fit in fits],
            "clean_fit": [[round(990 * (1 - math.exp(-(e + 1) / 3))) for e in range(CURVE)] for _ in runs],
        },
        "grids": {
            "false_alarms": [round((i / 63) ** 2, 4) for i in range(64)], "recall": [round(i / 63, 4) for i in range(64)],
            "bins": BINS, "cells": CELLS,
        },
        "details": {
            "entry": [0], "run": [0], "low": [-1.5], "high": [2.5],
            "right": [[round(900 * math.exp(-((k - 5) ** 2) / 8)) for k in range(BINS)]],
            "wrong": [[round(150 * math.exp(-((k - 13) ** 2) / 12)) for k in range(BINS)]],
            "roc": [[round(1000 * (i / 63) ** 0.4) for i in range(64)]],
            "precision": [[round(1000 - 500 * (i / 63) ** 3) for i in range(64)]],
            "auroc": [0.953],
        },
        "memorization": {
            "entry": [0], "run": [0], "truth_learner": [LEARNERS[0]], "spearman": [0.71], "low": [-0.1], "high": [1],
            "cells": [[
                number
                for row in range(CELLS) for column in range(CELLS)
                for number in (row * CELLS + column, max(0, 40 - 8 * abs(row - column) - 3 * column), max(0, 12 - 2 * abs(CELLS - row) - abs(CELLS - column)), 0)
                if abs(row - column) < 5
            ]],
        },
    }  # fmt: skip


def _table(entries: list[tuple[str, int]], kinds: list[str], blocks: list[str], skill: Any) -> dict[str, Any]:  # noqa: ANN401
    block = np.array(blocks)
    ranks = [
        1 + int(np.sum((block == blocks[i]) & (np.array(kinds) == "detector") & (skill > skill[i])))
        if kinds[i] == "detector"
        else None
        for i in range(len(entries))
    ]
    number: list[Any] = [None if math.isnan(one) else round(float(one), 4) for one in skill]
    half: list[Any] = [None if one is None else 0.02 + 0.1 * (1 - one) for one in number]
    order = sorted(range(len(entries)), key=lambda i: ({"detector": 0, "control": 1, "reference": 2}[kinds[i]], blocks[i], -(number[i] or 0)))  # fmt: skip
    return {
        "chance": 0.5,
        "rows": {
            "entry": order,
            "source": [-1 for _ in order],
            "mean": [number[i] for i in order],
            "low": [None if number[i] is None else round(number[i] - half[i], 4) for i in order],
            "high": [None if number[i] is None else round(min(1, number[i] + half[i] / 2), 4) for i in order],
            "rank": [ranks[i] for i in order],
            "rank_low": [None if (r := ranks[i]) is None else max(1, r - 3) for i in order],
            "rank_high": [None if (r := ranks[i]) is None else r + 2 for i in order],
            "surely_worse": [None if (r := ranks[i]) is None else r > 4 for i in order],
            "equivalent": [None for _ in order],
            "truth_learner": [-1 for _ in order],
            "complete": [True for _ in order],
            "seconds": [
                None if kinds[i] == "reference" else round(10 ** (2 - 5 * ((i * 7 % 11) / 11) * (0.6 + i / 40)), 5)
                for i in order
            ],
            "passes": [None if kinds[i] == "reference" else (150, 30, 90, 1, 0, 0)[i % 6] for i in order],
        },
    }


def write_charts(path: Path, data: dict[str, Any]) -> Path:
    """A page of every chart of some data."""
    scripts = [asset("noisybench.board", name) for name in SCRIPTS]
    styles = [asset("noisybench.board", "charts_style.css"), STYLE]
    every = ["page.charts = {};", *scripts, CALLS]
    path.write_text(page(title="charts", body=BODY, data=data, scripts=every, styles=styles), "utf-8")
    return path
