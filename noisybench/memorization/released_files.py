"""Memorization that others measured and released, read in the layouts of their files and joined by checked labels.

Three layouts are known by the names of their arrays, as the authors' pages and code describe them. Memorization is of the
labels that the models were trained on: the labels in the file, or those that its predictions and its marks of what was
correct imply, must be the given ones of the variant, sample by sample. No torch here, and nothing is unpickled.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np

from noisybench.ground.archives import StoredArrays
from noisybench.ground.arrays import Indices, Labels, read_only
from noisybench.ground.checks import a_path
from noisybench.ground.claims import check_regular
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import NO_ARRAY, file_name
from noisybench.memorization.estimate import Counts, Memorization, memorization_of_counts
from noisybench.memorization.learner import RELEASED, Estimand, Learner
from noisybench.variants.sample_names import rows_by_name
from noisybench.variants.variant import Variant

ROUNDING = 1e-5
"""Difference up to which a released number, in float32, is the one that is computed again."""
SHORT = 6
"""Digits of a file's digest that tell one learner's name from another's."""


@dataclass(frozen=True, slots=True)
class Release:
    """One layout of released files.

    Attributes:
        of: Who measured it, and with which model: the name of the learner's model.
        source: Citation.
        needs: Names of the arrays that a file of this layout has.
        values: Of these, the array of the values; empty where they are computed.
        labels: The array of labels; empty where they are implied.
        names: The array of file names, of files that have one.
        estimand: What the values are.
        fraction: Share of the samples in each subset; None where it varies, or is counted.
        epochs: Of training; 0 where the file's page does not say.
    """

    of: str
    source: str
    needs: tuple[str, ...]
    values: str = ""
    labels: str = ""
    names: str = ""
    estimand: Estimand = "subsets"
    fraction: float | None = None
    epochs: int = 0


