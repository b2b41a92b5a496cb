"""Suspects: what the evidence says of every label of a data set, for someone who has no truth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.board.agreement import settled
from noisybench.board.page_items import page_items
from noisybench.board.suspects_page import PageItem, suspects_page
from noisybench.data.source import Source
from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.checks import a_path, whole
from noisybench.ground.html.page import write_page
from noisybench.ground.html.pictures import data_address
from noisybench.variants.variant import Variant

if TYPE_CHECKING:
    import pandas as pd

    from noisybench.runs.reading import AnyPath

TOP = 20
"""Suspects that are shown where nobody says how many."""
ON_PAGE = 2_000
"""Suspects on a page where nobody says how many."""
GLANCE = 200
"""Characters of a text in a notebook's table; the page has all."""
UNCERTAIN = (
    "how many labels are wrong cannot be known from labels and features alone; --audit M estimates it from M answers"
)
"""What is said beside the count, which is no estimate of the wrong labels."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One sample.

    Attributes:
        sample: Its position in the source.
        name: What people call it, such as its file, where the source says so; else empty.
        given: Name of the class that it has.
        suggested: Name of the class that the evidence would give it; empty where there is no other answer.
        suspicion: Score of the detector that ranks; higher is more likely mislabeled.
        flagged: Whether the label disagrees with the evidence.
    """

    sample: int
    name: str
    given: str
    suggested: str
    suspicion: float
    flagged: bool


class ClassCount(NamedTuple):
    """Labels of one class that disagree with the evidence."""

    given: str
    flagged: int
    n: int


