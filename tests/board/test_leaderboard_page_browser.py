"""The leaderboard's page in a real browser: sorted, filtered, searched, switched, opened by keys, sent on, printed."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import NARROW, WIDE, Browser
from made_runs import make_runs, source_of

from noisybench.board.page import leaderboard_page

pytestmark = pytest.mark.browser

STRANGE = "</script><img src=x onerror='window.broken=1'>" + "x" * 300
SKILLS = {"aum": 2.0, "cumulative_loss": 1.4, "learning_time": 0.7, "entropy": 0.2, STRANGE: 1.0}
NAMES = "return [...document.querySelectorAll('tr.row .detector button')].map((one) => one.textContent)"
CELLS = "return [...document.querySelectorAll(`tr.row td.${arguments[0]}`)].map((one) => one.textContent)"
ADDRESS = "return decodeURIComponent(location.hash)"
FITS = "return document.documentElement.scrollWidth <= innerWidth"
DOWN, ENTER, ESCAPE, END = "\ue015", "\ue007", "\ue00c", "\ue010"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of three noises, two recipes, memorization, and a detector whose name is a tag of 300 letters."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOISYBENCH_CACHE", str(folder / "cache"))
        make_runs(folder / "runs", source_of(60, name="made <b>"), skills=SKILLS, seeds=1)
        (folder / "board.html").write_text(leaderboard_page(folder / "runs"), encoding="utf-8")
    return folder / "board.html"


@pytest.fixture(autouse=True)
def opened(browser: Browser, page: Path) -> Iterator[None]:
    """Each test begins with the page as it was sent, and ends without a fault of the page."""
    browser.driver.get("about:blank")
    browser.show(page)
    browser.faults()
    yield
    assert browser.faults() == []
    assert browser.run("return window.broken") is None


def choose(browser: Browser, name: str, words: str) -> None:
    """Choose in a select by its words, as a person does."""
    browser.run(
        "const e = document.getElementById(arguments[0]); e.selectedIndex = [...e.options].findIndex((one) => one.text === "
        "arguments[1]); e.dispatchEvent(new Event('change'))",
        name,
        words,
    )


def test_every_row_is_there_in_its_group(browser: Browser) -> None:
    """Detectors best first, then controls, then references; names are text alone."""
    names = browser.run(NAMES)
    assert names[:2] == ["aum", "aum"]
    assert names.count(STRANGE) == 2
    groups = browser.run("return [...document.querySelectorAll('tr.group')].map((one) => one.textContent)")
    assert groups == ["Detectors", "Controls", "References"]
    assert "Chance is 0.5" in browser.run("return document.getElementById('about').textContent")
    assert "made <b> (60 samples)" in browser.run("return document.querySelector('.facts').textContent")
    assert "Susceptibility: how far one step" in browser.run("return document.getElementById('words').textContent")


def test_a_column_sorts_both_ways(browser: Browser) -> None:
    """Within each group, and the header says how; the address too."""
    press = "document.querySelector('th[data-name=right] button').click()"
    browser.run(press)
    assert browser.run("return document.querySelector('th[data-name=right]').ariaSort") == "descending"
    press = "document.querySelector('th[data-name=detector] button').click()"
    browser.run(press)
    detectors = browser.run(NAMES)[:8]
    assert detectors == sorted(detectors)
    browser.run(press)
    assert browser.run(NAMES)[:8] == sorted(detectors, reverse=True)
    assert browser.run(ADDRESS) == "#sort=-detector"


def test_filters_choose_the_runs_of_a_table(browser: Browser) -> None:
    """A noise and a rate give the table of their label columns; what holds none cannot be chosen."""
    before = browser.run(CELLS, "value")
    choose(browser, "noise", "pair_flip")
    after = browser.run(CELLS, "value")
    assert len(after) == len(before)
    assert after != before
    assert "2 label columns" in browser.run("return document.getElementById('about').textContent")
    off = "return [...document.getElementById('rate').options].filter((one) => one.disabled).map((one) => one.text)"
    assert browser.run(off) == ["0.4"]
    choose(browser, "learner", "mlp, overfit, 8 epochs")
    assert browser.run(NAMES).count("aum") == 1
    assert browser.run(ADDRESS).startswith("#noise=pair_flip&learner=overfit")
    browser.run("document.getElementById('clear').click()")
    assert browser.run(CELLS, "value") == before


def test_a_search_and_a_set_hide_rows(browser: Browser) -> None:
    """The slash goes to the search; nothing found says so; references stay beside a set."""
    browser.press("/cumul")
    assert set(browser.run(NAMES)) == {"cumulative_loss"}
    browser.press("zzz")
    assert browser.run("return document.getElementById('nothing').hidden") is False
    browser.run("document.getElementById('show-all').click()")
    choose(browser, "set", "fast")
    names = browser.run(NAMES)
    assert STRANGE not in names
    assert "random" in names
    choose(browser, "information", "in-sample")
    assert "aum" in browser.run(NAMES)


def test_another_truth_has_its_own_rows(browser: Browser) -> None:
    """Memorization by Spearman's correlation, with the word explained; the address names it."""
    browser.run("document.querySelector('#views button:nth-child(2)').click()")
    assert browser.run("return document.getElementById('table-title').textContent").startswith(
        "Memorization, by Spearman"
    )
    assert "Feldman and Zhang" in browser.run("return document.getElementById('words').textContent")
    assert browser.run(ADDRESS) == "#truth=memorization-spearman"
    browser.reload()
    assert browser.run("return document.querySelector('#views [aria-pressed=true]').textContent") == "memorization"


