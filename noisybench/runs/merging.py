"""Merging: run folders that several machines, or several people, made of the same labels, joined in one.

Nothing is taken from where it lies: files are copied. A run comes under its name whole, from a temporary folder beside it;
the blocks of a measurement come one by one, and its estimate after them. So a merge that was killed has left nothing that
is read as finished, and the same command goes on with it.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from noisybench.ground.checks import a_path
from noisybench.ground.claims import check_own_file
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import adding_folder, is_sealed, replacing, replacing_folder
from noisybench.ground.locks import locked
from noisybench.memorization.block_union import unite_blocks
from noisybench.memorization.estimate import already_measured
from noisybench.memorization.learner import Learner
from noisybench.runs.finishing import command_of_measurement, command_of_pool
from noisybench.runs.folder import VARIANT_FILES
from noisybench.runs.merge_choice import choose_estimate, choose_run, choose_variant
from noisybench.runs.merge_inputs import Piece, PieceKind, pieces_below
from noisybench.runs.reading import AnyPath
from noisybench.training.timing import TIMING
from noisybench.variants.sample_names import read_names
from noisybench.variants.variant import Variant

ESTIMATE = "memorization.parquet"
Places: TypeAlias = Mapping[str, Sequence[Path]]
"""Place in a folder of runs → where it was found, that of the merged folder first."""


@dataclass(frozen=True, slots=True)
class MergedPart:
    """One folder or file of a merged folder.

    Attributes:
        kind: What it is.
        path: Where it stands when it is merged.
        sources: Where it was found.
        state: ``finished``, ``unfinished``, or, of a measurement without an estimate, ``blocks``.
        files: Name in it → the file that is copied; empty of what is one file itself.
        digests: Name → SHA-256 that a record tells of it.
        models: Of the blocks that were joined; None of what has none.
        passed_over: In how many of its sources a run was begun and not ended, where a finished one is taken.
        command: What finishes it without a further file, or, where blocks are missing, by training those alone; None where
            nothing is to be done, or nobody but whoever began it knows.
    """

    kind: PieceKind
    path: Path
    sources: tuple[Path, ...]
    state: str
    files: Mapping[str, Path]
    digests: Mapping[str, str]
    models: int | None = None
    passed_over: int = 0
    command: str | None = None

    @property
    def home(self) -> str:
        """Name of the folder of all that is known of its labels."""
        above = {"run": 1, "memorization": 1, "variant": 0}
        return self.path.parents[above[self.kind]].name if self.kind in above else self.path.name

    @property
    def is_there(self) -> bool:
        """Whether all of it stands in the merged folder already."""
        return all(self.path / name == file for name, file in self.files.items())


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge joined, or would join.

    Attributes:
        out: The merged folder.
        parts: Its folders and files.
        notes: What was left out and what was chosen, a sentence each.
    """

    out: Path
    parts: tuple[MergedPart, ...]
    notes: tuple[str, ...]

    @property
    def commands(self) -> tuple[str, ...]:
        """What finishes measurements whose models are there, or trains those that are missing."""
        return tuple(part.command for part in self.parts if part.command is not None)


