"""NoisyAG-News: news in four topics, labelled by sixty people, as frequencies of words or as sentence embeddings."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._requested import first_existing, requested_folder
from noisybench.data.tables.text_features import COLUMNS as WORDS
from noisybench.data.tables.text_features import text_features
from noisybench.ground.arrays import Features, Labels
from noisybench.ground.errors import BadData, MissingPackage
from noisybench.ground.options import plain_options

CLASS_NAMES = ("World", "Sports", "Business", "Sci/Tech")
COLUMNS = ("label", "gt", "text")
HOW = (
    "get samples40000trainMed.csv (or Best, or Worst) and samplesTest.csv, with columns label, gt, text, group, from "
    "github.com/hhf-hd/NoisyAG-News or its authors, into one folder"
)


@dataclass(frozen=True, slots=True)
class NoisyAGNews:
    """NoisyAG-News from its CSV files. The labels of AG News are the clean ones; the test set has them alone.

    The inputs are TF-IDF of the commonest words of the training file, without those of scikit-learn's English stop list;
    a limit changes neither the words nor their weights.

    Source: Huang et al. 2024, arXiv:2407.06579.

    Attributes:
        labels: How three people's labels became one: ``best`` (the clean one if anybody gave it), ``med`` (the
            majority), ``worst`` (the clean one only if all gave it).
        split: The file of training samples: ``train``, or ``val``, which the authors' repository has.
        columns: How many words are columns.
        encoder: Name of a sentence encoder of the package sentence-transformers, whose embeddings are taken in place
            of words, such as ``all-MiniLM-L6-v2``. They may differ a little between machines.

    Raises:
        BadUsage: No folder is given.
        BadData: A file is missing, damaged or cut, or the encoder cannot be loaded.
        MissingPackage: The encoder needs a package that is not installed.
    """

    labels: Literal["best", "med", "worst"] = "med"
    split: Literal["train", "val"] = "train"
    columns: int = WORDS
    encoder: str | None = None

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        data = requested_folder("noisyag_news", data, HOW)
        roots = [data, data / "dataset", data / "numGroup", data / "dataset" / "numGroup"]
        file = _training_file(roots, self.split, self.labels.capitalize())
        texts, given, clean = _read(file)
        test_texts, _, tested = _read(first_existing([root / "samplesTest.csv" for root in roots], HOW))
        if self.encoder is None:
            inputs, test_inputs = text_features(
                texts, test_texts, columns=self.columns, stop_words="english", what=f"the texts of {file}"
            )
        else:
            # No text changes another's embedding, so that the limit saves work; one below one is refused with the arrays.
            kept = texts if limit is None else texts[: max(limit, 1)]
            inputs, test_inputs = _embeddings(self.encoder, kept, test_texts)
        return source_from_arrays(
            "noisyag_news",
            inputs,
            given,
            clean=clean,
            test_inputs=test_inputs,
            test_labels=tested,
            class_names=CLASS_NAMES,
            order=f"of {file.name}",
            options=plain_options(self),
            limit=limit,
            texts=texts,
        )


def _training_file(roots: list[Path], split: str, kind: str) -> Path:
    """``samples40000trainMed.csv``, or another number; the largest where there are several."""
    found = [path for root in roots for path in root.glob(f"samples*{split}{kind}.csv") if _told(path)]
    if found:
        return max(found, key=_told)
    other = sorted({path.name for root in roots for path in root.glob("samples*.csv")} - {"samplesTest.csv"})
    there = f"; there are {', '.join(other)}: choose with --source-set split=… and labels=…" if other else ""
    msg = f"{roots[0]} has no samples<number>{split}{kind}.csv{there or f'; {HOW}'}"
    raise BadData(msg)


def _told(file: Path) -> int:
    """How many samples the name of a file tells; 0 where it tells none."""
    number = re.match(r"samples([0-9]+)", file.name)
    return int(number[1]) if number else 0


def _read(file: Path) -> tuple[list[str], Labels, Labels]:
    """Texts, given labels (n,) and clean labels (n,)."""
    texts: list[str] = []
    labels: list[tuple[int, int]] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            missing = set(COLUMNS) - set(rows.fieldnames or ())
            if missing:
                there = ", ".join(rows.fieldnames or ()) or "none"
                msg = f"{file} has no column {min(missing)}; it has: {there[:200]}"
                raise BadData(msg)
            for row in rows:
                pair = (_topic(row["label"]), _topic(row["gt"]))
                if min(pair) < 0 or not (row["text"] or "").strip() or None in row:
                    msg = (
                        f"the row that ends in line {rows.line_num} of {file} has label {row['label']!r}, gt "
                        f"{row['gt']!r} and text {(row['text'] or '')[:20]!r}; expected classes 0..3 and a text"
                    )
                    raise BadData(msg)
                texts.append(row["text"])
                labels.append(pair)
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror}; {HOW}"
        raise BadData(msg) from None
    except (csv.Error, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, csv.Error) else "it is no text in UTF-8"
        msg = f"{file} is damaged or cut ({reason}); copy it again"
        raise BadData(msg) from None
    if not texts or _told(file) not in (0, len(texts)):
        msg = f"{file} has {len(texts):,} samples, expected {f'{_told(file):,}, as its name tells' if texts else 'some'}; copy it again"
        raise BadData(msg)
    both = np.array(labels, dtype=np.int64)
    return texts, both[:, 0].copy(), both[:, 1].copy()


def _topic(text: str | None) -> int:
    return int(text) if text in ("0", "1", "2", "3") else -1


def _embeddings(name: str, texts: Sequence[str], tested: Sequence[str]) -> tuple[Features, Features]:
    """Embeddings of both by a pretrained encoder, (n, d) and (m, d)."""
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError:
        msg = f"encoder '{name}' needs the package 'sentence-transformers': pip install 'noisybench[text]'; or leave it out"
        raise MissingPackage(msg) from None
    try:
        encoder: Any = SentenceTransformer(name)
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"encoder '{name}' cannot be loaded ({reason}); leave it out, or name one of sentence-transformers"
        raise BadData(msg) from None
    inputs, test_inputs = (
        np.asarray(encoder.encode(list(part), show_progress_bar=False), dtype=np.float32) for part in (texts, tested)
    )
    return inputs, test_inputs


SOURCE: type[LoadSource] = NoisyAGNews
