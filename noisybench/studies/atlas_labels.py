"""What the atlas measures on: the source, the human columns and their twins, a difficulty, neighbours and features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.alteration import load_base
from noisybench.data.extraction import choose_features, features_of
from noisybench.data.inputs import in_memory, read_rows
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN, Bools, Features, Floats, Labels, check_features
from noisybench.ground.digests import label_digest
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.lookup import find
from noisybench.ground.npy import read_array
from noisybench.ground.options import parse_call, parse_options
from noisybench.ground.random_streams import derive
from noisybench.memorization.difficulty_files import is_circular, read_difficulty
from noisybench.memorization.released_files import read_released
from noisybench.noise.exchange import matched_twin
from noisybench.statistics.coherence import Coordinates, difficulty_bins, neighbour_numbers
from noisybench.statistics.ridge import leave_one_out_ridge
from noisybench.studies.atlas_grid import HUMAN, UNCONTESTED, AtlasColumn, AtlasGrid
from noisybench.variants.building import build_variant
from noisybench.variants.location import source_of
from noisybench.variants.noise import Noise
from noisybench.variants.variant import Variant, read_variant, variant_id

CONTESTED = "contested"
"""Mark of samples whose clean label people were unanimous against."""
C_SCORES = "cscores"
"""What the name of a file of released C-scores holds: it is of the whole set and says its labels, so that a part can be taken."""
WITH_VERDICTS = ("cifar10", "cifar100", "mnist")
"""Sources of whose test set there are verdicts."""
TESTED = ("published", "left_out", "put_right")
"""Versions of the test labels: as published; confirmed errors left out; these put right."""


@dataclass(frozen=True, slots=True, eq=False)
class HumanLabels:
    """A source and the columns that people gave it.

    Attributes:
        source: Whose samples.
        variants: Name of each human column → the variant.
    """

    source: Source
    variants: Mapping[str, Variant]

    @property
    def contested(self) -> Mapping[str, Bools]:
        """Name of each column → its contested samples, shape (n,); nobody where it marks none."""
        none = np.zeros(len(self.source.labels), dtype=np.bool_)
        return {name: np.asarray(one.marks.get(CONTESTED, none), dtype=np.bool_) for name, one in self.variants.items()}

    def columns(self, grid: AtlasGrid) -> tuple[AtlasColumn, ...]:
        """Every column of the atlas."""
        return grid.columns_of({name: bool(mark.any()) for name, mark in self.contested.items()})

    def clean(self, column: AtlasColumn) -> Labels:
        """Right classes by the truth of a column, shape (n,); negative where unknown."""
        own = self.variants[column.set].clean
        return np.where(self.contested[column.set], UNKNOWN, own) if column.truth == UNCONTESTED else own

    def given(self, column: AtlasColumn, bins: Labels, seed: int) -> Labels:
        """The labels of a column, shape (n,): people's, or permuted among samples of one class, or of one class and bin."""
        labels = self.variants[column.set].labels
        if column.kind == HUMAN:
            return labels
        return matched_twin(
            labels,
            self.clean(column),
            seed=derive(seed, "atlas", *column.key.values()),
            bins=bins if column.kind == "difficulty" else None,
        )


def read_labels(grid: AtlasGrid) -> HumanLabels:
    """The source and the human columns of a grid.

    Raises:
        BadData: Files are missing, or a folder is no variant.
        BadUsage: Variants of several sources, with dropped samples, or without a wrong label.
    """
    data = None if grid.data is None else Path(grid.data)
    if grid.variants:
        folders = [Path(one) for one in grid.variants]
        read = [read_variant(folder) for folder in folders]
        names = [folder.absolute().name for folder in folders]
        if len({*names}) < len(names):
            names = [one.name for one in read]
        variants = dict(zip(names, read, strict=True))
        _check_together(variants, len(folders))
        source = source_of(read[0], folders[0], data)
    else:
        source = load_base(grid.source, data, limit=grid.limit)
        variants = {
            name: build_variant(source, _noise(call, grid.labels), seed=grid.seed) for name, call in grid.sets.items()
        }
    for name, one in variants.items():
        if not (one.mislabeled & one.class_known).any():
            msg = (
                f"no label of '{name}' is known to be wrong with its right class known, so it has no place in the atlas; "
                "leave it out"
            )
            raise BadUsage(msg)
        if one.dropped.any():
            msg = f"{int(one.dropped.sum())} samples of '{name}' are dropped; the atlas takes label columns of all samples"
            raise BadUsage(msg)
    return HumanLabels(source, variants)