RELEASES = (
    Release(
        "resnet50 of Feldman and Zhang 2020",
        "Feldman and Zhang 2020, arXiv:2008.03703; pluskid.github.io/influence-memorization",
        ("tr_mem", "tr_labels"),
        values="tr_mem",
        labels="tr_labels",
        names="tr_filenames",
        fraction=0.7,
    ),
    Release(
        "resnet34 of Lim et al. 2024",
        "Lim, Larson and Leach 2024, arXiv:2412.00244; Zenodo 14687826",
        ("trainset_mask", "trainset_correctness", "trainset_predictions"),
        epochs=80,
    ),
    Release(
        "inception of Jiang et al. 2021",
        "Jiang, Zhang, Talwar and Mozer 2021, arXiv:2002.03206; pluskid.github.io/structural-regularity",
        ("scores", "labels"),
        values="scores",
        labels="labels",
        names="filenames",
        estimand="c_score",
    ),
)
"""Layouts, told apart by their arrays."""
C_SCORES = RELEASES[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Released:
    """What a released file says of a variant.

    Attributes:
        memorization: The measurement; what the file does not hold is NaN.
        record: Whose it is, and the name and digest of the file.
        notes: What was taken for granted or is not as one might expect, a sentence each.
    """

    memorization: Memorization
    record: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Name of the folder of the measurement."""
        return folder_of_released(self.memorization.learner, self.record["sha256"])


def folder_of_released(learner: Learner, sha256: str) -> str:
    """Name of the folder of a released measurement, safe on every file system."""
    return f"{file_name(learner.model.replace(' ', '_'))}-{RELEASED}-{sha256[:8]}"


def read_released(path: str | Path, variant: Variant, *, sample_names: Sequence[str] | None = None) -> Released:
    """A released measurement of memorization of the given labels of a variant.

    Args:
        path: ``cifar100_infl_matrix.npz`` or ``imagenet_index.npz`` of Feldman and Zhang, a file ``*-infl-mem.npz`` of
            Zenodo 14687826, or a file of C-scores, which is recognised by ``cscores`` in its name.
        variant: The labels that it must be of. Samples that a ``--limit`` kept are the first of the file.
        sample_names: What people call each sample, shape (n,), for files whose rows are matched by file names.

    Raises:
        BadUsage: The file matches its rows by names, and the samples have none.
        BadData: It cannot be read, is of no known layout, or contradicts itself.
        Mismatch: It is of other labels.
    """
    path = a_path(path)
    check_regular(path)
    digest = file_digest(path)
    try:
        if not is_zipfile(path):
            raise BadZipFile
        with ZipFile(path) as archive:
            arrays = StoredArrays(archive, path)
            release = _release_of(arrays)
            learner = Learner(
                model=release.of,
                recipe=RELEASED,
                epochs=release.epochs,
                trained=digest[:SHORT],
                fraction=release.fraction,
                balanced=False,
                estimand=release.estimand,
            )
            if release.values:
                found, notes = _given(arrays, release, learner, variant, sample_names)
            else:
                found, notes = _counted(arrays, learner, variant)
    except (BadData, BadUsage):
        raise
    except NO_ARRAY as error:
        reason = getattr(error, "strerror", None) or "it is damaged, or no .npz file"
        msg = f"{path} cannot be read: {reason}; download it again"
        raise BadData(msg) from None
    record = {"of": release.of, "source": release.source, "file": path.name, "sha256": digest}
    return Released(found, record, tuple(notes))


def _release_of(arrays: StoredArrays) -> Release:
    """The layout of a file."""
    there = arrays.names
    for release in RELEASES:
        if set(release.needs) <= there and (release is not C_SCORES or "cscores" in arrays.path.name.lower()):
            return release
    known = "; ".join(", ".join(release.needs) for release in RELEASES)
    shown = ", ".join(sorted(there)[:8]) or "nothing"
    msg = (
        f"{arrays.path} holds {shown}, and is no released memorization that is known (arrays {known}, the last with 'cscores' "
        f"in the name of the file); 'noisybench score VARIANT --scores FILE' takes anybody's scores as a detector"
    )
    raise BadData(msg)


# Values that the file holds


def _given(
    arrays: StoredArrays, release: Release, learner: Learner, variant: Variant, sample_names: Sequence[str] | None
) -> tuple[Memorization, list[str]]:
    """Values of a file, for the samples whose labels are the file's."""
    values, labels = arrays.read(release.values), arrays.read(release.labels)
    if labels.dtype.kind not in "iu" or values.dtype.kind != "f" or labels.shape != values.shape:
        msg = (
            f"{arrays.path}: {release.labels!r} is {labels.dtype} of shape {labels.shape}, {release.values!r} {values.dtype} of "
            f"shape {values.shape}; expected a whole number and a number for each sample"
        )
        raise BadData(msg)
    lowest = 0.0 if release.estimand == "c_score" else -1.0
    odd = np.flatnonzero(~((values >= lowest) & (values <= 1)))
    if odd.size:
        msg = (
            f"{arrays.path}: {release.values}[{odd[0]}] = {values[odd[0]]}, expected {lowest:g} to 1 ({odd.size} such)"
        )
        raise BadData(msg)
    by_names = release.names in arrays.names
    order = _named(arrays, release, variant, sample_names) if by_names else _in_order(len(labels), variant, arrays.path)
    _check_labels(labels[order].astype(np.int64), variant, arrays.path, by_names=by_names)
    found = values[order].astype(np.float64)
    found = np.where(variant.dropped, np.nan, 1 - found if release.estimand == "c_score" else found)
    n = len(found)
    unknown, nobody = read_only(np.full(n, np.nan)), read_only(np.zeros(n, dtype=np.int64))
    notes = [f"{arrays.path.name} holds no standard errors and no counts of models: what needs them is left empty"]
    if n < len(labels):
        notes.append(f"{n} of the {len(labels)} samples of {arrays.path.name} are those of the variant")
    memorization = Memorization(
        values=read_only(found),
        stderr=unknown,
        p_in=unknown,
        p_out=unknown,
        margin=unknown,
        clean_damage=unknown,
        n_in=nobody,
        n_out=nobody,
        models=0,
        learner=learner,
        variant_id=variant.variant_id,
    )
    return memorization, notes


def _in_order(there: int, variant: Variant, path: Path) -> Indices:
    """The row of each sample in a file that has the samples' order: that of the published set, of which some may be kept."""
    n = len(variant.labels)
    if there != n and (variant.provenance.limit is None or there < n):
        msg = f"{path} is of {there} samples, the variant has {n}; build the variant of the whole set, or of its first samples"
        raise Mismatch(msg)
    if np.count_nonzero(np.diff(variant.labels)) < variant.num_classes:
        msg = (
            f"{path} names no samples, and the variant's labels stand in blocks of one class each, which cannot say whether the "
            f"rows have the order of the samples; such a file is refused"
        )
        raise Mismatch(msg)
    return np.arange(n)


def _named(arrays: StoredArrays, release: Release, variant: Variant, sample_names: Sequence[str] | None) -> Indices:
    """The row of each sample in a file that calls its rows by file names; rows of no sample are passed over."""
    if sample_names is None:
        msg = (
            f"{arrays.path} names its rows by files, and no names are kept of this variant's samples; build the variant from a "
            f"source of files, such as 'folder'"
        )
        raise BadUsage(msg)
    raw = arrays.read(release.names)
    texts = [each.decode(errors="replace") if isinstance(each, bytes) else str(each) for each in raw.tolist()]
    ours = {PurePosixPath(name.replace("\\", "/")).stem for name in sample_names}
    kept = np.array([row for row, text in enumerate(texts) if PurePosixPath(text).stem in ours], dtype=np.int64)
    if len(kept) < len(variant.labels):
        lacks = len(variant.labels) - len(kept)
        msg = f"{arrays.path} has no row for {lacks} of the {len(variant.labels)} samples, by their file names"
        raise Mismatch(msg)
    return kept[rows_by_name([texts[row] for row in kept], sample_names, str(arrays.path))]


def _check_labels(labels: Labels, variant: Variant, path: Path, *, by_names: bool) -> None:
    """Raise ``Mismatch`` unless the labels of a file are the given ones; where rows have names, by any numbers of classes."""
    given = variant.labels
    differs = labels != given
    if by_names and differs.any():
        pairs = np.unique(np.stack([labels, given]), axis=1)
        if len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]:
            return  # the same classes, numbered otherwise
    if not differs.any():
        return
    first = int(np.flatnonzero(differs)[0])
    hint = "its memorization is of its own labels, and says nothing of others"
    known = variant.class_known
    if (labels[known] == variant.clean[known]).all() and known.any():
        hint = "they are the clean ones: build the variant whose given labels these are, with --noise as_found"
    elif np.array_equal(np.bincount(labels - labels.min()), np.bincount(given - given.min())):
        hint = (
            "each label is there as often, so that it may be in another order, such as that of TensorFlow Datasets: bring its "
            "rows to the order of the published files"
        )
    msg = (
        f"{path} is of other labels: {int(differs.sum())} of {len(given)} differ, the first of sample {first}, which is "
        f"{labels[first]} there and {given[first]} here; {hint}"
    )
    raise Mismatch(msg)


