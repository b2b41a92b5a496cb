"""The networks of the harm study: measures against loops over hand-made answers, and a small study from end to end."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t
from shell import shell

from noisybench.data.source import source_from_arrays
from noisybench.ground.arrays import Floats
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.statistics.lookup_table import symmetric_matrix
from noisybench.studies.claims import hypotheses_of
from noisybench.studies.harm import PRESETS, TABLES, harm, harm_findings, measure_harm
from noisybench.studies.harm_measured import measured_records, unit_errors
from noisybench.studies.harm_networks import (
    failures_of,
    grid_cells,
    harm_table,
    over_draws,
    paradox_table,
    treatment_table,
)
from noisybench.studies.harm_runs import Answered, HarmGrid, Spectrum, flagged_shares
from noisybench.studies.hypotheses import Effect
from noisybench.studies.results import StudyResults, grid_as_json, results_of, write_results
from noisybench.variants.building import build_variant

K = 3
GRID = HarmGrid(
    frequencies=(1, 3),
    units=2,
    siblings=2,
    rates=(0.4,),
    draws=(0, 1),
    epochs=2,
    treatments=("cross_entropy", "label_smoothing .4"),
    detectors=("aum",),
)


CLAIMED = replace(
    GRID,
    frequencies=(1, 2, 16),
    units=4,
    draws=(0, 1, 2),
    treatments=("cross_entropy", "backward_correction, true"),
)
"""A grid of which claims can be measured."""


def made() -> Spectrum:
    """Two units of one copy, two of three, and two siblings of each."""
    unit = np.array([0, 1, 2, 2, 2, 3, 3, 3])
    labels, tested = np.array([0, 1, 2, 0])[unit], np.repeat(np.arange(4), 2)
    source = source_from_arrays(
        "made",
        np.zeros((8, 1), dtype=np.float32),
        labels,
        clean=labels,
        test_inputs=np.zeros((8, 1), dtype=np.float32),
        test_labels=np.array([0, 1, 2, 0])[tested],
        class_names=list("abc"),
        marks={"unit": unit, "frequency": np.array([1, 1, 3, 3])[unit]},
        test_marks={"unit": tested, "frequency": np.array([1, 1, 3, 3])[tested]},
    )
    return Spectrum(source, {rate: build_variant(source, Symmetric(rate), mode="bernoulli") for rate in (0.0, 0.4)})


def answered(draw: int, rate: float, treatment: str, path: Path) -> Answered:
    rng = np.random.default_rng([draw, round(10 * rate), len(treatment)])
    siblings, samples = (rng.dirichlet(np.ones(K), size=8) for _ in range(2))
    return Answered(draw, rate, treatment, path, siblings, samples)


def results_from(spectra: dict[int, Spectrum], answers: list[Answered]) -> StudyResults:
    return results_of("harm", GRID, [*measured_records(GRID, spectra, answers)])


def test_tables_equal_loops_over_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Harm, gain, shares, weights and disparity of hand-made answers, one unit and one draw at a time."""
    spectra = {draw: made() for draw in GRID.draws}
    answers = [answered(draw, 0.0, "cross_entropy", tmp_path) for draw in GRID.draws]
    answers += [answered(draw, 0.4, name, tmp_path) for draw in GRID.draws for name in GRID.treatments]

    def error(one: Answered, unit: int, *, decided: bool) -> float:
        rows, right = one.siblings[2 * unit : 2 * unit + 2], [0, 1, 2, 0][unit]
        return float(np.mean([row.argmax() != right if decided else 1 - row[right] for row in rows]))

    def mean(units: tuple[int, ...], what: str, draw: int, *, decided: bool) -> float:
        of = {(one.draw, one.rate, one.treatment): one for one in answers}
        clean, learnt = of[draw, 0.0, "cross_entropy"], of[draw, 0.4, "cross_entropy"]
        mine = of[draw, 0.4, "label_smoothing .4"]
        each = {"error": [], "harm": [], "gain": [], "worse": [], "better": []}  # type: dict[str, list[float]]
        for unit in units:
            own, right, before = (error(one, unit, decided=decided) for one in (mine, clean, learnt))
            for name, value in (("error", own), ("harm", own - right), ("gain", before - own)):
                each[name].append(value)
            each["worse"].append(own > before)
            each["better"].append(own < before)
        return float(np.mean(each[what]))

    class Finished:
        history = {"mislabeled_fit": 0.5, "clean_fit": 1.0}  # noqa: RUF012 - nobody writes there

    monkeypatch.setattr("noisybench.studies.harm_measured.read_run", lambda _: Finished())
    monkeypatch.setattr("noisybench.studies.harm_measured.flags_of", lambda *_: [])
    results = results_from(spectra, answers)
    cells = grid_cells(GRID, results)
    records = {(one["treatment"], one["copies"]): one for one in harm_table(GRID, results, cells).records}
    for copies, units in ((1, (0, 1)), (3, (2, 3))):
        for name in ("error", "harm", "gain", "worse", "better"):
            for ending, decided in (("", True), ("_drawn", False)):
                by_hand = np.mean([mean(units, name, draw, decided=decided) for draw in GRID.draws])
                assert records["label_smoothing .4", copies][f"{name}{ending}"] == pytest.approx(by_hand)
        assert records["cross_entropy", copies]["gain"] == 0
        assert records["(lookup table)", copies]["harm_drawn"] == pytest.approx(0.4)

    fitted = []
    for draw in GRID.draws:
        one, variant = answered(draw, 0.4, "cross_entropy", tmp_path), spectra[draw].variants[0.4]
        wrong = [i for i in range(2, 8) if variant.labels[i] != variant.clean[i]]
        fitted.append(np.mean([one.samples[i].argmax() == variant.labels[i] for i in wrong]))
    assert records["cross_entropy", 3]["wrong_fitted"] == pytest.approx(np.mean(fitted))

    line = treatment_table(GRID, results, cells).records[1]
    gains = [[mean(units, "gain", draw, decided=True) for draw in GRID.draws] for units in ((0, 1), (2, 3))]
    harms = [[mean(units, "harm", draw, decided=False) for draw in GRID.draws] for units in ((0, 1), (2, 3))]
    assert line["disparity"] == pytest.approx(np.mean(gains[1]) - np.mean(gains[0]))
    assert line["weighted_harm_drawn"] == pytest.approx(np.mean(harms[0]) / 4 + np.mean(harms[1]) * 3 / 4)
    assert (line["mislabeled_fit"], line["draws"]) == (0.5, 2)

    lost = [one for one in answers if one.treatment == "cross_entropy"]
    failed = Answered(0, 0.4, "label_smoothing .4", None, np.zeros((0, K)), np.zeros((0, K)), "diverged")
    without = results_from(spectra, [*lost, failed])
    of_failed = treatment_table(GRID, without, grid_cells(GRID, without))
    assert of_failed.records[1].keys() == line.keys()
    assert (of_failed.records[1]["draws"], of_failed.records[1]["weighted_harm"]) == (0, None)
    assert [*failures_of(without)] == ["label_smoothing .4 at rate 0.4 could not be trained in 1 draw: diverged."]

    found = paradox_table(GRID, results, cells).records[0]
    inverse = np.linalg.inv(symmetric_matrix(0.4, K))
    by_draw = []
    for draw in GRID.draws:
        one = answered(draw, 0.4, "cross_entropy", tmp_path)
        given = spectra[draw].variants[0.4].labels[:2]
        by_draw.append(np.mean([sum(inverse[y, k] * (1 - row[k]) for k in range(K)) for row, y in zip(one.samples, given, strict=False)]))  # fmt: skip
    assert found["corrected"] == pytest.approx(np.mean(by_draw))