def _check_together(variants: Mapping[str, Variant], folders: int) -> None:
    """Raise ``BadUsage`` unless these are different columns of one source."""
    sources = {one.provenance.source_sha256 for one in variants.values()}
    ids = {one.provenance.variant_id for one in variants.values()}
    if len(sources) > 1 or len(ids) < folders:
        what = f"{len(sources)} sources" if len(sources) > 1 else "a column that is given twice"
        msg = f"the atlas takes different label columns of one source, got {what}; place each source by itself"
        raise BadUsage(msg)


def check_files(grid: AtlasGrid, human: HumanLabels) -> None:
    """Raise what a grid's files and names are refused for, before minutes are spent on features.

    Raises:
        UnknownName: No such features.
        BadUsage: A difficulty that was measured on the wrong labels themselves, or verdicts on a source that has none.
        BadData: A file is missing or holds something else.
        Mismatch: A file of other labels.
    """
    for name in (grid.features, grid.coordinate_features):
        if name.endswith(".npy"):
            _given_features(name, human.source)
        elif name != "input":
            choose_features(name)
    if grid.difficulty is not None:
        for variant in human.variants.values():
            difficulty_bins(_given_difficulty(grid, variant, human.source), variant.clean, grid.bins)
    if grid.verdicts is not None and _tested(grid, human.source):
        read_test_labels(grid, human.source, 1)


def _noise(call: str, file: str | None) -> Noise:
    """The noise that a text names; ``file`` is that of CIFAR-N."""
    name, options = parse_call(call, what="a set of the grid")
    if name == "cifar_n" and file is not None:
        options = {"file": file, **options}
    noise: Noise = parse_options(find("noises", name), options, what=f"noise '{name}'")
    return noise


@dataclass(frozen=True, slots=True, eq=False)
class AtlasFeatures:
    """What the inputs of a source are seen by.

    Attributes:
        own: Of the samples, for detectors and heads, shape (n, d).
        tested: Of the samples, for heads that are tested, shape (n, e): ``own`` where test samples have features of their own.
        tests: Of the test samples, shape (m, e); None where nothing is tested.
        coordinate: Of the samples, for neighbours, shape (n, f).
    """

    own: Features
    tested: Features
    tests: Features | None
    coordinate: Features


def read_features(grid: AtlasGrid, source: Source, cache: Path, device: str) -> AtlasFeatures:
    """Features of samples and test samples, kept in a folder.

    Features that look at one input at a time are taken of test samples as they are. Others, such as principal components,
    are taken of samples and test samples together; no label plays a part.

    Raises:
        UnknownName: No such features.
        BadData: A file of features that holds something else.
    """
    coordinate = _features(grid.coordinate_features, source, cache, device)
    own = _features(grid.features, source, cache, device)
    count = _tested(grid, source)
    if not count or grid.features.endswith(".npy"):
        return AtlasFeatures(own, own, None, coordinate)
    assert source.test_inputs is not None  # noqa: S101 - counted
    asked = read_rows(source.test_inputs, slice(0, count))
    alone = grid.features == "input" or choose_features(grid.features).pretraining is not None
    inputs = asked if alone else np.concatenate([in_memory(source.inputs, "the samples"), asked])
    other = source_from_arrays("tests", inputs, np.zeros(len(inputs), dtype=np.int64), class_names=source.class_names)
    found = _features(grid.features, other, cache, device)
    tested, tests = (own, found) if alone else (found[: len(own)], found[len(own) :])
    return AtlasFeatures(own, tested, tests, coordinate)


def _features(name: str, source: Source, cache: Path, device: str) -> Features:
    """Features by name, or from a ``.npy`` file."""
    if name.endswith(".npy"):
        return _given_features(name, source)
    return features_of(source, name, device=device, cache=cache)


def _tested(grid: AtlasGrid, source: Source) -> int:
    """How many test samples heads are asked about."""
    count = 0 if source.test_labels is None or source.test_inputs is None else len(source.test_labels)
    return count if grid.tests is None else min(count, grid.tests)


def _given_features(name: str, source: Source) -> Features:
    """Those of a file; of its rows the first, so that features of a whole set serve its first samples, too."""
    values = np.asarray(read_array(Path(name)), dtype=np.float32)
    if values.ndim != 2 or len(values) < len(source.labels):  # noqa: PLR2004
        msg = f"{name} has shape {values.shape}, expected a row for each of the {len(source.labels)} samples"
        raise BadData(msg)
    values = values[: len(source.labels)]
    check_features(values, len(values))
    return values


