"""What detectors cost, said before a training, against what a training does and writes down."""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from noisybench.board.results import evaluate
from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.detection.scoring import DetectorSet
from noisybench.ground.files import read_json, write_json
from noisybench.items import find, names
from noisybench.runs.costs import FORWARD, count_passes
from noisybench.runs.detector_choice import choose_detectors
from noisybench.runs.forecast import costs_of_evaluation, detector_costs, repeats_of
from noisybench.runs.schemes import SCHEMES
from noisybench.runs.training_run import Evaluation, plan_evaluation
from noisybench.training.gathering import asked_columns
from noisybench.training.machine import Machine
from noisybench.training.observing import observe
from noisybench.training.plan import Watch, plan_run
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

TRAINED = {name for name in names("detectors") if "training" in find("detectors", name).fed_by}
OF_OBJECTIVES = {name for name in TRAINED if find("detectors", name).left_by_objective}
OWN = """
from noisybench import Detector
def own(trace):
    return trace["curvature"][-1].astype(float)
TWIN = Detector(name="twin", needs=("curvature", "loss"), score=own, source="of a test")
"""


@pytest.fixture(scope="module")
def few() -> Source:
    return load_source("digits", limit=150)


@pytest.fixture(scope="module")
def variant(few: Source) -> Variant:
    return build_variant(few, find("noises", "symmetric")(rate=0.2), seed=0)


def planned(
    variant: Variant,
    source: Source,
    out: Path,
    detectors: str | tuple[str, ...],
    *,
    epochs: int = 7,
    options: Mapping[str, str] | None = None,
) -> Evaluation:
    plan = plan_run(source, epochs=epochs, options=options, device="cpu")
    return plan_evaluation(variant, source, plan, seeds=(0,), detectors=detectors, machine=Machine(), out=out)


def passes_written(folder: Path) -> Mapping[str, float]:
    return {name: cost["passes"] for name, cost in read_json(folder / "timing.json")["detectors"].items()}


@pytest.mark.parametrize("watched", ["after", "during"])
def test_what_is_said_beforehand_is_what_a_run_writes_down(
    variant: Variant, few: Source, tmp_path: Path, watched: str
) -> None:
    """The passes of ``timing.json`` are those of the plan, and those of ``detector_costs``, whichever way it is observed."""
    options = {"curvature_every": "3", "curvature_draws": "2", "observe": watched}
    said = costs_of_evaluation(planned(variant, few, tmp_path, "standard", options=options))
    assert said == detector_costs(few, "standard", epochs=7, options=options)
    (run,) = evaluate(variant, few, epochs=7, seeds=(0,), options=options, machine=Machine(), out=tmp_path)
    assert passes_written(run.path) == {name: cost.passes for name, cost in said.detectors.items()}
    assert said.detectors["aum"].passes == (7 if watched == "after" else 0)


def test_what_trains_again_costs_what_its_run_writes_down(variant: Variant, few: Source, tmp_path: Path) -> None:
    """Two halves, each by both of its phases: as many passes to train as to ask."""
    names_of = ("first_split", "second_split_forgetting")
    said = detector_costs(few, names_of, epochs=2)
    (run,) = evaluate(variant, few, epochs=2, seeds=(0,), detectors=names_of, machine=Machine(), out=tmp_path)
    written = passes_written(run.path)
    assert {name: written[name] for name in names_of} == {name: cost.passes for name, cost in said.detectors.items()}


