"""What scores were made with: the detector says what it uses of a sample, the run what else came in."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

from noisybench.data.pretraining import UNSAID, Overlap, Pretraining, classes_overlap
from noisybench.detection.scoring import Detector, Information, Kind
from noisybench.ground.lookup import find, is_ours
from noisybench.runs.pretrained import pretraining_of
from noisybench.runs.reading import Run
from noisybench.runs.record import Pretrained, Regime
from noisybench.variants.clustered import in_clusters

RowBlock = Literal["", "pretrained", "knows_truth"]
"""Detectors that rank among themselves: those that saw the data set alone, those on features of other data, and those that
were told something of the truth."""
BLOCKS: tuple[RowBlock, ...] = get_args(RowBlock)
WORDS: Mapping[Information, str] = {
    "in_sample": "in-sample",
    "held_out": "held-out",
    "several_trainings": "several trainings",
    "pretrained": "pretrained",
    "annotators": "annotators",
    "knows_rate": "knows the rate",
    "knows_clean": "knows clean labels",
    "unknown": "unknown",
}
"""What tables say of each."""
OF_REGIME: Mapping[Regime, frozenset[Information]] = {
    "training": frozenset(),
    "pool": frozenset({"held_out", "several_trainings"}),
    "features": frozenset({"held_out"}),
    "given": frozenset({"unknown"}),
    "second_split": frozenset({"in_sample", "several_trainings"}),
    "threshold": frozenset({"in_sample", "several_trainings"}),
    "answers": frozenset(),
}
"""What the regime of a run adds to a detector's own, where it asks the models of the run."""
OF_REFERENCES: Mapping[str, frozenset[Information]] = {
    "perfect": frozenset({"knows_clean"}), "given_label_only": frozenset({"knows_rate"})
}  # fmt: skip
OF_MEMORIZATION: frozenset[Information] = frozenset({"held_out", "several_trainings"})
NO_NAMES: Mapping[str, Sequence[str]] = MappingProxyType({})
TOLD = ("rate", "transition")
"""What an objective may be told of the truth: then all that its training leaves was made with it."""
KNOWS_TRUTH: frozenset[Information] = frozenset({"knows_rate", "knows_clean"})


class MadeWith(NamedTuple):
    """What the scores of a row were made with.

    Attributes:
        information: In the order of ``Information``.
        pretrained: What the features had been trained on; None where no other data decided them.
        block: With whom it ranks.
        declared: Whether some of the information is what the author of a user's own detector says.
        aliases: Other names under which the same ranking was published.
        clustered: Label columns in which whole clusters are mislabeled.
    """

    information: tuple[Information, ...]
    pretrained: Pretrained | None
    block: RowBlock
    declared: bool = False
    aliases: tuple[str, ...] = ()
    clustered: int = 0


def made_with(
    detector: str, kind: Kind, members: Iterable[tuple[Run, str]], class_names: Mapping[str, Sequence[str]]
) -> MadeWith:
    """What the scores of a row were made with, in any of its runs.

    Args:
        detector: Name of the detector, control or reference.
        kind: Which of these.
        members: The runs of the row, and the name that its detector has in each.
        class_names: Id of a variant → names of its classes, for those that are known.
    """
    if kind == "reference":
        itself = detector.partition(" ")[0] == "memorization"
        return MadeWith(_ordered(OF_MEMORIZATION if itself else OF_REFERENCES.get(detector, ())), None, "")
    found: set[Information] = set()
    features: list[Pretrained] = []
    declared, clustered = False, set()
    aliases: tuple[str, ...] = ()
    for run, name in members:
        found |= information_of(run, name)
        declared |= name in (run.record.information or {})
        aliases = () if run.record.regime == "given" else aliases_of(run.record.detectors[name])
        if in_clusters(run.record.noise, run.record.params):
            clustered.add(run.record.variant_id)
        pretrained = pretrained_of_run(run, class_names.get(run.record.variant_id))
        features += [] if pretrained is None else [pretrained]
    overlaps = {one.overlap for one in features}
    overlap: Overlap = "yes" if "yes" in overlaps else "no" if overlaps == {"no"} else "unknown"
    pretrained = Pretrained(features[0].data, features[0].supervised, overlap) if features else None
    block: RowBlock = "knows_truth" if found & KNOWS_TRUTH else "pretrained" if pretrained is not None else ""
    return MadeWith(_ordered(found), pretrained, block, declared, aliases, len(clustered))


