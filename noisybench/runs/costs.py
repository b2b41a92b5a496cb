"""What detectors cost, said before a training: extra passes over the training set, and multiples of the training."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from noisybench.detection.scoring import TRAININGS, Detector, DetectorSet, FedRegime
from noisybench.ground.lookup import find
from noisybench.training.plan import Watch
from noisybench.training.probe import Probe

FORWARD = 1 / 3
"""Share of a pass of training, forward and backward, that a forward pass takes: a backward pass takes about two."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a detector adds to a plain training.

    Attributes:
        passes: Extra passes over the training set of a run, as ``timing.json`` counts them; those of the logits, one an
            epoch, stand in those of every detector that reads any. Of a detector that is fed by runs of its own, NaN.
        trainings: What the detector adds to a run beyond the looking, in multiples of the training. What two detectors
            share stands in both.
        smallest_set: Smallest of the sets ``fast``, ``standard`` and ``all`` that it is in.
        regime: What feeds it.
    """

    passes: float
    trainings: float
    smallest_set: DetectorSet
    regime: FedRegime


@dataclass(frozen=True, slots=True)
class Costs:
    """What a run costs, in multiples of its training.

    Attributes:
        detectors: Name of each detector → what it adds.
        looking: What it adds to ask for the logits after each epoch, which all detectors share.
        added: What all detectors add to that together; what several share counts once.
    """

    detectors: Mapping[str, Cost]
    looking: float
    added: float

    @property
    def total(self) -> float:
        """Training, looking and detectors together, in multiples of the training."""
        return 1 + self.looking + self.added


def costs_of(detectors: Mapping[str, str], *, recorded: Iterable[str], epochs: int, watch: Watch) -> Costs:
    """What each detector adds to a run, and all of them together.

    Args:
        detectors: Name → what the catalog finds it by.
        recorded: Columns of every trace, whatever the detectors need.
        epochs: Of the training.
        watch: How the run is looked at.
    """
    found = {name: _cost(find("detectors", spec), epochs, watch) for name, spec in detectors.items()}
    read = {column for name in found if found[name].regime == "training" for column in _needs(detectors[name])}
    regimes = {cost.regime for cost in found.values()}
    return Costs(
        detectors=found,
        looking=_looks(sorted({*recorded, *read}), epochs, watch) * FORWARD / epochs,
        added=_gradients(sorted(read), epochs, watch)[1] / epochs + sum(TRAININGS.get(one, 0.0) for one in regimes),
    )


def passes_of(needs: Iterable[str], epochs: int, watch: Watch) -> float:
    """Extra passes over the training set that a detector adds to a plain training.

    Args:
        needs: Names of the probes that it reads.
        epochs: Of the training.
        watch: How the run is looked at.
    """
    columns = sorted(needs)
    return float(_looks(columns, epochs, watch) + _gradients(columns, epochs, watch)[0])


def probe_of(name: str, watch: Watch) -> Probe:
    """A probe with the options of a watch."""
    probe: Probe = watch.curvature() if name == "curvature" else find("probes", name)
    return probe


def _cost(detector: Detector, epochs: int, watch: Watch) -> Cost:
    """What one detector adds to a run."""
    regime = next(one for one in ("training", *TRAININGS, *detector.fed_by) if one in detector.fed_by)
    if regime != "training":
        return Cost(float("nan"), TRAININGS.get(regime, 0.0), detector.smallest_set, regime)
    trainings = _gradients(sorted(detector.needs), epochs, watch)[1] / epochs
    return Cost(passes_of(detector.needs, epochs, watch), trainings, detector.smallest_set, regime)


def _needs(spec: str) -> tuple[str, ...]:
    detector: Detector = find("detectors", spec)
    return detector.needs


def _observations(columns: Iterable[str], epochs: int, watch: Watch) -> dict[str, int]:
    """Column → how often it is asked in a training; the last epoch always asks."""
    names = [*columns]
    every = watch.every(names)
    return {name: -(-epochs // every.get(name, 1)) for name in names}


def _looks(columns: Iterable[str], epochs: int, watch: Watch) -> int:
    """Forward passes for the logits, which every probe of them shares; none where training gives them."""
    times = _observations((name for name in columns if not probe_of(name, watch).gradient), epochs, watch)
    return max(times.values(), default=0) if watch.observe == "after" else 0


def _gradients(columns: Iterable[str], epochs: int, watch: Watch) -> tuple[float, float]:
    """Passes of the probes that need more than logits: how many, and how many passes of training they last."""
    times = _observations(columns, epochs, watch)
    probes = [probe for probe in (probe_of(name, watch) for name in times) if probe.gradient]
    passes = {probe.name: probe.passes * times[probe.name] for probe in probes}
    lasting = (passes[probe.name] * (FORWARD if getattr(probe, "forward_only", False) else 1) for probe in probes)
    return sum(passes.values()), sum(lasting)