class PairCount(NamedTuple):
    """Labels of one class for which the evidence suggests one other class."""

    given: str
    suggested: str
    flagged: int


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """Every label of a data set against its evidence.

    Attributes:
        variant: The labels.
        detector: Name of the detector that ranks.
        evidence: Where its answers come from, a sentence each.
        suggested: Class that the evidence would give in place of the label, shape (n,); -1 where there is none.
        suspicion: Shape (n,); higher is more likely mislabeled.
        flagged: Whether a label disagrees with the evidence, shape (n,): as many as the evidence contradicts, those of
            highest suspicion. None where scores came alone, which have no cut.
        names: What people call the samples, shape (n,); None where the number is all there is.
        inputs: The source, where it was read: what pages show of a sample.
        folder: Where the files are that ``names`` names; None where they are no files.
        place: Where the data are, by whose last part they are called; None calls them by their source.
    """

    variant: Variant
    detector: str
    evidence: tuple[str, ...]
    suggested: Labels
    suspicion: Floats
    flagged: Bools | None
    names: Sequence[str] | None = None
    inputs: Source | None = None
    folder: Path | None = None
    place: Path | None = None

    def __repr__(self) -> str:
        return f"Suspects({self.headline()}, ranked by {self.detector})"

    def __len__(self) -> int:
        return len(self.variant.labels)

    @property
    def source(self) -> str:
        """Name of the source."""
        return self.variant.provenance.source

    @property
    def title(self) -> str:
        """What the data are called: by their file or folder, else by their source."""
        return (self.place.resolve().name if self.place is not None else "") or self.source

    @property
    def variant_id(self) -> str:
        """Id of the labels."""
        return self.variant.provenance.variant_id

    @property
    def class_names(self) -> tuple[str, ...]:
        """One a class."""
        return self.variant.class_names

    @property
    def given(self) -> Labels:
        """Labels, shape (n,)."""
        return self.variant.labels

    @property
    def count(self) -> int:
        """Labels that disagree with the evidence. No estimate of the wrong labels: that is not identifiable."""
        return 0 if self.flagged is None else int(self.flagged.sum())

    @property
    def cut(self) -> float | None:
        """The lowest suspicion of a flagged label; None where none is."""
        return float(self.suspicion[self.flagged].min()) if self.flagged is not None and self.count else None

    @property
    def order(self) -> NDArray[np.int64]:
        """Samples that nobody decided about, most suspicious first, ties in sample order."""
        ranked = np.argsort(-self.suspicion, kind="stable")
        return ranked[~settled(self.variant)[ranked]]

    def chosen(self, top: int | None = None) -> NDArray[np.int64]:
        """The ``top`` most suspicious samples; None takes those that are flagged, all where there is no cut."""
        if top is None:
            return self.order if self.flagged is None else self.order[: self.count]
        return self.order[: whole(top, "top", least=1)]

    def table(self, top: int | None = None) -> list[Suspect]:
        """The ``top`` most suspicious samples, most suspicious first; None takes those that are flagged."""
        return [
            Suspect(
                sample=int(i),
                name="" if self.names is None else self.names[i],
                given=self.class_names[self.given[i]],
                suggested=self.suggestion(int(i)),
                suspicion=float(self.suspicion[i]),
                flagged=self.flagged is not None and bool(self.flagged[i]),
            )
            for i in self.chosen(top)
        ]

    def suggestion(self, sample: int) -> str:
        """Name of the class that is suggested for a sample; empty where none is."""
        k = self.suggested[sample]
        return self.class_names[k] if k >= 0 else ""

    def file(self, sample: int) -> Path | None:
        """The file of a sample; None where samples are no files of a folder."""
        if self.folder is None or self.names is None:
            return None
        return self.folder / self.names[sample]

    def by_class(self) -> list[ClassCount]:
        """Flagged labels of each class that has any, most first."""
        n = np.bincount(self.given, minlength=len(self.class_names))
        found = np.bincount(self.given[self._flags], minlength=len(self.class_names))
        order = np.argsort(-found, kind="stable")
        return [ClassCount(self.class_names[k], int(found[k]), int(n[k])) for k in order if found[k]]

    def by_pair(self) -> list[PairCount]:
        """Flagged labels of each given and suggested class, most first."""
        rows = np.flatnonzero(self._flags & (self.suggested >= 0))
        pairs, counts = np.unique(np.stack([self.given[rows], self.suggested[rows]]), axis=1, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        names = self.class_names
        return [PairCount(names[pairs[0, p]], names[pairs[1, p]], int(counts[p])) for p in order]

    def headline(self) -> str:
        """How many labels disagree with the evidence, in words."""
        if self.flagged is None:
            return f"{len(self):,} labels of {self.title} by scores alone, which say no count"
        return f"{self.count:,} of {len(self):,} labels of {self.title} disagree with the evidence"

    def record(self, top: int | None = None) -> dict[str, Any]:
        """All of it for machines, as JSON holds it: what it is of, counts, and the chosen suspects."""
        return {
            "source": self.source,
            "variant_id": self.variant_id,
            "n": len(self),
            "disagree_with_evidence": None if self.flagged is None else self.count,
            "cut": self.cut,
            "detector": self.detector,
            "evidence": list(self.evidence),
            **self.truth(),
            "by_class": [count._asdict() for count in self.by_class()],
            "by_pair": [count._asdict() for count in self.by_pair()],
            "suspects": [asdict(suspect) for suspect in self.table(top)],
        }

    def truth(self) -> dict[str, int | None]:
        """What is known of the flagged labels and of all, as counts; nothing of one's own labels."""
        known, wrong = self.variant.known, self.variant.mislabeled
        counts = {
            "known": known,
            "known_wrong": wrong,
            "flagged_known": known & self._flags,
            "flagged_known_wrong": wrong & self._flags,
        }
        return {key: int(found.sum()) if known.any() else None for key, found in counts.items()}

    def columns(self, top: int | None = None) -> Mapping[str, list[Any]]:
        """The chosen suspects as columns, by name; ``name`` stands among them where samples have names."""
        rows = [asdict(suspect) for suspect in self.table(top)]
        left_out = {"name"} if self.names is None else set()
        left_out |= {"flagged"} if self.flagged is None else set()
        keys = [key for key in Suspect.__dataclass_fields__ if key not in left_out]
        return {key: [row[key] for row in rows] for key in keys}

    def to_pandas(self, top: int | None = None) -> "pd.DataFrame":
        """The chosen suspects as a data frame, most suspicious first."""
        import pandas as pd

        return pd.DataFrame(self.columns(top))

    def to_html(self, path: "AnyPath | None" = None, *, top: int | None = None) -> str:
        """One page that shows the chosen suspects, takes decisions and saves a corrections file; needs no network.

        Args:
            path: Where it is written too.
            top: How many; None takes those that are flagged, at most ``ON_PAGE``.
        """
        chosen = self.chosen(top)
        chosen = chosen if top is not None else chosen[:ON_PAGE]
        lead = f"{self.headline()}."
        if len(chosen) < self.count:
            lead += f" Here are the first {len(chosen):,}."
        if self.flagged is not None:
            lead += f" {UNCERTAIN[0].upper()}{UNCERTAIN[1:]}."
        shown = suspects_page(
            title=f"Labels of {self.title} to look at",
            variant_id=self.variant_id,
            source_name=f"{self.title}, {len(self):,} samples",
            class_names=self.class_names,
            items=self._items(chosen),
            lead=lead,
            summary={"Ranked by": self.detector, "Evidence": "; ".join(self.evidence)},
            rows=self.inputs is not None and self.inputs.rows is not None,
        )
        if path is not None:
            write_page(shown, a_path(path, "path"))
        return shown

    def _repr_html_(self) -> str:
        """The first of them as a table in a notebook."""
        rows = []
        for item in self._items(self.chosen()[:TOP]):
            text = escape((item.text or "")[:GLANCE])
            picture = "" if item.picture is None else f'<img src="{data_address(item.picture)}" alt="" height="64">'
            words = (item.name or str(item.sample), self.class_names[item.given], self.suggestion(item.sample) or "–")
            cells = [picture or text, *map(escape, words), f"{item.suspicion:.4f}"]
            rows.append("".join(f"<td>{cell}</td>" for cell in cells))
        head = "".join(f"<th>{name}</th>" for name in ("", "sample", "given", "suggested", "suspicion"))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<p>{escape(self.headline())}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _items(self, samples: NDArray[np.int64]) -> Iterator[PageItem]:
        """Some samples as a page shows them."""
        return page_items(
            samples,
            self.given,
            self.inputs,
            self.names,
            suggested=self.suggested,
            suspicion=self.suspicion,
            flagged=self.flagged,
        )

    @property
    def _flags(self) -> Bools:
        return np.zeros(len(self), dtype=bool) if self.flagged is None else self.flagged
