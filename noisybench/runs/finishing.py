"""Finishing: the command that goes on with models of a pool, written from what their blocks say of themselves."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from shlex import join
from typing import Any

from noisybench.ground.errors import BadData
from noisybench.memorization.block_union import BlockUnion
from noisybench.memorization.learner import CLOSED_FORM
from noisybench.runs.record import RunRecord
from noisybench.training.recipe import Recipe


def command_of_measurement(variant: Path, out: Path, union: BlockUnion) -> str:
    """The command that estimates memorization from the blocks of a pool, and trains those that are missing.

    Models that were asked about the test set are asked for pairs: those that are trained now must be asked, too.

    Args:
        variant: Folder of the variant.
        out: Folder of runs.
        union: The blocks.
    """
    with _told_by(union):
        words = _memorize(variant, out, union.record, trains=bool(union.missing))
        words += _shares(union.record["setup"]["fraction"])
    asked = ["--pairs", str(out / f"{variant.parent.name}-pairs.csv")] if union.is_tested else []
    return join([*words, "--models", str(union.models), *asked])


def command_of_pool(variant: Path, out: Path, record: RunRecord, pools: Mapping[float, BlockUnion]) -> str:
    """The same of a pool of detectors, with all its shares of the samples."""
    first = next(pool for pool in pools.values() if pool.files)
    models = record.models or max(pool.models for pool in pools.values())
    trains = any(pool.missing or pool.models < models for pool in pools.values())
    with _told_by(first):
        words = [*_memorize(variant, out, first.record, trains=trains), *_shares(*pools)]
    return join([*words, "--models", str(models), "--pool", "detector"])


@contextmanager
def _told_by(union: BlockUnion) -> Iterator[None]:
    """Raise ``BadData`` where the setup in a block is not one that we write."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        path = next(iter(union.files.values()))
        msg = f"{path} does not say in its setup what was trained ({error}); delete it to train its models again"
        raise BadData(msg) from None


def _memorize(variant: Path, out: Path, record: Mapping[str, Any], *, trains: bool) -> list[str]:
    """``noisybench memorize`` with every option that decides models, as the record of their block tells them.

    Where none is trained, any device will do, and a machine that has not that of the blocks can say the command.
    """
    setup = record["setup"]
    words = ["noisybench", "memorize", str(variant), "--out", str(out), "--model", str(setup["model"])]
    words += _called("--features", "--features-set", str(setup["features"])) if setup["features"] != "input" else []
    if setup["recipe"] == CLOSED_FORM:
        words += ["--estimand", str(setup["estimand"])]
        options = dict(setup["options"])
    elif "lr" in setup:
        words += ["--recipe", str(setup["recipe"]), "--epochs", str(setup["epochs"])]
        words += ["--device", str(setup["device"])] if trains else []
        options = {one.name: setup[one.name] for one in fields(Recipe) if one.name in setup and one.name != "epochs"}
        words += _called("--objective", "--objective-set", setup["objective"]) if "objective" in setup else []
    else:  # what scikit-learn fits has its options in its name
        options = {}
    for name, value in options.items():
        words += ["--set", f"{name}={_as_text(value)}"]
    words += [] if setup["balanced"] else ["--no-balanced"]
    return [*words, "--seed", str(record["seed"])]


def _shares(*shares: float) -> list[str]:
    return ["--fraction", ",".join(f"{share:g}" for share in shares)]


def _called(flag: str, options: str, word: str) -> list[str]:
    """Options of the command line for a name with options in brackets, such as ``pca(components=8)``."""
    found = re.fullmatch(r"(.+?)\((.*)\)", word)
    if found is None:
        return [flag, word]
    # Of weights of the user's own the word has the digest, and nobody here knows the file.
    told = [[options, re.sub("^weights=.*", "weights=FILE", each)] for each in found[2].split(",") if each]
    return [flag, found[1], *(text for pair in told for text in pair)]


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