def hand_made() -> list[dict[str, Any]]:
    """Errors of every unit of each training, as the records of a study."""
    rng = np.random.default_rng(3)
    told = []
    for draw in CLAIMED.draws:
        for rate, name in ((0.0, "cross_entropy"), *((0.4, name) for name in CLAIMED.treatments)):
            for unit, copies in enumerate(np.repeat(CLAIMED.frequencies, CLAIMED.units)):
                errors = {"decided": float(rng.integers(0, 3)) / 2, "drawn": float(rng.random())}
                about = {"draw": draw, "rate": rate, "treatment": name, "unit": unit, "copies": int(copies)}
                told.append({"record": "unit", **about, **errors})
    return told


def test_claims_equal_loops_over_units_and_draws() -> None:
    """Harm of the most frequent units against the rarest, and where a correction errs more, draw by draw."""
    records = hand_made()
    errors = {(one["draw"], one["rate"], one["treatment"], one["unit"]): one for one in records}
    found = measure_harm(results_of("harm", CLAIMED, records))

    def harm_of(draw: int, unit: int, kind: str) -> float:
        noisy, clean = (errors[draw, rate, "cross_entropy", unit][kind] for rate in (0.4, 0.0))
        return float(noisy - clean)

    def mean_harm(draw: int, copies: int, kind: str) -> float:
        units = [one["unit"] for one in records if one["copies"] == copies]
        return float(np.mean([harm_of(draw, unit, kind) for unit in dict.fromkeys(units)]))

    for name, kind, weights in (
        ("frequent_harmed_more", "drawn", (16 / 19, 1 / 19)),
        ("frequent_harmed_more_decided", "decided", (16 / 19, 1 / 19)),
        ("frequent_harmed_more_unweighted", "drawn", (1, 1)),
    ):
        by_hand = [weights[0] * mean_harm(draw, 16, kind) - weights[1] * mean_harm(draw, 1, kind) for draw in range(3)]
        low, high = t.interval(0.95, 2, loc=np.mean(by_hand), scale=np.std(by_hand, ddof=1) / np.sqrt(3))
        one = found[name]
        assert isinstance(one, Effect)
        assert (one.value, one.low, one.high) == pytest.approx((np.mean(by_hand), max(low, -1), min(high, 1)))

    def worse(draw: int, copies: tuple[int, ...], kind: str) -> float:
        units = dict.fromkeys(one["unit"] for one in records if one["copies"] in copies)
        pairs = [[errors[draw, 0.4, name, unit][kind] for name in CLAIMED.treatments] for unit in units]
        return float(np.mean([corrected > plain for plain, corrected in pairs]))

    for name, kind in (("correction_fails_at_small_l", "decided"), ("correction_fails_at_small_l_drawn", "drawn")):
        one = found[name]
        assert isinstance(one, Effect)
        by_hand = [worse(draw, (1, 2), kind) - worse(draw, (16,), kind) for draw in range(3)]
        assert one.value == pytest.approx(np.mean(by_hand))
        assert one.units == 3
    assert found["peer_loss_fails_at_small_l"] == "the grid leaves out treatment 'peer_loss'"
    assert {*found} == {one.name for one in hypotheses_of("harm")}
    lost = [one for one in records if (one["draw"], one["treatment"]) != (1, "backward_correction, true")]
    left = measure_harm(results_of("harm", CLAIMED, lost))["correction_fails_at_small_l"]
    assert isinstance(left, Effect)
    assert (left.units, left.of.endswith("; 1 of 3 draws have no value")) == (2, True)
    rare = {"record": "bucket", "draw": 0, "rate": 0.4, "treatment": "cross_entropy", "copies": 1}
    for fitted, little in ((0.2, True), (0.9, False)):
        few = [*records, {**rare, "wrong_fitted": fitted}, {**rare, "copies": 16, "wrong_fitted": 0.0}]
        told = measure_harm(results_of("harm", CLAIMED, few))
        assert {*told} == {*found}
        assert ("nothing was memorized" in str(told["frequent_harmed_more"])) is little
    none = [one for one in records if one["treatment"] == "cross_entropy"]
    why = measure_harm(results_of("harm", CLAIMED, none))["correction_fails_at_small_l"]
    assert why == "backward_correction, true could not be trained"
    narrow = replace(CLAIMED, frequencies=(3, 5))
    assert measure_harm(results_of("harm", narrow, []))["frequent_harmed_more"] == (
        "frequencies 3, 5 have no upper and lower third"
    )


