"""What the runs of the atlas say, as flat records: every number that its tables, pictures and verdicts need."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from noisybench.data.inputs import IMAGE_DIMENSIONS, read_rows
from noisybench.ground.arrays import Bools, Floats, Indices, Labels
from noisybench.ground.lookup import find, is_ours
from noisybench.memorization.heads import SampleCounts, WrongCounts
from noisybench.studies.atlas_grid import AtlasGrid
from noisybench.studies.atlas_runs import AtlasFound
from noisybench.studies.study import plain
from noisybench.variants.variant import Variant

ESTIMANDS: Mapping[str, str] = {
    "memorization": "memorization of the given label",
    "clean_damage": "clean damage",
    "label_swap": "label swap",
}
"""Field → name of each estimand."""


def atlas_records_of(grid: AtlasGrid, found: AtlasFound) -> list[dict[str, Any]]:
    """Records of sets, columns, scores, wrong labels of people, and images of the extremes."""
    records: list[dict[str, Any]] = []
    for name, variant in found.human.variants.items():
        records.append(_set_record(name, variant, found.human.contested[name]))
    told = column_estimands(found.of_wrong)
    for number, own in enumerate(found.records):
        first, *scores = own
        heads = {name: float(values[number]) for name, values in told.items()}
        tested = {
            "test_accuracy" if version == "published" else f"test_accuracy_{version}": float(values[number])
            for version, values in found.accuracies.items()
        }
        records += [plain({**first, **heads, **tested}), *scores]
    for row, (name, variant) in enumerate(found.human.variants.items()):
        samples = sample_estimands(found.of_samples, row)
        records += _sample_records(name, variant, found.human.contested[name], samples)
        records += _images(grid, found, name, samples)
    return records


def _set_record(name: str, variant: Variant, contested: Bools) -> dict[str, Any]:
    known, wrong = variant.class_known, _wrong_of(variant)
    noise = variant.provenance.noise
    injected = is_ours("noises", noise) and not find("noises", noise).found
    return {
        "record": "set", "set": name, "variant_id": variant.provenance.variant_id, "samples": len(variant.labels),
        "known": int(known.sum()), "wrong": len(wrong), "contested_samples": int(contested.sum()),
        "classes": variant.num_classes, "source": variant.provenance.source, "noise": noise, "injected": injected,
    }  # fmt: skip


def column_estimands(counts: WrongCounts) -> dict[str, Floats]:
    """Mean of each estimand over the wrong labels of each column, and its standard error over the heads: shape (c,) each.

    The mean is that of both arms: pairs of a head and a wrong label, all of equal weight, which is the mean over the wrong
    labels where each is left out equally often. The error is the standard deviation over heads of what one head says,
    divided by the root of their number; subsets that are balanced vary together less, so it is rather too large.
    """
    arms = {
        "memorization": ((counts.given_in, counts.seen, 1), (counts.given_out, counts.unseen, -1)),
        "clean_damage": ((counts.right_out, counts.unseen, 1), (counts.right_in, counts.seen, -1)),
        "label_swap": ((counts.swapped, counts.seen, 1), (counts.right_in, counts.seen, -1)),
    }
    found: dict[str, Floats] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, parts in arms.items():
            found[name] = np.sum([sign * (hits.sum(0) / of.sum(0)) for hits, of, sign in parts], axis=0)
            each = np.sum([sign * (hits / of) for hits, of, sign in parts], axis=0)
            found[f"{name}_se"] = np.std(each, axis=0, ddof=1) / np.sqrt(len(each))
    return found


def sample_estimands(counts: SampleCounts, row: int) -> dict[str, Floats]:
    """Each estimand of every sample of a human column, and its standard error, shape (n,) each; of wrong labels alone.

    The errors are binomial, each share taken as (hits + 1/2) / (heads + 1), so that none is zero where all heads agree. That
    of the label swap is of paired differences: the same heads are asked twice, and no head that says the right class stops
    saying it when the label is put right, so that the difference is one share.
    """
    n_in = counts.heads_in
    n_out = counts.heads - n_in

    def error(hits: Labels, of: Labels) -> Floats:
        share = (hits + 0.5) / (of + 1)
        found: Floats = np.sqrt(share * (1 - share) / of)
        return found

    given_in, given_out, right_in, right_out, swapped = (
        getattr(counts, name)[row] for name in ("given_in", "given_out", "right_in", "right_out", "swapped")
    )
    gained = np.maximum(swapped - right_in, 0)  # below 0 only of right labels, which are not swapped
    return {
        "memorization": given_in / n_in - given_out / n_out,
        "memorization_se": np.hypot(error(given_in, n_in), error(given_out, n_out)),
        "clean_damage": right_out / n_out - right_in / n_in,
        "clean_damage_se": np.hypot(error(right_in, n_in), error(right_out, n_out)),
        "label_swap": gained / n_in,
        "label_swap_se": error(gained, n_in),
    }


def _sample_records(
    name: str, variant: Variant, contested: Bools, samples: Mapping[str, Floats]
) -> Iterator[dict[str, Any]]:
    """Every wrong label of a human column whose right class is known."""
    names = variant.class_names
    for sample in _wrong_of(variant):
        told = {field: float(values[sample]) for field, values in samples.items()}
        yield {
            "record": "sample", "set": name, "sample": int(sample), "given": names[variant.labels[sample]],
            "clean": names[variant.clean[sample]], "contested": bool(contested[sample]), **told,
        }  # fmt: skip


def _wrong_of(variant: Variant) -> Indices:
    return np.flatnonzero(variant.mislabeled & variant.class_known)


def _images(grid: AtlasGrid, found: AtlasFound, name: str, samples: Mapping[str, Floats]) -> Iterator[dict[str, Any]]:
    """The wrong labels of a column with the largest value of each estimand, with their pixels; nothing of other inputs."""
    source, variant = found.human.source, found.human.variants[name]
    if source.inputs is None or source.inputs.ndim != IMAGE_DIMENSIONS or source.inputs.dtype != np.uint8:
        return
    wrong = _wrong_of(variant)
    for estimand in ESTIMANDS:
        order = np.lexsort([wrong, samples[f"{estimand}_se"][wrong], -samples[estimand][wrong]])
        for place, sample in enumerate(wrong[order[: grid.shown]]):
            pixels = np.ascontiguousarray(read_rows(source.inputs, slice(int(sample), int(sample) + 1))[0])
            yield {
                "record": "image", "set": name, "estimand": estimand, "place": place, "sample": int(sample),
                "given": variant.class_names[int(variant.labels[sample])],
                "clean": variant.class_names[int(variant.clean[sample])],
                "contested": bool(found.human.contested[name][sample]), "value": float(samples[estimand][sample]),
                "error": float(samples[f"{estimand}_se"][sample]), "shape": ",".join(map(str, pixels.shape)),
                "pixels": base64.b64encode(pixels.tobytes()).decode(),
            }  # fmt: skip
