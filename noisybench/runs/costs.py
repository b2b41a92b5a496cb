"""What detectors cost, said before a training: extra passes over the training set, and multiples of the training."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from noisybench.detection.scoring import OF_EVALUATE, Detector, DetectorSet, FedRegime
from noisybench.ground.lookup import find
from noisybench.runs.record import Regime
from noisybench.runs.schemes import SCHEMES
from noisybench.training.gathering import asked_columns
from noisybench.training.plan import Watch
from noisybench.training.probe import Probe, passes_of

FORWARD = 1 / 3
"""Share of a pass of training, forward and backward, that a forward pass takes: a backward pass takes about two."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a detector adds to a plain training.

    Attributes:
        passes: Extra passes over the training set of a run, as ``timing.json`` counts them; the forward pass of an epoch,
            which all share that read logits or features, stands in those of each.
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
        training: The training itself: 1; 0 where no detector is fed by an observed training.
        looking: What the forward pass after each epoch adds, which all detectors share; nothing where training gives the
            logits, and nobody asks for more.
        added: What all detectors add to that together; what several share counts once.
    """

    detectors: Mapping[str, Cost]
    training: float
    looking: float
    added: float

    @property
    def total(self) -> float:
        """Training, looking and detectors together, in multiples of the training."""
        return self.training + self.looking + self.added


def costs_of(
    detectors: Mapping[str, str], *, recorded: Iterable[str], epochs: int, watch: Watch, num_classes: int
) -> Costs:
    """What each detector adds to a run, and all of them together.

    Args:
        detectors: Name → what the catalog finds it by.
        recorded: Columns of every trace, whatever the detectors need.
        epochs: Of the training.
        watch: How the run is looked at.
        num_classes: Of the data set: a few probes cost more with more of them.
    """
    items = {name: _detector(spec) for name, spec in detectors.items()}
    regimes = {name: _regime_of(detector) for name, detector in items.items()}
    found: dict[str, Cost] = {}
    for name, detector in items.items():
        passes, trainings = further_passes(regimes[name], epochs), further_trainings(regimes[name])
        if regimes[name] == "training":
            passes = count_passes(detector.needs, epochs, watch, num_classes)
            trainings = _further(detector.needs, epochs, watch, num_classes)[1] / epochs
        found[name] = Cost(passes, trainings, detector.smallest_set, regimes[name])
    read = {column for name in items if regimes[name] == "training" for column in items[name].needs}
    again = sum(further_trainings(regime) for regime in {*regimes.values()})
    observed = float("training" in regimes.values())
    return Costs(
        detectors=found,
        training=observed,
        looking=observed * _looks({*recorded, *read}, epochs, watch) * FORWARD / epochs,
        added=_further(read, epochs, watch, num_classes)[1] / epochs + again,
    )


def further_passes(regime: Regime, epochs: int) -> float:
    """Passes over the training set of a run of further trainings: as many to ask as to train."""
    return 2.0 * SCHEMES[regime].trainings * epochs if regime in SCHEMES else 0.0


def further_trainings(regime: Regime) -> float:
    """What such a run costs, in multiples of the training: its trainings, and a forward pass for each of theirs."""
    return SCHEMES[regime].trainings * (1 + FORWARD) if regime in SCHEMES else 0.0


def count_passes(needs: Iterable[str], epochs: int, watch: Watch, num_classes: int) -> float:
    """Extra passes over the training set that a detector adds to a plain training, were it asked for alone.

    Args:
        needs: Names of the probes that it reads.
        epochs: Of the training.
        watch: How the run is looked at.
        num_classes: Of the data set.
    """
    columns = [*needs]
    return float(_looks(columns, epochs, watch) + _further(columns, epochs, watch, num_classes)[0])


def _detector(spec: str) -> Detector:
    found: Detector = find("detectors", spec)
    return found


def _regime_of(detector: Detector) -> FedRegime:
    """What feeds a detector in an evaluation: a training, if one can."""
    return next(one for one in (*OF_EVALUATE, *detector.fed_by) if one in detector.fed_by)


def _times(columns: Iterable[str], epochs: int, watch: Watch) -> list[tuple[Probe, int]]:
    """Each probe, and after how many epochs of a training it is asked."""
    names = sorted({*columns})
    probes = [watch.probe(name) for name in names]
    asked = asked_columns(probes, epochs, watch.every(names))
    return [(probe, sum(probe.name in due for due in asked.values())) for probe in probes]


def looks(probe: Probe, watch: Watch) -> bool:
    """Whether a probe is answered by the forward pass that all of them share, where training does not give it."""
    return not probe.passes and (probe.gradient or watch.observe == "after")


def _looks(columns: Iterable[str], epochs: int, watch: Watch) -> int:
    """Forward passes that every probe of logits and features shares."""
    return max((times for probe, times in _times(columns, epochs, watch) if looks(probe, watch)), default=0)


def _further(columns: Iterable[str], epochs: int, watch: Watch, num_classes: int) -> tuple[float, float]:
    """Passes of the probes that need more than logits: how many, and how many passes of a training they last.

    A pass that several of them share counts once.
    """
    passes = lasting = 0.0
    shared: dict[str, float] = {}
    for probe, times in _times(columns, epochs, watch):
        own = passes_of(probe, num_classes)
        for name, count in getattr(probe, "shares", {}).items():
            shared[name] = max(shared.get(name, 0.0), count * times)
            own -= count
        passes += own * times
        lasting += own * times * (FORWARD if getattr(probe, "forward_only", False) else 1)
    together = sum(shared.values())
    return passes + together, lasting + together
