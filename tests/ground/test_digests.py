"""Digests that name folders."""

import hashlib
import json
from dataclasses import dataclass, fields

import pytest

from noisybench.data.loading import load_source
from noisybench.ground.digests import named_options
from noisybench.training.plan import WATCH_OF_0_1_0, Watch, plan_run
from noisybench.training.recipe import RECIPE_OF_0_1_0, Recipe, digest_of_training


@dataclass(frozen=True)
class Later:
    """Options of a version with one field more."""

    lr: float = 0.1
    epochs: int = 30
    warmup: int = 0


def test_a_field_that_is_added_renames_nothing() -> None:
    """At its default it is left out, whatever the others are; elsewhere it tells two options apart."""
    first = ("lr", "epochs")
    assert named_options(Later(), first) == {"lr": 0.1, "epochs": 30}
    assert named_options(Later(lr=0.2), first) == {"lr": 0.2, "epochs": 30}
    assert named_options(Later(warmup=3), first) == {"lr": 0.1, "epochs": 30, "warmup": 3}


def test_the_first_fields_are_fields() -> None:
    """Of the recipe and of the watch; whoever adds a field leaves these lists as they are."""
    assert set(RECIPE_OF_0_1_0) <= {field.name for field in fields(Recipe)}
    assert set(WATCH_OF_0_1_0) <= {field.name for field in fields(Watch)}


@pytest.mark.parametrize(
    ("options", "folder", "trained"),
    [({}, "mlp-standard-", "406b7c"), ({"curvature_every": "3"}, "mlp-standard-eb9a0ce2", "406b7c")],
)
def test_digests_are_those_of_0_1_0(options: dict[str, str], folder: str, trained: str) -> None:
    """Golden: the folder and the learner of runs that 0.1.0 made; and by its own formula, every field as JSON."""
    plan = plan_run(load_source("digits", limit=120), epochs=3, options=options, device="cpu")
    assert plan.folder.startswith(folder)
    assert plan.trained == trained
    what = {"model": "mlp", "code": None, "name": "standard"}
    recipe = {name: getattr(plan.recipe, name) for name in RECIPE_OF_0_1_0}
    watch = {name: getattr(plan.watch, name) for name in WATCH_OF_0_1_0}
    assert plan.setup == hashlib.sha256(json.dumps({**what, **recipe, **watch}, sort_keys=True).encode()).hexdigest()
    assert trained == digest_of_training("mlp", None, "standard", recipe)
