"""Exchanged noise: class-conditional noise whose wrong labels lie where is asked, in difficulty and in coherence."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, get_args

import numpy as np

from noisybench.data.source import Source, inputs_of
from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.checks import check_choice, check_rate, whole
from noisybench.ground.errors import BadUsage
from noisybench.noise.annotators import check_counts_of, source_counts
from noisybench.noise.class_structure import Structure, check_structure, class_structure
from noisybench.noise.difficulty_law import Ranking, check_auroc, check_one_origin, follow
from noisybench.noise.exchange import OutOfReach, check_targets, coordinates_of, exchange
from noisybench.statistics.coherence import Realised
from noisybench.statistics.expected_auroc import mid_ranks
from noisybench.variants.flipping import Mode, flip_by_class, law_of_labels
from noisybench.variants.noise import LABELS_ALONE, Draw, Noise, RateDefinition, require_mode
from noisybench.variants.transitions import AnyTransition, off_diagonal, row_sums


@dataclass(frozen=True, slots=True)
class Exchanged:
    """Place the wrong labels of class-conditional noise by how hard they are and how often neighbours are wrong alike.

    Labels are drawn from the class structure, or have exactly the transition counts of a real label set. Then samples of
    one class exchange their labels, which leaves every count as it is, until two coordinates are met to 0.01. ``auroc`` is
    that of a difficulty score for the wrong labels, over pairs of one clean class. ``coherence`` is the mean over wrong
    labels of the share of the sample's nearest neighbours that are wrong with the same label, minus what class, label and
    bin of difficulty alone would make of it. Other than in ``coherent``, where a share of the wrong labels comes in whole
    clusters, both are met as realised, each at the other. What cannot be reached is refused.

    The flip probability is that of the class and the rank of difficulty: that of the law of greatest entropy with this
    AUROC. Where ``coherence`` is not 0, a sample's chance depends on where it lies too, which no closed form tells, and no
    flip probability is told.

    Attributes:
        rate: Share of wrong labels, to the nearest number; left out with ``of``.
        auroc: Of difficulty for the wrong labels; 0.5 is no relation, higher: hard samples are wrong more often.
        coherence: What the wrong labels among a sample's neighbours are to exceed chance by; 0: nothing.
        structure: ``symmetric``, ``pair_flip``, or ``asymmetric`` with the map of the source.
        matrix: A transition matrix in place of it, whose rates are multiplied by one number; a file as of ``transition``.
        of: A label set of CIFAR-N, a variant or a file of counts, as in ``counterpart``, in place of rate and structure:
            on the samples that they are of, every cell has its count, in any mode.
        file: The file of CIFAR-N; None downloads it. Licence: CC BY-NC 4.0.
        difficulty: A file of difficulties, as in ``difficulty``; None takes the doubt of models that are trained here.
        lower_is_harder: The numbers of the file have the other sign, as C-scores do.
        probabilities: A file of class probabilities in place of it, as in ``difficulty``.
        features: In which neighbours are near: ``input``, the name of frozen features, such as ``pca``, or a ``.npy`` or
            ``.npz`` file, a row for each sample. A detector on the same features knows the coordinate.
        neighbours: Of each sample.
        bins: Of difficulty in each class, within which chance is counted.

    Source: none; defined here. The exchanges are Metropolis steps: see ``noisybench/noise/exchange.py``.
    """

    rate: float | None = None
    auroc: float = 0.5
    coherence: float = 0.0
    structure: Structure = "symmetric"
    matrix: Path | None = None
    of: str | Path | None = None
    file: Path | None = None
    difficulty: Path | None = None
    lower_is_harder: bool = False
    probabilities: Path | None = None
    features: str | Path = "input"
    neighbours: int = 10
    bins: int = 10
    found: ClassVar[bool] = False
    rounded: ClassVar[bool] = True
    modes: ClassVar[tuple[Mode, ...]] = ("exact", "exact_per_class")

    def __post_init__(self) -> None:
        if self.of is None and self.rate is None:
            msg = "noise 'exchanged' needs 'rate', or counts to keep: say --rate 0.2, or --set of=…"
            raise BadUsage(msg)
        if self.rate is not None:
            object.__setattr__(self, "rate", check_rate(self.rate))
        object.__setattr__(self, "auroc", check_auroc(self.auroc))
        check_targets(self.auroc, self.coherence, (1.0, 1.0))
        for name in ("neighbours", "bins"):
            object.__setattr__(self, name, whole(getattr(self, name), name, least=1))
        check_choice(self.structure, "structure", get_args(Structure))
        check_structure(self.structure, self.matrix)
        check_one_origin(self.difficulty, self.probabilities, None, lower_is_harder=self.lower_is_harder)
        if str(self.features).lower().endswith((".npy", ".npz")):
            object.__setattr__(self, "features", Path(self.features))  # so that provenance names it by its digest
        if self.of is None:
            if self.file is not None:
                msg = "file is that of a label set of CIFAR-N; name the set, --set of=worse, or leave the file out"
                raise BadUsage(msg)
            return
        told = [name for name in ("rate", "matrix") if getattr(self, name) is not None]
        told += ["structure"] * (self.structure != "symmetric")
        if told:
            msg = f"of={self.of} brings its own counts, and {told[0]} would give others; leave out one of the two"
            raise BadUsage(msg)
        object.__setattr__(self, "of", check_counts_of(self.of))

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        require_mode("exchanged", mode, self.modes)
        if not isinstance(self.features, Path):
            inputs_of(
                source, "noise 'exchanged'", f"give features in a file, --set features=FILE.npy, or {LABELS_ALONE}"
            )
        rates, targets = self._classes(source)
        clean, known = source.clean, source.clean != UNKNOWN
        labels, selected = flip_by_class(
            source.labels,
            clean,
            rates,
            targets,
            by_class=True,
            seed=seed,
            mode=mode if self.of is None else "exact_per_class",
        )
        chance = np.where(known, rates[clean], np.nan)
        if (labels != clean)[known].any():
            labels, chance[known] = self._placed(source, labels, rates, seed)
            selected = known & (labels != clean)
        definition: RateDefinition = "none" if self.of is not None else "effective"
        return Draw(
            labels=labels,
            flip_probability=None if self.coherence else chance,
            selected=selected,
            rate_definition=definition,
        )

    def _classes(self, source: Source) -> tuple[Floats, AnyTransition]:
        """Chance of a wrong label of each class, (k,), and the law of which it is, (k, k)."""
        if self.of is None:
            classes = class_structure(source, self.rate or 0.0, self.structure, self.matrix)
            return classes.rates, classes.targets
        counts = source_counts(self.of, self.file, source)
        sizes, wrong = row_sums(counts), off_diagonal(counts)
        return row_sums(wrong) / np.where(sizes > 0, sizes, 1), law_of_labels(wrong)

    def _placed(self, source: Source, labels: Labels, rates: Floats, seed: int) -> tuple[Labels, Floats]:
        """Labels at the coordinates, (n,), and the chance of a wrong one of each sample of known class."""
        coordinates = coordinates_of(
            source,
            features=self.features,
            neighbours=self.neighbours,
            bins=self.bins,
            difficulty=self.difficulty,
            lower_is_harder=self.lower_is_harder,
            probabilities=self.probabilities,
        )
        known = source.clean != UNKNOWN
        clean = source.clean[known]
        ranks = mid_ranks(coordinates.difficulty[known], clean)
        ranking = Ranking(rates[clean], clean, ranks, clean)
        made = exchange(labels, source.clean, coordinates, difficulty=self.auroc, coherence=self.coherence, seed=seed)
        try:
            # One slope for a rank, whatever the size of the class: so the chain has it, whose law sees the AUROC alone.
            (chance,) = follow(ranking, self.auroc, [(1.0, ranks / len(ranks))])
        except BadUsage as error:  # of ties no order is hard enough; who asks for many targets leaves this one blank
            raise _out_of_reach(str(error), made.realised) from None
        if not made.reached:
            where = made.realised
            msg = (
                f"auroc {self.auroc:g} with coherence {self.coherence:g} is out of reach: the exchanges came to "
                f"{where.difficulty:.3f} and {where.coherence:.3f}; ask for something between, or for a higher rate"
            )
            raise _out_of_reach(msg, where)
        return made.labels.copy(), chance


def _out_of_reach(msg: str, where: Realised) -> OutOfReach:
    refused = OutOfReach(msg)
    refused.realised = where
    return refused


NOISE: type[Noise] = Exchanged
