// What the model says of the image as it is seen: bars, maps, operating points, and the same question for programs.
import {get, hasKey, post} from "./api.js";
import {commands} from "./commands.js";
import {bars, labelled, make, say} from "./dom.js";
import {language, t} from "./i18n.js";
import {pointsPanel} from "./points.js";
import {fileOf, isFileItself, seenBytes, viewFields} from "./viewer.js";

const SUGGESTIONS = 40;
const settings = {labels: "X-Ray\nComputed Tomography\nMagnetic Resonance Imaging\nUltrasound\nFundus Photography\nHistopathology", templates: "", several: false, head: ""};
const linesOf = (text) => [...new Set(text.split("\n").map((line) => line.trim()).filter(Boolean))];

// Labels of the catalogue, in any language, one press away.
function catalogue(onpick) {
  const find = make("input", {type: "search", placeholder: t("catalogue"), oninput: suggest});
  const suggestions = make("div", {className: "suggestions"});
  let asked = 0;
  async function suggest() {
    const mine = ++asked;
    const query = new URLSearchParams({language: language(), search: find.value});
    try {
      const found = find.value.trim() ? (await get(`labels?${query}`)).labels.slice(0, SUGGESTIONS) : [];
      if (mine !== asked) return;
      suggestions.replaceChildren(...found.map(({label}) => make("button", {type: "button", dir: "auto", onclick: () => onpick(label)}, label)));
    } catch { /* without the catalogue labels are typed */ }
  }
  return [labelled(t("fromCatalogue"), find), suggestions];
}

// The fields of /predict, as they were chosen.
function chosenFields() {
  if (settings.head) return {head: settings.head};
  const templates = linesOf(settings.templates);
  return {labels: linesOf(settings.labels), multilabel: settings.several, ...(templates.length ? {templates} : {})};
}
function inWords({head, labels, multilabel, templates = []}) {
  return [head ? t("askedHead", head) : t(multilabel ? "askedSeveral" : "askedOne", labels.length), ...templates].join(" · ");
}

// A label's map, of the one text that it was scored by: with several templates there is none.
const hasMaps = (service, {templates}) => service.routes.has("/explain") && !(templates?.length > 1);
async function mapsOf({image, fields: {head, labels, templates}, prompts = {}}, signal) {
  const text = (label) => templates ? templates[0].replace("{}", () => prompts[label] ?? label) : label;
  const {images: [{labels: found}]} = await post("explain", {images: image, ...(head ? {head} : {labels: [...new Set(labels.map(text))]})}, signal);
  const grids = new Map(found.map(({label, map}) => [label, map]));
  return (label) => grids.get(text(label));
}