def test_keys_open_a_row(browser: Browser) -> None:
    """Arrows move, Enter opens, Escape closes and gives the focus back; one row is in the order of Tab."""
    browser.run("document.querySelector('tr.row .detector button').focus()")
    browser.press(DOWN + DOWN + ENTER)
    focused = "return document.activeElement.closest('tr').rowIndex"
    at = browser.run(focused)
    assert browser.run("return document.activeElement.ariaExpanded") == "true"
    assert browser.run("return document.querySelectorAll('tr.row button[tabindex=\"0\"]').length") == 1
    told = browser.run("return document.querySelector('.panel').textContent")
    assert "noisybench evaluate VARIANT --model mlp" in told
    assert "Digest of model, recipe and options" in told
    assert browser.run("return document.querySelectorAll('.panel figure:not([hidden]) svg').length") > 0
    assert browser.run("return document.querySelectorAll('.panel .classes tbody tr').length") == 3
    assert "open=" in browser.run(ADDRESS)
    browser.press(ESCAPE)
    assert browser.run("return document.querySelector('.panel')") is None
    assert browser.run(focused) == at
    browser.press(END)
    assert browser.run("return document.activeElement.textContent") == browser.run(NAMES)[-1]


def test_an_address_opens_what_was_open(browser: Browser) -> None:
    """A view that is sent on: filters, order and the open row."""
    choose(browser, "noise", "symmetric")
    browser.run("document.querySelectorAll('tr.row .detector button')[2].click()")
    values, title = browser.run(CELLS, "value"), browser.run("return document.querySelector('.panel h3').textContent")
    browser.reload()
    assert browser.run(CELLS, "value") == values
    assert browser.run("return document.querySelector('.panel h3').textContent") == title


@pytest.mark.parametrize("dark", [False, True])
def test_no_width_scrolls_sideways(browser: Browser, page: Path, *, dark: bool) -> None:
    """Not at 1440, 800 or 400 pixels, closed or open, whatever the names; rank, detector and value stay."""
    for size in (WIDE, (800, 900), NARROW):
        browser.show(page, size, dark=dark)
        assert browser.run(FITS)
        browser.run("document.querySelectorAll('tr.row')[4].click()")
        assert browser.run(FITS)
        seen = browser.run(
            "return [...document.querySelectorAll('#rows > thead th')].filter((one) => one.offsetParent).map((one) => one.dataset.name)"
        )
        assert seen[:3] == ["rank", "detector", "mean"]
    assert seen == ["rank", "detector", "mean"]


def test_it_prints_whole(browser: Browser) -> None:
    """Without filters and details, every column, in black on white."""
    browser.run("document.querySelector('tr.row').click()")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    style = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    for part in (".bar", "tr.details"):
        assert browser.run(style, part, "display") == "none"
    assert browser.run(style, "body", "backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run(style, "tr.row .detector button", "color") == "rgb(0, 0, 0)"
    hidden = "return [...document.querySelectorAll('#rows > thead th')].filter((one) => getComputedStyle(one).display === 'none').length"
    assert browser.run(hidden) == 0
    printed = browser.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"]
    assert base64.b64decode(printed).startswith(b"%PDF")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_page_of_one_setting_has_no_filter_of_it(browser: Browser, page: Path, tmp_path: Path) -> None:
    """What there is one of is not asked for."""
    runs = next(one for one in sorted(page.with_name("runs").iterdir()) if "pair_flip" in one.name)
    path = tmp_path / "one.html"
    path.write_text(leaderboard_page(runs), encoding="utf-8")
    browser.show(path)
    assert browser.run("return document.getElementById('noise').closest('label').hidden")
    assert browser.run(NAMES)[0] == "aum"
