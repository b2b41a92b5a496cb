"use strict";
/* What every page may use. Text of strangers is set as text alone, never as HTML. */
const page = (() => {
  const held = document.getElementById("data");
  const status = document.getElementById("status");
  let timer = 0;

  /** Tells a person something: aloud to a screen reader, and for a while on the page where `seen`. */
  function say(text, { seen = false, fault = false } = {}) {
    clearTimeout(timer);
    status.textContent = text;
    status.classList.toggle("seen", seen || fault);
    status.classList.toggle("fault", fault);
    if (seen && !fault) timer = setTimeout(() => status.classList.remove("seen"), 6000);
  }

  function hush() {
    status.classList.remove("seen", "fault");
  }

  /** Gives a person a file, without a server. */
  function download(name, text, type = "text/csv") {
    const address = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  }

  /** A place in this browser that outlasts a reload; `write` says whether it could. */
  function store(key) {
    return {
      key,
      read() {
        try {
          return localStorage.getItem(key);
        } catch {
          return null;
        }
      },
      write(text) {
        try {
          localStorage.setItem(key, text);
          return true;
        } catch {
          return false;
        }
      },
    };
  }

  /** Rows of cells as csv: a cell with a comma, a quote, a line end or a space at its ends is quoted, none is changed. */
  function toCsv(rows) {
    const cell = (value) => {
      const text = String(value);
      return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return rows.map((row) => `${row.map(cell).join(",")}\n`).join("");
  }

  /** Csv as rows of cells, also as a spreadsheet separates them; empty lines are left out. */
  function fromCsv(text, separator = ",") {
    const rows = [];
    let row = [];
    let at = 0;
    while (at < text.length) {
      let cell = "";
      if (text[at] === '"') {
        for (at += 1; at < text.length && !(text[at] === '"' && text[at + 1] !== '"'); at += 1) {
          if (text[at] === '"') at += 1;
          cell += text[at];
        }
        at += 1;
      }
      while (at < text.length && text[at] !== separator && text[at] !== "\r" && text[at] !== "\n") cell += text[at++];
      row.push(cell);
      if (text[at] === separator) {
        at += 1;
        if (at < text.length) continue;
        row.push("");
      }
      at += text.startsWith("\r\n", at) ? 2 : 1;
      if (row.some((one) => one !== "")) rows.push(row);
      row = [];
    }
    return rows;
  }

  const number = (value) => value.toLocaleString("en");

  return { data: held ? JSON.parse(held.textContent) : null, say, hush, download, store, toCsv, fromCsv, number };
})();
