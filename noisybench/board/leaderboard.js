"use strict";
/* The leaderboard's page: its table, filters and address. Data as in board/page_data.py. */
(() => {
  const data = page.data;
  const { entries, learners, slices, views, sources, noises, rates } = data;
  const { element, fixed, short, seconds, counted, span, learnerWords, rankWords, valueWords, panel } = page.board;
  const byId = (id) => document.getElementById(id);
  const MOST = 1000; // rows that are shown at once
  const PAUSE = 120; // ms without a key before a search redraws the charts
  const INFORMATION = {
    in_sample: "in-sample", held_out: "held-out", several_trainings: "several trainings", pretrained: "pretrained",
    annotators: "annotators", knows_rate: "knows the rate", knows_clean: "knows clean labels", unknown: "unknown",
  };
  const SETS = ["fast", "standard", "all"]; // each holds the one before
  const GROUPS = {
    "detector": "Detectors that saw the data set alone", "detector pretrained": "Detectors on features of other data",
    "detector knows_truth": "Detectors that know something of the truth", "control": "Controls", "reference": "References",
  };

  /** What charts are given; see page_data.py. */
  const state = {
    view: 0, table: 0, rows: null, shown: [], source: -1, noise: -1, rate: -1, learner: -1, entry: -1, detail: -1, map: -1,
    open: (entry) => openEntry(entry),
  };
  const asked = { information: "", set: "", find: "", sort: "rank", down: false };
  let opened = null; // {row, refresh}
  let whole = false; // whether more than MOST rows are shown

  const table = byId("rows");
  const view = () => views[state.view];
  const rowOf = (at) => table.querySelector(`tr.row[data-at="${at}"]`);

  // --- columns -----------------------------------------------------------------------------------------------------------

  const has = (name) => state.rows[name].some((value) => value !== null && value >= 0);
  /** Whether rows differ in something, but for references, which have none of it. */
  const different = (said) => new Set(state.rows.entry.map((entry, at) => (entries.kind[entry] === "reference" ? null : said(at))).filter((one) => one !== null)).size > 1;
  /** Columns of the table: title, class, what is sorted by, whether the greatest comes first, and the cell. */
  const COLUMNS = {
    rank: { title: () => "rank", words: "Rank and its 95 % confidence set", className: "rank", by: (at) => at, cell: rankCell },
    detector: { title: () => "detector", className: "detector", by: (at) => entries.detector[state.rows.entry[at]], cell: detectorCell },
    mean: { title: () => view().metric_title, className: "value", shown: () => state.rows.mean.some((value) => value !== null), by: (at) => state.rows.mean[at], down: () => view().higher, cell: valueCell },
    learner: { title: () => "learner", className: "learner p2", shown: () => different((at) => learnerWords(state.rows.entry[at])), by: (at) => learnerWords(state.rows.entry[at]), cell: (at) => learnerWords(state.rows.entry[at]) },
    truth: { title: () => "memorization by", className: "truth p3", shown: () => different(truthWords), by: truthWords, cell: truthWords },
    made: { title: () => "made with", className: "made p3", shown: () => different((at) => entries.made_with[state.rows.entry[at]]), by: (at) => entries.made_with[state.rows.entry[at]], cell: (at) => entries.made_with[state.rows.entry[at]] || "–" },
    wrong: { title: () => "wrong labels fitted", className: "number p3", shown: () => has("mislabeled_fit"), by: (at) => state.rows.mislabeled_fit[at], down: () => true, cell: (at) => short(state.rows.mislabeled_fit[at]) },
    right: { title: () => "right labels fitted", className: "number p3", shown: () => has("clean_fit"), by: (at) => state.rows.clean_fit[at], down: () => true, cell: (at) => short(state.rows.clean_fit[at]) },
    susceptibility: { title: () => "suscep­tibility", words: data.words.susceptibility, className: "number p4", shown: () => state.rows.susceptibility.some((value) => value !== null), by: (at) => state.rows.susceptibility[at], down: () => true, cell: (at) => fixed(state.rows.susceptibility[at]) },
    seconds: { title: () => "seconds", words: "Mean time of the detector a run", className: "number p2", shown: () => has("seconds"), by: (at) => state.rows.seconds[at], cell: (at) => seconds(state.rows.seconds[at]) },
    passes: { title: () => "extra passes", words: "Mean extra passes over the training set a run", className: "number p4", shown: () => has("passes"), by: (at) => state.rows.passes[at], cell: (at) => state.rows.passes[at] ?? "–" },
    runs: { title: () => "draws × seeds", className: "number p4", shown: () => different((at) => `${state.rows.variants[at]} ${state.rows.seeds[at]}`), by: (at) => state.rows.variants[at] * state.rows.seeds[at], down: () => true, cell: (at) => `${state.rows.variants[at]} × ${state.rows.seeds[at]}` },
  };
  let columns = [];
  let axis = {};

  function rankCell(at) {
    const [rank, set] = rankWords(state.rows, at);
    return [rank, element("small", "", set)];
  }

  function detectorCell(at) {
    const entry = state.rows.entry[at];
    const button = element("button", "", entries.detector[entry]);
    button.type = "button";
    button.tabIndex = -1;
    button.dir = "auto";
    button.setAttribute("aria-expanded", "false");
    return columns.includes("learner") && entries.learner[entry] >= 0 ? [button, element("span", "under", learnerWords(entry))] : [button];
  }

  function valueCell(at) {
    const { mean, low, high } = state.rows;
    const [value, ...ends] = valueWords(state.rows, at).split(" [");
    const figures = element("span", "figures", value, element("small", "", ends.length ? ` [${ends[0]}` : ""));
    return [element("div", "held", figures, span(mean[at], low[at], high[at], axis))];
  }

  function truthWords(at) {
    const whose = view().truth_learners[state.rows.truth_learner[at]] ?? "–";
    const fits = { true: ", matched", false: ", transferred" }[state.rows.matched[at]] ?? "";
    return whose + fits;
  }

  // --- what is shown -----------------------------------------------------------------------------------------------------

  const groupOf = (entry) => [entries.kind[entry], entries.kind[entry] === "detector" ? entries.block[entry] : ""].filter(Boolean).join(" ");

  function passes(at) {
    const entry = state.rows.entry[at];
    const reference = entries.kind[entry] === "reference";
    const text = [entries.detector[entry], learnerWords(entry), entries.made_with[entry], entries.family[entry], entries.aliases[entry]].join(" ").toLowerCase();
    if (!asked.find.toLowerCase().split(/\s+/).every((word) => text.includes(word))) return false;
    if (reference) return true; // they are what the others are read against
    if (state.learner >= 0 && entries.learner[entry] !== state.learner) return false;
    if (asked.information && !entries.information[entry].includes(asked.information)) return false;
    return !asked.set || (entries.set[entry] !== "" && SETS.indexOf(entries.set[entry]) <= SETS.indexOf(asked.set));
  }

  /** Positions of rows in groups, each sorted; what has no value comes last. */
  function ordered() {
    const held = new Map(); // of each source in turn, the groups in their order
    for (const source of [...new Set(state.rows.source)].sort((a, b) => a - b)) {
      for (const name of Object.keys(GROUPS)) held.set(`${source} ${name}`, []);
    }
    state.rows.entry.forEach((entry, at) => {
      const of = state.rows.source[at];
      if (passes(at)) (held.get(`${of} ${groupOf(entry)}`) ?? held.get(`${of} detector`)).push(at);
    });
    const { by } = COLUMNS[asked.sort];
    const sign = asked.down ? -1 : 1;
    const compare = (one, other) => {
      const [a, b] = [by(one), by(other)];
      if ((a ?? null) === null || (b ?? null) === null) return ((a ?? null) === null) - ((b ?? null) === null);
      return typeof a === "string" ? sign * a.localeCompare(b, "en", { numeric: true }) : sign * (a - b);
    };
    for (const members of held.values()) members.sort((one, other) => compare(one, other) || one - other);
    return [...held].filter(([, members]) => members.length);
  }

  function lookUp() {
    const at = slices.table.findIndex((_, i) => ["source", "noise", "rate"].every((name) => slices[name][i] === state[name]));
    state.table = at < 0 ? 0 : slices.table[at];
    state.rows = view().tables[state.table].rows;
  }

  function line(at) {
    const entry = state.rows.entry[at];
    const made = element("tr", "row");
    made.dataset.at = at;
    made.classList.toggle("ranked", state.rows.rank[at] !== null);
    made.classList.toggle("best", state.rows.surely_worse[at] === false);
    for (const name of columns) {
      const column = COLUMNS[name];
      const cell = element(name === "detector" ? "th" : "td", column.className ?? "");
      if (name === "detector") cell.scope = "row";
      const held = column.cell(at);
      cell.append(...(Array.isArray(held) ? held : [String(held)]));
      made.append(cell);
    }
    made.dataset.key = keyOf(entry);
    return made;
  }

  function header() {
    const made = columns.map((name) => {
      const column = COLUMNS[name];
      const button = element("button", "", column.title());
      button.type = "button";
      button.onclick = () => {
        const first = column.down?.() ?? false;
        asked.down = asked.sort === name ? !asked.down : first;
        asked.sort = name;
        render();
        table.querySelector(`th[data-name="${name}"] button`).focus();
      };
      const cell = element("th", column.className ?? "", button);
      cell.scope = "col";
      cell.dataset.name = name;
      if (column.words) button.title = column.words;
      if (asked.sort === name) cell.setAttribute("aria-sort", asked.down ? "descending" : "ascending");
      return cell;
    });
    table.tHead.rows[0].replaceChildren(...made);
  }

  function scale() {
    const { rows } = state;
    const chance = view().tables[state.table].chance;
    const read = state.shown.filter((at) => entries.kind[rows.entry[at]] !== "reference" && rows.mean[at] !== null);
    const ends = read.flatMap((at) => [rows.low[at] ?? rows.mean[at], rows.high[at] ?? rows.mean[at]]);
    const from = Math.min(...ends, chance ?? Infinity);
    const to = Math.max(...ends, chance ?? -Infinity);
    const room = (to - from) * 0.03 || 0.5;
    axis = { from: from - room, to: to + room, chance };
  }

  function render({ charts = true } = {}) {
    const openKey = opened?.key;
    close({ quiet: true });
    lookUp();
    columns = Object.keys(COLUMNS).filter((name) => COLUMNS[name].shown?.() ?? true);
    if (!columns.includes(asked.sort)) Object.assign(asked, { sort: "rank", down: false });
    const groups = ordered();
    state.shown = groups.flatMap(([, members]) => members);
    scale();
    header();
    let room = whole ? Infinity : MOST;
    const parted = new Set(state.rows.source).size > 1;
    const bodies = groups.map(([name, members]) => {
      const body = element("tbody");
      if (groups.length > 1) {
        const [source, ...group] = name.split(" ");
        const alone = group.length === 1 && !groups.some(([other]) => other.includes("detector "));
        const said = alone && group[0] === "detector" ? "Detectors" : GROUPS[group.join(" ")];
        const title = element("th", "", parted ? `${sources.name[source] ?? "Sources pooled"}: ${said}` : said);
        title.scope = "rowgroup";
        body.append(element("tr", "group", title));
      }
      body.append(...members.slice(0, Math.max(0, room)).map(line));
      room -= members.length;
      return body;
    });
    for (const body of [...table.tBodies]) body.remove();
    table.append(...bodies);
    spread();
    const first = table.querySelector("tr.row .detector button");
    if (first) first.tabIndex = 0;
    byId("nothing").hidden = state.shown.length > 0;
    table.hidden = state.shown.length === 0;
    byId("rest").hidden = room >= 0;
    byId("rest").querySelector("button").textContent = `Show all ${page.number(state.shown.length)} rows`;
    words();
    controls();
    const again = openKey && [...table.querySelectorAll("tr.row")].find((row) => row.dataset.key === openKey);
    if (again) open(again);
    write();
    if (charts) drawAll();
  }

  /** Titles of groups and details are as wide as the columns that a narrow window leaves. */
  function spread() {
    const seen = [...table.tHead.rows[0].cells].filter((cell) => getComputedStyle(cell).display !== "none").length;
    for (const cell of table.querySelectorAll("tr.group > th, tr.details > td")) cell.colSpan = seen;
  }

  function words() {
    const held = view().tables[state.table];
    const nothing = state.rows.mean.every((value) => value === null); // then the caption says why
    byId("table-title").textContent = nothing ? "Detectors" : `${view().title[0].toUpperCase()}${view().title.slice(1)}, by ${view().metric_title}`;
    const chance = held.chance === null ? "" : ` Chance is ${fixed(held.chance).replace(/\.?0+$/, "")}, the dashed line.`;
    const best = state.rows.rank.some((rank) => rank !== null) ? " In colour: may be the best of its block (95 %)." : "";
    const over = `${counted(held.draws, "label column")}, ${counted(held.seeds, "seed")}, ${counted(held.runs, "run")}.`;
    const measured = held.rows.truth_learner.findIndex((learner) => learner >= 0);
    const whose = columns.includes("truth") || measured < 0 ? "" : ` Memorization by ${truthWords(measured)}.`;
    byId("about").textContent = nothing ? `${held.caption} ${over}` : `${view().words}${whose}${chance}${best} ${over}`;
    byId("caption").textContent = nothing ? "" : held.caption;
    const said = { ranks: best !== "", mislabeled_fit: has("mislabeled_fit") || has("clean_fit"), clean_fit: has("clean_fit"), susceptibility: columns.includes("susceptibility"), memorization: view().truth === "memorization" };
    const names = Object.keys(said).filter((name) => said[name]);
    byId("words").replaceChildren(...names.map((name) => element("dd", "", data.words[name] ?? "")));
  }

  // --- filters -----------------------------------------------------------------------------------------------------------

  const CHOICES = { source: sources.name, noise: noises, rate: rates };
  const used = new Set(entries.information.flat());
  const informations = Object.keys(INFORMATION).filter((name) => used.has(name));
  const trained = [...new Set(entries.learner)].filter((learner) => learner >= 0).sort((a, b) => a - b);
  const sets = SETS.filter((name) => entries.set.includes(name));

  function choice(id, options, all = "all") {
    const select = byId(id);
    select.append(new Option(all, ""), ...options.map(([value, said]) => new Option(said, value)));
    select.closest("label").hidden = options.length < 2;
  }

  function controls() {
    byId("views").replaceChildren(
      ...views.map((one, at) => {
        const button = element("button", "", one.title);
        button.type = "button";
        button.setAttribute("aria-pressed", String(at === state.view));
        button.title = one.words;
        button.onclick = () => {
          state.view = at;
          render();
          byId("views").children[at].focus();
        };
        return button;
      }),
    );
    byId("views").hidden = views.length < 2;
    for (const name of Object.keys(CHOICES)) {
      byId(name).value = state[name] < 0 ? "" : String(state[name]);
      for (const option of byId(name).options) {
        const wanted = { source: state.source, noise: state.noise, rate: state.rate, [name]: option.value === "" ? -1 : Number(option.value) };
        option.disabled = !slices.table.some((_, i) => Object.keys(CHOICES).every((one) => slices[one][i] === wanted[one]));
      }
    }
    byId("learner").value = state.learner < 0 ? "" : String(state.learner);
    byId("information").value = asked.information;
    byId("set").value = asked.set;
    if (byId("find").value !== asked.find) byId("find").value = asked.find;
    for (const select of document.querySelectorAll(".filters select")) select.classList.toggle("chosen", select.value !== "");
    const count = [...document.querySelectorAll(".filters select.chosen")].length + (asked.find ? 1 : 0);
    byId("clear").hidden = count === 0;
    byId("more-filters").textContent = count ? `Filters (${count})` : "Filters";
  }

  function clear() {
    Object.assign(state, { source: -1, noise: -1, rate: -1, learner: -1 });
    Object.assign(asked, { information: "", set: "", find: "" });
    render();
    page.say(`All ${page.number(state.shown.length)} rows are shown.`);
  }

  function listen() {
    for (const [name, names] of Object.entries(CHOICES)) choice(name, names.map((said, i) => [String(i), said]));
    choice("learner", trained.map((learner) => [String(learner), learners.words[learner]]));
    choice("information", informations.map((name) => [name, INFORMATION[name]]));
    choice("set", sets.map((name) => [name, name]), "any");
    for (const name of [...Object.keys(CHOICES), "learner"]) {
      byId(name).onchange = (event) => {
        state[name] = event.target.value === "" ? -1 : Number(event.target.value);
        changed();
      };
    }
    for (const name of ["information", "set"]) {
      byId(name).onchange = (event) => {
        asked[name] = event.target.value;
        changed();
      };
    }
    let pause = 0;
    byId("find").oninput = (event) => {
      asked.find = event.target.value.trim();
      changed({ charts: false });
      clearTimeout(pause);
      pause = setTimeout(drawAll, PAUSE);
    };
    byId("clear").onclick = clear;
    byId("show-all").onclick = clear;
    byId("rest").querySelector("button").onclick = () => {
      whole = true;
      render();
    };
    byId("more-filters").onclick = (event) => {
      const open = byId("filters").classList.toggle("open");
      event.target.setAttribute("aria-expanded", String(open));
    };
    table.addEventListener("click", (event) => {
      const row = event.target.closest("tr.row");
      if (row && getSelection().isCollapsed) toggle(row);
    });
    document.addEventListener("keydown", key);
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) !== written) {
        read();
        render();
      }
    });
  }

  function changed(how) {
    render(how);
    page.say(`${counted(state.shown.length, "row")}.`);
  }

  // --- keys and details --------------------------------------------------------------------------------------------------

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const field = event.target.closest("input, select, textarea");
    if (event.key === "Escape") {
      if (field?.id === "find" && asked.find) {
        asked.find = "";
        changed();
      } else if (opened) close();
      return;
    }
    if (event.key === "/" && !field) {
      byId("filters").classList.add("open");
      byId("find").focus();
      event.preventDefault();
      return;
    }
    const row = event.target.closest("tr.row");
    if (!row) return;
    const rows = [...table.querySelectorAll("tr.row")];
    const at = rows.indexOf(row);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + 10, PageUp: at - 10 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    focus(rows[Math.max(0, Math.min(rows.length - 1, to))]);
  }

  function focus(row) {
    for (const button of table.querySelectorAll("tr.row .detector button[tabindex='0']")) button.tabIndex = -1;
    const button = row.querySelector(".detector button");
    button.tabIndex = 0;
    button.focus({ preventScroll: true });
    const { top, bottom } = row.getBoundingClientRect();
    const above = table.tHead.getBoundingClientRect().bottom;
    if (top < above) scrollBy(0, top - above - 4);
    else if (bottom > innerHeight) scrollBy(0, bottom - innerHeight + 4);
  }

  const keyOf = (entry) => {
    const learner = entries.learner[entry];
    return `${entries.detector[entry]}~${learner < 0 ? "" : learners.setup[learner].slice(0, 8)}`;
  };

  function toggle(row) {
    if (opened?.row === row) close();
    else {
      open(row);
      focus(row);
      write();
    }
  }

  function open(row) {
    close({ quiet: true });
    const at = Number(row.dataset.at);
    const [made, refresh] = panel(state.rows, at, view(), state, { close: () => close(), draw });
    const cell = element("td", "", made);
    const held = element("tr", "details", cell);
    held.id = "open-details";
    row.after(held);
    spread();
    row.classList.add("open");
    const button = row.querySelector(".detector button");
    button.setAttribute("aria-expanded", "true");
    button.setAttribute("aria-controls", "open-details");
    state.entry = state.rows.entry[at];
    opened = { row, held, refresh, key: row.dataset.key };
    refresh();
  }

  function close({ quiet = false } = {}) {
    if (!opened) return;
    const { row, held } = opened;
    const inside = held.contains(document.activeElement);
    opened = null;
    state.entry = -1;
    held.remove();
    row.classList.remove("open");
    row.querySelector(".detector button").setAttribute("aria-expanded", "false");
    row.querySelector(".detector button").removeAttribute("aria-controls");
    if (quiet) return;
    if (inside || document.activeElement === document.body) focus(row);
    write();
    drawAll();
  }

  function openEntry(entry) {
    const row = [...table.querySelectorAll("tr.row")].find((one) => state.rows.entry[Number(one.dataset.at)] === entry);
    if (!row) return;
    open(row);
    focus(row);
    row.scrollIntoView({ block: "center" });
    write();
  }

  // --- charts ------------------------------------------------------------------------------------------------------------

  function draw(figure, given) {
    const chart = page.charts[figure.dataset.chart];
    figure.hidden = false; // so that it has a width
    figure.querySelector(".plot").replaceChildren();
    figure.hidden = !chart || chart(figure, data, given) === false;
  }

  function drawAll() {
    const figures = [...document.querySelectorAll("#charts figure")];
    for (const figure of figures) draw(figure, state);
    const jump = (id, said) => {
      const link = element("a", "", said);
      link.href = `#${id}`;
      link.onclick = (event) => {
        event.preventDefault(); // the address holds what is chosen
        byId(id).scrollIntoView();
      };
      return link;
    };
    const seen = figures.filter((figure) => !figure.hidden);
    byId("jumps").replaceChildren(
      jump("table-part", "Table"),
      ...seen.map((figure) => jump(figure.id, figure.dataset.title)),
    );
    byId("jumps").hidden = seen.length === 0;
  }

  let width = 0;
  function follow() {
    const bar = byId("bar");
    const measure = () => document.documentElement.style.setProperty("--under", `${getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0}px`);
    new ResizeObserver(measure).observe(bar);
    measure();
    const again = () => {
      spread();
      drawAll();
      opened?.refresh();
    };
    width = document.body.clientWidth;
    new ResizeObserver(() => {
      if (document.body.clientWidth === width) return;
      width = document.body.clientWidth;
      requestAnimationFrame(again);
    }).observe(document.body);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    for (const when of ["beforeprint", "afterprint"]) addEventListener(when, spread);
  }

  // --- the address -------------------------------------------------------------------------------------------------------

  let written = "";

  /** What is chosen, by names, so that an address means the same on a later page. */
  function write() {
    const said = new URLSearchParams();
    if (state.view) said.set("truth", view().key);
    for (const [name, names] of Object.entries(CHOICES)) if (state[name] >= 0) said.set(name, names[state[name]]);
    if (state.learner >= 0) said.set("learner", learners.setup[state.learner]);
    for (const name of ["information", "set", "find"]) if (asked[name]) said.set(name, asked[name]);
    if (asked.sort !== "rank" || asked.down) said.set("sort", (asked.down ? "-" : "") + asked.sort);
    if (opened) said.set("open", opened.key);
    written = String(said);
    try {
      history.replaceState(null, "", written ? `#${written}` : location.pathname + location.search);
    } catch {
      // a page within another one may have no address
    }
  }

  function read() {
    const said = new URLSearchParams(location.hash.slice(1));
    state.view = Math.max(0, views.findIndex((one) => one.key === said.get("truth")));
    for (const [name, names] of Object.entries(CHOICES)) state[name] = said.has(name) ? names.indexOf(said.get(name)) : -1;
    if (!slices.table.some((_, i) => Object.keys(CHOICES).every((name) => slices[name][i] === state[name]))) {
      Object.assign(state, { source: -1, noise: -1, rate: -1 });
    }
    state.learner = said.has("learner") ? learners.setup.indexOf(said.get("learner")) : -1;
    asked.information = informations.includes(said.get("information")) ? said.get("information") : "";
    asked.set = SETS.includes(said.get("set")) ? said.get("set") : "";
    asked.find = said.get("find") ?? "";
    const sort = said.get("sort") ?? "rank";
    asked.down = sort.startsWith("-");
    asked.sort = sort.replace(/^-/, "") in COLUMNS ? sort.replace(/^-/, "") : "rank";
    toOpen = said.get("open");
  }

  let toOpen = null;
  listen();
  follow();
  read();
  const first = toOpen;
  render();
  const row = first && [...table.querySelectorAll("tr.row")].find((one) => one.dataset.key === first);
  if (row) {
    open(row);
    write();
    row.scrollIntoView({ block: "center" });
  }
})();
