"use strict";
/* Scales, axes, marks and legends of the charts, as SVG elements whose colours and fonts come from charts.css.

   No charting library: of those that ship in a wheel, plotly (4.8 MB) and Bokeh (1.3 MB, a canvas) colour by inline style or
   by pixels, which neither the page's policy nor its two colour schemes allow, Vega compiles its expressions by eval, and
   d3 (238 kB) has no charts but the scales and ticks below. */
const drawing = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const SHAPES = ["circle", "square", "triangle", "diamond", "plus", "cross"];
  const FONT = 12;

  /** An SVG element with its attributes and what stands in it. */
  function shape(tag, attributes = {}, ...inside) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined) made.setAttribute(name, typeof value === "number" ? Math.round(value * 100) / 100 : value);
    }
    made.append(...inside);
    return made;
  }

  /** An HTML element with its properties and what stands in it. */
  function element(tag, properties = {}, ...inside) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...inside);
    return made;
  }

  // --- numbers and text --------------------------------------------------------------------------------------------------

  const known = (value) => typeof value === "number" && Number.isFinite(value);

  /** A value of a metric: three digits after the point, a dash where it is unknown. */
  const value = (number, digits = 3) => (known(number) ? number.toFixed(digits) : "–");

  /** A time with its unit. */
  function seconds(time) {
    if (!known(time)) return "–";
    const [unit, size] = time >= 1 || time === 0 ? ["s", 1] : time >= 1e-3 ? ["ms", 1e-3] : ["µs", 1e-6];
    return `${page.number(Number((time / size).toPrecision(2)))} ${unit}`;
  }

  const family = getComputedStyle(document.body).fontFamily;
  const rulers = new Map();

  /** Width in pixels that a text takes, in the font of the page. */
  function textWidth(text, size = FONT) {
    if (!rulers.has(size)) {
      rulers.set(size, document.createElement("canvas").getContext("2d"));
      rulers.get(size).font = `${size}px ${family}`;
    }
    return rulers.get(size).measureText(text).width;
  }

  /** A text shortened to a width, with an ellipsis. */
  function fitted(text, width, size = FONT) {
    if (textWidth(text, size) <= width) return text;
    let [low, high] = [0, text.length];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (textWidth(`${text.slice(0, middle)}…`, size) <= width) low = middle;
      else high = middle - 1;
    }
    return `${text.slice(0, low)}…`;
  }

  // --- scales ------------------------------------------------------------------------------------------------------------

  /** Least and greatest of the known values; `[0, 1]` where there is none. */
  function extent(values) {
    let [low, high] = [Infinity, -Infinity];
    for (const one of values) {
      if (!known(one)) continue;
      if (one < low) low = one;
      if (one > high) high = one;
    }
    return low <= high ? [low, high] : [0, 1];
  }

  /** Distance of round ticks, `most` of them at most. */
  function tickStep(span, most) {
    const rough = span / Math.max(1, most);
    const power = 10 ** Math.floor(Math.log10(rough));
    return power * [1, 2, 5, 10].find((times) => times * power >= rough * (1 - 1e-9));
  }

  /** Values as places between `from` and `to`; its ends are widened to round numbers where `round`. */
  function linear([low, high], [from, to], { most = 5, round = true, digits = null } = {}) {
    if (!(high > low)) [low, high] = [low - 0.5, high + 0.5];
    const step = tickStep(high - low, most);
    if (round) [low, high] = [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
    const ticks = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) ticks.push(k * step);
    const places = digits ?? Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    return {
      low, high, ticks,
      at: (one) => from + ((one - low) / (high - low)) * (to - from),
      words: (one) => (Math.abs(one) < step * 1e-9 ? 0 : one).toFixed(places),
    };
  }

  /** Positive values as places, by their logarithm; what is below the first tick stands at the start. */
  function logarithmic([low, high], [from, to], words = String, most = 5) {
    const floor = (one, down) => {
      const power = 10 ** Math.floor(Math.log10(one) + 1e-9);
      return power * (down ? [5, 2, 1] : [1, 2, 5, 10]).find((times) => (down ? times * power <= one * (1 + 1e-9) : times * power >= one * (1 - 1e-9)));
    };
    let [first, last] = [floor(low, true), floor(high, false)];
    if (first === last) [first, last] = [first / 2, last * 2];
    const powers = (times) => {
      const found = [];
      for (let power = Math.floor(Math.log10(first)); 10 ** power <= last; power += 1) found.push(...times.map((one) => one * 10 ** power));
      return found.filter((tick) => tick >= first * (1 - 1e-9) && tick <= last * (1 + 1e-9));
    };
    let ticks = powers([1, 2, 5]);
    if (ticks.length > most + 1) ticks = powers([1]);
    ticks = ticks.filter((_, i) => i % Math.ceil(ticks.length / (most + 1)) === 0);
    const at = (one) => from + (Math.log(Math.max(one, first) / first) / Math.log(last / first)) * (to - from);
    return { low: first, high: last, ticks, at, words: (one) => words(Number(one.toPrecision(6))) };
  }

  const NEAR_ENDS = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4];
  const ODDS_TICKS = [...NEAR_ENDS, 0.5, ...NEAR_ENDS.map((one) => 1 - one).reverse()];

  /** Shares as places, by the logarithm of their odds: what is near 0 or 1 is drawn apart. What lies beyond
      an end, as 0 and 1 always do, stands at it. */
  function logit([low, high], [from, to], most = 5) {
    const odds = (one) => Math.log(one / (1 - one));
    const bound = (one) => Math.min(1 - 1e-4, Math.max(1e-4, one));
    const first = ODDS_TICKS.findLast((tick) => tick <= bound(low) + 1e-12);
    const last = ODDS_TICKS.find((tick) => tick >= bound(high) - 1e-12);
    const [start, end] = first < last ? [first, last] : [first / 2, (1 + last) / 2];
    const at = (one) => from + ((odds(Math.min(end, Math.max(start, one))) - odds(start)) / (odds(end) - odds(start))) * (to - from);
    const ticks = [];
    const room = Math.abs(to - from) / (most + 1);
    for (const tick of ODDS_TICKS.filter((one) => one >= start && one <= end)) {
      if (!ticks.length || Math.abs(at(tick) - at(ticks.at(-1))) >= room) ticks.push(tick);
    }
    return { low: start, high: end, ticks, at, words: (one) => String(Number(one.toFixed(4))) };
  }

  // --- marks -------------------------------------------------------------------------------------------------------------

  /** A mark of some shape and half width, centred; its kind decides its colour in the style. */
  function mark(form, x, y, size, kind, words = "") {
    const r = (number) => Math.round(number * 100) / 100;
    const [left, right, top, bottom] = [r(x - size), r(x + size), r(y - size), r(y + size)];
    const paths = {
      circle: `M${left} ${r(y)}a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0z`,
      square: `M${left} ${top}H${right}V${bottom}H${left}z`,
      triangle: `M${r(x)} ${top}L${right} ${bottom}H${left}z`,
      diamond: `M${r(x)} ${r(y - 1.3 * size)}L${r(x + 1.3 * size)} ${r(y)}L${r(x)} ${r(y + 1.3 * size)}L${r(x - 1.3 * size)} ${r(y)}z`,
      plus: `M${left} ${r(y)}H${right}M${r(x)} ${top}V${bottom}`,
      cross: `M${left} ${top}L${right} ${bottom}M${left} ${bottom}L${right} ${top}`,
    };
    const made = shape("path", { d: paths[form], class: `mark ${kind}` });
    if (words) made.append(shape("title", {}, words));
    return made;
  }

  /** A line through points `[x, y]`, broken where one is unknown. */
  function line(points, kind, words = "") {
    let path = "";
    let down = false;
    for (const [x, y] of points) {
      if (known(x) && known(y)) path += `${down ? "L" : "M"}${Math.round(x * 10) / 10} ${Math.round(y * 10) / 10}`;
      down = known(x) && known(y);
    }
    const made = shape("path", { d: path, class: `curve ${kind}` });
    if (words) made.append(shape("title", {}, words));
    return made;
  }

  function text(words, x, y, { kind = "", anchor = "start", ...rest } = {}) {
    return shape("text", { x, y, class: kind || undefined, "text-anchor": anchor, ...rest }, words);
  }

  // --- axes --------------------------------------------------------------------------------------------------------------

  /** The empty picture: grid, ticks and names of both axes around an area of `right - left` by `bottom - top`.

      `makeX` and `makeY` get the ends of the area and give a scale. The name of the upward axis stands above it. */
  function axes({ width, height, makeX, makeY, xWords, yWords, top = 26, right = 14, bottom = 40, gridX = true }) {
    const area = { left: 0, right: width - right, top, bottom: height - bottom };
    const y = makeY([area.bottom, area.top]);
    area.left = 10 + Math.max(...y.ticks.map((tick) => textWidth(y.words(tick), 11)), 10);
    const x = makeX([area.left, area.right]);
    const root = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
    for (const tick of y.ticks) {
      const at = y.at(tick);
      root.append(shape("line", { x1: area.left, x2: area.right, y1: at, y2: at, class: "grid" }));
      root.append(text(y.words(tick), area.left - 6, at + 4, { kind: "tick", anchor: "end" }));
    }
    root.append(...ticksBelow(x, area, gridX));
    root.append(text(fitted(yWords, width, 12), 0, 13, { kind: "name" }));
    root.append(text(fitted(xWords, width, 12), (area.left + area.right) / 2, height - 5, { kind: "name", anchor: "middle" }));
    return { root, x, y, area };
  }

  /** The line of the axis below, with grid and ticks. */
  function ticksBelow(x, area, grid = true) {
    const made = [shape("line", { x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom, class: "axis" })];
    for (const at of grid ? x.ticks.map(x.at) : []) made.push(shape("line", { x1: at, x2: at, y1: area.top, y2: area.bottom, class: "grid" }));
    return [...made, ...tickWords(x, area.bottom + 16)];
  }

  /** Words of the ticks of a scale, without those that would touch the ones before. */
  function tickWords(x, y) {
    const made = [];
    let free = -Infinity;
    for (const tick of x.ticks) {
      const [at, half] = [x.at(tick), textWidth(x.words(tick), 11) / 2];
      if (at - half < free) continue;
      free = at + half + 8;
      made.push(text(x.words(tick), at, y, { kind: "tick", anchor: "middle" }));
    }
    return made;
  }

  /** Names beside marks `{x, y, words}`, most important first, each where nothing is yet; those that find no place are left
      out: their marks say the name to a pointer, and the table has it. */
  function names(marks, area, taken = []) {
    const boxes = [...taken, ...marks.map(({ x, y }) => [x - 5, y - 5, x + 5, y + 5])];
    const made = [];
    for (const { x, y, words } of marks) {
      const wide = textWidth(words, 11);
      const places = [
        [x + 8, y + 4], [x - 8 - wide, y + 4], [x - wide / 2, y - 9], [x - wide / 2, y + 18], [x + 7, y - 8], [x + 7, y + 17],
        [x - 7 - wide, y - 8], [x - 7 - wide, y + 17],
      ];
      const fits = ([left, base]) => {
        const box = [left - 1, base - 10, left + wide + 1, base + 3];
        if (box[0] < area.left || box[2] > area.right + 10 || box[1] < area.top - 8 || box[3] > area.bottom) return false;
        return boxes.every((one) => box[2] < one[0] || box[0] > one[2] || box[3] < one[1] || box[1] > one[3]);
      };
      const place = places.find(fits);
      if (!place) continue;
      boxes.push([place[0] - 1, place[1] - 10, place[0] + wide + 1, place[1] + 3]);
      made.push(text(words, place[0], place[1], { kind: "label" }));
    }
    return made;
  }

  // --- figures -----------------------------------------------------------------------------------------------------------

  /** What marks and lines mean, as a list that wraps; an entry is `{form, kind, words}` or `{curve, words}`. */
  function legend(entries) {
    const list = element("ul", { className: "legend" });
    for (const { form, kind, words } of entries) {
      const sign = shape("svg", { viewBox: "0 0 22 14", width: 22, height: 14, "aria-hidden": "true" });
      sign.append(form === "line" ? line([[1, 7], [21, 7]], kind) : mark(form, 11, 7, 4.5, kind));
      list.append(element("li", {}, sign, words));
    }
    return list;
  }

  /** Buttons of which one is chosen: `options` are pairs of key and words. */
  function choice(label, options, chosen, choose) {
    const made = element("div", { className: "choice", role: "group", ariaLabel: label });
    for (const [key, words] of options) {
      const button = element("button", { type: "button", textContent: words, ariaPressed: String(key === chosen) });
      button.dataset.key = key;
      button.addEventListener("click", () => {
        const plot = made.closest(".plot");
        choose(key);
        queueMicrotask(() => plot.querySelector(`.choice [data-key="${key}"]`).focus()); // behind the drawing
      });
      made.append(button);
    }
    return made;
  }

  /** A table of the numbers, made when it is opened first. */
  function numbers({ head, rows }) {
    const details = element("details", { className: "numbers" }, element("summary", { textContent: "The numbers as a table" }));
    details.addEventListener("toggle", () => {
      if (details.querySelector("table")) return;
      const line = (cells, tag) => element("tr", {}, ...cells.map((cell) => element(tag, { textContent: cell })));
      const table = element("table", {}, element("thead", {}, line(head, "th")), element("tbody", {}, ...rows.map((row) => line(row, "td"))));
      for (const cell of table.tHead.rows[0].cells) cell.scope = "col";
      details.append(element("div", { className: "scrolls", tabIndex: 0 }, table));
    });
    return details;
  }

  const drawn = new WeakMap();
  const waiting = new Set();
  const resized = new ResizeObserver((entries) => paintAll(entries.map(({ target }) => target)));

  /** Draws charts whose width has changed; every width is read before anything is drawn, so that the page is laid out once. */
  function paintAll(plots) {
    const widths = plots.map((plot) => [plot, plot.clientWidth]);
    for (const [plot, width] of widths) if (width && width !== drawn.get(plot).width) paint(plot, width);
  }

  function paint(plot, width) {
    const state = drawn.get(plot);
    state.width = width;
    const { title, words, controls = [], entries = [], root, table } = state.draw(Math.max(260, width));
    root.setAttribute("role", "img");
    root.setAttribute("aria-label", `${title} ${words} The numbers are in the table below.`);
    const wide = Number(root.getAttribute("width")) > width + 1;
    const drawing = element("div", wide ? { className: "drawing scrolls", tabIndex: 0 } : { className: "drawing" }, root);
    const parts = [...controls, entries.length ? legend(entries) : null, drawing, numbers(table)];
    plot.replaceChildren(...parts.filter(Boolean));
    const name = element("b", { textContent: `${title.replace(/[:.].*$/s, "")}.` });
    plot.parentElement.querySelector("figcaption").replaceChildren(name, " ", element("span", { textContent: words }));
  }

  /** Draws a chart in the plot of a figure in place of what is there, once the script that asks is done, and again when its
      width changes.

      `draw(width)` gives its title, which stands in the caption up to a colon, and a sentence behind it, `controls` above the picture where there are
      any, `entries` of its legend, the picture `root` and the `table` of its numbers (`head`, `rows`). All of the
      title is for those who do not see the picture. */
  function into(figure, draw) {
    const plot = figure.querySelector(".plot");
    if (!drawn.has(plot)) resized.observe(plot);
    drawn.set(plot, { width: 0, draw });
    if (!waiting.size) {
      queueMicrotask(() => {
        paintAll([...waiting]);
        waiting.clear();
      });
    }
    waiting.add(plot);
    return true;
  }

  /** Lets a click on a mark open the details of its contestant. */
  function opening(mark, entry, state) {
    mark.classList.toggle("chosen", entry === state.entry);
    if (!state.open) return mark;
    mark.classList.add("opens");
    mark.addEventListener("click", () => state.open(entry));
    return mark;
  }

  return {
    SHAPES, shape, element, known, value, seconds, textWidth, fitted, extent, linear, logarithmic, logit, mark, line, text, axes,
    ticksBelow, tickWords, names, choice, into, opening,
  };
})();
