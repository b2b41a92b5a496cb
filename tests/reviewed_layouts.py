"""Small copies of sets whose labels people reviewed, in the exact layout of the published files, with made-up images."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

DISHES = ("apple_pie", *(f"dish_{k:03}" for k in range(99)), "waffles")
SYNSETS = tuple(f"n{1440764 + 1000 * k:08}" for k in range(1000))


def paint(file: Path, number: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(256, size=(10, 8 + number % 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG")


def write(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def food101n(root: Path, *, n: int = 60, painted: bool = True) -> dict[str, tuple[int, int | None]]:
    """``images/<class>/<hash>.jpg`` and ``meta/``; the class of each image, and its verdict: right, wrong or none.

    One image was verified under another dish than it is listed under, as in the published files.
    """
    images: dict[str, tuple[int, int | None]] = {}
    for number in range(n):
        label = (number * 5) % 101
        images[f"{DISHES[label]}/{number * 7919:032x}.jpg"] = label, (1, 0, None, None, 1)[number % 5]
    judged = {name: verdict for name, (_, verdict) in images.items() if verdict is not None}
    val = dict(list(judged.items())[-6:])
    moved = f"{DISHES[50]}/{next(iter(images)).partition('/')[2]}"
    train = {moved: 1} | {name: verdict for name, verdict in judged.items() if name not in val}
    write(root / "meta" / "classes.txt", ["class_name", *DISHES])
    write(root / "meta" / "imagelist.tsv", ["class_name/key", *images])
    for part, verdicts in (("train", train), ("val", val)):
        lines = [f"{name}\t{verdict}" for name, verdict in verdicts.items()]
        write(root / "meta" / f"verified_{part}.tsv", ["class_name/key\tverification_label", *lines])
    for number, name in enumerate(images if painted else ()):
        paint(root / "images" / name, number)
    return images


def food101(root: Path) -> list[int]:
    """The test part of Food-101, whose list has no ``.jpg`` and no header; the classes of its images."""
    names = [f"{DISHES[label]}/{1_000_000 + label}" for label in (0, 7, 100)]
    write(root / "meta" / "test.txt", names)
    for number, name in enumerate(names):
        paint(root / "images" / f"{name}.jpg", number)
    return [0, 7, 100]


def imagenet_val(root: Path, *, n: int = 60) -> list[int]:
    """All 1,000 folders of classes, with n images among them; the classes by number."""
    labels = [(number * 37) % 1000 for number in range(1, n + 1)]
    for name in SYNSETS:
        (root / name).mkdir(parents=True)
    for number, label in enumerate(labels, start=1):
        paint(root / SYNSETS[label] / f"ILSVRC2012_val_{number:08}.JPEG", number)
    return labels


def real_json(file: Path, lists: list[list[int]]) -> Path:
    """The right classes of the first images; of the others nobody found any."""
    file.write_text(json.dumps(lists + [[]] * (50_000 - len(lists))), encoding="utf-8")
    return file
