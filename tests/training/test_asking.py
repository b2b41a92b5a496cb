"""Asking: features and logits of one pass, for models of many makes."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from noisybench.data.loading import load_source
from noisybench.ground.errors import BadUsage
from noisybench.ground.lookup import find
from noisybench.training.asking import Batch
from noisybench.training.model import check_model


class Counting(nn.Module):
    """A network that counts its passes."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 4), nn.ReLU())
        self.head = head
        self.passes = 0

    def forward(self, x: Tensor) -> Any:  # noqa: ANN401 - as a model may
        self.passes += 1
        return self.head(self.body(x))


def inputs_and_labels(*shape: int) -> tuple[Tensor, Tensor]:
    return torch.randn(8, *shape, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4


@pytest.mark.parametrize("first", ["logits", "features"])
@pytest.mark.parametrize("num_classes", [None, 4])
def test_features_are_what_the_last_linear_layer_is_given(first: str, num_classes: int | None) -> None:
    """Of the pass that gives the logits, whichever is asked first; nothing of it needs a gradient or stays hooked."""
    torch.manual_seed(0)
    model = Counting(nn.Linear(4, 4))  # as wide as what it is given, which a layer before gives too
    inputs, labels = inputs_and_labels(6)
    batch = Batch(model, inputs, labels, num_classes=num_classes)
    getattr(batch, first)
    features, logits = batch.features, batch.logits
    assert model.passes == 1
    assert features.shape == (8, 4)
    assert not features.requires_grad
    torch.testing.assert_close(features, model.body(inputs))
    torch.testing.assert_close(F.linear(features, model.head.weight, model.head.bias), logits)  # type: ignore[arg-type]
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_pass_that_fails_leaves_no_hook() -> None:
    """The model is as it was, so that the next pass is not looked at."""
    model = Counting(nn.Linear(4, 4))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        _ = Batch(model, torch.randn(8, 5), torch.arange(8) % 4).features
    assert not any(module._forward_pre_hooks for module in model.modules())


class Head(nn.Linear):
    """A linear layer with something after its product."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "head",
    [
        nn.Identity(),
        nn.Sequential(nn.Linear(4, 4), nn.LogSoftmax(1)),
        nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)),
        nn.Sequential(nn.Linear(4, 4), nn.Flatten(), nn.ReLU()),
        Head(4, 4),
        nn.Sequential(nn.Linear(4, 7), nn.AdaptiveAvgPool1d(4)),
    ],
)
def test_logits_of_another_origin_are_refused(head: nn.Module) -> None:
    """Weight times features plus bias must be the logits: anything after the last linear layer is seen."""
    torch.manual_seed(1)
    inputs, labels = inputs_and_labels(6)
    batch = Batch(Counting(head).eval(), inputs, labels)
    with pytest.raises(BadUsage, match="the logits of Counting are not what an nn.Linear of it gives"):
        _ = batch.features
    assert batch.logits.shape == (8, 4)


def test_recorded_logits_have_no_features() -> None:
    """They are a model's output, of which nobody knows any more how it came."""
    with pytest.raises(BadUsage, match="logits of Identity"):
        _ = Batch(nn.Identity(), torch.randn(8, 4), torch.arange(8) % 4).features


def test_a_head_that_flattens_is_one() -> None:
    """Features of shape (b, 1, d) are (b, d)."""
    model = nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Linear(6, 4), nn.Flatten())
    inputs, labels = inputs_and_labels(6)
    assert torch.equal(Batch(model, inputs, labels).features, inputs)


def test_a_layer_that_runs_after_the_head_is_not_it() -> None:
    """Where the number of classes is known, an auxiliary output of another width does not count."""

    class TwoHeads(Counting):
        def __init__(self) -> None:
            super().__init__(nn.Linear(4, 5))
            self.auxiliary = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> SimpleNamespace:
            seen = self.body(x)
            return SimpleNamespace(logits=self.head(seen), other=self.auxiliary(seen + 1))

    model = TwoHeads()
    inputs, labels = inputs_and_labels(6)
    torch.testing.assert_close(Batch(model, inputs, labels, num_classes=5).features, model.body(inputs))


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float64])
def test_weights_of_another_precision(precision: torch.dtype) -> None:
    """Features and logits are float32 whatever the model computes in."""
    model = Counting(nn.Linear(4, 4)).to(precision)
    inputs, labels = inputs_and_labels(6)
    batch = Batch(model, inputs.to(precision), labels)
    assert batch.features.dtype == batch.logits.dtype == torch.float32
    torch.testing.assert_close(batch.features, model.body(inputs.to(precision)).float())


def test_a_classifier_of_torchvision() -> None:
    """Its head is called ``fc``; what it is given is the pooled map."""
    pytest.importorskip("torchvision")
    torch.manual_seed(0)
    model = find("models", "torchvision:resnet18")(num_classes=4, input_shape=(3, 32, 32)).eval()
    inputs, labels = inputs_and_labels(3, 32, 32)
    batch = Batch(model, inputs, labels)
    pooled = nn.Sequential(*list(model.children())[:-1])(inputs).flatten(1)
    torch.testing.assert_close(batch.features, pooled)
    torch.testing.assert_close(batch.logits, model.fc(pooled))


class Transformer(nn.Module):
    """A classifier of two inputs by name whose answer holds ``logits``, as those of Hugging Face are."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.classifier = nn.Linear(8, 4)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        seen = self.encoder(self.words(input_ids), src_key_padding_mask=attention_mask == 0)
        return SimpleNamespace(logits=self.classifier(input=seen[:, 0]), hidden_states=seen)


def test_a_classifier_of_hugging_face_s_kind() -> None:
    """Several inputs by name, an answer that holds logits, and the same bits as without being looked at."""
    torch.manual_seed(0)
    model = Transformer().eval()
    given = {"input_ids": torch.arange(40).view(8, 5) % 20, "attention_mask": torch.ones(8, 5, dtype=torch.int64)}
    batch = Batch(model, given, torch.arange(8) % 4, num_classes=4)
    assert batch.features.shape == (8, 8)
    with torch.no_grad():
        answer = model(**given)
    assert torch.equal(batch.features, answer.hidden_states[:, 0])
    assert torch.equal(batch.logits, answer.logits)


def test_a_scale_that_is_one_before_training_is_no_head() -> None:
    """It is seen before a training begins, and the model is left with the weights that it had."""

    class Tempered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
            self.temperature = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x) * self.temperature

    built = Tempered()

    def build(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
        del num_classes, input_shape
        return built

    source, probe = load_source("digits", limit=20), find("probes", "gradient_norm")
    assert [*check_model(build, source, [probe])] == ["gradient_norm"]
    assert built.temperature == 1
    assert check_model(find("models", "mlp"), source, [probe]) == {}