# Values that follow from what models predicted


STEP = 64
"""Models that are read at a time."""


def _counted(arrays: StoredArrays, learner: Learner, variant: Variant) -> tuple[Memorization, list[str]]:
    """Memorization computed again from who saw what and what was predicted, and held against the released values."""
    path, names = arrays.path, ("trainset_mask", "trainset_correctness", "trainset_predictions")
    headers = [arrays.header(name) for name in names]
    shape = headers[0][0]
    for name, (other, kind) in zip(names, headers, strict=True):
        wanted = "iu" if name == "trainset_predictions" else "b"
        if len(other) != 2 or other != shape or kind.kind not in wanted:  # noqa: PLR2004 - models, samples
            msg = f"{name!r} in {path} is {kind} of shape {other}, expected {'whole numbers' if wanted == 'iu' else 'bool'} of {shape}"
            raise BadData(msg)
    models, there = shape
    rows = _in_order(there, variant, path)
    n = len(rows)
    counts = Counts(np.zeros((2, n)), np.zeros((2, n)), np.zeros((2, n)), margin=np.full((2, n), np.nan))
    odd = np.zeros(n, dtype=np.bool_)
    for saw, correct, predicted in zip(*(arrays.rows(name, STEP) for name in names), strict=True):
        saw, correct, predicted = saw[:, :n], correct[:, :n], predicted[:, :n]  # noqa: PLW2901 - the kept samples
        odd |= ((predicted == variant.labels) != correct).any(0)
        for arm, member in enumerate((~saw, saw)):
            counts.models[arm] += member.sum(0)
            counts.hits[arm] += (correct & member).sum(0)
            counts.right[arm] += ((predicted == variant.clean) & member).sum(0)
    if odd.any():
        msg = (
            f"{path} is of other labels: what it marks as correct is not what gives the variant's label of {int(odd.sum())} of "
            f"{n} samples, the first of which is {int(np.flatnonzero(odd)[0])}; build the variant whose given labels its models "
            f"were trained on"
        )
        raise Mismatch(msg)
    counts.models[:, variant.dropped] = 0  # people left them out, and no truth is of them
    share = round(float(counts.models[1].sum()) / (models * n), 4)
    found = memorization_of_counts(counts, variant, replace(learner, fraction=share), models=models)
    return found, [*_compared(arrays, found)]


def _compared(arrays: StoredArrays, found: Memorization) -> Iterator[str]:
    """Hold what was computed against what the file says; sentences of what is another thing there.

    Raises:
        BadData: A released number is another one.
    """
    n = len(found.values)
    defined = ~np.isnan(found.values)
    told = {
        "memorization": found.values,
        "memorization_inclusion_prob": found.p_in,
        "memorization_exclusion_prob": found.p_out,
    }
    same = []
    for name, ours in told.items():
        if name not in arrays.names:
            continue
        theirs = arrays.read(name)[:n]
        odd = np.flatnonzero(defined & ~(np.abs(theirs - ours) <= ROUNDING))
        if odd.size:
            first = odd[0]
            msg = (
                f"{arrays.path}: {name}[{first}] = {theirs[first]}, and its masks and predictions give {ours[first]} ({odd.size} "
                f"such samples); download it again"
            )
            raise BadData(msg)
        same.append(name)
    if same:
        yield f"{', '.join(same)} of {int(defined.sum())} samples: what masks and predictions give, to {ROUNDING:g}"
    if not defined.all():
        yield (
            f"{int((~defined).sum())} of {n} samples were seen by all models, or by none: their memorization is unknown, and no "
            f"number that the file has in its place is taken"
        )
