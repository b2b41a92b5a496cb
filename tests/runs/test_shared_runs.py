"""Jobs that share the runs or models of one command: the files of one process that does all, byte for byte, each made once."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from shell import shell

from noisybench.board.results import detect, evaluate, memorize
from noisybench.data.source import Source
from noisybench.ground.engines.shards import Shard
from noisybench.ground.errors import BadData, Unfinished
from noisybench.items import find
from noisybench.memorization import retraining
from noisybench.memorization.block_tasks import BlockTask
from noisybench.memorization.pool import read_block, write_block
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, write_variant

MODELS = 110
"""In three blocks."""


@pytest.fixture(scope="module")
def labels(small: Source) -> Variant:
    return build_variant(small, find("noises", "symmetric")(rate=0.2))


@pytest.fixture(scope="module")
def small(digits: Source) -> Source:
    from noisybench.data.loading import load_source

    return load_source(digits.name, limit=90)


def files(out: Path) -> dict[str, str]:
    """Digest of every file but those of times, locks and what was vouched for."""
    return {
        str(path.relative_to(out)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "timing.json"
    }


def learner_of(source: Source) -> SubsetPlan:
    return SubsetPlan(plan_run(source, model="mlp(width=8)", recipe="overfit", epochs=1, device="cpu"))


def test_shards_of_an_evaluation_leave_what_one_process_leaves(small: Source, labels: Variant, tmp_path: Path) -> None:
    """Each returns its own runs; the command without a shard finds all of them finished."""
    told = {"model": "mlp(width=8)", "epochs": 1, "seeds": (0, 1, 2), "detectors": "aum"}
    whole = evaluate(labels, small, **told, out=tmp_path / "one", machine=Machine())  # type: ignore[arg-type]
    shares = [
        evaluate(labels, small, **told, out=tmp_path / "two", machine=Machine(shard=Shard(number, 2)))  # type: ignore[arg-type]
        for number in (2, 1)
    ]
    assert [[run.path.name for run in share] for share in shares] == [["seed-1"], ["seed-0", "seed-2"]]
    before = {path: path.stat().st_mtime_ns for run in whole for path in run.path.rglob("*.parquet")}
    again = evaluate(labels, small, **told, out=tmp_path / "two", machine=Machine())  # type: ignore[arg-type]
    assert [run.path.name for run in again] == ["seed-0", "seed-1", "seed-2"]
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize("measure", [memorize, detect], ids=["truth", "detector"])
def test_the_last_shard_makes_what_needs_all_models(
    measure: object, small: Source, labels: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those before say what is missing. No block is trained twice, also not by the command without a shard."""
    trained = []
    train = retraining._train_block

    def counted(task: BlockTask, *rest: object) -> None:
        trained.append(task.first)
        train(task, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(retraining, "_train_block", counted)
    told = {"models": MODELS, "seed": 3}
    learner = learner_of(small)
    first = measure(small, labels, learner, tmp_path / "one", **told, machine=Machine())  # type: ignore[operator]
    with pytest.raises(Unfinished, match=r"shard 2/2 has its 1 of 3 blocks .*; still missing of other shards: 2\."):
        measure(small, labels, learner, tmp_path / "two", **told, machine=Machine(shard=Shard(2, 2)))  # type: ignore[operator]
    last = measure(small, labels, learner, tmp_path / "two", **told, machine=Machine(shard=Shard(1, 2)))  # type: ignore[operator]
    assert trained == [0, 50, 100, 50, 0, 100]
    assert last.path.relative_to(tmp_path / "two") == first.path.relative_to(tmp_path / "one")
    measure(small, labels, learner, tmp_path / "two", **told, machine=Machine())  # type: ignore[operator]
    assert len(trained) == 6
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_a_shard_trains_nothing_beside_models_that_were_made_differently(
    small: Source, labels: Variant, tmp_path: Path
) -> None:
    """Of another device, or not asked about the test set: they could be no part of one pool."""
    learner, told = learner_of(small), {"models": 60, "out": tmp_path}
    with pytest.raises(Unfinished):
        memorize(small, labels, learner, **told, machine=Machine(shard=Shard(1, 2)))  # type: ignore[arg-type]
    second = Machine(shard=Shard(2, 2))
    with pytest.raises(BadData, match="were not asked about the test set"):
        memorize(small, labels, learner, **told, ask_test=True, machine=second)  # type: ignore[arg-type]
    (path,) = tmp_path.rglob("block-0000.npz")
    block = read_block(path, labels)
    record = {**block.record, "setup": {**block.record["setup"], "device": "cuda"}}
    write_block(replace(block, record=record), path)
    with pytest.raises(BadData, match="holds models with device = cuda, now it is cpu"):
        memorize(small, labels, learner, **told, machine=second)  # type: ignore[arg-type]
    assert list(tmp_path.rglob("block-*.npz")) == [path]


def test_a_shard_that_waits_for_others_is_no_failure(labels: Variant, tmp_path: Path) -> None:
    """The shell says what is there, what is not, and what ends it."""
    write_variant(labels, tmp_path / "variant")
    told = ("--models", 60, "--epochs", 1, "--model", "mlp(width=8)", "--device", "cpu", "--out", tmp_path / "runs")
    result = shell("memorize", tmp_path / "variant", *told, "--shard", "2/2")
    assert result.code == 0
    assert ", shard 2/2" in result.err
    assert "shard 2/2 has its 1 of 2 blocks of up to 50 models; still missing of other shards: 1." in result.err
    assert "the same command without --shard makes the estimate of memorization" in result.err
    assert "error" not in result.err
    assert shell("memorize", tmp_path / "variant", *told, "--shard", "1/2").out


def test_a_shard_of_an_evaluation_says_what_is_left(labels: Variant, tmp_path: Path) -> None:
    """Its runs are told as always."""
    write_variant(labels, tmp_path / "variant")
    told = (
        "--epochs",
        1,
        "--model",
        "mlp(width=8)",
        "--detectors",
        "aum",
        "--device",
        "cpu",
        "--out",
        tmp_path / "runs",
    )
    result = shell("evaluate", tmp_path / "variant", *told, "--shard", "3/3")
    assert result.code == 0
    assert "seed-2" in result.out
    assert "seed-0" not in result.out
    assert "shard 3/3 has its 1 of 3 runs; without --shard, the same command does what is left" in result.err
