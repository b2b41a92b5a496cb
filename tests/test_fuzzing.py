"""Fuzzing: whatever is given, a sentence or a right variant; over 3,900 generated cases, the same ones in every run.

What is right is computed here, by loops and hashlib, never by the code under test. ``CASES`` says how many cases each
test draws, and each test counts what it drew; ``NOISYBENCH_FUZZ=4 pytest tests/test_fuzzing.py`` draws four times as
many, for a longer look after a change of what is fuzzed. Noises and their options are read from the drawer and from the
fields of its dataclasses, so that a new noise is fuzzed without a line here.
"""

import csv
import hashlib
import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from itertools import count
from math import isnan
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rich.console import Console
from shell import shell

from noisybench.board.detector_table import Row
from noisybench.board.finished import Result
from noisybench.board.latex import to_latex
from noisybench.board.leaderboard import leaderboard
from noisybench.board.records import to_csv, to_json
from noisybench.board.rendering import to_markdown, to_table
from noisybench.cli import run as cli
from noisybench.data.source import Source, source_from_arrays
from noisybench.detection.scoring import Scores, read_scores, write_scores
from noisybench.ground.errors import BadUsage, NoisybenchError
from noisybench.ground.files import file_name, write_columns, write_json
from noisybench.ground.options import parse_options, parse_value, split_pairs
from noisybench.ground.text import spreadsheet_cell
from noisybench.items import find, names
from noisybench.memorization.estimate import Memorization, read_memorization, write_memorization
from noisybench.memorization.learner import Learner
from noisybench.runs.reading import read_runs
from noisybench.runs.record import Pretrained, about_labels
from noisybench.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from noisybench.training.plan import Watch
from noisybench.training.recipe import Recipe
from noisybench.training.trace import Observation, read_trace, write_observation
from noisybench.variants.building import build_variant
from noisybench.variants.transitions import all_entries
from noisybench.variants.variant import Variant, read_variant, write_variant

