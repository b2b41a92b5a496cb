"""The charts of the leaderboard's page in a real browser: what is drawn is what the data say, wide and narrow.

The references are the made-up data and numpy: places are read from the SVG and turned back by the ticks that a person reads.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser
from charted import BINS, CELLS, CHARTS, chart_data, write_charts
from numpy.typing import NDArray

pytestmark = pytest.mark.browser

SIZES = {"wide": (1440, 900), "narrow": (400, 800)}
DATA = chart_data()
TABLE = DATA["views"][0]["tables"][0]
ROWS = TABLE["rows"]
KNOWN = [row for row, mean in enumerate(ROWS["mean"]) if mean is not None]
KINDS = [DATA["entries"]["kind"][entry] for entry in ROWS["entry"]]
PRICED = [row for row in KNOWN if KINDS[row] != "reference"]

READ = """
const plot = document.querySelector(`#${arguments[0]} .plot`);
const root = plot.querySelector(".drawing > svg");
const frame = root.getBoundingClientRect();
const box = (one) => { const r = one.getBoundingClientRect(); return [r.x - frame.x, r.y - frame.y, r.width, r.height]; };
const told = (one) => ({
  box: box(one), kind: one.getAttribute("class") ?? "", words: one.tagName === "title" ? "" : one.textContent,
  title: one.querySelector("title")?.textContent ?? "", row: Number(one.closest("[data-row]")?.dataset.row ?? -1),
  run: Number(one.dataset.run ?? -1), turned: one.hasAttribute("transform"), share: one.style.getPropertyValue("--share"),
  panel: [...root.querySelectorAll("svg")].indexOf(one.closest("svg")),
});
const points = (one) => one.getAttribute("d").slice(1).split(/[ML]/).map((pair) => pair.split(" ").map(Number));
return {
  size: [frame.width, frame.height], label: root.getAttribute("aria-label"), role: root.getAttribute("role"),
  caption: plot.parentElement.querySelector("figcaption").textContent,
  texts: [...root.querySelectorAll("text")].map(told), marks: [...root.querySelectorAll(".mark")].map(told),
  rects: [...root.querySelectorAll("rect")].map(told), lines: [...root.querySelectorAll("line")].map(told),
  groups: [...root.querySelectorAll("g")].map((one) => ({ ...told(one), words: one.querySelector("text")?.textContent ?? "" })),
  curves: [...root.querySelectorAll(".curve")].map((one) => ({ ...told(one), points: points(one) })),
};
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_charts(tmp_path_factory.mktemp("charts") / "charts.html", DATA)


@pytest.fixture(scope="module", params=SIZES)
def drawn(request: pytest.FixtureRequest, started_browser: Browser, page: Path) -> dict[str, Any]:
    """Every chart as the browser has drawn it, at one size."""
    browser = started_browser
    browser.faults()  # of an earlier test's page
    browser.show(page, SIZES[request.param])
    charts = {name: browser.run(READ, name) for name in CHARTS}
    assert browser.faults() == []
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    return charts


def middle(one: dict[str, Any]) -> NDArray[np.float64]:
    x, y, width, height = one["box"]
    return np.array([x + width / 2, y + height / 2])


def number(words: str) -> float:
    """A tick's words as a number: ``25 %``, ``10 ms``, ``1,000``."""
    figure, _, unit = words.replace(",", "").partition(" ")
    return float(figure) * {"ms": 1e-3, "µs": 1e-6, "%": 0.01}.get(unit, 1)


def read_axis(texts: list[dict[str, Any]], axis: int, scale: Any = None) -> Any:  # noqa: ANN401
    """Place → value, by a line through the ticks, which must lie on it."""
    places = np.array([middle(one)[axis] for one in texts])
    values = np.array([number(one["words"]) for one in texts])
    values = values if scale is None else scale(values)
    slope, start = np.polyfit(places, values, 1)
    assert np.abs(slope * places + start - values).max() < 3 * abs(slope)  # within three pixels
    return lambda place: slope * place + start, abs(slope)


def ticks(chart: dict[str, Any], *, below: bool, panel: int = -1) -> list[dict[str, Any]]:
    """The ticks of one axis: those of the lowest line, or those above one another."""
    some = [one for one in chart["texts"] if one["kind"] == "tick" and one["panel"] == panel and re.match(r"^-?[\d.,]+( (ms|s|%|µs))?$", one["words"])]  # fmt: skip
    lowest = max(middle(one)[1] for one in some)
    return [one for one in some if (middle(one)[1] > lowest - 4) == below]


