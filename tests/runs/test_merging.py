"""Merging: halves that two machines made become, byte for byte, what one machine made of the same commands.

The reference is a folder that one machine made; the halves are made by seeds, and of pools by block files. Seconds, locks
and caches are no part of it.
"""

import csv
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shell import shell

import noisybench
from noisybench.board.results import detect, evaluate, memorize
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.engines.shards import Shard
from noisybench.ground.errors import BadData, BadUsage, Mismatch, Unfinished
from noisybench.ground.files import write_json
from noisybench.ground.npy import read_array, write_array
from noisybench.items import find
from noisybench.memorization.estimate import read_memorization, write_memorization
from noisybench.memorization.fitted_plan import plan_fitted
from noisybench.memorization.pool import read_block, write_block
from noisybench.memorization.subset_plan import SubsetPlan, plan_learner
from noisybench.runs import merging
from noisybench.runs.folder import is_finished, read_run_record
from noisybench.runs.merging import Merged, merge
from noisybench.training.machine import Machine
from noisybench.variants.building import build_variant
from noisybench.variants.sample_names import write_names
from noisybench.variants.variant import Variant, read_variant, write_variant

CACHES = {".lock", "timing.json", "agreement.parquet"}
SOURCE = load_source("digits", limit=80)
VARIANT = build_variant(SOURCE, find("noises", "symmetric")(rate=0.2))
CPU = Machine("cpu")


def learner(source: Source = SOURCE) -> SubsetPlan:
    return plan_learner(source, model="mlp(width=16)", epochs=1, device="cpu")[0]


def train(
    out: Path, *seeds: int, detectors: str | tuple[str, ...] = ("aum", "entropy"), variant: Variant = VARIANT
) -> None:
    options = {"susceptibility": "off"}
    evaluate(
        variant,
        SOURCE,
        model="mlp(width=16)",
        seeds=seeds,
        epochs=2,
        detectors=detectors,
        options=options,
        machine=CPU,
        out=out,
    )


