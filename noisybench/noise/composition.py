"""Noises one after another: their text, and the law of the whole.

Each step starts from the labels that the step before left, as if they were clean: the published hybrids flip labels that
are already noisy. The truth stays the source's clean label. Step 0 draws with the seed itself, so that its labels are
those of the noise alone; step j with a seed derived from it.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from os.path import isfile
from pathlib import Path
from typing import get_args

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, Floats
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.lookup import find, summary
from noisybench.ground.options import parse_call, parse_options, plain_options
from noisybench.ground.random_streams import derive
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Draw, Noise, noise_name
from noisybench.variants.transitions import AnyTransition, SparseTransition, compact

FEWEST_STEPS = 2


def parse_steps(text: str) -> tuple[Noise, ...]:
    """The noises that a text such as ``"pair_flip(rate=0.2); symmetric(rate=0.1)"`` names, in its order.

    A file is named without its folder and must lie in the working directory: the text is put on record, and a record
    holds no place. Where the text says its digest, as a record does, the file must have it.

    Raises:
        BadUsage: Fewer than two steps, one that is no noise of noisybench, one that cannot stand there, or one that has no
            mode ``bernoulli``.
        BadData: A file is not in the working directory, or is another one than the text says.
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if len(parts) < FEWEST_STEPS:
        msg = (
            f"steps must name at least two noises, as 'pair_flip(rate=0.2); symmetric(rate=0.1)', got {text.strip()!r}"
        )
        raise BadUsage(msg)
    noises = tuple(_parse_step(part) for part in parts)
    for j, noise in enumerate(noises):
        if noise.found and j:
            msg = f"step {j} '{noise_name(noise)}' takes labels as they came, so it can only be the first"
            raise BadUsage(msg)
        modes: tuple[Mode, ...] = getattr(noise, "modes", get_args(Mode))
        if not noise.found and "bernoulli" not in modes:
            msg = (
                f"step {j} '{noise_name(noise)}' is drawn in mode {' or '.join(modes)} only, noises one after another in "
                f"mode bernoulli only; leave it out"
            )
            raise BadUsage(msg)
    return noises


def steps_text(noises: Sequence[Noise]) -> str:
    """The text of some steps, alike for alike steps: every option spelled out, files by name and digest."""
    return "; ".join(f"{noise_name(noise)}({_options_text(noise)})" for noise in noises)


def compose(noises: Sequence[Noise], source: Source, *, seed: int, mode: Mode) -> Draw:
    """The labels after all steps.

    The transition matrix is the product of the steps' matrices, where each has one. The flip probability follows from
    it; where the first steps depend on the input, it is still exact after a step whose chance to give class y is the
    same from every other class (as symmetric noise is), and None otherwise.
    """
    clean, known = source.clean, source.clean != UNKNOWN
    draw = noises[0](source, seed=seed, mode=mode)
    # Only the first can have found labels, and with them marks and doubts, which are of the samples and stay.
    first, transition, law, selected = draw, draw.transition, draw.flip_probability, draw.selected
    for j, noise in enumerate(noises[1:], start=1):
        before = replace(source, labels=draw.labels, clean=np.where(known, draw.labels, UNKNOWN))
        draw = noise(
            before, seed=derive(seed, "step", j) % (1 << 32), mode=mode
        )  # of 32 bits: legacy noises take no more
        step = draw.transition
        transition = None if transition is None or step is None else _product(transition, step)
        if transition is not None:
            law = np.where(known, np.clip(1 - transition.diagonal()[clean], 0.0, 1.0), np.nan)
        else:
            law = None if law is None or step is None else _after(law, step, source)
        selected = None if selected is None or draw.selected is None else selected | draw.selected
    return Draw(
        labels=draw.labels,
        flip_probability=law,
        transition=transition,
        selected=selected,
        doubted=first.doubted,
        marks=first.marks,
        answers=first.answers,
    )


def _product(first: AnyTransition, second: AnyTransition) -> AnyTransition:
    """The matrix of two steps, shape (k, k): both of many classes or neither."""
    left, right = compact(first), compact(second)
    return left @ right  # type: ignore[operator]  # of one kind


def _after(law: Floats, step: AnyTransition, source: Source) -> Floats | None:
    """P(wrong) after a class-conditional step, shape (n,), from P(wrong) before it; None where that is not enough."""
    present = np.unique(source.clean[source.clean != UNKNOWN])
    lowest, highest = np.full(len(source.class_names), np.inf), np.full(len(source.class_names), -np.inf)
    step = compact(step)
    for rows, part in step.blocks() if isinstance(step, SparseTransition) else [(np.arange(len(step)), step.copy())]:
        part[np.arange(len(rows)), rows] = np.nan  # [j, y]: to give y back to a label that is j
        lowest, highest = np.fmin(lowest, np.fmin.reduce(part)), np.fmax(highest, np.fmax.reduce(part))
    if (highest[present] - lowest[present] > 1e-12).any():  # noqa: PLR2004 - rounding
        return None
    clean = source.clean
    return np.clip(1 - (1 - law) * step.diagonal()[clean] - law * lowest[clean], 0.0, 1.0)


def _parse_step(text: str) -> Noise:
    """The noise that one step of a text names, with files checked against the digests that it tells."""
    name, values = parse_call(text, what="a step")
    kind: type[Noise] = find("noises", name)
    # A record is read by strangers: it may name noisybench's own noises and no code of others.
    if name == "composed" or not summary("noises", name):
        msg = f"step '{name}' must be a noise of noisybench other than 'composed'"
        raise BadUsage(msg)
    digests = {}
    for key, value in values.items():
        told = re.fullmatch(r"(.+) sha256:([0-9a-f]{64})", value, re.DOTALL)
        if told is not None:
            values[key], digests[key] = told[1], told[2]
            if told[1] != Path(told[1]).name or not isfile(told[1]):  # noqa: PTH113 - False for a text that is no path
                msg = f"{told[1]}, {key} of step '{name}', is not in the working directory; go to the folder that holds it"
                raise BadData(msg)
    noise: Noise = parse_options(kind, values, what=f"step '{name}'")
    for key in noise.__dataclass_fields__:
        value = getattr(noise, key)
        if isinstance(value, Path):
            _check_file(value, key, digests.get(key), name)
    return noise


def _check_file(path: Path, key: str, digest: str | None, name: str) -> None:
    if str(path) != path.name:
        msg = f"{key} of step '{name}' must be named without its folder, got '{path}': go to the folder that holds it"
        raise BadUsage(msg)
    if not isfile(path):  # noqa: PTH113
        msg = f"{path}, {key} of step '{name}', is not in the working directory; go to the folder that holds it"
        raise BadData(msg)
    if digest is not None and file_digest(path) != digest:
        msg = f"{path}, {key} of step '{name}', is not the file of the record (sha256 {digest[:12]})"
        raise BadData(msg)


def _options_text(noise: Noise) -> str:
    def word(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    return ", ".join(f"{key}={word(value)}" for key, value in plain_options(noise).items())
