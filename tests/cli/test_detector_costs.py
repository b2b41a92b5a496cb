"""What the command line says of costs and of sets of detectors."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
from shell import shell

from noisybench.data.loading import load_source
from noisybench.detection.scoring import OF_EVALUATE, FedRegime
from noisybench.items import find, names
from noisybench.runs.forecast import detector_costs
from noisybench.runs.schemes import SCHEMES

HOW = ("--epochs", 4, "--seeds", 0, "--workers", 1, "--device", "cpu")


@pytest.fixture(scope="module")
def variant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("variants")
    done = shell("build", "digits", "--noise", "symmetric", "--rate", 0.2, "--limit", 120, "--out", out)
    assert done.code == 0, done.err
    return next(out.iterdir())


def test_a_dry_run_says_the_cost_and_trains_nothing(variant: Path, tmp_path: Path) -> None:
    """For people on stderr, dearest first, free ones in a line; for machines on stdout, the numbers of Python."""
    out = tmp_path / "runs"
    done = shell("evaluate", variant, *HOW, "--detectors", "fast,loss_curvature", "--dry-run", "--out", out)
    assert (done.code, done.out) == (0, "")
    costs = detector_costs(load_source("digits", limit=120), ["fast", "loss_curvature"], epochs=4)
    added = costs.detectors["loss_curvature"].trainings
    assert (
        f"each run costs about {costs.total:.3g} trainings: 1 for training, 0.33 for looking, {added:.2g} for detectors"
        in done.err
    )
    assert f"  loss_curvature  {added:.2g}\n" in done.err
    assert f"  {len(costs.detectors) - 1} detectors add nothing but the looking\n" in done.err
    told = shell("evaluate", variant, *HOW, "--detectors", "fast,loss_curvature", "--dry-run", "--json", "--out", out)
    (record,) = json.loads(told.out)
    assert record["total"] == costs.total
    assert {name: cost["passes"] for name, cost in record["detectors"].items()} == {
        name: cost.passes for name, cost in costs.detectors.items()
    }
    assert not out.exists()


def test_a_run_that_is_to_be_asked_for_more_is_said_to_be_trained_again(variant: Path, tmp_path: Path) -> None:
    """From ``fast`` to a name beside it; and what is there is told. What is printed for machines stays JSON."""
    first = shell("evaluate", variant, *HOW, "--detectors", "fast", "--json", "--out", tmp_path)
    assert json.loads(first.out)[0]["seed"] == 0
    assert "each run costs about 1.33 trainings: 1 for training, 0.33 for looking, 0 for detectors" in first.err
    assert "runs are" not in first.err
    more = shell("evaluate", variant, *HOW, "--detectors", "fast, loss_curvature", "--out", tmp_path)
    assert "1 of 1 runs are trained again, with the same end, to be asked for curvature" in more.err
    again = shell("evaluate", variant, *HOW, "--detectors", "fast,loss_curvature", "--out", tmp_path)
    assert "1 of 1 runs are there and not trained again" in again.err
    assert again.out == more.out
    assert len(list(tmp_path.glob("*/*/seed-0/scores/loss_curvature.parquet"))) == 1


def test_the_list_says_the_set_of_each_detector() -> None:
    """Its set where ``evaluate`` feeds it, else what does; below, what a set costs."""
    told = shell("list", "detectors").out
    assert "\n  fast       nothing but the looking" in told
    for name in names("detectors"):
        line = next(line for line in told.splitlines() if line.split()[:1] == [name])
        detector = find("detectors", name)
        word = detector.smallest_set if "training" in detector.fed_by else None
        assert word is None or line.split()[1] == word
    records = {one["name"]: one for one in json.loads(shell("list", "detectors", "--json").out)}
    assert records["aum"]["set"] == "fast"
    assert records["knn"]["set"] is None
    assert {"pool", "features"} <= {*records["knn"]["fed_by"]}
    assert records["knn"]["information"] == ["held_out"]
    assert all(record["aliases"] == ", ".join(find("detectors", name).aliases) for name, record in records.items())
    assert "smallest set: fast, which adds nothing but the looking" in shell("list", "detectors", "aum").out


def test_the_list_of_detectors_imports_no_regime() -> None:
    """To say what feeds each detector, nothing that reads or writes runs is imported; what it says are the regimes that are."""
    fed = [one.regime for one in SCHEMES.values() if one.regime in get_args(FedRegime)]  # rules of stopping feed none
    assert ("training", *fed) == OF_EVALUATE
    code = (
        "import sys; sys.argv = ['noisybench', 'list', 'detectors']\nfrom noisybench.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\nprint([name for name in sys.modules if name.startswith('noisybench.runs.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_quickstart_takes_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--detectors fast`` leaves curvature out; a word that is none is refused before anything is built."""
    monkeypatch.setattr("noisybench.data.loading.load_source", partial(load_source, limit=120))
    monkeypatch.setattr("noisybench.cli.quickstart.QUICKSTART_NOISES", (("symmetric", "0.2"),))
    monkeypatch.setattr("noisybench.cli.quickstart.QUICKSTART_DRAWS", (0,))
    monkeypatch.setattr("noisybench.cli.quickstart.QUICKSTART_MEASURED", (0,))
    monkeypatch.setattr("noisybench.cli.quickstart.QUICKSTART_MODELS", 4)
    monkeypatch.setattr("noisybench.cli.quickstart.QUICKSTART_SEEDS", (0,))
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    refused = shell("quickstart", "--detectors", "quick", "--out", tmp_path / "none")
    assert refused.code == 2
    assert not (tmp_path / "none").exists()
    done = shell("quickstart", "--detectors", "fast", "--out", tmp_path)
    assert done.code == 0, done.err
    assert "each run costs about 1.33 trainings" in done.err
    assert not list(tmp_path.glob("runs/*/*/seed-0/scores/loss_curvature.parquet"))
    assert list(tmp_path.glob("runs/*/*/seed-0/scores/aum.parquet"))
