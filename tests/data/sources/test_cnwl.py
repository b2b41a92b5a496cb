"""Controlled Noisy Web Labels from small trees in both of their layouts, against what was written to them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from official_layouts import cnwl

from noisybench.data.lazy_inputs import ImageFiles
from noisybench.data.loading import load_source
from noisybench.data.sources._mini_imagenet import CLASS_NAMES, WORDNET
from noisybench.ground.arrays import UNKNOWN, WRONG
from noisybench.ground.errors import BadData, BadUsage
from noisybench.noise.noises.as_found import AsFound
from noisybench.variants.building import build_variant


def expected(name: str, label: int) -> int:
    """What is known of a red image of ``official_layouts.cnwl``, written down once more."""
    if name.startswith("n"):
        return WORDNET.index(name[:9])
    number = int(name[5:], 16)
    return label if number < 5 else WRONG if number < 10 else {10: UNKNOWN, 11: 50, 12: UNKNOWN}[number]


@pytest.mark.parametrize("folders", [False, True])
def test_truth_is_known_as_far_as_people_told(folders: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Of ImageNet all; of the web right, or wrong without the right class; a label nobody was asked about is unknown."""
    red = cnwl(tmp_path, folders=folders)
    source = load_source("cnwl", tmp_path, side="8")
    assert isinstance(source.inputs, ImageFiles)
    names = [Path(name).stem for name in source.inputs.names.to_pylist()]
    order = sorted(red, key=lambda name: (red[name], name)) if folders else list(red)
    assert names == order
    assert source.labels.tolist() == [red[name] for name in names]
    assert source.clean.tolist() == [expected(name, red[name]) for name in names]
    variant = build_variant(source, AsFound())
    assert variant.mislabeled.sum() == 6
    assert (~variant.known).sum() == 2
    assert source.inputs[:].shape == (110, 8, 8, 3)
    assert source.test_inputs is not None
    assert source.test_inputs[:].shape == (30, 8, 8, 3)
    assert source.test_labels is not None
    assert sorted(source.test_labels.tolist()) == list(range(1, 31))


def test_blue_labels_are_known_by_the_names_of_their_images(tmp_path: Path) -> None:
    """Two of five were flipped, and each has its right class."""
    cnwl(tmp_path)
    source = load_source("cnwl", tmp_path, noise="blue", level="0.4", side="8")
    assert (source.clean >= 0).all()
    assert (source.labels != source.clean).mean() == 0.4
    assert source.order == "of split/blue_noise_nl_0.4"
    with pytest.raises(
        BadUsage, match="level 0.25 was not published; there are 0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5"
    ):
        load_source("cnwl", tmp_path, level="0.25")
    with pytest.raises(BadData, match="split/red_noise_nl_0.0 is missing, and so is .*; expected unpack storage"):
        load_source("cnwl", tmp_path, level="0")


def test_the_classes_are_a_hundred() -> None:
    """As many names as numbers of WordNet, all different."""
    assert len(set(CLASS_NAMES)) == len(set(WORDNET)) == len(WORDNET) == 100


def annotate(entry: dict[str, object]) -> Callable[[Path], None]:
    def do(root: Path) -> None:
        (root / "mini-imagenet-annotations.json").write_text(json.dumps({"data": [[entry]]}), encoding="utf-8")

    return do


def lines(root: Path, change: Callable[[list[str]], list[str]]) -> None:
    file = root / "mini-imagenet" / "split" / "red_noise_nl_0.2"
    file.write_text("\n".join(change(file.read_text(encoding="utf-8").splitlines())), encoding="utf-8")


ID, LABEL, CLEAN = "image/id", "image/class/label", "image/class/label/is_clean"
ANNOTATIONS = "mini-imagenet-annotations.json"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / ANNOTATIONS).unlink(), "mini-imagenet-annotations.json is missing, and so is"),
        (lambda root: (root / ANNOTATIONS).write_text('{"data": ['), "mini-imagenet-annotations.json is not JSON"),
        (
            annotate({ID: "a", LABEL: 1}),
            f"has an entry without a usable '{CLEAN}'; expected image/id, image/class/label",
        ),
        (annotate({ID: "a", LABEL: 100, CLEAN: 1}), "has an entry without a usable value 100; expected image/id, ima"),
        (annotate({ID: "a", LABEL: 1, CLEAN: 3}), "has an entry without a usable value 3; expected image/id, image/cl"),
        (
            lambda root: lines(
                root, lambda old: [f"{line.split()[0]} {(int(line.split()[1]) + 1) % 100}" for line in old]
            ),
            r"the class 1, which is 0 by its name or its annotation \(\d+ of \d+ known\); it is no red list, or numbered",
        ),
        (
            lambda root: lines(root, lambda old: [*old, "n0000000000000001.jpg 3"]),
            "which is of no class of Mini-ImageNet",
        ),
        (
            lambda root: lines(root, lambda old: [*old, old[0]]),
            r"lists '.+' more than once \(1 such images\); copy it ag",
        ),
        (
            lambda root: shutil.rmtree(root / "all_images"),
            r"no image is in .*all_images, as .+ would be \(\d+ were looked",
        ),
        (
            lambda root: shutil.rmtree(root / "validation"),
            "validation is missing, and so is .*; expected unpack storage",
        ),
    ],
)
def test_a_damaged_tree_is_refused(damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    """One sentence: the file, what it has, what it should have."""
    cnwl(tmp_path)
    damage(tmp_path)
    with pytest.raises(BadData, match=message) as caught:
        load_source("cnwl", tmp_path, side="8")
    assert "\n" not in str(caught.value)


def test_damaged_folders_are_refused(tmp_path: Path) -> None:
    """A class without its folder, or none with an image."""
    cnwl(tmp_path, folders=True)
    training = tmp_path / "training" / "red_noise_nl_0.2"
    assert np.unique(load_source("cnwl", tmp_path).labels).size == 97
    for file in training.glob("*/*.jpg"):
        file.unlink()
    with pytest.raises(BadData, match="red_noise_nl_0.2 has folders 0 to 99 without images; unpack storage"):
        load_source("cnwl", tmp_path)
    shutil.rmtree(training / "99")
    with pytest.raises(
        BadData, match="99 cannot be read: No such file or directory; expected folders 0 to 99 of images"
    ):
        load_source("cnwl", tmp_path)
