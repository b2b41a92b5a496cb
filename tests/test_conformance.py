"""Every file of every drawer keeps the contract of its drawer. A new file is held to it without a change here.

The one thing that must be written down for it is what cannot be known: the first draws of a noise, in
``golden_draws.json``; the test that misses them says the line to add.
"""

import ast
import json
import pickle
import random
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from official_layouts import LAYOUTS
from PIL import Image
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, cross_val_predict
from stub import imported
from torch import Tensor, nn

from noisybench.data.crowd.answers import answers_from_matrix
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_digest
from noisybench.detection.scoring import COLUMNS, score
from noisybench.detection.suggesting import suggest
from noisybench.ground import lookup as catalog
from noisybench.ground.arrays import UNKNOWN, read_only
from noisybench.ground.docstrings import read_docstring
from noisybench.ground.errors import BadUsage, NoisybenchError
from noisybench.ground.lookup import Drawer, find, names, summary
from noisybench.ground.options import parse_options, plain_options
from noisybench.ground.random_streams import bits
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.statistics.alignment import class_alignment
from noisybench.statistics.annotators import dawid_skene, vote_shares
from noisybench.statistics.crowdlab import crowdlab
from noisybench.statistics.gaussian import class_distances
from noisybench.statistics.glad import glad
from noisybench.statistics.hoc import estimate_consensus, ranks_above_right
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.statistics.ridge import leave_one_out_ridge
from noisybench.statistics.shapley import knn_shapley
from noisybench.statistics.threshold_samples import margins_below_cuts
from noisybench.statistics.vicinity import vicinity
from noisybench.training.asking import Batch
from noisybench.training.gathering import remembers
from noisybench.training.objective import BY_PRODUCTS
from noisybench.training.observing import observe
from noisybench.training.probe import Gathering, Probe
from noisybench.training.recorder import Recorder
from noisybench.training.trace import Column, Trace
from noisybench.variants.building import build_variant
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Draw, noise_name
from noisybench.variants.transitions import all_entries
from noisybench.variants.variant import Variant, read_variant, write_variant

PROTOCOLS: dict[Any, tuple[str, str | None]] = {
    "sources": ("SOURCE", "type[LoadSource]"),
    "alterations": ("ALTERATION", "type[Alter]"),
    "features": ("FEATURE", "type[ExtractFeatures]"),
    "noises": ("NOISE", "type[Noise]"),
    "models": ("MODEL", "BuildModel"),
    "objectives": ("OBJECTIVE", "type[Objective]"),
    "probes": ("PROBE", "Probe"),
    "detectors": ("DETECTOR", None),  # an instance of a class, which needs no other annotation
    "metrics": ("METRIC", None),
}
FILES = [(drawer, name) for drawer in PROTOCOLS for name in names(drawer)]


def generators() -> tuple[object, ...]:
    """The states of all global random generators."""
    return random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state().numpy().tobytes()  # noqa: NPY002


# --- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("drawer", "name"), FILES)
class TestFile:
    def test_it_says_in_one_line_what_it_is(self, drawer: Drawer, name: str) -> None:
        """The first line of its docstring is a sentence, which ``list`` prints; its name is safe in paths."""
        assert re.fullmatch(r"\S.{10,110}\.", summary(drawer, name))
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)

    def test_its_last_line_names_what_it_gives(self, drawer: Drawer, name: str) -> None:
        """With the protocol as annotation, so that mypy checks the one against the other."""
        constant, protocol = PROTOCOLS[drawer]
        last = ast.parse((catalog.folder_of(drawer) / f"{name}.py").read_text(encoding="utf-8")).body[-1]
        if protocol is None:
            assert isinstance(last, ast.Assign)
            assert [ast.unparse(target) for target in last.targets] == [constant]
            assert isinstance(last.value, ast.Call)
            assert ast.unparse(last.value.func) == constant.capitalize()
        else:
            assert isinstance(last, ast.AnnAssign)
            assert (ast.unparse(last.target), ast.unparse(last.annotation)) == (constant, protocol)

    def test_all_that_can_be_said_of_it_has_a_meaning(self, drawer: Drawer, name: str) -> None:
        """Each option is in the docstring of its class, which ``list`` prints; and no other is."""
        item = find(drawer, name)
        options = [field.name for field in fields(item)] if isinstance(item, type) else []
        own = read_docstring(item.__doc__, names=tuple(options)).meanings
        above = [one for one in getattr(item, "__mro__", ())[1:] if is_dataclass(one)]  # whose options it has, too
        told = [own, *(read_docstring(one.__doc__, names=tuple(options)).meanings for one in above)]
        assert [option for option in options if not any(re.search(r"\w", one.get(option, "")) for one in told)] == []
        assert set(own) <= set(options) or not isinstance(item, type)

    def test_it_knows_no_other_item(self, drawer: Drawer, name: str) -> None:
        """It imports the spine and private files of its own drawer, no item and nothing that finds items by name."""
        tree = ast.parse((catalog.folder_of(drawer) / f"{name}.py").read_text(encoding="utf-8"))
        known = {module for module in imported(tree) if module.partition(".")[0] == "noisybench"}
        private = {module for module in known if module.startswith(f"{catalog.HOMES[drawer]}._")}
        homes = "|".join(map(re.escape, catalog.HOMES.values()))
        refused = rf"({homes}|noisybench\.(ground\.lookup|items|training\.plan|runs|board|cli))\b"
        assert not [module for module in known - private if re.match(refused, module)]