def test_every_chart_has_its_words_and_no_two_texts_touch(drawn: dict[str, Any]) -> None:
    """A title and a label for those who do not see it; all text lies within the picture, and none on another."""
    for name, chart in drawn.items():
        assert chart["role"] == "img"
        title, words = chart["caption"].split(". ", 1)
        assert chart["label"].startswith(title)
        assert words in chart["label"]
        assert "table below" in chart["label"]
        straight = [one for one in chart["texts"] if not one["turned"]]
        for i, one in enumerate(straight):
            x, y, width, height = one["box"]
            assert x > -2, (name, one)
            assert x + width < chart["size"][0] + 12, (name, one)
            for other in straight[:i]:
                left, top, wide, tall = other["box"]
                apart = x + width <= left + 1 or left + wide <= x + 1 or y + height <= top + 3 or top + tall <= y + 3
                assert apart, (name, one["words"], other["words"])


def test_intervals_and_ranks_stand_where_the_table_says(drawn: dict[str, Any]) -> None:
    """Means, ends and rank sets of every row with a value, in the order of the table; the chance line; filled is rank 1."""
    chart = drawn["intervals"]
    below = ticks(chart, below=True)
    values, pixel = read_axis([one for one in below if "." in one["words"]], 0)
    places, step = read_axis([one for one in below if "." not in one["words"]], 0)
    groups = [one for one in chart["groups"] if one["kind"].startswith("row")]
    assert [one["row"] for one in groups] == KNOWN
    assert np.all(np.diff([one["box"][1] for one in groups]) > 0)
    chance = next(one for one in chart["lines"] if one["kind"] == "chance")
    assert abs(values(middle(chance)[0]) - 0.5) < 2 * pixel
    for row in KNOWN:
        marks = [one for one in chart["marks"] if one["row"] == row]
        lines = {one["kind"].split()[0]: one["box"] for one in chart["lines"] if one["row"] == row}
        assert abs(values(middle(marks[0])[0]) - ROWS["mean"][row]) < 2 * pixel
        ends = [values(lines["interval"][0]), values(lines["interval"][0] + lines["interval"][2])]
        assert np.abs(np.array(ends) - [ROWS["low"][row], ROWS["high"][row]]).max() < 3 * pixel
        assert ("best" in marks[0]["kind"]) == (ROWS["surely_worse"][row] is False)
        assert len(marks) == 1 + (KINDS[row] == "detector")
        if len(marks) > 1:
            assert abs(places(middle(marks[1])[0]) - ROWS["rank"][row]) < 2 * step
            ends = [places(lines["ranks"][0]), places(lines["ranks"][0] + lines["ranks"][2])]
            assert np.abs(np.array(ends) - [ROWS["rank_low"][row], ROWS["rank_high"][row]]).max() < 3 * step


def test_the_map_holds_the_number_of_every_noise_and_row(drawn: dict[str, Any]) -> None:
    """Its cells are the means of the tables of single noises, and a better one is of a stronger colour."""
    cells = [one for one in drawn["heat"]["groups"] if not one["kind"]]
    found = np.array([float(one["words"]) for one in cells]).reshape(len(PRICED), -1)
    for j, table in enumerate(DATA["views"][0]["tables"][1:]):
        means = dict(zip(table["rows"]["entry"], table["rows"]["mean"], strict=True))
        assert np.abs(found[:, j] - [means[ROWS["entry"][row]] for row in PRICED]).max() < 0.0006
    shares = np.array([float(one["share"][:-1]) for one in drawn["heat"]["rects"]])
    detectors = np.array([KINDS[row] == "detector" for row in PRICED])
    wanted = np.clip((found - found[detectors].min()) / np.ptp(found[detectors]), 0, 1)
    assert np.abs(shares / 100 - (0.06 + 0.94 * wanted.ravel())).max() < 0.01
    heads = [one["words"] for one in drawn["heat"]["texts"] if one["kind"] == "tick"]
    assert heads == DATA["noises"]


def test_cost_joins_the_rows_that_none_beats(drawn: dict[str, Any]) -> None:
    """Marks stand at their seconds and means; the filled ones are the front, by comparing all pairs."""
    chart = drawn["pareto"]
    seconds, wide = read_axis(ticks(chart, below=True), 0, np.log10)
    means, high = read_axis(ticks(chart, below=False), 1)
    assert sorted(one["row"] for one in chart["marks"]) == PRICED
    pairs = {row: (ROWS["seconds"][row], -ROWS["mean"][row]) for row in PRICED}
    for one in chart["marks"]:
        x, y = middle(one)
        assert abs(seconds(x) - np.log10(pairs[one["row"]][0])) < 2 * wide
        assert abs(means(y) + pairs[one["row"]][1]) < 2 * high
        mine = pairs[one["row"]]
        beaten = any(other[0] <= mine[0] and other[1] <= mine[1] and other != mine for other in pairs.values())
        assert ("best" in one["kind"]) == (not beaten)


