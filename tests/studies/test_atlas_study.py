"""The atlas: a small one from end to end against pairs, permutations and loops, and its verdicts from made-up results."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shell import shell

from noisybench.data.extraction import features_of
from noisybench.data.loading import load_source
from noisybench.ground.engines.shards import Shard
from noisybench.ground.errors import BadData, BadUsage, Unfinished, UnknownName
from noisybench.ground.lookup import find
from noisybench.runs.frozen_scores import LabelScores, prepare_features, score_labels
from noisybench.statistics.replication import holm
from noisybench.studies import atlas_runs
from noisybench.studies.atlas import TABLES, atlas, atlas_findings, draw_atlas_extremes
from noisybench.studies.atlas_forecast import forecast_atlas
from noisybench.studies.atlas_grid import AtlasGrid
from noisybench.studies.atlas_labels import read_labels
from noisybench.studies.atlas_places import AtlasReadings, expected_side, permutation_p, twins_needed
from noisybench.studies.results import RESULTS, StudyResults, read_results, results_of
from noisybench.training.machine import Machine
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, write_variant

CPU = Machine("cpu")
GRID = AtlasGrid(
    source="digits", sets={"near": "neighbourhood(rate=0.15)", "random": "symmetric(rate=0.2)"}, limit=150, tests=60,
    features="pca", coordinate_features="input", neighbours=5, bins=3, twins=4, scored=1, again=1, detectors="ridge", models=10,
    components=None, shown=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small atlas."""
    out = tmp_path_factory.mktemp("atlas")
    atlas(GRID, out / "study", plot=out / "p.png", sheet=out / "s.png", machine=CPU)
    return out / "study"


def read(folder: Path) -> StudyResults:
    return read_results(folder, "atlas")


def test_every_table_is_told_and_pictures_are_drawn(done: Path) -> None:
    findings = atlas_findings(read(done))
    assert sorted(findings.names) == sorted(TABLES)
    for name in TABLES:
        assert findings.to_records(name) or name == "sensitivity"  # nothing is contested here
    assert "Fewer than 20 twins" in findings.about
    assert "No person gave the labels of " in findings.about
    assert "No person" not in atlas_findings(made(0.1)).about
    assert all((done.parent / name).stat().st_size > 10_000 for name in ("p.png", "s.png"))
    told = shell("study", "atlas", "--remake", "--out", done, "--format", "csv", "--table", "estimands")
    assert told.code == 0
    assert told.out.splitlines()[0].startswith("set,truth,estimand,human,human_se")


def test_twins_keep_what_they_are_matched_on(done: Path) -> None:
    """Counts of every cell; and, within difficulty, the difficulty coordinate too, to a bin."""
    human = read_labels(GRID)
    found = AtlasReadings(read(done))
    for name, variant in human.variants.items():
        assert found.human(name, "published", "difficulty") == pytest.approx(
            found.values(name, "published", "difficulty", "difficulty"), abs=0.08
        )
        columns = [one for one in found.columns if one["set"] == name]
        assert {one["wrong"] for one in columns} == {int(variant.mislabeled.sum())}
        assert [one["kind"] for one in columns] == ["human"] + ["class"] * 4 + ["difficulty"] * 4


def test_scores_are_those_of_a_run_from_features(done: Path) -> None:
    """AUROC over all pairs, of the scores that the column has by itself; only so many twins are scored."""
    human = read_labels(GRID)
    found = AtlasReadings(read(done))
    variant = human.variants["near"]
    prepared = prepare_features(features_of(human.source, "pca"), classes=10, like=variant)
    scores = score_labels(prepared, variant, detectors="ridge").scores["ridge"]
    wrong, right = scores[variant.mislabeled], scores[~variant.mislabeled]
    area = ((wrong[:, None] > right).mean() + (wrong[:, None] >= right).mean()) / 2
    assert found.human("near", "published", "ridge.auroc") == pytest.approx(area)
    assert len(found.values("near", "published", "class", "ridge.auroc")) == GRID.scored
    assert len(found.values("near", "published", "class", "memorization")) == GRID.twins


