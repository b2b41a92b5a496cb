"""The record of a run: ``run.json``, which says everything that decides the bytes of its trace and scores.

One type for every regime. A field that a regime does not have is None and does not stand in the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple

from noisybench.data.pretraining import Overlap
from noisybench.data.source import Option
from noisybench.memorization.learner import Learner
from noisybench.statistics.neighbour_index import IndexName
from noisybench.training.recipe import LATER_OPTIONS, Recipe
from noisybench.variants.variant import Variant

Regime = Literal[
    "training", "pool", "given", "features", "second_split", "threshold", "answers", "noisy_validation", "ratt", "pmv"
]
"""Where a run's scores come from: one observed training, many models on random subsets, someone else's code, frozen
features without a training, trainings on one half and then the other, trainings with a class of threshold samples, or the
answers of several people. The last three feed no detector: each is a rule of stopping with trainings of its own."""
OF_RULES: tuple[Regime, ...] = ("noisy_validation", "ratt", "pmv")
"""Regimes whose runs feed no detector, but a rule of stopping of that name."""
WITH_HISTORY: tuple[Regime, ...] = ("training", "pool", "second_split", "threshold", *OF_RULES)
"""Regimes whose runs train something, and leave a history of it."""
BY_SEED: tuple[Regime, ...] = ("training", "second_split", "threshold", *OF_RULES)
"""Regimes whose runs are of the seeds that ``evaluate`` was given."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What frozen features had been trained on before they met the samples.

    Attributes:
        data: The data set, as in ``ImageNet-1k``; ``unknown`` of features that the user brought.
        supervised: Whether with its labels; None where nobody knows.
        overlap: Whether its classes are those of the samples too, as ImageNet's are CIFAR-10's.
    """

    data: str
    supervised: bool | None
    overlap: Overlap


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What ``run.json`` holds.

    Attributes:
        regime: Where the scores come from.
        features: What the model saw: ``input``, or the name of frozen features.
        variant_id: The labels.
        source: Name of their source.
        source_sha256: Digest of its inputs and labels.
        source_options: Options of the source.
        limit: Training samples that were kept; None where all were.
        noise: Name of the noise.
        params: Parameters of the noise.
        mode: How the noise was drawn.
        noise_seed: Seed of the noise.
        n: Samples.
        known: Samples whose clean label is known.
        classes: Classes.
        model: Name of the model, or of given scores.
        recipe: Name of the recipe.
        setup: Digest of model, recipe and every option: runs that differ in anything but labels and seed differ in it.
        trained: Short digest of what decides the training, however it is watched.
        epochs: Epochs of training: of the recipe, which several trainings go through several times; 0 where nothing is trained.
        observe: When or how the samples were observed: ``after`` or ``during`` training, ``held out``, ``given``, ``two
            halves``, ``threshold samples``, ``labels held out``, ``some labels random``, ``labels perturbed``, ``with the given`` answer or ``without the given``.
        seed: Seed of the training, of its halves or threshold samples, of folds, or of the answers that are left out.
        detectors: Name of each detector → what the catalog finds it by; empty until every one of them is scored.
        controls: Names of those that are there for comparison; None in records of 0.1.0.
        versions: Package → version that trained, or scored what was given.
        test_sha256: Digest of the test set; of one observed training.
        device: Kind of device of torch; of trainings.
        machine: Processor or GPU.
        threads: Threads of torch.
        ranks: Processes that trained it together; None of one alone.
        batch_size: A field of ``Recipe``, as the next six; of all that train.
        lr: See ``Recipe``.
        momentum: See ``Recipe``.
        weight_decay: See ``Recipe``.
        schedule: See ``Recipe``.
        augmentation: See ``Recipe``.
        precision: See ``Recipe``.
        optimizer: See ``Recipe``; None at its default, as the next four.
        cosine_cycles: See ``Recipe``.
        cosine_floor: See ``Recipe``.
        milestones: See ``Recipe``.
        milestone_factor: See ``Recipe``.
        objective: What was minimised, in words; None of cross-entropy, as the next two.
        objective_options: Its options.
        objective_knows: What it was told of the truth: ``nothing``, ``rate`` or ``transition``.
        curvature_every: A field of ``Watch``, as the next six; of one observed training.
        curvature_draws: See ``Watch``.
        curvature_step: See ``Watch``.
        curvature_power: See ``Watch``.
        susceptibility: See ``Watch``.
        susceptibility_samples: See ``Watch``.
        susceptibility_lr: See ``Watch``.
        susceptibility_also: See ``Watch``; None where there are no further readings, as the next.
        susceptibility_source: See ``Watch``.
        test_every: See ``Watch``; None where every epoch was tested.
        fractions: Share of the samples in the subsets of each pool; of a pool, as the next four.
        balanced: Whether every sample is left out equally often.
        models: Models for each fraction.
        neighbours: Neighbours of a sample that are asked; of frozen features, too.
        codes: Detector → digest of where it comes from and of its code; of those that are none of noisybench's.
        information: Detector → what its author says that it uses; of those that are none of noisybench's and say it.
        files_sha256: File of the run → digest of answers, history and scores.
        form: What was given: ``scores``, ``pred_probs`` or ``dynamics``; of given scores, as the next five.
        file: Name of the file, or of the folder; None of an array.
        file_sha256: Its digest, or that of the array.
        lower_is_suspicious: Whether the given scores had the other sign.
        column: The column of the scores, where it was named.
        features_sha256: Digest of the features; of frozen features, and of answers with a classifier, as the next two.
        pretrained: What they had been trained on; None of features that no other data decided.
        folds: Parts of the samples, each of which is asked of a probe that was fitted to the others.
        penalties: The ridge penalties whose ranks are averaged; of frozen features.
        groups: Groups of samples that are left out together: those that the user gave, united with near duplicates; of
            frozen features, and of answers with a classifier.
        grouped_by: What the user's groups are called; None where he gave none.
        groups_sha256: Their digest.
        neighbour_index: By which neighbours were found; None where all pairs were compared.
        answers_sha256: Digest of the answers that were looked at; of answers, as the next five.
        answers: How many.
        annotators: How many people gave some, or in how many columns they stand.
        without_given: Whether an answer that is the given label was left out of each sample.
        given_from: How the given labels were made of the answers, such as ``one:0``; None where nobody knows, or they were not.
        smoothing: Pseudo-answers for each row of a confusion matrix, see ``dawid_skene``.
        scores_sha256: Detector → digest of its scores.
        corrections: Digest of what people decided about the labels; None of a variant that was not corrected.
    """

    regime: Regime
    features: str
    variant_id: str
    source: str
    source_sha256: str
    source_options: Mapping[str, Option]
    limit: int | None
    noise: str
    params: Mapping[str, Option]
    mode: str
    noise_seed: int
    n: int
    known: int
    classes: int
    model: str
    recipe: str
    setup: str
    trained: str
    epochs: int
    observe: str
    seed: int
    detectors: Mapping[str, str]
    test_sha256: str | None = None
    batch_size: int | None = None
    lr: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    augmentation: str | None = None
    precision: str | None = None
    optimizer: str | None = None
    cosine_cycles: int | None = None
    cosine_floor: float | None = None
    milestones: Sequence[float] | None = None
    milestone_factor: float | None = None
    objective: str | None = None
    objective_options: Mapping[str, Option] | None = None
    objective_knows: str | None = None
    curvature_every: int | None = None
    curvature_draws: int | None = None
    curvature_step: float | None = None
    curvature_power: int | None = None
    susceptibility: str | None = None
    susceptibility_samples: int | None = None
    susceptibility_lr: float | None = None
    susceptibility_also: Sequence[str] | None = None
    susceptibility_source: str | None = None
    test_every: int | None = None
    fractions: Sequence[float] | None = None
    balanced: bool | None = None
    models: int | None = None
    neighbours: int | None = None
    form: str | None = None
    file: str | None = None
    file_sha256: str | None = None
    lower_is_suspicious: bool | None = None
    column: str | None = None
    features_sha256: str | None = None
    pretrained: Pretrained | None = None
    folds: int | None = None
    penalties: Sequence[float] | None = None
    groups: int | None = None
    grouped_by: str | None = None
    groups_sha256: str | None = None
    neighbour_index: IndexName | None = None
    answers_sha256: str | None = None
    answers: int | None = None
    annotators: int | None = None
    without_given: bool | None = None
    given_from: str | None = None
    smoothing: float | None = None
    device: str | None = None
    machine: str | None = None
    threads: int | None = None
    ranks: int | None = None
    versions: Mapping[str, str] | None = None
    controls: Sequence[str] | None = None
    codes: Mapping[str, str] | None = None
    information: Mapping[str, Sequence[str]] | None = None
    files_sha256: Mapping[str, str] | None = None
    scores_sha256: Mapping[str, str] | None = None
    corrections: str | None = None

    @property
    def is_ended(self) -> bool:
        """Whether the run was said to be finished: it names its detectors, or, of a rule of stopping, its files."""
        return bool(self.detectors) or (self.regime in OF_RULES and self.files_sha256 is not None)

    @property
    def learner(self) -> "Learner":
        """What was trained; of a pool, on the largest of its subsets."""
        largest = max(self.fractions) if self.fractions else None
        balanced = True if self.balanced is None else self.balanced
        trained = (self.model, self.recipe, self.epochs, self.trained, self.features)
        return Learner(*trained, largest, balanced, self.objective or "")

    def as_json(self) -> dict[str, Any]:
        """What the file holds: every field but those that the regime does not have."""
        optional = {field.name for field in fields(self) if field.default is None}
        return {key: value for key, value in asdict(self).items() if value is not None or key not in optional}


