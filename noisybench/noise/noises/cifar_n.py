"""Labels that people gave to CIFAR-10 and CIFAR-100 (CIFAR-N): real label noise, right labels known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.data.crowd.answers import answers_from_matrix
from noisybench.data.source import Source
from noisybench.ground.arrays import Labels, read_only
from noisybench.ground.download import fetch
from noisybench.ground.errors import BadData, BadUsage
from noisybench.noise.cifar_n_files import COLUMNS, TEN, read_annotations, read_column, read_pair, read_rows_of
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Draw, Noise


@dataclass(frozen=True, slots=True)
class CifarN:
    """Take the labels of CIFAR-10N (50,000 images, three annotators each) or of CIFAR-100N (one annotator each).

    They are joined by position: in the order of the official Python batches, which is that of torchvision, or with
    ``order_file`` in that of TensorFlow Datasets. The clean labels in the file must be those of the source; a prefix of
    them (``--limit``) is enough.

    With the labels of CIFAR-10N come three marks, of the three annotators: ``votes`` (3: unanimous, 2: a majority, 1: a
    three-way split), ``split`` (votes is 1), and ``contested`` (unanimous, and not for the label of CIFAR-10: 282). The
    three columns of answers come too, as answers of annotators 0, 1 and 2: a column each, not a person each.

    Attributes:
        labels: For ``cifar10``: ``aggre`` (majority of the three, 9.010 % wrong), ``random1`` (17.234 %), ``random2``
            (18.122 %), ``random3`` (17.640 %), ``worse`` (a wrong annotation where there is one, 40.208 %). For
            ``cifar100``: ``fine`` (40.200 %). For ``cifar100(labels=coarse)``: ``coarse`` (26.404 %). ``worse`` was
            selected with the clean label in hand, ``random1`` to ``random3`` were not.
        file: ``CIFAR-10_human.pt`` or ``CIFAR-100_human.pt`` as published; None downloads it. Licence: CC BY-NC 4.0.
        contested: Whether the label of CIFAR-10 stays the clean one where all three annotators are against it, or their
            clean label is ``unknown``, which leaves these 282 out of every metric.
        order_file: For a source in the order of TensorFlow Datasets: ``image_order_c10.npy`` or ``image_order_c100.npy``,
            published beside the labels; or a ``.npz`` file with arrays ``cifar10`` and ``cifar100``.

    Source: Wei et al. 2022, arXiv:2110.12088. Its 9.03 % for ``aggre`` is not what the file holds.
    """

    labels: Literal["aggre", "worse", "random1", "random2", "random3", "fine", "coarse"]
    file: Path | None = None
    contested: Literal["keep", "unknown"] = "keep"
    order_file: Path | None = None
    found: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.labels not in COLUMNS:
            msg = f"labels must be one of {', '.join(COLUMNS)}, got '{self.labels}'"
            raise BadUsage(msg)
        if self.contested not in ("keep", "unknown"):
            msg = f"contested must be keep or unknown, got '{self.contested}'"
            raise BadUsage(msg)
        if self.contested == "unknown" and COLUMNS[self.labels][0] is not TEN:
            msg = f"labels={self.labels} have one annotator, so none are contested by three; leave contested out"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:  # noqa: ARG002 - nothing is drawn
        published, key = COLUMNS[self.labels]
        if source.num_classes != published.classes:
            msg = (
                f"labels={self.labels} belong to {published.source} with {published.classes} classes, "
                f"source '{source.name}' has {source.num_classes}"
            )
            raise BadUsage(msg)
        path = self.file or fetch(
            published.name, published.url, published.sha256, published.size, instead=f"--set file=…/{published.name}"
        )
        columns = read_annotations(path)
        clean, given = read_pair(columns, published, key, path)
        rows = read_rows_of(source, clean, published, self.order_file)
        if published is not TEN:  # one annotator a sample, who is the label
            return Draw(labels=given[rows])
        answers = _three(columns, clean, path)
        marks = {name: mark[rows] for name, mark in _marks(answers, clean).items()}
        return Draw(
            labels=given[rows],
            doubted=marks["contested"] if self.contested == "unknown" else None,
            marks={name: read_only(mark) for name, mark in marks.items()},
            answers=answers_from_matrix(np.stack(answers, axis=1)[rows]),
        )


def _three(columns: Mapping[str, Any], clean: Labels, path: Path) -> list[Labels]:
    """What the three annotators of CIFAR-10N said, each of shape (n,)."""
    answers = [read_column(columns, f"random_label{j}", TEN.classes, path) for j in (1, 2, 3)]
    if any(len(answer) != len(clean) for answer in answers):
        lengths = ", ".join(str(len(answer)) for answer in answers)
        msg = f"{path} has {len(clean)} clean labels, and {lengths} of its three annotators; download it again"
        raise BadData(msg)
    return answers


def _marks(answers: Sequence[Labels], clean: Labels) -> dict[str, NDArray[Any]]:
    """What the three annotators of CIFAR-10N agree on, by name, each of shape (n,)."""
    first, second, third = answers
    pairs = (first == second).astype(np.int64) + (second == third) + (third == first)  # 0, 1 or 3 pairs agree
    votes = np.array([1, 2, 2, 3])[pairs]
    return {"votes": votes, "split": votes == 1, "contested": (votes == len(answers)) & (first != clean)}


NOISE: type[Noise] = CifarN
