"""What ``import noisybench`` gives: every public name, with its type, and nothing that takes long to import."""

import ast
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from stub import HOME_OF, imported

import noisybench
from noisybench import (
    Column,
    Draw,
    Observation,
    Recipe,
    Recorder,
    Scores,
    Trace,
    Variant,
    build_variant,
    describe,
    find,
    load_source,
    train,
)
from noisybench.data.lazy_inputs import ImageFiles
from noisybench.ground import errors
from noisybench.memorization.estimate import Memorization
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import Pool
from noisybench.statistics.confident_learning import NoiseEstimate

ROOT = Path(__file__).parents[1]
PAGES = "".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
)
SHOWN = re.findall(r"```python\n(.*?)```", PAGES, re.DOTALL)
OWN = re.findall(r"<!-- file: \w+\.py -->\n```python\n(.*?)```", PAGES, re.DOTALL)
HEAVY = ("numpy", "torch", "torchvision", "scipy", "sklearn", "pyarrow", "datasets", "matplotlib", "rich", "typer")

TYPED = """
from typing import assert_type

from noisybench import Alter, BuildModel, Detector, ExtractFeatures, LoadSource, Noise, Probe, Scores, Trace
from noisybench import find, names, read_trace, score

assert_type(find("sources", "digits"), type[LoadSource])
assert_type(find("alterations", "long_tail"), type[Alter])
assert_type(find("noises", "symmetric"), type[Noise])
assert_type(find("noises", "symmetric")(rate=0.2), Noise)
assert_type(find("features", "pca"), type[ExtractFeatures])
assert_type(find("models", "mlp"), BuildModel)
assert_type(find("probes", "margin"), Probe)
assert_type(find("detectors", "aum"), Detector)
assert_type(names("detectors"), tuple[str, ...])
assert_type(read_trace("trace"), Trace)
assert_type(score(read_trace("trace"), find("detectors", "aum")), Scores)
"""


def mypy(code: str, folder: Path) -> str:
    """What mypy says of a file, with the package's settings and its cache."""
    (folder / "checked.py").write_text(code, encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [sys.executable, "-m", "mypy", "--no-error-summary", str(folder / "checked.py")]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False).stdout


def test_each_name_is_what_stands_in_its_module() -> None:
    """Not a copy, not a submodule; ``dir`` lists all of them and nothing else."""
    assert len(HOME_OF) > 70
    for name, home in HOME_OF.items():
        assert getattr(noisybench, name) is getattr(import_module(home), name)
    assert dir(noisybench) == sorted(HOME_OF)
    assert sorted(vars(noisybench)["__all__"]) == sorted(HOME_OF)  # what a star gives
    with pytest.raises(AttributeError, match="scores_path"):
        _ = noisybench.scores_path  # type: ignore[attr-defined]  # not public


def test_every_error_that_a_caller_may_catch_is_public() -> None:
    """All of ``ground.errors``, and each is a ``NoisybenchError``."""
    kinds = [name for name, kind in vars(errors).items() if isinstance(kind, type)]
    assert len(kinds) >= 8
    assert set(kinds) <= set(HOME_OF)
    assert all(issubclass(getattr(noisybench, name), noisybench.NoisybenchError) for name in kinds)


def test_the_page_imports_public_names() -> None:
    """Each exists; a file of one's own item imports nothing else of noisybench, wherever it stands."""
    names = [
        alias.name
        for code in SHOWN
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom) and node.module == "noisybench"
        for alias in node.names
    ]
    assert {"Noise", "Draw", "Probe", "LogitProbe", "Detector", "leaderboard"} <= set(names)
    assert set(names) <= set(HOME_OF)
    assert len(OWN) == 9
    for code in OWN:
        assert not re.search(r"(from|import) noisybench\.", code)
        assert any(module.startswith("noisybench.") for module in imported(ast.parse(code)))


