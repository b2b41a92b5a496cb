"""What ``memorize --pool detector`` says of a run."""

from math import isnan
from typing import TYPE_CHECKING

import typer

from noisybench.cli.given import say_told, told_of
from noisybench.cli.printing import print_json, say, tell_suspects

if TYPE_CHECKING:
    from noisybench.board.results import Detected
    from noisybench.variants.variant import Variant


def report_detected(detected: "Detected", variant: "Variant", *, as_json: bool) -> None:
    """What a detector pool found: each detector against the mask, and the noise as confident learning estimates it."""
    from noisybench.variants.transitions import is_large

    told, noise = told_of(detected), detected.noise
    if "knn" not in told:
        typer.echo(
            "note: knn is left out: inputs that are read when asked for have neighbours in features only", err=True
        )
    if as_json:
        matrix = None  # of many classes longer than anybody reads; the detectors' answers tell it
        if not is_large(variant.num_classes):
            matrix = [[None if isnan(cell) else cell for cell in row] for row in noise.transition.tolist()]
        rate = None if isnan(noise.rate) else noise.rate
        print_json({"path": str(detected.path), "noise_rate": rate, "transition": matrix, "detectors": told})
        return
    say_told(told)
    known = variant.known
    realised = f"; realised {variant.mislabeled[known].mean():.1%}" if known.any() else ""
    say(f"estimated noise rate     {noise.rate:.1%} by confident learning{realised}")
    say(str(detected.path))
    tell_suspects([detected.path])