HOW_LABELS_CAME = ("source_options", "limit", "noise", "params", "mode", "noise_seed", "corrections")
"""Fields of a record that tell how labels came to be; which labels they are, the variant id says."""
WHAT_CAME_OUT = ("detectors", "controls", "codes", "information", "files_sha256", "scores_sha256")
"""Fields of a record that tell what a run has left, and do not decide it."""
DEFAULTS = {field.name: field.default for field in fields(Recipe) if field.name in LATER_OPTIONS}
DEFAULTS |= {"ranks": 1}
"""Option of a recipe, or of how a run was trained, that stands in no record at its default → that default."""
TRAINED_BY = ("versions", "machine")
"""Fields of a record that decide the last bits of a training, and nothing of what is made of its trace."""


def option_of(record: RunRecord, name: str) -> object:
    """What a field of a record says; of an option that came later, and stands in no record at its default, that default."""
    told = getattr(record, name)
    return DEFAULTS.get(name) if told is None and record.lr is not None else told


def about_labels(variant: Variant) -> dict[str, Any]:
    """The fields of a record that are about labels and how they came to be."""
    provenance = variant.provenance
    return {
        "variant_id": provenance.variant_id,
        "source": provenance.source,
        "source_sha256": provenance.source_sha256,
        "source_options": dict(provenance.source_options),
        "limit": provenance.limit,
        "noise": provenance.noise,
        "params": dict(provenance.params),
        "mode": provenance.mode,
        "noise_seed": provenance.seed,
        "corrections": None if provenance.corrections is None else provenance.corrections.sha256,
        "n": len(variant.labels),
        "known": int(variant.known.sum()),
        "classes": variant.num_classes,
    }


def first_difference(found: RunRecord, wanted: RunRecord, *, ignore: Sequence[str] = ()) -> str | None:
    """The first field that decides a run and is another one in the two records; None where they are of one run."""
    passed = {*HOW_LABELS_CAME, *WHAT_CAME_OUT, *ignore}
    names = (field.name for field in fields(RunRecord) if field.name not in passed)
    return next((name for name in names if _plain(getattr(found, name)) != _plain(getattr(wanted, name))), None)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


class Setup(NamedTuple):
    """What made the scores of a run: a learner, watched in one way."""

    learner: Learner
    setup: str
    """Digest of model, recipe and every option."""
    observe: str
    """When the samples were observed."""
    regime: Regime
    """Where the scores come from."""


NOBODY = Setup(Learner("", "", 0, "", ""), "", "", "given")
"""The setup of references, which are the same whatever was trained."""


def setup_of(record: RunRecord) -> Setup:
    """What made the scores of a run."""
    return Setup(record.learner, record.setup, record.observe, record.regime)
