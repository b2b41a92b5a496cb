"""Features: fixed, finite, one row an input, kept once; each against a plain loop or the library's own answer."""

import importlib
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn
from torchvision.models import get_model

from noisybench.data.extraction import choose_features, features_of
from noisybench.data.features import patches
from noisybench.data.features.patches import Patches
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.sealed_arrays import write_array


@pytest.fixture(scope="module")
def images() -> Source:
    """Coloured noise with some structure, 40 images of 12 × 10."""
    generator = np.random.default_rng(0)
    smooth = generator.integers(0, 256, (40, 3, 3, 3)).repeat(4, 1).repeat(4, 2)[:, :12, :10]
    inputs = np.clip(smooth + generator.normal(0, 20, smooth.shape), 0, 255).astype(np.uint8)
    return source_from_arrays("coloured", inputs, np.arange(40) % 4)


def test_principal_components_are_those_of_the_covariance(digits: Source) -> None:
    """Against the eigenvectors of numpy, up to sign."""
    found = features_of(digits, "pca", {"components": "5"})
    flat = digits.inputs.reshape(len(digits.labels), -1).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
    expected = (flat - flat.mean(0)) @ vectors[:, ::-1][:, :5]
    assert np.allclose(np.abs(found), np.abs(expected), atol=1e-2)
    assert np.allclose(found.var(0, ddof=1), values[::-1][:5], rtol=1e-4)
    assert features_of(digits, "pca", {"components": "500"}).shape[1] == flat.shape[1]


