"""Small sets in the exact layout of published ones: names, separators, bytes and odd cases, with made-up contents."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from reviewed_layouts import food101n, imagenet_val

from noisybench.data.sources._mini_imagenet import WORDNET

NAMES_OF_CLOTHES = (
    "T-Shirt\nShirt\nKnitwear\nChiffon\nSweater\nHoodie\nWindbreaker\nJacket\nDownCoat\nSuit\nShawl\nDress\nVest\n"
    "Underwear\n"
)


def draw(file: Path, label: int, number: int, *, side: int = 12) -> None:
    """An image whose colour tells its class, with some noise; not all are square."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_jpeg(label, number % 9, side))


@cache
def _jpeg(label: int, number: int, side: int) -> bytes:
    colour = np.array([37 * label % 256, 91 * label % 256, 149 * label % 256])
    noise = np.random.default_rng(number).integers(-20, 20, (side, side + number % 3, 3))
    stream = BytesIO()
    Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def write_lines(file: Path, lines: Sequence[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@dataclass(frozen=True)
class Clothes:
    """What a tree of Clothing1M holds: keys and noisy labels of the noisy list, and so on."""

    noisy: dict[str, int]
    verified: dict[str, tuple[int, int]]
    clean_only: dict[str, int]
    val: dict[str, int]
    test: dict[str, int]


def key(number: int) -> str:
    """As ``images/0/00/1278541879,867148000.jpg``, with a comma inside."""
    return f"images/{number % 10}/{number % 100:02}/{1278541879 + number},{867148000 - 7 * number}.jpg"


def clothes(*, noisy: int = 240, verified: int = 60) -> Clothes:
    """Keys and labels of 14 classes, a third of the noisy ones wrong."""
    rng = np.random.default_rng(0)

    def given(right: int) -> int:
        return int(rng.integers(14)) if rng.random() < 0.35 else right

    numbers = iter(rng.permutation(1000 + noisy + verified).tolist())

    def some(count: int) -> dict[str, int]:
        return {key(next(numbers)): i % 14 for i in range(count)}

    return Clothes(
        {name: given(right) for name, right in some(noisy).items()},
        {name: (given(right), right) for name, right in some(verified).items()},
        some(10),
        some(28),
        some(42),
    )


def clothing1m(root: Path, what: Clothes | None = None, *, annotations: bool = False, images: bool = True) -> Clothes:
    """The tree of Clothing1M; the text files in ``annotations/``, or the images beside them and not in ``images/``."""
    what = what or clothes()
    text = root / "annotations" if annotations else root
    twice = {name: noisy for name, (noisy, _) in what.verified.items()}
    # Some images of the validation and test lists have a noisy label too, and are in no noisy list.
    held_out = dict.fromkeys([*list(what.val)[:5], *list(what.test)[:5]], 13)
    clean = {**{name: right for name, (_, right) in what.verified.items()}, **what.clean_only, **what.val, **what.test}
    order = sorted({**what.noisy, **twice, **held_out}.items())
    write_lines(text / "noisy_label_kv.txt", [f"{name} {label}" for name, label in order])
    write_lines(text / "clean_label_kv.txt", [f"{name} {label}" for name, label in sorted(clean.items())])
    write_lines(text / "noisy_train_key_list.txt", list(what.noisy))
    write_lines(text / "clean_train_key_list.txt", [*what.clean_only, *what.verified])
    write_lines(text / "clean_val_key_list.txt", list(what.val))
    write_lines(text / "clean_test_key_list.txt", list(what.test))
    (text / "category_names_eng.txt").write_text(NAMES_OF_CLOTHES, encoding="utf-8")
    for number, (name, label) in enumerate({**what.noisy, **clean}.items()):
        draw(root / (name if images else name.removeprefix("images/")), label, number)
    return what


@dataclass(frozen=True)
class Animals:
    """Training and test images (n, 64, 64, 3) by id, and their labels."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


def animals(*, n: int = 66, test: int = 20) -> Animals:
    rng = np.random.default_rng(1)
    labels, tested = rng.integers(10, size=n), rng.integers(10, size=test)
    shape = (64, 64, 3)
    return Animals(
        rng.integers(256, size=(n, *shape), dtype=np.uint8),
        labels,
        rng.integers(256, size=(test, *shape), dtype=np.uint8),
        tested,
    )


def record(sample: int, label: int, image: NDArray[np.uint8]) -> bytes:
    """Id and label in four bytes each, the highest first, then red, green and blue planes."""
    return sample.to_bytes(4, "big") + label.to_bytes(4, "big") + image.transpose(2, 0, 1).tobytes()


def animal10n(root: Path, what: Animals | None = None, *, batches: int = 3) -> Animals:
    """Binary files, whose records are in no order of their ids."""
    what = what or animals()
    root.mkdir(parents=True, exist_ok=True)
    ids = np.random.default_rng(2).permutation(len(what.labels))
    for number, part in enumerate(np.array_split(ids, batches), start=1):
        content = b"".join(record(int(i), int(what.labels[i]), what.images[i]) for i in part)
        (root / f"data_batch_{number}.bin").write_bytes(content)
    tested = zip(what.test_labels.tolist(), what.test_images, strict=True)
    (root / "test_batch.bin").write_bytes(b"".join(record(i, k, image) for i, (k, image) in enumerate(tested)))
    return what


def webvision(root: Path, *, n: int = 66) -> dict[str, list[tuple[str, int]]]:
    """Lists of ``info/`` by name, and all of their images."""
    lists: dict[str, list[tuple[str, int]]] = {"google": [], "flickr": [], "val": []}
    for number in range(n):
        label = (number * 7) % 100
        lists["google"].append((f"google/q{label:04}/Hs_{number}-x~.jpg", label))
        lists["flickr"].append((f"flickr/q{label:04}/{9_000_000 + number}.jpg", label))
    lists["val"] = [(f"val{number:06}.jpg", number % 60) for number in range(1, 41)]
    lists["all"] = lists["flickr"] + lists["google"]
    for engine in ("all", "google", "flickr"):
        write_lines(root / "info" / f"train_filelist_{engine}.txt", [f"{name} {k}" for name, k in lists[engine]])
    write_lines(root / "info" / "val_filelist.txt", [f"{name} {k}" for name, k in lists["val"]])
    words = ["tench, Tinca tinca", *["crane"] * 2, *[f"thing {k}, object {k}" for k in range(3, 1000)]]
    write_lines(root / "info" / "synsets.txt", [f"n{1440764 + k:08} {word}" for k, word in enumerate(words)])
    for number, (name, label) in enumerate(lists["all"]):
        draw(root / name, label, number, side=8)
    for number, (name, label) in enumerate(lists["val"]):
        draw(root / "val_images_256" / name, label, number, side=8)
    return lists


def cnwl(root: Path, *, folders: bool = False) -> dict[str, int]:
    """Lists of red 0.2 and blue 0.4 or the folders of red 0.2, with every image; the given label of each red image.

    Web images: the first five were found right, then five wrong, one right and wrong at once, one was asked about with
    another label only, and one never.
    """
    web = {f"59227{number:011x}": number % 7 for number in range(13)}
    verdicts = [(name, label, number < 5) for number, (name, label) in enumerate(web.items()) if number < 11]
    names = list(web)
    verdicts += [(names[10], web[names[10]], True), (names[11], 50, True)]
    entries = [
        {
            "image/uri": f"https://example.org/{name}.jpg",
            "image/id": name,
            "image/class/label": label,
            "image/class/label/is_clean": int(clean),
        }
        for name, label, clean in verdicts
    ]
    record = {"name": "image-search noisy labels", "version": "1.0", "data": [[entry] for entry in entries]}
    root.mkdir(parents=True, exist_ok=True)
    (root / "mini-imagenet-annotations.json").write_text(json.dumps(record, indent=4), encoding="utf-8")
    clean = {f"{WORDNET[number % 100]}{number + 1:08}": number % 100 for number in range(110)}
    red = {**dict(list(clean.items())[:97]), **web}
    val = {f"ILSVRC2012_val_{number:08}": number % 100 for number in range(1, 31)}
    if folders:
        for place in ("training/red_noise_nl_0.2", "validation"):
            for k in range(100):
                (root / place / str(k)).mkdir(parents=True)
        for number, (name, label) in enumerate(red.items()):
            draw(root / "training" / "red_noise_nl_0.2" / str(label) / f"{name}.jpg", label, number)
    else:
        blue = {
            name: (label + 1) % 100 if number % 5 < 2 else label for number, (name, label) in enumerate(clean.items())
        }
        split = root / "mini-imagenet" / "split"
        for level, content in (("red_noise_nl_0.2", red), ("blue_noise_nl_0.4", blue), ("clean_validation", val)):
            write_lines(split / level, [f"{name}.jpg {label}" for name, label in content.items()])
        for number, (name, label) in enumerate({**red, **clean}.items()):
            draw(root / "all_images" / f"{name}.jpg", label, number)
    for number, (name, label) in enumerate(val.items()):
        draw(root / "validation" / (f"{label}/{name}.jpg" if folders else f"{name}.jpg"), label, number)
    return red


NEWS = ("minister talks peace {}", "team wins match {}", 'shares "rise" {}, says bank', "chip maker\\sells phone {}")


def noisyag_news(root: Path, *, n: int = 80) -> list[tuple[int, int, str]]:
    """The files of the majority's labels, as pandas wrote them on Windows: given label, clean label, text."""
    rows = [(k if i % 5 else (k + 1) % 4, k, NEWS[k].format(f"word{i % 9}")) for i, k in enumerate(np.arange(n) % 4)]
    tested = [(k, k, NEWS[k].format("today")) for k in range(4)] * 3

    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text

    root.mkdir(parents=True, exist_ok=True)
    for name, content, group in ((f"samples{n}trainMed.csv", rows, "5"), ("samplesTest.csv", tested, "A")):
        lines = [f"{label},{gt},{quoted(text)},{group}\r\n" for label, gt, text in content]
        (root / name).write_bytes(("label,gt,text,group\r\n" + "".join(lines)).encode())
    return [(int(label), int(gt), text) for label, gt, text in rows]


LAYOUTS: dict[str, tuple[Callable[[Path], object], Mapping[str, str]]] = {
    "clothing1m": (clothing1m, {"side": "8", "part": "both"}),
    "animal10n": (animal10n, {}),
    "webvision": (webvision, {"side": "8"}),
    "cnwl": (cnwl, {"side": "8"}),
    "noisyag_news": (noisyag_news, {"columns": "20"}),
    "food101n": (food101n, {"side": "8"}),
    "imagenet_val": (imagenet_val, {"side": "8", "truth": "published"}),
}
"""By name of a source: what fills a folder with its files, and options to read them with."""
