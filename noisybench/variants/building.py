"""Building a variant: labels drawn once, from an explicit seed, and corrected by what people decided."""

from collections.abc import Iterable
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, WRONG, check_labels, read_only
from noisybench.ground.checks import check_kind, whole
from noisybench.ground.digests import label_digest
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.options import plain_options
from noisybench.ground.rounding import rounding_here
from noisybench.ground.version import __version__
from noisybench.variants.corrections import CHECKED, DROPPED, Corrections, as_corrections, several
from noisybench.variants.flipping import Mode, check_mode
from noisybench.variants.noise import Noise, noise_name
from noisybench.variants.transitions import AnyTransition, SparseTransition, compact
from noisybench.variants.variant import Provenance, Variant, check_variant, variant_id

SomeCorrections = Corrections | str | Path
"""Corrections, or the file that holds them."""


def build_variant(
    source: Source,
    noise: Noise,
    *,
    seed: int = 0,
    mode: Mode | None = None,
    corrections: SomeCorrections | Iterable[SomeCorrections] | None = None,
) -> Variant:
    """Draw the labels of ``source`` once, and write down how.

    Where a source knows no right class at all, a noise that injects errors starts from the labels as they came, and the
    provenance says so (``reference="labels"``). Where it knows some, the others keep their label and what is known of it.

    Args:
        source: Left as it was.
        noise: An instance of what a file of ``noises/`` gives.
        seed: Decides every draw.
        mode: How the counts are drawn, see ``noisybench.variants.flipping``; None takes ``exact`` where the noise has that mode,
            else the first that it has.
        corrections: What people decided about these labels, see ``correct_variant``; several are taken one after another.

    Raises:
        BadUsage: A seed or a mode that cannot be meant.
        BadData: The noise cannot be applied to this source, or corrections cannot be read.
        Mismatch: Corrections are of another variant.
    """
    if mode is not None:
        check_mode(mode)
    check_kind(source, Source, "source", "load_source('digits') or source_from_arrays(…) gives one")
    if isinstance(noise, type) or not is_dataclass(noise) or not hasattr(noise, "found"):
        given = f"the class {noise.__name__}" if isinstance(noise, type) else repr(noise)
        msg = f"noise must be an instance with its parameters, as find('noises', 'symmetric')(rate=0.2), got {given}"
        raise BadUsage(msg)
    mode = mode or getattr(noise, "modes", get_args(Mode))[0]
    if noise.found:  # nothing is drawn, so neither may tell two variants apart
        seed, mode = 0, "exact"
    seed = whole(seed, "seed", least=0)
    name = noise_name(noise)
    base, reference = _reference(source, name, found=noise.found)
    shown = replace(base, clean=read_only(np.where(base.clean == WRONG, UNKNOWN, base.clean)))
    draw = noise(shown, seed=seed, mode=mode)
    labels = check_labels(draw.labels, source.num_classes, what=f"labels drawn by '{name}'")
    # That the published label is wrong says nothing of another one.
    lost = (base.clean == WRONG) & (labels != source.labels)
    if draw.doubted is not None:
        lost |= draw.doubted
    variant = Variant(
        labels=labels,
        clean=read_only(np.where(lost, UNKNOWN, base.clean)),
        class_names=source.class_names,
        flip_probability=None if draw.flip_probability is None else read_only(draw.flip_probability),
        selected=None if draw.selected is None else read_only(draw.selected),
        transition=None if draw.transition is None else _kept(draw.transition),
        provenance=Provenance(
            source=source.name,
            source_options=dict(source.options),
            limit=source.limit,
            source_sha256=source.sha256,
            source_order=source.order,
            noise=name,
            params=plain_options(noise),
            rate_definition=draw.rate_definition,
            reference=reference,
            seed=seed,
            mode=mode,
            labels_sha256=label_digest(labels),
            variant_id=variant_id(source.sha256, labels),
            noisybench=__version__,
            left_out=source.left_out,
            drawn_on=rounding_here() if getattr(noise, "rounded", False) else None,
        ),
        marks={**source.marks, **draw.marks},
        answers=source.answers if draw.answers is None else draw.answers,
    )
    for one in several(corrections):
        variant = correct_variant(variant, one)
    return variant


