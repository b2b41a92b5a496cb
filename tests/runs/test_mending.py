"""Mending: after any file is emptied, cut, zeroed or lost, the same command ends with the same bytes and says so."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from noisybench.board.results import evaluate
from noisybench.cli.build import write_whole_variant
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.errors import BadData
from noisybench.ground.files import read_json, write_json
from noisybench.items import find
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.runs.given_run import keep_given
from noisybench.runs.measurement import measure_memorization
from noisybench.runs.pool_run import score_pool
from noisybench.runs.reading import read_run
from noisybench.runs.verify import verify_runs
from noisybench.training.plan import plan_run
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, read_variant

DETECTORS = ("aum", "final_loss")


@pytest.fixture(scope="module")
def small() -> Source:
    return load_source("digits", limit=60)


@pytest.fixture(scope="module")
def variant(small: Source) -> Variant:
    return build_variant(small, find("noises", "symmetric")(rate=0.2))


def files(folder: Path) -> dict[str, bytes]:
    """Every file but locks and what was spent, which no comparison holds."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in paths if path.name not in (".lock", "timing.json")
    }


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: -1 - path.stat().st_size // 3])


def cut_by_one(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def zeroed_within(path: Path) -> None:
    whole = path.read_bytes()
    first, size = len(whole) // 2, min(64, len(whole) // 4)
    path.write_bytes(whole[:first] + bytes(size) + whole[first + size :])


def zeroed_first(path: Path) -> None:
    path.write_bytes(bytes(4) + path.read_bytes()[4:])


DAMAGES = (emptied, cut, cut_by_one, zeroed, zeroed_within, zeroed_first, Path.unlink)


def damaged(out: Path) -> Iterator[tuple[Path, str]]:
    """Each file of a folder, damaged in three of the ways, in turn; the folder is whole again before the next."""
    whole = out.with_name("whole")
    shutil.copytree(out, whole)
    names = [path.relative_to(out) for path in sorted(out.rglob("*")) if path.is_file() and path.name != ".lock"]
    alike = [name for name in names if name.parent.name == "suggestions"]  # one of them stands for all
    names = [name for name in names if name not in alike[1:]]
    for number, name in enumerate(names):
        for damage in (*DAMAGES, *DAMAGES)[3 * number % 7 :][:3]:
            damage(out / name)
            yield out / name, f"{damage.__name__} {name}"
            shutil.rmtree(out)
            shutil.copytree(whole, out)


def mends(out: Path, command: Callable[[], object], told: pytest.LogCaptureFixture) -> None:
    """Check that a command makes again whatever is damaged of what it left, and says so in one line that names it."""
    command()
    whole = files(out)
    told.clear()
    command()
    assert told.messages == []
    for path, case in damaged(out):
        told.clear()
        command()
        assert files(out) == whole, case
        silent = path.parent.parent.name == "memorization" and not path.exists()  # nothing that counts
        places = [str(place) for place in (path, path.parent, path.parent.parent)]
        named = [line for line in told.messages if any(f"{place} " in line for place in places)]
        assert named or silent or path.name == "timing.json" or "unlink" in case, (case, told.messages)


def test_an_evaluation_mends_every_file(
    small: Source, variant: Variant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Record, history, scores, trace, checkpoint, and the variant beside them."""
    out, options = tmp_path / "runs", {"susceptibility": "off"}
    mends(
        out,
        lambda: evaluate(variant, small, seeds=(0,), epochs=2, detectors=DETECTORS, options=options, out=out),
        caplog,
    )


def test_pools_mend_every_file(
    small: Source, variant: Variant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Blocks of models, the memorization and the answers that follow from them."""
    learner = SubsetPlan(plan_run(small, model="mlp", recipe="standard", epochs=1))
    out = tmp_path / "truth" / "runs"
    mends(out, lambda: measure_memorization(small, variant, learner, out, models=4), caplog)
    out = tmp_path / "detector" / "runs"
    mends(out, lambda: score_pool(small, variant, learner, out, models=8), caplog)


def test_given_scores_mend_every_file(variant: Variant, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The command that brought them writes them again."""
    np.save(tmp_path / "scores.npy", np.random.default_rng(0).random(len(variant.labels)))
    out = tmp_path / "out" / "runs"
    mends(out, lambda: keep_given(variant, out, name="mine", scores=tmp_path / "scores.npy"), caplog)


def test_a_run_with_a_lost_epoch_is_finished_for_nobody(small: Source, variant: Variant, tmp_path: Path) -> None:
    """Tables, verify and evaluate agree; where versions changed, scores are made again and a training is refused."""

    def again() -> Path:
        how = {"seeds": (0,), "epochs": 2, "detectors": "aum", "options": {"susceptibility": "off"}}
        (result,) = evaluate(variant, small, out=tmp_path, **how)  # type: ignore[arg-type]
        return result.path

    folder = again()
    whole = files(folder)
    for name in ("trace/epoch-0001.parquet", "scores/aum.parquet", "history.parquet"):
        cut(folder / name)
        assert not read_run(folder).finished
        again()
        assert read_run(folder).finished
        assert files(folder) == whole
    write_json({**read_json(folder / "run.json"), "machine": "abacus"}, folder / "run.json")
    for name in ("scores/aum.parquet", "history.parquet"):  # which follow from trace and checkpoint
        (folder / name).unlink()
        again()
        assert (folder / name).read_bytes() == whole[name]
    (folder / "trace" / "epoch-0001.parquet").unlink()
    with pytest.raises(BadData, match="holds a run with machine = abacus, now it is .*; give another --out, or delete"):
        again()


def test_epochs_that_vanish_while_a_run_trains_are_noticed(small: Source, variant: Variant, tmp_path: Path) -> None:
    """At the end of the training, which does not finish without them; the same command trains again."""

    def how(progress: Callable[[], None]) -> Path:
        options = {"susceptibility": "off"}
        (result,) = evaluate(
            variant, small, seeds=(0,), epochs=3, detectors="aum", options=options, out=tmp_path, progress=progress
        )
        return result.path

    def vanish() -> None:
        for path in tmp_path.rglob("epoch-0001.parquet"):
            path.unlink()

    with pytest.raises(BadData, match=r"trace lost epoch 1 while the run trained \(1 of 3 epochs\); .* say the same"):
        how(vanish)
    assert list(verify_runs(how(lambda: None)))


def test_a_record_names_no_file_outside_its_run(small: Source, variant: Variant, tmp_path: Path) -> None:
    """A stranger's record may speak of any file; none but the run's own is taken away."""
    options = {"susceptibility": "off"}
    (result,) = evaluate(variant, small, seeds=(0,), epochs=1, detectors="aum", options=options, out=tmp_path / "runs")
    (tmp_path / "mine").write_text("dear to me")
    record = read_json(result.path / "run.json")
    record["files_sha256"]["../../../../mine"] = "0" * 64
    write_json(record, result.path / "run.json")
    evaluate(variant, small, seeds=(0,), epochs=1, detectors="aum", options=options, out=tmp_path / "runs")
    assert (tmp_path / "mine").read_text() == "dear to me"


def test_a_checkpoint_counts_on_nothing_that_is_not_on_the_disk(
    small: Source, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file is synced before what speaks of it gets its name, but for what was spent, on which nothing depends."""
    on_disk: dict[str, bool] = {}
    replace = Path.replace

    def noting_replace(self: Path, target: Path) -> Path:
        if target.name in ("checkpoint.safetensors", "run.json"):
            lost = [name for name, synced in on_disk.items() if not synced and not name.endswith("timing.json")]
            assert not lost, (target, lost)
        on_disk[str(target)] = on_disk.pop(str(self), False)
        return replace(self, target)

    def noting_fsync(descriptor: int) -> None:
        on_disk[str(Path(f"/proc/self/fd/{descriptor}").readlink())] = True

    monkeypatch.setattr(Path, "replace", noting_replace)
    monkeypatch.setattr("os.fsync", noting_fsync)
    options = {"susceptibility": "off"}
    (result,) = evaluate(variant, small, seeds=(0,), epochs=2, detectors=DETECTORS, options=options, out=tmp_path)
    assert {name for name, synced in on_disk.items() if not synced} == {str(result.path / "timing.json")}
    assert on_disk[str(result.path)]
    assert on_disk[str(result.path / "trace")]


def test_a_build_that_is_slower_takes_nothing_away(
    variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another that ends first leaves its folder there, whether the slower one then ends or is stopped."""
    folder = tmp_path / "variants" / variant.name

    def build() -> None:
        write_whole_variant(variant, folder, data=None, source_set={})

    def slower(stop: BaseException | None) -> None:
        monkeypatch.undo()
        build()
        if stop is not None:
            raise stop

    for stop in (None, KeyboardInterrupt()):
        monkeypatch.setattr(
            "noisybench.cards.variant_card.write_cards",
            lambda *_, stop=stop: slower(stop),
        )
        if stop is None:
            build()
        else:
            with pytest.raises(KeyboardInterrupt):
                build()
        assert read_variant(folder).provenance == variant.provenance
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
        shutil.rmtree(folder)


def test_a_checkpoint_of_another_run_is_no_checkpoint(
    small: Source, variant: Variant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Exchanged between two seeds, both runs are trained again, with the same bytes; a line each says why."""

    def run() -> list[Path]:
        options = {"susceptibility": "off"}
        found = evaluate(variant, small, epochs=1, seeds=(0, 1), detectors="entropy", options=options, out=tmp_path)
        return [one.path / "checkpoint.safetensors" for one in found]

    first, second = run()
    before = files(tmp_path)
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    caplog.clear()
    run()
    assert files(tmp_path) == before
    assert [f"{path} is damaged: the run is trained again" for path in (first, second)] == caplog.messages
