"""Finished runs that nobody trained: scores around the mask, histories and memorization, for tables and pages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from noisybench.data.source import Source, source_from_arrays
from noisybench.detection.scoring import Detector, Kind, Scores, Suggestion, scores_path, write_scores
from noisybench.detection.suggesting import suggestion_path, write_suggestion
from noisybench.ground.files import file_name, write_columns
from noisybench.ground.lookup import find, is_ours
from noisybench.memorization.estimate import Memorization, write_memorization
from noisybench.memorization.learner import Learner
from noisybench.runs.folder import finish, keep_variant
from noisybench.runs.record import RunRecord, about_labels
from noisybench.variants.building import build_variant
from noisybench.variants.noise import Noise
from noisybench.variants.variant import Variant

NOISES = (("symmetric", 0.2), ("symmetric", 0.4), ("pair_flip", 0.2))
SKILLS: Mapping[str, float] = {"aum": 2.0, "cumulative_loss": 1.5, "learning_time": 0.7, "entropy": 0.2}
"""Detector → how far its scores of wrong labels lie above the others."""
LEARNER = Learner("mlp", "standard", 8, "abc123", fraction=0.7)


def source_of(n: int, k: int = 3, name: str = "made") -> Source:
    """Classes in turn, of inputs that nobody looks at."""
    labels = np.arange(n) % k
    inputs = np.zeros((n, 1), dtype=np.float32)
    return source_from_arrays(name, inputs, labels, clean=labels, class_names=[f"class {i}" for i in range(k)])


def make_runs(
    folder: Path,
    source: Source,
    *,
    noises: Sequence[tuple[str, float]] = NOISES,
    draws: int = 2,
    seeds: int = 2,
    recipes: Sequence[str] = ("standard", "overfit"),
    objectives: Mapping[str, str] = MappingProxyType({"": "nothing"}),
    skills: Mapping[str, float] = SKILLS,
    epochs: int = 8,
    measured: bool = True,
) -> list[Path]:
    """The folders of finished runs: noises × draws × recipes × objectives (in words → what they know) × seeds."""
    made = []
    generator = np.random.default_rng(0)
    for name, rate in noises:
        noise: type[Noise] = find("noises", name)
        for draw in range(draws):
            variant = build_variant(source, noise(rate), seed=draw)  # type: ignore[call-arg]
            home = folder / variant.name
            keep_variant(variant, home / "variant")
            if measured and draw == 0:
                _measure(home, variant, generator)
            for recipe in recipes:
                for words, knows in objectives.items():
                    by = {"objective": words, "objective_options": {}, "objective_knows": knows} if words else {}
                    for seed in range(seeds):
                        made.append(_run(home, variant, recipe, seed, skills, epochs, generator, by))  # noqa: PERF401
    return made


def _run(
    home: Path,
    variant: Variant,
    recipe: str,
    seed: int,
    skills: Mapping[str, float],
    epochs: int,
    generator: np.random.Generator,
    by: Mapping[str, Any],
) -> Path:
    setup = f"{recipe}{by.get('objective', '')}"
    folder = home / f"mlp-{file_name(setup)}-00000000" / f"seed-{seed}"
    record = RunRecord(
        regime="training",
        features="input",
        **about_labels(variant),
        model="mlp",
        recipe=recipe,
        setup=f"{setup:0<64}",
        trained="abc123",
        epochs=epochs,
        observe="after",
        seed=seed,
        detectors={},
        lr=0.1,
        **by,
        versions={"noisybench": "0.5.0"},
    )
    epoch = np.arange(1.0, epochs + 1)
    part = epoch / epochs
    fits = {
        "epoch": epoch, "train_accuracy": 0.5 + 0.4 * part, "test_accuracy": 0.5 + 0.3 * part,
        "mislabeled_fit": part**3, "clean_fit": np.sqrt(part), "susceptibility": 0.02 * part + 0.001 * seed,
    }  # fmt: skip
    write_columns(fits, folder / "history.parquet")
    for name, skill in skills.items():
        values = skill * variant.mislabeled + generator.normal(size=len(variant.labels))
        write_scores(Scores(name, values, variant.provenance.variant_id), scores_path(folder, name))
        other = (variant.labels + generator.integers(1, variant.num_classes, len(values))) % variant.num_classes
        write_suggestion(Suggestion(name, other, variant.provenance.variant_id), suggestion_path(folder, name))
    kinds: dict[str, Kind] = {name: _kind(name) for name in skills}
    finish(folder, record, {name: name for name in skills}, kinds)
    return folder


def _kind(name: str) -> Kind:
    """What the catalog says of a detector; one that it does not know is a detector."""
    if not is_ours("detectors", name):
        return "detector"
    found: Detector = find("detectors", name)
    return "control" if found.control else "detector"


def _measure(home: Path, variant: Variant, generator: np.random.Generator) -> None:
    n = len(variant.labels)
    values = np.round(generator.random(n) * 0.4 + 0.6 * variant.mislabeled, 2)
    ones, damage = np.ones(n), np.where(variant.known, 0.0, np.nan)
    counts = np.full(n, 50)
    truth = Memorization(
        ones - (ones - values),
        0 * ones,
        ones,
        ones - values,
        ones,
        damage,
        counts,
        counts,
        100,
        LEARNER,
        variant.provenance.variant_id,
    )
    write_memorization(truth, home / "memorization" / "one" / "memorization.parquet")
