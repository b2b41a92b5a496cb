"""The regimes whose runs are several trainings, or one on labels of its own, by their names."""

from collections.abc import Mapping

from noisybench.runs.noisy_validation_run import SCHEME as NOISY_VALIDATION
from noisybench.runs.pmv_run import SCHEME as PMV
from noisybench.runs.ratt_run import SCHEME as RATT
from noisybench.runs.record import Regime
from noisybench.runs.second_split_run import SCHEME as SECOND_SPLIT
from noisybench.runs.several_trainings import Scheme
from noisybench.runs.threshold_run import SCHEME as THRESHOLD

SCHEMES: Mapping[Regime, Scheme] = {
    scheme.regime: scheme for scheme in (SECOND_SPLIT, THRESHOLD, NOISY_VALIDATION, RATT, PMV)
}
