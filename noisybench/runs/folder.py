"""What stands beside the runs of a variant: the variant itself, and the names of its samples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisybench.cards.variant_card import write_cards
from noisybench.data.source import Source
from noisybench.ground.errors import BadData
from noisybench.ground.files import replacing
from noisybench.variants.variant import Variant, read_variant, write_variant


def keep_variant(variant: Variant, folder: Path, source: Source | None = None) -> None:
    """Lay a variant beside its runs, unless it is there, and with it the names of the source's samples.

    Raises:
        BadData: The same labels are there with another truth, which the finished runs were compared with, or with other
            names of the classes.
    """
    if not (folder / "variant.json").is_file():
        write_variant(variant, folder)
    else:
        there = read_variant(folder)
        same = {
            "clean labels": np.array_equal(there.clean, variant.clean),
            "class names": there.class_names == variant.class_names,
        }
        for what, alike in same.items():
            if not alike:
                msg = f"{folder.parent} holds runs of the same labels against other {what}; give another --out"
                raise BadData(msg)
    if not (folder / "croissant.json").is_file():  # the last of them
        write_cards(variant, folder)
    if source is not None and source.sample_names is not None and not (folder.parent / NAMES).is_file():
        names = pa.array(source.sample_names, pa.large_string())
        with replacing(folder.parent / NAMES) as part:
            pq.write_table(pa.table({"name": names}), part, compression="zstd")


NAMES = "samples.parquet"
"""Beside the runs of a variant: what people call its samples. Found in the source, never hashed, never published."""


def read_names(home: Path, n: int) -> Sequence[str]:
    """What people call the samples of a variant, shape (n,), as ``keep_variant`` left it; all empty where nobody did.

    Raises:
        BadData: The file is damaged, or of other samples.
    """
    path = home / NAMES
    if not path.is_file():
        return [""] * n
    try:
        names = pq.read_table(path, schema=pa.schema({"name": pa.large_string()}))["name"].to_pylist()
    except (OSError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{path} cannot be read as Parquet: {reason}; delete it, and evaluate again"
        raise BadData(msg) from None
    if len(names) != n or None in names:
        msg = f"{path} has {len(names)} names, the variant has {n} samples; delete it, and evaluate again"
        raise BadData(msg)
    return names
