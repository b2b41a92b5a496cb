"""Checks of a measurement in which each sample was left out exactly: its columns follow from each other and from its setup."""

from pathlib import Path

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import read_columns
from noisybench.memorization.closed_form import setup_of_exact
from noisybench.memorization.closed_form_plan import folder_of_solved
from noisybench.memorization.estimate import ANSWERS, Memorization
from noisybench.memorization.learner import learner_of_setup
from noisybench.variants.variant import Variant

AROUND_SETUP = ("features_sha256", "device", "versions", "chosen")
"""Fields of the setup in a record that decide no folder's name."""
ROUNDING = 1e-9


def verify_left_out(path: Path, told: Memorization, variant: Variant) -> str:
    """Check the columns against each other: without the features nothing else can be computed again.

    The answer with a sample is that without it plus its leverage times what that lacks of 1; of copies, which are left out
    together, nothing so simple holds. A sample whose answers say its label is one whose margin is not below 0.

    Raises:
        BadData: A column does not follow.
        Mismatch: The folder belongs to another setup.
    """
    again = "delete that folder and memorize again"
    columns = read_columns(path, list(ANSWERS))[0]
    answer_in, answer_out, leverage = (columns[name] for name in ANSWERS)
    faults: list[tuple[str, Floats]] = [
        ("p_in is neither 0 nor 1", np.minimum(np.abs(told.p_in), np.abs(told.p_in - 1))),
        ("p_out is neither 0 nor 1", np.minimum(np.abs(told.p_out), np.abs(told.p_out - 1))),
        ("leverage is not between 0 and 1", np.maximum(-leverage, leverage - 1)),
    ]
    if variant.copies is None:
        faults.append(
            (
                "answer_in is not answer_out + leverage (1 - answer_out)",
                answer_out + leverage * (1 - answer_out) - answer_in,
            )
        )
    known = ~np.isnan(told.values)
    if not np.array_equal(known, ~variant.dropped):
        msg = f"{path} has no memorization of other samples than those that were dropped; {again}"
        raise BadData(msg)
    for what, wrong in faults:
        bad = np.flatnonzero(known & ~(np.abs(np.maximum(wrong, 0) if "between" in what else wrong) <= ROUNDING))
        if bad.size:
            msg = f"{path}: {what} of sample {bad[0]} ({bad.size} such); it was changed after it was written: {again}"
            raise BadData(msg)
    damage = told.p_out - told.p_in
    right = known & variant.class_known & (variant.clean == variant.labels)
    if not np.array_equal(told.clean_damage[right], damage[right]):
        msg = (
            f"{path}: 'clean_damage' of right labels is not p_out - p_in; it was changed after it was written: {again}"
        )
        raise BadData(msg)
    setup = {name: value for name, value in setup_of_exact(path).items() if name not in AROUND_SETUP}
    if learner_of_setup(setup) != told.learner:
        msg = f"{path} says that it is of {told.learner.name}, its setup is of another; {again}"
        raise Mismatch(msg)
    wanted = folder_of_solved(setup, seed=0)
    if path.parent.name != wanted:
        msg = f"{path.parent} holds what belongs into a folder called {wanted}; it was renamed, or is a copy: delete it"
        raise Mismatch(msg)
    return f"{path.parent}: memorization follows from its answers with and without each sample"