def make(out: Path, *seeds: int) -> None:
    """Runs of some seeds, a measurement and a detector pool of three blocks each."""
    train(out, *seeds)
    memorize(SOURCE, VARIANT, learner(), out, models=120, machine=CPU)
    detect(SOURCE, VARIANT, learner(), out, models=120, machine=CPU)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``one``, which one machine made, and ``a`` and ``b``, two halves that know nothing of each other."""
    folder = tmp_path_factory.mktemp("made")
    make(folder / "one", 0, 1)
    for half, seed in (("a", 0), ("b", 1)):
        shutil.copytree(folder / "one", folder / half)
        home = folder / half / VARIANT.name
        shutil.rmtree(next(home.glob(f"mlp+width*-standard-*/seed-{1 - seed}")))
        for block in home.rglob("block-*.npz"):
            if (int(block.name[6:10]) % 2 == 0) != (half == "a"):
                block.unlink()
        next(home.glob("memorization/*/memorization.parquet")).unlink()
        pool = next(home.glob("*-pool-*/seed-0"))
        for name in ("scores", "suggestions", "trace"):
            shutil.rmtree(pool / name)
        for name in ("history.parquet", "timing.json", "agreement.parquet"):
            (pool / name).unlink()
        told = json.loads((pool / "run.json").read_text())
        told |= {"detectors": {}}
        for name in ("controls", "codes", "files_sha256", "information"):
            told.pop(name, None)
        write_json(told, pool / "run.json")
    return folder


@pytest.fixture
def halves(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "made")
    return tmp_path / "made"


def content(folder: Path) -> dict[str, str]:
    """Name → digest of every file but caches."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in CACHES]
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def rows_of(table: str) -> list[dict[str, str]]:
    """Rows of a table but for what they took."""
    return [
        {name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(StringIO(table))
    ]


def test_two_halves_are_what_one_machine_made(made: Path, tmp_path: Path) -> None:
    """All files of ``one``, but for the estimate and the scores that the commands told then make without training."""
    before = content(made)
    merged = merge([made / "a", made / "b"], tmp_path / "m")
    assert content(made) == before
    for command in merged.commands:
        assert shell(*shlex.split(command)[1:]).code == 0
        assert "--models 120" in command
    assert len(merged.commands) == 2
    assert content(tmp_path / "m") == content(made / "one")
    timing = next((tmp_path / "m").glob("*/memorization/*/timing.json"))
    assert json.loads(timing.read_text())["models"] == 120, "nothing was trained"
    assert noisybench.verify(tmp_path / "m")[-1].endswith("is whole")
    tables = [rows_of(shell("leaderboard", folder, "--format", "csv").out) for folder in (made / "one", tmp_path / "m")]
    assert tables[0] == tables[1]
    assert len(tables[0]) > 3


def test_merging_again_changes_nothing_and_shards_may_come_one_by_one(made: Path, tmp_path: Path) -> None:
    merge([made / "a", made / "b"], tmp_path / "together")
    both = content(tmp_path / "together")
    for shard in ("b", "a", "b"):
        merged = merge(made / shard, tmp_path / "one by one")
    assert all(part.is_there for part in merged.parts)
    assert content(tmp_path / "one by one") == both
    inside = merge(made, made / "inside") if not (made / "inside").exists() else None
    assert inside is not None
    assert content(made / "inside").keys() >= both.keys()
    shutil.rmtree(made / "inside")


def test_a_killed_merge_goes_on_to_the_same_bytes(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever copy it was killed at, no half run is read as finished, and nothing temporary is left at the end."""
    merge([made / "a", made / "b"], tmp_path / "whole")
    wanted = content(tmp_path / "whole")
    copy: Callable[[Path, Path, str | None], None] = merging._copy
    for number in range(0, len(wanted), 11):
        left = [number]

        def dying(file: Path, to: Path, told: str | None, left: list[int] = left) -> None:
            if not left[0]:
                to.write_bytes(b"half")
                raise KeyboardInterrupt
            left[0] -= 1
            copy(file, to, told)

        out = tmp_path / f"killed-{number}"
        monkeypatch.setattr(merging, "_copy", dying)
        with pytest.raises(KeyboardInterrupt):
            merge([made / "a", made / "b"], out)
        monkeypatch.undo()
        for record in out.rglob("run.json"):
            there = {name: wanted.get(name) for name in content(out)}
            assert (
                not is_finished(record.parent, read_run_record(record.parent))
                or there.items()
                >= {
                    name: digest
                    for name, digest in wanted.items()
                    if name.startswith(record.parent.relative_to(out).as_posix())
                }.items()
            )
        assert content(out).items() <= wanted.items()
        merge([made / "a", made / "b"], out)
        assert content(out) == wanted
        shutil.rmtree(out)


def test_folders_may_be_said_in_any_way(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As '.', from within, by a path with '..', as the folder above, or through a link that is given itself."""
    merge(made / "a", tmp_path / "wanted")
    wanted = content(tmp_path / "wanted")
    monkeypatch.chdir(made / "a" / VARIANT.name)
    (tmp_path / "link").symlink_to(made / "a")
    said: list[str | Path] = [".", "..", "../../b/../a", made / "a" / ".." / "a", tmp_path / "link"]
    for number, folder in enumerate(said):
        merge(folder, tmp_path / str(number))
        assert content(tmp_path / str(number)) == wanted
    monkeypatch.chdir(tmp_path / "wanted")
    assert all(part.is_there for part in merge([made / "a"], ".").parts)
    assert content(tmp_path / "wanted") == wanted


def test_a_dry_run_writes_nothing_and_says_the_same(made: Path, tmp_path: Path) -> None:
    told = shell("merge", made / "a", made / "b", "--out", tmp_path / "m", "--dry-run")
    assert told.code == 0
    assert not (tmp_path / "m").exists()
    assert "nothing was written" in told.err
    done = shell("merge", made / "a", made / "b", "--out", tmp_path / "m")
    assert done.out == told.out
    assert "120 models without an estimate" in done.out
    assert "3 runs (2 finished, 1 unfinished, 1 in several folders)" in done.out
    record = json.loads(shell("merge", made / "a", "--out", tmp_path / "m", "--json").out)
    assert {part["kind"] for part in record["parts"]} == {"variant", "run", "memorization"}
    assert all(part["was_there"] for part in record["parts"])


def test_the_finished_run_is_taken_before_one_that_was_begun(halves: Path, tmp_path: Path) -> None:
    """In either order, and where the merged folder has the unfinished one."""
    whole = next((halves / "a" / VARIANT.name).glob("mlp+width*-standard-*/seed-0"))
    begun = halves / "c" / VARIANT.name / whole.parent.name / "seed-0"
    shutil.copytree(whole, begun)
    record = json.loads((begun / "run.json").read_text())
    for name in ("codes", "files_sha256", "information", "controls"):
        record.pop(name, None)
    write_json(record | {"detectors": {}}, begun / "run.json")
    shutil.rmtree(begun / "scores")
    (begun / "trace" / "epoch-0002.parquet").unlink()
    for order in (["a", "c"], ["c", "a"]):
        merge([halves / name for name in order], tmp_path / order[0])
        assert content(tmp_path / order[0]) == content(halves / "a")
    assert "1 unfinished elsewhere" in shell("merge", halves / "c", halves / "a", "--out", tmp_path / "said").out
    shutil.copytree(halves / "a" / VARIANT.name / "variant", halves / "c" / VARIANT.name / "variant")
    late = shell("merge", halves / "c", "--out", tmp_path / "late")
    assert "1 run (1 unfinished)" in late.out
    assert "the command that began an unfinished run goes on with it" in late.err
    merge(halves / "a", tmp_path / "late")
    assert content(tmp_path / "late") == content(halves / "a")


def test_of_two_runs_the_one_with_more_detectors_is_taken(tmp_path: Path) -> None:
    train(tmp_path / "few", 0, detectors=("aum",))
    train(tmp_path / "many", 0)
    train(tmp_path / "other", 0, detectors=("entropy",))
    for order in (["few", "many"], ["many", "few"]):
        merge([tmp_path / name for name in order], tmp_path / "m" / order[0])
        assert content(tmp_path / "m" / order[0]) == content(tmp_path / "many")
    with pytest.raises(
        BadData, match=r"few.* alone has scores/aum\.parquet, .*other.* alone has scores/entropy\.parquet"
    ):
        merge([tmp_path / "few", tmp_path / "other"], tmp_path / "n")
    assert not (tmp_path / "n").exists()


def change_block(folder: Path, change: Callable[[dict[str, Any]], None], *, name: str = "block-0001.npz") -> Path:
    """Write a block of the measurement again with another record."""
    path = next(folder.glob(f"*/memorization/*/{name}"))
    block = read_block(path, VARIANT)
    record = json.loads(json.dumps(dict(block.record)))
    change(record)
    write_block(type(block)(block.included, block.predictions, block.margins, block.held_out, record), path)
    return path


def other_version(record: dict[str, Any]) -> None:
    record["setup"]["versions"]["numpy"] = "1.0"


def other_first(record: dict[str, Any]) -> None:
    record["first"] = 100


@pytest.mark.parametrize(
    ("change", "said"),
    [(other_version, r"/a/.*block-0000\.npz has setup\.versions\.numpy = .*, .*/b/.*block-0001\.npz has 1\.0"),
     (lambda record: record.update(seed=3), r"has seed = 0, .*block-0001\.npz has 3: blocks of one pool are made alike"),
     (other_first, r"block-0001\.npz holds 50 models from 100 on, which its name does not say"),
     (lambda record: record.update(setup={}), r"block-0001\.npz has None: blocks of one pool")],
)  # fmt: skip
def test_blocks_that_were_made_differently_are_refused(
    halves: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    """With both files by name, whichever field differs."""
    change_block(halves / "b", change)
    with pytest.raises(BadData, match=said):
        merge([halves / "a", halves / "b"], tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_one_block_with_other_answers_is_refused(halves: Path, tmp_path: Path) -> None:
    shutil.copytree(halves / "a", halves / "c")
    path = next((halves / "c").glob("*/memorization/*/block-0000.npz"))
    block = read_block(path, VARIANT)
    margins = block.margins.copy()
    margins[0, 0] += 1
    write_block(type(block)(block.included, block.predictions, margins, block.held_out, block.record), path)
    with pytest.raises(
        BadData, match=r"/a/.*block-0000\.npz and .*/c/.*block-0000\.npz are the same models and have other"
    ):
        merge([halves / "a", halves / "c"], tmp_path / "m")


def test_a_run_that_ended_twice_with_other_bytes_is_refused(halves: Path, tmp_path: Path) -> None:
    """Named by both files, and by the version or machine that differs; with the same bytes it is taken."""
    run = next((halves / "b" / VARIANT.name).glob("mlp+width*-standard-*"))
    shutil.copytree(run / "seed-1", halves / "a" / VARIANT.name / run.name / "seed-1")
    merge([halves / "a", halves / "b"], tmp_path / "same")
    history = run / "seed-1" / "history.parquet"
    history.write_bytes(history.read_bytes()[:-12] + b"x" * 8 + b"PAR1")
    record = json.loads((run / "seed-1" / "run.json").read_text())
    record["versions"]["torch"] = "0.1"
    write_json(record, run / "seed-1" / "run.json")
    said = r"/a/.*history\.parquet and .*/b/.*history\.parquet are of one finished run and differ \(versions\.torch is .* and 0\.1"
    with pytest.raises(BadData, match=said):
        merge([halves / "a", halves / "b"], tmp_path / "m")
    shutil.rmtree(halves / "a" / VARIANT.name / run.name / "seed-1")
    with pytest.raises(BadData, match=r"history\.parquet was changed after it was written"):
        merge([halves / "b"], tmp_path / "n")
    assert not (tmp_path / "n").exists()


def test_other_labels_under_one_name_are_refused(halves: Path, tmp_path: Path) -> None:
    """Other labels, another truth, and a run of other labels than the variant beside it."""
    other = build_variant(SOURCE, find("noises", "symmetric")(rate=0.3))
    train(halves / "c", 0, variant=other)
    variant = halves / "c" / VARIANT.name / "variant"
    (halves / "c" / other.name).rename(variant.parent)
    with pytest.raises(Mismatch, match=r"/a/.*labels\.parquet and .*/c/.*labels\.parquet have .* other labels"):
        merge([halves / "a", halves / "c"], tmp_path / "m")
    with pytest.raises(Mismatch, match=f"is the variant {other.name}, and its folder is called {VARIANT.name}"):
        merge(halves / "c", tmp_path / "m")
    shutil.rmtree(variant)
    with pytest.raises(Mismatch, match=r"seed-0/run\.json is of variant"):
        merge([halves / "c", halves / "a"], tmp_path / "m")
    with pytest.raises(BadData, match="has no variant beside it"):
        merge(halves / "c", tmp_path / "m")
    blind = halves / "d" / VARIANT.name / "variant"
    shutil.copytree(halves / "a" / VARIANT.name, blind.parent)
    hidden = np.full(len(SOURCE.labels), -1)
    write_variant(Variant(**{**fields_of(read_variant(blind)), "clean": hidden, "selected": None}), blind)
    with pytest.raises(Mismatch, match="other clean labels"):
        merge([halves / "a", halves / "d"], tmp_path / "m")


def fields_of(variant: Variant) -> dict[str, Any]:
    return {name: getattr(variant, name) for name in variant.__dataclass_fields__ if not name.startswith("_")}


def test_models_of_another_device_are_measured_here(halves: Path, tmp_path: Path) -> None:
    """The command names no device where all models are there, and theirs where some are to be trained."""
    for half in ("a", "b"):
        for path in (halves / half).glob("*/memorization/*/block-*.npz"):
            change_block(halves / half, on_a_gpu, name=path.name)
    merged = merge([halves / "a", halves / "b"], tmp_path / "m")
    (command,) = [command for command in merged.commands if "--pool" not in command]
    assert "--device" not in command
    done = shell(*shlex.split(command)[1:], "--device", "cpu")
    assert (done.code, "models" in done.out) == (0, True)
    (command, _) = sorted(merge(halves / "a", tmp_path / "n").commands, key=lambda command: "--pool" in command)
    assert "--device cuda" in command
    with pytest.raises(BadData, match="holds models with device = cuda, now it is cpu"):
        memorize(SOURCE, VARIANT, learner(), tmp_path / "n", models=120, machine=CPU)


def on_a_gpu(record: dict[str, Any]) -> None:
    record["setup"]["device"] = "cuda"


def test_what_fitted_models_say_of_the_test_set_comes_along(tmp_path: Path) -> None:
    """The command asks for pairs again, so that models which it fits are asked about the test set like those there."""
    plan, _ = plan_fitted(SOURCE, model="sklearn:GaussianNB")
    memorize(SOURCE, VARIANT, plan, tmp_path / "one", models=60, ask_test=True, machine=CPU)
    for number in (1, 2):
        with pytest.raises(Unfinished):
            machine = Machine("cpu", shard=Shard(number, 2))
            memorize(SOURCE, VARIANT, plan, tmp_path / f"of-{number}", models=60, ask_test=True, machine=machine)
    (command,) = merge([tmp_path / "of-1", tmp_path / "of-2"], tmp_path / "m").commands
    assert shell(*shlex.split(command)[1:]).code == 0
    (pairs,) = (tmp_path / "m").glob("*.csv")
    assert str(pairs) in command
    pairs.unlink()
    assert content(tmp_path / "m") == content(tmp_path / "one")
    assert noisybench.verify(tmp_path / "m")[-1].endswith("is whole")
    (command,) = merge(tmp_path / "of-2", tmp_path / "n").commands
    assert shell(*shlex.split(command)[1:]).code == 0
    next((tmp_path / "n").glob("*.csv")).unlink()
    assert content(tmp_path / "n") == content(tmp_path / "one")


def test_two_measurements_of_one_learner_are_refused(halves: Path, tmp_path: Path) -> None:
    """No table could tell the two apart."""
    memorize(SOURCE, VARIANT, learner(), halves / "c", models=50, seed=4, machine=CPU)
    with pytest.raises(BadData, match="with another seed, which no table could tell apart"):
        merge([halves / "a", halves / "c"], tmp_path / "m")


def test_an_estimate_of_more_models_goes_before_one_of_fewer(halves: Path, tmp_path: Path) -> None:
    memorize(SOURCE, VARIANT, learner(), halves / "c", models=50, machine=CPU)
    merge([halves / "c", halves / "one"], tmp_path / "m")
    assert content(tmp_path / "m") == content(halves / "one")
    merged = merge([halves / "c", halves / "b"], tmp_path / "n")
    measured = next(part for part in merged.parts if part.kind == "memorization")
    assert (measured.state, measured.models, "--models 100" in (measured.command or "")) == ("finished", 100, True)
    estimate = next((halves / "c").glob("*/memorization/*/memorization.parquet"))
    forged = next((halves / "a").glob("*/memorization/*")) / estimate.name
    shutil.copy(estimate, forged)
    merge([halves / "c", halves / "a"], tmp_path / "same")
    forge_estimate(forged)
    with pytest.raises(BadData, match="are of one measurement and differ"):
        merge([halves / "c", halves / "a"], tmp_path / "o")


def forge_estimate(path: Path) -> None:
    """Write an estimate again with another number in it."""
    found = read_memorization(path)
    write_memorization(replace(found, margin=found.margin + 1), path)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_links_pipes_and_damaged_files_are_refused(halves: Path, tmp_path: Path) -> None:
    """A stranger's folder names no file of this machine that would be copied."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    run = next((halves / "a").glob("*/mlp+width*-standard-*/seed-0"))
    for file in (run / "history.parquet", run / "trace" / "epoch-0001.parquet"):
        kept = file.read_bytes()
        file.unlink()
        file.symlink_to(secret)
        with pytest.raises(BadData, match=rf"{re.escape(str(file))} is a link"):
            merge(halves / "a", tmp_path / "m")
        file.unlink()
        file.write_bytes(kept)
    os.mkfifo(run / "scores" / "pipe.parquet")
    with pytest.raises(BadData, match="is a pipe"):
        merge(halves / "a", tmp_path / "m")
    (run / "scores" / "pipe.parquet").unlink()
    (halves / "a" / "linked").symlink_to(halves / "b")
    merged = merge(halves / "a", tmp_path / "m")
    assert merged.notes == (
        f"{halves / 'a' / 'linked'} is a link, and none is followed; give the folder that it leads to",
    )
    (run / "history.parquet").unlink()
    with pytest.raises(BadData, match="has lost files that they need"):
        merge(halves / "a", tmp_path / "n")
    block = next((halves / "b").glob("*/memorization/*/block-0001.npz"))
    block.write_bytes(block.read_bytes()[:100])
    with pytest.raises(BadData, match="cannot be read as a block"):
        merge(halves / "b", tmp_path / "n")
    assert not (tmp_path / "n").exists()


def test_what_cannot_be_meant_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="no folder was given"):
        merge([], tmp_path / "m")
    with pytest.raises(BadData, match="is no folder"):
        merge([tmp_path / "nowhere"], tmp_path / "m")
    with pytest.raises(BadData, match="no run and no measurement below"):
        merge([tmp_path], tmp_path / "m")
    assert isinstance(Merged(tmp_path, (), ()).commands, tuple)


def test_features_and_names_come_along(tmp_path: Path) -> None:
    """Features of other last bits are told of, since they can be made again; other names of samples are refused."""
    variant = build_variant(SOURCE, find("noises", "symmetric")(rate=0.2))
    plan, seen = plan_learner(
        SOURCE, model="mlp(width=16)", epochs=1, device="cpu", features="pca", cache=tmp_path / "a" / "features"
    )
    memorize(SOURCE, variant, plan, tmp_path / "a", models=50, features=seen, machine=CPU)
    home = tmp_path / "a" / variant.name
    write_names([f"{i}.png" for i in range(80)], home)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    merged = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "m")
    assert content(tmp_path / "m") == content(tmp_path / "a")
    assert not merged.notes
    estimate = next((tmp_path / "b").glob("*/memorization/*/memorization.parquet"))
    wanted = estimate.read_bytes()
    estimate.unlink()
    (command,) = merge(tmp_path / "b", tmp_path / "p").commands
    assert "--features pca" in command
    assert shell(*shlex.split(command)[1:]).code == 0
    assert next((tmp_path / "p").glob("*/memorization/*/memorization.parquet")).read_bytes() == wanted
    file = next((tmp_path / "b" / "features").glob("*.npy"))
    write_array(read_array(file) + 1, file, sealed=True)
    assert "has other last bits than" in merge([tmp_path / "a", tmp_path / "b"], tmp_path / "n").notes[0]
    assert content(tmp_path / "n") == content(tmp_path / "a")
    (tmp_path / "b" / variant.name / "samples.parquet").unlink()
    write_names([f"{i}.jpg" for i in range(80)], tmp_path / "b" / variant.name)
    with pytest.raises(BadData, match="give the same samples other names"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "o")
