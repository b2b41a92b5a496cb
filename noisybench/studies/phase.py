"""Phase: where detection works at all, by how hard the wrong labels are and how coherent, at one rate and the same counts."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from noisybench.ground.amounts import duration
from noisybench.ground.checks import a_path
from noisybench.ground.drawing import check_picture
from noisybench.ground.engine import Progress
from noisybench.ground.errors import BadData
from noisybench.ground.files import read_record
from noisybench.studies.forecast import StudyForecast
from noisybench.studies.grids import choose_grid
from noisybench.studies.hypotheses import Effect, judge_hypotheses, verdicts_of
from noisybench.studies.phase_claims import CLAIMS, measured_phase
from noisybench.studies.phase_grid import PRESETS, PhaseGrid
from noisybench.studies.phase_maps import STUDY, PhaseMaps, maps_of
from noisybench.studies.phase_networks import network_records
from noisybench.studies.phase_picture import draw_phase
from noisybench.studies.phase_points import MAIN, read_named
from noisybench.studies.phase_runs import PhaseSetting, run_points, setting_of
from noisybench.studies.phase_tables import (
    detectors_table,
    map_table,
    memorization_table,
    named_table,
    networks_table,
    parts_table,
    points_table,
    scores_table,
)
from noisybench.studies.results import StudyResults, read_results, results_of, write_results
from noisybench.studies.study import StudyFindings
from noisybench.training.machine import Machine

TABLES = ("detectors", "map", "parts", "named", "memorization", "networks", "points", "scores", "verdicts")
"""Names of its tables, that which csv takes unless another is asked for first."""