def test_histogram_and_curves_of_a_run_are_its_numbers(drawn: dict[str, Any]) -> None:
    """Bars are counts by their kind's number; ROC and precision pass through the points of the data."""
    chart, details = drawn["histogram"], DATA["details"]
    shares, pixel = read_axis(ticks(chart, below=False), 1)
    for key in ("right", "wrong"):
        counts = np.array(details[key][0])
        bars = [one for one in chart["rects"] if one["title"].startswith(f"{key} labels")]
        assert len(bars) == np.count_nonzero(counts)
        tops = np.array([shares(one["box"][1]) for one in bars])
        assert np.abs(tops - counts[counts > 0] / counts.sum()).max() < 3 * pixel
        assert len(next(one for one in chart["curves"] if key in one["kind"])["points"]) == 2 * BINS + 2
    for panel, (kind, across, up) in enumerate((("roc", "false_alarms", "roc"), ("precision", "recall", "precision"))):
        curve = next(one for one in drawn["curve"]["curves"] if kind in one["kind"])
        x, wide = read_axis(ticks(drawn["curve"], below=True, panel=panel), 0)
        y, high = read_axis(ticks(drawn["curve"], below=False, panel=panel), 1)
        offset = np.array(curve["box"][:2]) + 1 - np.min(curve["points"], axis=0)  # from the panel to the picture
        places = np.array(curve["points"]) + offset
        assert np.abs(x(places[:, 0]) - DATA["grids"][across]).max() < 3 * wide
        assert np.abs(y(places[:, 1]) - np.array(details[up][0]) / 1000).max() < 3 * high


def test_learning_curves_end_at_the_mean_of_the_runs(drawn: dict[str, Any]) -> None:
    """A panel for each learner, every run thin, and the mean bold, which says where it ends."""
    curves = drawn["fits"]["curves"]
    learner = np.array(DATA["runs"]["learner"])
    assert sum("thin" in one["kind"] for one in curves) == 2 * len(learner)
    for key, kind in (("clean_fit", "right"), ("mislabeled_fit", "wrong")):
        last = np.array([curve[-1] for curve in DATA["curves"][key]]) / 10
        for panel in (0, 1):
            mean = next(one for one in curves if one["panel"] == panel and one["kind"] == f"curve {kind} mean")
            assert mean["title"].endswith(f"{last[learner == panel].mean():.1f} % at the end")
            y, pixel = read_axis(ticks(drawn["fits"], below=False, panel=panel), 1)
            assert abs(y(mean["box"][1] + 1.25) - last[learner == panel].mean() / 100) < 4 * pixel


def test_regions_meet_at_the_means_of_the_runs(drawn: dict[str, Any]) -> None:
    """Marks stand at susceptibility and training accuracy, and name the region that the means make of these."""
    chart, runs = drawn["regions"], DATA["runs"]
    across, up = np.array(runs["susceptibility"]), np.array(runs["train_accuracy"])
    x, wide = read_axis(ticks(chart, below=True), 0)
    y, high = read_axis(ticks(chart, below=False), 1)
    assert sorted(one["run"] for one in chart["marks"]) == list(range(len(across)))
    for one in chart["marks"]:
        run = one["run"]
        assert abs(x(middle(one)[0]) - across[run]) < 2 * wide
        assert abs(y(middle(one)[1]) - up[run]) < 2 * high
        fits, resists = up[run] >= up.mean(), across[run] <= across.mean()
        region = {(True, True): 1, (True, False): 2, (False, True): 3, (False, False): 4}[bool(fits), bool(resists)]
        assert one["title"].endswith(f"region {region}")