def information_of(run: Run, detector: str) -> frozenset[Information]:
    """What the scores of one of a run's detectors were made with."""
    if run.record.regime == "given":
        return OF_REGIME["given"]
    pretraining = pretraining_of(run.record.features)
    own: frozenset[Information] = frozenset()
    if pretraining is not None:
        own = frozenset({"unknown" if _named(run, pretraining).data == UNSAID else "pretrained"})
    spec = run.record.detectors[detector]
    models = frozenset[Information]() if _asks_no_model(spec) else OF_REGIME[run.record.regime]
    if run.record.objective_knows in TOLD:
        models |= {"knows_rate"}
    declared = frozenset(word for word in WORDS if word in (run.record.information or {}).get(detector, ()))
    return (declared or information_of_detector(spec)) | models | own


@cache  # a table asks for every detector of every run
def information_of_detector(spec: str) -> frozenset[Information]:
    """What a detector uses; ``unknown`` of one that is not noisybench's, whose code a record may not name to be imported.

    What the author of such a one declares stands in the record of the run.
    """
    if not is_ours("detectors", spec):
        return frozenset({"unknown"})
    detector: Detector = find("detectors", spec)
    return frozenset(detector.information)


@cache
def aliases_of(spec: str) -> tuple[str, ...]:
    """Other names of one of noisybench's own detectors; of others, and of scores that were given, nothing is known."""
    if not is_ours("detectors", spec):
        return ()
    detector: Detector = find("detectors", spec)
    return detector.aliases


@cache
def _asks_no_model(spec: str) -> bool:
    """Whether one of noisybench's own detectors reads labels of neighbours alone, whatever was trained beside them."""
    if not is_ours("detectors", spec):
        return False
    detector: Detector = find("detectors", spec)
    return {*detector.needs} <= {"given", "neighbours.labels"}


def pretrained_of_run(run: Run, class_names: Sequence[str] | None) -> Pretrained | None:
    """What the features of a run had been trained on; None where no other data decided them."""
    pretraining = pretraining_of(run.record.features)
    if pretraining is None or run.record.regime == "given":
        return None
    named = _named(run, pretraining)
    told = run.record.pretrained
    if told is not None and (told.data, told.supervised) == (named.data, named.supervised):
        return told
    overlap = "unknown" if class_names is None else classes_overlap(named, class_names)
    return Pretrained(named.data, named.supervised, overlap)


def _named(run: Run, pretraining: Pretraining) -> Pretraining:
    """What the run says where nobody else does: of features of the user's own."""
    told = run.record.pretrained
    unsaid = pretraining.data == UNSAID and told is not None
    return Pretraining(told.data, told.supervised) if unsaid and told is not None else pretraining


def _ordered(information: Iterable[Information]) -> tuple[Information, ...]:
    found = {*information}
    return tuple(word for word in get_args(Information) if word in found)


def in_words(information: Sequence[Information], pretrained: Pretrained | None, *, declared: bool = False) -> str:
    """What a table says of a row: of features, what data they are of, whether labels taught them, and which classes."""
    words = [WORDS[word] for word in information if word != "pretrained"]
    if "pretrained" in information and pretrained is not None:
        words.append(pretrained_in_words(pretrained))
    return (", ".join(words) or "–") + (" (declared by its author)" if declared else "")


def pretrained_in_words(pretrained: Pretrained) -> str:
    """What features had been trained on, as in ``ImageNet-1k (supervised, classes overlap)``."""
    if pretrained.data == UNSAID:
        return "nobody knows of what data"
    how = {True: "supervised", False: "unsupervised", None: "supervision unknown"}[pretrained.supervised]
    overlap = {"yes": "classes overlap", "no": "other classes", "unknown": "overlap unknown"}[pretrained.overlap]
    return f"{pretrained.data} ({how}, {overlap})"


def trained_on(pretrained: Pretrained) -> str:
    """The same as the end of a sentence, as in ``trained on ImageNet-1k, with labels; it has some of the classes …``."""
    if pretrained.data == UNSAID:
        return "trained on data that nobody names"
    how = {True: ", with labels", False: ", without labels", None: ""}[pretrained.supervised]
    classes = {
        "yes": "it has some of the classes looked at here",
        "no": "it has none of the classes looked at here",
        "unknown": "whether it has the classes looked at here is not known",
    }[pretrained.overlap]
    return f"trained on {pretrained.data}{how}; {classes}"