def test_detectors_and_noises_need_no_torch() -> None:
    """Scores and labels can be made where torch is not even imported."""
    code = (
        "import sys; from noisybench.ground.lookup import find, names\n"
        "for drawer in ('detectors', 'noises'):\n"
        "    for name in names(drawer):\n"
        "        find(drawer, name)\n"
        "        assert 'torch' not in sys.modules, f'{drawer}/{name}.py imports torch'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- detectors ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planted() -> tuple[Variant, Trace]:
    """Digits with 20 % symmetric noise and a small network that learns the wrong labels last, seen by every probe."""
    source = load_source("digits", limit=600)
    variant = build_variant(source, Symmetric(rate=0.2), seed=1)
    inputs = torch.tensor(source.inputs.astype(np.float32)).flatten(1) / 8 - 1
    labels = torch.tensor(variant.labels)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    recorder = Recorder(variant, names("probes"))
    order, target, trusts = np.random.default_rng(0), torch.nn.functional.one_hot(labels, 10).float(), []
    for epoch in range(1, 26):
        for chosen in np.array_split(order.permutation(600), 10):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
            optimizer.step()
        now = {"last_epoch": epoch == 25, "with_curvature": epoch % 5 == 0}  # as in a run, for what is costly
        asked = [probe for probe in recorder.probes if now.get(getattr(probe, "when", ""), True)]
        recorder.observe(model, inputs, epoch=epoch, probes=asked)
        with torch.no_grad():
            target = 0.8 * target + 0.2 * model(inputs).softmax(1)
        trusts.append(target[np.arange(600), labels].numpy())
    seen = recorder.trace()
    columns = {**pool_columns(inputs.numpy(), variant.labels), **frozen_columns(inputs.numpy(), variant.labels)}
    columns |= several_columns(inputs, variant.labels)
    columns |= answers_of_people(variant)
    columns["objective.target"] = Column(np.array([25]), target[None].numpy())
    columns["objective.indicator"] = Column(np.arange(1, 26), np.stack(trusts))
    trace = replace(seen, columns={**seen.columns, **columns})
    return variant, over_columns(trace, lambda column: replace(column, values=read_only(column.values)))


def pool_columns(inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, Column]:
    """What a pool gives, of one epoch: here by cross-validated logistic regression on 4/5 and on 1/2 of the samples."""

    def held_out(folds: int) -> NDArray[np.float64]:
        learner = LogisticRegression(C=0.02)
        splits = (KFold(folds, shuffle=True, random_state=seed) for seed in range(2))
        return np.stack([cross_val_predict(learner, inputs, labels, cv=cv, method="predict_proba") for cv in splits])

    known = {folds: held_out(folds) for folds in (5, 2)}
    votes = {folds: np.eye(10)[probabilities.argmax(2)].mean(0) for folds, probabilities in known.items()}
    values = {
        "given": labels,
        "held_out.probabilities": known[5].mean(0),
        "held_out.votes": votes[5],
        "held_out.consistency": (votes[5] + votes[2])[np.arange(len(labels)), labels] / 2,
        "neighbours.labels": neighbour_labels(inputs, labels, 10),
    }
    assert set(values) == POOL
    return {name: Column(np.array([1]), value[None].astype(np.float32)) for name, value in values.items()}


def frozen_columns(inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, Column]:
    """What frozen features give besides, here the pixels."""
    found, around = leave_one_out_ridge(inputs, labels, 10), vicinity(inputs, labels, 10)
    right = estimate_consensus(labels, around.two_nearest, 10).right
    values = {
        "features.ridge_suspicion": found.suspicion,
        "features.ridge_answers": found.answers,
        "features.ridge_chosen": found.margin_at_chosen,
        "features.ridge_leverage": found.leverage,
        "features.cooks_distance": found.cooks_distance,
        "features.gaussian_distances": class_distances(inputs, labels, 10),
        "features.simifeat_votes": around.votes,
        "features.two_nearest": around.two_nearest,
        "features.nearest_same": around.nearest_same,
        "features.nearest_other": around.nearest_other,
        "features.simifeat_ranks": ranks_above_right(around.votes, labels, right),
        "features.alignment": class_alignment(inputs, labels, 10),
        "features.shapley": knn_shapley(inputs, labels, 10),
    }
    assert set(values) == FROZEN
    return {name: Column(np.array([1]), value[None].astype(np.float32)) for name, value in values.items()}


def several_columns(inputs: Tensor, given: NDArray[np.int64]) -> dict[str, Column]:
    """What several trainings give: on one half and then on the other, and with threshold samples."""

    def answers(k: int, *phases: tuple[NDArray[np.intp], NDArray[np.int64]]) -> NDArray[np.float32]:
        """Logits of all samples after each of 25 epochs of each phase."""
        torch.manual_seed(0)
        model, order = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, k)), np.random.default_rng(0)
        seen = []
        for rows, labels in phases:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
            for _ in range(25):
                for chosen in np.array_split(order.permutation(rows), len(rows) // 50):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(inputs[chosen]), torch.tensor(labels[chosen])).backward()
                    optimizer.step()
                seen.append(model(inputs).detach().numpy())
        return np.stack(seen)

    halves = [np.arange(600)[half::2] for half in (0, 1)]
    right = np.zeros((50, 600), dtype=bool)
    for half in (0, 1):
        predicted = answers(10, (halves[half], given), (halves[1 - half], given)).argmax(2)
        right[:, halves[half]] = (predicted == given)[:, halves[half]]
    members = np.stack([np.arange(600) // 50 == t for t in (0, 1)], axis=1)
    margins = []
    for t in (0, 1):
        labels = np.where(members[:, t], 10, given)
        logits = answers(11, (np.arange(600), labels))
        own = np.take_along_axis(logits, labels[None, :, None], 2)[..., 0]
        margins.append(own - np.where(np.arange(11) == labels[:, None], -np.inf, logits).max(2))
    areas = margins_below_cuts(np.stack(margins, axis=2), members)
    epochs = np.arange(1, 26)
    found = {"second_split.first": (epochs, right[:25]), "second_split.second": (epochs + 25, right[25:])}
    found |= {"second_split.half": (epochs[-1:], (np.arange(600) % 2)[None])}
    found |= {
        "threshold.margins": (epochs, np.stack(margins, axis=2)),
        "threshold.members": (epochs[-1:], members[None]),
    }
    found |= {"threshold.aum": (epochs[-1:], areas.aum[None]), "threshold.excess": (epochs[-1:], areas.excess[None])}
    assert set(found) == SEVERAL
    return {name: Column(at, values.astype(np.float32)) for name, (at, values) in found.items()}


def answers_of_people(variant: Variant) -> dict[str, Column]:
    """What people give who are right more often than the labels are, and a classifier beside them."""
    random, n = np.random.default_rng(0), len(variant.labels)
    hit = random.random((n, 6)) < random.uniform(0.4, 0.9, 6)
    said = np.where(hit, variant.clean[:, None], random.integers(0, 10, (n, 6)))
    answers = answers_from_matrix(np.where(random.random((n, 6)) < 0.6, said, -1))
    classifier = np.eye(10)[variant.clean] * 0.5 + random.dirichlet(np.ones(10), n) * 0.5
    values = {
        "answers.vote_shares": vote_shares(answers, n, 10),
        "answers.dawid_skene": dawid_skene(answers, n, 10).posterior,
        "answers.glad": glad(answers, n, 10).posterior,
        "answers.crowdlab": crowdlab(answers, classifier, 10).posterior,
    }
    assert set(values) == PEOPLE
    return {name: Column(np.array([1]), value[None].astype(np.float32)) for name, value in values.items()}


PEOPLE = {"answers.vote_shares", "answers.dawid_skene", "answers.glad", "answers.crowdlab"}
"""Columns that answers of several people leave."""
POOL = {"given", "held_out.probabilities", "held_out.votes", "held_out.consistency", "neighbours.labels"}
FROZEN = {name for name in COLUMNS["features"] if name.startswith("features.")}
SEVERAL = {name for name in (*COLUMNS["second_split"], *COLUMNS["threshold"]) if "." in name}
"""Columns that no probe observes."""


def over_columns(trace: Trace, change: Callable[[Column], Column]) -> Trace:
    return replace(trace, columns={name: change(column) for name, column in trace.columns.items()})


def test_no_alias_is_another_name() -> None:
    """What a detector is also known as is no detector's name and no other alias, however it is spelt."""
    told = [*names("detectors"), *(alias for name in names("detectors") for alias in find("detectors", name).aliases)]
    plain = [catalog.letters_of(name) for name in told]
    assert sorted({name for name in plain if plain.count(name) > 1 or not name}) == []


class Watched(dict[str, Column]):
    """Columns that remember which of them were read."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        super().__init__(columns)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Column:
        self.read.add(name)
        return super().__getitem__(name)


def test_the_planted_errors_are_learnt_last(planted: tuple[Variant, Trace]) -> None:
    """The fixture is what it says: right labels are fitted before wrong ones, most of which are fitted in the end."""
    variant, trace = planted
    wrong = variant.mislabeled
    fitted = np.stack([trace["correct"][:, ~wrong].mean(1), trace["correct"][:, wrong].mean(1)])
    assert fitted[0, 2] > 0.8
    assert fitted[1, 2] < 0.2
    assert fitted[1, -1] > 0.5


@pytest.mark.parametrize("name", names("detectors"))
class TestDetector:
    def test_it_is_named_cited_and_fed(self, name: str, planted: tuple[Variant, Trace]) -> None:
        """Its name is its file's, its source names authors, year and place, and its needs are the columns it reads."""
        detector = find("detectors", name)
        assert detector.name == name
        assert re.search(r"\w+ .*\b(19|20)\d\d, .+", detector.source)
        assert detector.needs
        trained = "training" in detector.fed_by
        observed = {*names("probes"), *BY_PRODUCTS}
        assert {*detector.needs} <= (observed if trained else POOL | FROZEN | SEVERAL | PEOPLE)
        assert detector.fed_by
        columns = Watched(planted[1].columns)
        detector.score(replace(planted[1], columns=columns))
        assert columns.read == set(detector.needs)

    def test_it_says_what_it_is_made_with(self, name: str) -> None:
        """Of one of noisybench's own it is known; a training saw the sample, other models did not."""
        detector = find("detectors", name)
        assert detector.information
        assert "unknown" not in detector.information
        expected = {"pool": "held_out", "features": "held_out", "answers": "annotators"}
        assert expected.get(detector.fed_by[0], "in_sample") in detector.information

    def test_it_suggests_another_label(self, name: str, planted: tuple[Variant, Trace]) -> None:
        """Where it has a way of its own: a class that is not the given one, and that is right more often than chance."""
        detector, (variant, trace) = find("detectors", name), planted
        if detector.suggest is None:
            return
        found = detector.suggest(trace)
        assert found.dtype == np.int64
        assert (found != variant.labels).all()
        assert ((found >= UNKNOWN) & (found < 10)).all()
        assert (found == variant.clean)[variant.mislabeled].mean() > 0.5

    def test_scores_are_plain_numbers(self, name: str, planted: tuple[Variant, Trace]) -> None:
        """Shape (n,), float64, finite, bit-equal when asked twice, from the needed columns alone."""
        detector, trace = find("detectors", name), planted[1]
        values = score(trace, detector).values
        assert values.shape == (600,)
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
        alone = replace(trace, columns={need: trace.columns[need] for need in detector.needs})
        assert np.array_equal(score(alone, detector).values, values)

    def test_scoring_changes_nothing(self, name: str, planted: tuple[Variant, Trace]) -> None:
        """The trace and every global generator are as before, and no score is a view of the trace."""
        trace = over_columns(planted[1], lambda column: Column(column.epochs.copy(), column.values.copy()))
        states = generators()
        values = find("detectors", name).score(trace)
        assert generators() == states
        for need, column in trace.columns.items():
            assert np.array_equal(column.values, planted[1][need])
            assert np.array_equal(column.epochs, planted[1].columns[need].epochs)
            assert not np.shares_memory(values, column.values)

    def test_scores_follow_their_samples(self, name: str, planted: tuple[Variant, Trace]) -> None:
        """Permuted samples get permuted scores, early in training as at its end."""
        detector = find("detectors", name)
        for seed, epochs in enumerate((1, 2, 3, 5, 10, 25)):
            trace = over_columns(planted[1], lambda column, e=epochs: Column(column.epochs[:e], column.values[:e]))  # type: ignore[misc]
            order = np.random.default_rng(seed).permutation(600)
            permuted = over_columns(trace, lambda column, o=order: replace(column, values=column.values[:, o]))  # type: ignore[misc]
            expected = score(trace, detector).values[order]
            np.testing.assert_allclose(score(permuted, detector).values, expected, rtol=1e-9, atol=1e-12)

    def test_a_suggestion_is_another_class(self, name: str, planted: tuple[Variant, Trace]) -> None:
        """Its own, or what the trace suggests: never the given label, the same for permuted samples, changing nothing."""
        detector, (variant, trace) = find("detectors", name), planted
        if detector.suggest is None and not {"held_out.probabilities", "prediction"} & {*trace.columns}:
            return
        labels = suggest(trace, detector, variant.labels).labels
        assert ((labels >= UNKNOWN) & (labels < variant.num_classes) & (labels != variant.labels)).all()
        order = np.random.default_rng(0).permutation(600)
        permuted = over_columns(trace, lambda column: replace(column, values=column.values[:, order]))
        assert np.array_equal(suggest(permuted, detector, variant.labels[order]).labels, labels[order])

    def test_scores_find_planted_errors(self, name: str, planted: tuple[Variant, Trace]) -> None:
        """AUROC above 0.6 where wrong labels are learnt later; a control may do as it likes."""
        detector, (variant, trace) = find("detectors", name), planted
        auroc = roc_auc_score(variant.mislabeled, score(trace, detector).values)
        assert detector.control or auroc > 0.6

    @pytest.mark.parametrize("samples", [1, 2, 600])
    @pytest.mark.parametrize("change", ["all epochs", "one epoch", "constant", "never right"])
    def test_poor_traces_are_scored_too(
        self, name: str, change: str, samples: int, planted: tuple[Variant, Trace]
    ) -> None:
        """One epoch, one or two samples, equal samples or no correct prediction at all still give finite scores."""

        def filled(column: Column, value: float) -> Column:
            """One value for all; shares of the classes are equal instead, and still sum to 1."""
            share = 1 / column.values.shape[2] if column.values.ndim > 2 else value
            return replace(column, values=np.full_like(column.values, share))

        poor: dict[str, Callable[[Column], Column]] = {
            "all epochs": lambda column: column,
            "one epoch": lambda column: Column(column.epochs[-1:], column.values[-1:]),
            "constant": lambda column: filled(column, 1),
            "never right": lambda column: filled(column, 0),
        }
        trace = over_columns(planted[1], poor[change])
        few = over_columns(trace, lambda column: replace(column, values=column.values[:, :samples]))
        values = score(few, find("detectors", name)).values
        assert values.shape == (samples,)
        if change in ("constant", "never right"):
            assert np.ptp(values) == 0


# --- probes ------------------------------------------------------------------------------------------------------------


def fickle_model() -> nn.Module:
    """A model whose output in training mode depends on the batch and on chance."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 32), nn.BatchNorm1d(32), nn.Softplus(), nn.Dropout(0.5), nn.Linear(32, 5))


def samples(n: int, *, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 12, generator=generator), torch.randint(5, (n,), generator=generator)


def newest(model: nn.Module, inputs: Tensor, labels: Tensor, probe: Probe, *, seed: int = 0) -> NDArray[np.float32]:
    """What a probe says of an epoch; of one that remembers, of the second of two in which the model says otherwise."""
    memory: dict[str, Tensor | None] = {}
    if remembers(probe):
        observe(model, inputs / 2, labels, [probe], epoch=1, seed=seed, memory=memory)
    return observe(model, inputs, labels, [probe], epoch=2, seed=seed, memory=memory).values[probe.name]


@pytest.mark.parametrize("name", names("probes"))
class TestProbe:
    def test_it_is_named_and_priced(self, name: str) -> None:
        """Its name is its file's, and beyond the shared logits it costs as many passes as it says."""
        probe, (inputs, labels) = find("probes", name), samples(20)
        assert probe.name == name
        model = fickle_model().eval()
        seen: list[int] = []
        model.register_forward_hook(lambda _model, given, _logits: seen.append(len(given[0])))
        batch = Batch(model, inputs, labels)
        probe(batch)
        shared = float("logits" in vars(batch))
        forward = sum(seen) / 20
        if getattr(probe, "may_refuse", False):  # it goes backward through its one pass again and again
            assert forward == 1 + shared < probe.passes
        else:
            assert forward == probe.passes + shared
        assert probe.gradient or probe.passes == 0

    def test_no_value_depends_on_the_batch(self, name: str) -> None:
        """One value or vector a sample, finite, alike in batches of 1, 7 and 64 and alike when asked twice."""
        model, (inputs, labels) = fickle_model(), samples(64)
        probe = find("probes", name)
        seen = [
            observe(model, inputs, labels, [probe], epoch=1, batch_size=size).values[name] for size in (64, 64, 7, 1)
        ]
        assert seen[0].shape[0] == 64
        assert seen[0].ndim in (1, 2)
        assert np.array_equal(seen[0], seen[1])
        for values in seen[2:]:
            alike(name, values, seen[0])

    def test_no_value_depends_on_other_samples(self, name: str) -> None:
        """With other neighbours a sample keeps its value, unless all are gathered; elsewhere too, unless the probe draws."""
        model, (inputs, labels) = fickle_model(), samples(40)
        probe = find("probes", name)
        values = newest(model, inputs, labels, probe)
        others, other_labels = samples(40, seed=2)
        others[5:9], other_labels[5:9] = inputs[5:9], labels[5:9]
        among_others = newest(model, others, other_labels, probe)
        alone = remembers(probe) or not isinstance(probe, Gathering)
        if alone and name != "variance_of_gradients":  # which is scored within the class
            alike(name, among_others[5:9], values[5:9])
        assert not np.array_equal(among_others, values)
        other = replace(probe, seed=1) if "seed" in getattr(probe, "__dataclass_fields__", ()) else probe
        draws = not np.array_equal(newest(model, inputs, labels, other, seed=1), values)
        if not draws:
            order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
            alike(name, newest(model, inputs[order], labels[order], probe), values[order.numpy()])

    def test_asking_changes_nothing(self, name: str) -> None:
        """Weights, statistics, modes, gradients, inputs and every global generator are as before."""
        model, (inputs, labels) = fickle_model(), samples(20)
        model[3].eval()  # type: ignore[index]  # a mode of its own
        given = [inputs.clone(), labels.clone(), *(value.clone() for value in model.state_dict().values())]
        modes = [module.training for module in model.modules()]
        needs = [parameter.requires_grad for parameter in model.parameters()]
        states = generators()
        observe(model, inputs, labels, [find("probes", name)], epoch=1)
        after = [inputs, labels, *model.state_dict().values()]
        assert all(torch.equal(old, new) for old, new in zip(given, after, strict=True))
        assert [module.training for module in model.modules()] == modes
        assert all(parameter.grad is None for parameter in model.parameters())
        assert [parameter.requires_grad for parameter in model.parameters()] == needs
        assert not inputs.requires_grad
        assert inputs.grad is None
        assert generators() == states
        assert torch.is_grad_enabled()
        batch = Batch(model.eval(), inputs, labels)
        find("probes", name)(batch)
        assert not batch.inputs.requires_grad  # another probe may be asked next

    def test_it_works_on_recorded_logits_or_says_it_does_not(self, name: str) -> None:
        """A probe of logits alone gives the same from the model as from recorded logits; one of features refuses these."""
        model, (inputs, labels) = fickle_model().eval(), samples(20)
        probe, batch = find("probes", name), Batch(model, inputs, labels)
        recorded = Batch(nn.Identity(), batch.logits, labels)
        if not probe.gradient:
            assert torch.equal(probe(recorded), probe(batch))
        elif not probe.passes:
            with pytest.raises(BadUsage, match="not what an nn.Linear of it gives"):
                probe(recorded)

    @pytest.mark.parametrize("scale", [0.0, 1e2, 1e6])
    def test_a_model_without_or_full_of_confidence_has_a_value_too(self, name: str, scale: float) -> None:
        """Equal logits, and logits that lead by a hundred or a million nats, give no infinite value."""
        inputs, labels = samples(20)
        model = fickle_model()
        model[4].weight.data.mul_(scale)  # type: ignore[index]
        observed = observe(model, inputs, labels, [find("probes", name)], epoch=1)  # it refuses what is not finite
        assert observed.values[name].dtype == np.float32


def alike(name: str, actual: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Equal up to float32; differences of gradients a thousandth apart keep three of its seven digits."""
    relative = 1e-2 if find("probes", name).gradient else 1e-5
    np.testing.assert_allclose(actual, expected, rtol=relative, atol=relative * float(np.abs(expected).max()))


# --- noises ------------------------------------------------------------------------------------------------------------

MODES: tuple[Mode, ...] = ("exact", "exact_per_class", "bernoulli")


def modes_of(noise: Any) -> tuple[Mode, ...]:  # noqa: ANN401 - a noise or its class
    """The modes that a noise has: those that it names, else all."""
    modes: tuple[Mode, ...] = getattr(noise, "modes", MODES)
    return modes


def first_mode(noise: Any) -> Mode:  # noqa: ANN401 - a noise
    return modes_of(noise)[0]


GOLDEN_FILE = Path(__file__).parent / "golden_draws.json"
# Noise and options → first digits of the SHA-256 of its labels in each mode. A change of one is a change of every
# variant ever drawn with it: it needs a new version and a line in the changelog.
GOLDEN: dict[str, list[str]] = json.loads(GOLDEN_FILE.read_text(encoding="utf-8"))
CASES = sorted({*GOLDEN, *names("noises")})
SEED = 3
TOGETHER = ("cluster_based",)
"""Noises with a mode ``bernoulli`` in which labels depend on each other: their counts vary more than binomial ones."""


@cache
def first_of_cifar10(data: Path) -> Source:
    return load_source("cifar10", data / "cifar10", limit=2000)


@pytest.fixture(scope="module", params=CASES)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, digits: Source
) -> tuple[Any, Source]:
    """A noise with a sample of each option that has no default, and a source it can be applied to."""
    name, *given = request.param.split()
    tmp_path = tmp_path_factory.mktemp("case")
    kind = find("noises", name)
    source = digits
    matrix = 0.75 * np.eye(10) + 0.2 * np.roll(np.eye(10), 1, axis=1) + 0.005
    np.save(tmp_path / "matrix.npy", matrix)
    np.save(tmp_path / "published.npy", np.where(np.arange(len(digits.labels)) % 5, digits.labels, 9 - digits.labels))
    np.save(tmp_path / "clean_labels.npy", digits.labels)
    write_answers(tmp_path, digits)
    sample = {
        "rate": "0.2",
        "matrix": str(tmp_path / "matrix.npy"),
        "file": str(tmp_path / "published.npy"),
        "of": str(tmp_path / "matrix.npy"),
        "annotators": str(tmp_path / "annotators.npy"),
        "judgements": str(tmp_path / "judgements.npy"),
        "steps": "instance(rate=0.2); symmetric(rate=0.1)",
    }
    options = dict(option.split("=") for option in given)
    if any(field.name == "probabilities" for field in fields(kind)):
        # Without a file it trains a model, whose last bits depend on the machine.
        np.save(tmp_path / "probabilities.npy", soft_answers(source))
        options["probabilities"] = str(tmp_path / "probabilities.npy")
    if any(field.name == "embedding" for field in fields(kind)):
        # t-SNE takes long, and its bits depend on the machine; without a rate there is nothing to be met.
        options = {"embedding": "pca", "rate": "0.2", **options}
    if name == "exchanged":  # whose rate has a default, None, for who keeps the counts of another set
        options = {"rate": "0.2", **options}
    if name in ("cifar_n", "cifar_n_counterpart"):
        data: Path = request.getfixturevalue("data")
        options |= {"labels": "worse", "file": str(data / "cifar_n" / "CIFAR-10_human.pt")}
        source = first_of_cifar10(data)
    for field in fields(kind):
        default = field.default is not MISSING or field.default_factory is not MISSING  # type: ignore[misc, unused-ignore]
        if not default and field.name not in options:
            assert field.name in sample, f"noise '{name}': option '{field.name}' needs a default or a sample here"
            options[field.name] = sample[field.name]
    return parse_options(kind, options, what=name), source


def write_answers(folder: Path, source: Source) -> None:
    """Ten judgements of each sample, of which the clean class has six to ten, and four annotators, one in four wrong."""
    n, k = len(source.clean), source.num_classes
    chance = np.random.default_rng(0)
    wrong = (source.clean + chance.integers(1, k, (4, n))) % k
    judgements = np.eye(k, dtype=np.int64)[source.clean] * 6
    np.save(folder / "annotators.npy", np.where(chance.random((4, n)) < 0.25, wrong, source.clean))
    for answers in wrong:
        judgements[np.arange(n), np.where(chance.random(n) < 0.6, answers, source.clean)] += 1
    np.save(folder / "judgements.npy", judgements)


def soft_answers(source: Source) -> NDArray[np.float64]:
    """Class probabilities of a model that is often in doubt and sometimes wrong, shape (n, k), the same everywhere."""
    n, k = len(source.clean), source.num_classes
    weights = (bits(0, "soft", n * k) % np.uint64(97) + np.uint64(1)).astype(np.float64).reshape(n, k) ** 2
    weights[np.arange(n), source.clean] += bits(0, "own", n) % np.uint64(50_000)
    return weights / weights.sum(1, keepdims=True)


def fitted(noise: Any, source: Source) -> Any:  # noqa: ANN401 - a noise
    """The noise with its file of class probabilities, if it has one, cut to the samples of the source."""
    path = getattr(noise, "probabilities", None)
    if path is None or len(np.load(path)) == len(source.clean):
        return noise
    cut = path.with_name(f"first-{len(source.clean)}.npy")
    if not cut.exists():
        np.save(cut, np.load(path)[: len(source.clean)])
    return replace(noise, probabilities=cut)


def is_certain(draw: Draw) -> bool:
    """Whether the law of a draw leaves nothing to chance."""
    return draw.flip_probability is not None and bool(np.isin(draw.flip_probability, (0, 1)).all())


def draws(case: tuple[Any, Source], *, seed: int = SEED, mode: Mode | None = None, first: int | None = None) -> Draw:
    noise, source = case
    mode = mode or first_mode(noise)
    if mode not in modes_of(noise):
        pytest.skip(f"it has no mode {mode}")
    source = source if first is None else beginning(source, first)
    draw: Draw = fitted(noise, source)(source, seed=seed, mode=mode)
    return draw


def beginning(source: Source, n: int) -> Source:
    return replace(source, inputs=source.inputs[:n], labels=source.labels[:n], clean=source.clean[:n])


def partly_unknown(source: Source) -> Source:
    """Of each 101st sample nobody knows whether its label is right."""
    return replace(source, clean=np.where(np.arange(len(source.clean)) % 101 == 50, UNKNOWN, source.clean))


def wrong(draw: Draw, source: Source) -> NDArray[np.bool_]:
    return (draw.labels != source.clean) & (source.clean >= 0)


class TestNoise:
    def test_its_parameters_are_on_record(self, case: tuple[Any, Source], tmp_path: Path) -> None:
        """A frozen dataclass with a citation; name and options come back from the disk, and text makes it again."""
        noise, source = case
        kind = type(noise)
        assert is_dataclass(kind)
        assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
        assert isinstance(noise.found, bool)
        assert re.search(r"Source: \S+", kind.__doc__ or "")
        variant = build_variant(source, noise, seed=SEED, mode=first_mode(noise))
        name = variant.provenance.noise
        assert find("noises", name) is kind
        assert json.loads(json.dumps(plain_options(noise))) == dict(variant.provenance.params)
        write_variant(variant, tmp_path / "variant")
        again = read_variant(tmp_path / "variant")
        assert again.provenance == variant.provenance
        assert again.name == variant.name == f"{source.name}-{name}-{variant.provenance.variant_id[:8]}"
        texts = {f.name: str(getattr(noise, f.name)) for f in fields(kind)}
        assert parse_options(kind, texts, what=name) == noise

    @pytest.mark.parametrize("mode", MODES)
    def test_the_seed_decides_everything(self, case: tuple[Any, Source], mode: Mode) -> None:
        """The same seed gives the same labels; another one gives others, unless people made the errors."""
        noise, _ = case
        first = draws(case, mode=mode)
        states = generators()
        assert np.array_equal(first.labels, draws(case, mode=mode).labels)
        assert generators() == states
        same = np.array_equal(first.labels, draws(case, seed=4, mode=mode).labels)
        assert same == (noise.found or is_certain(first))

    def test_it_says_that_its_draws_depend_on_inputs(self, case: tuple[Any, Source]) -> None:
        """Inputs of other samples change the labels, or their law, of no noise but those that say ``rounded``."""
        noise, source = case
        turned = replace(source, inputs=np.asarray(source.inputs)[::-1])
        first, other = draws(case), draws((noise, turned))
        laws = [np.asarray(draw.flip_probability) for draw in (first, other)]  # of None: an array of no dimension
        same = np.array_equal(first.labels, other.labels) and np.array_equal(laws[0], laws[1])
        assert same or getattr(noise, "rounded", False), "say rounded: ClassVar[bool] = True"

    def test_the_first_draws_are_frozen(self, case: tuple[Any, Source], request: pytest.FixtureRequest) -> None:
        """The labels of a seed are those that were written down when the noise was added, in every mode."""
        noise, source = case
        key = request.node.callspec.params["case"]
        drawn = [
            build_variant(partly_unknown(source), noise, seed=SEED, mode=mode).provenance.labels_sha256[:12]
            for mode in modes_of(noise)
        ]
        line = f'  "{key}": {json.dumps(drawn)}'
        assert key in GOLDEN, (
            f"no draws of noise '{key}' are frozen yet: add to tests/{GOLDEN_FILE.name} the line\n{line}"
        )
        assert drawn == GOLDEN[key], f"noise '{key}' draws other labels than it did: {line.strip()}"

    @pytest.mark.parametrize("mode", MODES)
    def test_the_source_is_left_alone(self, case: tuple[Any, Source], mode: Mode) -> None:
        """Drawing writes to no array of the source, and shares none that can be written to."""
        source = case[1]
        inputs, labels, clean = source.inputs.copy(), source.labels.copy(), source.clean.copy()
        draw = draws((case[0], replace(source, inputs=inputs)), mode=mode)
        assert np.array_equal(inputs, source.inputs)
        assert np.array_equal(labels, source.labels)
        assert np.array_equal(clean, source.clean)
        assert not draw.labels.flags.writeable or not np.shares_memory(draw.labels, source.labels)

    @pytest.mark.parametrize("mode", MODES)
    def test_the_draw_has_the_promised_shapes(self, case: tuple[Any, Source], mode: Mode) -> None:
        """Labels are classes, chances are chances, rows of the transition sum to one, and a variant can be built."""
        noise, source = case
        draw = draws(case, mode=mode)
        n, k = len(source.labels), source.num_classes
        assert draw.labels.dtype == np.int64
        assert draw.labels.shape == (n,)
        assert draw.labels.min() >= 0
        assert draw.labels.max() < k
        assert noise.found == (draw.flip_probability is None)
        if draw.flip_probability is not None:
            assert draw.flip_probability.dtype == np.float64
            assert draw.flip_probability.shape == (n,)
            assert np.all((draw.flip_probability >= 0) & (draw.flip_probability <= 1))
        if draw.transition is not None:
            assert draw.transition.shape == (k, k)
            assert (all_entries(draw.transition) >= 0).all()
            np.testing.assert_allclose(all_entries(draw.transition).sum(1), 1, atol=1e-9)
            assert draw.flip_probability is not None
            np.testing.assert_allclose(draw.flip_probability, 1 - draw.transition.diagonal()[source.clean], atol=1e-12)
        if draw.selected is not None:
            assert draw.selected.dtype == np.bool_
            assert draw.selected.shape == (n,)
            assert not np.any(wrong(draw, source) & ~draw.selected)
        variant = build_variant(source, noise, seed=SEED, mode=mode)
        assert np.array_equal(variant.labels, draws(case, seed=0).labels if noise.found else draw.labels)

    @pytest.mark.parametrize("mode", MODES)
    def test_a_mode_that_it_lacks_is_refused(self, case: tuple[Any, Source], mode: Mode) -> None:
        """In one sentence that names those it has."""
        noise, source = case
        if mode in modes_of(noise):
            pytest.skip("it has that mode")
        has = " or ".join(modes_of(noise))
        with pytest.raises(
            BadUsage, match=rf"is drawn in mode {has} only, got '{mode}': say --mode {first_mode(noise)}$"
        ):
            build_variant(source, noise, mode=mode)

    @pytest.mark.parametrize("mode", ["exact", "exact_per_class"])
    def test_exact_modes_meet_the_count(self, case: tuple[Any, Source], mode: Mode) -> None:
        """As many labels are wrong as the law expects, to the nearest integer; per class and cell, to one next to it."""
        noise, source = case
        draw = draws(case, mode=mode)
        if draw.flip_probability is None:
            pytest.skip("no law: the errors are as found")
        counted, chance = wrong(draw, source), draw.flip_probability
        assert counted.any()
        if draw.rate_definition == "inclusive":
            assert draw.selected is not None
            counted, chance = draw.selected, np.full(len(chance), noise.rate)
        assert abs(counted.sum() - chance.sum()) <= 0.5 + 1e-6
        if mode == "exact_per_class" or draw.rate_definition in ("per_source_class", "none"):  # rates of a class
            for origin in range(source.num_classes):
                members = source.clean == origin
                assert abs(counted[members].sum() - chance[members].sum()) < 1
                if draw.transition is not None and mode == "exact_per_class":
                    cells = np.bincount(draw.labels[members], minlength=source.num_classes)
                    apart = np.abs(cells - members.sum() * all_entries(draw.transition)[origin])
                    assert np.delete(apart, origin).max() < 1 + 1e-9

    def test_bernoulli_comes_within_four_deviations(self, case: tuple[Any, Source]) -> None:
        """The count of wrong labels is binomial: within four standard deviations, and not the same for every seed."""
        noise, source = case
        if noise_name(noise) in TOGETHER:
            pytest.skip("its labels are wrong together; tests of its own hold the count to its law")
        draw = draws(case, mode="bernoulli")
        if draw.flip_probability is None:
            pytest.skip("no law: the errors are as found")
        p = draw.flip_probability
        assert abs(wrong(draw, source).sum() - p.sum()) < 4 * np.sqrt((p * (1 - p)).sum())
        counts = {int(wrong(draws(case, seed=seed, mode="bernoulli"), source).sum()) for seed in range(8)}
        assert len(counts) > 1

    def test_bernoulli_is_prefix_invariant(self, case: tuple[Any, Source]) -> None:
        """The labels of the first samples are those that the first samples alone would get."""
        whole = draws(case, mode="bernoulli").labels
        over_all = ("bounded_instance", "neighbourhood", *TOGETHER)
        if hasattr(case[0], "probabilities") or noise_name(case[0]) in over_all:
            pytest.skip("its chances meet the rate over all samples; tests of its own hold it to the rest")
        for first in (1, 700):
            assert np.array_equal(draws(case, mode="bernoulli", first=first).labels, whole[:first])

    @pytest.mark.parametrize("mode", MODES)
    def test_labels_follow_their_law(self, case: tuple[Any, Source], mode: Mode) -> None:
        """Chi-square (scipy) over 60 seeds of each sample's errors and of each class's labels, alpha 1e-6.

        Of samples too even would be as wrong as too uneven: each is drawn anew with every seed.
        """
        noise, source = case[0], beginning(case[1], 300)
        if noise.found:
            pytest.skip("no law: the errors are as found")
        if noise_name(noise) in TOGETHER and mode == "exact":
            pytest.skip("its chances are those of mode bernoulli; a test of its own says how far they are")
        k, seeds = source.num_classes, 60
        surplus, variance, counts = np.zeros(300), np.zeros(300), np.zeros((k, k))
        for seed in range(seeds):
            draw = draws((noise, source), seed=seed, mode=mode)
            p = draw.flip_probability
            assert p is not None
            surplus += wrong(draw, source) - p
            variance += p * (1 - p)
            counts += np.bincount(source.clean * k + draw.labels, minlength=k * k).reshape(k, k)
        uncertain = variance > 1e-9
        np.testing.assert_allclose(surplus[~uncertain], 0, atol=1e-9)
        if uncertain.any():
            z2 = (surplus[uncertain] ** 2 / variance[uncertain]).sum()
            assert 1e-6 < stats.chi2.sf(z2, uncertain.sum()) < 1 - 1e-6
        if draw.transition is not None:
            expected = counts.sum(1, keepdims=True) * draw.transition
            possible = expected > 0
            assert counts[~possible].sum() == 0
            excess = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
            assert stats.chi2.sf(excess, possible.sum() - k) > 1e-6

    @pytest.mark.parametrize("mode", MODES)
    def test_the_rate_is_of_what_it_says(self, case: tuple[Any, Source], mode: Mode) -> None:
        """Mean chance of a wrong label: the rate over all labels, over each mapped class, or less the own class's share."""
        noise, source = case
        draw = draws(case, mode=mode)
        if getattr(noise, "rate", None) is None:
            assert draw.rate_definition == "none"
            return
        p = draw.flip_probability
        assert p is not None
        if draw.rate_definition == "effective":
            by_chance = 4 * p.std() / np.sqrt(len(p)) if mode == "bernoulli" else 0
            by_chance += 0.5 / len(p) if is_certain(draw) else 0  # the count next to the rate
            assert abs(p.mean() - noise.rate) <= by_chance + 1e-9
        elif draw.rate_definition == "inclusive":
            np.testing.assert_allclose(p, noise.rate * (1 - 1 / source.num_classes))
        else:
            assert draw.rate_definition == "per_source_class"
            rates = [p[source.clean == origin].mean() for origin in range(source.num_classes)]
            assert all(min(rate, abs(rate - noise.rate)) < 1e-9 for rate in rates)
            assert max(rates) > 0

    @pytest.mark.parametrize("rate", [float("nan"), float("inf"), -0.1, 1.5])
    def test_an_impossible_rate_is_refused(self, case: tuple[Any, Source], rate: float) -> None:
        """In one sentence with the rate in it, when the noise is made or at the latest when it draws."""
        noise, source = case
        if not hasattr(noise, "rate"):
            pytest.skip("no rate")
        with pytest.raises(BadUsage, match=rf"^rate .*, got {rate:g}$"):
            build_variant(source, replace(noise, rate=rate), mode=first_mode(noise))

    @pytest.mark.parametrize("mode", MODES)
    def test_a_rate_of_zero_keeps_every_label(self, case: tuple[Any, Source], mode: Mode) -> None:
        """And no label has a chance to be wrong."""
        noise, source = case
        if not hasattr(noise, "rate"):
            pytest.skip("no rate")
        draw = draws((replace(noise, rate=0.0), source), mode=mode)
        assert np.array_equal(draw.labels, source.clean)
        assert draw.flip_probability is not None
        assert not draw.flip_probability.any()

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("kind", ["images", "features"])
    def test_unknown_clean_labels_stay_as_they_are(self, case: tuple[Any, Source], mode: Mode, kind: str) -> None:
        """The given label is kept, nobody unknown is selected, the chance of an error is unknown; a variant is built."""
        noise, source = case[0], partly_unknown(case[1])
        if kind == "features":
            flat = source.inputs.reshape(len(source.inputs), -1).astype(np.float32)
            source = replace(source, inputs=flat, test_inputs=None, test_labels=None)
        drawn = draws(case, mode=mode)
        variant = build_variant(source, noise, seed=SEED, mode=mode)
        unknown = source.clean == UNKNOWN
        assert np.array_equal(variant.known, ~unknown)
        assert variant.mislabeled.any() == wrong(drawn, case[1]).any()
        assert not variant.mislabeled[unknown].any()
        if not noise.found:
            assert np.array_equal(variant.labels[unknown], source.labels[unknown])
            assert variant.flip_probability is not None
            np.testing.assert_array_equal(np.isnan(variant.flip_probability), unknown)
        if variant.selected is not None:
            assert not variant.selected[unknown].any()

    def test_labels_as_they_came_stand_in_for_clean_ones(self, case: tuple[Any, Source]) -> None:
        """Where a source knows no clean label, errors are injected into its labels, and the provenance says so."""
        noise, source = case
        bare = replace(source, clean=np.full_like(source.clean, UNKNOWN))
        variant = build_variant(bare, noise, seed=SEED, mode=first_mode(noise))
        assert variant.provenance.reference == ("clean" if noise.found else "labels")
        assert variant.known.any() == (not noise.found)
        assert np.array_equal(variant.labels, build_variant(source, noise, seed=SEED, mode=first_mode(noise)).labels)

    def test_it_draws_the_same_from_labels_alone_or_says_that_it_cannot(self, case: tuple[Any, Source]) -> None:
        """A noise that looks at labels, or at a file, needs no inputs; another refuses in a sentence."""
        noise, source = case
        bare = replace(source, inputs=None, test_inputs=None, test_labels=None)
        try:
            alone = draws((noise, bare))
        except BadUsage as error:
            assert f"needs inputs, and source '{source.name}' has labels alone; " in str(error)  # noqa: PT017
        else:
            assert np.array_equal(alone.labels, draws(case).labels)


# --- sources -----------------------------------------------------------------------------------------------------------

# What lies in the folder of test data under a source's name, and is not all that the source needs.
PARTIAL = {"cifar100": "its images", "fashion_mnist": "most of its images"}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network and an empty cache: a download fails at once."""

    def refuse(*_: object, **__: object) -> NoReturn:
        msg = "the network is not to be used"
        raise OSError(msg)

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path / "cache"))


def arrays_in(folder: Path) -> Path:
    inputs, labels = np.random.default_rng(0).random((60, 5)), np.arange(60) % 3
    np.savez(folder / "source.npz", inputs=inputs, labels=labels, test_inputs=inputs, test_labels=labels)
    return folder / "source.npz"


def rows_in(folder: Path) -> Path:
    rows = [f"{i / 7:.3f},{i % 5},{'abc'[i % 3]}" for i in range(60)]
    (folder / "source.csv").write_text("\n".join(["width,height,label", *rows]), encoding="utf-8")
    return folder / "source.csv"


def images_in(folder: Path) -> Path:
    for i in range(60):
        file = folder / ("train" if i < 55 else "test") / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (i, 2 * i, 3 * i)).save(file)
    return folder


# Sources of one's own files.
OWN = {"npz": arrays_in, "huggingface": rows_in, "table": rows_in, "folder": images_in}


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, offline: None) -> Path | None:
    """Where the files of the source ``name`` are; None where it is embedded."""
    name: str = request.getfixturevalue("name")
    if name == "altered":
        return None
    if name in OWN:
        return OWN[name](tmp_path)
    if name in LAYOUTS:
        LAYOUTS[name][0](tmp_path)
        return tmp_path
    try:
        load_source(name, limit=1)
    except NoisybenchError:
        if name in PARTIAL:
            pytest.skip(f"the test data lack {PARTIAL[name]}")
        folder: Path = request.getfixturevalue("data") / {"testset": "mnist"}.get(name, name)
        if not folder.is_dir():
            pytest.skip(f"the test data have no folder '{name}'")
        return folder
    return None


def source_options(name: str) -> dict[str, str]:
    needed = {
        "huggingface": {"input": "width,height", "label": "label"},
        "altered": {"base": "digits", "steps": "corruption(rate=0.2); long_tail(factor=3)"},
        "testset": {"base": "mnist"},
    }
    return needed.get(name, {}) or dict(LAYOUTS[name][1] if name in LAYOUTS else {})


@cache
def read_once(name: str, place: Path | None) -> Source:
    """The first 50 samples, read anew only from files that each test writes for itself."""
    return load_source(name, place, limit=50, **source_options(name))


@pytest.mark.parametrize("name", names("sources"))
class TestSource:
    def test_it_is_whole_and_read_alike_twice(self, name: str, place: Path | None) -> None:
        """Two reads have one digest, which is that of inputs and labels; its name is its file's, its order is known."""
        source, again = read_once(name, place), load_source(name, place, limit=50, **source_options(name))
        assert source.name == name
        assert source.sha256 == again.sha256 == source_digest(source.inputs, source.labels)
        assert np.array_equal(source.clean, again.clean)
        assert len(source.inputs) == len(source.labels) == len(source.clean) == 50
        assert source.limit == 50
        assert source.order == again.order != ""
        assert source.num_classes > 1
        assert source.class_names == again.class_names
        assert all(isinstance(text, str) and text.strip() for text in source.class_names)
        assert len(source.input_shape) in (1, 3)
        assert json.loads(json.dumps(dict(source.options))) == dict(source.options)
        assert set(source.options) <= {field.name for field in fields(find("sources", name))}

    def test_a_limit_keeps_the_first_samples(self, name: str, place: Path | None) -> None:
        """And the classes and the test set; no array can be written to; a limit of none is refused."""
        source, short = read_once(name, place), load_source(name, place, limit=20, **source_options(name))
        assert source.sha256 != short.sha256
        for whole, first in ((source.inputs, short.inputs), (source.labels, short.labels), (source.clean, short.clean)):
            assert np.array_equal(whole[:20], first[:])
            assert len(first) == 20
        assert source.class_names == short.class_names
        assert (source.test_labels is None) == (short.test_labels is None)
        for mine, other in ((source.test_inputs, short.test_inputs), (source.test_labels, short.test_labels)):
            if mine is not None and other is not None:
                assert np.array_equal(mine[:], other[:])
        arrays = (source.labels, source.clean, source.inputs, source.test_inputs, source.test_labels)
        assert not any(array.flags.writeable for array in arrays if isinstance(array, np.ndarray))
        with pytest.raises(BadUsage, match="limit must be at least 1, got 0"):
            load_source(name, place, limit=0, **source_options(name))

    @pytest.mark.usefixtures("offline")
    def test_it_says_what_it_wants(self, name: str, tmp_path: Path) -> None:
        """Without files and network, and with a folder that is not there: one sentence that says how to mend it."""
        if name == "altered":
            pytest.skip("it reads no files; its base does")
        try:
            load_source(name, limit=1)
        except NoisybenchError as error:
            assert re.fullmatch(rf"(?=.*\b{name}\b)(?=.*--data [A-Z]).{{20,400}}", str(error))  # noqa: PT017
        with pytest.raises(NoisybenchError) as refused:
            load_source(name, tmp_path / "absent", limit=1)
        assert re.fullmatch(r"(?=.*(absent|--data)).{20,400}", str(refused.value))


# --- models ------------------------------------------------------------------------------------------------------------

SHAPES = [(3, 32, 32), (1, 28, 28), (1, 8, 8), (20,)]


def built(name: str, shape: tuple[int, ...], *, classes: int = 7, seed: int = 0) -> nn.Module | None:
    """A fresh model; None where it refuses the shape in words that hold it."""
    torch.manual_seed(seed)
    try:
        return find("models", name)(num_classes=classes, input_shape=shape)
    except BadUsage as error:
        assert str(shape) in str(error)  # noqa: PT017 - the words of a refusal
        return None


@pytest.mark.parametrize("name", names("models"))
class TestModel:
    def test_it_takes_something_and_can_be_sent_to_a_worker(self, name: str) -> None:
        """At least one of the usual shapes; a pickled model function is found again by its name."""
        assert any(built(name, shape) is not None for shape in SHAPES)
        build = find("models", name)
        assert pickle.loads(pickle.dumps(build)) is build  # noqa: S301 - what was just written

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("classes", [2, 7])
    def test_it_gives_one_logit_a_class(self, name: str, shape: tuple[int, ...], classes: int) -> None:
        """Logits (b, k), finite; every weight gets a gradient; what it does not take it refuses in words."""
        model = built(name, shape, classes=classes)
        if model is None:
            return
        logits = model(torch.randn(4, *shape))
        assert logits.shape == (4, classes)
        assert logits.dtype == torch.float32
        assert torch.isfinite(logits).all()
        logits.square().sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)

    @pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[3]])
    def test_chance_is_torchs_alone(self, name: str, shape: tuple[int, ...]) -> None:
        """One seed of torch gives one model and one training pass, whatever other generators hold; another seed another."""
        states, logits = [], []
        for other, seed in enumerate((0, 0, 1)):
            random.seed(other)
            np.random.seed(other)  # noqa: NPY002 - a model must not draw from it
            model = built(name, shape, seed=seed)
            if model is None:
                return
            states.append({key: value.clone() for key, value in model.state_dict().items()})
            logits.append(model(torch.linspace(-1, 1, 3 * int(np.prod(shape))).reshape(3, *shape)))
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
        assert torch.equal(logits[0], logits[1])
        constant = {key: bool((value == value.flatten()[:1]).all()) for key, value in states[0].items()}
        assert all(constant[key] or not torch.equal(value, states[2][key]) for key, value in states[0].items())
        assert not all(constant.values())

    @pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[3]])
    def test_its_state_is_all_there_is_of_it(self, name: str, shape: tuple[int, ...]) -> None:
        """In eval mode no logit depends on the batch, and a checkpoint read without pickle brings the trained model back."""
        model, fresh = built(name, shape), built(name, shape, seed=1)
        if model is None or fresh is None:
            return
        inputs = torch.randn(5, *shape)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        model(inputs).logsumexp(1).sum().backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            logits = model(inputs)
            alone = torch.cat([model(one[None]) for one in inputs])
            torch.testing.assert_close(alone, logits, rtol=1e-4, atol=1e-4 * float(logits.abs().max()))
            assert torch.equal(model(inputs), logits)
            file = BytesIO()
            torch.save(model.state_dict(), file)
            file.seek(0)
            fresh.load_state_dict(torch.load(file, weights_only=True))
            assert torch.equal(fresh.eval()(inputs), logits)