def test_the_map_of_memorization_counts_every_sample(drawn: dict[str, Any]) -> None:
    """A cell of either kind for each count that is not zero, at its place, and totals above the panels."""
    chart = drawn["memorization"]
    cells = np.array(DATA["memorization"]["cells"][0]).reshape(-1, 4)
    for panel, (kind, column) in enumerate((("right", 1), ("wrong", 2))):
        held = cells[cells[:, column] > 0]
        boxes = [one for one in chart["rects"] if one["kind"] == f"density {kind}"]
        assert [int(one["title"].split()[0]) for one in boxes] == held[:, column].tolist()
        assert f"{kind} labels: {held[:, column].sum()}" in [one["words"] for one in chart["texts"]]
        y, pixel = read_axis(ticks(chart, below=False, panel=panel), 1)
        ranks = np.array([y(middle(one)[1]) for one in boxes])
        assert np.abs(ranks - (held[:, 0] // CELLS + 0.5) / CELLS).max() < 3 * pixel


def test_a_chart_follows_filters_clicks_and_keys(browser: Browser, page: Path) -> None:
    """Other rows replace those drawn; nothing to draw hides the figure; a click opens a row; a table has the numbers."""
    browser.show(page, SIZES["wide"])
    count = "return document.querySelectorAll('#intervals .row').length"
    browser.wait(count)
    browser.run("document.querySelector('#intervals .row').dispatchEvent(new MouseEvent('click', { bubbles: true }))")
    assert browser.run("return window.opened") == ROWS["entry"][0]
    browser.run("document.querySelector('#intervals [data-key=odds]').click()")
    assert "logit scale" in browser.wait("return document.querySelector('#intervals .drawing').textContent")
    chart = browser.run(READ, "intervals")
    odds, pixel = read_axis(
        [one for one in ticks(chart, below=True) if "." in one["words"]], 0, lambda p: np.log(p / (1 - p))
    )
    for row in KNOWN:
        place = next(middle(one)[0] for one in chart["marks"] if one["row"] == row)
        assert abs(odds(place) - np.log(ROWS["mean"][row] / (1 - ROWS["mean"][row]))) < 2 * pixel
    browser.run("state.shown = [3, 5, 7]; draw()")
    assert browser.wait(f"{count} === 3")
    summary = browser.driver.find_element("css selector", "#intervals summary")
    browser.run("arguments[0].focus()", summary)
    browser.press("\ue007")  # Enter
    rows = browser.wait("const rows = [...document.querySelectorAll('#intervals tbody tr')]; return rows.length && rows.map((row) => [...row.cells].map((cell) => cell.textContent))")  # fmt: skip
    assert [row[1:3] for row in rows] == [[f"{ROWS['mean'][row]:.4f}", f"{ROWS['low'][row]:.4f}"] for row in (3, 5, 7)]
    browser.run("document.querySelectorAll('#pareto .choice button')[1].click()")
    assert browser.run("return document.activeElement.textContent") == "Extra passes"
    assert "extra passes" in browser.run("return document.querySelector('#pareto .drawing').textContent")
    browser.run("""
      const { rows } = state, double = (one) => one.concat(one);
      const split = (source) => ({ rows: { ...rows, source: rows.source.map(() => source) } });
      const both = Object.fromEntries(Object.entries(rows).map(([name, one]) => [name, double(one)]));
      both.source = [...split(0).rows.source, ...split(1).rows.source];
      page.data.views[0].tables = [{ chance: 0.5, rows: both }, split(0), split(1)];
      page.data.sources.name = ["digits", "other"];
      page.data.slices = { source: [-1, 0, 1], noise: [-1, -1, -1], rate: [-1, -1, -1], table: [0, 1, 2] };
      state.rows = both;
      state.shown = both.entry.map((_, row) => row);
      draw();
    """)
    chart = browser.run(READ, "heat")
    assert len(chart["groups"]) == 2 * len(PRICED)
    assert [one["words"] for one in chart["texts"] if one["kind"] == "tick"] == ["digits", "other"]
    headings = [one["words"] for one in browser.run(READ, "intervals")["texts"] if one["kind"] == "heading"]
    assert headings[0] == "digits: Detectors that saw this data set alone"
    assert "other: Controls" in headings
    browser.run("state.shown = []; state.detail = state.map = -1; draw()")
    assert browser.run("return [...document.querySelectorAll('figure:not([hidden])')].map((one) => one.id)") == ["fits", "regions"]  # fmt: skip
    assert browser.faults() == []


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_readable_in_light_and_dark(browser: Browser, page: Path, *, dark: bool) -> None:
    """Every colour of text differs from what lies behind it by 4.5 to 1 (WCAG 2.2), in cells of the map too."""
    browser.show(page, SIZES["wide"], dark=dark)
    pairs = browser.run("""
      const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
      const rgb = (colour) => { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); return [...pen.getImageData(0, 0, 1, 1).data]; };
      const fill = (one) => rgb(getComputedStyle(one).fill);
      const sheet = rgb(getComputedStyle(document.body).backgroundColor);
      const behind = (one) => (one.classList.contains("cell") ? fill(one.previousElementSibling) : sheet);
      return [...document.querySelectorAll(".drawing text")].map((one) => [fill(one), behind(one)]);
    """)
    linear = np.array(pairs)[:, :, :3] / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    light = np.sort(linear @ [0.2126, 0.7152, 0.0722], axis=1) + 0.05
    assert (light[:, 1] / light[:, 0]).min() >= 4.5