def merge(folders: AnyPath | Iterable[AnyPath], out: AnyPath, *, dry_run: bool = False) -> Merged:
    """Join folders of runs that several machines made, in one that could have been made by one machine.

    What is joined: variants beside runs and the names of their samples, runs of every regime, measurements of memorization
    and detector pools block by block, estimates, and features. Caches (``agreement.parquet``) are left out, since any table
    makes them again. What is in ``out`` already takes part, so that shards may be merged one after the other. All is
    checked before anything is written.

    Args:
        folders: Folders of runs, or any above some; one alone is copied.
        out: The merged folder.
        dry_run: Whether nothing is written.

    Raises:
        BadUsage: No folder, or one that is ``out`` itself alone.
        BadData: Two files of one thing differ, pools were made differently, or a file is damaged; both files are named.
        Mismatch: Labels, runs or models of different labels stand under one name.
    """
    target = a_path(out, "out")
    given = [folders] if isinstance(folders, str) or not isinstance(folders, Iterable) else list(folders)
    inputs = [a_path(folder, "folders") for folder in given]
    if not inputs:
        msg = "no folder was given; give folders that hold runs, such as 'machine-a/runs'"
        raise BadUsage(msg)
    for folder in inputs:
        if not folder.is_dir():
            msg = f"{folder} is no folder; give folders that hold runs, such as 'machine-a/runs'"
            raise BadData(msg)
    own = target.resolve()
    pieces, notes = pieces_below(target) if target.is_dir() else ([], [])
    pieces = [piece for piece in pieces if piece.path == target / piece.name]  # not what lies deeper, such as an input
    for folder in inputs:
        if folder.resolve() != own:
            found, left_out = pieces_below(folder, but=own)
            pieces += found
            notes += left_out
    if not any(piece.kind in ("run", "memorization") for piece in pieces):
        msg = f"no run and no measurement below {', '.join(map(str, inputs))}; 'noisybench evaluate' makes runs"
        raise BadData(msg)
    parts = _parts(pieces, target, notes)
    if not dry_run:
        for part in parts:
            if not part.is_there:
                _write(part)
    return Merged(target, tuple(parts), tuple(notes))


def _parts(pieces: Sequence[Piece], out: Path, notes: list[str]) -> list[MergedPart]:
    """Every folder and file of the merged folder, in the order in which they are written."""
    kinds: dict[PieceKind, dict[str, list[Path]]] = {
        "variant": {}, "names": {}, "features": {}, "run": {}, "memorization": {}
    }  # fmt: skip
    for piece in pieces:
        kinds[piece.kind].setdefault(piece.name, []).append(piece.path)
    used = {piece.home for piece in pieces if piece.kind in ("run", "memorization")}
    laid = {name.partition("/")[0]: paths for name, paths in sorted(kinds["variant"].items())}
    variants = {home: choose_variant(paths) for home, paths in laid.items() if home in used}
    _check_homes(pieces, variants)
    parts = []
    for home, (path, _) in variants.items():
        files = {name: path / name for name in VARIANT_FILES if (path / name).is_file()}
        parts.append(MergedPart("variant", out / home / "variant", tuple(laid[home]), "", files, {}))
    for name, paths in sorted(kinds["names"].items()):
        home = name.partition("/")[0]
        if home in used:
            parts.append(_names(out / name, paths, variants[home][1]))
    parts += [_features(out / name, paths, notes) for name, paths in sorted(kinds["features"].items())]
    for name, paths in sorted(kinds["run"].items()):
        parts.append(_run(out / name, paths, variants[name.partition("/")[0]][1]))
    measured: dict[tuple[str, Learner], Path] = {}
    for name, paths in sorted(kinds["memorization"].items()):
        home = name.partition("/")[0]
        part, learner = _measurement(out / name, paths, variants[home][1])
        other = paths[0] if learner is None else measured.setdefault((home, learner), paths[0])
        if learner is not None and other != paths[0]:
            raise BadData(already_measured(learner.name, other, paths[0]))
        parts.append(part)
    return parts


def _check_homes(pieces: Sequence[Piece], variants: Mapping[str, tuple[Path, Variant]]) -> None:
    """Raise unless every run lies beside its variant, in some of the folders, under the variant's name."""
    for piece in pieces:
        if piece.kind not in ("run", "memorization"):
            continue
        if piece.home not in variants:
            msg = (
                f"{piece.path} has no variant beside it, nor has '{piece.home}' in any other of the folders; merge it with one "
                f"that has, or say the command that made it once more"
            )
            raise BadData(msg)
        path, variant = variants[piece.home]
        if variant.name != piece.home:
            msg = f"{path} is the variant {variant.name}, and its folder is called {piece.home}; name it as the variant"
            raise Mismatch(msg)


