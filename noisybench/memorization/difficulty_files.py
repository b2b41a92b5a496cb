"""A difficulty of each sample, from a file: someone else's scores, or memorization that was measured here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from noisybench.ground.arrays import Floats, read_only
from noisybench.ground.errors import BadUsage, Mismatch
from noisybench.ground.files import column_names, read_metadata
from noisybench.memorization.estimate import read_memorization
from noisybench.variants.sample_files.values import Tell, read_given
from noisybench.variants.variant import Variant, variant_id


def read_difficulty(
    path: str | Path,
    variant: Variant,
    *,
    lower_is_harder: bool = False,
    sample_names: Sequence[str] | None = None,
    tell: Tell = lambda _: None,
) -> Floats:
    """A difficulty of each sample, shape (n,), higher is harder; NaN where a memorization is unknown.

    The file holds scores, as ``read_given`` reads them, or is a ``memorization.parquet``. It may be of the variant's
    labels or of its clean ones, as published C-scores are.

    Args:
        path: The file.
        variant: The labels.
        lower_is_harder: The scores have the other sign, as C-scores have.
        sample_names: What people call each sample, shape (n,), as ``Source.sample_names``.
        tell: Called with a sentence for what was taken for granted of the file.

    Raises:
        BadUsage: A kind of file that cannot be read, or the other sign for a memorization.
        BadData: It cannot be read, or holds something else.
        Mismatch: It is of other labels.
    """
    path = Path(path)
    if is_memorization(path):
        if lower_is_harder:
            msg = f"{path} holds memorization, which is high where a sample is hard; leave out --lower-is-harder"
            raise BadUsage(msg)
        found, own, clean = read_memorization(path), variant.provenance.variant_id, clean_variant_id(variant)
        if found.variant_id not in (own, clean):
            msg = (
                f"{path} is of variant {found.variant_id[:12]!r}, neither of these labels ({own[:12]}) nor of the clean "
                f"ones ({clean[:12]})"
            )
            raise Mismatch(msg)
        return found.values
    values = read_given(path, variant, "scores", of_clean=True, sample_names=sample_names, tell=tell).values
    return read_only(0.0 - values) if lower_is_harder else values


def is_memorization(path: str | Path) -> bool:
    """Whether a file has the columns that ``noisybench memorize`` writes."""
    path = Path(path)
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return False
    there = set(column_names(path))
    return "memorization" in there and ("p_in" in there or "learner" in read_metadata(path))


def is_circular(path: str | Path, variant: Variant) -> bool:
    """Whether a file holds the memorization of the variant's own labels, where wrong ones are hard for being wrong."""
    noisy = bool(variant.mislabeled.any())
    return noisy and is_memorization(path) and read_memorization(Path(path)).variant_id == variant.provenance.variant_id


def clean_variant_id(variant: Variant) -> str:
    """Id of the label column of the same source that holds the clean labels, and the given ones where none is known."""
    labels = np.where(variant.class_known, variant.clean, variant.labels)
    return variant_id(variant.provenance.source_sha256, labels)