def test_importing_it_imports_nothing_heavy() -> None:
    """Nor does listing its names, or those of the items."""
    code = (
        "import sys, noisybench; dir(noisybench); noisybench.__version__; noisybench.names('detectors')\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


WITHOUT_TRAINING = """
import sys
import numpy as np
from noisybench import Detector, Trace, build_variant, find, load_source, score, score_given, verify, write_variant
variant = build_variant(load_source("digits", limit=100), find("noises", "symmetric")(0.2), seed=0)
write_variant(variant, "variant")
score_given(variant, "runs", name="mine", scores=np.sin(np.arange(100)))
for folder in ("variant", "runs"):
    print(verify(folder)[-1])
print([name for name in ("torch", "sklearn", "datasets", "scipy.stats") if name in sys.modules])
"""


def test_building_scoring_and_verifying_import_nothing_that_trains(tmp_path: Path) -> None:
    """A public name imports its own module alone; digits are read and drawn without scikit-learn."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_TRAINING],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "variant is whole\nruns is whole\n[]\n"


def test_type_checkers_see_them(tmp_path: Path) -> None:
    """Each drawer has its own type; a name that is not there, or another type, is told."""
    assert mypy(TYPED, tmp_path) == ""
    wrong = "from noisybench import Detector, find, scores_path\nx: Detector = find('probes', 'loss')\n"
    told = mypy(wrong, tmp_path)
    assert 'has no attribute "scores_path"' in told
    assert 'Incompatible types in assignment (expression has type "Probe", variable has type "Detector")' in told


# --- how they are shown ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def variant() -> Variant:
    """A fifth of a hundred digits with a wrong label."""
    return build_variant(load_source("digits", limit=100), find("noises", "symmetric")(rate=0.2), seed=0)


def test_what_belongs_to_a_variant_is_shown_by_name_size_and_id(variant: Variant) -> None:
    """One line, whatever the number of samples."""
    source, own = load_source("digits", limit=100), variant.provenance.variant_id[:8]
    shape = "100 samples of shape (8, 8, 1), 10 classes"
    assert repr(source) == f"Source('digits', {shape}, sha256 {source.sha256[:8]})"
    assert repr(variant) == f"Variant('digits-symmetric-{own}', 100 samples, 10 classes, 20 mislabeled of 100 known)"
    assert repr(describe(variant)) == "Description(100 samples, 20 mislabeled of 100 known, realised rate 20.00%)"
    draw = Draw(variant.labels, selected=variant.mislabeled, marks={"odd": variant.mislabeled})
    assert repr(draw) == "Draw(100 labels, selected, odd)"


def test_what_training_leaves_is_shown_by_name_size_and_id(variant: Variant) -> None:
    """A recorder, its trace, one column, one epoch and a whole training."""
    own = variant.provenance.variant_id[:8]
    recorder = Recorder(variant, ["margin", "loss"])
    assert repr(recorder) == f"Recorder(margin, loss; 100 samples, up to epoch 0, labels {own})"
    seen = recorder.observe(torch.nn.Linear(3, 10), torch.zeros(100, 3), epoch=2)
    assert repr(recorder) == f"Recorder(margin, loss; 100 samples, up to epoch 2, labels {own})"
    assert repr(seen) == "Observation(epoch 2, 100 samples: margin, loss)"
    assert repr(recorder.trace()) == f"Trace(loss, margin; variant {own})"
    assert repr(recorder.trace().column("loss")) == "Column(values of shape (1, 100))"
    source = load_source("digits", limit=100)
    done = train(source, variant, find("models", "mlp"), Recipe(epochs=2), [find("probes", "loss")], seed=0)
    assert repr(done) == f"Training(Sequential, 2 epochs, Trace(loss; variant {own}))"


def test_other_columns_are_shown_by_name_size_and_id(tmp_path: Path) -> None:
    """Scores, memorization, a pool, an estimate of noise, and files that are read lazily."""
    some, counts, own = np.full(3, 0.5), np.ones(3, dtype=np.int64), "67dd218e" + 56 * "0"
    assert repr(Scores("aum", some, own)) == "Scores('aum', 3 samples, variant 67dd218e)"
    learner = Learner("mlp", "standard", 3, "abc123", fraction=0.7)
    measured = Memorization(some, some, some, some, some, some, counts, counts, 2, learner, own)
    assert repr(measured) == f"Memorization(3 samples, 2 models: {learner.name}; variant 67dd218e)"
    pool = Pool(
        included=np.ones((2, 3), dtype=np.bool_),
        predictions=np.zeros((2, 3), dtype=np.uint8),
        margins=np.zeros((2, 3), dtype=np.float16),
        held_out=np.zeros((3, 4), dtype=np.float32),
        groups=np.arange(2),
        learner=learner,
        purpose="truth",
        seed=7,
        variant_id=own,
    )
    assert repr(pool) == f"Pool(3 samples, 2 models for truth, seed 7: {learner.name}; variant 67dd218e)"
    assert repr(NoiseEstimate(0.205, some, np.eye(3), np.eye(3))) == "NoiseEstimate(rate 20.50%, 3 classes)"
    files = ImageFiles(tmp_path, ["a.png", "b.png"], 32)
    assert repr(files) == f"ImageFiles('{tmp_path}', 2 images of 32 × 32)"
    column = Column(np.arange(5), np.zeros((5, 9, 2), dtype=np.float32))
    assert repr(column) == "Column(values of shape (5, 9, 2))"
    assert repr(Trace({"given": column}, own)) == "Trace(given; variant 67dd218e)"
    assert repr(Observation(3, {})) == "Observation(epoch 3, 0 samples: )"