def read_coordinates(grid: AtlasGrid, human: HumanLabels, features: Features) -> dict[tuple[str, str], Coordinates]:
    """Difficulty, its bins and the neighbours, by set and truth: bins are within the clean classes that are known.

    Raises:
        BadUsage: A difficulty that was measured on the wrong labels themselves.
        Mismatch: A file of other labels.
    """
    first = next(iter(human.variants.values()))
    neighbours = neighbour_numbers(features, grid.neighbours, groups=first.copies)
    found = {}
    for name, variant in human.variants.items():
        difficulty = _difficulty(grid, variant, human.source, features)
        for column in human.columns(grid):
            if column.set == name and column.kind == HUMAN:
                clean = human.clean(column)
                found[name, column.truth] = Coordinates(
                    difficulty, difficulty_bins(difficulty, clean, grid.bins), neighbours
                )
    return found


def _difficulty(grid: AtlasGrid, variant: Variant, source: Source, features: Features) -> Floats:
    """How hard each sample is, shape (n,), from a file or by regression of the clean labels."""
    if grid.difficulty is None:
        labels = np.where(variant.clean >= 0, variant.clean, variant.labels)
        return leave_one_out_ridge(features, labels, variant.num_classes, groups=variant.copies).suspicion
    return _given_difficulty(grid, variant, source)


def _given_difficulty(grid: AtlasGrid, variant: Variant, source: Source) -> Floats:
    """That of the file of a grid, which names one."""
    assert grid.difficulty is not None  # noqa: S101 - asked for then alone
    if is_circular(grid.difficulty, variant):
        msg = f"{grid.difficulty} is the memorization of the labels that are placed, where wrong ones are hard for being wrong; give a difficulty of the clean labels"
        raise BadUsage(msg)
    if Path(grid.difficulty).suffix == ".npz" and C_SCORES in Path(grid.difficulty).name.lower():
        published = relabelled(variant, source.labels, source.clean, "published", marks={})
        return read_released(grid.difficulty, published, sample_names=source.sample_names).memorization.values
    return read_difficulty(
        grid.difficulty, variant, lower_is_harder=grid.lower_is_harder, sample_names=source.sample_names
    )


def read_test_labels(grid: AtlasGrid, source: Source, count: int) -> dict[str, Labels]:
    """Version of the first test labels → these, shape (m,), negative where they are left out.

    Raises:
        BadUsage: Verdicts on a source that has none.
        BadData: A file that holds none.
    """
    assert source.test_labels is not None  # noqa: S101 - there are tests
    labels = source.test_labels[:count]
    if grid.verdicts is None:
        return {TESTED[0]: labels}
    if source.name not in WITH_VERDICTS:
        msg = f"verdicts are on the test sets of {', '.join(WITH_VERDICTS)}, and the source is '{source.name}'; leave them out"
        raise BadUsage(msg)
    data = None if grid.data is None else Path(grid.data)
    judged = load_source("testset", data, base=source.name, truth="label_errors", file=grid.verdicts).clean[:count]
    wrong = (judged != UNKNOWN) & (judged != labels)
    return {
        TESTED[0]: labels,
        TESTED[1]: np.where(wrong, UNKNOWN, labels),
        TESTED[2]: np.where(wrong, judged, labels),
    }


def relabelled(
    variant: Variant, labels: Labels, clean: Labels, noise: str, *, marks: Mapping[str, NDArray[Any]] | None = None
) -> Variant:
    """A variant of the same source with other labels, as detectors take it; ``marks`` None keeps those of the samples."""
    provenance = replace(
        variant.provenance,
        noise=noise,
        params={},
        labels_sha256=label_digest(labels),
        variant_id=variant_id(variant.provenance.source_sha256, labels),
        corrections=None,
    )
    return replace(
        variant, labels=labels, clean=clean, provenance=provenance, flip_probability=None, selected=None, transition=None,
        answers=None, corrections=None, marks=variant.marks if marks is None else marks,
    )  # fmt: skip


def stacked(
    human: HumanLabels, columns: Sequence[AtlasColumn], bins: Mapping[tuple[str, str], Labels], seed: int
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Given labels and right classes of every column, shape (c, n) each."""
    given = np.stack([human.given(one, bins[one.set, one.truth], seed).astype(np.int16) for one in columns])
    clean = np.stack([human.clean(one).astype(np.int16) for one in columns])
    return given, clean