Array = NDArray[Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

NOISES = names("noises")
MODES = ("exact", "exact_per_class", "bernoulli")
TIMES = int(os.environ.get("NOISYBENCH_FUZZ", "1"))
CASES = {
    "variants": 2_100 * TIMES,  # shared by the noises
    "sources": 300 * TIMES,
    "disk": 1000 * TIMES,  # shared by the noises
    "broken files": 175 * TIMES,
    "forged variants": 125 * TIMES,
    "runs": 125 * TIMES,
    "command line": 75 * TIMES,
    "verify": 38 * TIMES,
    "options": 255 * TIMES,
    "seeds": 125 * TIMES,
    "names": 132 * TIMES,
}


def fuzz(cases: int, case: Callable[..., None], **strategies: st.SearchStrategy[Any]) -> None:
    """Run ``case`` on ``cases`` generated inputs or more, always the same ones, and hold the count to it."""
    ran = count()

    def counted(**given_values: Any) -> None:  # noqa: ANN401 - whatever was drawn
        next(ran)
        case(**given_values)

    run = settings(
        max_examples=cases, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )(given(**strategies)(counted))
    run()
    assert next(ran) >= cases


# --- what is drawn -----------------------------------------------------------------------------------------------------

# fmt: off
ODD_WORDS = (
    "", " ", "0", "1", "-1", "0.2", "nan", "inf", "-inf", "1e400", "1e-320", "0x10", "1_0", "½", "٣", "true", "none", "None",
    "a=b", "=", ",", "0,0", "../x", "a/b", "a:b", ":", ".x:y", "rate", "digits", "|", "\x00", "\ud800", "\n", "\x1b[31m",
    "9" * 400, "9" * 5000, "é" * 300,
)
ODD_NUMBERS = (
    0, 1, 2, 3, -1, -2, 255, 2**31, 2**63 - 1, -(2**63), 2**64 - 1, 10**6, 0.5, 1.0, float("nan"), float("inf"), 1e300, 1j,
    True, "0", "1", "cat", "", None,
)
# fmt: on
LETTERS = st.characters(exclude_categories=["Cs"])
"""What ``st.text()`` draws from, all that UTF-8 can hold; by that name of it Hypothesis would try each for seconds."""
WORDS = st.one_of(
    st.sampled_from(ODD_WORDS),
    st.text(LETTERS, max_size=12),
)


def texts(kind: Any, files: tuple[Path, ...]) -> st.SearchStrategy[str]:  # noqa: ANN401 - a type hint
    """Texts for an option of a type: mostly what it asks for, else anything."""
    if get_origin(kind) in (Union, UnionType):
        return st.one_of(*(texts(part, files) for part in get_args(kind)))
    own: dict[Any, st.SearchStrategy[str]] = {
        float: st.one_of(st.floats(0, 1), st.sampled_from((0.0, 0.5, 1.0, 1e-9, 1 - 1e-9)), st.floats()).map(repr),
        int: st.one_of(st.integers(0, 9), st.integers()).map(str),
        bool: st.sampled_from(("true", "false", "yes", "no", "1", "0")),
        str: WORDS,
        Path: st.sampled_from(files).map(str),
        NoneType: st.sampled_from(("none", "")),
    }
    chosen = st.sampled_from(get_args(kind)) if get_origin(kind) is Literal else own.get(kind, WORDS)
    return st.integers(0, 9).flatmap(lambda die: WORDS if die == 0 else chosen)


# Options that hardly any text fits: how the names of the files begin that do, or texts in the option's own language.
FITTING: dict[str, str | tuple[str, ...]] = {
    "rate": tuple(str(j / 16) for j in range(17)),
    "matrix": "matrix",
    "of": "matrix2",
    "map": "map",
    "annotators": "annotators",
    "judgements": "judgements",
    "epochs": ("1", "2", "3"),
    "auroc": ("0.5", "0.55", "0.6"),
    "structure": ("symmetric", "pair_flip"),
    "lower_is_harder": ("false",),
    "raters": ("1", "2"),
    "model": ("none", "mlp"),
    "probabilities": ("none",),
    "steps": (
        "pair_flip(rate=0.5, ); symmetric(rate=0.2)", "as_found; instance(rate=0.3);", "symmetric(rate=2); pair_flip", ";",
    ),
}  # fmt: skip


def option(name: str, kind: Any, files: tuple[Path, ...]) -> st.SearchStrategy[str]:  # noqa: ANN401 - a type hint
    """Texts for an option: in three of four cases one that fits, where there are such."""
    fit = FITTING.get(name, ())
    if NoneType in get_args(kind) and not isinstance(fit, str):
        fit = ("none",)  # an optional number may exclude another option
    good = [str(file) for file in files if file.name.startswith(fit)] if isinstance(fit, str) else fit
    any_text = texts(kind, files)
    return st.integers(0, 3).flatmap(lambda die: st.sampled_from(good) if good and die else any_text)


def modes(kind: Any) -> st.SearchStrategy[str]:  # noqa: ANN401 - a noise
    """Modes, mostly of those that a noise has."""
    return st.one_of(st.sampled_from(getattr(kind, "modes", MODES)), st.sampled_from(MODES))


@st.composite
def options(draw: Draw, kind: Any, files: tuple[Path, ...]) -> dict[str, str]:  # noqa: ANN401 - a dataclass
    """Field → text, now and then with a field missing or one that does not exist."""
    types = get_type_hints(kind)
    drawn = {}
    for f in fields(kind):
        # Mostly what has a default is left at it, or a noise of many options would seldom be one that can be built.
        if draw(st.integers(0, 9)) > (0 if f.default is MISSING else 5):
            drawn[f.name] = draw(option(f.name, types[f.name], files))
    if "epochs" in types:
        drawn.setdefault("epochs", "2")  # in place of ten: models were two thirds of what all cases took
    if draw(st.integers(0, 19)) == 0:
        drawn[draw(WORDS)] = draw(WORDS)
    return drawn


@dataclass(frozen=True)
class Given:
    """Arguments of ``source_from_arrays``, kept to be compared with what comes out."""

    inputs: Any
    labels: Any
    clean: Any
    class_names: Any
    limit: int | None


@st.composite
def sound(draw: Draw) -> Given:
    """A small source that is as it should be: images or features, classes that may be empty, truth known, part or not."""
    n, k = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    classes = st.integers(0, k - 1)
    labels = draw(st.lists(classes, min_size=n, max_size=n))
    truth = draw(st.sampled_from(("none", "whole", "part", "unknown")))
    kinds = {"whole": classes, "part": st.integers(-1, k - 1), "unknown": st.just(-1)}
    clean = None if truth == "none" else draw(st.lists(kinds[truth], min_size=n, max_size=n))
    shape, dtype = draw(st.sampled_from((((n, 2, 2), "u1"), ((n, 1, 2, 3), "u1"), ((n, 2), "f4"), ((n, 3), "f8"))))
    values = draw(st.binary(min_size=1, max_size=8))
    inputs = np.resize(np.frombuffer(values, np.uint8), shape).astype(dtype)
    named = st.sampled_from((None, [f"c{j}" for j in range(k)], [f"class {j}, é|\\" for j in range(k)]))
    limit = draw(st.one_of(st.none(), st.integers(1, 14)))
    integers = draw(st.sampled_from(("i8", "u1", "i4", ">i8"))) if min(clean or [0]) >= 0 else "i8"
    return Given(
        inputs,
        np.array(labels, integers),
        None if clean is None else np.array(clean, integers),
        draw(named),
        limit,
    )


ODD_VALUES = st.sampled_from(ODD_NUMBERS)
ODD_SHAPES = st.sampled_from(((), (0,), (1,), (3,), (4,), (4, 1), (4, 2), (0, 3), (4, 0), (4, 2, 2), (4, 2, 2, 3)))
ODD_TYPES = st.sampled_from((*"?bBhHiIlLqQefdgFDSUOMmV", ">i8", ">f4", "U3"))


@st.composite
def anything(draw: Draw) -> Any:  # noqa: ANN401 - that is the point
    """An array of any type and shape with odd values, or no array at all."""
    if draw(st.integers(0, 5)) == 0:
        return draw(
            st.sampled_from((None, "labels", [], [[]], [[1], [1, 2]], {1: 2}, [None, 1], [0, "a"], object(), 3, b"ab"))
        )
    values = draw(st.lists(ODD_VALUES, min_size=1, max_size=4))
    shape, dtype = draw(ODD_SHAPES), draw(ODD_TYPES)
    cells = np.resize(np.array([*values, None], dtype=object)[:-1], shape)
    try:
        with np.errstate(all="ignore"):
            return cells.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        return cells


@st.composite
def strange(draw: Draw) -> Given:
    """A sound source with one to three arguments replaced by anything."""
    whole = draw(sound())
    parts = {name: getattr(whole, name) for name in Given.__dataclass_fields__}
    for name in draw(st.sets(st.sampled_from(tuple(parts)), min_size=1, max_size=3)):
        if name == "limit":
            parts[name] = draw(st.sampled_from((0, -1, 1, 10**9)))
        elif name == "class_names":
            parts[name] = draw(st.lists(WORDS, max_size=6))
        else:
            parts[name] = draw(anything())
    return Given(**parts)


def source_of(given: Given) -> Source:
    return source_from_arrays(
        "fuzz", given.inputs, given.labels, clean=given.clean, class_names=given.class_names, limit=given.limit
    )


def one_sentence(error: NoisybenchError) -> None:
    """An error says something, without a number of Python's own or a traceback."""
    assert str(error).strip()
    assert "Traceback" not in str(error)
    assert " at 0x" not in str(error)


# --- what is right, computed from scratch -------------------------------------------------------------------------------


def check_source(source: Source, given: Given) -> None:
    """Labels, classes and digest are those of the arguments, by loops and hashlib."""
    declared = given.class_names
    labels = [class_of(value, declared) for value in np.ravel(given.labels)]  # (n,) or (n, 1)
    labels = ["-1" if name == -1 else name for name in labels]  # a text, since numbers below 0 are refused
    clean = [class_of(value, declared) for value in np.ravel(() if given.clean is None else given.clean)]
    occurring = [name for name in {*labels, *clean} if isinstance(name, str)]
    names = sorted(occurring, key=whole_numbers_first) if declared is None else list(declared)
    assert source.class_names == tuple(names)
    assert source.labels.tolist() == [names.index(str(name)) for name in labels[: given.limit]]
    assert source.labels.dtype == np.int64
    known = [name if isinstance(name, int) else names.index(name) for name in clean[: given.limit]]
    assert source.clean.tolist() == ([-1] * len(source.labels) if given.clean is None else known)
    if given.inputs is None:
        assert source.inputs is None
        assert source.sha256 == source_sha256(None, source.labels.tolist())
        return
    wanted = np.asarray(given.inputs)[: given.limit]
    wanted = wanted[..., None] if wanted.ndim == 3 else wanted
    wanted = wanted if wanted.ndim == 4 else wanted.astype(np.float32)
    assert np.isfinite(wanted).all()
    assert np.array_equal(source.inputs, wanted)
    assert source.sha256 == source_sha256(wanted, source.labels.tolist())


def class_of(value: Any, declared: Sequence[str] | None) -> str | int:  # noqa: ANN401
    """The name of the class that an entry means; -1 where nobody knows, -2 where it says that the label is wrong."""
    if value is None or value in ("", "nan") or value != value:  # noqa: PLR0124 - NaN
        return -1
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, str):
        return -1 if value == "-1" else str(value)
    number = int(value)
    assert number == value, "rounded"
    return number if number < 0 else str(number) if declared is None else dict(enumerate(declared)).get(number, "none")


