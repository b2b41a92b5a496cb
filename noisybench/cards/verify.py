"""Verifying variants: what is written is whole, and what stands together belongs together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import sqrt
from os.path import isfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.cards.croissant import CROISSANT, croissant_of
from noisybench.cards.data_cards import as_call, as_option, correction_words, named_files
from noisybench.cards.description import Description, describe
from noisybench.cards.variant_card import README, card_of, encoded
from noisybench.data.crowd.answers import Answers
from noisybench.data.source import Option, Source
from noisybench.ground.arrays import read_only
from noisybench.ground.digests import file_digest, label_digest
from noisybench.ground.download import Unasked
from noisybench.ground.durability import is_temporary
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.lookup import find, names, summary
from noisybench.ground.options import parse_options
from noisybench.ground.rounding import rounding_here, rounding_words
from noisybench.ground.version import __version__
from noisybench.ground.walking import find_below
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import CORRECTIONS
from noisybench.variants.noise import Noise
from noisybench.variants.transitions import AnyTransition, SparseTransition
from noisybench.variants.variant import Variant, answer_columns, read_variant, variant_id

LAW = ("flip_probability", "selected", "transition", "answers")
"""Columns that a draw which rests on last digits may have otherwise elsewhere, besides the labels."""


def verify_variant(folder: Path, *, cards: bool = True) -> Iterator[str]:
    """Check a variant's folder, saying what was checked: digests, rates and matrices, and both cards written again.

    Whether its noise and seed give these labels takes the source, and ``verify_draw``.

    Args:
        folder: Of the variant.
        cards: Whether it must have its cards; one that lies beside runs has none.

    Raises:
        BadData: What differs, and from what.
    """
    variant = read_variant(folder)  # digests, shapes, classes
    yield f"labels match their digest and variant id {variant.provenance.variant_id[:8]}"
    if variant.corrections is not None:  # which were applied again as the folder was read
        yield f"{CORRECTIONS}: {correction_words(variant)}, gives these labels"
    law = variant.flip_probability
    if law is not None and not ((law[variant.class_known] >= 0) & (law[variant.class_known] <= 1)).all():
        msg = f"{folder}: a flip probability lies outside [0, 1]; build again"
        raise BadData(msg)
    flipped = variant.mislabeled & variant.class_known
    if variant.selected is not None and (flipped & ~variant.selected).any():
        sample = int(np.flatnonzero(flipped & ~variant.selected)[0])
        msg = f"{folder}: sample {sample} is wrong without having been selected for noise; build again"
        raise BadData(msg)
    description = describe(variant)
    if variant.transition is not None and _excluded(description.transition, variant.transition):
        msg = f"{folder}: labels were given that the transition matrix excludes; build again"
        raise BadData(msg)
    _check_rates(variant, description, folder)
    told = _check_nominal_rate(variant, description, folder)
    yield f"no label contradicts its flip probability, selection or transition matrix; {told}"
    if cards:
        yield _check_card(variant, folder / README, card_of(variant))
        yield _check_card(variant, folder / CROISSANT, croissant_of(variant, folder))
    wrong = int(variant.mislabeled.sum())
    yield (
        f"realised rate {wrong / description.known:.4%} ({wrong} of {description.known})"
        if description.known
        else "no clean label is known, so there is no realised rate"
    )


def _excluded(realised: AnyTransition, nominal: AnyTransition) -> bool:
    """Whether a label was given that a matrix excludes."""
    if isinstance(realised, SparseTransition) and isinstance(nominal, SparseTransition):
        there = realised.values > 0
        return not nominal.at(realised.rows[there], realised.columns[there]).all()
    return bool(((realised > 0) & (nominal == 0)).any())  # type: ignore[operator, union-attr]  # two arrays


def _check_rates(variant: Variant, description: Description, folder: Path) -> None:
    """The chances of wrong labels are those of the matrix, and as many are wrong as the mode promises."""
    law, known = variant.flip_probability, variant.class_known
    if law is None or not known.any():
        return
    clean = variant.clean[known]
    with np.errstate(invalid="ignore"):  # an empty class has no mean
        means = np.bincount(clean, law[known], minlength=variant.num_classes) / description.class_counts
    nominal = description.nominal_class_rates
    if nominal is not None and np.allclose(law[known], means[clean], rtol=0, atol=1e-9):  # a law of the class alone
        odd = np.flatnonzero(np.abs(means - nominal) > 1e-6)  # noqa: PLR2004 - rounding of a mean
        if odd.size:
            k = int(odd[0])
            msg = (
                f"{folder}: labels of class {k} are wrong with probability {means[k]:.6g}, the transition matrix says "
                f"{nominal[k]:.6g}; build again"
            )
            raise BadData(msg)
    provenance = variant.provenance
    promised = provenance.mode != "bernoulli" and provenance.rate_definition in ("effective", "per_source_class")
    wrong, expected = int(variant.mislabeled[known].sum()), float(law[known].sum())
    if promised and provenance.noise in names("noises") and abs(wrong - expected) > 0.5 + 1e-4:
        msg = (
            f"{folder}: {wrong} labels are wrong where mode {provenance.mode} means {expected:.6g} to the nearest "
            f"number; build again"
        )
        raise BadData(msg)


def _check_nominal_rate(variant: Variant, description: Description, folder: Path) -> str:
    """A sentence about the recorded rate, which the chances of wrong labels must have by its definition."""
    p, law, known = variant.provenance, variant.flip_probability, variant.class_known
    if law is None or not known.any() or p.noise not in names("noises") or p.rate_definition == "none":
        return "there is no rate to compare"
    rate, found, slack = description.nominal_rate, float(law[known].mean()), 1e-6
    if rate is None:
        msg = f"{folder}: the record names no rate for noise '{p.noise}'; build again"
        raise BadData(msg)
    expected = rate
    if p.rate_definition == "inclusive":
        expected = rate * (1 - 1 / variant.num_classes)
    elif p.rate_definition == "per_source_class":  # of the classes that are mapped, and nothing in the others
        if description.nominal_class_rates is None:
            return "there is no rate to compare"
        found = float(description.nominal_class_rates.max())
    elif p.mode == "bernoulli":  # chances of their own for each sample have the rate as their mean in the long run only
        slack += 6 * float(law[known].std()) / sqrt(int(known.sum()))
    elif np.isin(law[known], (0, 1)).all():  # nothing left to chance: the count next to the rate
        slack += 0.5 / int(known.sum())
    if not abs(found - expected) <= slack:
        msg = (
            f"{folder}: labels are wrong with probability {found:.6g} where the recorded rate {rate:g} means "
            f"{expected:.6g}; build again"
        )
        raise BadData(msg)
    return f"flip probabilities have the recorded rate {rate:g}"


def verify_draw(variant: Variant, source: Source) -> str:
    """A sentence: the recorded noise, drawn again from ``source``, gives this variant, or why that is not known.

    A draw that rests on last digits (``rounded``) is held to what it gives where they are alike: on the same kind of
    processor, by as many threads, with the same versions.

    Args:
        variant: As it was read.
        source: What ``check_source`` accepts for it.

    Raises:
        Mismatch: Rate, seed, mode or another entry of the record does not give these labels.
    """
    p = variant.provenance
    call = f"{as_call(p.noise, p.params)}, seed {p.seed}, mode {p.mode}"
    if p.noise not in names("noises") or not summary("noises", p.noise):  # a record may not name code to import
        return f"the labels were not drawn again: '{p.noise}' is not one of noisybench's noises"
    for key, value in p.params.items():
        for name, digest in named_files(value):
            # Only in the working directory: the record holds no place, and a stranger's may not name one.
            if not _is_here(name, digest):
                return f"{p.noise} was not drawn again: {name}, the file of its '{key}', is not at hand; verify in the folder that holds it"
    kind: type[Noise] = find("noises", p.noise)
    try:
        noise: Noise = parse_options(
            kind, {key: as_option(value)[0] for key, value in p.params.items()}, what=f"noise '{p.noise}'"
        )
        bare = [key for key, value in p.params.items() if _is_bare(getattr(noise, key), value)]
        if bare:
            msg = f"the record of {call} names a file as '{bare[0]}' without its digest; build again"
            raise Mismatch(msg)
        drawn = build_variant(source, noise, seed=p.seed, mode=p.mode)
        elsewhere = _drawn_elsewhere(noise, p.drawn_on)
        held = _with_draw_of(variant, drawn) if elsewhere else drawn
        again = held if variant.corrections is None else correct_variant(held, variant.corrections)
    except BadUsage as error:
        msg = f"the record of {call} cannot be drawn again: {error}"
        raise Mismatch(msg) from None
    except BadData as error:
        if isinstance(error, Mismatch) or not (kind.found or isinstance(error, Unasked)):
            raise
        return f"{p.noise} was not drawn again: {error}"
    _check_same(variant, again, call)
    odd = _differences(held, drawn)
    if odd:
        return f"{call}, drawn again, gives another {', '.join(odd)}, which proves nothing: {elsewhere}"
    corrected = "" if variant.corrections is None else " once it is corrected"
    return f"{call}, drawn again, gives these labels{corrected}"


def _drawn_elsewhere(noise: Noise, drawn_on: Mapping[str, str] | None) -> str:
    """In words, where a draw that rests on last digits was made, and where it is made again; nothing where these are alike."""
    here = rounding_here()
    if not getattr(noise, "rounded", False) or drawn_on == here:
        return ""
    there = "a machine that the record does not name" if not drawn_on else rounding_words(drawn_on)
    return f"it rests on last digits, and was drawn on {there}, now on {rounding_words(here)}"


def _with_draw_of(variant: Variant, drawn: Variant) -> Variant:
    """What was drawn again, with what may rest on last digits as ``variant`` has it: labels before corrections, law, answers.

    All else follows from source and record on every machine, above all what is known of the right classes.
    """
    labels = variant.labels if variant.corrections is None else variant.corrections.labels_before(variant.labels)
    if labels.shape != drawn.labels.shape or variant.class_names != drawn.class_names:
        return drawn  # of another source: no digits make that
    pairs = [(name, getattr(variant, name), getattr(drawn, name)) for name in LAW]
    either = (variant.clean < 0) & (drawn.clean < 0)  # of a label that is known to be wrong, another one is not
    return replace(
        drawn,
        labels=labels,
        clean=read_only(np.where(either, variant.clean, drawn.clean)),
        provenance=replace(
            drawn.provenance,
            labels_sha256=label_digest(labels),
            variant_id=variant_id(drawn.provenance.source_sha256, labels),
        ),
        **{name: ours for name, ours, theirs in pairs if ours is not None and theirs is not None},
    )


def _check_same(variant: Variant, again: Variant, call: str) -> None:
    """Raise ``Mismatch`` where a variant is not the one that was drawn again."""
    odd = _differences(variant, again)
    if odd:
        msg = (
            f"{call} does not give this variant but another {', '.join(odd)}: the recorded rate, seed, mode or another "
            f"parameter is not the one it was drawn with; build again"
        )
        raise Mismatch(msg)


def _is_here(name: str, digest: str) -> bool:
    """Whether the working directory holds the file of that name."""
    # isfile is False for a text that can be no path, where Path.is_file raises
    return name == Path(name).name and isfile(name) and file_digest(Path(name)) == digest  # noqa: PTH113


def _is_bare(option: object, recorded: Option) -> bool:
    """Whether an option is a file that the record does not hold to a digest, so that anything might be read."""
    return isinstance(option, Path) and as_option(recorded)[1] is None


def _differences(variant: Variant, again: Variant) -> list[str]:
    """What two variants do not share, in words, numbers up to the rounding of another machine."""
    odd = []
    for name in ("reference", "rate_definition", "seed", "mode"):
        ours, theirs = getattr(variant.provenance, name), getattr(again.provenance, name)
        if ours != theirs:
            odd.append(f"{name} ({theirs}, not {ours})")
    if variant.class_names != again.class_names:
        return [*odd, "class names"]
    for name, ours, theirs in _columns_of(variant, again):
        if ours is None or theirs is None:
            if ours is not theirs:
                odd.append(f"{name} ({'none' if theirs is None else 'one'}, not {'none' if ours is None else 'one'})")
        elif ours.shape != theirs.shape:
            odd.append(f"{name} (of shape {theirs.shape}, not {ours.shape})")
        else:
            differs = ~np.isclose(ours, theirs, rtol=0, atol=1e-9, equal_nan=True)
            if differs.any():
                odd.append(f"{name} (in {int(differs.sum())} of {differs.size})")
    if variant.answers is not None and (
        again.answers is None or _answered(variant.answers) != _answered(again.answers)
    ):
        odd.append("answers")  # a variant of before there were answers has none
    marks = sorted({*variant.marks, *again.marks})
    odd += [f"mark '{name}'" for name in marks if not _same(variant.marks.get(name), again.marks.get(name))]
    return odd


def _columns_of(variant: Variant, again: Variant) -> list[tuple[str, Any, Any]]:
    """Name of each column and part of the transition matrix, as the two variants have it."""
    columns = ("labels", "clean", "flip_probability", "selected", "transition")
    pairs = [(name, getattr(variant, name), getattr(again, name)) for name in columns]
    if isinstance(variant.transition, SparseTransition) and isinstance(again.transition, SparseTransition):
        theirs = again.transition.arrays()
        pairs[-1:] = [
            (f"transition ({name})", ours, theirs[name]) for name, ours in variant.transition.arrays().items()
        ]
    return pairs


def _answered(answers: Answers) -> list[list[int]]:
    return [column.tolist() for column in answer_columns(answers).values()]


def _same(ours: NDArray[Any] | None, theirs: NDArray[Any] | None) -> bool:
    return ours is not None and theirs is not None and np.array_equal(ours, theirs)


def _check_card(variant: Variant, path: Path, text: str) -> str:
    """A sentence about a card that is there and is what it must be, or was written by another version."""
    if not path.is_file():
        msg = f"{path} is missing; noisybench.write_cards(variant, folder) writes it, or build again"
        raise BadData(msg)
    found, expected = path.read_bytes(), encoded(text)
    if found == expected:
        return f"{path.name} follows from the labels"
    if variant.provenance.noisybench != __version__:
        return (
            f"{path.name} was not compared: noisybench {variant.provenance.noisybench} built the variant, "
            f"this is {__version__}, which words it differently"
        )
    theirs, ours = (part.decode("utf-8", "replace").split("\n") for part in (found, expected))
    line = _first_difference(theirs, ours)
    here, there = (lines[line] if line < len(lines) else "" for lines in (theirs, ours))
    start = max(0, _first_difference(here, there) - 40)
    msg = (
        f"{path}, line {line + 1}, has '{here[start : start + 80]}' where the variant gives "
        f"'{there[start : start + 80]}'; build again"
    )
    raise BadData(msg)


def _first_difference(left: Sequence[str], right: Sequence[str]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(left), len(right)))


def variants_below(folder: Path) -> list[Path]:
    """The folders of variants below a folder, but for those that lie beside runs: they are checked with these."""
    found = [path.parent for path in find_below(folder, {"variant.json"}).paths]
    kept = [path for path in found if not lies_beside_runs(path)]
    return [path for path in kept if not is_temporary(path.relative_to(folder))]


def lies_beside_runs(folder: Path) -> bool:
    """Whether a variant's folder is the one that runs, or a measurement of memorization, were laid beside."""
    if folder.name != "variant":
        return False
    above = folder.absolute().parent
    return next(above.glob("*/seed-*/run.json"), next(above.glob("memorization/*"), None)) is not None
