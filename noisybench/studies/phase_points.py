"""Points of the phase study: which label columns there are, what each is called, and which counts it keeps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.checks import a_path, as_list
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import file_name
from noisybench.ground.lookup import find, names
from noisybench.studies.phase_grid import PhaseGrid
from noisybench.variants.variant import Variant, read_variant

PointRole = Literal["target", "named", "counterpart"]
MAIN = "main"
"""Name of the map of the grid's own rate and class structure."""


class PhasePoint(NamedTuple):
    """A label column of the study: a unit of work.

    Attributes:
        map: ``MAIN``, or the name of the variant whose counts the point has.
        role: Whether it has targets, is what the map is named for, or is that in class-conditional form.
        name: Of its folder.
        draw: Which of those alike.
        difficulty: Target; None of a point that has none.
        coherence: Target.
    """

    map: str
    role: PointRole
    name: str
    draw: int
    difficulty: float | None = None
    coherence: float | None = None


class NamedVariant(NamedTuple):
    """A label column that has a map of its own."""

    name: str
    variant: Variant


def read_named(folders: Sequence[str | Path], source: Source) -> list[NamedVariant]:
    """The variants of some folders, each with its name in the study.

    Raises:
        BadUsage: A variant twice.
        BadData: A folder is no variant, or not all of its right labels are known, or none of its labels is wrong.
        Mismatch: It is of another source, or of other samples of it.
    """
    given = [folders] if isinstance(folders, str | Path) else as_list(folders, "variants", "give folders of variants")
    found: dict[str, NamedVariant] = {}
    taken = {MAIN}  # folders, not names: several names may give one, on some file systems also by capitals
    for folder in (a_path(one, "a variant") for one in given):
        variant = read_variant(folder)
        _check_named(folder, variant, source)
        if variant.variant_id in found:
            msg = f"{folder} has labels that are named already; name each variant once"
            raise BadUsage(msg)
        name = variant_words(variant)
        name = f"{name} {variant.variant_id[:8]}" if _folder(name).casefold() in taken else name
        taken.add(_folder(name).casefold())
        found[variant.variant_id] = NamedVariant(name, variant)
    return [*found.values()]


def _check_named(folder: Path, variant: Variant, source: Source) -> None:
    provenance = variant.provenance
    if provenance.source_sha256 != source.sha256:
        limit = "all samples" if source.limit is None else f"the first {source.limit:,} samples"
        msg = (
            f"{folder} is of {len(variant.labels):,} samples of '{provenance.source}', and the study is of {limit} of "
            f"'{source.name}'; build it of the same, or give a grid with its source and limit"
        )
        raise Mismatch(msg)
    unknown = int((~variant.class_known).sum())
    if unknown:
        msg = (
            f"the right class of {unknown:,} of {len(variant.labels):,} samples of {folder} is unknown, or they were dropped; "
            f"a point of the map needs all of them"
        )
        raise BadData(msg)
    if not np.array_equal(variant.clean, source.clean):
        msg = f"{folder} has other right labels than '{source.name}'; build it again"
        raise Mismatch(msg)
    if not 0 < variant.mislabeled.sum() < len(variant.labels):
        msg = (
            f"{folder} has {int(variant.mislabeled.sum())} wrong labels; a point of the map needs wrong and right ones"
        )
        raise BadData(msg)


def variant_words(variant: Variant) -> str:
    """What a variant is called in tables: its noise, and what tells it from others of that noise.

    Rates and numbers are told by the coordinates; so these are the texts among the parameters that are no defaults, as in
    ``cifar_n worse``, and where there are none the names of files: ``published cifar10-cluster-0.35``.
    """
    name, params = variant.provenance.noise, variant.provenance.params
    own = {one.name: one.default for one in fields(find("noises", name))} if name in names("noises") else {}
    texts = [value for key, value in params.items() if isinstance(value, str) and value != own.get(key)]
    files = [Path(text.partition(" sha256:")[0]).stem for text in texts if " sha256:" in text]
    words = [text for text in texts if "sha256:" not in text and text not in ALONE]
    return " ".join([name, *(words or files)])[:MOST_LETTERS]


ALONE = ("labels",)
"""What the only array of a file is called: it tells nothing."""
MOST_LETTERS = 48


def points_in(grid: PhaseGrid, named: Sequence[NamedVariant]) -> list[PhasePoint]:
    """Every point of every map, those first that others take their counts from."""
    return [*_main(grid), *(point for one in named for point in _own(grid, one.name))]


def origins_of(grid: PhaseGrid, named: Sequence[NamedVariant]) -> Mapping[str, str]:
    """Map → name of the folder of the point whose counts all others of the map have."""
    return {point.map: point.name for point in reversed(points_in(grid, named)) if point.role == "named"}


def class_noise(grid: PhaseGrid) -> str:
    """Name of the class-conditional noise at the origin of the main map."""
    return grid.structure if grid.matrix is None else Path(grid.matrix).stem


def _main(grid: PhaseGrid) -> Iterator[PhasePoint]:
    origin = file_name(class_noise(grid))
    for draw in grid.draws:
        yield PhasePoint(MAIN, "named", f"{MAIN}-{origin}-{draw}", draw)
    for difficulty, coherence, draw in product(grid.difficulty, grid.coherence, grid.draws):
        yield PhasePoint(MAIN, "target", _place(MAIN, difficulty, coherence, draw), draw, difficulty, coherence)


def _own(grid: PhaseGrid, name: str) -> Iterator[PhasePoint]:
    base = _folder(name)
    yield PhasePoint(name, "named", base, 0)
    for draw in grid.draws:
        yield PhasePoint(name, "counterpart", f"{base}-counterpart-{draw}", draw)
    for difficulty, coherence in product(grid.named_difficulty, grid.named_coherence):
        draw = grid.draws[0]
        yield PhasePoint(name, "target", _place(base, difficulty, coherence, draw), draw, difficulty, coherence)


def _folder(name: str) -> str:
    """What the folders of a named variant begin with."""
    return file_name(name.replace(" ", "-"))


def _place(base: str, difficulty: float, coherence: float, draw: int) -> str:
    return f"{base}-d{difficulty:g}-c{coherence:g}-{draw}"
