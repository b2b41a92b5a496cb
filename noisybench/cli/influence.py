"""What ``memorize --pairs`` and ``--sheet`` refuse, write and say of high-influence pairs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from noisybench.cli.printing import say
from noisybench.ground.errors import BadData, BadUsage

if TYPE_CHECKING:
    from noisybench.data.source import Source
    from noisybench.memorization.influence import InfluencePairs
    from noisybench.variants.variant import Variant


class PairFiles(NamedTuple):
    """Files of pairs that are asked for."""

    table: Path | None
    sheet: Path | None

    @property
    def wanted(self) -> bool:
        """Whether there is one."""
        return self.table is not None or self.sheet is not None

    def checked(self, pool: str, model: str | None) -> "PairFiles":
        """These; raises for a file that cannot be written, or models that have no pairs, see ``memorize``."""
        from noisybench.board.influence_files import check_pairs_file
        from noisybench.ground.drawing import check_picture
        from noisybench.memorization.learner import CLOSED_FORM_MODELS

        option = "--sheet" if self.table is None else "--pairs"
        if self.wanted and pool == "detector":
            msg = f"{option} is of the models that measure memorization: leave --pool detector out"
            raise BadUsage(msg)
        if self.wanted and model in CLOSED_FORM_MODELS:
            msg = f"{option} is of models that are trained or fitted, which can be asked about a test set, got --model {model}"
            raise BadUsage(msg)
        if self.table is not None:
            check_pairs_file(self.table)
        if self.sheet is not None:
            check_picture(self.sheet)
        return self

    def check_source(self, source: "Source", features: str) -> None:
        """Raise ``BadUsage`` for a source without a test set, models that see features, or a sheet of what are no images."""
        from noisybench.board.influence_sheet import check_images_of
        from noisybench.memorization.tested_blocks import digest_of_asked

        if self.wanted:
            digest_of_asked(source, features)
        if self.sheet is not None:
            check_images_of(source)

    def write(self, folder: Path, source: "Source", variant: "Variant", models: int) -> "WrittenPairs | None":
        """Find the pairs of a measurement, write them as they are asked for, and say on stderr what chance gives.

        None where none are asked for.
        """
        from noisybench.board.influence_files import words_of_pairs, write_pairs
        from noisybench.board.influence_sheet import draw_pairs
        from noisybench.memorization.influence import influence_pairs

        if not self.wanted:
            return None
        found = influence_pairs(folder, source, variant, models=models)
        typer.echo(words_of_pairs(found), err=True)
        written = []
        if self.table is not None:
            written.append(write_pairs(found, source, variant, self.table))
        if self.sheet is not None:
            try:
                draw_pairs(found, source, variant, self.sheet)
                written.append(self.sheet)
            except BadData as error:  # everything else was measured and written
                typer.echo(f"note: {error}", err=True)
        return WrittenPairs(found, written)


class WrittenPairs(NamedTuple):
    """Pairs that were found, and the files that they were written to."""

    pairs: "InfluencePairs"
    files: list[Path]

    def say(self) -> None:
        """Print numbers of pairs and the files, as the other lines of a measurement."""
        for name, words in NUMBERS.items():
            value = self.record[name]
            say(f"{words:<26}{value:.4g}" if isinstance(value, float) else f"{words:<26}{value}")
        for path in self.files:
            say(str(path))

    @property
    def record(self) -> dict[str, Any]:
        """The numbers of pairs, for machines."""
        told = {name: getattr(self.pairs, name) for name in NUMBERS if name != "listed"}
        return told | {"listed": len(self.pairs.train)}


NUMBERS = {
    "compared": "pairs compared",
    "helps": "pairs that help",
    "helps_by_chance": "of these by chance",
    "harms": "pairs that harm",
    "harms_by_chance": "of these by chance",
    "listed": "pairs listed",
}
"""Number of pairs → what it is called."""