def correct_variant(variant: Variant, corrections: SomeCorrections) -> Variant:
    """The variant with what a person decided about its labels: another variant, of another id where any label differs.

    A label that is accepted takes the place of the given one. A sample that is dropped keeps its row and its label, and
    has the mark ``dropped``; the others have the mark ``checked``. What is known of the right classes stays as it was: a
    person's verdict is no ground truth. A label of which no more was known than that it is wrong is now one of which
    nothing is known. Flip probabilities, selection and matrix are those of the noise alone and go. Corrections of a
    corrected variant join those before: of a sample that both decide, the later decision counts.

    Args:
        variant: What was looked at; left as it was.
        corrections: Of this variant; or the file, see ``read_corrections``.

    Raises:
        Mismatch: They are of another variant.
        BadData: They cannot be read, or leave fewer than two samples to train on.
    """
    check_variant(variant)
    new = as_corrections(corrections, variant)
    made = (new if variant.corrections is None else variant.corrections.followed_by(new)).in_order()
    before = variant.labels if variant.corrections is None else variant.corrections.labels_before(variant.labels)
    n, labels = len(before), made.labels_after(before)
    marks = {CHECKED: made.mark(n, "accept", "keep"), DROPPED: made.mark(n, "drop")}
    taken = [name for name in marks if name in variant.marks and variant.corrections is None]
    if taken:
        msg = f"the source has a mark '{taken[0]}' of its own, which corrections would replace; give it another name"
        raise BadData(msg)
    if n - int(marks[DROPPED].sum()) < 2:  # noqa: PLR2004 - a step of training needs two
        msg = f"the corrections drop {int(marks[DROPPED].sum())} of {n} samples; expected at least two that stay"
        raise BadData(msg)
    doubted = np.zeros(n, dtype=np.bool_)
    doubted[made.samples] = True
    return replace(
        variant,
        labels=labels,
        clean=read_only(np.where((variant.clean == WRONG) & doubted, UNKNOWN, variant.clean)),
        flip_probability=None,
        selected=None,
        transition=None,
        provenance=replace(
            variant.provenance,
            labels_sha256=label_digest(labels),
            variant_id=variant_id(variant.provenance.source_sha256, labels, marks[DROPPED]),
            noisybench=__version__,
            corrections=made.record,
        ),
        marks={**variant.marks, **marks},
        corrections=made,
    )


def _kept(transition: AnyTransition) -> AnyTransition:
    kept = compact(transition)
    return kept if isinstance(kept, SparseTransition) else read_only(kept)


def _reference(source: Source, noise: str, *, found: bool) -> tuple[Source, Literal["clean", "labels"]]:
    """The source with the labels that errors are injected into as its clean ones, and which these are.

    A noise that takes errors as they are ``found`` injects none.

    Raises:
        BadData: There is no label to make wrong, or no wrong class.
    """
    if found:
        return source, "clean"
    reference: Literal["clean", "labels"] = "clean"
    if not (source.clean >= 0).any():
        reference = "labels"
        source = replace(source, clean=np.where(source.clean == WRONG, WRONG, source.labels))
    if not (source.clean >= 0).any():
        msg = (
            f"source '{source.name}' has no sample of known class, so noise '{noise}' has nothing to make wrong; "
            f"take its errors as they are: --noise as_found"
        )
        raise BadData(msg)
    if source.num_classes < 2:  # noqa: PLR2004 - a right class and a wrong one
        msg = f"source '{source.name}' has {source.num_classes} class: a wrong label needs at least two"
        raise BadData(msg)
    return source, reference
