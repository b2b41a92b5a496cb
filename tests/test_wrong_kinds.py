"""Objects of the wrong kind, for every argument that a public function needs: errors of noisybench's own."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisybench
from noisybench import (
    BadUsage,
    NoisybenchError,
    build_variant,
    find,
    load_source,
    plan_closed_form,
    plan_learner,
    write_variant,
)

WRONG: dict[str, Any] = {
    "None": None,
    "str": "x",
    "bytes": b"x",
    "list": [1, "a"],
    "nothing": [],
    "dict": {},
    "negative": -3,
    "nan": float("nan"),
    "object": object(),
    "function": lambda: None,
    "floats": np.array([[1.5, np.nan]]),
    "objects": np.array(["a"], dtype=object),
    "empty": np.zeros((0, 3)),
    "scalar": np.array(3),
}
TYPES = ("Mode",)
"""Public names that are called by nobody."""
CALLED = (
    "Corrections", "read_corrections", "write_corrections", "correct_variant", "build_variant", "classes_overlap",
    "leave_one_out_ridge", "find_suspects", "score_features", "score_answers",
)  # fmt: skip
"""Functions of which one argument at a time is wrong."""


def functions() -> Iterator[str]:
    """Names of the public functions and classes, but for protocols and errors."""
    for name in dir(noisybench):
        item = getattr(noisybench, name)
        odd = isinstance(item, type) and (issubclass(item, BaseException) or getattr(item, "_is_protocol", False))
        if callable(item) and not odd and not name.startswith("_") and name not in TYPES:
            yield name


@pytest.mark.parametrize("name", functions())
def test_wrong_kinds_get_errors_of_ours(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of every argument without a default; some functions take anything, or read a path that is not there."""
    monkeypatch.chdir(tmp_path)
    function = getattr(noisybench, name)
    needed = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    needed = [one for one in needed if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    for wrong in WRONG.values():
        args = [wrong for one in needed if one.kind != one.KEYWORD_ONLY]
        try:
            function(*args, **{one.name: wrong for one in needed if one.kind == one.KEYWORD_ONLY})
        except NoisybenchError as error:
            assert "\n" not in str(error)  # noqa: PT017 - not all of them are refused


def calls(folder: Path) -> dict[str, dict[str, Any]]:
    """Public functions of what a person has and decides, with arguments that they take."""
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(20, 3)).astype(np.float32), np.arange(20) % 2
    source = noisybench.source_from_arrays("own", inputs, labels, class_names=("a", "b"))
    variant = noisybench.build_variant(source, noisybench.find("noises", "symmetric")(rate=0.2))
    columns: dict[str, Any] = {
        "samples": np.array([0]),
        "given": variant.labels[:1],
        "corrected": np.array([-1]),
        "actions": ("keep",),
    }
    corrections = noisybench.Corrections(variant.variant_id, **columns)
    path = folder / "corrections.csv"
    noisybench.write_corrections(corrections, path, variant.class_names)
    features = noisybench.Pretraining("ImageNet-1k", supervised=True)
    return {
        "Corrections": {"variant_id": variant.variant_id, **columns},
        "read_corrections": {"path": path, "variant": variant},
        "write_corrections": {"corrections": corrections, "path": path, "class_names": variant.class_names},
        "correct_variant": {"variant": variant, "corrections": corrections},
        "build_variant": {"source": source, "noise": noisybench.find("noises", "as_found")(), "corrections": path},
        "classes_overlap": {"pretraining": features, "class_names": ("a",)},
        "leave_one_out_ridge": {"features": inputs, "labels": labels, "num_classes": 2, "penalties": (1.0,)},
        "find_suspects": {
            "labels": labels,
            "pred_probs": np.full((20, 2), 0.5),
            "class_names": ("a", "b"),
            "sample_names": [f"{i}" for i in range(20)],
        },
        "score_features": {
            "source": source,
            "variant": variant,
            "groups": labels,
            "machine": None,
            "out": folder / "runs",
        },
        "score_answers": {"source": source, "variant": variant, "out": folder / "runs", "features": "input", "seed": 0},
    }


@pytest.mark.parametrize("name", CALLED)
def test_one_wrong_kind_gets_an_error_of_ours(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of one argument, where the others are right; some are taken for what they are."""
    monkeypatch.chdir(tmp_path)
    arguments = calls(tmp_path)[name]
    for one in arguments:
        for wrong in WRONG.values():
            try:
                getattr(noisybench, name)(**arguments | {one: wrong})
            except NoisybenchError as error:
                assert "\n" not in str(error)  # noqa: PT017 - not all of them are refused


def with_machine() -> Iterator[str]:
    """Public functions that are told on what to run."""
    told = (name for name in functions() if "machine" in inspect.signature(getattr(noisybench, name)).parameters)
    return (name for name in told if name != "train")  # which takes the parts of a run one by one


@pytest.mark.parametrize("name", with_machine())
def test_what_is_no_machine_is_refused_by_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number in place of a ``Machine``, all else being right: before anything is computed."""
    monkeypatch.chdir(tmp_path)
    source = load_source("digits", limit=60)
    variant = build_variant(source, find("noises", "symmetric")(rate=0.2))
    write_variant(variant, tmp_path / "variant")
    plan, features = plan_closed_form(source)
    given: dict[str, Any] = {
        "variant": variant, "source": source, "learner": plan, "features": features, "out": tmp_path / "out",
        "preset": "quick", "variants": [tmp_path / "variant"], "labels": variant.labels,
    }  # fmt: skip
    if name == "detect":
        given["learner"], given["features"] = plan_learner(source, epochs=1)[0], None
    function = getattr(noisybench, name)
    needed = [one.name for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    if name == "memorize":
        needed.append("features")
    with pytest.raises(BadUsage, match="machine is the int .3.") as refused:
        function(**{key: given[key] for key in needed}, machine=3)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
