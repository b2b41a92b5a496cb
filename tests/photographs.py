"""A small folder of photographs as a person has it: class folders of PNGs of several sizes, two of them in a wrong one."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_photographs(folder: Path) -> None:
    """35 pictures of digits of four classes; those called im0 and im30 are in the folder of the next class."""
    digits = load_digits()
    for i in np.flatnonzero(digits.target[:80] < 4):
        k = int(digits.target[i])
        home = folder / f"digit {(k + 1) % 4 if i in (0, 30) else k}"
        home.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((digits.images[i] * 15).astype(np.uint8))
        image.resize((int(30 + i % 5), int(40 + i % 3))).convert("RGB").save(home / f"im{i}.png")
