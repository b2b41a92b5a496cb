"""How often each of the commonest words, or runs of characters, is in a text (TF-IDF)."""

from dataclasses import dataclass

from noisybench.data.extraction import ExtractFeatures, texts_of_source
from noisybench.data.source import Source
from noisybench.data.tables.text_features import COLUMNS, Units, text_features, text_units
from noisybench.ground.arrays import Features
from noisybench.ground.checks import whole


@dataclass(frozen=True, slots=True)
class Words:
    """TF-IDF of the words that most texts of the source hold, rows of length one.

    Attributes:
        columns: How many words, or runs, at most.
        units: ``words`` or ``characters``; None: words, if most texts hold spaces.
        longest: Of a run that is counted: words one after the other (one by default), or characters (three by default).

    Source: Salton and Buckley 1988, doi:10.1016/0306-4573(88)90021-0.
    """

    columns: int = COLUMNS
    units: Units | None = None
    longest: int | None = None

    def __post_init__(self) -> None:
        whole(self.columns, "columns", least=1)
        if self.longest is not None:
            whole(self.longest, "longest", least=1)

    def __call__(self, source: Source, *, device: str) -> Features:
        del device
        texts = texts_of_source(source, "words")
        units = self.units or text_units(texts)
        what = f"the texts of source '{source.name}'"
        return text_features(texts, columns=self.columns, what=what, units=units, longest=self.longest)[0]


FEATURE: type[ExtractFeatures] = Words