def test_errors_of_tied_answers_are_shared() -> None:
    answers = np.array([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6]])
    errors = unit_errors(answers, np.array([0, 0]), np.array([0, 0]))
    assert errors.decided.tolist() == [0.75]
    assert errors.drawn.tolist() == pytest.approx([0.65])


def test_intervals_are_student_s() -> None:
    values = [0.1, 0.2, 0.6]
    low, high = t.interval(0.95, 2, loc=np.mean(values), scale=np.std(values, ddof=1) / np.sqrt(3))
    assert over_draws(values) == pytest.approx((0.3, low, high))
    assert over_draws([*values, np.nan], 0.0)[1] == 0
    assert np.isnan(over_draws([0.5])[1:]).all()
    assert np.isnan(over_draws([])).all()


@pytest.mark.parametrize("suspicion", [[3.0, 1.0, 2.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0, 1.0], [5.0, 4.0, 3.0, 2.0, 1.0]])
def test_flags_are_the_expectation_over_orders(suspicion: list[float]) -> None:
    """Ties are broken at random; here by many orders."""
    values: Floats = np.array(suspicion)
    rng = np.random.default_rng(0)
    for count in range(1, 6):
        flagged = np.zeros(5)
        for _ in range(2_000):
            order = rng.permutation(5)
            flagged[order[np.argsort(-values[order], kind="stable")[:count]]] += 1 / 2_000
        assert flagged_shares(values, count) == pytest.approx(flagged, abs=0.05)


