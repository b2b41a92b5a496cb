"use strict";
/* Charts of the rows of a table: `page.charts.intervals`, `heat` and `pareto`. See page_data.py for what they are given. */
(() => {
  const { element, extent, fitted, known, line, linear, mark, names, shape, text, textWidth, value } = drawing;
  const FORMS = { detector: "circle", control: "square", reference: "diamond" };
  const KINDS = { detector: "detector", control: "control, no rank", reference: "reference, no rank" };
  const BLOCKS = {
    "": "Detectors that saw this data set alone",
    pretrained: "Detectors on features of other data",
    knows_truth: "Detectors that were told something of the truth",
  };
  const MOST_ROWS = 80;

  const entries = () => page.data.entries;
  const chosenView = (data, state) => ({ view: data.views[state.view], table: data.views[state.view].tables[state.table] });
  const direction = (view) => (view.higher ? "higher is better" : "lower is better");

  /** What people call each row: its detector, and its learner or source where these differ between the rows. */
  function called(rows, at, withSource = true) {
    const { detector, learner } = entries();
    const entry = at.map((row) => rows.entry[row]);
    const learners = new Set(entry.map((one) => learner[one]).filter((one) => one >= 0));
    const sources = new Set(withSource ? at.map((row) => rows.source[row]) : []);
    return at.map((row, i) => ({
      name: detector[entry[i]],
      more: [
        learners.size > 1 && learner[entry[i]] >= 0 ? page.data.learners.words[learner[entry[i]]] : "",
        sources.size > 1 && rows.source[row] >= 0 ? page.data.sources.name[rows.source[row]] : "",
      ].filter(Boolean).join(", "),
    }));
  }

  const whole = ({ name, more }) => (more ? `${name} · ${more}` : name);

  /** Rows by what they compete with: a heading and their positions, in the order of the table. */
  function grouped(rows, at) {
    const { kind, block } = entries();
    const several = new Set(at.map((row) => rows.source[row])).size > 1;
    const groups = new Map();
    for (const row of at) {
      const entry = rows.entry[row];
      const words = kind[entry] === "detector" ? BLOCKS[block[entry]] : { control: "Controls", reference: "References" }[kind[entry]];
      const source = several && rows.source[row] >= 0 ? `${page.data.sources.name[rows.source[row]]}: ` : "";
      groups.set(source + words, [...(groups.get(source + words) ?? []), row]);
    }
    return [...groups];
  }

  /** How values are drawn: `even`, or `odds`, which draws apart what is near 0 or 1; null where there is no choice. */
  function scaleOf(figure, view, rows, at) {
    const means = at.filter((row) => entries().kind[rows.entry[row]] === "detector").map((row) => rows.mean[row]);
    const near = means.filter((mean) => mean > 0.9 || mean < 0.1).length;
    if (view.bounds[0] !== 0 || view.bounds[1] !== 1 || !near) return null;
    return figure.dataset.scale ?? (near > means.length / 2 ? "odds" : "even");
  }

  const scaleChoice = (figure, scale, again) => drawing.choice("Scale", [["even", "Even scale"], ["odds", "Logit scale"]], scale, (key) => {
    figure.dataset.scale = key;
    again();
  });

  /** The axis of a metric, which holds the values of some rows and `others`. By odds it ends a little beyond the best of them
      but references: a perfect one, and intervals that reach 1, are drawn to its end. */
  function metricAxis(scale, rows, at, others, ends, most) {
    const range = extent([...at.map((row) => rows.mean[row]), ...others]);
    if (scale !== "odds") return linear(range, ends, { most });
    const [worst, best] = extent(at.filter((row) => entries().kind[rows.entry[row]] !== "reference").map((row) => rows.mean[row]));
    return drawing.logit([Math.max(range[0], worst / 3), Math.min(range[1], 1 - (1 - best) / 3)], ends, most);
  }

  // --- intervals and rank sets -------------------------------------------------------------------------------------------

  /** Means with their intervals, best first, and beside them the ranks that each may have. */
  function intervals(figure, data, state) {
    const { view, table } = chosenView(data, state);
    const rows = table.rows;
    const some = state.shown.filter((row) => known(rows.mean[row]));
    const at = some.slice(0, MOST_ROWS);
    if (!at.length) return false;
    const said = new Map(called(rows, at).map((one, i) => [at[i], one]));
    const ranked = at.some((row) => known(rows.rank_low[row]));
    const title = `${view.metric_title} of each row, and its interval.`;
    let words = `Best first; ${direction(view)}.`;
    if (ranked) {
      words += " Filled: may be the best of its block (95 %). On the right its rank, from one more than the rows";
      words += " that are surely better to the last place before those surely worse.";
    }
    if (some.length > at.length) words += ` The first ${MOST_ROWS} of ${page.number(some.length)} rows.`;
    const groups = grouped(rows, at);
    const scaled = scaleOf(figure, view, rows, at);
    const name = scaled === "odds" ? `${view.metric_title} (logit scale)` : view.metric_title;
    if (scaled === "odds") words += " What lies beyond an end of the scale is drawn to it.";
    const controls = scaled ? [scaleChoice(figure, scaled, () => intervals(figure, data, state))] : [];

    function draw(width) {
      const names = at.map((row) => whole(said.get(row)));
      const beside = width >= 620; // names stand beside the marks, else above them
      const column = beside ? Math.min(300, Math.max(...names.map((one) => textWidth(one))) + 14) : 0;
      const [step, head] = [beside ? 21 : 36, 26];
      const ranks = ranked ? Math.max(90, Math.min(220, (width - column) * 0.3)) : 0;
      const panel = [column + 8, width - 12 - (ranked ? ranks + 22 : 0)];
      const chance = known(table.chance) ? [table.chance] : [];
      const x = metricAxis(scaled, rows, at, [...at.flatMap((row) => [rows.low[row], rows.high[row]]), ...chance], panel, Math.max(2, Math.floor((panel[1] - panel[0]) / 62)));
      const greatest = Math.max(2, ...at.map((row) => rows.rank_high[row] ?? 0));
      const r = ranked ? linear([1, greatest], [width - ranks, width - 12], { round: false, most: 4, digits: 0 }) : null;
      if (r) r.ticks = [1, ...r.ticks.filter((tick) => Number.isInteger(tick) && tick > 1)];
      const headings = groups.length > 1;
      const top = 46;
      const bottom = top + at.length * step + (headings ? groups.length * head : 0) + 6;
      const root = shape("svg", { viewBox: `0 0 ${width} ${bottom + 26}`, width, height: bottom + 26 });
      const scales = [[x, panel, name], ...(r ? [[r, [width - ranks, width - 12], "rank"]] : [])];
      for (const [scale, [left, right], name] of scales) {
        const area = { left, right, top: top - 4, bottom };
        root.append(...drawing.ticksBelow(scale, area), text(fitted(name, right - left), left, 13, { kind: "name" }));
        root.append(...drawing.tickWords(scale, top - 12));
      }
      if (chance.length && table.chance >= x.low && table.chance <= x.high) {
        const place = x.at(table.chance);
        root.append(shape("line", { x1: place, x2: place, y1: top - 4, y2: bottom, class: "chance" }, shape("title", {}, `chance: ${value(table.chance)}`)));
      }
      let y = top;
      for (const [heading, members] of groups) {
        if (headings) {
          root.append(text(fitted(heading, width - 8), 0, y + 17, { kind: "heading" }));
          y += head;
        }
        for (const row of members) {
          root.append(one(row, y, x, r));
          y += step;
        }
      }

      function one(row, above, scale, ranking) {
        const line = above + (beside ? step / 2 : 26);
        const entry = rows.entry[row];
        const best = rows.surely_worse[row] === false;
        const kind = `${entries().kind[entry]} ${best ? "best" : "other"}`;
        const [mean, low, high] = [rows.mean[row], rows.low[row], rows.high[row]];
        const name = whole(said.get(row));
        const tells = [`${name}: ${value(mean)}`, known(low) ? `[${value(low)}, ${value(high)}]` : "no interval"];
        if (known(rows.rank[row])) tells.push(`rank ${rows.rank[row]} [${rows.rank_low[row]}, ${rows.rank_high[row]}]`);
        if (!rows.complete[row]) tells.push("incomplete");
        const made = shape("g", { class: "row", "data-row": row }, shape("title", {}, tells.join(", ")));
        made.append(shape("rect", { x: 0, y: above, width, height: step, class: "band" }));
        const room = beside ? column - 10 : width;
        made.append(label(said.get(row), room, above + (beside ? step / 2 + 4 : 14)));
        if (known(low) && known(high)) made.append(shape("line", { x1: scale.at(low), x2: scale.at(high), y1: line, y2: line, class: `interval ${kind}` }));
        made.append(mark(FORMS[entries().kind[entry]], scale.at(mean), line, 4.5, kind));
        if (ranking && known(rows.rank_low[row])) {
          const ends = [ranking.at(rows.rank_low[row]), ranking.at(rows.rank_high[row])];
          made.append(shape("line", { x1: ends[0], x2: ends[1], y1: line, y2: line, class: `ranks ${kind}` }));
          made.append(mark("circle", ranking.at(rows.rank[row]), line, 3.5, kind));
        }
        return drawing.opening(made, entry, state);
      }

      const kinds = [...new Set(at.map((row) => entries().kind[rows.entry[row]]))];
      const signs = kinds.map((kind) => ({ form: FORMS[kind], kind: `${kind} ${kind === "detector" ? "best" : "other"}`, words: KINDS[kind] }));
      if (chance.length) signs.push({ form: "line", kind: "chance", words: `chance, ${value(table.chance, 2)}` });
      return { title, words, controls, entries: signs, root, table: tabled() };
    }

    function tabled() {
      const head = ["row", view.metric_title, "low", "high", "rank", "best rank", "worst rank"];
      const dash = (one) => (known(one) ? String(one) : "–");
      const body = at.map((row) => [
        whole(said.get(row)), value(rows.mean[row], 4), value(rows.low[row], 4), value(rows.high[row], 4),
        dash(rows.rank[row]), dash(rows.rank_low[row]), dash(rows.rank_high[row]),
      ]);
      return { head, rows: body };
    }

    return drawing.into(figure, draw);
  }

  /** The name of a row, and quietly what else tells it from others. */
  function label({ name, more }, room, y) {
    const made = text(fitted(name, room), 0, y, { kind: "row-name" });
    const left = room - textWidth(`${name} · `);
    if (more && left > 24) made.append(shape("tspan", { class: "quiet" }, fitted(` · ${more}`, left + textWidth(" · "))));
    return made;
  }

  // --- families ----------------------------------------------------------------------------------------------------------

  const DIMENSIONS = { noise: "noise", rate: "rate of wrong labels", source: "data set" };

  /** What the columns of `heat` are: what the filters leave open and more than one label column differs in. */
  function dimensionOf(slice) {
    const { slices } = page.data;
    return Object.keys(DIMENSIONS).find((name) => slice[name] < 0 && new Set(columnsOf(name, slice, slices).map((one) => one.table)).size > 1);
  }

  /** Tables along one dimension, the others as the filters choose. */
  function columnsOf(name, slice, slices) {
    const found = [];
    slices.table.forEach((table, i) => {
      const alike = Object.keys(DIMENSIONS).every((other) => other === name || slices[other][i] === slice[other]);
      if (alike && slices[name][i] >= 0) found.push({ at: slices[name][i], table });
    });
    return found;
  }

  /** Whether two rows are of one contestant, on two data sets. */
  function alike(rows, row, other) {
    return rows.entry[row] === rows.entry[other] && rows.truth_learner[row] === rows.truth_learner[other];
  }

  /** A map of numbers: rows against noises (or rates, or data sets), darker where better. */
  function heat(figure, data, state) {
    const { view, table } = chosenView(data, state);
    const { slices, noises, rates, sources } = data;
    const by = dimensionOf(state);
    const kind = (row) => entries().kind[table.rows.entry[row]];
    const at = state.shown.filter((row) => known(table.rows.mean[row]) && kind(row) !== "reference")
      .filter((row, i, all) => by !== "source" || all.findIndex((other) => alike(table.rows, row, other)) === i).slice(0, MOST_ROWS);
    if (!by || !at.length) return false;
    const title = `${view.metric_title} of each row by ${DIMENSIONS[by]}.`;
    const said = called(table.rows, at, by !== "source");
    const columns = columnsOf(by, state, slices);
    const heads = columns.map((column) => ({ noise: noises, rate: rates, source: sources.name })[by][column.at]);
    const cells = columns.map((column) => valuesOf(view.tables[column.table].rows, table.rows, at, by === "source"));
    const ranked = at.map((row, i) => [row, i]).filter(([row]) => kind(row) === "detector").map(([, i]) => i);
    const range = extent(ranked.length ? cells.flatMap((one) => ranked.map((i) => one[i])) : cells.flat());
    const words = `Rows in the order of the table; ${direction(view)}. Stronger colours are better, from ${value(range[0])} to ${value(range[1])}, the detectors' ends.`;

    function draw(width) {
      const labels = said.map(whole);
      const longest = Math.max(...labels.map((one) => textWidth(one))) + 12;
      const beside = width >= 620 || longest + 46 * heads.length <= width; // names stand beside the cells, else above them
      const column = beside ? Math.min(300, longest) : 0;
      const tall = Math.max(...heads.map((one) => Math.min(150, textWidth(one, 11))));
      const turned = tall > Math.min(120, (width - column) / heads.length) - 6;
      const lean = turned ? tall * 0.72 : 0; // what the last name reaches over its column
      const cell = Math.max(44, Math.min(turned ? 80 : 120, (width - column - Math.max(0, lean - 30)) / heads.length));
      const [top, step, above] = [turned ? lean + 16 : 22, beside ? 24 : 46, beside ? 0 : 20];
      const across = Math.max(column + cell * heads.length + Math.max(0, lean - cell / 2 + 8), beside ? 0 : width);
      const root = shape("svg", { viewBox: `0 0 ${across} ${top + at.length * step + 2}`, width: across, height: top + at.length * step + 2 });
      heads.forEach((head, j) => {
        const x = column + (j + 0.5) * cell;
        const short = fitted(head, 150, 11);
        const placed = turned ? { transform: `rotate(-45 ${x} ${top - 8})` } : { anchor: "middle" };
        const name = text(short, x, top - 8, { kind: "tick", ...placed });
        if (short !== head) name.append(shape("title", {}, head));
        root.append(name);
      });
      at.forEach((row, i) => {
        const y = top + i * step;
        root.append(label(said[i], beside ? column - 8 : width, y + (beside ? 16 : 15)));
        heads.forEach((head, j) => {
          const one = cells[j][i];
          const share = known(one) ? Math.min(1, Math.max(0, (one - range[0]) / (range[1] - range[0] || 1))) : 0;
          root.append(heatCell(column + j * cell, y + above, cell, 24, known(one) ? (view.higher ? share : 1 - share) : null, value(one, 3).replace(/^(-?)0\./, "$1."), `${labels[i]}, ${head}: ${value(one, 4)}`));
        });
      });
      return { title, words, root, table: { head: ["row", ...heads], rows: at.map((_, i) => [labels[i], ...cells.map((one) => value(one[i], 4))]) } };
    }

    return drawing.into(figure, draw);
  }

  /** A cell of a map: its colour by a share of 0 to 1, its number, and its words for a pointer. */
  function heatCell(x, y, width, height, share, number, words) {
    const box = shape("rect", { x: x + 1, y: y + 1, width: width - 2, height: height - 2, rx: 3, class: share === null ? "heat none" : "heat" });
    if (share !== null) box.style.setProperty("--share", `${Math.round(6 + 94 * share)}%`);
    const said = text(number, x + width / 2, y + height / 2 + 4, { kind: "cell", anchor: "middle" });
    return shape("g", {}, shape("title", {}, words), box, said);
  }

  /** The mean that each of some rows has in another table; null where it has no row there. */
  function valuesOf(there, here, at, anySource) {
    const found = new Map();
    const key = (rows, row) => [rows.entry[row], rows.truth_learner?.[row] ?? -1, anySource ? "" : rows.source[row]].join();
    const loose = (rows, row) => [rows.entry[row], rows.truth_learner?.[row] ?? -1].join();
    const counts = new Map();
    there.entry.forEach((_, row) => {
      found.set(key(there, row), there.mean[row]);
      found.set(`any ${loose(there, row)}`, there.mean[row]);
      counts.set(loose(there, row), (counts.get(loose(there, row)) ?? 0) + 1);
    });
    return at.map((row) => found.get(key(here, row)) ?? (counts.get(loose(here, row)) === 1 ? found.get(`any ${loose(here, row)}`) : null) ?? null);
  }

  // --- cost --------------------------------------------------------------------------------------------------------------

  const COSTS = {
    seconds: ["Time", "time that the detector adds to a run (log scale)", drawing.seconds],
    passes: ["Extra passes", "extra passes over the training set, a run (log scale)", (one) => page.number(Number(one.toPrecision(3)))],
  };

  /** Positions of the rows that no other beats in both cost and value, cheapest first. */
  function front(cost, mean, higher, at) {
    const better = (one, other) => (higher ? one > other : one < other);
    const order = [...at].sort((a, b) => cost[a] - cost[b] || (higher ? mean[b] - mean[a] : mean[a] - mean[b]));
    return order.reduce((kept, row) => (!kept.length || better(mean[row], mean[kept.at(-1)]) ? [...kept, row] : kept), []);
  }

  /** The metric against what a detector costs, and the rows that are best for their cost. */
  function pareto(figure, data, state) {
    const { view, table } = chosenView(data, state);
    const rows = table.rows;
    const priced = (name) => state.shown.filter((row) => known(rows.mean[row]) && known(rows[name][row]) && entries().kind[rows.entry[row]] !== "reference");
    const there = Object.keys(COSTS).filter((name) => priced(name).length);
    const by = there.includes(figure.dataset.cost) ? figure.dataset.cost : there[0];
    if (!by) return false;
    const [, xWords, unit] = COSTS[by];
    const costs = rows[by];
    const at = priced(by);
    const said = new Map(called(rows, at).map((one, i) => [at[i], whole(one)]));
    const title = `${view.metric_title} against cost.`;
    const words = `Joined by the line: rows that no other beats in both, the Pareto front; ${direction(view)}.`;
    const best = front(costs, rows.mean, view.higher, at);
    const again = () => pareto(figure, data, state);
    const scaled = scaleOf(figure, view, rows, at);
    const controls = there.length > 1 ? [drawing.choice("Cost", there.map((one) => [one, COSTS[one][0]]), by, (key) => {
      figure.dataset.cost = key;
      again();
    })] : [];
    if (scaled) controls.push(scaleChoice(figure, scaled, again));

    function draw(width) {
      const positive = at.map((row) => costs[row]).filter((one) => one > 0);
      const [low, high] = positive.length ? extent(positive) : [1, 1];
      const log = by === "passes"
        ? (ends) => withZero(Math.max(1, high), ends)
        : (ends) => drawing.logarithmic([low, high], ends, unit, Math.floor(width / 90));
      const height = width < 520 ? 330 : 400;
      const { root, x, y, area } = drawing.axes({
        width, height, xWords, yWords: scaled === "odds" ? `${view.metric_title} (logit scale)` : view.metric_title, makeX: log,
        makeY: (ends) => metricAxis(scaled, rows, at, [], ends, 6),
      });
      const place = (row) => [x.at(costs[row]), y.at(rows.mean[row])];
      const steps = best.flatMap((row, i) => (i ? [[place(row)[0], place(best[i - 1])[1]], place(row)] : [place(row)]));
      steps.push([area.right, steps.at(-1)[1]]);
      root.append(line(steps, "front"));
      const onFront = new Set(best);
      for (const row of [...at].sort((a, b) => onFront.has(a) - onFront.has(b))) {
        const kind = entries().kind[rows.entry[row]];
        const tells = `${said.get(row)}: ${value(rows.mean[row])}, ${drawing.seconds(rows.seconds[row])}, ${known(rows.passes[row]) ? `${value(rows.passes[row], 1)} extra passes` : "passes unknown"}`;
        const made = mark(FORMS[kind], ...place(row), 4.5, `${kind} ${onFront.has(row) ? "best" : "other"}`, tells);
        made.dataset.row = row;
        root.append(drawing.opening(made, rows.entry[row], state));
      }
      const labelled = [...best].sort((a, b) => (view.higher ? rows.mean[b] - rows.mean[a] : rows.mean[a] - rows.mean[b]));
      const taken = at.filter((row) => !onFront.has(row)).map((row) => [place(row)[0] - 4, place(row)[1] - 4, place(row)[0] + 4, place(row)[1] + 4]);
      steps.slice(1).forEach(([right, below], i) => taken.push([steps[i][0], Math.min(below, steps[i][1]) - 1, right, Math.max(below, steps[i][1]) + 1]));
      root.append(...names(labelled.map((row) => ({ x: place(row)[0], y: place(row)[1], words: fitted(said.get(row), 240, 11) })), area, taken));
      const signs = [
        { form: "circle", kind: "detector best", words: "on the front" },
        { form: "circle", kind: "detector other", words: "another is better and costs no more" },
      ];
      if (at.some((row) => entries().kind[rows.entry[row]] === "control")) signs.push({ form: "square", kind: "control other", words: "control" });
      const order = [...at].sort((a, b) => costs[a] - costs[b]);
      return {
        title, words, controls, entries: signs, root,
        table: {
          head: ["row", view.metric_title, "time", "extra passes", "on the front"],
          rows: order.map((row) => [said.get(row), value(rows.mean[row], 4), drawing.seconds(rows.seconds[row]), value(rows.passes[row], 1), onFront.has(row) ? "yes" : "no"]),
        },
      };
    }

    return drawing.into(figure, draw);
  }

  /** Whole counts from none on, by the logarithm of one more. */
  function withZero(high, [from, to]) {
    const ticks = [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000].filter((tick) => tick <= high);
    return { low: 0, high, ticks, at: (one) => from + (Math.log1p(one) / Math.log1p(high)) * (to - from), words: page.number };
  }

  Object.assign(page.charts, { intervals, heat, pareto });
})();
