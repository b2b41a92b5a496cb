"""Classifiers of scikit-learn on random subsets: against a loop by hand, nearest neighbours by enumeration, and a formula."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from shell import shell
from sklearn.ensemble import RandomForestClassifier

from noisybench.board.results import detect
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import (
    BadData,
    BadUsage,
    Mismatch,
    MissingPackage,
    NoisybenchError,
    TrainingFailed,
    UnknownName,
)
from noisybench.ground.random_streams import derive
from noisybench.memorization.estimate import estimate_memorization
from noisybench.memorization.estimators import HOMES, KNOWN, find_estimator
from noisybench.memorization.fitted import LEAST_PROBABILITY, fit_subsets
from noisybench.memorization.fitted_plan import FittedPlan, plan_fitted
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import read_pool
from noisybench.memorization.subsets import subsets
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.folder import read_run_record
from noisybench.runs.memorization_forecast import forecast_memorization
from noisybench.runs.verify import verify_runs
from noisybench.training.machine import Machine
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, write_variant

ONE = Machine(device="cpu")


@pytest.fixture(scope="module")
def small(digits: Source) -> Source:
    return source_from_arrays("digits", digits.inputs[:121], digits.labels[:121], clean=digits.clean[:121])


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, Symmetric(0.2), seed=0)


@pytest.fixture(scope="module")
def table() -> Source:
    """Sixty rows of four columns on unlike scales, one of them constant; class 3 has a single sample."""
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3
    labels[17] = 3
    inputs = generator.normal(size=(60, 4)) * [1, 50, 0.01, 0] + labels[:, None] * [1, 50, 0.01, 0]
    return source_from_arrays("table", inputs.astype(np.float32), labels, class_names=list("abcd"))


@pytest.fixture(scope="module")
def found(table: Source) -> Variant:
    return build_variant(table, AsFound(), seed=0)


def learner_of(spec: str, *, balanced: bool = True) -> FittedPlan:
    return FittedPlan(find_estimator(f"sklearn:{spec}"), balanced=balanced)


def on_one_scale(inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    deviation = inputs.std(0, dtype=np.float64)
    scaled: NDArray[np.float64] = (inputs - inputs.mean(0, dtype=np.float64)) / np.where(deviation > 0, deviation, 1)
    return scaled


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.npz"))}


@pytest.mark.parametrize("balanced", [True, False])
def test_a_pool_is_its_forests(table: Source, found: Variant, tmp_path: Path, balanced: bool) -> None:  # noqa: FBT001
    """Subsets, predictions, margins and held-out probabilities are those of forests fitted one at a time by hand."""
    learner = learner_of("RandomForestClassifier(n_estimators=3)", balanced=balanced)
    fit_subsets(table, found, learner, tmp_path, models=7, seed=5, machine=ONE)
    pool = read_pool(tmp_path, found)
    told = Learner(
        "sklearn:RandomForestClassifier(n_estimators=3)", "sklearn", 0, pool.learner.trained, "input", 0.7, balanced
    )
    assert (pool.learner, pool.purpose, pool.seed) == (told, "truth", 5)
    assert learner.learner == told
    seed = derive(5, "truth")
    included = subsets(range(7), 60, 0.7, seed=seed, balanced=balanced)
    rows, held_out, lacking = on_one_scale(table.inputs).astype(np.float32), np.zeros((60, 4)), 0
    for i in range(7):
        forest = RandomForestClassifier(n_estimators=3, random_state=derive(seed, "model", i) % 2**32)
        forest.fit(rows[included[i]], found.labels[included[i]])
        probabilities = np.zeros((60, 4))
        probabilities[:, forest.classes_] = forest.predict_proba(rows)
        lacking += 3 not in forest.classes_
        for j in range(60):
            label, logs = found.labels[j], np.log(np.maximum(probabilities[j], LEAST_PROBABILITY))
            assert pool.predictions[i, j] == probabilities[j].argmax()
            assert pool.margins[i, j] == np.float16(logs[label] - np.delete(logs, label).max())
            if not included[i, j]:
                held_out[j] += probabilities[j]
    assert lacking > 0  # some subset is without the class of one sample
    np.testing.assert_array_equal(pool.included, included)
    left_out = (~included).sum(0)
    np.testing.assert_allclose(
        pool.held_out[left_out > 0], (held_out / left_out.clip(1)[:, None])[left_out > 0], atol=1e-6
    )


def test_nearest_neighbours(tmp_path: Path) -> None:
    """One neighbour: every model that saw a sample gives its label; the others the label of the nearest that they saw."""
    generator = np.random.default_rng(0)
    source = source_from_arrays(
        "cloud", generator.normal(size=(121, 3)).astype(np.float32), generator.integers(0, 5, 121)
    )
    variant = build_variant(source, AsFound(), seed=0)
    learner = learner_of("KNeighborsClassifier(n_neighbors=1)", balanced=False)
    fit_subsets(source, variant, learner, tmp_path, models=120, machine=ONE)
    pool = read_pool(tmp_path, variant)
    rows = on_one_scale(source.inputs)
    near = ((rows[:, None] - rows) ** 2).sum(-1)
    for included, predictions in zip(pool.included, pool.predictions, strict=True):
        nearest = np.flatnonzero(included)[near[:, included].argmin(1)]
        np.testing.assert_array_equal(predictions, variant.labels[nearest])
    memorization = estimate_memorization(pool, variant)
    np.testing.assert_array_equal(memorization.p_in, 1.0)
    # P(label | left out): the r-th neighbour is the nearest that is there, r - 1 others are not; 84 of 120 others are.
    order = near.argsort(1)[:, 1:]
    chance, absent = np.zeros(120), 1.0
    for r in range(37):
        chance[r] = absent * 84 / (120 - r)
        absent *= (36 - r) / (120 - r)
    expected = ((variant.labels[order] == variant.labels[:, None]) * chance).sum(1)
    assert chance.sum() == pytest.approx(1)
    assert np.abs(memorization.p_out - expected).max() <= 4.5 * memorization.stderr.max()
    assert np.mean(memorization.p_out - expected) == pytest.approx(0, abs=0.02)


@pytest.mark.usefixtures("warm_processes")
def test_it_goes_on_to_the_same_bytes(table: Source, found: Variant, tmp_path: Path) -> None:
    """However many processes fit, after a kill, and beside more models, a block has the same bytes; asked again, no fit."""
    learner = learner_of("DecisionTreeClassifier(max_features=2)")
    told: list[int] = []
    fit_subsets(table, found, learner, tmp_path / "a", models=52, machine=ONE, progress=lambda: told.append(1))
    assert len(told) == 52
    both = Machine(device="cpu", workers=2)
    fit_subsets(table, found, learner, tmp_path / "b", models=52, machine=both)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    whole = files(tmp_path / "a")
    (tmp_path / "a" / "block-0001-of-2.npz").unlink()
    (tmp_path / "a" / "block-0000.npz").write_bytes(b"torn")
    assert fit_subsets(table, found, learner, tmp_path / "a", models=52, machine=ONE).trained == 52
    assert files(tmp_path / "a") == whole
    assert fit_subsets(table, found, learner, tmp_path / "a", models=52, machine=ONE).trained == 0
    with pytest.raises(BadData, match="now it is"):
        fit_subsets(table, found, learner_of("GaussianNB"), tmp_path / "a", models=52, machine=ONE)


def test_detectors_of_a_pool(table: Source, found: Variant, tmp_path: Path) -> None:
    """A detector pool is a run: scored, verified, with a record without a recipe's options; a forged option is refused."""
    learner, seen = plan_fitted(table, model="sklearn:GaussianNB")
    run = detect(table, found, learner, tmp_path, models=10, features=seen, machine=ONE)
    assert {"self_confidence", "confident_learning", "held_out_error", "knn"} <= set(run.scores)
    assert all(np.isfinite(one.values).all() for one in run.scores.values())
    assert any("10 models" not in sentence for sentence in verify_runs(tmp_path))
    record = read_run_record(run.path)
    assert (record.model, record.recipe, record.epochs, record.lr) == ("sklearn:GaussianNB", "sklearn", 0, None)
    assert record.learner == learner.learner
    path = run.path / "run.json"
    path.write_text(
        path.read_text().replace('"model": "sklearn:GaussianNB"', '"model": "sklearn:GaussianNB", "lr": 0.1')
    )
    with pytest.raises((BadData, Mismatch), match="lr"):
        list(verify_runs(tmp_path))


