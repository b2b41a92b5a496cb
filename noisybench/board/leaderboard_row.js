"use strict";
/* What the leaderboard's page says of one row: its numbers in words, and its details. */
page.board = (() => {
  const { entries, learners, runs, details, memorization, sources, noises, rates, words } = page.data;
  const NONE = "–";

  /** An element with a class and text, or with children. */
  function element(name, className = "", ...children) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }

  /** A value of three decimals, or in powers of ten where those show nothing. */
  function fixed(value) {
    if (value === null || value === undefined) return NONE;
    return value === 0 || Math.abs(value) >= 1e-3 ? value.toFixed(3) : value.toExponential(1);
  }

  const short = (value) => (value === null || value === undefined ? NONE : value.toFixed(2));
  const counted = (count, noun) => `${page.number(count)} ${noun}${count === 1 ? "" : "s"}`;

  /** Seconds with three digits that count. */
  function seconds(value) {
    if (value === null || value === undefined) return NONE;
    return value >= 100 ? page.number(Math.round(value)) : String(Number(value.toPrecision(value < 1 ? 2 : 3)));
  }

  /** A dot in its interval, on an axis from `from` to `to`, with a line at `chance`. */
  function span(value, low, high, { from, to, chance }) {
    const made = element("span", "span");
    made.setAttribute("aria-hidden", "true");
    const place = (x) => `${Math.max(0, Math.min(100, ((x - from) / (to - from)) * 100))}%`;
    if (chance !== null && chance !== undefined) {
      const line = element("u");
      line.style.left = place(chance);
      made.append(line);
    }
    if (value === null) return made;
    if (low !== null && high !== null) {
      const bar = element("i");
      bar.style.left = place(low);
      bar.style.right = `calc(100% - ${place(high)})`;
      made.append(bar);
    }
    const dot = element("b");
    dot.style.left = place(value);
    made.append(dot);
    return made;
  }

  const learnerWords = (entry) => (entries.learner[entry] < 0 ? NONE : learners.words[entries.learner[entry]]);

  function rankWords(rows, at) {
    if (rows.rank[at] !== null) return [String(rows.rank[at]), ` [${rows.rank_low[at]}, ${rows.rank_high[at]}]`];
    const kind = entries.kind[rows.entry[at]];
    if (kind !== "detector") return [NONE, ""];
    return rows.complete[at] || rows.mean[at] === null ? [NONE, ""] : ["", "incomplete"]; // small, as the column is narrow
  }

  /** The command that makes a row's runs; empty where nobody knows it. */
  function command(entry) {
    const learner = entries.learner[entry];
    if (learner < 0 || entries.kind[entry] === "reference" || !learners.command[learner]) return "";
    return learners.command[learner] + entries.asked[entry];
  }

  /** Copies text, also where a page from disk may not use the clipboard. */
  async function copy(text, where) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(where);
      if (!document.execCommand("copy")) {
        page.say("Select it and copy.", { seen: true });
        return;
      }
    }
    page.say("Copied.", { seen: true });
  }

  function facts(rows, at, view) {
    const entry = rows.entry[at];
    const learner = entries.learner[entry];
    const told = [[view.metric_title, valueWords(rows, at)]];
    if (rows.rank[at] !== null) {
      told.push(["Rank", `${rows.rank[at]}; between ${rows.rank_low[at]} and ${rows.rank_high[at]} with 95 % confidence`]);
    }
    if (rows.equivalent[at] !== null && rows.surely_worse[at] !== null) {
      const found = rows.equivalent[at] ? "equivalent, within ± 0.01" : rows.surely_worse[at] ? "surely worse" : "not told apart";
      told.push(["Against the best", found]);
    }
    if (rows.truth_learner[at] >= 0) {
      const fits = { true: " (matched: the row’s own learner)", false: " (transferred from another learner)" }[rows.matched[at]] ?? "";
      told.push(["Memorization by", view.truth_learners[rows.truth_learner[at]] + fits]);
    }
    told.push(["Made with", entries.made_with[entry]], ["Scores from", entries.family[entry]], ["Also known as", entries.aliases[entry]]);
    if (learner >= 0) {
      told.push(["Learner", learners.words[learner]], ["Options", learners.options[learner]]);
      told.push(["Wrong labels fitted", share(rows.mislabeled_fit[at])], ["Right labels fitted", share(rows.clean_fit[at])]);
      if (rows.susceptibility[at] !== null) told.push(["Susceptibility", fixed(rows.susceptibility[at])]);
      told.push(["Seconds a run", seconds(rows.seconds[at])], ["Extra passes over the training set", rows.passes[at] ?? ""]);
    }
    told.push(["Averaged over", `${counted(rows.variants[at], "label column")}, ${counted(rows.seeds[at], "seed")}; ${page.number(rows.n[at])} samples of known truth`]);
    if (learner >= 0) {
      told.push(["Found by", entries.origin[entry]], ["Digest of its code", entries.code[entry]]);
      told.push(["Digest of model, recipe and options", learners.setup[learner]], ["Trained by noisybench", learners.versions[learner]]);
    }
    return told.filter(([, said]) => said !== "" && said !== NONE);
  }

  const share = (value) => (value === null ? "" : `${(100 * value).toFixed(1)} %`);

  function valueWords(rows, at) {
    const ends = rows.low[at] === null || rows.high[at] === null ? "" : ` [${fixed(rows.low[at])}, ${fixed(rows.high[at])}]`;
    return fixed(rows.mean[at]) + ends;
  }

  /** What a run is called among those of a row. */
  function runWords(run) {
    const noise = noises[runs.noise[run]];
    const where = sources.name.length > 1 ? `${sources.name[runs.source[run]]}, ` : "";
    const rate = rates[runs.rate[run]];
    return `${where}${noise} ${rate}, draw ${runs.draw[run]}, seed ${runs.seed[run]}`;
  }

  /** Positions in `details` of an entry, those of the chosen source, noise and rate. */
  function detailsOf(entry, state, columns = details) {
    const fits = (name, run) => state[name] < 0 || runs[name][run] === state[name];
    return columns.entry
      .map((one, at) => at)
      .filter((at) => columns.entry[at] === entry && ["source", "noise", "rate"].every((name) => fits(name, columns.run[at])));
  }

  const FEW = 12;

  function fillClasses(box, at) {
    const found = at >= 0 ? details.classes[at] : [];
    box.hidden = found.length === 0;
    if (box.hidden) return;
    const names = page.data.class_names[runs.variant[details.run[at]]] ?? [];
    box.querySelector("h4 span").textContent = found.length > 1 ? "(worst first)" : "";
    const body = box.querySelector("tbody");
    const lines = found.map((one, i) => {
      const area = details.class_auroc[at][i] / 1000;
      const held = element("div", "held", element("span", "", `${fixed(area)} `), span(area, null, null, { from: 0, to: 1, chance: 0.5 }));
      const name = element("td", "", names[one] ?? String(one));
      name.dir = "auto";
      return element("tr", "", name, element("td", "value", held), element("td", "", `${details.class_wrong[at][i]} of ${details.class_samples[at][i]}`));
    });
    body.replaceChildren(...lines.slice(0, FEW));
    const more = box.querySelector("button");
    more.hidden = lines.length <= FEW;
    more.textContent = `All ${lines.length} classes`;
    more.onclick = () => {
      body.replaceChildren(...lines);
      more.hidden = true;
    };
  }

  /** The details of a row, and a function that draws them again. */
  function panel(rows, at, view, state, { close, draw }) {
    const entry = rows.entry[at];
    const made = document.getElementById("details").content.cloneNode(true).firstElementChild;
    const one = (selector) => made.querySelector(selector);
    one("h3").textContent = entries.detector[entry];
    one("h3").dir = "auto";
    one(".close").onclick = close;
    const asked = command(entry);
    one(".command").hidden = !asked;
    one(".command code").textContent = asked;
    one(".copy").onclick = () => copy(asked, one(".command code"));
    one(".told").append(
      ...facts(rows, at, view).map(([term, said]) => {
        const words = element("dd", "", String(said));
        words.dir = "auto";
        return element("div", "", element("dt", "", term), words);
      }),
    );
    const found = detailsOf(entry, state);
    const choice = one(".run select");
    choice.append(...found.map((detail) => new Option(runWords(details.run[detail]), detail)));
    one(".run").hidden = found.length < 2;
    one(".which").textContent = found.length ? words.details : "";
    const refresh = () => {
      const detail = found.length ? Number(choice.value) : -1;
      const run = detail < 0 ? -1 : details.run[detail];
      const maps = detailsOf(entry, state, memorization);
      const map = maps.find((position) => run < 0 || memorization.run[position] === run) ?? -1;
      for (const figure of made.querySelectorAll("figure")) draw(figure, { ...state, entry, detail, map });
      fillClasses(one(".classes"), detail);
    };
    choice.onchange = refresh;
    return [made, refresh];
  }

  return { element, fixed, short, seconds, counted, span, learnerWords, rankWords, valueWords, panel };
})();
