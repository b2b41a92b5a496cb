"""The page of a description: its figures against the description, strange names, and a narrow window."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from browser import NARROW, Browser
from shell import shell

from noisybench.cards.description import describe
from noisybench.cards.description_page import LISTED, description_page
from noisybench.data.source import source_from_arrays
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.pair_flip import PairFlip
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, write_variant

STRANGE = "</style><script>window.broken = 1</script>" + "x" * 200


def made(k: int, n: int = 400) -> Variant:
    """A quarter of the labels name the next class; the first class has a strange name."""
    labels = np.arange(n) % k
    names = [STRANGE, *(f"class {i}" for i in range(1, k))]
    inputs = np.zeros((n, 1), dtype=np.float32)
    return build_variant(
        source_from_arrays("made", inputs, labels, clean=labels, class_names=names), PairFlip(0.25), seed=1
    )


class Tables(HTMLParser):
    """The cells of each table of a page, row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, _: object) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside &= tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.tables[-1][-1][-1] += data


def test_figures_are_those_of_the_description() -> None:
    """Rates of classes, and every cell of both matrices; the lead says the realised rate."""
    variant = made(4)
    description = describe(variant)
    text = description_page(variant, description)
    classes, realised, nominal = Tables(text).tables
    assert [row[:4] for row in classes[1:]] == [
        [name, f"{size}", f"{wrong}", f"{wrong / size:.1%}"]
        for name, size, wrong in zip(
            variant.class_names, description.class_counts, description.class_wrong, strict=True
        )
    ]
    for table, matrix in ((realised, description.transition), (nominal, variant.transition)):
        assert isinstance(matrix, np.ndarray)
        found = np.array([[float(one) for one in row[1:]] for row in table[1:]])
        assert np.abs(found - 100 * matrix).max() <= 0.0501
    assert f"{variant.mislabeled.mean():.2%} of 400 samples" in text
    assert "AUROC for wrong labels of the given label alone" in text


def test_names_are_text_and_nothing_has_a_style_of_its_own() -> None:
    """Neither a name nor a bar needs what the page's policy forbids."""
    text = description_page(made(4), describe(made(4)))
    assert "<script>window" not in text
    assert "{_" not in text
    assert " style=" not in text
    assert text.count("</style>") == 1
    assert "&lt;/style&gt;&lt;script&gt;" in text


def test_warnings_stand_above_all() -> None:
    """Where labels are as they came, the page says first that nothing is known of them, and shows no matrix."""
    source = source_from_arrays("found", np.zeros((9, 1), dtype=np.float32), np.arange(9) % 3)
    variant = build_variant(source, AsFound())
    description = describe(variant)
    text = description_page(variant, description)
    assert description.warnings
    assert text.index('class="warnings"') < text.index("<h2>Rates</h2>")
    assert Tables(text).tables == []


def test_many_classes_are_listed_by_their_worst() -> None:
    """120 classes: no matrix is drawn, and the commonest confusions are named, the commonest first."""
    variant = made(120, 2400)
    text = description_page(variant, describe(variant))
    classes, confusions = Tables(text).tables
    assert (len(classes), len(confusions)) == (LISTED + 1, LISTED + 1)
    shares = [float(row[2].rstrip("%")) for row in confusions[1:]]
    assert shares == sorted(shares, reverse=True)
    assert len(text.encode()) < 120_000


@pytest.mark.browser
def test_the_command_writes_a_page_that_opens(browser: Browser, tmp_path: Path) -> None:
    """Without a fault, and without scrolling sideways at 400 pixels; a folder is refused."""
    write_variant(made(4), tmp_path / "variant")
    path = tmp_path / "variant.html"
    done = shell("describe", tmp_path / "variant", "--html", path)
    assert done.code == 0
    assert f"note: {path} shows it" in done.err
    for dark in (False, True):
        browser.show(path, NARROW, dark=dark)
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
        assert browser.run("return window.broken") is None
        coloured = "return getComputedStyle(document.querySelectorAll('.matrix td.o0')[0]).backgroundColor"
        assert re.match(r"(rgb|color)", browser.run(coloured))
    assert browser.faults() == []
    refused = shell("describe", tmp_path / "variant", "--html", tmp_path)
    assert (refused.code, refused.out) == (2, "")
    assert "is a folder" in refused.err
