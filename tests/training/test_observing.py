"""Observing: right values, and nothing changed."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, WeightedRandomSampler

from noisybench.data.source import Source
from noisybench.ground.errors import BadData, BadUsage, Mismatch, TrainingFailed
from noisybench.ground.random_streams import derive
from noisybench.items import find
from noisybench.training.observing import evaluating, observe
from noisybench.training.recorder import Recorder
from noisybench.training.trace import read_trace
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant


@pytest.fixture(scope="module")
def variant(digits: Source) -> Variant:
    return build_variant(digits, find("noises", "symmetric")(rate=0.2), seed=0)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 36, 10))
    net(torch.randn(64, 1, 8, 8))
    net[1].eval()  # a mode that its user chose on purpose
    return net


def test_observing_leaves_model_and_generators_as_they_were(model: nn.Module) -> None:
    """Weights, statistics, modes, gradients and random generators are bit-equal afterwards, curvature included."""
    inputs, labels = torch.randn(70, 1, 8, 8), torch.randint(10, (70,))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002 - the one observed
    observe(model, inputs, labels, [find("probes", "curvature"), find("probes", "margin")], epoch=1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], numpy_state)  # noqa: NPY002


def test_modes_are_restored_when_a_probe_fails(model: nn.Module) -> None:
    """An error inside leaves the model in the modes it had."""
    modes = [module.training for module in model.modules()]
    with pytest.raises(RuntimeError), evaluating(model, seed=0, device=torch.device("cpu")):
        assert not any(module.training for module in model.modules())
        raise RuntimeError
    assert [module.training for module in model.modules()] == modes


def test_values_do_not_depend_on_the_batch_size(model: nn.Module) -> None:
    """A remainder of one sample and a whole-set batch give the same values."""
    inputs, labels = torch.randn(65, 1, 8, 8), torch.randint(10, (65,))
    probes = [find("probes", name) for name in ("margin", "loss", "curvature")]
    small = observe(model, inputs, labels, probes, epoch=1, batch_size=64)
    large = observe(model, inputs.split(65), labels, probes, epoch=1)
    for name in ("margin", "loss", "curvature"):
        np.testing.assert_allclose(small.values[name], large.values[name], rtol=2e-3, atol=1e-4)


def test_inputs_and_labels_must_be_as_many(model: nn.Module) -> None:
    """More or fewer inputs than labels are refused."""
    for n in (9, 11, 20):  # 20: the surplus is a batch of its own
        with pytest.raises(BadData, match="expected one each"):
            observe(model, torch.randn(n, 1, 8, 8), torch.zeros(10, dtype=torch.int64), [], epoch=1, batch_size=10)


def test_a_value_that_is_not_finite_is_refused() -> None:
    """A diverged model is said, with the probe, the sample and the epoch."""

    class Broken(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.where(torch.arange(len(inputs))[:, None] == 3, torch.nan, inputs)

    with pytest.raises(TrainingFailed, match="probe 'margin' .* sample 3 in epoch 2"):
        observe(Broken(), torch.randn(5, 4), torch.zeros(5, dtype=torch.int64), [find("probes", "margin")], epoch=2)


def test_recorded_batches_equal_a_loop_over_samples(variant: Variant) -> None:
    """Logits given batch by batch in any order become the column that a loop over samples computes."""
    generator = torch.Generator().manual_seed(derive(0, "test"))
    n = len(variant.labels)
    logits = torch.randn(n, 10, generator=generator)
    recorder = Recorder(variant, ["margin", "correct"])
    for chosen in torch.randperm(n, generator=generator).split(100):
        recorder.update(logits[chosen], chosen)
    seen = recorder.end_epoch(epoch=1)
    for i in range(0, n, 97):
        label, row = int(variant.labels[i]), logits[i].tolist()
        others = max(value for k, value in enumerate(row) if k != label)
        assert seen.values["margin"][i] == pytest.approx(row[label] - others, abs=1e-6)
        assert seen.values["correct"][i] == float(row[label] > others)


def test_a_model_of_another_width_is_refused(variant: Variant) -> None:
    """Fewer logits than classes or more: a sentence, whichever probes ask, and from batches as well."""
    inputs, labels = torch.randn(len(variant.labels), 4), torch.tensor(variant.labels)
    for names in (["margin"], ["curvature"], ["loss", "curvature"]):
        probes = [find("probes", name) for name in names]
        with pytest.raises(
            TrainingFailed, match=r"outputs of shape \(256, 3\) .*, expected a tensor of shape \(256, 10\)"
        ):
            observe(nn.Linear(4, 3), inputs, labels, probes, epoch=1)
        for width in (3, 11):
            with pytest.raises(
                TrainingFailed, match=rf"outputs of shape \(256, {width}\) .* \(256, 10\): a logit a class"
            ):
                Recorder(variant, names).observe(nn.Linear(4, width), inputs, epoch=1)
    with pytest.raises(TrainingFailed, match=r"outputs of shape \(8, 11\) for 8 inputs"):
        Recorder(variant, ["margin"]).update(torch.randn(8, 11), torch.arange(8))


def test_epochs_go_up(variant: Variant, tmp_path: Path) -> None:
    """An epoch observed twice, an earlier one and a negative one are refused before the model is asked."""
    inputs = torch.randn(len(variant.labels), 10)
    for folder in (None, str(tmp_path)):
        recorder = Recorder(variant, ["margin", "loss"], folder=folder)
        recorder.observe(nn.Identity(), inputs, epoch=2, probes=[find("probes", "margin")])
        recorder.observe(nn.Identity(), inputs, epoch=2, probes=[find("probes", "loss")])  # another column of it
        for epoch in (2, 1):
            with pytest.raises(
                BadUsage, match=f"epoch {epoch} was given when epoch 2 had been observed; count them up"
            ):
                recorder.observe(nn.Linear(1, 1), inputs, epoch=epoch)
            with pytest.raises(BadUsage, match=f"epoch {epoch} was given when epoch 2 had been observed"):
                recorder.end_epoch(epoch=epoch)
        for nonsense, message in ((-1, "epoch must not be negative, got -1"), (3.0, "epoch must be a whole number")):
            with pytest.raises(BadUsage, match=message):
                recorder.observe(nn.Identity(), inputs, epoch=nonsense)  # type: ignore[arg-type]
        assert recorder.trace().column("loss").epochs.tolist() == [2]
    again = Recorder(variant, ["margin"], folder=tmp_path, resume=True)
    again.observe(nn.Identity(), inputs, epoch=2)
    assert read_trace(str(tmp_path)).column("margin").epochs.tolist() == [2]


def test_a_folder_with_a_trace_is_not_written_into(variant: Variant, tmp_path: Path) -> None:
    """Epochs of two recordings cannot mix."""
    recorder = Recorder(variant, ["margin"], folder=tmp_path)
    recorder.update(torch.randn(len(variant.labels), 10), torch.arange(len(variant.labels)))
    recorder.end_epoch(epoch=1)
    with pytest.raises(BadUsage, match="holds a trace already"):
        Recorder(variant, ["margin"], folder=tmp_path)


def test_a_sample_in_no_batch_is_said(variant: Variant) -> None:
    """An epoch that left samples out cannot end, also when an earlier epoch had them."""
    n = len(variant.labels)
    recorder = Recorder(variant, ["margin"])
    recorder.update(torch.randn(n, 10), torch.arange(n))
    recorder.end_epoch(epoch=1)
    recorder.update(torch.randn(n - 2, 10), torch.arange(n - 2))
    with pytest.raises(BadUsage, match=f"2 of {n} samples were in no batch of epoch 2"):
        recorder.end_epoch(epoch=2)


class Stream(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        return iter(torch.zeros(20, 4))


def first(variant: Variant, n: int = 20) -> tuple[Tensor, Tensor]:
    return torch.randn(n, 10, generator=torch.Generator().manual_seed(0)), torch.tensor(variant.labels[:n])


def test_a_loader_gives_what_its_tensor_gives(variant: Variant) -> None:
    """Of inputs or of pairs with given or clean labels, by any order that is 0..n-1; and its generator stays as it was."""
    inputs: Any = torch.randn(len(variant.labels), 10)
    expected = Recorder(variant, ["margin"]).observe(nn.Identity(), inputs, epoch=1).values["margin"]
    given, clean = torch.tensor(variant.labels), torch.tensor(variant.clean)
    own = torch.Generator().manual_seed(1)
    state = own.get_state()
    n = len(inputs)
    loaders: list[Any] = [
        DataLoader(inputs, batch_size=64, generator=own),
        DataLoader(TensorDataset(inputs, given), batch_size=64),
        DataLoader(TensorDataset(inputs, clean[:, None]), batch_size=64, sampler=list(range(n))),
        DataLoader(Subset(TensorDataset(inputs, given), range(n)), batch_size=n, drop_last=True),  # nothing to drop
        zip(inputs.split(100), given.split(100), strict=True),
    ]
    for loader in loaders:
        seen = Recorder(variant, ["margin"]).observe(nn.Identity(), loader, epoch=1).values["margin"]
        np.testing.assert_allclose(seen, expected, rtol=1e-6)
    assert torch.equal(own.get_state(), state)


class Answer(NamedTuple):
    logits: Tensor


class ByName(nn.Module):
    """Takes its inputs by name, and gives an answer that holds logits, as the models of Hugging Face do."""

    def forward(self, ids: Tensor, mask: Tensor) -> Answer:
        return Answer(ids.float() * mask)


def test_inputs_may_have_names(variant: Variant) -> None:
    """As whole tensors or in batches, with the labels among them or without; what asks for one tensor says so."""
    n = len(variant.labels)
    ids, mask = torch.randint(100, (n, 10)), torch.randint(2, (n, 10))
    given = torch.tensor(variant.labels)
    expected = Recorder(variant, ["margin"]).observe(nn.Identity(), ids.float() * mask, epoch=1).values["margin"]
    rows = [{"ids": ids[i], "mask": mask[i], "label": given[i]} for i in range(n)]
    named: list[Any] = [
        {"ids": ids, "mask": mask},
        DataLoader(rows, batch_size=64),  # type: ignore[arg-type]  # a list is a data set
        [{"ids": ids, "mask": mask, "labels": given[:, None]}],
    ]
    for inputs in named:
        seen = Recorder(variant, ["margin"]).observe(ByName(), inputs, epoch=1).values["margin"]
        assert np.array_equal(seen, expected)
    with pytest.raises(Mismatch, match="own labels are not those of the samples"):
        Recorder(variant, ["margin"]).observe(ByName(), [{"ids": ids, "mask": mask, "labels": 9 - given}], epoch=1)
    with pytest.raises(BadUsage, match=r"takes several by name \(ids, mask\); leave out the probes"):
        Recorder(variant, ["curvature"]).observe(ByName(), named[0], epoch=1)


def test_reading_inputs_draws_from_no_generator(variant: Variant) -> None:
    """A data set that draws from the generators of torch, NumPy or Python finds them as they were."""

    class Drawing(Dataset[Tensor]):
        def __len__(self) -> int:
            return len(variant.labels)

        def __getitem__(self, i: int) -> Tensor:
            return torch.rand(10) + np.random.rand() + random.random()  # noqa: NPY002 - as transforms do

    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index]  # noqa: NPY002
    Recorder(variant, ["margin"]).observe(nn.Identity(), DataLoader(Drawing(), batch_size=100), epoch=1)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # type: ignore[index]  # noqa: NPY002
    assert random.getstate() == states[2]


def test_a_loader_in_another_order_is_refused(variant: Variant) -> None:
    """One that shuffles, samples, drops, or holds other labels, in words that say how to mend it."""
    inputs: Any
    inputs, labels = first(variant)
    pairs = TensorDataset(inputs, labels)
    backwards = [(inputs.flip(0), labels.flip(0))]
    refused: list[tuple[Any, type[Exception], str]] = [
        (DataLoader(pairs, shuffle=True), BadUsage, "order of a RandomSampler.*; give a loader .* with shuffle=False"),
        (DataLoader(inputs, shuffle=True), BadUsage, "order of a RandomSampler"),
        (DataLoader(pairs, sampler=WeightedRandomSampler([1.0] * 20, 20)), BadUsage, "of a WeightedRandomSampler"),
        (DataLoader(pairs, sampler=range(19, -1, -1)), BadUsage, "order of a range"),
        (DataLoader(pairs, batch_sampler=[[1, 0]]), BadUsage, "batches come from a list"),
        (DataLoader(Subset(pairs, [1, 0])), BadUsage, "Subset in another order"),
        (DataLoader(Stream(), num_workers=2), BadUsage, "reads a stream with 2 workers.*num_workers=0"),
        (DataLoader(pairs, batch_size=8, drop_last=True), BadData, "of 16 samples and 20 labels.*say drop_last=False"),
        (backwards, Mismatch, r"own labels are not those of the samples: \d+ of 20 differ, the first of sample"),
        ([(inputs, labels, labels)], BadData, "a batch holds 3 parts, .*a pair"),
        (
            [{"x": "text"}],
            BadData,
            r"a batch by name must be tensors with a row for each sample, got x: str; leave out",
        ),
        ([{"x": inputs, "mask": inputs[:3]}], BadData, r"got x: \(20, 10\), mask: \(3, 10\)"),
        ([{"x": inputs, "labels": labels.float()}], BadData, r"labels torch.float32 \(20,\); expected inputs by name"),
        ([{"labels": labels}], BadData, "a batch holds labels torch.int64 .*; expected inputs by name"),
        ({}, BadData, "the inputs by name must be tensors .* got nothing"),
        ([(inputs, labels.float())], BadData, "expected inputs .* whole numbers"),
    ]
    for loader, kind, message in refused:
        with pytest.raises(kind, match=message):
            Recorder(labels.tolist(), ["margin"], num_classes=10).observe(nn.Identity(), loader, epoch=1)


def test_batches_of_no_sample_or_of_one_twice_are_refused(variant: Variant) -> None:
    """At once, and the epoch begins anew: what was refused leaves nothing behind."""
    n = len(variant.labels)
    logits = torch.randn(n, 10)
    recorder = Recorder(variant, ["margin"])
    for wrong, message in (
        ([0, n], f"given sample {n}, which is none of 0..{n - 1}"),
        ([0, -1], "given sample -1, which is none"),
        ([3, 3], r"sample 3 was given to update\(\) more than once in an epoch \(1 such"),
        ([0.0, 1.0], "samples must be whole numbers of 0.."),
        ([True, False], "got torch.bool of shape"),
        ([0, 1, 2], r"got torch.int64 of shape \(3,\)"),
    ):
        with pytest.raises(BadUsage, match=message):
            recorder.update(logits[:2], torch.tensor(wrong))
    recorder.update(logits, torch.arange(n))
    with pytest.raises(BadUsage, match="sample 5 was given .* more than once"):
        recorder.update(logits[:1], torch.tensor([5]))
    recorder.update(logits[1:], torch.arange(1, n))
    with pytest.raises(BadUsage, match="1 of .* samples were in no batch of epoch 1; .* without drop_last"):
        recorder.end_epoch(epoch=1)
    recorder.update(logits[:1], torch.tensor([0]))
    assert recorder.end_epoch(epoch=1).values["margin"].shape == (n,)


def test_labels_alone_can_be_recorded(variant: Variant, tmp_path: Path) -> None:
    """They give the values that a variant of them gives, under an id of their own; other classes are refused."""
    inputs = torch.randn(len(variant.labels), 10)
    whole = Recorder(variant, ["margin"])
    whole.observe(nn.Identity(), inputs, epoch=1)
    alone = Recorder(variant.labels.tolist(), ["margin"], folder=tmp_path)
    alone.observe(nn.Identity(), inputs, epoch=1)
    assert np.array_equal(alone.trace()["margin"], whole.trace()["margin"])
    assert alone.trace().variant_id not in ("", whole.trace().variant_id)
    assert Recorder(variant.labels, ["margin"], folder=tmp_path, resume=True).trace()["margin"].shape == (
        1,
        len(inputs),
    )
    with pytest.raises(BadData, match=r"labels\[1\] = 3 is not a class of 0..2"):
        Recorder([0, 3], ["margin"], num_classes=3)
    with pytest.raises(BadUsage, match="the variant has 10 classes, got num_classes=3"):
        Recorder(variant, ["margin"], num_classes=3)
    with pytest.raises(TrainingFailed, match="a logit a class"):
        Recorder([0, 3], ["margin"]).update(torch.randn(2, 3), torch.arange(2))
