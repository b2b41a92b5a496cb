"""Every file of every drawer keeps the contract of its drawer. A new file is held to it without a change here."""

import re
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from noisybench.catalog import find, load_source, names, summary
from noisybench.drawing import Mode
from noisybench.errors import BadUsage
from noisybench.noises.symmetric import Symmetric
from noisybench.observing import Batch, Recorder, observe
from noisybench.options import parse_options
from noisybench.scoring import score
from noisybench.source import Source
from noisybench.trace import Column, Trace
from noisybench.variant import Draw, Variant, build_variant

DRAWERS: tuple[Any, ...] = ("sources", "noises", "models", "probes", "detectors")


@pytest.mark.parametrize("drawer", DRAWERS)
def test_every_file_says_in_one_line_what_it_is(drawer: Any) -> None:  # noqa: ANN401 - a literal
    """The first line of a drawer file's docstring is a sentence; ``list`` prints it."""
    assert names(drawer)
    for name in names(drawer):
        assert re.fullmatch(r"\S.{10,110}\.", summary(drawer, name)), name


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
    order = np.random.default_rng(0)
    for epoch in range(1, 26):
        for chosen in np.array_split(order.permutation(600), 10):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
            optimizer.step()
        recorder.observe(model, inputs, epoch=epoch)
    return variant, recorder.trace()


def over_columns(trace: Trace, change: Callable[[Column], Column]) -> Trace:
    return replace(trace, columns={name: change(column) for name, column in trace.columns.items()})


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
    def test_it_is_named_cited_and_fed(self, name: str) -> None:
        """Its name is its file's, its source names authors, year and place, and each need is a probe."""
        detector = find("detectors", name)
        assert detector.name == name
        assert re.search(r"\w+ .*\b(19|20)\d\d, .+", detector.source)
        assert detector.needs
        assert set(detector.needs) <= set(names("probes"))

    def test_scores_are_plain_numbers(self, name: str, planted: tuple[Variant, Trace]) -> None:
        """Shape (n,), float64, finite, bit-equal when asked twice, from the needed columns alone, which stay as they are."""
        detector, trace = find("detectors", name), planted[1]
        before = {need: trace[need].copy() for need in detector.needs}
        values = score(trace, detector).values
        assert values.shape == (600,)
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
        alone = replace(trace, columns={need: trace.columns[need] for need in detector.needs})
        assert np.array_equal(score(alone, detector).values, values)
        assert all(np.array_equal(trace[need], before[need]) for need in detector.needs)

    def test_scores_follow_their_samples(self, name: str, planted: tuple[Variant, Trace]) -> None:
        """Permuted samples get permuted scores."""
        detector, trace = find("detectors", name), planted[1]
        order = np.random.default_rng(0).permutation(600)
        permuted = over_columns(trace, lambda column: replace(column, values=column.values[:, order]))
        expected = score(trace, detector).values[order]
        np.testing.assert_allclose(score(permuted, detector).values, expected, rtol=1e-9, atol=1e-12)

    def test_scores_find_planted_errors(self, name: str, planted: tuple[Variant, Trace]) -> None:
        """AUROC above 0.6 where wrong labels are learnt later; a control may do as it likes."""
        detector, (variant, trace) = find("detectors", name), planted
        auroc = roc_auc_score(variant.mislabeled, score(trace, detector).values)
        assert detector.control or auroc > 0.6

    @pytest.mark.parametrize("change", ["one epoch", "one sample", "constant", "never right"])
    def test_poor_traces_are_scored_too(self, name: str, change: str, planted: tuple[Variant, Trace]) -> None:
        """One epoch, one sample, equal samples or no correct prediction at all still give finite scores."""
        poor: dict[str, Callable[[Column], Column]] = {
            "one epoch": lambda column: Column(column.epochs[-1:], column.values[-1:]),
            "one sample": lambda column: Column(column.epochs, column.values[:, :1]),
            "constant": lambda column: Column(column.epochs, np.ones_like(column.values)),
            "never right": lambda column: Column(column.epochs, np.zeros_like(column.values)),
        }
        values = score(over_columns(planted[1], poor[change]), find("detectors", name)).values
        assert values.shape == ((1,) if change == "one sample" else (600,))
        if change in ("constant", "never right"):
            assert np.ptp(values) == 0


# --- probes ------------------------------------------------------------------------------------------------------------


