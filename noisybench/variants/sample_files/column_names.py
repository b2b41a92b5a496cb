"""What columns of anyone's file are called: whose the rows are, with which labels, and the scores of known tools."""

from collections.abc import Collection, Sequence

IDS = ("sample", "sample_id", "sample_index", "sample_idx", "guid", "id", "ids")
"""Names of a column of sample ids, the first that is there."""
INDICES = ("index", "idx")
"""As ``IDS``, where there is nothing better: cartography's metrics have an ``index`` that counts shuffled rows."""
FILES = (
    "file_name", "filename", "file", "path", "file_path", "filepath", "image_path", "image_file", "image", "img_path",
    "image_id", "uid", "uuid", "key", "sample_name", "name",
)  # fmt: skip
"""Names of a column of what people call the samples: ids where the samples of a variant have names."""
ROW_NAMES = ("", "Unnamed: 0", "__index_level_0__")
"""Names that the row names of a data frame get in a file: ids where there is no column of them."""
COUNTING = ("sample", "sample_index", "sample_idx", *INDICES, *ROW_NAMES)
"""Those whose whole numbers can be nothing but positions."""
VARIANT_ID = "variant_id"
LABELS = ("labels", "label", "given_labels", "given_label", "noisy_labels", "noisy_label")
"""Names under which a file may say with which labels it was made."""

LOWER = {"aum": "AUM", "label_score": "cleanlab", "label_quality": "cleanlab"}
"""Scores of known tools that are low where a label is suspicious → the tool; of several in a file, the first is read."""
CARTOGRAPHY = {
    "confidence": True,
    "correctness": True,
    "forgetfulness": False,
    "variability": False,
    "threshold_closeness": False,
}
"""Metrics of dataset cartography → whether they are low where a label is suspicious. The last two are high for ambiguous
samples and low for the rest, the mislabeled ones among them."""
_MAP = ("confidence", "variability", "correctness")  # columns by which cartography's file is known


def ids_among(
    there: Sequence[str], but: Collection[str] = (), *, named: bool = False, own: Sequence[str] = ()
) -> str | None:
    """The column that says whose the rows are, in any case; None where there is none.

    Args:
        there: The columns.
        but: Names of something else.
        named: Whether samples have names that files and other texts can be matched by.
        own: What the variant's own table calls such a column.
    """
    called = (*own, *IDS[4:], *FILES) if named else IDS[4:]
    wanted = (*IDS[:4], *called, *INDICES, *ROW_NAMES)
    folded = {name.casefold(): name for name in reversed(there) if name not in but}
    return next((folded[name.casefold()] for name in wanted if name.casefold() in folded), None)


def scores_among(there: Collection[str]) -> str | None:
    """The column of scores of a known tool; None where there is none."""
    if set(there) >= set(_MAP):
        return _MAP[0]
    return next((name for name in LOWER if name in there), None)


def sign_of(column: str, there: Collection[str]) -> tuple[bool, str] | None:
    """Whether scores of a known tool are low where a label is suspicious, and whose they are; None of others."""
    if set(there) >= set(_MAP) and column in CARTOGRAPHY:
        return CARTOGRAPHY[column], "dataset cartography"
    if column in LOWER:
        return True, LOWER[column]
    if f"is_{column.removesuffix('_score')}_issue" in there and column.endswith("_score"):
        return True, "cleanlab"
    return None
