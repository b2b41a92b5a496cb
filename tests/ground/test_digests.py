"""Digests that name folders."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from noisybench.data.loading import load_source
from noisybench.ground.digests import function_digest, named_options
from noisybench.ground.errors import BadUsage
from noisybench.items import find
from noisybench.training.plan import WATCH_OF_0_1_0, Plan, Watch, plan_run
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
    [
        ({}, "mlp-standard-", "406b7c"),
        ({"curvature": "authors", "curvature_every": "3"}, "mlp-standard-eb9a0ce2", "406b7c"),
        (
            {"curvature_step": "0.001", "curvature_draws": "10", "curvature_every": "3"},
            "mlp-standard-eb9a0ce2",
            "406b7c",
        ),
    ],
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


def test_the_curvature_of_the_authors_is_the_default_of_0_1_0() -> None:
    """Said by name or number by number it is one setup, and another than today's; what is said itself goes before."""
    source = load_source("digits", limit=120)

    def plan(**options: str) -> Plan:
        return plan_run(source, epochs=3, options=options, device="cpu")

    authors = plan(curvature="authors")
    assert authors == plan(curvature_step="1e-3", curvature_draws="10", curvature_every="5")
    assert authors.watch == Watch(curvature_every=5, curvature_draws=10, curvature_step=1e-3)
    assert plan(curvature="default") == plan() != authors
    assert plan().setup != authors.setup
    assert plan().watch == Watch(curvature_every=2, curvature_draws=3, curvature_step=0.1)
    assert plan(curvature="authors", curvature_step="0.01").watch == replace(authors.watch, curvature_step=0.01)
    with pytest.raises(BadUsage, match="'curvature' of 'evaluate' must be one of default, authors, got 'theirs'"):
        plan(curvature="theirs")


def made(scale: float, **held: object) -> Callable[..., object]:
    """A function that closes over what it is given."""

    def score(trace: object, factor: float = 2.0) -> object:
        return trace, scale, factor, held

    return score


def test_functions_are_told_apart_by_what_they_compute_with() -> None:
    """Constants of closures, defaults, arguments of partials, arrays and options; the same gives the same."""

    @dataclass(frozen=True)
    class Ranked:
        power: int = 1

        def __call__(self, trace: object) -> object:
            return trace, self.power

    one, two = np.arange(3), np.arange(3) * 2
    kinds: list[Callable[[], object]] = [
        lambda: made(1.0),
        lambda: made(2.0),
        lambda: made(1.0, table=one),
        lambda: made(1.0, table=two),
        lambda: made(1.0, table={"b", "a"}),
        lambda: partial(made(1.0), factor=3.0),
        lambda: partial(made(1.0), factor=4.0),
        Ranked,
        lambda: Ranked(2),
        lambda: Ranked(2).__call__,
        lambda: np.mean,
        lambda: find("detectors", "aum").score,
    ]
    digests = [function_digest(make()) for make in kinds]
    assert len(set(digests)) == len(kinds)
    assert [function_digest(make()) for make in kinds] == digests


def test_a_function_that_was_typed_is_told_by_its_instructions() -> None:
    """In a notebook there is no file; a function that knows itself ends."""
    spaces: list[dict[str, Any]] = [{}, {}, {}]
    for space, text in zip(spaces, ("1", "2", "1"), strict=True):
        exec(f"def score(t):\n    def inner(): return {text}\n    return inner", space)  # noqa: S102 - a session
    digests = [function_digest(space["score"]) for space in spaces]
    assert digests[0] == digests[2] != digests[1]

    def endless(t: int) -> object:
        return endless if t else None

    assert function_digest(endless) == function_digest(endless)