def whole_numbers_first(name: str) -> tuple[bool, int, str]:
    """The order of classes that occur: numbers by value, texts by code points."""
    return (False, int(name), "") if name.isdecimal() else (True, 0, name)


def source_sha256(inputs: Array | None, labels: list[int]) -> str:
    words = b"".join(label.to_bytes(8, "little", signed=True) for label in labels)
    if inputs is None:
        return hashlib.sha256(b"none" + words).hexdigest()
    little = inputs.astype(inputs.dtype.newbyteorder("<"))
    return hashlib.sha256(f"{inputs.dtype.name} {inputs.shape}".encode() + little.tobytes() + words).hexdigest()


def check_variant(variant: Variant, source: Source, *, found: bool, mode: str, options: Mapping[str, Any]) -> None:
    """Everything that any variant must be, whatever its noise."""
    k, labels = source.num_classes, variant.labels.tolist()
    assert len(labels) == len(source.labels)
    assert all(0 <= label < k for label in labels)
    assumed = not found and all(truth == -1 for truth in source.clean.tolist())
    clean = (source.labels if assumed else source.clean).tolist()
    assert variant.clean.tolist() == clean
    assert variant.provenance.reference == ("labels" if assumed else "clean")
    wrong = [truth not in (-1, label) for truth, label in zip(clean, labels, strict=True)]
    assert variant.mislabeled.tolist() == wrong
    words = b"".join(label.to_bytes(8, "little", signed=True) for label in labels)
    sha256 = source_sha256(source.inputs, source.labels.tolist())
    assert variant.provenance.labels_sha256 == hashlib.sha256(words).hexdigest()
    assert variant.provenance.variant_id == hashlib.sha256(bytes.fromhex(sha256) + words).hexdigest()
    before = [given if truth == -1 else truth for truth, given in zip(clean, source.labels.tolist(), strict=True)]
    if variant.selected is not None:
        kept = [i for i, chosen in enumerate(variant.selected) if not chosen]
        assert [labels[i] for i in kept] == [before[i] for i in kept]
        assert not any(chosen and truth == -1 for chosen, truth in zip(variant.selected, clean, strict=True))
    if variant.transition is not None:
        assert variant.transition.shape == (k, k)
        assert all(abs(float(row.sum()) - 1) < 1e-8 for row in all_entries(variant.transition))
        for truth, label in zip(clean, labels, strict=True):
            assert truth == -1 or all_entries(variant.transition)[truth, label] > 0
    if variant.flip_probability is not None:
        for chance, truth in zip(variant.flip_probability.tolist(), clean, strict=True):
            assert isnan(chance) if truth == -1 else 0 <= chance <= 1
    check_counts(variant, clean, wrong, mode=mode, options=options)


