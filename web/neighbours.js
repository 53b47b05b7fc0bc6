// The items of a collection that are most like the image as it is seen: evidence beside the scores, and on the sheet.
import {post} from "./api.js";
import {labelled, make, say} from "./dom.js";
import {collectionOptions, hit, pathOf} from "./hits.js";
import {t} from "./i18n.js";
import {seenBytes} from "./viewer.js";

const NEIGHBOURS = 6;

export function neighboursPanel(service, view) {
  const collection = make("select", {}, ...collectionOptions(service));
  const find = make("button", {type: "submit"}, t("findNeighbours"));
  const out = make("div", {className: "results", "aria-live": "polite"});
  let controller = null;

  function clear() {
    controller?.abort();
    controller = null;
    find.disabled = false;
    out.replaceChildren();
  }
  async function ask() {
    clear();
    const mine = controller = new AbortController(), name = collection.value;
    find.disabled = true;
    try {
      const images = await seenBytes(view.entry, view.view, mine.signal);
      const {hits, evidence, warnings = []} = await post(pathOf(name, "search"), {images, k: NEIGHBOURS}, mine.signal);
      if (mine !== controller) return;
      out.replaceChildren(...warnings.map((text) => make("p", {className: "warning", dir: "auto"}, text)),
        make("p", {className: "hint"}, `${name}: ${t("searched", evidence.searched, evidence.version)}`),
        make("div", {className: "hits small"}, ...hits.map((one) => hit(name, one))));
    } catch (error) {
      if (mine === controller) say(error.message);
    }
    if (mine === controller) find.disabled = false;
  }
  collection.addEventListener("change", clear);
  const form = make("form", {className: "row", onsubmit: (event) => { event.preventDefault(); ask(); }}, labelled(t("collection"), collection), find);
  return {root: make("section", {className: "panel neighbours"}, make("h2", {}, t("neighbours")), form, out), clear};
}