def test_a_study_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished trainings are not repeated, a lost one is made again with the same findings, and the picture is small."""
    monkeypatch.setenv("NOISYBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(PRESETS, "quick", GRID)
    steps: list[int] = []
    first = harm(GRID, tmp_path / "harm", plot=tmp_path / "harm.png", progress=lambda: steps.append(1))
    assert len(steps) == GRID.trainings * GRID.epochs
    assert (tmp_path / "harm.png").stat().st_size < 200_000
    assert first.names == ("verdicts", *(name for name in first.names if name != "verdicts"))
    assert {*first.names} == {*TABLES}
    with monkeypatch.context() as refused:
        refused.setattr("noisybench.runs.training_task.train", lambda *_, **__: pytest.fail("trained again"))
        again = shell("study", "harm", "--out", tmp_path / "harm", "--preset", "quick", "--workers", "1", "--json")
    told = json.loads(first.to_json())
    assert json.loads(again.out) == told
    lost = sorted((tmp_path / "harm").glob("*/*/seed-1"))
    assert len(lost) == 3
    shutil.rmtree(lost[0])
    assert json.loads(harm(GRID, tmp_path / "harm").to_json()) == told
    assert {one["detector"] for one in told["detectors"]} == {"aum"}
    some = ("--remake", "--format", "csv", "--table", "detectors")
    of_detectors = shell("study", "harm", "--out", tmp_path / "harm", "--preset", "quick", *some)
    assert of_detectors.code == 0, of_detectors.err
    assert of_detectors.out.splitlines()[0].startswith("detector,rate,copies,recall,recall_low")
    assert len(of_detectors.out.splitlines()) == 3
    assert all(0 <= one["harm"] + 1 <= 2 for one in told["networks"])


def test_findings_and_forecasts_need_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--remake`` reads the results alone; ``--dry-run`` writes nothing; a grid may come from a file."""
    results = results_of("harm", CLAIMED, [{"record": "setting", "classes": 10}, *hand_made()])
    write_results(results, tmp_path / "harm")
    made = shell("study", "harm", "--out", tmp_path / "harm", "--remake", "--plot", tmp_path / "a.png", "--json")
    assert made.code == 0, made.err
    assert json.loads(made.out) == json.loads(harm_findings(results).to_json())
    assert (tmp_path / "a.png").is_file()
    monkeypatch.setattr("noisybench.studies.forecast._tried", lambda _: {"training": 2.0})
    (tmp_path / "grid.json").write_text(json.dumps(grid_as_json(GRID)))
    dry = shell(
        "study", "harm", "--out", tmp_path / "new", "--grid", tmp_path / "grid.json", "--dry-run", "--workers", "1"
    )
    words = "6 runs, 0 of them finished; the others take about 24 s with 1 at once, by a few epochs of one of each kind"
    assert (dry.code, dry.out.strip()) == (0, words)
    assert not (tmp_path / "new").exists()


def test_the_command_refuses_what_is_not_there(tmp_path: Path) -> None:
    for arguments, words in (
        (("--preset", "quik"), "no preset is called 'quik'; did you mean 'quick'?"),
        (("--table", "bonds"), "no table of this study is called 'bonds'; did you mean 'bounds'?"),
        (("--format", "xml"), "no format is called 'xml'"),
        (("--plot", tmp_path / "a.gif"), "is no .png, .svg, .pdf file"),
    ):
        result = shell("study", "harm", "--out", tmp_path / "harm", *arguments)
        assert (result.code, result.out) == (2, "")
        assert words in result.err
    assert not (tmp_path / "harm").exists()


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(UnknownName, match="no preset is called 'quik'; did you mean 'quick'?"):
        harm("quik")
    with pytest.raises(UnknownName, match="no treatment is called 'elrr'; did you mean 'elr'?"):
        HarmGrid(treatments=("cross_entropy", "elrr"))
    with pytest.raises(BadUsage, match="treatments are compared with 'cross_entropy', got elr; add it"):
        HarmGrid(treatments=("elr",))
    with pytest.raises(BadUsage, match="rates of the grid must be ascending, got 0.4, 0.2"):
        HarmGrid(rates=(0.4, 0.2))
    for name, value in (("treatments", ("cross_entropy",) * 2), ("detectors", ()), ("frequencies", 4), ("options", 3)):
        with pytest.raises(BadUsage, match=f"^{name} of "):
            HarmGrid(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(
        BadUsage,
        match="preset is the int '3'; say quick, standard, exact, claims, full, a .json file, or give a HarmGrid",
    ):
        harm(3)  # type: ignore[arg-type]