/// clear: what was said is not of what is seen any more.
export function askPanel(service, view) {
  const labels = make("textarea", {rows: 6, dir: "auto", placeholder: t("labelsHint"), value: settings.labels});
  const templates = make("textarea", {rows: 1, dir: "auto", placeholder: "a {} image", value: settings.templates});
  const several = make("input", {type: "checkbox", checked: settings.several});
  const head = make("select", {}, make("option", {value: ""}, t("noHead")), ...service.heads.map((one) => make("option", {value: one.name}, one.name)));
  const ask = make("button", {type: "submit", className: "main"}, t("ask")), cancel = make("button", {type: "button", hidden: true, onclick: clear}, t("cancel"));
  const out = make("div", {className: "results", "aria-live": "polite"});
  const forLabels = [labelled(t("labels"), labels), ...catalogue(addLabel), labelled(t("templates"), templates), make("label", {className: "row"}, several, t("severalLabels"))];
  const form = make("form", {className: "results", oninput: remember, onsubmit: (event) => { event.preventDefault(); submit(); }},
    service.heads.length ? labelled(t("head"), head) : null, ...forLabels, make("div", {className: "row"}, ask, cancel));
  head.value = service.heads.some((one) => one.name === settings.head) ? settings.head : "";
  labels.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(); });
  let controller = null;

  function remember() {
    Object.assign(settings, {labels: labels.value, templates: templates.value, several: several.checked, head: head.value});
    for (const one of forLabels) one.hidden = Boolean(head.value);
  }
  function addLabel(label) {
    labels.value = linesOf(`${labels.value}\n${label}`).join("\n");
    remember();
  }
  function busy(on) {
    ask.disabled = on;
    cancel.hidden = !on;
  }
  function clear() {
    controller?.abort();
    controller = null;
    busy(false);
    view.overlay([]);
    out.replaceChildren();
  }

  async function submit() {
    remember();
    const fields = chosenFields();
    if (fields.labels?.length === 0) { say(t("needLabels")); labels.focus(); return; }
    clear();
    const mine = controller = new AbortController();
    busy(true);
    out.append(make("progress", {"aria-label": t("computing")}));
    const {entry, view: looked} = view;
    const question = {fields, file: fileOf(entry, looked).name, changes: isFileItself(entry, looked) ? null : viewFields(entry, looked)};
    try {
      question.image = await seenBytes(entry, looked, mine.signal);
      const [answer, known] = await Promise.all([post("predict", {images: question.image, ...fields}, mine.signal), fields.head ? get(`heads/${encodeURIComponent(fields.head)}`) : null]);
      if (mine !== controller) return;
      question.prompts = answer.prompts;
      show(question, answer, known);
    } catch (error) {
      if (mine !== controller) return;
      out.replaceChildren();
      say(error.message);
    }
    busy(false);
  }

  function show(question, answer, known) {
    const [scores] = answer.predictions, bands = answer.bands?.[0] ?? {};
    const withMaps = hasMaps(service, question.fields), picks = withMaps ? mapPicker(question) : null;
    const list = known?.answer === "value" ? values(scores)
      : bars(Object.entries(scores).map(([label, value]) => ({label, value, band: bands[label] ? `${bands[label].band} (${bands[label].point})` : ""})), picks?.pick);
    const points = known?.points ? pointsPanel(known.labels, known.points, scores, (label, threshold) => mark(list, label, threshold)) : null;
    out.replaceChildren(list, ...(answer.warnings ?? []).map((text) => make("p", {className: "warning", dir: "auto"}, text)),
      make("p", {className: "hint asked", dir: "auto"}, inWords(question.fields)), ...(picks ? [picks.root] : []), ...(points ? [points] : []), copyRow(question));
  }

  // Two maps at the most are seen, side by side where that is wished.
  function mapPicker(question) {
    const mine = controller, two = make("input", {type: "checkbox", onchange: () => choose(picked.slice(-1))});
    let picked = [], maps = null;
    async function choose(wish) {
      picked = wish;
      for (const bar of out.querySelectorAll(".bar")) bar.setAttribute("aria-pressed", String(wish.includes(bar.dataset.label)));
      view.overlay([]);
      if (!wish.length) return;
      try {
        const found = await (maps ??= mapsOf(question, mine.signal));
        if (mine === controller && wish === picked) view.overlay(wish.map((label) => ({label, grid: found(label)})));
      } catch (error) {
        maps = null;
        if (mine !== controller || wish !== picked) return;
        choose([]);
        say(error.message);
      }
    }
    const pick = (label) => choose(picked.includes(label) ? picked.filter((one) => one !== label) : [...picked, label].slice(two.checked ? -2 : -1));
    return {pick, root: make("div", {className: "noprint"}, make("p", {className: "hint"}, t("mapHint")), make("label", {className: "row"}, two, t("twoMaps")))};
  }

  function copyRow(question) {
    const shown = make("pre", {hidden: true, tabIndex: 0});
    const texts = commands({...question, hasKey: hasKey()});
    return make("div", {className: "results noprint"}, make("div", {className: "row"}, make("span", {className: "hint"}, t("copyAs")),
      ...Object.entries(texts).map(([kind, text]) => make("button", {type: "button", onclick: () => {
        shown.textContent = text;
        shown.hidden = false;
        navigator.clipboard?.writeText(text).catch(() => {});
      }}, kind))), shown);
  }

  remember();
  return {root: make("section", {className: "panel ask"}, make("h2", {}, t("askTitle")), form, out), clear};
}

// A head for numbers: they are no probabilities.
const values = (scores) => make("dl", {className: "values"}, ...Object.entries(scores).flatMap(([name, value]) => [make("dt", {dir: "auto"}, name), make("dd", {}, String(Number(value.toPrecision(4))))]));

// Where the threshold of a label lies on its bar.
function mark(list, label, threshold) {
  for (const row of list.querySelectorAll(".bar")) {
    row.querySelector(".tick")?.remove();
    if (row.dataset.label !== label) continue;
    const tick = make("span", {className: "tick"});
    tick.style.left = `${threshold * 100}%`;
    row.querySelector(".track").append(tick);
  }
}
