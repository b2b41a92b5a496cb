"""What the atlas was asked, decided before it was measured: each claim a quantity on its expected side, and a kind of twins."""

from typing import NamedTuple

from noisybench.studies.atlas_grid import KINDS, PUBLISHED
from noisybench.studies.atlas_places import AtlasReadings, Placement
from noisybench.studies.study import Verdict


class AtlasClaim(NamedTuple):
    """A claim on people's labels.

    Attributes:
        claim: In one sentence.
        quantity: What is placed.
        kind: Within which twins.
    """

    claim: str
    quantity: str
    kind: str


CLAIMS = (
    AtlasClaim("Human errors fall on harder samples than class × target twins", "difficulty", "class"),
    AtlasClaim("Human errors are more coherent than twins of equal difficulty", "coherence", "difficulty"),
    AtlasClaim("Detectors find human errors less well than twins matched on class × target", "auroc", "class"),
    AtlasClaim("Detectors find human errors less well than twins matched on difficulty too", "auroc", "difficulty"),
    AtlasClaim("Heads memorize human errors more than class × target twins", "memorization", "class"),
    AtlasClaim("Heads memorize human errors more than twins matched on difficulty too", "memorization", "difficulty"),
    AtlasClaim("Human errors damage the right answer more than twins matched on difficulty", "clean_damage", "difficulty"),
    AtlasClaim("Putting one human error right turns more answers than in twins matched on difficulty", "label_swap", "difficulty"),
    AtlasClaim("Human errors cost heads more test accuracy than class × target twins", "test_accuracy", "class"),
    AtlasClaim("Human errors cost heads more test accuracy than twins matched on difficulty too", "test_accuracy", "difficulty"),
)  # fmt: skip
"""In the order in which they are told. Each holds where it is significant after Holm's correction in every set, and fails
where the contrary is in one, which of many sets chance alone gives more often than of one; else it is undecided: that people's
labels lie within their twins is no proof of either."""


def verdicts_on(found: AtlasReadings) -> tuple[Verdict, ...]:
    """The verdict on each claim; of a quantity that was not measured, undecided."""
    places = {(one.set, one.kind, one.quantity): one for one in found.every_place(PUBLISHED)}
    return tuple(
        _judged(claim, [places.get((name, claim.kind, claim.quantity)) for name in found.sets]) for claim in CLAIMS
    )


def _judged(claim: AtlasClaim, places: list[Placement | None]) -> Verdict:
    known = [one for one in places if one is not None]
    if not known or len(known) < len(places):
        return Verdict(claim.claim, None, "it was not measured of every set")
    sides = [one.side for one in known]
    holds = True if all(side > 0 for side in sides) else False if any(side < 0 for side in sides) else None
    told = "; ".join(
        f"{one.set} {one.human:.3f} against {float(one.twins.mean()):.3f} of {len(one.twins)} {KINDS[one.kind]} twins, "
        f"one-sided p {one.p:.3f}, after Holm {one.adjusted:.3f}"
        for one in known
    )
    return Verdict(claim.claim, holds, f"{sum(side > 0 for side in sides)} of {len(sides)} sets: {told}")