def fickle_model() -> nn.Module:
    """A model whose output in training mode depends on the batch and on chance."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 32), nn.BatchNorm1d(32), nn.Softplus(), nn.Dropout(0.5), nn.Linear(32, 5))


def samples(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 12, generator=generator), torch.randint(5, (n,), generator=generator)


@pytest.mark.parametrize("name", names("probes"))
class TestProbe:
    def test_it_is_named_and_priced(self, name: str) -> None:
        """Its name is its file's, and its passes are none exactly where logits suffice."""
        probe = find("probes", name)
        assert probe.name == name
        assert probe.passes >= 0
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
        # Differences of gradients a thousandth apart keep three digits of float32's seven.
        tolerance = 1e-2 if probe.gradient else 1e-5
        for values in seen[2:]:
            np.testing.assert_allclose(values, seen[0], rtol=tolerance, atol=tolerance * np.abs(seen[0]).max())

    def test_asking_changes_nothing(self, name: str) -> None:
        """Weights, statistics, modes, gradients, inputs and every global generator are as before."""
        model, (inputs, labels) = fickle_model(), samples(20)
        model[3].eval()  # type: ignore[index]  # a mode of its own
        given = [inputs.clone(), labels.clone(), *(value.clone() for value in model.state_dict().values())]
        modes = [module.training for module in model.modules()]
        states = torch.get_rng_state(), repr(np.random.get_state())  # noqa: NPY002 - it must not be touched
        observe(model, inputs, labels, [find("probes", name)], epoch=1)
        after = [inputs, labels, *model.state_dict().values()]
        assert all(torch.equal(old, new) for old, new in zip(given, after, strict=True))
        assert [module.training for module in model.modules()] == modes
        assert all(parameter.grad is None for parameter in model.parameters())
        assert torch.equal(torch.get_rng_state(), states[0])
        assert repr(np.random.get_state()) == states[1]  # noqa: NPY002

    def test_it_works_on_recorded_logits_or_says_it_does_not(self, name: str) -> None:
        """A probe that asks for no more than logits gives the same from the model as from its recorded logits."""
        model, (inputs, labels) = fickle_model().eval(), samples(20)
        probe, batch = find("probes", name), Batch(model, inputs, labels)
        if probe.gradient:
            assert probe.passes > 0
        else:
            assert torch.equal(probe(Batch(nn.Identity(), batch.logits, labels)), probe(batch))


# --- noises ------------------------------------------------------------------------------------------------------------

MODES: tuple[Mode, ...] = ("exact", "exact_per_class", "bernoulli")


@cache
def first_of_cifar10(data: Path) -> Source:
    return load_source("cifar10", data / "cifar10", limit=2000)


@pytest.fixture(params=names("noises"))
def case(request: pytest.FixtureRequest, tmp_path: Path, digits: Source) -> tuple[Any, Source]:
    """A noise with a sample of each option that has no default, and a source it can be applied to."""
    name: str = request.param
    kind = find("noises", name)
    if name == "cifar_n":
        data: Path = request.getfixturevalue("data")
        file = data / "cifar_n" / "CIFAR-10_human.pt"
        return parse_options(kind, {"labels": "worse", "file": str(file)}, what=name), first_of_cifar10(data)
    matrix = 0.75 * np.eye(10) + 0.2 * np.roll(np.eye(10), 1, axis=1) + 0.005
    np.save(tmp_path / "matrix.npy", matrix)
    sample = {"rate": "0.2", "matrix": str(tmp_path / "matrix.npy"), "file": str(tmp_path / "matrix.npy")}
    needed = [
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING  # type: ignore[misc, unused-ignore]
    ]
    return parse_options(kind, {option: sample[option] for option in needed}, what=name), digits


def draws(case: tuple[Any, Source], *, seed: int = 3, mode: Mode = "exact", first: int | None = None) -> Draw:
    noise, source = case
    if first is not None:
        source = replace(source, inputs=source.inputs[:first], labels=source.labels[:first], clean=source.clean[:first])
    draw: Draw = noise(source, seed=seed, mode=mode)
    return draw


def wrong(draw: Draw, source: Source) -> NDArray[np.bool_]:
    return (draw.labels != source.clean) & (source.clean >= 0)


