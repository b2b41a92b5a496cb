"""Probes that remember earlier epochs, and that of a random label: against loops in double precision."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from noisybench.data.loading import load_source
from noisybench.items import find
from noisybench.training.plan import plan_run
from noisybench.training.probe import Gathering
from noisybench.training.recorder import Recorder

N, K, EPOCHS = 40, 5, 4
LABELS = torch.randint(K, (N,), generator=torch.Generator().manual_seed(1))


def logits_of(epochs: int = EPOCHS, scale: float = 3.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [scale * torch.randn(N, K, generator=generator) for _ in range(epochs)]


def recorded(name: str, logits: list[Tensor]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The newest column of a probe of a model that gives these logits."""
    recorder = Recorder(LABELS.tolist(), [name], num_classes=K)
    for epoch, values in enumerate(logits, start=1):
        recorder.observe(nn.Identity(), values, epoch=epoch)
    return recorder.trace()[name][-1]


def softmax(z: list[float]) -> list[float]:
    total = math.fsum(math.exp(value - max(z)) for value in z)
    return [math.exp(value - max(z)) / total for value in z]


def test_mean_probabilities_are_a_mean_over_epochs() -> None:
    """Of each sample and class, and each row has the sum 1; float32 loses nothing over many epochs."""
    for epochs in (1, EPOCHS, 300):
        logits = logits_of(epochs, scale=10.0)
        expected = np.mean([[softmax(z) for z in values.double().tolist()] for values in logits], axis=0)
        found = recorded("mean_probabilities", logits)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-7)
        np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)


def test_what_is_remembered_stays_as_it_is() -> None:
    """A sum is not written over: the epoch could be asked again."""
    for name in ("mean_probabilities", "time_inconsistency"):
        probe = find("probes", name)
        assert isinstance(probe, Gathering)
        values = [each.softmax(1).log() if name == "time_inconsistency" else each.softmax(1) for each in logits_of()]
        memory = probe.gather(values[0].clone(), LABELS, None)[1]
        assert memory is not None
        before = memory.clone()
        first = probe.gather(values[1].clone(), LABELS, memory)[0]
        assert torch.equal(memory, before)
        assert torch.equal(probe.gather(values[1].clone(), LABELS, memory)[0], first)


def test_inconsistency_is_an_average_of_changes() -> None:
    """KL of the prediction before from that now, and the change of the log probability of the class predicted before."""
    logits = logits_of()
    expected = []
    for sample in range(N):
        average, before = 0.0, softmax(logits[0][sample].double().tolist())
        for values in logits[1:]:
            now = softmax(values[sample].double().tolist())
            predicted = before.index(max(before))
            change = math.fsum(p * math.log(p / q) for p, q in zip(before, now, strict=True))
            change += abs(math.log(before[predicted] / now[predicted]))
            average = 0.1 * change + 0.9 * average
            before = now
        expected.append(average)
    np.testing.assert_allclose(recorded("time_inconsistency", logits), expected, rtol=1e-4)
    assert not recorded("time_inconsistency", logits[:1]).any()
    assert not recorded("time_inconsistency", [logits[0], logits[0]]).any()


def test_random_labels_stay_and_are_uniform() -> None:
    """Alike in every epoch and for every size of a batch, each class as often as the others, and not the given label."""
    probe = find("probes", "counterfactual_loss")
    n, k = 20_000, 7
    classes = torch.arange(k, dtype=torch.float32).repeat(n, 1) * -5  # the loss tells the class
    recorder = Recorder([0] * n, [probe], num_classes=k)
    drawn = []
    for epoch in (1, 2):
        seen = recorder.observe(nn.Identity(), classes, epoch=epoch)
        drawn.append(np.rint(seen.values["counterfactual_loss"] / 5).astype(int))
    assert np.array_equal(drawn[0], drawn[1])
    counts = np.bincount(drawn[0], minlength=k)
    assert (np.abs(counts - n / k) < 4 * math.sqrt(n / k)).all()
    parts = [recorder.labels[start : start + 333] for start in range(0, n, 333)]
    loader = list(zip(classes.split(333), parts, strict=True))
    again = Recorder([0] * n, [probe], num_classes=k).observe(nn.Identity(), loader, epoch=1)
    assert np.array_equal(again.values["counterfactual_loss"], seen.values["counterfactual_loss"])


def test_counterfactual_loss_is_the_loss_of_its_label() -> None:
    """Of one of the classes of each sample, whatever its label is."""
    values = logits_of(1)[0]
    found = recorded("counterfactual_loss", [values])
    losses = -values.double().log_softmax(1).numpy()
    assert (np.abs(losses - found[:, None]).min(1) < 1e-5).all()


def test_given_labels_are_recorded() -> None:
    """For detectors that must know which class is the label's."""
    assert np.array_equal(recorded("given", logits_of(1)), LABELS)
    assert plan_run(load_source("digits", limit=20)).watch.every(["given", "loss"]).keys() == {"given"}
