"""Studies that several jobs share: the results of one process, byte for byte, made by the shard that finds all others finished."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from noisybench import curvature, harm, reproduce, susceptibility
from noisybench.data.loading import load_source
from noisybench.ground.engines.shards import Shard
from noisybench.ground.errors import Unfinished
from noisybench.items import find
from noisybench.studies.curvature_runs import AUTHORS_STEP, OWN_STEP, CurvatureGrid
from noisybench.studies.harm_runs import HarmGrid
from noisybench.studies.reproduce_runs import ReproduceGrid
from noisybench.studies.susceptibility_grid import SusceptibilityGrid
from noisybench.training.machine import Machine
from noisybench.variants.building import build_variant
from noisybench.variants.variant import write_variant

CPU = Machine("cpu")
SETTINGS = SusceptibilityGrid(
    models=("mlp(width=4)", "mlp(width=8)"), learning_rates=(0.02, 0.05, 0.1), schedules=("constant",), recipes=("overfit",),
    objectives=("cross_entropy",), half=False, seeds=(0,), epochs=4, rivals=(), tests=20,
    options={"batch_size": "64", "susceptibility_samples": "8"},
)  # fmt: skip


def of_settings(out: Path, *, machine: Machine) -> object:
    """The study of susceptibility, of a variant beside its folder."""
    folder = out.parent / "variant"
    if not folder.is_dir():
        source = load_source("digits", limit=60)
        write_variant(build_variant(source, find("noises", "symmetric")(rate=0.2)), folder)
    return susceptibility([folder], SETTINGS, out, machine=machine)


GRIDS: dict[str, tuple[Callable[..., object], str]] = {
    "harm": (
        partial(
            harm,
            HarmGrid(
                frequencies=(1, 3),
                units=2,
                siblings=2,
                rates=(0.4,),
                draws=(0,),
                epochs=1,
                treatments=("cross_entropy",),
            ),
        ),
        r"has its 1 of 2 runs; still missing of other shards: 1\.",
    ),
    "susceptibility": (of_settings, r"has its 3 of 6 runs; still missing of other shards: 3\."),
    # Trainings and pools of subset models, each of which is one task.
    "reproduce": (
        partial(reproduce, ReproduceGrid(studies={}, limit=60, draws=(0,), epochs=1, models=2, fraction=0.5)),
        r"has its 3 of 6 runs; still missing of other shards: 3\.",
    ),
    # Two stages: trainings, then blocks of models, of which the first shard has the only one.
    "curvature": (
        partial(
            curvature,
            CurvatureGrid(
                limit=60,
                epochs=2,
                duplicates=0.1,
                rates=(0.1,),
                rate=0.1,
                steps=(AUTHORS_STEP, OWN_STEP),
                directions=1,
                activations=("relu",),
                weight_decays=(0.0,),
                draws=(0,),
                models=2,
                top=0.1,
            ),
        ),
        r"has its 2 of 4 runs; still missing of other shards: 2\.",
    ),
}


@pytest.mark.parametrize("study", GRIDS)
def test_shards_make_the_results_of_one_process(study: str, tmp_path: Path) -> None:
    """The first to end says what is missing, and leaves no results; the last has all of them, and so has any later call."""
    carry_out, words = GRIDS[study]
    carry_out(tmp_path / "one", machine=CPU)
    shared = tmp_path / "two"
    with pytest.raises(Unfinished, match=words):
        carry_out(shared, machine=replace(CPU, shard=Shard(2, 2)))
    assert not (shared / "results.parquet").exists()
    carry_out(shared, machine=replace(CPU, shard=Shard(1, 2)))
    results = (tmp_path / "one" / "results.parquet").read_bytes()
    assert (shared / "results.parquet").read_bytes() == results
    trained = {path: path.stat().st_mtime_ns for path in shared.rglob("checkpoint.safetensors")}
    carry_out(shared, machine=CPU)
    assert (shared / "results.parquet").read_bytes() == results
    assert trained == {path: path.stat().st_mtime_ns for path in shared.rglob("checkpoint.safetensors")}
