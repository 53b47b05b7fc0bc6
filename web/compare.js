// Two images or series side by side, and the cosine between their vectors.
import {post} from "./api.js";
import {labelled, make, say} from "./dom.js";
import {chooser, entries, options} from "./entries.js";
import {t} from "./i18n.js";
import {seenBytes, viewer} from "./viewer.js";

const NO_RESULT = "–";

function cosine(a, b) {
  let sum = 0, aa = 0, bb = 0;
  for (let i = 0; i < a.length; ++i) { sum += a[i] * b[i]; aa += a[i] * a[i]; bb += b[i] * b[i]; }
  return sum / Math.sqrt(aa * bb);
}

export function compareView(service) {
  const root = make("div", {className: "results"}, make("section", {className: "drop"}, make("h2", {}, t("needTwo")), chooser(service.maxBytes)));
  const result = make("p", {className: "cosine", role: "status"}, NO_RESULT);
  const compute = make("button", {type: "button", className: "main", onclick: ask}, t("cosine"));
  const sides = ["left", "right"].map((name) => {
    const view = viewer({onchange: clear}), select = make("select", {onchange: () => view.show(entries[Number(select.value)])});
    return {view, select, root: make("section", {className: "pick"}, labelled(t(name), select), view.root)};
  });
  let controller = null;

  function clear() {
    controller?.abort();
    controller = null;
    compute.disabled = false;
    result.textContent = NO_RESULT;
  }
  async function ask() {
    clear();
    const mine = controller = new AbortController();
    compute.disabled = true;
    try {
      const images = await Promise.all(sides.map(({view}) => seenBytes(view.entry, view.view, mine.signal)));
      const {image_embeddings: [first, second]} = await post("encode", {images}, mine.signal);
      if (mine === controller) result.textContent = cosine(first.flat(), second.flat()).toFixed(4);
    } catch (error) {
      if (mine === controller) say(error.message);
    }
    if (mine === controller) compute.disabled = false;
  }

  function added() {
    if (entries.length < 2) return;
    for (const [i, {view, select}] of sides.entries()) {
      const value = select.value || String(i);
      select.replaceChildren(...options());
      select.value = value;
      if (!view.entry) view.show(entries[i]);
    }
    if (!result.isConnected) root.replaceChildren(make("div", {className: "two"}, ...sides.map((side) => side.root)), make("section", {className: "panel"}, compute, result, make("p", {className: "hint"}, t("cosineHint"))));
  }
  added();
  return {root, added};
}