def check_counts(
    variant: Variant, clean: list[int], wrong: list[bool], *, mode: str, options: Mapping[str, Any]
) -> None:
    """In the exact modes the flips are the nearest integer to what the rate asks for, and so in each class where told."""
    if mode == "bernoulli" or variant.flip_probability is None or variant.selected is None:
        return
    chosen = variant.selected.tolist()
    chances = variant.flip_probability.tolist()
    known = [i for i, truth in enumerate(clean) if truth != -1]
    rate = options.get("rate")
    if variant.provenance.rate_definition == "inclusive":
        chances = [rate] * len(clean)  # of being redrawn
    else:
        assert chosen == wrong
    if variant.provenance.rate_definition == "effective":
        assert rate is not None
        assert abs(sum(wrong) - rate * len(known)) <= 0.5 + 1e-5
    cut = 0.5 if variant.provenance.noise == "dividemix_symmetric" else 0  # int(rate * n) is not rounded
    assert abs(sum(chosen) - sum(chances[i] for i in known)) <= 0.5 + cut + 1e-5
    if mode == "exact_per_class" or variant.provenance.rate_definition == "per_source_class":
        for k in range(variant.num_classes):
            members = [i for i in known if clean[i] == k]
            assert abs(sum(chosen[i] for i in members) - sum(chances[i] for i in members)) < 1 + 1e-5


def same(one: Variant, other: Variant) -> bool:
    """Equal in every field, arrays with their type, NaN equal to NaN."""
    if (one.class_names, one.provenance) != (other.class_names, other.provenance):
        return False
    for name in ("labels", "clean", "flip_probability", "selected", "transition"):
        a, b = getattr(one, name), getattr(other, name)
        if (a is None) != (b is None):
            return False
        if a is not None and (a.dtype, a.shape, a.tobytes()) != (b.dtype, b.shape, b.tobytes()):
            return False
    return True


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- variants ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Files that an option may name: matrices and maps for two to five classes, and what is no such thing."""
    folder = tmp_path_factory.mktemp("files")
    for k in (2, 3, 4, 5):
        matrix = np.full((k, k), 0.3 / (k - 1))
        np.fill_diagonal(matrix, 0.7)
        np.save(folder / f"matrix{k}.npy", matrix)
        np.savetxt(folder / f"matrix{k}.csv", np.eye(k)[::-1], delimiter=",")
        write_json({"0": 1}, folder / f"map{k}.json")
        np.save(folder / f"judgements{k}.npy", 1 + np.arange(14 * k).reshape(14, k) % 5)
    write_json([[0.5, 0.5], [0, 1]], folder / "matrix.json")
    write_json([[0.5, 0.6], [0, 1]], folder / "sums.json")
    write_json([[1], [0, 1]], folder / "ragged.json")
    np.save(folder / "words.npy", np.array([["a", "b"], ["c", "d"]]))
    np.save(folder / "complex.npy", np.eye(2) * 1j)
    (folder / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'")
    (folder / "empty.csv").touch()
    (folder / "words.csv").write_text("a,b\nc,d\n", encoding="utf-8")
    (folder / "deep.json").write_text("[" * 100_000, encoding="utf-8")
    (folder / "bytes.json").write_bytes(b"\xff\xfe")
    (folder / "none.pt").touch()
    np.save(folder / "annotators.npy", np.arange(42).reshape(3, 14) % 3 - 1)
    return (*sorted(folder.iterdir()), folder, folder / "nothing.npy")


@pytest.mark.parametrize("name", NOISES)
def test_a_variant_is_right_or_refused(name: str, files: tuple[Path, ...]) -> None:
    """Builds over every noise of the drawer: right by independent arithmetic, twice the same, the source as it was."""
    kind = find("noises", name)
    outcomes: Counter[str] = Counter()

    def case(given: Given, texts: dict[str, str], seed: int, mode: str) -> None:
        source = source_of(given)
        before = source.inputs.tobytes(), source.labels.tobytes(), source.clean.tobytes()
        try:
            noise = parse_options(kind, texts, what=f"noise '{name}'")
            variant = build_variant(source, noise, seed=seed, mode=mode)  # type: ignore[arg-type]  # anything
        except NoisybenchError as error:
            one_sentence(error)
            outcomes["refused"] += 1
            return
        outcomes["built"] += 1
        told = {field.name: getattr(noise, field.name) for field in fields(kind)}
        check_variant(variant, source, found=kind.found, mode=mode, options=told)
        again = build_variant(source_of(given), noise, seed=seed, mode=mode)  # type: ignore[arg-type]
        assert same(variant, again)
        assert before == (source.inputs.tobytes(), source.labels.tobytes(), source.clean.tobytes())

    mode = st.integers(0, 19).flatmap(lambda die: WORDS if die == 0 else modes(kind))
    seeds = st.one_of(st.integers(0, 99), st.integers(0, 99), st.integers())
    fuzz(-(-CASES["variants"] // len(NOISES)), case, given=sound(), texts=options(kind, files), seed=seeds, mode=mode)
    assert outcomes["refused"]
    assert outcomes["built"] or name.startswith(
        ("cifar_n", "cluster_based", "exchanged", "published")
    )  # whose published files fit no source of this size, nor circles and coordinates so few samples


def test_a_source_is_right_or_refused() -> None:
    """Sources of arguments of any type, shape and value: what is taken is what was given, never rounded."""
    outcomes: Counter[str] = Counter()

    def case(given: Given) -> None:
        try:
            source = source_of(given)
        except NoisybenchError as error:
            one_sentence(error)
            outcomes["refused"] += 1
            return
        outcomes["taken"] += 1
        check_source(source, given)

    fuzz(CASES["sources"], case, given=st.one_of(strange(), strange(), strange(), sound()))
    assert min(outcomes.values()) > CASES["sources"] / 10


@pytest.mark.parametrize("name", NOISES)
def test_what_is_written_is_read(name: str, files: tuple[Path, ...], tmp_path: Path) -> None:
    """Variants over every noise: the same bytes twice, and read back equal."""
    kind = find("noises", name)
    places, read = count(), count()

    def case(given: Given, texts: dict[str, str], seed: int, mode: str) -> None:
        try:
            noise = parse_options(kind, texts, what=name)
            variant = build_variant(source_of(given), noise, seed=seed, mode=mode)  # type: ignore[arg-type]
        except NoisybenchError:
            return
        one, other = (tmp_path / str(next(places)) for _ in range(2))
        write_variant(variant, one)
        write_variant(build_variant(source_of(given), noise, seed=seed, mode=mode), other)  # type: ignore[arg-type]
        assert contents(one) == contents(other)
        assert same(read_variant(one), variant)
        next(read)

    fuzz(
        -(-CASES["disk"] // len(NOISES)),
        case,
        given=sound(),
        texts=options(kind, files),
        seed=st.integers(0, 9),
        mode=modes(kind),
    )
    # These seldom fit a source of a few samples; the conformance test writes and reads them.
    assert next(read) > 0 or name.startswith(
        ("cifar_n", "cluster_based", "counterpart", "difficulty", "exchanged", "published")
    )


# --- files -------------------------------------------------------------------------------------------------------------


@st.composite
def damage(draw: Draw) -> Callable[[bytes, bytes], bytes | None]:
    """A change of a file: cut, flip, overwrite, insert, remove, repeat, splice with another file, empty, or lose it."""
    place, length = draw(st.floats(0, 1)), draw(st.integers(1, 40))
    word = draw(st.one_of(st.binary(min_size=1, max_size=8), st.just(b"\x00" * 8), st.just(b"\xff" * 8)))
    kind = draw(
        st.sampled_from(("cut", "flip", "flip", "write", "insert", "remove", "repeat", "splice", "empty", "lose"))
    )

    def change(content: bytes, other: bytes) -> bytes | None:
        at = int(place * len(content))
        return {
            "cut": content[:at],
            "flip": content[:at] + bytes(byte ^ (1 << length % 8) for byte in content[at : at + 1]) + content[at + 1 :],
            "write": content[:at] + word + content[at + len(word) :],
            "insert": content[:at] + word + content[at:],
            "remove": content[:at] + content[at + length :],
            "repeat": content[: at + length] + content[at:],
            "splice": content[:at] + other[at:],
            "empty": b"",
            "lose": None,
        }[kind]

    return change


@contextmanager
def damaged(file: Path, content: bytes | None) -> Iterator[None]:
    """The file with other content, or without any, for a while."""
    whole = file.read_bytes()
    file.unlink() if content is None else file.write_bytes(content)
    try:
        yield
    finally:
        file.write_bytes(whole)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two variants of one source on disk, with every column that there can be."""
    source = source_from_arrays(
        "npz", np.arange(24, dtype=np.uint8).reshape(12, 2), np.arange(12) % 3, clean=[*np.arange(11) % 3, -1]
    )
    folders = []
    for seed in (0, 1):
        folder = tmp_path_factory.mktemp("variant")
        write_variant(build_variant(source, find("noises", "symmetric")(rate=0.4), seed=seed), folder)
        folders.append(folder)
    return folders[0], folders[1]