def test_features(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Frozen features are seen in place of inputs; the learner names them, and asks for them."""
    learner, seen = plan_fitted(small, model="sklearn:GaussianNB", features="pca", features_options={"components": "5"})
    assert seen is not None
    fit_subsets(small, variant, learner, tmp_path / "a", models=10, features=seen, machine=ONE)
    assert read_pool(tmp_path / "a", variant).learner.features == "pca(components=5)"
    with pytest.raises(BadUsage, match="give features with any learner"):
        fit_subsets(small, variant, learner, tmp_path / "b", models=10, machine=ONE)


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("LinearSVC", BadUsage, "gives no probabilities.*RandomForestClassifier, HistGradientBoosting"),
        ("SVC", BadUsage, r"so does SVC\(probability=True\)"),
        ("random_forest", UnknownName, "did you mean 'sklearn:RandomForestClassifier'"),
        ("RandomForestClasifier", UnknownName, "did you mean 'RandomForestClassifier'"),
        ("GaussianNB(smoothing=1)", UnknownName, "no option of model 'sklearn:GaussianNB' is called 'smoothing'"),
        ("GaussianNB(var_smoothing=much)", BadUsage, "'var_smoothing' parameter of GaussianNB must be"),
        ("GaussianNB(var_smoothing={[]: 1})", BadUsage, "'var_smoothing' parameter of GaussianNB must be"),
        (f"GaussianNB(var_smoothing={'-' * 3000}1)", BadUsage, "'var_smoothing' parameter of GaussianNB must be"),
        ("GaussianNB)var_smoothing=1(", UnknownName, r"is called 'GaussianNB\)var_smoothing=1'"),
        ("builtins.dict", BadUsage, "'sklearn:builtins.dict' does not say its options"),
        ("GaussianNB(var_smoothing=1", BadUsage, r"a model reads sklearn:NAME\(option=value"),
        ("RandomForestClassifier(random_state=1)", BadUsage, "--seed decides it"),
        ("RandomForestClassifier(n_jobs=4)", BadUsage, "--workers says"),
        ("sklearn.ensemble.StackingClassifier", BadUsage, "cannot be made"),
        ("no_such_package.Forest", BadUsage, "there is no module 'no_such_package'"),
        ("sklearn.tree.Forest", UnknownName, "module 'sklearn.tree' has no class or function 'Forest'"),
    ],
)
def test_what_is_no_classifier(spec: str, error: type[NoisybenchError], words: str) -> None:
    """Each is refused in one sentence that says how to mend it."""
    with pytest.raises(error, match=words) as raised:
        find_estimator(f"sklearn:{spec}")
    assert "\n" not in str(raised.value)


def test_names_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options at their default are left out and stand in one order; a package may be named, and a function of one's own."""
    name = find_estimator("sklearn:RandomForestClassifier( max_depth=None, max_features = log2, n_estimators=7 )").name
    assert name == "sklearn:RandomForestClassifier(n_estimators=7, max_features=log2)"
    layers = find_estimator("sklearn:MLPClassifier(hidden_layer_sizes=(5, 5))")
    assert layers.build(0).hidden_layer_sizes == (5, 5)
    code = "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import MinMaxScaler\n"
    code += "from sklearn.ensemble import RandomForestClassifier\n\n\ndef scaled():\n"
    code += "    return make_pipeline(MinMaxScaler(), RandomForestClassifier(n_jobs=8))\n"
    (tmp_path / "own_forest.py").write_text(code)
    (tmp_path / "needs_more.py").write_text("import no_such_package\n")
    (tmp_path / "fails.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    own = find_estimator("sklearn:own_forest.scaled")
    built = own.build(2**40 + 3).named_steps["randomforestclassifier"]
    assert (built.random_state, built.n_jobs) == (3, 1)
    assert own.code is not None
    assert find_estimator("sklearn:GaussianNB").code is None
    assert "scikit-learn" in own.versions
    with pytest.raises(MissingPackage, match="needs the package 'no_such_package'"):
        find_estimator("sklearn:needs_more.scaled")
    with pytest.raises(BadData, match="cannot be imported: ZeroDivisionError"):
        find_estimator("sklearn:fails.scaled")


def test_classifiers_that_are_known() -> None:
    """Each stands in the module that the table says."""
    assert len(KNOWN) == sum(map(len, HOMES.values()))
    for name, module in KNOWN.items():
        assert hasattr(import_module(module), name), name


def test_a_fit_that_fails(table: Source, found: Variant, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An error of scikit-learn is one sentence; fits that did not converge are told once, and used."""
    with pytest.raises(
        TrainingFailed, match=r"KNeighborsClassifier\(n_neighbors=50\)' cannot be asked .* n_neighbors = 50"
    ):
        fit_subsets(table, found, learner_of("KNeighborsClassifier(n_neighbors=50)"), tmp_path, models=2, machine=ONE)
    with pytest.raises(TrainingFailed, match="cannot be fitted on a random subset"):
        fit_subsets(table, found, learner_of("CalibratedClassifierCV(cv=20)"), tmp_path, models=2, machine=ONE)
    assert not list(tmp_path.glob("*.npz"))
    fit_subsets(table, found, learner_of("LogisticRegression(max_iter=1)"), tmp_path, models=4, machine=ONE)
    assert [record.getMessage().partition(", and")[0] for record in caplog.records] == [
        "sklearn:LogisticRegression(max_iter=1) did not converge in 4 fits"
    ]


def test_forecast(table: Source, found: Variant, tmp_path: Path) -> None:
    """A forecast is of whole fits: blocks that are there are taken off, and nothing is written."""
    learner = learner_of("GaussianNB")
    told = forecast_memorization(table, found, learner, tmp_path, models=52, machine=ONE)
    assert (told.models, told.finished, told.together, told.workers) == (52, 0, 1, 1)
    assert 0 < told.model_seconds < told.seconds
    assert not list(tmp_path.iterdir())
    fit_subsets(
        table, found, learner, tmp_path / found.name / "memorization" / learner.folder(), models=50, machine=ONE
    )
    assert forecast_memorization(table, found, learner, tmp_path, models=52, machine=ONE).finished == 50


def test_from_the_shell(table: Source, tmp_path: Path) -> None:
    """What training has and fitting has not is refused in one sentence; so is fitting where a network is trained."""
    write_variant(build_variant(table, AsFound(), seed=0), tmp_path / "v")
    told = shell(
        "memorize",
        tmp_path / "v",
        "--model",
        "sklearn:GaussianNB",
        "--epochs",
        3,
        "--set",
        "lr=1",
        "--objective",
        "elr",
    )
    assert told.code == 2
    assert "leave out --epochs and --objective and --set; its own options stand in brackets" in told.err
    told = shell("evaluate", tmp_path / "v", "--model", "sklearn:GaussianNB")
    assert told.code == 2
