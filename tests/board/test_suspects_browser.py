"""The page of suspects in a real browser, from disk: decided by keys, filtered, kept, saved, loaded again."""

import csv
import io
import re
import time
from pathlib import Path

import numpy as np
import pytest
from browser import NARROW, WIDE, Browser

from noisybench.board.suspects_page import PageItem, suspects_page
from noisybench.ground.html.pictures import thumbnail

pytestmark = pytest.mark.browser

VARIANT, OTHER = "0f" * 32, "1e" * 32
HEAD = f"# noisybench corrections, variant_id={VARIANT}\nsample,name,given,corrected,action\n"
NAMES = (
    '=cmd|"/c calc"!A1, and\nmore </script><img src=x onerror="window.broken=1">', "שלום 🙂", "x" * 5000, "", "-1", " a ",
)  # fmt: skip
CLASSES = ("cat", 'a "dog", or so', "-1", "<b>דג</b>")
FIRST, SAVE = "0f0f0f0f", "document.getElementById('save').click()"
STATES = "return [...document.querySelectorAll('.item')].map((item) => item.dataset.action ?? '').join(' ')"
SHOWN = "return [...document.querySelectorAll('.item')].map((item) => Number(item.dataset.at))"
COUNTS = "return [...document.querySelectorAll('#states b')].map((count) => count.textContent).join(' ')"


@pytest.fixture(autouse=True)
def nothing_kept(browser: Browser, page: Path) -> None:
    """No test sees what another one decided, nor faults of its page."""
    browser.show(page)
    browser.run("localStorage.clear()")
    browser.faults()


def items() -> list[PageItem]:
    """Six samples: with names that break what is not escaped, one without a suggestion, the last two below the cut."""
    return [
        PageItem(
            10 * i, name, i % 4, -1 if i == 3 else (i + 1) % 4, 1 - i / 10, flagged=i < 4, text=f"text {i}\n{name}"
        )
        for i, name in enumerate(NAMES)
    ]


def write(path: Path, some: list[PageItem], variant: str = VARIANT, **options: str | None) -> Path:
    text = suspects_page(
        title="t",
        variant_id=variant,
        source_name="table:a.csv",
        class_names=CLASSES,
        items=some,
        audit=options.get("audit"),
    )
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("page") / "suspects.html", items())


def rows(content: bytes) -> list[list[str]]:
    """The rows of a file below its first line, as Python's csv reads them."""
    _, rest = content.decode().split("\n", 1)
    return list(csv.reader(io.StringIO(rest, newline=""), strict=True))


def load(browser: Browser, path: Path) -> str:
    """Give the page a file as a person does, and what it says then."""
    browser.run("document.getElementById('status').textContent = ''")
    browser.driver.find_element("id", "file").send_keys(str(path))
    said: str = browser.wait("return document.getElementById('status').textContent")
    return said


def test_keys_decide_and_the_file_says_so(browser: Browser, page: Path) -> None:
    """Each key decides and goes on; the csv is parsed by Python, whatever the names hold."""
    browser.show(page)
    browser.press("ardju")  # takes back the drop
    assert browser.run(STATES) == "accept keep    "
    assert browser.run("return document.activeElement.dataset.at") == "2"
    browser.press("dra")  # of the fourth nothing is suggested, so that it is kept
    browser.run(SAVE)
    content = browser.saved(f"corrections-{FIRST}.csv")
    assert content.decode().startswith(HEAD)
    assert rows(content)[1:] == [
        ["0", "'" + NAMES[0], "cat", CLASSES[1], "accept"],  # behind an apostrophe, so that no spreadsheet computes it
        ["10", NAMES[1], CLASSES[1], "", "keep"],
        ["20", NAMES[2], "'-1", "", "drop"],
        ["30", "", CLASSES[3], "", "keep"],
        ["40", "'-1", "cat", CLASSES[1], "accept"],
    ]
    assert browser.faults() == []


def test_names_are_text_and_nothing_else(browser: Browser, page: Path) -> None:
    """What looks like a tag is shown as it is written; the longest name is there as a whole, and breaks no layout."""
    for size in (WIDE, NARROW):
        browser.show(page, size)
        shown = browser.run("return [...document.querySelectorAll('.item .name')].map((name) => name.textContent)")
        assert shown == [name or "sample 30" for name in NAMES]
        assert browser.run("return document.querySelectorAll('.item img, .item b').length") == 0
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.run("return window.broken") is None
    assert browser.faults() == []