class Counting(nn.Module):
    """A classifier that counts the samples that it is asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 10))
        self.asked = 0

    def forward(self, x: Tensor) -> Tensor:
        self.asked += len(x)
        answers: Tensor = self.layers(x)
        return answers


@pytest.mark.parametrize("name", ["aum", "final_loss", "gmm_loss", "loss_curvature"])
def test_passes_are_how_often_the_model_is_asked(name: str, few: Source) -> None:
    """Forward passes over all samples, counted in a model, observed when the plan says: 5 epochs, curvature every second."""
    watch, epochs = Watch(curvature_every=2, curvature_draws=2), 5
    needs = ["correct", *find("detectors", name).needs]  # what every trace has
    model, inputs = Counting(), torch.tensor(few.inputs).float().flatten(1)
    labels = torch.tensor(few.labels)
    probes = [watch.probe(one) for one in needs]
    for epoch, asked in asked_columns(probes, epochs, watch.every(needs)).items():
        observe(model, inputs, labels, [one for one in probes if one.name in asked], epoch=epoch)
    assert model.asked / len(labels) == count_passes(needs, epochs, watch, 10)


def test_multiples_of_the_training_are_passes_over_its_epochs(few: Source) -> None:
    """Curvature: 11 passes at 6 of 30 epochs is 2.2 trainings. Looking: a forward pass an epoch is a third of one."""
    options = {"curvature_every": "5", "curvature_draws": "10"}
    costs = detector_costs(few, ["aum", "loss_curvature"], epochs=30, options=options)
    assert FORWARD == 1 / 3
    assert costs.looking == pytest.approx(1 / 3)
    assert (costs.detectors["aum"].passes, costs.detectors["aum"].trainings) == (30, 0)
    assert (costs.detectors["loss_curvature"].passes, costs.detectors["loss_curvature"].trainings) == (66, 2.2)
    assert costs.total == pytest.approx(1 + 1 / 3 + 2.2)
    during = detector_costs(few, ["aum"], epochs=30, options={"observe": "during"})
    assert (during.looking, during.total, during.detectors["aum"].passes) == (0, 1, 0)


def test_what_detectors_share_counts_once(few: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that read one probe cost what one costs, and so do two of a run of its own; each by itself says the whole."""
    (tmp_path / "costly.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    one = detector_costs(few, ["loss_curvature"], epochs=10)
    two = detector_costs(few, ["loss_curvature", "costly:TWIN"], epochs=10)
    assert two.added == one.added == two.detectors["twin"].trainings > 0
    assert two.detectors["twin"].passes == one.detectors["loss_curvature"].passes + 10
    split = detector_costs(few, ["first_split", "second_split_forgetting"], epochs=10)
    assert (
        split.added == split.total == pytest.approx(SCHEMES["second_split"].trainings * 4 / 3)
    )  # no observed training
    assert (
        split.added == split.detectors["first_split"].trainings == split.detectors["second_split_forgetting"].trainings
    )
    both = detector_costs(few, ["first_split", "aum"], epochs=10)
    assert both.total == pytest.approx(1 + 1 / 3 + split.added)


def test_sets_hold_each_other_and_mix_with_names() -> None:
    """``fast`` costs nothing but the looking; ``standard`` has it; ``all`` is every detector that evaluate can feed."""
    sets = [choose_detectors(word) for word in get_args(DetectorSet)]
    assert sets[0].keys() < sets[1].keys() <= sets[2].keys()
    assert sets[2].keys() >= TRAINED - OF_OBJECTIVES
    assert not any(Watch().probe(need).passes for name in sets[0] for need in find("detectors", name).needs)
    assert choose_detectors("standard") == choose_detectors(["fast", "standard"])
    assert choose_detectors(["fast", "loss_curvature"]).keys() == sets[0].keys() | {"loss_curvature"}
    assert choose_detectors(["aum", "fast"]).keys() == sets[0].keys()


def test_a_finished_run_that_lacks_a_column_is_said_to_be_trained_again(
    variant: Variant, few: Source, tmp_path: Path
) -> None:
    """From ``fast`` to curvature: once more, with the same end; then nothing. What was scored stays, byte for byte."""
    more = ("fast", "loss_curvature")
    assert repeats_of(planned(variant, few, tmp_path, more)) == (1, 0, 0, ())
    (run,) = evaluate(variant, few, epochs=7, seeds=(0,), detectors="fast", machine=Machine(), out=tmp_path)
    assert repeats_of(planned(variant, few, tmp_path, "fast")) == (1, 1, 0, ())
    assert repeats_of(planned(variant, few, tmp_path, more)) == (1, 0, 1, ("curvature",))
    kept = {path: path.read_bytes() for path in run.path.glob("scores/*")}
    assert len(kept) > 10
    (again,) = evaluate(variant, few, epochs=7, seeds=(0,), detectors=more, machine=Machine(), out=tmp_path)
    assert again == run
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert repeats_of(planned(variant, few, tmp_path, "fast")) == (1, 1, 0, ())
    assert repeats_of(planned(variant, few, tmp_path, more)) == (1, 1, 0, ())


def test_what_a_run_names_is_not_imported_to_say_its_cost(variant: Variant, few: Source, tmp_path: Path) -> None:
    """A record may be a stranger's: its own detectors are passed over, and a damaged epoch is left to the run."""
    (run,) = evaluate(variant, few, epochs=2, seeds=(0,), detectors="aum", machine=Machine(), out=tmp_path)
    record = read_json(run.path / "run.json")
    write_json({**record, "detectors": {**record["detectors"], "theirs": "not_there:DETECTOR"}}, run.path / "run.json")
    assert repeats_of(planned(variant, few, tmp_path, "aum", epochs=2)) == (1, 1, 0, ())
    (run.path / "trace" / "epoch-0002.parquet").write_bytes(b"")
    assert repeats_of(planned(variant, few, tmp_path, "aum", epochs=2)) == (1, 0, 0, ())
