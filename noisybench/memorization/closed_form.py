"""Memorization in closed form: ridge regression on features, solved again without each sample or on random subsets.

No model is trained: every refit follows exactly from one decomposition, see ``statistics.refits``; what stays as it is
when a sample is left out, ``closed_form_plan`` says. No torch here.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import Source
from noisybench.ground.arrays import Bools, Features, Floats, Labels, check_features, read_only
from noisybench.ground.checks import check_room, whole
from noisybench.ground.engine import Progress
from noisybench.ground.errors import BadData
from noisybench.ground.files import read_metadata
from noisybench.ground.locks import locked
from noisybench.ground.random_streams import derive
from noisybench.ground.version import __version__
from noisybench.memorization.closed_form_plan import ClosedFormPlan
from noisybench.memorization.estimate import ANSWERS, Memorization
from noisybench.memorization.kept_blocks import GUARDS_OF_TRAINING, check_block, mend_block, pace
from noisybench.memorization.learner import learner_of_setup
from noisybench.memorization.pool import BLOCK, Block, block_path, blocks, class_type, write_block
from noisybench.memorization.subsets import check_fraction, group_size, subsets
from noisybench.statistics.margins import margin_against
from noisybench.statistics.refits import Fit, leave_out_each, refits
from noisybench.statistics.ridge import check_several
from noisybench.statistics.spectrum import centred_units
from noisybench.variants.variant import Variant, check_source, check_variant


@dataclass(frozen=True, slots=True, eq=False)
class Exactly:
    """What leaving out each sample gave.

    Attributes:
        memorization: The measurement.
        answers: Column of ``estimate.ANSWERS`` → its values, shape (n,).
        record: Everything that decided it, as JSON.
    """

    memorization: Memorization
    answers: Mapping[str, Floats]
    record: Mapping[str, Any]


def leave_out_exactly(variant: Variant, plan: ClosedFormPlan, features: Features) -> Exactly:
    """Memorization by a fit on all samples and, for each, the exact refit without it.

    Copies of one unit are left out together. Samples that a person dropped take no part and have NaN.

    Args:
        variant: Whose labels.
        plan: Of the estimand ``leave_one_out`` or ``leave_one_out_margin``.
        features: Shape (n, d), finite.

    Raises:
        BadData: Features that are none, or labels of one class.
        BadUsage: What cannot be meant of so many samples.
    """
    check_variant(variant)
    _check(variant, plan, features)
    groups, kept = groups_of_copies(variant), ~variant.dropped
    labels, n = variant.labels[kept], len(variant.labels)
    left = leave_out_each(fit_kept(plan, features, kept), labels, variant.num_classes, groups)
    with_it, without = (
        (answers.argmax(1), -margin_against(answers, labels)) for answers in (left.fitted, left.answers)
    )
    clean = variant.clean[kept]
    damage = (without[0] == clean).astype(np.float64) - (with_it[0] == clean)
    found = {
        "p_in": (with_it[0] == labels).astype(np.float64),
        "p_out": (without[0] == labels).astype(np.float64),
        "margin": with_it[1] - without[1],
        "clean_damage": np.where(variant.class_known[kept], damage, np.nan),
        "answer_in": left.fitted[np.arange(len(labels)), labels],
        "answer_out": left.answers[np.arange(len(labels)), labels],
        "leverage": left.leverage,
    }
    whole_columns = {name: np.full(n, np.nan) for name in found}
    for name, values in found.items():
        whole_columns[name][kept] = values
    columns = {name: read_only(values) for name, values in whole_columns.items()}
    one, other = ("answer_in", "answer_out") if plan.estimand == "leave_one_out_margin" else ("p_in", "p_out")
    none = read_only(np.zeros(n, dtype=np.int64))
    memorization = Memorization(
        values=read_only(columns[one] - columns[other]),
        stderr=read_only(np.where(kept, 0.0, np.nan)),
        **{name: columns[name] for name in ("p_in", "p_out", "margin", "clean_damage")},
        n_in=none,
        n_out=none,
        models=0,
        learner=plan.learner,
        variant_id=variant.provenance.variant_id,
    )
    return Exactly(memorization, {name: columns[name] for name in ANSWERS}, _setup_in_record(plan, features))


def groups_of_copies(variant: Variant) -> Labels | None:
    """Number of each kept sample's unit, which is left out as one, (m,); None where every sample is its own.

    Raises:
        BadData: All are copies of one.
    """
    groups = None if variant.copies is None else np.unique(variant.copies[~variant.dropped], return_inverse=True)[1]
    if groups is not None and groups.max() == 0:
        msg = "all samples are copies of one, so that nothing is left to fit without it; expected at least two units"
        raise BadData(msg)
    return groups


def fit_kept(plan: ClosedFormPlan, features: Features, kept: Bools) -> Fit:
    """The fit that leaves out each kept sample, which no label decides; the centre and the length are of all: (n, d) and (n,)."""
    units = centred_units(features, len(kept))
    return plan.how.fit(units if kept.all() else units[kept], np.ones(int(kept.sum()), dtype=np.bool_))


def refit_subsets(
    source: Source,
    variant: Variant,
    plan: ClosedFormPlan,
    features: Features,
    folder: Path,
    *,
    models: int,
    seed: int = 0,
    progress: Progress = lambda: None,
) -> float:
    """Leave in ``folder`` what exact refits on random subsets say of every sample; models per second, NaN where unknown.

    The subsets are those of ``retrain``. Blocks that are there are not made again.

    Args:
        source: Of the variant.
        variant: Whose labels.
        plan: Of the estimand ``subsets``.
        features: Shape (n, d), finite.
        folder: Of this pool alone.
        models: How many refits.
        seed: Decides the subsets.
        progress: Called after each.

    Raises:
        BadUsage: What cannot be meant of so many samples.
        BadData: Features that are none, labels of one class, or a folder that holds something else.
    """
    check_source(source, variant)
    models, seed = whole(models, "models", least=2), whole(seed, "seed", least=0)
    check_fraction(plan.fraction, int((~variant.dropped).sum()))
    record: dict[str, Any] = {
        "variant_id": variant.provenance.variant_id,
        "learner": plan.learner.name,
        "purpose": "truth",
        "seed": seed,
        "group_size": group_size(plan.fraction) if plan.balanced else 1,
        "setup": _setup_in_record(plan, features),
    }
    with locked(folder):
        there: list[tuple[Path, dict[str, Any]]] = []
        lacking: list[tuple[Path, dict[str, Any]]] = []
        for number, count in blocks(models):
            path = block_path(folder, number, count)
            own = {**record, "first": number * BLOCK, "models": count}
            (there if path.is_file() and mend_block(path, variant) else lacking).append((path, own))
        for path, own in there:
            check_block(path, own, variant, ignore=() if lacking else GUARDS_OF_TRAINING)
            for _ in range(own["models"]):
                progress()
        began = time.perf_counter()
        refit = None
        for path, own in lacking:
            refit = refit or _refit_of(variant, plan, features)
            write_block(_block(variant, plan, refit, own, progress), path)
        trained = sum(own["models"] for _, own in lacking)
        return pace(folder, trained, time.perf_counter() - began)


def _refit_of(variant: Variant, plan: ClosedFormPlan, features: Features) -> Callable[[Bools], Floats]:
    """The function that solves a subset."""
    _check(variant, plan, features)
    units = centred_units(features, len(variant.labels))
    return refits(plan.how.fit(units, ~variant.dropped), variant.labels, variant.num_classes)


def _block(
    variant: Variant,
    plan: ClosedFormPlan,
    refit: Callable[[Bools], Floats],
    record: Mapping[str, Any],
    progress: Progress,
) -> Block:
    """What the refits of a block say; those left out are summed as they answer, since there is no softmax."""
    n, k, labels = len(variant.labels), variant.num_classes, variant.labels
    numbers = range(record["first"], record["first"] + record["models"])
    included = subsets(
        numbers,
        n,
        plan.fraction,
        seed=derive(record["seed"], "truth"),
        balanced=plan.balanced,
        dropped=variant.dropped,
        groups=variant.copies,
    )
    predictions: NDArray[Any] = np.zeros(included.shape, dtype=class_type(k))
    margins, held_out = np.zeros(included.shape, dtype=np.float16), np.zeros((n, k))
    for row, chosen in enumerate(included):
        answers = refit(chosen)
        predictions[row] = answers.argmax(1)
        margins[row] = -margin_against(answers, labels)
        held_out[~chosen] += answers[~chosen]
        progress()
    return Block(included, predictions, margins, held_out.astype(np.float32), record)


def _check(variant: Variant, plan: ClosedFormPlan, features: Features) -> None:
    """Raise what cannot be meant of the labels, the options and the shape of features."""
    n = len(variant.labels)
    plan.how.check(n)
    check_features(features, n)
    check_several(variant.labels[~variant.dropped])
    check_room(n, variant.num_classes, "an answer for each class", "take fewer samples")


def _setup_in_record(plan: ClosedFormPlan, features: Features) -> dict[str, Any]:
    """What decides the answers but labels and seed, as records hold it."""
    return {
        **plan.setup,
        "chosen": plan.chosen,
        "features_sha256": digest_of_features(features),
        "device": "cpu",
        "versions": {"noisybench": __version__, "numpy": np.__version__},
    }


def digest_of_features(features: Features) -> str:
    """SHA-256 of features, as records hold it."""
    return hashlib.sha256(np.ascontiguousarray(features).data).hexdigest()


def setup_of_exact(path: Path) -> dict[str, Any]:
    """What decided the answers of a file in which each sample was left out exactly.

    Raises:
        BadData: The file does not say it.
    """
    try:
        setup = json.loads(read_metadata(path).get("setup", ""))
        learner_of_setup(setup)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        msg = f"{path} does not say of which model and options it is; delete it and memorize again"
        raise BadData(msg) from None
    return dict(setup)