def _names(path: Path, paths: Sequence[Path], variant: Variant) -> MergedPart:
    """The names of the samples, which must be the same in every folder."""
    for other in paths:
        check_own_file(other)
    first = read_names(paths[0].parent, len(variant.labels))
    for other in paths[1:]:
        if read_names(other.parent, len(variant.labels)) != first:
            msg = f"{paths[0]} and {other} give the same samples other names; take one of the two files away"
            raise BadData(msg)
    return MergedPart("names", path.parent, tuple(paths), "", {path.name: paths[0]}, {})


def _features(path: Path, paths: Sequence[Path], notes: list[str]) -> MergedPart:
    """A file of features: the first that is whole. They can be made again, so that others are told of and left out."""
    for other in paths:
        check_own_file(other)
    whole = [other for other in paths if is_sealed(other)]
    if not whole:
        notes.append(f"{paths[0]} is damaged, and left out: the features are made again")
        return MergedPart("features", path.parent, tuple(paths), "", {}, {})
    digest = file_digest(whole[0])
    others = [other for other in whole[1:] if file_digest(other) != digest]
    notes += [
        f"{other} has other last bits than {whole[0]}, which is taken: another machine made it" for other in others
    ]
    return MergedPart("features", path.parent, tuple(paths), "", {path.name: whole[0]}, {})


def _run(path: Path, paths: Sequence[Path], variant: Variant) -> MergedPart:
    """A run, and the command that ends one whose models are there."""
    run = choose_run(paths, variant)
    models = sum(pool.models for pool in run.pools.values()) if run.pools else None
    command = None
    if not run.finished and any(pool.files for pool in run.pools.values()):
        command = command_of_pool(path.parents[1] / "variant", path.parents[2], run.record, run.pools)
    state = "finished" if run.finished else "unfinished"
    return MergedPart("run", path, tuple(paths), state, run.files, run.digests, models, run.passed_over, command)


def _measurement(path: Path, paths: Sequence[Path], variant: Variant) -> tuple[MergedPart, Learner | None]:
    """A measurement of memorization, and whose it is."""
    union = unite_blocks(paths, variant)
    chosen = choose_estimate([each / ESTIMATE for each in paths if (each / ESTIMATE).is_file()], variant)
    files = dict(union.files)
    timed = next((each / TIMING for each in paths if (each / TIMING).is_file()), None)
    if timed is not None:
        check_own_file(timed)
        files[TIMING] = timed
    if chosen is not None:
        files[ESTIMATE] = chosen[0]
    learner = union.learner if chosen is None else chosen[1].learner
    command = None
    if union.files and (chosen is None or union.models > chosen[1].models):
        command = command_of_measurement(path.parents[1] / "variant", path.parents[2], union)
    state = "blocks" if chosen is None else "finished"
    models = union.models if union.files else None
    return MergedPart("memorization", path, tuple(paths), state, files, {}, models, command=command), learner


def _write(part: MergedPart) -> None:
    """Copy what is missing: a run as a whole folder, all else file by file, in an order in which the last speaks of others."""
    if part.kind == "run" and not part.path.exists():
        with adding_folder(part.path) as fresh:
            _copy_all(part, fresh)
    elif part.kind == "run":
        with locked(part.path), replacing_folder(part.path) as fresh:
            _copy_all(part, fresh)
    else:
        with locked(part.path) if part.kind == "memorization" else nullcontext():
            for name, file in part.files.items():
                if part.path / name != file:
                    with replacing(part.path / name) as fresh:
                        _copy(file, fresh, None)


def _copy_all(part: MergedPart, folder: Path) -> None:
    for name, file in part.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        _copy(file, folder / name, part.digests.get(name))


def _copy(file: Path, to: Path, told: str | None) -> None:
    """Copy a file, which must be the one that the record of its run tells of."""
    check_own_file(file)
    shutil.copyfile(file, to)
    if told is not None and file_digest(to) != told:
        msg = f"{file} was changed after it was written; the command that made the run makes it again"
        raise BadData(msg)
