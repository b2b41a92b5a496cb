"""Models: each takes what it says and gives a logit a class."""

import pytest
import torch
from torch import nn

from noisybench.ground.errors import BadUsage, MissingPackage, UnknownName
from noisybench.ground.lookup import find


@pytest.mark.parametrize("name", ["mlp", "small_cnn", "resnet18", "torchvision:resnet18", "timm:resnet10t"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_images_to_logits(name: str, shape: tuple[int, int, int]) -> None:
    """Grey and coloured images of any of the usual sizes give one logit a class, and a batch of one in eval mode."""
    model = find("models", name)(num_classes=7, input_shape=shape).eval()
    with torch.no_grad():
        assert model(torch.randn(1, *shape)).shape == (1, 7)


def test_weights_come_from_torchs_generator() -> None:
    """The same seed gives the same weights, so a run's seed decides them."""
    builds = []
    for _ in range(2):
        torch.manual_seed(3)
        builds.append(find("models", "small_cnn")(num_classes=3, input_shape=(3, 32, 32)).state_dict())
    assert all(torch.equal(value, builds[1][name]) for name, value in builds[0].items())


def test_resnet18_has_the_cifar_stem() -> None:
    """No stride and no pooling before the first block: 32 pixels stay 32; as many weights as the papers' network."""
    model = find("models", "resnet18")(num_classes=10, input_shape=(3, 32, 32))
    assert isinstance(model.conv1, nn.Module)
    assert model.conv1(torch.randn(1, 3, 32, 32)).shape[-2:] == (32, 32)
    assert isinstance(model.maxpool, nn.Identity)
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_173_962


def test_mlp_has_one_hidden_layer_of_128() -> None:
    """64 inputs: 64·128 + 128 weights, then 128·10 + 10."""
    model = find("models", "mlp")(num_classes=10, input_shape=(64,))
    assert sum(parameter.numel() for parameter in model.parameters()) == 64 * 128 + 128 + 1280 + 10


@pytest.mark.parametrize("name", ["small_cnn", "resnet18", "torchvision:resnet18"])
def test_features_are_no_images(name: str) -> None:
    """A convolutional network says what it takes instead of failing inside."""
    with pytest.raises(BadUsage, match=r"takes images of at least 8 × 8, got inputs of shape \(64,\); use mlp"):
        find("models", name)(num_classes=3, input_shape=(64,))


def test_unknown_names_name_the_nearest() -> None:
    """Other libraries' models get the same help as ours."""
    with pytest.raises(UnknownName, match="did you mean 'resnet18'"):
        find("models", "torchvision:resnet81")
    with pytest.raises(UnknownName, match="timm model"):
        find("models", "timm:no_such_model")


def test_a_missing_timm_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the sentence holds the command."""
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(MissingPackage, match=r"pip install 'noisybench\[timm\]'"):
        find("models", "timm:resnet10t")
