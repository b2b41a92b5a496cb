"""Layers and their neighbours, against hooks by hand and scikit-learn's classifier, one left-out sample at a time."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn
from torch.nn import functional as F

from noisybench.ground.lookup import find
from noisybench.training.asking import Batch
from noisybench.training.probe import Gathering
from noisybench.training.probes.prediction_depth import LayerNeighbours, _narrow, blocks_of
from noisybench.training.trace import Column, Trace


def small_cnn() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    ).eval()  # fmt: skip


def images(n: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 2, 8, 8, generator=generator), torch.randint(3, (n,), generator=generator)


def depths_by_scikit_learn(layers: list[Tensor], labels: Tensor, k: int) -> list[int]:
    """First layer from which on all classifiers that do not know the sample agree with its label; ties disagree."""
    given = labels.numpy()
    agree = np.zeros((len(given), len(layers)), dtype=bool)
    for number, layer in enumerate(layers):
        for i, y in enumerate(given):
            others = np.arange(len(given)) != i
            classifier = KNeighborsClassifier(k).fit(layer[others].numpy(), given[others])
            shares = classifier.predict_proba(layer[i : i + 1].numpy())[0]
            agree[i, number] = shares[y] > np.delete(shares, y).max()
    return [next(j for j in range(len(layers) + 1) if row[j:].all()) for row in agree]


def depth_of(
    probe: LayerNeighbours, model: nn.Module, inputs: Tensor, labels: Tensor
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    leads, memory = probe.gather(probe(Batch(model, inputs, labels)), labels, None)
    assert memory is None
    trace = Trace({"prediction_depth": Column(np.array([1]), leads.numpy()[None])}, "")
    return find("detectors", "prediction_depth").score(trace)


def test_depth_is_that_of_left_out_classifiers() -> None:
    """Layers taken by hand, neighbours by scikit-learn; the rest is below one layer and orders equal depths."""
    model, (inputs, labels), k = small_cnn(), images(), 5
    labels = (inputs.mean((1, 2, 3)) > 0).long() + (labels == 0)  # something that neighbours know
    with torch.no_grad():
        second, last = model[:4](inputs), model[:8](inputs)
        layers = [F.adaptive_avg_pool2d(inputs, 4).flatten(1), second.flatten(1), last, model(inputs)]
    found = depth_of(LayerNeighbours(neighbours=k), model, inputs, labels)
    expected = depths_by_scikit_learn(layers, labels, k)
    assert len(set(expected)) == 5
    assert np.floor(found).astype(int).tolist() == expected


def test_the_published_number_of_neighbours_is_the_default() -> None:
    """30, of a probe that sees all samples at once after the last epoch."""
    probe = find("probes", "prediction_depth")
    assert isinstance(probe, Gathering)
    assert probe == LayerNeighbours(neighbours=30)
    assert getattr(probe, "when", None) == "last_epoch"


def test_equal_depths_are_ordered_by_the_mean_lead() -> None:
    """More neighbours with the label, less suspicion; never as much as a layer."""
    leads = np.array([[[1.0, 1.0], [0.2, 0.2], [-1.0, 0.1], [-1.0, -1.0], [1.0, 0.0]]], dtype=np.float32)
    trace = Trace({"prediction_depth": Column(np.array([3]), leads)}, "")
    found = find("detectors", "prediction_depth").score(trace)
    np.testing.assert_allclose(found, [0, 0.8 / 3, 1 + 1.45 / 3, 2 + 2 / 3, 2 + 0.5 / 3], rtol=1e-6)


def test_few_samples_have_a_value() -> None:
    """Fewer than k others are all neighbours; a sample alone has none, and a class alone no other."""
    model, (inputs, labels) = small_cnn(), images()
    probe = LayerNeighbours()
    for n in (1, 2, 5):
        assert np.isfinite(depth_of(probe, model, inputs[:n], labels[:n])).all()
    assert depth_of(probe, model, inputs[:5], torch.zeros(5, dtype=torch.int64)).tolist() == [0.0] * 5


def test_values_do_not_depend_on_batches() -> None:
    """What is kept of a layer is the same in parts."""
    model, (inputs, labels) = small_cnn(), images()
    probe = LayerNeighbours()
    parts = [probe(Batch(model, inputs[i : i + 7], labels[i : i + 7], start=i)) for i in range(0, 40, 7)]
    torch.testing.assert_close(torch.cat(parts), probe(Batch(model, inputs, labels)))
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_wide_layers_keep_their_distances() -> None:
    """256 random directions, the same in every call, leave distances within a third of what they were."""
    wide = torch.randn(40, 3000, generator=torch.Generator().manual_seed(2))
    narrow = _narrow(1, wide)
    assert narrow.shape == (40, 256)
    assert torch.equal(narrow, _narrow(1, wide))
    off = torch.triu_indices(40, 40, 1)
    ratio = (torch.cdist(narrow, narrow) / torch.cdist(wide, wide))[off[0], off[1]]
    assert 0.7 < float(ratio.min()) < float(ratio.max()) < 1.35
    assert float(ratio.mean()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("model", "input_shape", "kinds"),
    [
        ("mlp", (1, 8, 8), ["Linear"] * 2),
        ("resnet18", (3, 32, 32), ["Conv2d", *["BasicBlock"] * 8, "Linear"]),
        ("torchvision:resnet18", (1, 32, 32), ["Conv2d", *["BasicBlock"] * 8, "Linear"]),
    ],
)
def test_blocks_are_those_that_one_would_name(model: str, input_shape: tuple[int, ...], kinds: list[str]) -> None:
    """Residual blocks whole, whatever wraps the network; no normalisation or activation."""
    built = find("models", model)(num_classes=10, input_shape=input_shape)
    assert [type(block).__name__ for block in blocks_of(built)] == kinds


def test_blocks_of_a_transformer() -> None:
    """The trunk, which holds most parameters, is opened to its layers; tokens are averaged and words are no vectors."""

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(9, 8)
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
            self.head = nn.Linear(8, 4)

        def forward(self, ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
            padding = None if attention_mask is None else attention_mask == 0
            seen = self.encoder(self.words(ids), src_key_padding_mask=padding)
            return self.head(seen[:, 0])

    torch.manual_seed(0)
    model = Classifier().eval()
    kinds = ["Embedding", *["TransformerEncoderLayer"] * 3, "Linear"]
    assert [type(block).__name__ for block in blocks_of(model)] == kinds
    ids = torch.arange(30).view(6, 5) % 9
    values = LayerNeighbours()(Batch(model, {"ids": ids}, torch.arange(6) % 4))
    assert values.shape == (6, 5, 8)
    torch.testing.assert_close(values[:, 0], model.words(ids).mean(1))
    mask = torch.ones(6, 5, dtype=torch.int64)
    padded = {"ids": F.pad(ids, (0, 3)), "attention_mask": F.pad(mask, (0, 3))}
    torch.testing.assert_close(LayerNeighbours()(Batch(model, padded, torch.arange(6) % 4)), values)
