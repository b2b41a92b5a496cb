"""Models: each takes what it says and gives a logit a class."""

import pickle

import pytest
import torch
from torch import nn

from noisybench.ground.errors import BadUsage, MissingPackage, UnknownName
from noisybench.ground.lookup import find
from noisybench.training.model import find_model


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


@pytest.mark.parametrize(
    ("spec", "name", "weights"),
    [
        ("mlp(width=8)", "mlp(width=8)", 64 * 8 + 8 + 8 * 10 + 10),
        (" mlp ( width = 8 ) ", "mlp(width=8)", 64 * 8 + 8 + 8 * 10 + 10),
        ("mlp(width=128)", "mlp", 64 * 128 + 128 + 1280 + 10),
        ("mlp()", "mlp", 64 * 128 + 128 + 1280 + 10),
        # a stem of 16 weights and three blocks of 9 a pair of channels, 2 a channel of each norm, then 8 × 10 + 10
        ("small_cnn(width=2)", "small_cnn(width=2)", 2 * 16 + 9 * (8 + 32 + 64) + 2 * (2 + 4 + 8 + 8) + 90),
        ("small_cnn(width=16)", "small_cnn", None),
        ("resnet18(width=64)", "resnet18", None),
        ("mlp(activation=silu, width=8)", "mlp(width=8, activation=silu)", 64 * 8 + 8 + 8 * 10 + 10),
        ("small_cnn(activation=relu)", "small_cnn", None),
    ],
)
def test_options_stand_in_brackets(spec: str, name: str, weights: int | None) -> None:
    """One model has one name, which a default is not in; another process can be sent the function."""
    found, build = find_model(spec)
    assert found == name
    if weights is not None:
        model = pickle.loads(pickle.dumps(build))(num_classes=10, input_shape=(1, 8, 8))  # noqa: S301 - just written
        assert sum(parameter.numel() for parameter in model.parameters()) == weights


def test_a_narrow_resnet18_is_the_same_network() -> None:
    """An eighth as wide: every weight of the stages has an eighth of the channels, and begins with as large an answer."""
    torch.manual_seed(0)
    narrow, wide = (find_model(name)[1](num_classes=10, input_shape=(3, 8, 8)) for name in NARROW_AND_WIDE)
    shapes = {key: value.shape for key, value in wide.state_dict().items()}
    for key, value in narrow.state_dict().items():
        assert all(size in (whole, whole / 8) for size, whole in zip(value.shape, shapes[key], strict=True)), key
    last = narrow.state_dict()["layer4.1.conv2.weight"]  # He's: variance 2 / (9 × 64 outputs)
    assert float(last.std()) == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)
    assert narrow(torch.randn(2, 3, 8, 8)).shape == (2, 10)


NARROW_AND_WIDE = ("resnet18(width=8)", "resnet18")


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("mlp(depth=3)", UnknownName, "no option of model 'mlp' is called 'depth'"),
        ("mlp(width=wide)", BadUsage, "option 'width' of model 'mlp' must be a whole number, got 'wide'"),
        ("mlp(activation=elu)", BadUsage, "must be one of relu, silu, gelu, tanh, got 'elu'"),
        ("mlp(width=3", BadUsage, "a model reads name"),
        ("mlp(width=3, width=4)", BadUsage, "given twice"),
        ("mpl(width=3)", UnknownName, "did you mean 'mlp'"),
        ("torchvision:resnet18(width=3)", UnknownName, "model 'torchvision:resnet18' has no options"),
    ],
)
def test_options_that_are_none(spec: str, error: type[Exception], words: str) -> None:
    """One sentence each."""
    with pytest.raises(error, match=words):
        find_model(spec)


def test_a_width_of_none() -> None:
    """It is said before anything is trained, by whoever builds the model."""
    with pytest.raises(BadUsage, match="width must be at least 1, got 0"):
        find_model("mlp(width=0)")[1](num_classes=3, input_shape=(4,))


@pytest.mark.parametrize("name", ["mlp", "small_cnn(width=2)", "resnet18(width=2)"])
@pytest.mark.parametrize(("word", "kind"), [("silu", nn.SiLU), ("gelu", nn.GELU), ("tanh", nn.Tanh)])
def test_another_activation_takes_the_place_of_each_relu(name: str, word: str, kind: type[nn.Module]) -> None:
    """As many as there were, and the weights begin as they did: the activation is all that differs."""
    told = name.partition("(")[2].rstrip(")")
    spec = f"{name.partition('(')[0]}({', '.join(filter(None, (told, f'activation={word}')))})"
    made = {}
    for each in (name, spec):
        torch.manual_seed(0)
        found, build = find_model(each)
        made[each] = build(num_classes=3, input_shape=(1, 8, 8)).eval()
        assert found == each
    before, after = (
        [sum(isinstance(m, one) for m in model.modules()) for one in (nn.ReLU, kind)] for model in made.values()
    )
    assert before[0] > 0
    assert after == [0, before[0]]
    plain, other = (model.state_dict() for model in made.values())
    assert all(torch.equal(plain[key], other[key]) for key in plain)
    images = torch.randn(4, 1, 8, 8)
    assert not torch.allclose(made[name](images), made[spec](images))


def test_an_activation_of_none() -> None:
    """From Python too it is one sentence."""
    with pytest.raises(BadUsage, match="activation must be one of relu, silu, gelu, tanh, got 'elu'"):
        find("models", "mlp")(num_classes=3, input_shape=(4,), activation="elu")
