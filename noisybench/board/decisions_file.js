"use strict";
/* The csv of decisions: its first line names the labels that it is of, its second the columns, then a row a sample. */
const decisionsFile = ({ variant, audit, classes, sample, name, given }) => {
  const head = audit ? `# noisybench audit, variant_id=${variant}, audit=${audit}` : `# noisybench corrections, variant_id=${variant}`;
  const columns = ["sample", "name", "given", "corrected", "action"];
  const position = new Map(sample.map((number, i) => [number, i]));
  const known = new Set(classes);
  const FORMULA = /^\s*[=+\-@]/;

  /** A cell that no spreadsheet takes for a formula: behind an apostrophe where it would. */
  const guarded = (text) => (FORMULA.test(text) ? `'${text}` : text);
  /** The class that a cell names. */
  const plain = (text) => (!known.has(text) && text.startsWith("'") && FORMULA.test(text.slice(1)) ? text.slice(1) : text);

  /** The file of decisions, a Map of sample → {name, given, corrected, action} in words; with or without names. */
  function write(decisions, { names = true } = {}) {
    const lines = [...decisions].sort(([a], [b]) => a - b);
    return `${head}\n${page.toCsv([columns, ...lines.map(([number, d]) => [number, ...[names ? d.name : "", d.given, d.corrected].map(guarded), d.action])])}`;
  }

  /** The decisions of a file; throws an Error that says what is wrong with it. */
  function read(text) {
    const [first, ...rest] = text.replace(/^\ufeff/, "").split("\n");
    const match = /^"?# noisybench (\w+), variant_id=(\w+)(?:, audit=([^\s,"]+))?"?[\s,;]*$/.exec(first);
    if (!match || match[1] !== (audit ? "audit" : "corrections")) {
      throw new Error(`This is no file of ${audit ? "audit answers" : "corrections"}: its first line must be “${head}”.`);
    }
    if (match[2] !== variant) {
      throw new Error(`This file is of other labels (variant ${match[2].slice(0, 12)}…); this page shows variant ${variant.slice(0, 12)}….`);
    }
    if (audit && match[3] !== audit) throw new Error(`This file answers audit ${match[3]}; this page shows audit ${audit}.`);
    const [header, ...lines] = page.fromCsv(rest.join("\n"), /[,;\t]/.exec(rest[0])?.[0]);
    if (!header || columns.some((column, i) => header[i] !== column)) {
      throw new Error(`The second line of the file must be “${columns.join(",")}”.`);
    }
    return new Map(lines.map(decision).filter(Boolean));
  }

  function decision([number, called, givenCell, correctedCell, action], row) {
    const [labelled, corrected] = [plain(givenCell ?? ""), action === "accept" ? plain(correctedCell ?? "") : ""];
    if (!action?.trim()) return null; // a row that nobody decided yet
    const at = position.get(Number(number));
    const label = at === undefined ? labelled : classes[given[at]];
    const wrong = [
      [!/^\d+$/.test(number), "this is no number of a sample"],
      [audit && at === undefined, "it is not in this audit"],
      [labelled !== label, `its given label is “${label}”, not “${labelled}”`],
      [!["accept", "keep", "drop"].includes(action), `the action “${action}” is not accept, keep or drop`],
      [action === "accept" && !known.has(corrected) && !(audit && corrected === ""), `“${corrected}” is no class of these labels`],
      [action === "accept" && corrected === labelled, "its corrected label is the given one"],
    ].find(([is]) => is);
    if (wrong) throw new Error(`Row ${row + 1}, sample “${number}”: ${wrong[1]}.`);
    return [Number(number), { name: at === undefined ? called : name[at], given: labelled, corrected, action }];
  }

  return { write, read };
};
