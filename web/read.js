// Read and ask: images on the left, the viewer, and what the model says of what is seen.
import {pngBlob} from "./api.js";
import {askPanel} from "./ask.js";
import {make, showBlob} from "./dom.js";
import {chooser, entries, thumbnail} from "./entries.js";
import {t} from "./i18n.js";
import {neighboursPanel} from "./neighbours.js";
import {render, viewer} from "./viewer.js";

let current = 0;  // of the entries: it is there again after another view

export function readView(service) {
  const root = make("div", {className: "read empty"}, make("section", {className: "drop"}, make("h2", {}, t("dropTitle")), make("p", {}, t("dropText")),
    chooser(service.maxBytes), make("p", {className: "hint"}, t("local"))));
  const facts = factsPanel();
  const view = viewer({onchange: () => panels.forEach((panel) => panel.clear()), onshown: (looked, answer) => answer ? facts.show(view.entry, looked, answer) : facts.clear()});
  const panels = [askPanel(service, view), ...(service.collections.length ? [neighboursPanel(service, view)] : [])];
  const rail = make("div", {className: "rail"}), buttons = [];

  function open(i) {
    current = i;
    buttons.forEach((button, k) => k === i ? button.setAttribute("aria-current", "true") : button.removeAttribute("aria-current"));
    buttons[i].scrollIntoView({block: "nearest", inline: "nearest"});
    view.show(entries[i]);
  }
  function added(from) {
    if (!buttons.length) {
      root.className = "read";
      root.replaceChildren(make("div", {className: "results"}, rail, chooser(service.maxBytes)), make("div", {className: "results middle"}, view.root, facts.root),
        make("div", {className: "results"}, ...panels.map((panel) => panel.root)));
    }
    for (let i = from; i < entries.length; ++i) buttons.push(thumb(entries[i], () => open(i)));
    rail.append(...buttons.slice(from));
    open(from);
  }
  if (entries.length) {
    const last = current;
    added(0);
    open(last);
  }
  return {root, added};
}

const thumb = (entry, onclick) => make("button", {type: "button", className: "thumb", title: entry.name, onclick}, thumbnail(entry),
  make("span", {dir: "auto"}, entry.slices.length > 1 ? `${entry.name} (${entry.slices.length})` : entry.name));

// How the image was made from its file, and what the model saw of it.
const NO_FACTS = new Set(["warnings", "width", "height", "frame", "frames"]);
function factsPanel() {
  const root = make("section", {className: "panel facts", hidden: true});
  let controller = null;
  function clear() {
    controller?.abort();
    root.hidden = true;
    root.replaceChildren();
  }
  async function show(entry, looked, answer) {
    clear();
    const p = answer.provenance ?? {}, model = make("img", {alt: t("modelSaw")});
    const facts = [[t("file"), entry.name], ...Object.entries(p).filter(([name]) => !NO_FACTS.has(name)).map(([name, value]) => [name.replaceAll("_", " "), [value].flat().join(" – ")])];
    root.append(make("h2", {}, t("provenance")), ...(p.warnings ?? []).map((text) => make("p", {className: "warning", dir: "auto"}, text)),
      make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {dir: "auto"}, value)])),
      make("div", {className: "model-view"}, model, make("div", {}, make("h3", {}, t("modelSaw")), make("p", {className: "hint"}, t("modelSawText")))));
    root.hidden = false;
    controller = new AbortController();
    try {
      const seen = await render(entry, looked, {model_input: true}, controller.signal);
      showBlob(model, pngBlob(seen.png));
      model.alt = `${t("modelSaw")} ${seen.width} × ${seen.height}`;
    } catch { /* another image is shown, or the viewer has said why */ }
  }
  return {root, show, clear};
}
