"""What features had been trained on, by the word that a record has for them."""

from functools import cache

from noisybench.data.extraction import BACKBONES, choose_features
from noisybench.data.pretraining import UNSAID, Pretraining
from noisybench.ground.errors import NoisybenchError
from noisybench.ground.lookup import is_ours


@cache
def pretraining_of(word: str) -> Pretraining | None:
    """What features of that word were trained on; None of those without weights, ``unknown`` where nobody can say it here.

    Nothing is imported on the word of a record but noisybench's own.
    """
    name, _, options = word.partition("(")
    ours = is_ours("features", name) or name.partition(":")[0] in BACKBONES
    if name in ("input", "given") and not options:
        return None
    if not ours or "weights=" in options:
        return Pretraining(UNSAID)
    try:
        return choose_features(name).pretraining
    except NoisybenchError:  # such as a package that is not installed
        return Pretraining(UNSAID)
