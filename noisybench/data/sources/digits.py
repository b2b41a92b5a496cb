"""Handwritten digits of scikit-learn, 8 × 8: embedded, needs no download."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import derive


@dataclass(frozen=True, slots=True)
class Digits:
    """1,797 images with 17 grey levels, split once into 1,437 for training and 360 for test, stratified by class.

    Source: Alpaydin and Kaynak 1998, UCI Optical Recognition of Handwritten Digits (its test part).
    """

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        if data is not None:
            msg = "source 'digits' is embedded: leave --data out"
            raise BadUsage(msg)
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        images, labels = load_digits(return_X_y=True)
        train, test = train_test_split(
            np.arange(len(labels)), test_size=360, stratify=labels, random_state=derive(0, "digits") % 2**32
        )
        images = images.reshape(-1, 8, 8, 1).astype(np.uint8)
        return source_from_arrays(
            "digits",
            images[train],
            labels[train],
            clean=labels[train],
            test_inputs=images[test],
            test_labels=labels[test],
            class_names=[str(k) for k in range(10)],
            order="the stratified split of noisybench",
            limit=limit,
        )


SOURCE: type[LoadSource] = Digits
