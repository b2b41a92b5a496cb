"""Forged runs: ``verify`` notices each, and no table shows one without a word. One honest folder is made, and copied.

Each forgery is one change of a stranger who knows the code: he writes every digest again that he can.
"""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisybench.board.agreement_file import write_agreement
from noisybench.board.finished import score_given
from noisybench.board.leaderboard import leaderboard
from noisybench.board.results import detect, evaluate, memorize, score_features
from noisybench.board.truths import read_truths
from noisybench.board.verification import verify
from noisybench.data.loading import load_source
from noisybench.detection.scoring import Scores, Suggestion, read_scores, scores_path, write_scores
from noisybench.detection.suggesting import suggestion_path, write_suggestion
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData
from noisybench.ground.files import read_columns, write_columns
from noisybench.memorization.estimate import read_memorization, write_memorization
from noisybench.memorization.pool import read_block, write_block
from noisybench.memorization.subset_plan import plan_learner
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.column_scoring import score_columns
from noisybench.runs.folder import finish, read_run_record
from noisybench.runs.reading import read_run
from noisybench.training.checkpoint import CHECKPOINT
from noisybench.training.plan import plan_run
from noisybench.variants.building import build_variant
from noisybench.variants.variant import read_variant, write_variant


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training, a pool of models, given scores, frozen features and a memorization, of one variant of 120 digits."""
    folder = tmp_path_factory.mktemp("honest")
    source = load_source("digits", limit=120)
    variant = build_variant(source, Symmetric(0.2))
    learner, _ = plan_learner(source, epochs=1)
    np.save(folder / "mine.npy", np.random.default_rng(0).random(120))
    runs = folder / "runs"
    evaluate(variant, source, epochs=2, seeds=(0,), detectors=["aum", "entropy", "final_loss"], out=runs)
    detect(source, variant, learner, runs, models=10)
    score_given(variant, runs, name="mine", scores=folder / "mine.npy")
    frozen = ["knn", "confident_learning", "ridge", "ridge_leverage", "simifeat_rank"]  # what tables and checks read
    score_features(source, variant, "pca", runs, detectors=frozen)
    memorize(source, variant, learner, runs, models=10)
    return folder


def tables(runs: Path) -> Iterator[list[dict[str, Any]]]:
    """All that leaderboards show of a folder, one after the other."""
    for truth, metric in (("mislabeled", None), ("mislabeled", "suggestion_accuracy"), ("memorization", None)):
        yield leaderboard(runs, truth=truth, metric=metric).to_records()


@pytest.fixture(scope="module")
def honest_tables(honest: Path) -> list[list[dict[str, Any]]]:
    return list(tables(honest / "runs"))


class Forger:
    """The folders of a copy, by what they are, and what can be done to them."""

    def __init__(self, runs: Path) -> None:
        (self.home,) = runs.glob("digits-*")
        (self.training,) = self.home.glob("mlp-standard-*/seed-0")
        (self.pool,) = self.home.glob("mlp-overfit-input-pool-*/seed-0")
        (self.given,) = self.home.glob("given-*/seed-0")
        (self.features,) = self.home.glob("pca-features-*/seed-0")
        (self.measured,) = self.home.glob("memorization/*")
        self.variant = read_variant(self.home / "variant")

    def record(self, run: Path, **changes: Any) -> None:  # noqa: ANN401 - JSON
        """Change fields of a record; None takes one away."""
        found = {**json.loads((run / "run.json").read_text("utf-8")), **changes}
        kept = {name: value for name, value in found.items() if value is not None or name == "limit"}
        (run / "run.json").write_text(json.dumps(kept), encoding="utf-8")

    def detectors(self, run: Path, change: Callable[[dict[str, str]], dict[str, str]], **more: Any) -> None:  # noqa: ANN401
        self.record(run, detectors=change(json.loads((run / "run.json").read_text("utf-8"))["detectors"]), **more)

    def columns(self, path: Path, **changes: Callable[[Any], Any]) -> None:
        """Change columns of a Parquet file, and keep its metadata."""
        columns, metadata = read_columns(path)
        write_columns(
            {**columns, **{name: change(columns[name]) for name, change in changes.items()}}, path, metadata=metadata
        )

    def perfect(self, name: str) -> Scores:
        return Scores(name, self.variant.mislabeled.astype(np.float64), self.variant.provenance.variant_id)

    def add_scores(self, run: Path, name: str) -> None:
        write_scores(self.perfect(name), scores_path(run, name))

    def suggest_the_truth(self, run: Path, name: str) -> Path:
        """A file of suggestions that are right wherever the label is wrong."""
        labels = np.where(self.variant.mislabeled, self.variant.clean, -1)
        path = suggestion_path(run, name)
        write_suggestion(Suggestion(name, labels, self.variant.provenance.variant_id), path)
        return path

    def digest_again(self, run: Path, path: Path) -> None:
        """The digest of a file in the record, as it is now."""
        found = json.loads((run / "run.json").read_text("utf-8"))["files_sha256"]
        self.record(run, files_sha256={**found, path.relative_to(run).as_posix(): file_digest(path)})

    def agreement_again(self, run: Path) -> None:
        """The file of agreement as the forged scores give it."""
        (run / "agreement.parquet").unlink(missing_ok=True)
        write_agreement(read_run(run), read_truths(self.home))


def field(**changes: Any) -> Callable[[Forger], None]:  # noqa: ANN401 - JSON
    return lambda forger: forger.record(forger.training, **changes)


def of_pool(**changes: Any) -> Callable[[Forger], None]:  # noqa: ANN401 - JSON
    return lambda forger: forger.record(forger.pool, **changes)


def of_given(**changes: Any) -> Callable[[Forger], None]:  # noqa: ANN401 - JSON
    return lambda forger: forger.record(forger.given, **changes)


def of_features(**changes: Any) -> Callable[[Forger], None]:  # noqa: ANN401 - JSON
    return lambda forger: forger.record(forger.features, **changes)


def column(name: str, change: Callable[[Any], Any]) -> Callable[[Forger], None]:
    """A column of frozen features, with every score and digest written again as it follows."""

    def forge(forger: Forger) -> None:
        folder = forger.features
        forger.columns(folder / "trace" / "epoch-0000.parquet", **{name: change})
        record = read_run_record(folder)
        given = read_columns(folder / "trace" / "epoch-0000.parquet")[0]["given"].astype(np.int64)
        object.__setattr__(forger.variant, "labels", given)  # a label that is suggested for itself is never written
        finish(folder, record, record.detectors, score_columns(folder, forger.variant))
        forger.agreement_again(folder)

    return forge


def shares_beyond_one(forger: Forger) -> None:
    """The scores stay as they are, for none can be made of them."""
    path = forger.features / "trace" / "epoch-0000.parquet"
    forger.columns(path, **{"neighbours.labels": lambda values: values * 1.5})


def history(name: str, change: Callable[[Any], Any]) -> Callable[[Forger], None]:
    return lambda forger: forger.columns(forger.training / "history.parquet", **{name: change})


def better_scores(forger: Forger) -> None:
    forger.add_scores(forger.training, "aum")
    forger.agreement_again(forger.training)


def a_detector_that_never_was(forger: Forger) -> None:
    forger.add_scores(forger.training, "supernova")
    forger.detectors(forger.training, lambda found: {**found, "supernova": "aum"})


def a_reference_as_detector(forger: Forger) -> None:
    forger.add_scores(forger.training, "perfect")
    forger.detectors(forger.training, lambda found: {**found, "perfect": "own:D"})


def memorization_as_detector(forger: Forger) -> None:
    forger.add_scores(forger.training, "memorization by me")
    forger.detectors(forger.training, lambda found: {**found, "memorization by me": "own:D"})


def a_built_in_name_for_own_code(forger: Forger) -> None:
    forger.add_scores(forger.training, "aum")
    forger.detectors(forger.training, lambda found: {**found, "aum": "own:D"})


def two_names_exchanged(forger: Forger) -> None:
    forger.detectors(forger.training, lambda found: {**found, "aum": "final_loss", "final_loss": "aum"})


def scores_of_another(forger: Forger) -> None:
    shutil.copy(scores_path(forger.training, "final_loss"), scores_path(forger.training, "aum"))


def rows_of_agreement(forger: Forger) -> None:
    """As many rows as there may be, one of them of nobody."""
    forger.columns(
        forger.training / "agreement.parquet", detector=lambda names: np.where(names == "aum", "nova", names)
    )


def values_of_agreement(forger: Forger) -> None:
    forger.columns(forger.training / "agreement.parquet", value=lambda values: values * 0 + 0.99)


def a_billion_epochs(forger: Forger) -> None:
    """Every digest and name fits; were each epoch looked at, it would take minutes and gigabytes."""
    epochs = 10**9 - 1
    plan = plan_run(load_source("digits", limit=120), epochs=epochs, device="cpu")
    forger.record(forger.training, epochs=epochs, setup=plan.setup, trained=plan.trained, files_sha256=None)
    trace = forger.training / "trace"
    last = max(trace.iterdir())
    columns, metadata = read_columns(last)
    last.unlink()
    write_columns(columns, trace / f"epoch-{epochs}.parquet", metadata={**metadata, "epoch": str(epochs)})
    forger.columns(forger.training / "history.parquet", epoch=lambda values: np.array([*values[:-1], epochs]))
    forger.training.parent.rename(forger.training.parents[1] / plan.folder)
    forger.training = forger.training.parents[1] / plan.folder / "seed-0"


def an_epoch_copied(forger: Forger) -> None:
    trace = forger.training / "trace"
    shutil.copy(trace / "epoch-0002.parquet", trace / "epoch-0001.parquet")
    forger.record(forger.training, files_sha256=None)


def a_checkpoint_of_another(forger: Forger) -> None:
    source = load_source("digits", limit=120)
    options = {"susceptibility": "off"}
    (other,) = evaluate(
        forger.variant, source, epochs=1, seeds=(5,), detectors="entropy", options=options, out=forger.home.parent / "x"
    )
    shutil.copy(other.path / CHECKPOINT, forger.training / CHECKPOINT)
    shutil.rmtree(forger.home.parent / "x")


def trace_and_scores(forger: Forger) -> None:
    """The answers of the last epoch, so that their shares no longer are those of the history."""
    path = forger.training / "trace" / "epoch-0002.parquet"
    forger.columns(path, correct=lambda values: 1 - values)


def an_epoch_too_few(forger: Forger) -> None:
    (forger.training / "trace" / "epoch-0001.parquet").unlink()


def a_trace_of_others(forger: Forger) -> None:
    path = forger.training / "trace" / "epoch-0002.parquet"
    columns, metadata = read_columns(path)
    write_columns(columns, path, metadata={**metadata, "variant_id": "0" * 64})


def another_variant_beside(forger: Forger) -> None:
    """Another truth for the same labels: every sample is right."""
    variant = forger.variant
    write_variant(replace(variant, clean=variant.labels, flip_probability=None, selected=None), forger.home / "variant")


def another_law(forger: Forger) -> None:
    provenance = replace(forger.variant.provenance, params={"rate": 0.4, "inclusive": False})
    write_variant(replace(forger.variant, provenance=provenance), forger.home / "variant")


def a_renamed_setup(forger: Forger) -> None:
    forger.training.parent.rename(forger.home / "mlp-standard-00000000")


def a_second_seed(forger: Forger) -> None:
    shutil.copytree(forger.training, forger.training.with_name("seed-1"))


def a_second_seed_with_its_record(forger: Forger) -> None:
    """The checkpoint says which seed it was."""
    other = forger.training.with_name("seed-1")
    shutil.copytree(forger.training, other)
    forger.record(other, seed=1)


def answers_of_the_pool(forger: Forger) -> None:
    path = next((forger.pool / "trace").glob("epoch-*.parquet"))
    columns, _ = read_columns(path)
    forger.columns(path, **{"held_out.probabilities": lambda values: values[::-1].copy()})
    assert len(columns) > 1


def better_suggestions(forger: Forger) -> None:
    forger.digest_again(forger.training, forger.suggest_the_truth(forger.training, "aum"))


def better_suggestions_of_the_pool(forger: Forger) -> None:
    forger.digest_again(forger.pool, forger.suggest_the_truth(forger.pool, "self_confidence"))


def suggestions_without_their_digest(forger: Forger) -> None:
    forger.suggest_the_truth(forger.training, "aum")


def suggestions_beside_given_scores(forger: Forger) -> None:
    forger.record(forger.given, files_sha256={})
    forger.digest_again(forger.given, forger.suggest_the_truth(forger.given, "mine"))


def suggestions_of_another(forger: Forger) -> None:
    path = suggestion_path(forger.training, "aum")
    shutil.copy(suggestion_path(forger.training, "entropy"), path)
    forger.digest_again(forger.training, path)


def suggestions_of_nobody(forger: Forger) -> None:
    forger.digest_again(forger.training, forger.suggest_the_truth(forger.training, "supernova"))


def models_of_other_subsets(forger: Forger) -> None:
    for path in forger.measured.glob("block-*.npz"):
        block = read_block(path, forger.variant)
        write_block(replace(block, included=block.included[::-1]), path)


def memorization_of_nobody(forger: Forger) -> None:
    path = forger.measured / "memorization.parquet"
    found = read_memorization(path)
    write_memorization(replace(found, learner=replace(found.learner, model="resnet18")), path)


def memorization_with_better_errors(forger: Forger) -> None:
    path = forger.measured / "memorization.parquet"
    found = read_memorization(path)
    write_memorization(replace(found, stderr=found.stderr / 2), path)


def given_scores(forger: Forger) -> None:
    forger.add_scores(forger.given, "mine")


FORGERIES: dict[str, Callable[[Forger], None]] = {
    "noise": field(noise="cifar_n"),
    "source": field(source="cifar10"),
    "params": field(params={"rate": 0.4}),
    "n": field(n=50000),
    "known": field(known=3),
    "classes": field(classes=100),
    "mode": field(mode="bernoulli"),
    "noise seed": field(noise_seed=9),
    "limit": field(limit=7),
    "source options": field(source_options={"a": 1}),
    "digest of the source": field(source_sha256="00"),
    "variant id": field(variant_id="0" * 64),
    "model": field(model="resnet18"),
    "recipe": field(recipe="overfit"),
    "another recipe": field(lr=0.2),
    "watch": field(curvature_every=1),
    "setup": field(setup="0" * 64),
    "digest of the training": field(trained="000000"),
    "epochs": field(epochs=30),
    "observe": field(observe="during"),
    "features": field(features="pca"),
    "seed": field(seed=3),
    "regime": field(regime="pool"),
    "fields of another regime": field(fractions=[0.7]),
    "precision": field(precision="bfloat16"),
    "test set": field(test_sha256="0" * 64),
    "threads": field(threads=64),
    "controls": field(controls=["aum", "entropy"]),
    "a control as detector": field(controls=[]),
    "no controls": field(controls=None),
    "a control of nothing": field(controls=["entropy", "nothing"]),
    "better scores": better_scores,
    "a detector that never was": a_detector_that_never_was,
    "a reference as detector": a_reference_as_detector,
    "memorization as detector": memorization_as_detector,
    "a built-in name for own code": a_built_in_name_for_own_code,
    "two names exchanged": two_names_exchanged,
    "scores of another": scores_of_another,
    "rows of agreement": rows_of_agreement,
    "values of agreement": values_of_agreement,
    "trace": trace_and_scores,
    "an epoch too few": an_epoch_too_few,
    "a trace of others": a_trace_of_others,
    "another truth": another_variant_beside,
    "another law": another_law,
    "a renamed setup": a_renamed_setup,
    "a second seed": a_second_seed,
    "a second seed with its record": a_second_seed_with_its_record,
    "fit of wrong labels": history("mislabeled_fit", lambda values: values + 0.1),
    "fit of right labels": history("clean_fit", lambda values: values - 0.1),
    "rate of learning": history("learning_rate", lambda values: values * 2),
    "accuracy": history("test_accuracy", lambda values: values * 0 + 0.99),
    "susceptibility": history("susceptibility", lambda values: values * 2),
    "epochs of the history": history("epoch", lambda values: values + 1),
    "models of the pool": of_pool(models=9),
    "very many models": of_pool(models=10**10),
    "fractions": of_pool(fractions=[0.5]),
    "very many fractions": of_pool(fractions=[0.7] * 100_000),
    "model of the pool": of_pool(model="resnet18"),
    "recipe of the pool": of_pool(weight_decay=0.1),
    "setup of the pool": of_pool(setup="0" * 64),
    "digests of the pool": of_pool(files_sha256={"history.parquet": "0" * 64}),
    "a digest outside": of_pool(files_sha256={"../../variant/variant.json": "0" * 64}),
    "balance": of_pool(balanced=False),
    "a billion epochs": a_billion_epochs,
    "an epoch copied": an_epoch_copied,
    "a checkpoint of another": a_checkpoint_of_another,
    "codes of noisybench's own": field(codes={"aum": "0" * 64}),
    "codes of nothing": field(codes={"mine": "0" * 64}),
    "codes of given scores": of_given(codes={"mine": "0" * 64}),
    "answers of the pool": answers_of_the_pool,
    "form": of_given(form="pred_probs"),
    "name of given scores": of_given(model="yours"),
    "digests of given scores": of_given(scores_sha256={}),
    "epochs of given scores": of_given(epochs=30),
    "given scores": given_scores,
    "better suggestions": better_suggestions,
    "better suggestions of the pool": better_suggestions_of_the_pool,
    "suggestions without their digest": suggestions_without_their_digest,
    "suggestions beside given scores": suggestions_beside_given_scores,
    "suggestions of another": suggestions_of_another,
    "suggestions of nobody": suggestions_of_nobody,
    "folds": of_features(folds=10),
    "neighbours": of_features(neighbours=10),
    "penalties": of_features(penalties=[1.0]),
    "no groups": of_features(groups=None),
    "more groups than samples": of_features(groups=121),
    "what groups are called": of_features(grouped_by="patient"),
    "groups that were given": of_features(groups_sha256="0" * 64),
    "word of the features": of_features(features="lite0"),
    "model of frozen features": of_features(model="mlp"),
    "epochs of frozen features": of_features(epochs=3),
    "what features were trained on": of_features(pretrained={"data": "MNIST", "supervised": True, "overlap": "no"}),
    "labels of the columns": column("given", lambda values: (values + 1) % 10),
    "predictions of the columns": column("prediction", lambda values: (values + 1) % 10),
    "shares beyond one": shares_beyond_one,
    "suspicion beyond its range": column("features.ridge_suspicion", lambda values: values + 1),
    "models of other subsets": models_of_other_subsets,
    "whose memorization": memorization_of_nobody,
    "errors of memorization": memorization_with_better_errors,
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_noticed_and_marked(
    honest: Path,
    honest_tables: list[list[dict[str, Any]]],
    tmp_path: Path,
    forgery: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """``verify`` refuses; a table refuses, leaves it out or marks it in a line, or does not differ to the last field."""
    shutil.copytree(honest / "runs", tmp_path / "runs")
    FORGERIES[forgery](Forger(tmp_path / "runs"))
    told: list[str] = []
    shown: list[list[dict[str, Any]]] = []
    with caplog.at_level(logging.WARNING, logger="noisybench"):
        try:
            for table in tables(tmp_path / "runs"):
                shown.append(table)
                told += [*["left out: as unfinished" for row in table if row["unfinished"]][:1], *caplog.messages]
                if told:  # the further tables read the same folders
                    break
        except BadData as error:
            told += [f"left out: {error}", *caplog.messages]
    assert all("left out: " in line or "neither made nor verified here" in line for line in told)
    if not told:
        assert shown == honest_tables
    with pytest.raises(BadData) as refused:
        verify(tmp_path / "runs")
    assert "\n" not in str(refused.value)


def test_the_honest_folder_is_whole_and_shown_without_a_word(
    honest: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also a copy of it, and once more without what may be missing: agreement, checkpoint and times."""
    shutil.copytree(honest / "runs", tmp_path / "runs")
    assert verify(tmp_path / "runs")[-1] == f"{tmp_path / 'runs'} is whole"
    with caplog.at_level(logging.WARNING, logger="noisybench"):
        first = leaderboard(tmp_path / "runs").to_records()
    assert not caplog.messages
    forger = Forger(tmp_path / "runs")
    for name in ("agreement.parquet", CHECKPOINT, "timing.json"):
        (forger.training / name).unlink()
    told = verify(tmp_path / "runs")
    assert "taken on trust: " in told[-2]
    assert [{**row, "seconds": 0, "passes": 0} for row in leaderboard(tmp_path / "runs").to_records()] == [
        {**row, "seconds": 0, "passes": 0} for row in first
    ]
    assert read_scores(scores_path(forger.training, "aum")).detector == "aum"
