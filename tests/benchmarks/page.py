"""How long a page of 1,000 runs takes to make and to open, and its size: ``PYTHONPATH=tests python tests/benchmarks/page.py``.

The runs are made up (``made_runs``): 26 detectors on 1,437 samples of two noises at five rates, in two recipes. The page is
opened from disk in Chromium, five times, in a window of 1440 × 900: until two frames after its script has run.
"""

import json
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from browser import chromium
from made_runs import make_runs, source_of

from noisybench.board.page import leaderboard_page
from noisybench.ground.lookup import find, names

NOISES = [(name, rate) for name in ("symmetric", "pair_flip") for rate in (0.1, 0.2, 0.3, 0.4, 0.45)]
DRAWS, SEEDS = 10, 5
DETECTORS = 26
OPENED = """
const done = arguments[arguments.length - 1];
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
"""


def main() -> None:
    fed = [name for name in names("detectors") if "training" in find("detectors", name).fed_by][:DETECTORS]
    skills = dict(zip(fed, np.linspace(0.2, 3, len(fed)).tolist(), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NOISYBENCH_CACHE"] = f"{folder}/cache"
        began = time.perf_counter()
        made = make_runs(
            Path(folder) / "runs",
            source_of(1437, 10),
            noises=NOISES,
            draws=DRAWS,
            seeds=SEEDS,
            skills=skills,
            epochs=30,
        )
        seconds = {"making the runs": time.perf_counter() - began}
        path = Path(folder) / "board.html"
        for what in ("cold", "warm"):
            began = time.perf_counter()
            path.write_text(leaderboard_page(Path(folder) / "runs"), encoding="utf-8")
            seconds[what] = time.perf_counter() - began
        megabytes = path.stat().st_size / 1e6
        opened = []
        with chromium() as browser:
            for _ in range(5):
                browser.show(path, (1440, 900))
                opened.append(browser.driver.execute_async_script(OPENED) / 1000)
            began = time.perf_counter()
            browser.run("document.querySelectorAll('#views button')[1].click()")
            seconds["another truth"] = time.perf_counter() - began
    print(
        json.dumps(
            {
                "runs": len(made),
                "detectors": len(fed),
                "megabytes": megabytes,
                "seconds": seconds,
                "opened": opened,
                "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