def test_a_stopped_atlas_ends_with_the_same_bytes(done: Path) -> None:
    """Parts that are missing are made again, here by two shards, and nothing else is."""
    whole = (done / RESULTS).read_bytes()
    parts = sorted(done.glob("parts/*/*/*"))
    kept = parts[1].stat().st_mtime_ns
    for path in (parts[0], *(done / "parts").glob("*/columns/0000[2-5]*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (done / RESULTS).unlink()
    with pytest.raises(Unfinished, match=r"still missing of other shards"):
        atlas(GRID, done, machine=replace(CPU, shard=Shard(1, 2)))
    atlas(GRID, done, machine=replace(CPU, shard=Shard(2, 2)))
    assert (done / RESULTS).read_bytes() == whole
    assert parts[1].stat().st_mtime_ns == kept


def variants_in(folder: Path) -> tuple[str, str]:
    """Two columns of one source beside each other, the first with contested samples."""
    source = load_source("digits", limit=120)
    first = build_variant(source, find("noises", "symmetric")(rate=0.2))
    contested = np.flatnonzero(first.mislabeled)[:5]
    marked = replace(first, marks={"contested": np.isin(np.arange(120), contested)})
    write_variant(marked, folder / "one")
    write_variant(build_variant(source, find("noises", "symmetric")(rate=0.3), seed=1), folder / "two")
    return str(folder / "one"), str(folder / "two")


def quick_scores(_: object, variant: Variant, **__: object) -> LabelScores:
    """Of one detector that costs nothing: the label itself."""
    held_out = np.zeros((len(variant.labels), 10), dtype=np.float32)
    return LabelScores({"label": variant.labels / 10}, {"label": "detector"}, held_out, variant.labels / 10)


def test_variants_are_placed_and_again_without_the_contested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The contested are nobody's errors then, in twins as well; of a column that marks none there is nothing to repeat."""
    monkeypatch.setattr(atlas_runs, "score_labels", quick_scores)
    folders = variants_in(tmp_path)
    few = replace(GRID, variants=folders, twins=2, scored=1, again=1)
    findings = atlas(few, tmp_path / "out", machine=CPU)
    columns = findings.to_records("columns")
    wrong = {(one["set"], one["truth"]): {other["wrong"] for other in columns if (other["set"], other["truth"]) == (one["set"], one["truth"])} for one in columns}  # fmt: skip
    assert wrong == {("one", "published"): {24}, ("one", "uncontested"): {19}, ("two", "published"): {36}}
    rows = findings.to_records("sensitivity")
    assert {(row["set"], row["changed"]) for row in rows} == {("one", "contested samples left out")}
    again = {(one["draw"], one["kind"]) for one in read(tmp_path / "out").of("score") if one["truth"] == "uncontested"}
    assert again == {(0, "human"), (0, "class"), (0, "difficulty")}  # those that were asked, judged again
    kept = replace(few, contested="keep")
    assert {one.truth for one in read_labels(kept).columns(kept)} == {"published"}
    told = shell("study", "atlas", *folders, "--limit", 5, "--out", tmp_path / "none")
    assert (told.code, "variants are as they were built" in told.err) == (2, True)


def made(shift: float, *, twins: int = 119) -> StudyResults:
    """Results in which people's values lie so many standard deviations above those of their twins, in every set."""
    random = np.random.default_rng(0)
    grid = replace(GRID, twins=twins, scored=twins)
    records: list[dict[str, Any]] = []
    for name in grid.sets:
        records.append({"record": "set", "set": name, "samples": 100, "known": 100, "wrong": 20, "contested_samples": 0, "classes": 10, "source": "made", "variant_id": name})  # fmt: skip
        for column in grid.columns_of({name: False}):
            z = shift if column.kind == "human" else random.normal()
            fields = ("difficulty", "coherence", "memorization", "clean_damage", "label_swap", "test_accuracy")
            records.append({"record": "column", **column.key, "wrong": 20, "known": 100, **dict.fromkeys(fields, 0.5 + 0.01 * z), "memorization_se": 0.1, "clean_damage_se": 0.1, "label_swap_se": 0.1})  # fmt: skip
            records.append({"record": "score", **column.key, "detector": "knn", "role": "detector", "auroc": 0.5 + 0.01 * z, "auroc_within_given": 0.5})  # fmt: skip
            records.append({"record": "score", **column.key, "detector": "class", "role": "control", "auroc": 0.1, "auroc_within_given": 0.5})  # fmt: skip
    return results_of("atlas", grid, records)


def test_verdicts_follow_the_rule_that_stood_before() -> None:
    """Outside of every twin on the claimed side it holds, on the other it fails, within it is undecided."""
    for shift, above, below in ((8.0, True, False), (0.1, None, None), (-8.0, False, True)):
        verdicts = {one.claim: one.holds for one in atlas_findings(made(shift)).verdicts}
        assert verdicts["Human errors fall on harder samples than class × target twins"] is above
        assert verdicts["Detectors find human errors less well than twins matched on difficulty too"] is below
        assert verdicts["Human errors cost heads more test accuracy than class × target twins"] is below
    few = {one.claim: one.holds for one in atlas_findings(made(-8.0, twins=20)).verdicts}
    assert {claim for claim, holds in few.items() if holds is not None} == {
        "Detectors find human errors less well than twins matched on class × target",
        "Detectors find human errors less well than twins matched on difficulty too",
    }


def test_placement_is_corrected_within_each_family() -> None:
    """Holm's over six quantities of heads and coordinates, each of detection alone, and over detectors; controls are in none."""
    findings = atlas_findings(made(2.3))
    rows = [one for one in findings.to_records("placement") if one["set"] == "near"]
    for family, count in (("places", 6), ("auroc", 1), ("auroc_within_given", 1)):
        own = [one for one in rows if one["family"] == family]
        assert len(own) == count
        assert [one["class_holm"] for one in own] == pytest.approx(holm([one["class_p"] for one in own]))
    assert "Family 'places': 6 quantities, 119 twins, least p 0.008;" in findings.table("placement").caption
    few = atlas_findings(made(2.3, twins=20)).table("placement").caption
    assert "so that none can be significant after correction: that takes 119" in few
    assert "1 quantity, 20 twins, least p 0.048;" in few
    detectors = {one["detector"]: one for one in findings.to_records("detectors")}
    assert detectors["class"].get("holm_class") is None
    assert detectors["knn"]["explained"] + detectors["knn"]["left"] == pytest.approx(
        detectors["knn"]["auroc_class"] - detectors["knn"]["auroc"]
    )


def test_nothing_is_placed_among_twins_of_which_one_is_unknown(done: Path) -> None:
    """The known twins are no draws of the permutation: a p-value over them alone would be of other labels."""
    results = read(done)

    def less(one: Mapping[str, Any]) -> dict[str, Any]:
        twin = (one.get("set"), one.get("kind"), one.get("draw")) == ("near", "class", 0)
        left = {"column": "memorization", "score": "auroc_within_given"}.get(one["record"]) if twin else None
        return {name: value for name, value in one.items() if name != left}

    lacking = replace(results, records=tuple(map(less, results.records)))
    found = AtlasReadings(lacking)
    kinds = {
        kind: {one.quantity for one in found.places("near", "published", kind)} for kind in ("class", "difficulty")
    }
    assert kinds["difficulty"] - kinds["class"] == {"memorization", "auroc_within_given"}
    rows = {(row["set"], row["quantity"]): row for row in atlas_findings(lacking).to_records("placement")}
    assert "class_p" not in rows["near", "memorization"]
    assert rows["near", "memorization"]["difficulty_twins"] == GRID.twins


def test_permutation_p_is_the_share_of_values_at_least_as_extreme() -> None:
    """By a loop; and a valid p-value: of exchangeable values it is at most α with chance α at most."""
    random = np.random.default_rng(0)
    for _ in range(50):
        values = random.integers(0, 6, 20).astype(float)
        above = sum(value >= values[0] for value in values)  # people's own among them
        below = sum(value <= values[0] for value in values)
        assert permutation_p(values[0], values[1:], 1) == above / 20
        assert permutation_p(values[0], values[1:], -1) == below / 20
    drawn = random.normal(size=(4_000, 40))
    found = np.array([permutation_p(row[0], row[1:], 1) for row in drawn])
    assert (found <= 0.05).mean() < 0.06
    assert np.isnan(permutation_p(np.nan, np.zeros(3), 1))
    assert np.isnan(permutation_p(1.0, np.zeros(0), 1))
    assert [twins_needed(count) for count in (1, 6)] == [19, 119]
    sides = {
        "difficulty": 1,
        "label_swap": 1,
        "test_accuracy": -1,
        "auroc": -1,
        "knn.auroc": -1,
        "knn.auroc_within_given": -1,
    }
    assert {name: expected_side(name) for name in sides} == sides


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scored": 5, "twins": 4}, "scored of the grid is 5, and there are 4 twins"),
        ({"models": 15}, "expected a multiple of 10"),
        ({"coordinate_features": "pca"}, "coordinates must be in others"),
        ({"lower_is_harder": True}, "give difficulty, or leave it out"),
        ({"sets": {}}, "names no label column"),
        ({"contested": "maybe"}, "contested"),
        ({"labels": "human.pt"}, "no set of the grid is of that"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_run(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadUsage, match=message):
        replace(GRID, **fields)


def test_columns_and_files_that_cannot_be_placed_are_refused_before_features(tmp_path: Path) -> None:
    one, two = variants_in(tmp_path)
    with pytest.raises(BadUsage, match="a column that is given twice"):
        read_labels(replace(GRID, variants=(one, one)))
    other = load_source("digits", limit=100)
    write_variant(build_variant(other, find("noises", "symmetric")(rate=0.2)), tmp_path / "other")
    with pytest.raises(BadUsage, match="got 2 sources"):
        read_labels(replace(GRID, variants=(one, str(tmp_path / "other"))))
    write_variant(build_variant(other, find("noises", "symmetric")(rate=0.0)), tmp_path / "none")
    with pytest.raises(BadUsage, match="no label of 'none' is known to be wrong with its right class known"):
        read_labels(replace(GRID, variants=(str(tmp_path / "none"),)))
    refused: tuple[tuple[dict[str, Any], type[Exception], str], ...] = (
        ({"verdicts": "none.json"}, BadUsage, "verdicts are on the test sets of"),
        ({"difficulty": str(tmp_path / "none.npy")}, BadData, "none.npy"),
        ({"features": str(tmp_path / "none.npy")}, BadData, "none.npy"),
        ({"features": "pka"}, UnknownName, "pka"),
        ({"detectors": "ridge,no_such"}, UnknownName, "no_such"),
    )
    studies: tuple[Callable[..., object], ...] = (atlas, forecast_atlas)
    for fields, kind, message in refused:
        asked = replace(GRID, sets={"random": "symmetric(rate=0.2)"}, **fields)
        for study in studies:
            with pytest.raises(kind, match=message):
                study(asked, tmp_path / "o", machine=CPU)
    assert not (tmp_path / "o").exists()  # before features, which may take minutes
    assert isinstance(read_labels(replace(GRID, variants=(one, two))).variants["one"], Variant)


def test_a_sheet_needs_images(done: Path) -> None:
    results = read(done)
    bare = replace(results, records=tuple(one for one in results.records if one["record"] != "image"))
    with pytest.raises(BadData, match="has no images"):
        draw_atlas_extremes(bare, done.parent / "none.png")


def test_the_forecast_counts_tasks_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text(json.dumps({"source": "digits", "sets": {"random": "symmetric(rate=0.2)"}, "limit": 150, "features": "pca", "coordinate_features": "input", "twins": 3, "scored": 1, "models": 20, "detectors": "ridge"}))  # fmt: skip
    told = shell("study", "atlas", "--grid", tmp_path / "grid.json", "--out", tmp_path / "out", "--dry-run")
    assert told.out.startswith("9 runs, 0 of them finished; the others take about")
    assert not (tmp_path / "out").exists()