def test_a_damaged_variant_is_refused_or_the_same(written: tuple[Path, Path], tmp_path: Path) -> None:
    """Variants of which one file is damaged: never another variant than the one that was written."""
    original, others = read_variant(written[0]), contents(written[1])
    whole = contents(written[0])
    outcomes: Counter[str] = Counter()
    folder = tmp_path / "variant"
    shutil.copytree(written[0], folder)

    def case(name: str, change: Callable[[bytes, bytes], bytes | None]) -> None:
        with damaged(folder / name, change(whole[name], others[name])):
            try:
                assert same(read_variant(folder), original)
                outcomes["the same"] += 1
            except NoisybenchError as error:
                one_sentence(error)
                outcomes["refused"] += 1

    fuzz(CASES["broken files"], case, name=st.sampled_from(sorted(whole)), change=damage())
    assert outcomes["refused"] > CASES["broken files"] / 2


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=4,
)


def encodable(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether a value can stand in a UTF-8 file and a SHA-256, which lone surrogates cannot."""
    try:
        json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
    except (UnicodeEncodeError, TypeError):
        return False
    return True


def forge(
    folder: Path, original: Variant, record: dict[str, Any], columns: dict[str, Array], law: Array | None
) -> None:
    """A folder whose digests are right and whose content need not be, as one who knows how they are made would write."""
    digest = hashlib.sha256()
    for name, values in columns.items():
        digest.update(f"{name} {values.dtype.name} ".encode() + values.tobytes())
    if law is not None:
        digest.update(law.tobytes())
        np.save(folder / "transition.npy", law)
    record = record | {"columns_sha256": digest.hexdigest()}
    metadata = {
        "variant_id": str(record.get("variant_id")),
        "record_sha256": hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest(),
    }
    write_columns(columns, folder / "labels.parquet", metadata=metadata)
    write_json(record, folder / "variant.json")


def test_a_forged_variant_is_refused_or_sound(written: tuple[Path, Path], tmp_path: Path) -> None:
    """Variants with right digests over a changed field or column: refused, or still a variant that fits together."""
    original = read_variant(written[0])
    record = json.loads((written[0] / "variant.json").read_text(encoding="utf-8"))
    base: dict[str, Any] = {
        "sample": np.arange(12),
        "label": original.labels,
        "clean": original.clean,
        "flip_probability": original.flip_probability,
        "selected": original.selected,
    }
    outcomes: Counter[str] = Counter()

    def case(what: str, value: Any, array: Any) -> None:  # noqa: ANN401
        forged, columns = dict(record), dict(base)
        law = None if original.transition is None else all_entries(original.transition)
        if what in forged:
            forged[what] = value
        elif not isinstance(array, np.ndarray) or array.dtype.kind in "OMmVFDSgc" or array.ndim not in (1, 2):
            return
        elif what == "transition":
            law = array
        elif array.size and (array.ndim == 1 or array.shape[1]):
            columns[what] = np.resize(array, (12, *array.shape[1:]))
        try:
            forge(tmp_path, original, forged, columns, law)
        except (ValueError, TypeError, pa.ArrowException):  # what cannot be written down need not be read
            return
        try:
            variant = read_variant(tmp_path)
        except NoisybenchError as error:
            one_sentence(error)
            outcomes["refused"] += 1
            return
        outcomes["read"] += 1
        words = variant.labels.astype("<i8").tobytes()
        assert variant.provenance.labels_sha256 == hashlib.sha256(words).hexdigest()
        assert all(isinstance(name, str) for name in variant.class_names)
        assert all(0 <= label < len(variant.class_names) for label in variant.labels.tolist())
        assert isinstance(variant.provenance.seed, int)
        assert isinstance(variant.provenance.params, dict)
        assert "/" not in variant.name
        cli_text(tmp_path)

    def cli_text(folder: Path) -> None:
        from noisybench.cards.description import describe
        from noisybench.cards.description_text import to_record, to_text

        variant = read_variant(folder)
        assert to_text(variant, describe(variant))
        assert to_record(variant, describe(variant), matrices=True)

    fuzz(
        CASES["forged variants"],
        case,
        what=st.sampled_from((*record, *base, "transition")),
        value=JSON.filter(encodable),
        array=anything(),
    )
    assert outcomes["refused"] > CASES["forged variants"] / 4
    assert outcomes["read"]


@pytest.fixture(scope="module")
def home_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of twelve samples beside its variant and a measured memorization, written here."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "mlp" / "seed-0"
    clean = np.arange(12) % 3
    source = source_from_arrays("npz", np.arange(24, dtype=np.uint8).reshape(12, 2), clean, clean=clean)
    variant = build_variant(source, find("noises", "symmetric")(rate=0.4))
    write_variant(variant, home / "variant")
    identity = variant.provenance.variant_id
    about: dict[str, Any] = {
        **about_labels(variant),
        "model": "mlp",
        "recipe": "standard",
        "setup": "cd" * 32,
        "epochs": 2,
        "observe": "after",
        "features": "input",
        "regime": "training",
        "trained": "abc123",
        "seed": 0,
        "detectors": {"aum": "aum"},
        "controls": [],
    }
    write_json(about, folder / "run.json")
    write_columns({"epoch": np.array([1, 2]), "test_accuracy": np.array([0.5, 0.9])}, folder / "history.parquet")
    write_json({"seconds": 1.0, "detectors": {"aum": {"seconds": 1.0, "passes": 2}}}, folder / "timing.json")
    write_scores(Scores("aum", np.arange(12.0), identity), folder / "scores" / "aum.parquet")
    for epoch in (1, 2):
        values = {"loss": np.full(12, epoch, np.float32), "logits": np.ones((12, 3), np.float32)}
        write_observation(Observation(epoch, values), folder / "trace", variant_id=identity)
    weights = {"weight": torch.ones(2, 3)}
    write_checkpoint(
        Checkpoint(2, about, {"epoch": [1.0, 2.0]}, 0.5, weights, {"0.step": torch.ones(())}),
        folder / "checkpoint.safetensors",
    )
    p_in, p_out, rest, seen = np.arange(12) / 12, np.arange(12)[::-1] / 24, np.full(12, 0.1), np.full(12, 7)
    learner = Learner("mlp", "standard", 2, "abc123", fraction=0.7)
    truth = Memorization(p_in - p_out, rest, p_in, p_out, rest, rest, seen, 10 - seen, 10, learner, identity)
    write_memorization(truth, home / "memorization" / "mlp" / "memorization.parquet")
    return home


def test_damaged_runs_are_refused_or_read(home_folder: Path, tmp_path: Path) -> None:
    """500 runs of which one file is damaged or says something else: every reader reads it, or says what is wrong."""
    whole = {name: held for name, held in contents(home_folder).items() if not name.startswith("variant")}
    home = tmp_path / "home"
    folder, measured = home / "mlp" / "seed-0", home / "memorization" / "mlp" / "memorization.parquet"
    shutil.copytree(home_folder, home)
    (row,) = [row for row in leaderboard(home, truth="memorization") if row.kind == "detector"]
    assert (row.detector, row.matched) == ("aum", True)
    outcomes: Counter[str] = Counter()

    def case(name: str, change: Callable[[bytes, bytes], bytes | None], key: str, value: Any) -> None:  # noqa: ANN401
        content = change(whole[name], whole["mlp/seed-0/scores/aum.parquet"])
        if name.endswith(".json") and key:
            record = json.loads(whole[name])
            content = json.dumps(record | {key: value}).encode()

        def read_all_columns() -> None:
            trace = read_trace(folder / "trace")
            for column in trace.columns.values():
                assert len(column.epochs) == len(column.values)

        readers: tuple[Callable[[], object], ...] = (
            lambda: read_runs(folder),
            lambda: leaderboard(home),
            lambda: leaderboard(home, truth="memorization"),
            lambda: Result(folder).agreement(truth="memorization"),
            lambda: read_memorization(measured),
            lambda: read_scores(folder / "scores" / "aum.parquet"),
            read_all_columns,
            lambda: read_checkpoint(folder / "checkpoint.safetensors"),
        )
        with damaged(home / name, content):
            for reader in readers:
                try:
                    reader()
                    outcomes["read"] += 1
                except NoisybenchError as error:
                    one_sentence(error)
                    outcomes["refused"] += 1

    record = "mlp/seed-0/run.json"
    keys = ("", *json.loads(whole[record]), "seconds", "detectors")
    fuzz(
        CASES["runs"],
        case,
        name=st.sampled_from((*sorted(whole), record, "mlp/seed-0/timing.json")),
        change=damage(),
        key=st.sampled_from(keys),
        value=JSON,
    )
    assert outcomes["refused"] > CASES["runs"] / 4


# --- command line ------------------------------------------------------------------------------------------------------


def test_the_command_line_builds_right_or_says_why(
    files: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command lines build → describe → verify: exit code 0, 1 or 2, no traceback, and nothing written unless 0."""
    monkeypatch.chdir(tmp_path)
    kinds = {name: find("noises", name) for name in NOISES}
    outcomes: Counter[int] = Counter()
    places = count()

    @st.composite
    def commands(draw: Draw) -> tuple[list[str], str]:
        name = draw(st.sampled_from(NOISES))
        words: list[str] = []
        for key, text in draw(options(kinds[name], files)).items():
            words += ["--rate", text] if key == "rate" and draw(st.booleans()) else ["--set", f"{key}={text}"]
        rare = st.integers(0, 9).map(lambda die: die == 0)
        for flag, text in (
            ("--mode", st.sampled_from(MODES)),
            ("--seed", st.integers(0, 99).map(str)),
            ("--limit", st.integers(1, 14).map(str)),
            ("--source-set", st.sampled_from(("split=train", "nothing=1", "x"))),
        ):
            if draw(rare if flag == "--source-set" else st.booleans()):
                words += [flag, draw(WORDS) if draw(rare) else draw(text)]
        return words, draw(WORDS) if draw(rare) else name

    def case(given: Given, command: tuple[list[str], str]) -> None:
        place = tmp_path / str(next(places))
        place.mkdir()
        arrays = {name: getattr(given, name) for name in ("inputs", "labels", "clean", "class_names")}
        np.savez(place / "data.npz", **{name: array for name, array in arrays.items() if array is not None})
        words, noise = command
        out = place / "variants"
        result = shell("build", "npz", "--data", place / "data.npz", "--noise", noise, "--out", out, *words)
        outcomes[result.code] += 1
        assert result.code in (0, 1, 2)
        assert "Traceback" not in result.err
        assert "not expected" not in result.err
        if result.code:
            assert result.out == ""
            assert not out.exists()
            assert len(result.err.splitlines()) == 1
            assert result.err.startswith("error: ")
        else:
            folder = Path(result.out.splitlines()[-1])
            variant = read_variant(folder)
            assert [path.name for path in out.iterdir()] == [variant.name]
            described = shell("describe", folder, "--json")
            assert described.code == 0
            assert json.loads(described.out)["variant_id"] == variant.provenance.variant_id
            verified = shell("verify", folder)
            assert (verified.code, verified.out.splitlines()[-1]) == (0, f"{folder} is whole")
            again = shell("build", "npz", "--data", place / "data.npz", "--noise", noise, "--out", out, *words)
            assert again == result
        shutil.rmtree(place)

    fuzz(CASES["command line"], case, given=sound(), command=commands())
    assert min(outcomes[code] for code in (0, 1, 2)) > CASES["command line"] / 50


def test_a_damaged_folder_is_not_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``verify`` on a built folder with a damaged file: it is the variant that was built, or a sentence says why not."""
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "data.npz", inputs=np.eye(12), labels=np.arange(12) % 3, clean=np.arange(12) % 3)
    words = ("--data", "data.npz", "--noise", "symmetric", "--rate", "0.4", "--out", "variants")
    built = shell("build", "npz", *words)
    folder = Path(built.out.splitlines()[-1])
    original, whole = read_variant(folder), contents(folder)
    assert shell("verify", folder).code == 0
    outcomes: Counter[int] = Counter()

    def case(name: str, change: Callable[[bytes, bytes], bytes | None], value: Any) -> None:  # noqa: ANN401
        content = change(whole[name], whole["variant.json"])
        if name == "location.json" and content:
            content = json.dumps(value).encode()
        with damaged(folder / name, content):
            result = shell("verify", folder)
            outcomes[result.code] += 1
            assert result.code in (0, 1, 2)  # 2: say --data
            assert "not expected" not in result.err
            assert len(result.err.splitlines()) == (result.code > 0)
            if result.code == 0:
                assert same(read_variant(folder), original)

    place = st.fixed_dictionaries({}, optional={"data": JSON, "source_set": st.dictionaries(WORDS, JSON, max_size=2)})
    fuzz(CASES["verify"], case, name=st.sampled_from(sorted(whole)), change=damage(), value=st.one_of(place, JSON))
    assert outcomes[1] + outcomes[2] > CASES["verify"] / 3


# --- texts -------------------------------------------------------------------------------------------------------------


def parsed_kinds() -> list[Any]:
    """Every dataclass that is made from texts."""
    return [
        *(find("noises", name) for name in NOISES),
        *(find("sources", name) for name in names("sources")),
        Recipe,
        Watch,
    ]


def test_options_are_what_the_text_says(files: tuple[Path, ...]) -> None:
    """Options of every noise, source and recipe: parsed to the field's type and value, or refused."""

    def meant(value: Any, text: str) -> bool:  # noqa: ANN401 - of any type
        if value is None or text in FITTING["steps"]:  # which are spelled out
            return text.lower() in ("none", "") or type(value) is str
        if isinstance(value, bool):
            return value == (text.lower() in ("true", "yes", "1"))
        return bool(value == type(value)(text)) or value != value  # noqa: PLR0124 - NaN

    def case(chosen: tuple[Any, dict[str, str]]) -> None:
        kind, values = chosen
        try:
            made = parse_options(kind, values, what="it")
        except NoisybenchError as error:
            one_sentence(error)
            return
        for key, text in values.items():
            value, hint = getattr(made, key), get_type_hints(kind)[key]
            assert type(value) in (hint, *get_args(hint)) or isinstance(value, str | Path)
            left_out = type(None) in get_args(hint) and text.lower() in ("none", "")  # then it may be found
            assert left_out or meant(value, text)

    kinds = parsed_kinds()
    chosen = st.sampled_from(kinds).flatmap(lambda kind: st.tuples(st.just(kind), options(kind, files)))
    fuzz(CASES["options"] // 2, case, chosen=chosen)

    def pairs(words: list[str], kind: Any, text: str) -> None:  # noqa: ANN401
        try:
            assert [f"{key}={value}" for key, value in split_pairs(words, flag="--set").items()] == words
        except BadUsage as error:
            one_sentence(error)
        try:
            assert type(parse_value(kind, text, "it")) in accepted[kind]
        except BadUsage as error:
            one_sentence(error)

    accepted: dict[Any, tuple[type, ...]] = {kind: (kind,) for kind in (int, float, bool, str)}
    accepted |= {Path: (type(Path()),), int | None: (int, NoneType), str | Path | None: (str, NoneType)}
    accepted |= {Literal["a", "b"]: (str,)}
    words = st.lists(st.one_of(WORDS, st.sampled_from(("a=1", "b=", "c=d=e"))), max_size=3)
    fuzz(CASES["options"] // 2, pairs, words=words, kind=st.sampled_from(tuple(accepted)), text=WORDS)


def test_seeds_are_whole_numbers() -> None:
    """Texts for ``--seeds``: the numbers between its commas, or bad usage."""

    def case(text: str) -> None:
        try:
            numbers = cli._numbers(text)
        except BadUsage as error:
            one_sentence(error)
            return
        assert numbers == tuple(int(part) for part in text.split(","))

    numbers = st.lists(st.integers(-1, 99), max_size=5).map(lambda parts: ",".join(map(str, parts)))
    fuzz(CASES["seeds"], case, text=st.one_of(numbers, WORDS, st.text("0123456789, -_", max_size=8)))


def test_names_survive_every_form() -> None:
    """Names of detectors, models, recipes and pretraining data: a table keeps its rows and columns, CSV and JSON the name itself."""

    def case(detector: str, model: str, recipe: str, data: str) -> None:
        for name in (detector, model):
            assert set(file_name(name)).isdisjoint('/\\:*?"<>|\x00\n')
        learner = Learner(model, recipe, 1, "abc123")
        values: dict[str, Any] = {
            "detector": detector,
            "learner": learner,
            "truth_learner": learner,
            "kind": "detector",
            "information": ("held_out", "pretrained"),
            "pretrained": Pretrained(data, None, "unknown"),
            "block": "pretrained",
        }
        filler: dict[Any, Any] = {int: 1, float: 0.5, str: "x", bool: True, tuple[str, ...]: ("x",)}
        kept = {field.name for field in fields(Row) if field.default is not MISSING}
        for field, hint in get_type_hints(Row).items():
            if field not in kept:
                values.setdefault(field, filler.get(hint, 1))
        values |= {"truth": "mislabeled", "metric": "auroc", "interval": "none"}
        rows = [Row(**values), Row(**values | {"detector": "aum"})]
        first = json.loads(to_json(rows))[0]
        assert (first["detector"], first["pretrained"]) == (detector, data)
        read = list(csv.DictReader(io.StringIO(to_csv(rows), newline="")))
        assert [row["detector"] for row in read] == [spreadsheet_cell(detector), "aum"]
        assert not read[0]["detector"].lstrip().startswith(("=", "+", "-", "@"))
        plain = detector.isprintable() and not detector.lstrip().startswith(("=", "+", "-", "@"))
        assert not plain or read[0]["detector"] == detector
        table = to_markdown(rows).split("\n\n")[1].rstrip("\n").split("\n")
        assert len(table) == 4
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1
        body = to_latex(rows).split("\\midrule\n")[1].split("\\bottomrule")[0]
        assert body.count("\n") == 2
        console = Console(file=io.StringIO(), width=200)
        console.print(to_table(rows))

    fuzz(CASES["names"], case, detector=WORDS, model=WORDS, recipe=WORDS, data=WORDS)