class TestNoise:
    @pytest.mark.parametrize("mode", MODES)
    def test_the_seed_decides_everything(self, case: tuple[Any, Source], mode: Mode) -> None:
        """The same seed gives the same labels; another one gives others, unless people made the errors."""
        noise, _ = case
        first = draws(case, mode=mode)
        assert np.array_equal(first.labels, draws(case, mode=mode).labels)
        assert np.array_equal(first.labels, draws(case, seed=4, mode=mode).labels) == noise.found

    @pytest.mark.parametrize("mode", MODES)
    def test_the_source_is_left_alone(self, case: tuple[Any, Source], mode: Mode) -> None:
        """Drawing writes to no array of the source, and shares none that can be written to."""
        source = case[1]
        before = [array.copy() for array in (source.inputs[:100], source.labels, source.clean)]
        draw = draws(case, mode=mode)
        after = (source.inputs[:100], source.labels, source.clean)
        assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
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
        if draw.flip_probability is not None:
            assert draw.flip_probability.dtype == np.float64
            assert np.all((draw.flip_probability >= 0) & (draw.flip_probability <= 1))
        if draw.transition is not None:
            assert draw.transition.shape == (k, k)
            np.testing.assert_allclose(draw.transition.sum(1), 1, atol=1e-9)
        if draw.selected is not None:
            assert not np.any(wrong(draw, source) & ~draw.selected)
        variant = build_variant(source, noise, seed=3, mode=mode)
        assert np.array_equal(variant.labels, draw.labels)

    @pytest.mark.parametrize("mode", ["exact", "exact_per_class"])
    def test_exact_modes_meet_the_count(self, case: tuple[Any, Source], mode: Mode) -> None:
        """As many labels are wrong as the law expects, to the nearest integer; per class, to one of the two next to it."""
        _, source = case
        draw = draws(case, mode=mode)
        if draw.flip_probability is None:
            pytest.skip("no law: the errors are as found")
        flipped = wrong(draw, source)
        assert abs(flipped.sum() - draw.flip_probability.sum()) <= 0.5 + 1e-6
        assert flipped.any()
        if mode == "exact_per_class":
            for origin in range(source.num_classes):
                members = source.clean == origin
                assert abs(flipped[members].sum() - draw.flip_probability[members].sum()) < 1

    def test_bernoulli_comes_within_four_deviations(self, case: tuple[Any, Source]) -> None:
        """The count of wrong labels is binomial: within four standard deviations, and not the same for every seed."""
        _, source = case
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
        for first in (1, 700):
            assert np.array_equal(draws(case, mode="bernoulli", first=first).labels, whole[:first])


# --- sources -----------------------------------------------------------------------------------------------------------

# Where a source's files lie in the folder of test data; a source that is not named here and needs files is skipped.
FILES = {"cifar10": "cifar10", "mnist": "mnist"}


@pytest.mark.parametrize("name", names("sources"))
def test_source_is_whole_and_read_alike_twice(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Two reads have one digest, a limit keeps the first samples, and the arrays cannot be written to."""
    place: Path | None = None
    if name == "npz":
        place = tmp_path / "source.npz"
        np.savez(place, inputs=np.random.default_rng(0).random((60, 5)), labels=np.arange(60) % 3)
    elif name in FILES:
        place = request.getfixturevalue("data") / FILES[name]
    elif name != "digits":
        pytest.skip(f"no files of source '{name}' here")
    source, again, short = (load_source(name, place, limit=limit) for limit in (50, 50, 20))
    assert source.name == name
    assert source.sha256 == again.sha256 != short.sha256
    assert len(source.inputs) == len(source.labels) == len(source.clean) == 50
    assert np.array_equal(source.labels[:20], short.labels)
    assert np.array_equal(source.inputs[:20], short.inputs)
    assert not any(array.flags.writeable for array in (source.labels, source.clean, source.inputs))
    assert source.limit == 50
    assert len(source.input_shape) in (1, 3)


# --- models ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names("models"))
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (1, 8, 8), (20,)])
def test_model_gives_one_logit_a_class(name: str, shape: tuple[int, ...]) -> None:
    """Logits (b, k), finite, of a batch of one too; every weight gets a gradient; features may be refused in words."""
    build = find("models", name)
    torch.manual_seed(0)
    if len(shape) == 1:
        try:
            model = build(num_classes=7, input_shape=shape)
        except BadUsage as error:
            assert str(shape[0]) in str(error)  # noqa: PT017 - a model that refuses features is tested for its words
            return
    else:
        model = build(num_classes=7, input_shape=shape)
    inputs = torch.randn(4, *shape)
    logits = model(inputs)
    assert logits.shape == (4, 7)
    assert torch.isfinite(logits).all()
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
    model.eval()
    assert model(inputs[:1]).shape == (1, 7)


@pytest.mark.parametrize("name", names("models"))
def test_model_weights_come_from_torchs_generator(name: str) -> None:
    """One seed gives one model, another seed another."""
    build = find("models", name)
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model = build(num_classes=4, input_shape=(3, 32, 32))
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
