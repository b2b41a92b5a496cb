"use strict";
/* Charts of runs: `page.charts.histogram`, `curve` and `memorization` of one scored run, `fits` and `regions` of those that
   the filters leave. See page_data.py for what they are given. */
(() => {
  const { SHAPES, extent, known, line, linear, mark, shape, text, textWidth, value } = drawing;
  const SIDES = [
    { key: "right", kind: "right", words: "right labels" },
    { key: "wrong", kind: "wrong", words: "wrong labels" },
  ];
  const percent = (share, digits = 0) => (known(share) ? `${(100 * share).toFixed(digits)} %` : "–");
  const share = (thousandths) => (known(thousandths) ? thousandths / 1000 : null);

  /** What people call a run: its data set, noise and seed. */
  function runWords(run) {
    const { runs, sources, noises, rates } = page.data;
    return `${sources.name[runs.source[run]]}, ${noises[runs.noise[run]]} ${rates[runs.rate[run]]}, draw ${runs.draw[run]}, seed ${runs.seed[run]}`;
  }

  function detailWords(entry, run) {
    return `${page.data.entries.detector[entry]} on ${runWords(run)}`;
  }

  /** Positions of the runs that the filters leave. */
  function runsLeft({ runs }, state) {
    const names = ["source", "noise", "rate", "learner"];
    return runs.learner.map((_, run) => run).filter((run) => names.every((name) => state[name] < 0 || runs[name][run] === state[name]));
  }

  const sum = (numbers) => numbers.reduce((total, one) => total + one, 0);

  // --- one scored run ----------------------------------------------------------------------------------------------------

  /** Scores of wrong and of right labels, each as shares of their own number. */
  function histogram(figure, { details }, { detail }) {
    if (detail < 0) return false;
    const [low, high] = [details.low[detail], details.high[detail]];
    const bars = SIDES.map((side) => ({ ...side, counts: details[side.key][detail], total: sum(details[side.key][detail]) }));
    const title = `Scores of wrong and of right labels: ${detailWords(details.entry[detail], details.run[detail])}.`;
    const words = `${bars.map((one) => `${page.number(one.total)} ${one.words}`).join(", ")}; each kind adds up to 100 %. The outermost bars hold what lies beyond.`;

    function draw(width) {
      const bins = bars[0].counts.length;
      const edge = (k) => low + ((high - low) * k) / bins;
      const most = Math.max(...bars.flatMap((one) => one.counts.map((count) => count / Math.max(1, one.total))));
      const y0 = (ends) => ({ ...linear([0, most], ends, { most: 4 }), words: (one) => percent(one, most < 0.04 ? 1 : 0) });
      const { root, x, y, area } = drawing.axes({
        width, height: width < 520 ? 240 : 280, xWords: "suspicion (higher is more suspicious)", yWords: "share of its kind", gridX: false,
        makeX: (ends) => linear([low, high], ends, { round: false, most: Math.floor(width / 80) }), makeY: y0,
      });
      for (const { counts, total, kind, words: name } of bars) {
        const outline = [[x.at(low), area.bottom]];
        counts.forEach((count, k) => {
          const at = y.at(count / Math.max(1, total));
          outline.push([x.at(edge(k)), at], [x.at(edge(k + 1)), at]);
        });
        outline.push([x.at(high), area.bottom]);
        root.append(line(outline, `filled ${kind}`));
        counts.forEach((count, k) => {
          if (!count) return;
          const top = y.at(count / total);
          const tells = `${name}, ${value(edge(k))} to ${value(edge(k + 1))}: ${page.number(count)} of ${page.number(total)}`;
          root.append(shape("rect", { x: x.at(edge(k)), width: x.at(edge(k + 1)) - x.at(edge(k)), y: top, height: area.bottom - top, class: "touch" }, shape("title", {}, tells)));
        });
      }
      const rows = bars[0].counts.map((count, k) => [value(edge(k), 4), value(edge(k + 1), 4), String(count), String(bars[1].counts[k])]);
      return { title, words, entries: sides(), root, table: { head: ["from", "to", "right labels", "wrong labels"], rows } };
    }
    return drawing.into(figure, draw);
  }

  const sides = () => SIDES.map(({ kind, words }) => ({ form: "line", kind, words }));

  /** ROC and, beside it, precision against recall, with what chance gives. */
  function curve(figure, { details, grids }, { detail }) {
    if (detail < 0) return false;
    const [found, precision] = [details.roc[detail].map(share), details.precision[detail].map(share)];
    const [wrong, right] = SIDES.toReversed().map((side) => sum(details[side.key][detail]));
    const chance = wrong / (wrong + right);
    const title = `ROC and precision by recall: ${detailWords(details.entry[detail], details.run[detail])}.`;
    const words = `AUROC ${value(details.auroc[detail])}. Dotted: chance, where ${percent(chance, 1)} of the labels are wrong.`;

    function draw(width) {
      const two = width >= 420;
      const side = two ? Math.min(380, (width - 24) / 2) : Math.min(width, 380);
      const [wide, tall] = [two ? 2 * side + 24 : side, two ? side : 2 * side + 16];
      const root = shape("svg", { viewBox: `0 0 ${wide} ${tall}`, width: wide, height: tall });
      const unit = (ends) => linear([0, 1], ends, { most: 5, digits: 1 });
      const panel = (xs, ys, xWords, yWords, flat, kind) => {
        const made = drawing.axes({ width: side, height: side, xWords, yWords, makeX: unit, makeY: unit });
        const dashes = flat === null ? [[0, 0], [1, 1]] : [[0, flat], [1, flat]];
        made.root.append(line(dashes.map(([x, y]) => [made.x.at(x), made.y.at(y)]), "chance"));
        made.root.append(line(xs.map((x, i) => [made.x.at(x), made.y.at(ys[i])]), kind));
        return made.root;
      };
      const first = panel(grids.false_alarms, found, "right labels flagged (false alarms)", "wrong labels found", null, "roc");
      const second = panel(grids.recall, precision, "wrong labels found (recall)", "precision", chance, "precision");
      second.setAttribute(two ? "x" : "y", side + (two ? 24 : 16));
      root.append(first, second);
      const rows = grids.false_alarms.map((one, i) => [value(one), value(found[i]), value(grids.recall[i]), value(precision[i])]);
      const signs = [{ form: "line", kind: "roc", words: "this run" }, { form: "line", kind: "chance", words: "chance" }];
      return { title, words, entries: signs, root, table: { head: ["false alarms", "found", "recall", "precision"], rows } };
    }
    return drawing.into(figure, draw);
  }

  // --- learning curves ---------------------------------------------------------------------------------------------------

  const FITS = [
    { key: "clean_fit", kind: "right", words: "right labels fitted" },
    { key: "mislabeled_fit", kind: "wrong", words: "wrong labels fitted" },
  ];
  const MOST_PANELS = 8;
  const MOST_LINES = 40;

  /** Shares of wrong and right labels fitted, epoch by epoch: a panel for each learner, or noise where there is one learner. */
  function fits(figure, data, state) {
    const { curves, runs, learners, noises, words: sentences } = data;
    const wanted = new Set(runsLeft(data, state));
    const at = curves.run.map((_, i) => i).filter((i) => wanted.has(curves.run[i]) && FITS.some(({ key }) => curves[key][i].some(known)));
    if (!at.length) return false;
    const several = new Set(at.map((i) => runs.learner[curves.run[i]])).size > 1;
    const groups = new Map();
    for (const i of at) {
      const run = curves.run[i];
      const key = several ? learners.words[runs.learner[run]] : noises[runs.noise[run]];
      groups.set(key, [...(groups.get(key) ?? []), i]);
    }
    const panels = [...groups].slice(0, MOST_PANELS);
    const title = "Wrong and right labels fitted, epoch by epoch.";
    let words = `Bold: mean of the runs; thin: each run. ${sentences?.mislabeled_fit ?? ""}`;
    if (groups.size > panels.length) words += ` The first ${MOST_PANELS} of ${groups.size} ${several ? "learners" : "noises"}.`;

    function draw(width) {
      const across = Math.max(1, Math.min(panels.length, Math.floor(width / 290), 3));
      const [wide, tall] = [Math.min((width - 20 * (across - 1)) / across, 560), 236];
      const lines = Math.ceil(panels.length / across);
      const size = [across * wide + 20 * (across - 1), lines * tall];
      const root = shape("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, width: size[0], height: size[1] });
      const rows = [];
      panels.forEach(([name, members], k) => {
        const last = Math.max(...members.flatMap((i) => curves.epoch[i]));
        const made = drawing.axes({
          width: wide, height: tall - 12, top: 40, xWords: "epoch", yWords: name, gridX: false,
          makeX: (ends) => linear([0, Math.max(1, last)], ends, { round: false, most: Math.max(1, Math.min(last, Math.floor(wide / 60))) }),
          makeY: (ends) => ({ ...linear([0, 1], ends, { most: 4 }), ticks: [0, 0.25, 0.5, 0.75, 1], words: (one) => percent(one) }),
        });
        made.root.append(text("labels fitted", 0, 29, { kind: "tick" }));
        made.root.setAttribute("x", (k % across) * (wide + 20));
        made.root.setAttribute("y", Math.floor(k / across) * tall);
        const thin = members.length > MOST_LINES ? members.slice(0, MOST_LINES) : members;
        for (const { key, kind, words: what } of FITS) {
          if (members.length > 1) for (const i of thin) made.root.append(line(pointsOf(i, key, made), `${kind} thin`, `${what}: ${runWords(curves.run[i])}`));
          const means = meanOf(members, key);
          made.root.append(line(means.map(([epoch, one]) => [made.x.at(epoch), made.y.at(one)]), `${kind} mean`, `${what}, mean of ${members.length} runs: ${percent(means.at(-1)?.[1], 1)} at the end`));
          if (means.length === 1) made.root.append(mark(kind === "wrong" ? "triangle" : "circle", made.x.at(means[0][0]), made.y.at(means[0][1]), 4, kind));
          for (const [epoch, one] of means) rows.push([name, what, String(epoch), percent(one, 1)]);
        }
        root.append(made.root);
      });
      const signs = FITS.map(({ kind, words: what }) => ({ form: "line", kind: `${kind} mean`, words: what }));
      return { title, words, entries: signs, root, table: { head: [several ? "learner" : "noise", "labels", "epoch", "fitted, mean"], rows } };
    }

    function pointsOf(i, key, { x, y }) {
      return curves.epoch[i].map((epoch, j) => [x.at(epoch), known(curves[key][i][j]) ? y.at(share(curves[key][i][j])) : null]);
    }

    /** Mean over some runs at each epoch that all of them have. */
    function meanOf(members, key) {
      const sums = new Map();
      const those = members.filter((i) => curves[key][i].some(known));
      for (const i of those) {
        curves.epoch[i].forEach((epoch, j) => {
          if (!known(curves[key][i][j])) return;
          const [total, count] = sums.get(epoch) ?? [0, 0];
          sums.set(epoch, [total + share(curves[key][i][j]), count + 1]);
        });
      }
      return [...sums].filter(([, [, count]]) => count === those.length).map(([epoch, [total, count]]) => [epoch, total / count]).sort((a, b) => a[0] - b[0]);
    }
    return drawing.into(figure, draw);
  }

  // --- susceptibility ----------------------------------------------------------------------------------------------------

  const REGIONS = ["1 trainable, resistant", "2 trainable, not resistant", "3 not trainable, resistant", "4 neither"];

  /** The region of a model: 0 to 3, of Forouzesh et al. 2023 (arXiv 2212.04461), whose bounds are the means of the models. */
  function regionOf(accuracy, susceptibility, means) {
    return (accuracy >= means.accuracy ? 0 : 2) + (susceptibility <= means.susceptibility ? 0 : 1);
  }

  const mean = (numbers) => (numbers.length ? sum(numbers) / numbers.length : null);

  /** Susceptibility against training accuracy of each run, and the four regions. */
  function regions(figure, data, state) {
    const { runs, learners, words: sentences } = data;
    const at = runsLeft(data, state).filter((run) => known(runs.susceptibility[run]) && known(runs.train_accuracy[run]));
    if (at.length < 2) return false; // regions are relative to the runs shown
    const means = { accuracy: mean(at.map((run) => runs.train_accuracy[run])), susceptibility: mean(at.map((run) => runs.susceptibility[run])) };
    const region = new Map(at.map((run) => [run, regionOf(runs.train_accuracy[run], runs.susceptibility[run], means)]));
    const kinds = [...new Set(at.map((run) => runs.learner[run]))];
    const form = (run) => SHAPES[kinds.indexOf(runs.learner[run]) % SHAPES.length];
    const tint = (run) => `tint${Math.min(kinds.indexOf(runs.learner[run]), SHAPES.length - 1)}`;
    const title = "Susceptibility against training accuracy.";
    const words = `${sentences?.susceptibility ?? ""} The four regions of Forouzesh et al. 2023 meet at the means of the ${at.length} runs shown; region 1, above left, is the one to choose from. Compare runs on the same labels.`;

    function draw(width) {
      const { root, x, y, area } = drawing.axes({
        width, height: width < 520 ? 330 : 400, xWords: "susceptibility at the end, nats", yWords: "training accuracy at the end (on the given labels)",
        makeX: (ends) => linear(extent(at.map((run) => runs.susceptibility[run])), ends, { most: Math.floor(width / 80) }),
        makeY: (ends) => linear(extent(at.map((run) => runs.train_accuracy[run])), ends, { most: 5 }),
      });
      const [across, up] = [x.at(means.susceptibility), y.at(means.accuracy)];
      root.prepend(shape("rect", { x: area.left, y: area.top, width: across - area.left, height: up - area.top, class: "region" }));
      root.append(shape("line", { x1: across, x2: across, y1: area.top, y2: area.bottom, class: "divide" }, shape("title", {}, `mean susceptibility ${value(means.susceptibility, 4)}`)));
      root.append(shape("line", { x1: area.left, x2: area.right, y1: up, y2: up, class: "divide" }, shape("title", {}, `mean training accuracy ${value(means.accuracy, 4)}`)));
      const corners = [[area.left + 4, area.top + 12, "start"], [area.right - 4, area.top + 12, "end"], [area.left + 4, area.bottom - 5, "start"], [area.right - 4, area.bottom - 5, "end"]];
      corners.forEach(([left, base, anchor], k) => {
        const room = (anchor === "start" ? across - area.left : area.right - across) - 8;
        const long = REGIONS[k];
        const short = textWidth(long, 11) <= room ? long : String(k + 1);
        root.append(text(short, left, base, { kind: "corner", anchor }));
      });
      for (const run of at) {
        const tells = `${learners.words[runs.learner[run]]}, ${runWords(run)}: susceptibility ${value(runs.susceptibility[run], 4)}, training accuracy ${percent(runs.train_accuracy[run], 1)}, test accuracy ${percent(runs.test_accuracy[run], 1)}; region ${region.get(run) + 1}`;
        const made = mark(form(run), x.at(runs.susceptibility[run]), y.at(runs.train_accuracy[run]), 4.5, tint(run), tells);
        made.dataset.run = run;
        root.append(made);
      }
      const signs = kinds.slice(0, SHAPES.length).map((learner, k) => ({ form: SHAPES[k], kind: `tint${k}`, words: learners.words[learner] }));
      if (kinds.length > SHAPES.length) signs.push({ form: SHAPES.at(-1), kind: `tint${SHAPES.length - 1}`, words: `and ${kinds.length - SHAPES.length} more` });
      return { title, words, entries: signs, root, table: tabled() };
    }

    function tabled() {
      const head = ["region", "learner", "run", "susceptibility", "training accuracy", "test accuracy", "wrong labels fitted"];
      const summary = REGIONS.map((words, k) => {
        const members = at.filter((run) => region.get(run) === k);
        const of = (name) => mean(members.map((run) => runs[name][run]).filter(known));
        return [words, "mean", `${members.length} runs`, value(of("susceptibility"), 4), percent(of("train_accuracy"), 1), percent(of("test_accuracy"), 1), percent(of("mislabeled_fit"), 1)];
      });
      const body = [...at].sort((a, b) => region.get(a) - region.get(b)).map((run) => [
        String(region.get(run) + 1), learners.words[runs.learner[run]], runWords(run), value(runs.susceptibility[run], 4),
        percent(runs.train_accuracy[run], 1), percent(runs.test_accuracy[run], 1), percent(runs.mislabeled_fit[run], 1),
      ]);
      return { head, rows: [...summary, ...body] };
    }
    return drawing.into(figure, draw);
  }

  // --- memorization ------------------------------------------------------------------------------------------------------

  /** Where right and wrong labels lie by measured memorization and by rank of suspicion, in cells. */
  function memorization(figure, { grids, memorization: maps, words: sentences }, { map }) {
    if (map < 0) return false;
    const [low, high] = [maps.low[map], maps.high[map]];
    const flat = maps.cells[map];
    const kinds = ["right labels", "wrong labels", "labels of unknown truth"];
    const layers = kinds.map((words, k) => ({ words, kind: ["right", "wrong", "unknown"][k], cells: new Map() }));
    for (let i = 0; i < flat.length; i += 4) layers.forEach((layer, k) => flat[i + 1 + k] && layer.cells.set(flat[i], flat[i + 1 + k]));
    const panels = layers.filter((layer) => layer.cells.size);
    const title = `Suspicion against memorization: ${detailWords(maps.entry[map], maps.run[map])}.`;
    const words = `Memorization of ${maps.truth_learner[map]}; Spearman's correlation ${value(maps.spearman[map])}. Cells of a stronger colour hold more samples. ${sentences?.memorization ?? ""}`;

    function draw(width) {
      const across = width >= 560 ? panels.length : 1;
      const side = Math.min(380, (width - 20 * (across - 1)) / across);
      const lines = Math.ceil(panels.length / across);
      const size = [across * side + 20 * (across - 1), lines * (side + 20)];
      const root = shape("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, width: size[0], height: size[1] });
      const rows = [];
      panels.forEach((panel, k) => {
        const total = sum([...panel.cells.values()]);
        const most = Math.max(...panel.cells.values());
        const made = drawing.axes({
          width: side, height: side, top: 44, xWords: "memorization", yWords: `${panel.words}: ${page.number(total)}`, gridX: false,
          makeX: (ends) => linear([low, high], ends, { round: false, most: 4 }),
          makeY: (ends) => ({ ...linear([0, 1], ends, { most: 4 }), ticks: [0, 0.25, 0.5, 0.75, 1], words: (one) => percent(one) }),
        });
        made.root.append(text("rank of suspicion", 0, 30, { kind: "tick" }));
        made.root.setAttribute("x", (k % across) * (side + 20));
        made.root.setAttribute("y", Math.floor(k / across) * (side + 20));
        const [wide, tall] = [(made.area.right - made.area.left) / grids.cells, (made.area.bottom - made.area.top) / grids.cells];
        for (const [cell, count] of panel.cells) {
          const [row, column] = [Math.floor(cell / grids.cells), cell % grids.cells];
          const box = shape("rect", { x: made.area.left + column * wide, y: made.area.bottom - (row + 1) * tall, width: wide, height: tall, class: `density ${panel.kind}` });
          box.style.setProperty("--share", `${Math.round(14 + 86 * Math.sqrt(count / most))}%`);
          const edge = (j) => low + ((high - low) * j) / grids.cells;
          box.append(shape("title", {}, `${page.number(count)} ${panel.words}: memorization ${value(edge(column), 2)} to ${value(edge(column + 1), 2)}, suspicion above ${percent(row / grids.cells)} of the samples`));
          made.root.append(box);
          rows.push([panel.words, value(edge(column), 3), value(edge(column + 1), 3), percent(row / grids.cells, 1), String(count)]);
        }
        root.append(made.root);
      });
      return { title, words, root, table: { head: ["labels", "memorization from", "to", "rank of suspicion from", "samples"], rows } };
    }
    return drawing.into(figure, draw);
  }

  Object.assign(page.charts, { histogram, curve, fits, regions, memorization });
})();
