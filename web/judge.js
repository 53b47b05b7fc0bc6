// What `mii eval --json` wrote, as tables that can be read.
import {make, say} from "./dom.js";
import {t} from "./i18n.js";

const MAX_BYTES = 64 << 20;
const MAX_ROWS = 500;
const plain = (value) => value === null || typeof value !== "object";
const show = (value) => typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);

function table(rows) {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row).filter((name) => plain(row[name]))))];
  return make("div", {className: "scroll", tabIndex: 0, role: "region", "aria-label": t("judge")}, make("table", {}, make("thead", {}, make("tr", {}, ...columns.map((name) => make("th", {scope: "col"}, name.replaceAll("_", " "))))),
    make("tbody", {}, ...rows.slice(0, MAX_ROWS).map((row) => make("tr", {}, ...columns.map((name) => make("td", {dir: "auto"}, show(row[name] ?? ""))))))));
}

function sections(value, name, depth, into) {
  if (depth > 4) return;
  const entries = Object.entries(value);
  const facts = entries.filter(([, one]) => plain(one));
  if (facts.length) into.push(make("section", {className: "panel"}, make("h2", {}, name), make("dl", {}, ...facts.flatMap(([key, one]) => [make("dt", {}, key.replaceAll("_", " ")), make("dd", {dir: "auto"}, show(one))]))));
  for (const [key, one] of entries) {
    if (plain(one)) continue;
    const title = `${name} · ${key.replaceAll("_", " ")}`;
    if (Array.isArray(one)) {
      if (one.length && one.every((row) => row && typeof row === "object" && !Array.isArray(row))) into.push(make("section", {className: "panel"}, make("h2", {}, title), table(one)));
    } else sections(one, title, depth + 1, into);
  }
}

export function judgeView() {
  const out = make("div", {className: "results"});
  async function dropped([file]) {
    if (file.size > MAX_BYTES) { say(t("tooLarge", file.name, MAX_BYTES >> 20)); return; }
    try {
      const value = JSON.parse(await file.text()), list = [];
      if (plain(value)) throw new SyntaxError();
      sections(value, file.name, 0, list);
      out.replaceChildren(...list);
    } catch { say(t("noJson", file.name)); }
  }
  const open = () => make("input", {type: "file", accept: ".json,application/json", onchange: ({target}) => { if (target.files.length) dropped(target.files); }}).click();
  const choose = make("section", {className: "panel noprint"}, make("h2", {}, t("judge")), make("p", {className: "hint"}, t("judgeHint")),
    make("div", {className: "row"}, make("button", {type: "button", className: "main", onclick: open}, t("openResults"))));
  return {root: make("div", {className: "results"}, choose, out), dropped};
}