def test_patches_are_the_responses_of_the_papers(images: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a loop over images, places and filters that does each step of Coates, Lee and Ng as it is written."""
    monkeypatch.setattr(patches, "principal", lambda values, _: values)
    how = Patches(filters=4, size=4, threshold=0.1)
    found = how(images, device="cpu")

    def normalised(patch: np.ndarray) -> np.ndarray:
        return (patch - patch.mean()) / np.sqrt(patch.var() + patches._NOISE)

    sample = np.stack([normalised(patch) for patch in how._random_patches(images).astype(np.float64)])
    values, vectors = np.linalg.eigh(np.cov(sample, rowvar=False))
    whitening = vectors @ np.diag(1 / np.sqrt(values + patches._SMALL)) @ vectors.T
    filters = [(patch - sample.mean(0)) @ whitening for patch in sample[:4]]
    for i in (0, 7):
        responses = np.zeros((9, 7, 4))
        for row in range(9):
            for column in range(7):
                seen = normalised(images.inputs[i, row : row + 4, column : column + 4].astype(np.float64).ravel())
                white = (seen - sample.mean(0)) @ whitening
                responses[row, column] = [white @ f / np.linalg.norm(f) for f in filters]
        pooled = [
            np.maximum(sign * responses - 0.1, 0)[rows, columns].mean((0, 1))
            for sign in (1, -1)
            for rows in (slice(0, 5), slice(4, 9))
            for columns in (slice(0, 4), slice(3, 7))
        ]
        assert np.allclose(found[i], np.concatenate(pooled), atol=2e-4)


def test_a_backbone_is_a_classifier_without_its_last_layer(images: Source, tmp_path: Path) -> None:
    """Weights of a file, of whatever classes: torchvision's own model with its last layer taken off says the same."""
    torch.manual_seed(0)
    model = get_model("resnet18", weights=None, num_classes=7).eval()
    torch.save(model.state_dict(), tmp_path / "own.pt")
    options = {"weights": str(tmp_path / "own.pt"), "size": "32"}
    found = features_of(images, "torchvision:resnet18", options)
    model.fc = nn.Identity()
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    shown = torch.tensor(images.inputs).permute(0, 3, 1, 2).float() / 255
    shown = nn.functional.interpolate(shown, (32, 32), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = model((shown - mean) / deviation).numpy()
    assert np.allclose(found, expected, atol=1e-4)
    word = choose_features("torchvision:resnet18", options).word
    assert re.fullmatch(r"torchvision:resnet18\(weights=[0-9a-f]{8},size=32\)", word)


def test_a_timm_backbone_takes_a_file_too(images: Source, tmp_path: Path) -> None:
    """Pooled features of timm's own model, whose classifier has other classes in the file."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=3).eval()
    torch.save({"state_dict": model.state_dict()}, tmp_path / "own.pth")
    found = features_of(images, "timm:resnet10t", {"weights": str(tmp_path / "own.pth"), "size": "32"})
    model.reset_classifier(0)
    assert found.shape == (40, model.num_features)
    with pytest.raises(BadData, match=r"holds the weights of another architecture than torchvision:resnet18: 'conv1"):
        features_of(images, "torchvision:resnet18", {"weights": str(tmp_path / "own.pth")})


def test_features_are_kept_under_all_that_decides_them(images: Source, tmp_path: Path) -> None:
    """A second call reads the file; other options or inputs are another file; one of other samples is refused."""
    first = features_of(images, "pca", {"components": "3"}, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    write_array(first + 1, path, sealed=True)
    assert np.array_equal(features_of(images, "pca", {"components": "3"}, cache=tmp_path), first + 1)
    features_of(images, "pca", {"components": "4"}, cache=tmp_path)
    other = source_from_arrays("coloured", 255 - images.inputs, images.labels)
    features_of(other, "pca", {"components": "3"}, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    write_array((first + 1)[:-1], path, sealed=True)
    with pytest.raises(BadData, match=r"has float32 of shape \(39, 3\), expected float32 of shape \(40, d\)"):
        features_of(images, "pca", {"components": "3"}, cache=tmp_path)


@pytest.mark.parametrize("damage", ["emptied", "cut", "zeroed", "one byte"])
def test_damaged_features_are_made_again(
    images: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """One line says so, and the file is what it was: zeros at its end would be features, too."""
    first = features_of(images, "pca", {"components": "3"}, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    flipped = bytes([whole[200] ^ 1])
    torn = {
        "emptied": b"",
        "cut": whole[:-40],
        "zeroed": whole[:200] + bytes(len(whole) - 200),
        "one byte": whole[:200] + flipped + whole[201:],
    }
    path.write_bytes(torn[damage])
    assert np.array_equal(features_of(images, "pca", {"components": "3"}, cache=tmp_path), first)
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} is damaged, or of an older version: the features are made again"
    ]
    assert path.read_bytes() == whole
    assert np.array_equal(np.load(path), first)


def test_edited_features_of_ones_own_are_made_again(
    images: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept of the code before is not taken for that of the code now."""
    code = (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Own:\n    def __call__(self, source, *, device):\n"
        "        return source.inputs.reshape(len(source.inputs), -1)[:, :3].astype('float32')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for columns in (3, 5):
        (tmp_path / "own_features.py").write_text(code.replace(":3", f":{columns}"), encoding="utf-8")
        sys.modules.pop("own_features", None)
        importlib.invalidate_caches()
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        assert features_of(images, "own_features:Own", cache=tmp_path / "kept").shape == (40, columns)
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_weights_of_a_deeper_backbone_are_refused(images: Source, tmp_path: Path) -> None:
    """A ResNet-34 has every weight of a ResNet-18, in the same shapes, and more."""
    torch.save(get_model("resnet34", weights=None).state_dict(), tmp_path / "deep.pt")
    options = {"weights": str(tmp_path / "deep.pt"), "size": "32"}
    with pytest.raises(BadData, match=r"another architecture than torchvision:resnet18: 'layer1.2.*expected nothing"):
        features_of(images, "torchvision:resnet18", options)


@pytest.mark.parametrize(
    ("name", "options", "kind", "sentence"),
    [
        ("pcaa", {}, UnknownName, "no feature is called 'pcaa'; did you mean 'pca'"),
        ("pca", {"component": "3"}, UnknownName, "did you mean 'components'"),
        ("pca", {"components": "0"}, BadUsage, "components must be at least 1, got 0"),
        ("patches", {"size": "11"}, BadUsage, "patches of 11 × 11 do not fit into images of 12 × 10"),
        ("patches", {"threshold": "nan"}, BadUsage, "threshold must be a number of at least 0, got nan"),
        ("torchvision:resnet81", {}, UnknownName, "did you mean 'resnet18'"),
        ("timm:resnet_no", {}, UnknownName, "no timm model is called 'resnet_no'"),
        ("torchvision:resnet18", {"size": "1"}, BadUsage, "size must be at least 8, got 1"),
        ("torchvision:resnet18", {"weights": "none.pt", "size": "16"}, BadData, "none.pt cannot be read: No such file"),
        ("torchvision:resnet18", {"architecture": "alexnet"}, BadUsage, "the architecture is given twice"),
    ],
)
def test_what_features_refuse(
    images: Source, name: str, options: dict[str, str], kind: type[Exception], sentence: str
) -> None:
    """One sentence each."""
    with pytest.raises(kind, match=sentence):
        features_of(images, name, options)


def test_features_of_images_say_so(digits: Source, tmp_path: Path) -> None:
    """Columns are no images; a pickle is no weights."""
    flat = source_from_arrays("columns", np.ones((4, 3), dtype=np.float32), np.arange(4))
    with pytest.raises(
        BadUsage, match=r"features 'patches' are of images; source 'columns' has inputs of shape \(3,\)"
    ):
        features_of(flat, "patches")
    torch.save({"weight": PCA()}, tmp_path / "bad.pt")
    with pytest.raises(BadData, match="cannot be read as weights: it holds no plain tensors"):
        features_of(digits, "torchvision:resnet18", {"weights": str(tmp_path / "bad.pt")})