def test_another_class_is_chosen(browser: Browser, page: Path) -> None:
    """Choosing accepts it; where nothing is suggested, accepting asks for a class first."""
    browser.show(page)
    browser.press("c")
    assert browser.run("return [...document.activeElement.options].map((one) => one.text)") == list(CLASSES[1:])
    browser.run(
        "const e = document.activeElement; e.value = '3'; e.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    assert browser.run(STATES) == "accept     "
    browser.press("\ue00c")  # escape: back to the item
    browser.press("jjja")
    assert "Choose a class" in browser.run("return document.getElementById('status').textContent")
    assert browser.run(STATES) == "accept     "
    browser.run(SAVE)
    assert rows(browser.saved(f"corrections-{FIRST}.csv"))[1:] == [["0", "'" + NAMES[0], "cat", CLASSES[3], "accept"]]


def test_a_reload_loses_nothing(browser: Browser, page: Path) -> None:
    """Decisions stand as they stood, and the first undecided one is current; another page of the labels has them too."""
    browser.show(page)
    browser.press("ard")
    browser.reload()
    assert browser.run(STATES) == "accept keep drop   "
    assert browser.run("return document.querySelector('[aria-current=true]').dataset.at") == "3"
    browser.show(write(page.with_name("fewer.html"), items()[1:2]))
    assert browser.run(STATES) == "keep"
    browser.run(SAVE)  # keeps what that page does not show
    assert [row[0] for row in rows(browser.saved(f"corrections-{FIRST}.csv"))[1:]] == ["0", "10", "20"]
    browser.show(write(page.with_name("other.html"), items(), OTHER))
    assert browser.run(STATES) == "     "


def test_a_saved_file_comes_back(browser: Browser, page: Path, tmp_path: Path) -> None:
    """Also as a spreadsheet saves it; one undo takes all of it back."""
    browser.show(page)
    browser.press("ardra")
    browser.run(SAVE)
    content = browser.saved(f"corrections-{FIRST}.csv")
    stream = io.StringIO()
    csv.writer(stream, delimiter=";").writerows(rows(content))
    stream.write("50;;x;;\r\n")  # a row that nobody decided
    by_spreadsheet = f'\ufeff"{HEAD.splitlines()[0]}";;;\r\n{stream.getvalue()}'.encode()
    for number, form in enumerate((content, by_spreadsheet)):
        browser.run("localStorage.clear()")
        browser.show(page)
        path = tmp_path / f"{number}.csv"
        path.write_bytes(form)
        assert load(browser, path) == "Loaded 5 decisions."
        assert browser.run(STATES) == "accept keep drop keep accept "
        browser.run(SAVE)
        assert browser.saved(f"corrections-{FIRST}.csv") == content
    browser.press("u")
    assert browser.run(STATES) == "     "


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD.replace(VARIANT, OTHER), "of other labels (variant 1e1e1e1e1e1e…)"),
        (HEAD.replace("corrections", "audit"), "no file of corrections"),
        ("sample,name\n", "its first line must be “# noisybench corrections"),
        (HEAD.replace("corrected,", ""), "second line of the file must be “sample,name,given,corrected,action”"),
        (HEAD + "x,,cat,-1,accept\n", "Row 1, sample “x”: this is no number of a sample"),
        (HEAD + "0,,cat,-1,accept\n10,,cat,-1,accept\n", 'Row 2, sample “10”: its given label is “a "dog", or so”'),
        (HEAD + "0,,cat,-1,take\n", "the action “take” is not accept, keep or drop"),
        (HEAD + "0,,cat,cow,accept\n", "“cow” is no class of these labels"),
        (HEAD + "0,,cat,cat,accept\n", "its corrected label is the given one"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(browser: Browser, page: Path, tmp_path: Path, text: str, words: str) -> None:
    """It says what is wrong, and nothing of the file is taken."""
    browser.show(page)
    path = tmp_path / "wrong.csv"
    path.write_text(text, encoding="utf-8")
    said = load(browser, path)
    assert words in said
    assert said.endswith("Nothing was loaded.")
    assert browser.run(STATES) == "     "


def test_filters_show_what_they_say(browser: Browser, page: Path) -> None:
    """By decision, by pair of classes and by the cut; what is decided stays in sight until a filter is chosen again."""
    browser.show(page)
    browser.press("ad")
    assert browser.run(COUNTS) == "6 4 1 0 1"
    chip = "document.querySelector('#states [data-state=%s]').click()"
    browser.run(chip % "undecided")
    assert browser.run(SHOWN) == [2, 3, 4, 5]
    browser.press("r")
    assert browser.run(SHOWN) == [2, 3, 4, 5]
    browser.run(chip % "undecided")
    assert browser.run(SHOWN) == [3, 4, 5]
    browser.run(chip % "accept")
    assert browser.run(SHOWN) == [0]
    browser.run(chip % "all")
    pairs = browser.run("return [...document.querySelectorAll('#pair option')].map((one) => one.text)")
    assert pairs[:2] == ["all pairs", 'cat → a "dog", or so (2)']
    assert "<b>דג</b> → ? (1)" in pairs
    choose = "const e = document.getElementById('pair'); e.selectedIndex = arguments[0]; e.dispatchEvent(new Event('change'))"
    browser.run(choose, 1)
    assert browser.run(SHOWN) == [0, 4]
    assert browser.run(COUNTS) == "2 1 1 0 0"
    browser.run("document.getElementById('cut').click()")
    assert browser.run(SHOWN) == [0]
    browser.run(chip % "drop")
    assert browser.run(SHOWN) == []
    browser.run("document.getElementById('show-all').click()")
    assert browser.run(SHOWN) == [0, 1, 2, 3, 4, 5]


def test_a_mouse_decides_too(browser: Browser, page: Path) -> None:
    """A second press on the same button takes the decision back."""
    browser.show(page, NARROW)
    press = "document.querySelectorAll('.item')[4].querySelector('.answers [data-action=drop]').click()"
    browser.run(press)
    assert browser.run(STATES) == "    drop "
    assert browser.run("return document.querySelector('[aria-current=true]').dataset.at") == "4"
    browser.run(press)
    assert browser.run(STATES) == "     "


def test_keys_of_other_scripts_count_by_their_place(browser: Browser, page: Path) -> None:
    """On a keyboard without Latin letters, the key where ``a`` stands accepts."""
    browser.show(page)
    browser.run("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ф', code: 'KeyA'}))")
    assert browser.run(STATES) == "accept     "


def test_another_tab_of_the_same_labels_is_followed(browser: Browser, page: Path) -> None:
    """What is decided there is seen here, so that neither overwrites the other."""
    browser.show(page)
    browser.press("ar")
    browser.run(
        "const key = Object.keys(localStorage)[0]; const text = localStorage.getItem(key).replace(',accept', ',drop');"
        "localStorage.setItem(key, text); dispatchEvent(new StorageEvent('storage', {key}))"
    )
    assert browser.run(STATES) == "drop keep    "
    assert browser.run(COUNTS) == "6 4 0 1 1"


def test_an_audit_asks_without_telling(browser: Browser, page: Path) -> None:
    """No suspicion, rank or suggestion in sight; right, wrong (of a class or of none), cannot tell, in the same columns."""
    digest = "ab" * 32
    browser.show(write(page.with_name("audit.html"), items(), audit=digest))
    text = browser.run("return document.body.innerText")
    assert not re.search(r"suspicion|#\d|cut|suggest", text)
    assert not browser.run("return document.getElementById('pair').checkVisibility()")
    browser.press("rwtc")
    browser.run(
        "const e = document.activeElement; e.value = '0'; e.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    assert browser.run(STATES) == "keep accept drop accept  "
    browser.run(SAVE)
    content = browser.saved("answers-abababab.csv")
    assert content.decode().startswith(f"# noisybench audit, variant_id={VARIANT}, audit={digest}\n")
    assert [row[3:] for row in rows(content)[1:]] == [["", "keep"], ["", "accept"], ["", "drop"], ["cat", "accept"]]
    browser.reload()
    assert browser.run(STATES) == "keep accept drop accept  "
    assert browser.faults() == []


def test_light_and_dark(browser: Browser, page: Path) -> None:
    """The page follows the colours of the system; text is readable on its ground in both."""
    seen = {}
    for dark in (False, True):
        browser.show(page, dark=dark)
        colours = browser.run(
            "const item = document.querySelector('.item'); return ['.text', '.given', '.name'].map((one) =>"
            " [getComputedStyle(item.querySelector(one)).color, getComputedStyle(item).backgroundColor])"
        )
        assert all(contrast(*pair) > 4.5 for pair in colours)
        seen[dark] = colours[0][1]
    assert luminance(seen[True]) < 0.1
    assert luminance(seen[False]) > 0.9


def luminance(colour: str) -> float:
    """Relative luminance of an ``rgb(…)`` colour, WCAG 2.1."""
    parts = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    high, low = sorted([luminance(one), luminance(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_without_a_place_to_keep_things_the_page_works_and_says_so(browser: Browser, page: Path) -> None:
    """Some browsers keep nothing for files: decisions are then told to be saved."""
    browser.show(page)
    browser.run("Storage.prototype.setItem = () => { throw new Error('full'); }")
    browser.press("a")
    assert browser.run(STATES) == "accept     "
    assert browser.driver.find_element("id", "unkept").text.startswith("This browser keeps no decisions")
    browser.run(SAVE)
    browser.saved(f"corrections-{FIRST}.csv")


def test_two_thousand_pictures_open_and_scroll_from_disk(browser: Browser, tmp_path: Path) -> None:
    """A few groups are laid out at a time; opening, a decision at the end, and scrolling through all of it take little."""
    rng = np.random.default_rng(0)
    some = [thumbnail(rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)) for _ in range(20)]
    many = [PageItem(i, f"{i}.png", i % 4, (i + 1) % 4, 1 - i / 2000, picture=some[i % 20]) for i in range(2000)]
    path = write(tmp_path / "many.html", many, OTHER)
    started = time.monotonic()
    browser.show(path)
    assert browser.run("return document.querySelectorAll('.item').length") >= 48
    assert time.monotonic() - started < 8  # half a second on two busy cores
    frames = browser.driver.execute_async_script(
        "const done = arguments[0]; const gaps = []; let last = performance.now();"
        "function frame() { const now = performance.now(); gaps.push(now - last); last = now; scrollBy(0, 300);"
        "  if (gaps.length < 60) requestAnimationFrame(frame); else done([gaps, scrollY]); }"
        "requestAnimationFrame(frame);"
    )
    assert frames[1] > 15_000
    assert np.median(frames[0]) < 200  # 17 ms on an idle machine, 33 ms on two cores that eight share
    browser.press("\ue010a")  # the end; then accept
    assert browser.wait("return document.querySelector('[data-at=\"1999\"]')?.dataset.action") == "accept"
    seen = browser.wait(
        "const i = document.querySelector('[data-at=\"1999\"] img'); return i.complete && i.naturalWidth"
    )
    assert seen == 32
    loaded = browser.run(
        "return performance.getEntriesByType('resource').filter((one) => !one.name.startsWith('data:'))"
    )
    assert loaded == []
    assert browser.faults() == []


def test_long_names_are_kept_out_of_a_place_that_is_full(browser: Browser, page: Path) -> None:
    """Where a browser has no room for all names, it keeps the decisions without them; the file has them."""
    browser.show(page)
    browser.run(
        "const set = Storage.prototype.setItem; Storage.prototype.setItem = function (key, text) {"
        "  if (text.length > 2000) throw new Error('full'); set.call(this, key, text); }"
    )
    browser.press("ard")
    browser.reload()
    assert browser.run(STATES) == "accept keep drop   "
    browser.run(SAVE)
    assert rows(browser.saved(f"corrections-{FIRST}.csv"))[3][1] == NAMES[2]


def test_an_empty_page_says_so(browser: Browser, tmp_path: Path) -> None:
    """Nothing was suspicious: no filter is to blame, and no key does harm."""
    browser.show(write(tmp_path / "empty.html", [], OTHER))
    browser.press("a\ue010u")
    assert browser.run("return document.getElementById('nothing').innerText") == "There is nothing to decide."
    assert browser.faults() == []


def test_keys_are_for_what_is_in_sight(browser: Browser, tmp_path: Path) -> None:
    """After scrolling away, the first key goes to what is in sight and decides nothing."""
    browser.show(write(tmp_path / "long.html", [PageItem(i, f"{i}", 0, 1, text="a\nb\nc") for i in range(40)], OTHER))
    browser.run("scrollTo(0, 3000)")
    browser.press("d")
    assert browser.run("return document.querySelectorAll('.item[data-action]').length") == 0
    at = int(browser.run("return document.activeElement.dataset.at"))
    assert at > 3
    browser.press("d")
    assert browser.run("return document.querySelector('.item[data-action=drop]').dataset.at") == str(at)
