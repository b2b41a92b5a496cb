"""The regimes whose runs are several trainings, by their names."""

from collections.abc import Mapping

from noisybench.detection.scoring import FedRegime
from noisybench.runs.second_split_run import SCHEME as SECOND_SPLIT
from noisybench.runs.several_trainings import Scheme
from noisybench.runs.threshold_run import SCHEME as THRESHOLD

SCHEMES: Mapping[FedRegime, Scheme] = {"second_split": SECOND_SPLIT, "threshold": THRESHOLD}
