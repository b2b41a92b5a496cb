"use strict";
/* Decisions about suspects, or answers of an audit. */
(() => {
  const { variant, audit, classes, rows, sample, name, given, picture, text } = page.data;
  const suggested = page.data.suggested ?? sample.map(() => -1); // an audit tells nothing of these
  const suspicion = page.data.suspicion ?? sample.map(() => null);
  const flagged = page.data.flagged ?? sample.map(() => false);
  const n = sample.length;
  /** Action → its key, its button, what it is called when done; in the order of the buttons. */
  const ACTIONS = audit
    ? { keep: ["r", "Right", "Right"], accept: ["w", "Wrong", "Wrong"], drop: ["t", "Can’t tell", "Can’t tell"] }
    : { accept: ["a", "Accept", "Accepted"], keep: ["r", "Keep", "Kept"], drop: ["d", "Drop", "Dropped"] };
  const what = audit ? "answers" : "corrections";
  const file = decisionsFile(page.data);
  const kept = page.store(`noisybench ${audit ? `audit ${audit}` : "corrections"} ${variant}`);
  const byId = (id) => document.getElementById(id);
  const position = new Map(sample.map((number, i) => [number, i]));
  const classOf = new Map(classes.map((called, i) => [called, i]));
  const DIGITS = { minimumSignificantDigits: 3, maximumSignificantDigits: 3 };
  const counted = (count, noun) => `${page.number(count)} ${noun}${count === 1 ? "" : "s"}`;

  /** Sample → {name, given, corrected, action}; also of samples that another page of these labels shows. */
  const decisions = new Map();
  const history = [];
  let shown = []; // positions of the items that the filters let through
  let current = 0;
  let state = "all"; // the filter by decision
  let keeps = true; // whether the browser keeps decisions
  let saved = true;

  const decisionOf = (i) => decisions.get(sample[i]);
  const stateOf = (i) => decisionOf(i)?.action ?? "undecided";
  const undecided = () => sample.filter((number) => !decisions.has(number)).length;

  /** The class that accepting takes: chosen, or suggested; -1 where there is none. */
  function chosen(i) {
    const decision = decisionOf(i);
    return decision?.action === "accept" ? (classOf.get(decision.corrected) ?? -1) : suggested[i];
  }

  // --- one item ----------------------------------------------------------------------------------------------------------

  const items = sample.map((_, i) => {
    const item = document.createElement("div");
    item.className = picture[i] === null ? "item" : "item pictured";
    item.setAttribute("role", "listitem");
    item.tabIndex = -1;
    item.dataset.at = i;
    return item;
  });

  /** Puts into an item what it holds, once. */
  function build(i) {
    const item = items[i];
    if (item.firstChild) return;
    item.append(byId("item").content.cloneNode(true));
    const one = (selector) => item.querySelector(selector);
    if (picture[i] === null) one(".picture").remove();
    one(".given").textContent = classes[given[i]];
    one(".evidence").textContent = evidence(i);
    one(".name").textContent = name[i] || `sample ${sample[i]}`;
    one("select").setAttribute("aria-label", audit ? "Right class" : "Corrected class");
    for (const [action, [key, words]] of Object.entries(ACTIONS)) {
      const button = document.createElement("button");
      const hint = document.createElement("kbd");
      Object.assign(button, { type: "button", className: "button", textContent: `${words} ` });
      button.dataset.action = action;
      button.setAttribute("aria-keyshortcuts", key);
      hint.textContent = key;
      hint.setAttribute("aria-hidden", "true");
      button.append(hint);
      one(".answers").append(button);
    }
    fillContent(one, text[i] ?? "");
    for (const control of item.querySelectorAll("button, select")) control.tabIndex = -1;
    draw(i);
  }

  function evidence(i) {
    if (audit) return "";
    const parts = [`#${page.number(i + 1)}`];
    if (suspicion[i] !== null) parts.push(`suspicion ${suspicion[i].toLocaleString("en", DIGITS)}`);
    if (!flagged[i] && flagged.includes(true)) parts.push("below the cut");
    return parts.join(" · ");
  }

  /** A text, or a row of a table as its columns; nothing where there is none. */
  function fillContent(one, whole) {
    const cells = rows && whole ? whole.split(" · ").map((cell) => /^(.*?): (.*)$/s.exec(cell)) : [null];
    if (!whole) {
      one(".content").remove();
    } else if (cells.every(Boolean)) {
      one(".text").remove();
      for (const [, term, said] of cells) {
        const pair = document.createElement("div");
        for (const [tag, words] of [["dt", term], ["dd", said]]) {
          pair.append(Object.assign(document.createElement(tag), { textContent: words, dir: "auto" }));
        }
        one(".row").append(pair);
      }
    } else {
      one(".row").remove();
      one(".text").textContent = whole;
      const long = whole.length > 700 || whole.split("\n").length > 8;
      one(".text").classList.toggle("long", long);
      one(".more").hidden = !long;
      one(".more").textContent = `Show all ${page.number(whole.length)} characters`;
    }
  }

  /** Shows the decision of an item. */
  function draw(i) {
    const item = items[i];
    const decision = decisionOf(i);
    if (decision) item.dataset.action = decision.action;
    else delete item.dataset.action;
    if (!item.firstChild) return;
    for (const button of item.querySelectorAll(".answers button")) {
      button.setAttribute("aria-pressed", String(button.dataset.action === decision?.action));
    }
    const select = item.querySelector("select");
    if (!select.dataset.full) select.replaceChildren(...options(i, [chosen(i)]));
    select.value = String(chosen(i));
    select.title = classes[chosen(i)] ?? ""; // a long name is cut in the choice itself
    const other = suggested[i] < 0 ? "" : `, suggested ${classes[suggested[i]]}`;
    item.setAttribute("aria-label", `${name[i] || `sample ${sample[i]}`}: given ${classes[given[i]]}${other}, ${said(i)}`);
  }

  function said(i) {
    const decision = decisionOf(i);
    if (!decision) return "Undecided";
    return `${ACTIONS[decision.action][2]}${decision.action === "accept" && decision.corrected ? `: ${decision.corrected}` : ""}`;
  }

  function options(i, labels) {
    const none = audit || suggested[i] < 0 ? [[-1, audit ? "which class?" : "choose a class"]] : [];
    const others = labels.filter((label) => label >= 0 && label !== given[i]).map((label) => [label, classes[label]]);
    return [...none, ...others].map(([value, textContent]) => Object.assign(document.createElement("option"), { value, textContent }));
  }

  /** All classes in the choice of an item: only where somebody is about to choose, as there may be thousands. */
  function fillChoice(select) {
    const i = Number(select.closest(".item").dataset.at);
    if (select.dataset.full) return;
    select.dataset.full = "true";
    select.replaceChildren(...options(i, classes.map((_, label) => label)));
    select.value = String(chosen(i));
  }

  // --- deciding ----------------------------------------------------------------------------------------------------------

  /** Sets decisions, pairs of sample and decision or null; what was there before comes back by one undo. */
  function change(pairs) {
    history.push(pairs.map(([number]) => [number, decisions.get(number) ?? null]));
    put(pairs);
  }

  function put(pairs) {
    for (const [number, decision] of pairs) {
      if (decision) decisions.set(number, decision);
      else decisions.delete(number);
      if (position.has(number)) draw(position.get(number));
    }
    count();
    saved = false;
    keeps = kept.write(file.write(decisions)) || kept.write(file.write(decisions, { names: false })); // space is short
    byId("unkept").hidden = keeps;
  }

  /** Decides about an item, and says whether it could; `accept` takes the class in its choice. */
  function decide(i, action, label = chosen(i)) {
    if (action === "accept" && label < 0 && !audit) {
      page.say("Nothing is suggested here. Choose a class: that accepts it.", { seen: true });
      choose(i);
      return false;
    }
    const corrected = { accept: classes[label] ?? "", keep: "", drop: "" }[action];
    change([[sample[i], { name: name[i], given: classes[given[i]], corrected, action }]]);
    const left = undecided();
    page.say(`${said(i)}. ${left ? `${page.number(left)} undecided.` : `All decided. Save your ${what}.`}`, { seen: !left });
    return true;
  }

  function choose(i) {
    if (audit && stateOf(i) !== "accept") decide(i, "accept");
    items[i].querySelector("select").focus();
  }

  function undo() {
    const last = history.pop();
    if (!last) {
      page.say("Nothing to undo.", { seen: true });
      return;
    }
    put(last);
    const at = position.get(last[0][0]);
    if (last.length === 1 && at !== undefined) {
      if (!shown.includes(at)) showAll();
      go(at);
    }
    page.say(last.length === 1 ? "Undone." : `Undone: ${counted(last.length, "decision")}.`, { seen: last.length > 1 });
  }

  // --- files -------------------------------------------------------------------------------------------------------------

  function elsewhere() {
    const others = [...decisions.keys()].filter((number) => !position.has(number)).length;
    return others ? `, ${page.number(others)} of them about samples of another page` : "";
  }

  function save() {
    if (!decisions.size) {
      page.say("Nothing is decided yet.", { seen: true });
      return;
    }
    page.download(`${what}-${(audit ?? variant).slice(0, 8)}.csv`, file.write(decisions));
    saved = true;
    page.say(`Saved ${counted(decisions.size, "decision")}${elsewhere()}.`, { seen: true });
  }

  async function load(from) {
    try {
      const found = file.read(await from.text());
      if (found.size) change([...found]);
      page.say(`Loaded ${counted(found.size, "decision")}.`, { seen: true });
    } catch (error) {
      page.say(`${error.message} Nothing was loaded.`, { fault: true });
    }
  }

  /** Takes what this browser has kept; what it cannot read it leaves alone. */
  function restore() {
    const text = kept.read();
    if (text === null) return;
    try {
      const found = file.read(text);
      decisions.clear();
      for (const [number, decision] of found) decisions.set(number, decision);
    } catch {
      page.say("The decisions that this browser has kept cannot be read, and are left out.", { fault: true });
    }
  }

  // --- groups of items: only those near to what is in sight cost anything, so that thousands scroll smoothly ----------------

  const GROUP = 48; // a whole number of lines, whether a line holds one, two, three or four
  const groups = []; // of the shown items: {element, members, attached}
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) near(groups[Number(target.dataset.at)]);
  }, { rootMargin: "1500px" });
  const idle = globalThis.requestIdleCallback ?? ((act) => setTimeout(() => act({ timeRemaining: () => 0 }), 50));
  let working = false;

  function arrange() {
    sight.disconnect();
    groups.length = 0;
    for (let at = 0; at < shown.length; at += GROUP) {
      const element = document.createElement("div");
      element.className = "group";
      element.setAttribute("role", "none");
      element.dataset.at = groups.length;
      groups.push({ element, members: shown.slice(at, at + GROUP), attached: false });
    }
    byId("items").replaceChildren(...groups.map((group) => group.element));
    estimate();
    for (const group of groups) sight.observe(group.element);
    if (!working) idle(buildOn);
    working = true;
  }

  /** Heights that groups are given until they are laid out. */
  function estimate() {
    for (const { element, members } of groups) {
      const height = Math.ceil(members.length / perLine()) * (element.closest(".pictures") ? 160 : 190);
      element.style.setProperty("--estimate", `${height}px`);
    }
  }

  function attach(group) {
    if (group.attached) return;
    group.attached = true;
    group.members.forEach(build);
    group.element.append(...group.members.map((i) => items[i]));
  }

  function near(group) {
    attach(group);
    for (const i of group.members) {
      const image = items[i].querySelector("img");
      if (image && !image.src) image.src = picture[i];
    }
  }

  /** Builds the other groups while the browser is idle, so that its own search finds every name and text. */
  function buildOn(deadline) {
    for (let some = 5; some > 0 || deadline.timeRemaining() > 5; some -= 1) {
      const group = groups.find((one) => !one.attached);
      working = group !== undefined;
      if (!working) return;
      const next = group.members.find((i) => !items[i].firstChild);
      if (next === undefined) attach(group);
      else build(next);
    }
    idle(buildOn);
  }

  // --- moving ------------------------------------------------------------------------------------------------------------

  function mark(i) {
    if (shown.includes(i)) near(groups[Math.floor(shown.indexOf(i) / GROUP)]);
    for (const at of [current, i]) {
      const on = at === i;
      items[at].setAttribute("aria-current", String(on));
      items[at].tabIndex = on ? 0 : -1;
      for (const control of items[at].querySelectorAll("button, select")) control.tabIndex = on ? 0 : -1;
    }
    current = i;
  }

  function go(i) {
    mark(i);
    items[i].focus({ preventScroll: true });
    items[i].scrollIntoView({ block: "nearest" });
  }

  function step(by) {
    if (shown.length) go(shown[Math.min(Math.max(shown.indexOf(current) + by, 0), shown.length - 1)]);
  }

  /** Whether the current item is in sight; if not, the first one in sight becomes current. */
  function inSight() {
    const top = Math.max(0, byId("bar").getBoundingClientRect().bottom);
    const box = items[current].getBoundingClientRect();
    if (box.bottom > top + 20 && box.top < innerHeight - 20) return true;
    const below = (element) => element.getBoundingClientRect().bottom > top + 20;
    const group = groups.find(({ element }) => below(element)) ?? groups.at(-1);
    near(group);
    go(group.members.find((i) => below(items[i])) ?? group.members[0]);
    return false;
  }

  const perLine = () => getComputedStyle(groups[0].element).gridTemplateColumns.split(" ").length;
  const MOVES = {
    ArrowRight: () => 1, ArrowLeft: () => -1, j: () => 1, k: () => -1, ArrowDown: perLine, ArrowUp: () => -perLine(),
    Home: () => -n, End: () => n,
  };
  const byKey = Object.fromEntries(Object.entries(ACTIONS).map(([action, [key]]) => [key, action]));

  function press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    if (event.target.closest?.("select, input")) {
      if (event.key === "Escape") items[current]?.focus();
      return;
    }
    const latin = /^[ -~]$/.test(event.key) ? "" : (/^Key([A-Z])$/.exec(event.code)?.[1] ?? ""); // other scripts by place
    const key = latin || event.key.length === 1 ? (latin || event.key).toLowerCase() : event.key;
    if (key === "?") byId("help").showModal();
    else if (key === "Escape") page.hush();
    else if (key === "u") undo();
    else if (!shown.length || !(key in MOVES || key in byKey || key === "c")) return;
    else if (key === "Home" || key === "End" || inSight()) {
      if (key in MOVES) step(MOVES[key]());
      else if (key === "c") choose(current);
      else if (!event.repeat && decide(current, byKey[key])) step(1);
    }
    event.preventDefault();
  }

  // --- filters -----------------------------------------------------------------------------------------------------------

  const STATES = { all: "All", undecided: audit ? "Unanswered" : "Undecided", ...Object.fromEntries(Object.entries(ACTIONS).map(([action, told]) => [action, told[2]])) };
  const pairOf = (i) => `${given[i]} ${suggested[i]}`;
  const inFilters = (i) => ["", pairOf(i)].includes(byId("pair").value) && (!byId("cut").checked || flagged[i]);

  /** Applies the filters. What is decided stays where it is until then, so that nothing jumps under the hand. */
  function show() {
    shown = sample.map((_, i) => i).filter((i) => inFilters(i) && ["all", stateOf(i)].includes(state));
    arrange();
    byId("nothing").hidden = shown.length > 0;
    if (shown.length) mark(shown.includes(current) ? current : shown[0]);
    count();
  }

  function showAll() {
    state = "all";
    byId("pair").value = "";
    byId("cut").checked = false;
    show();
  }

  function count() {
    const counts = { all: 0, undecided: 0, accept: 0, keep: 0, drop: 0 };
    for (let i = 0; i < n; i += 1) {
      if (inFilters(i)) {
        counts.all += 1;
        counts[stateOf(i)] += 1;
      }
    }
    for (const button of byId("states").children) {
      button.querySelector("b").textContent = page.number(counts[button.dataset.state]);
      button.setAttribute("aria-pressed", String(button.dataset.state === state));
    }
    const done = n - undecided();
    byId("progress").setAttribute("aria-valuenow", done);
    byId("progress").firstElementChild.style.width = `${n ? (100 * done) / n : 0}%`;
  }

  function fillBar() {
    for (const [which, words] of Object.entries(STATES)) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: `${words} ` });
      button.dataset.state = which;
      button.append(document.createElement("b"));
      byId("states").append(button);
    }
    const pairs = new Map();
    for (let i = 0; i < n; i += 1) pairs.set(pairOf(i), (pairs.get(pairOf(i)) ?? 0) + 1);
    const option = (value, textContent) => Object.assign(document.createElement("option"), { value, textContent });
    byId("pair").append(option("", "all pairs"));
    for (const [pair, times] of [...pairs].sort((a, b) => b[1] - a[1])) {
      const [from, to] = pair.split(" ").map(Number);
      byId("pair").append(option(pair, `${classes[from]} → ${to < 0 ? "?" : classes[to]} (${page.number(times)})`));
    }
    byId("pair").parentElement.hidden = Boolean(audit) || pairs.size < 2;
    const above = flagged.filter(Boolean).length;
    byId("cut").parentElement.hidden = !above || above === n;
    byId("cut").nextElementSibling.textContent = page.number(above);
    byId("save").textContent = `Save ${what}`;
    if (!n) byId("nothing").replaceChildren("There is nothing to decide.");
    byId("progress").setAttribute("aria-valuemax", n);
  }

  function fillHelp() {
    const meaning = audit
      ? { keep: "the label is right", accept: "the label is wrong", drop: "nobody can tell from what is shown" }
      : { accept: "take the suggested or chosen class", keep: "the given label is right", drop: "leave the sample out" };
    const keys = [
      ["← → ↑ ↓  j k", "move"],
      ...Object.entries(ACTIONS).map(([action, [key, words]]) => [key, `${words}: ${meaning[action]}`]),
      ["c", audit ? "say which class is right" : "choose another class"],
      ["u", "undo"],
      ["?", "this list"],
    ];
    for (const [key, words] of keys) {
      const term = document.createElement("dt");
      for (const one of key.split(/\s+/)) term.append(Object.assign(document.createElement("kbd"), { textContent: one }), " ");
      byId("keys").append(term, Object.assign(document.createElement("dd"), { textContent: words }));
    }
  }

  // --- start -------------------------------------------------------------------------------------------------------------

  const itemOf = (event) => event.target.closest(".item");
  restore();
  fillBar();
  fillHelp();
  for (let i = 0; i < n; i += 1) draw(i);
  for (const place of [byId("items"), document.body]) place.classList.add(picture.some((one) => one !== null) ? "pictures" : "texts");
  document.body.classList.toggle("audit", Boolean(audit));
  show();
  if (n) {
    const first = sample.findIndex((number) => !decisions.has(number));
    mark(Math.max(first, 0));
    if (first > 0) items[first].scrollIntoView({ block: "center" });
  }

  addEventListener("resize", estimate);
  addEventListener("beforeprint", () => groups.forEach(near));
  document.addEventListener("keydown", press);
  for (const kind of ["pointerover", "focusin"]) {
    byId("items").addEventListener(kind, (event) => event.target.matches("select") && fillChoice(event.target));
  }
  byId("items").addEventListener("focusin", (event) => itemOf(event) && mark(Number(itemOf(event).dataset.at)));
  byId("items").addEventListener("click", (event) => {
    if (!itemOf(event)) return;
    const i = Number(itemOf(event).dataset.at);
    const button = event.target.closest("button");
    mark(i);
    if (button?.classList.contains("more")) {
      const long = items[i].querySelector(".text").classList.toggle("long");
      button.textContent = long ? `Show all ${page.number(text[i].length)} characters` : "Show less";
    } else if (button && button.dataset.action === decisionOf(i)?.action) {
      change([[sample[i], null]]);
      page.say("Undecided.");
    } else if (button) {
      decide(i, button.dataset.action);
    }
  });
  byId("items").addEventListener("change", (event) => {
    const i = Number(itemOf(event).dataset.at);
    decide(i, "accept", Number(event.target.value));
  });
  byId("states").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    state = button.dataset.state;
    show();
  });
  for (const id of ["pair", "cut"]) byId(id).addEventListener("change", show);
  byId("show-all")?.addEventListener("click", showAll);
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("save").addEventListener("click", save);
  byId("load").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", async () => {
    if (byId("file").files.length) await load(byId("file").files[0]);
    byId("file").value = "";
  });
  addEventListener("storage", (event) => {
    if (event.key !== kept.key) return; // another tab of these labels
    restore();
    for (let i = 0; i < n; i += 1) draw(i);
    count();
  });
  addEventListener("beforeunload", (event) => {
    if (!keeps && !saved) event.preventDefault();
  });
})();
