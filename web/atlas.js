// A collection as a map: each item a point, coloured by a column, chosen by a lasso or by keys.
import {bytesOf, get} from "./api.js";
import {MOST_NAMES, palette, STEPS} from "./colours.js";
import {labelled, make, percent, say, showBlob} from "./dom.js";
import {take} from "./entries.js";
import {collectionOptions, hit, pathOf, thumbnailOf} from "./hits.js";
import {language, t} from "./i18n.js";
import {scatter} from "./scatter.js";

const LISTED = 12;             // items at a time
const MOST_EXAMPLES = 50;      // of a search like them
const FILTER_BYTES = 4000;     // of a search among them
const HOVER_MS = 90;
const AGAIN_MS = 1000, MOST_TRIES = 60;  // when the service computes a map for somebody else
const NO_VALUE = 0, OTHERS = 1, FIRST = 2;  // numbers of colours
const OTHER_CODE = 255;        // of the service

const settings = {collection: "", column: null, filter: ""};
const whole = (count) => count.toLocaleString(language());
const short = (value) => Number(value.toPrecision(4)).toLocaleString(language());
const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

// The map's points by colour: of each one its number, and what each number stands for.
function groupsOf({names, codes, numbers, ids}) {
  if (numbers) return groupsOfNumbers(new Float32Array(bytesOf(numbers).buffer));
  const of = new Uint8Array(ids.length).fill(codes === null ? FIRST : NO_VALUE);
  if (codes === null) return {of, numbers: false, titles: [[FIRST, t("allItems")]]};
  bytesOf(codes).forEach((code, i) => { of[i] = code === 0 ? NO_VALUE : code === OTHER_CODE || code > MOST_NAMES ? OTHERS : FIRST + code - 1; });
  return {of, numbers: false, titles: [...names.slice(0, MOST_NAMES).map(({value}, k) => [FIRST + k, value]), [OTHERS, t("otherValues")], [NO_VALUE, t("noValue")]]};
}
// Numbers in steps that have about as many points each.
function groupsOfNumbers(values) {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  const begins = [...new Set(Array.from({length: STEPS}, (_, k) => sorted[Math.floor(k * sorted.length / STEPS)]))];
  const of = Uint8Array.from(values, (value) => Number.isNaN(value) ? NO_VALUE : FIRST + begins.findLastIndex((begin) => begin <= value));
  const last = sorted[sorted.length - 1];
  const titles = begins.map((begin, k) => {
    const end = k + 1 < begins.length ? sorted[sorted.findLastIndex((value) => value < begins[k + 1])] : last;
    return [FIRST + k, begin === end ? short(begin) : `${short(begin)} – ${short(end)}`];
  });
  return {of, numbers: true, titles: [...titles, [NO_VALUE, t("noValue")]]};
}

const quoted = (id) => `'${id.replaceAll("'", "''")}'`;
const amongFilter = (ids) => `id in (${ids.map(quoted).join(", ")})`;

export function atlasView(service) {
  const collection = make("select", {}, ...collectionOptions(service)), column = make("select", {});
  const filter = make("input", {type: "text", placeholder: "modality = 'CT' and age < 40", spellcheck: false, value: settings.filter});
  const show = make("button", {type: "submit", className: "main"}, t("showMap")), cancel = make("button", {type: "button", hidden: true, onclick: stop}, t("cancel"));
  const facts = make("div", {className: "results"}), legend = make("table", {className: "legend"}), chosenPart = make("section", {className: "panel", hidden: true});
  const card = make("div", {className: "point-card", hidden: true}), said = make("p", {className: "aloud", role: "status"});
  const plot = scatter({onpoint, onchoose, onopen: () => chosenPart.querySelector("button")?.focus()});
  const tools = [["lasso", false], ["moveMap", true]].map(([word, on]) => make("button", {type: "button", "aria-pressed": String(!on), onclick: ({target}) => {
    plot.moving = on;
    for (const one of tools) one.setAttribute("aria-pressed", String(one === target));
  }}, t(word)));
  const zooms = [["+", "zoomIn", () => plot.zoom(1.4)], ["−", "zoomOut", () => plot.zoom(1 / 1.4)]].map(([sign, word, does]) => make("button", {type: "button", "aria-label": t(word), title: t(word), onclick: does}, sign));
  const bar = make("div", {className: "row noprint"}, ...tools, ...zooms, make("button", {type: "button", onclick: plot.fit}, t("fitMap")));
  const keys = make("p", {className: "hint noprint", id: "map-keys"}, t("mapKeys"));
  plot.root.append(card);
  plot.root.setAttribute("aria-describedby", "map-keys");
  let controller = null, answer = null, groups = null, chosen = new Set(), only = null, pressed = null, hovering = 0;

  const columns = () => service.collections.find((one) => one.name === collection.value)?.columns ?? [];
  function fill() {
    const names = columns();
    column.replaceChildren(make("option", {value: ""}, t("oneColour")), ...names.map((name) => make("option", {value: name}, name)));
    column.value = settings.column !== null && ["", ...names].includes(settings.column) ? settings.column : names.includes("modality") ? "modality" : "";
  }
  function stop() {
    controller?.abort();
    controller = null;
    cancel.hidden = true;
    plot.root.ariaBusy = "false";
  }

  // Another's map is waited for.
  async function fetchMap(signal) {
    const query = new URLSearchParams({...(column.value ? {column: column.value} : {}), ...(filter.value.trim() ? {filter: filter.value} : {})});
    for (let tries = 1;; ++tries) {
      try {
        return await get(`${pathOf(collection.value, "map")}?${query}`, signal);
      } catch (error) {
        if (error.status !== 503 || signal.aborted || tries === MOST_TRIES) throw error;
        await new Promise((done) => setTimeout(done, AGAIN_MS));
      }
    }
  }
  async function ask() {
    stop();
    const mine = controller = new AbortController();
    Object.assign(settings, {collection: collection.value, column: column.value, filter: filter.value});
    cancel.hidden = false;
    plot.root.ariaBusy = "true";
    try {
      const got = await fetchMap(mine.signal);
      if (mine === controller) showMap(got);
    } catch (error) {
      if (mine === controller) say(error.message);
    }
    if (mine === controller) stop();
  }

  function showMap(got) {
    answer = got;
    groups = groupsOf(got);
    chosen = new Set();
    only = pressed = null;
    plot.show(new Uint16Array(bytesOf(got.places.points).buffer));
    paint();
    const [first, second] = got.share, {length} = got.ids;
    facts.replaceChildren(make("p", {}, length < got.items ? t("someItems", whole(length), whole(got.items)) : t("mapItems", whole(length))),
      ...(length ? [make("p", {className: "hint"}, t("mapShare", percent(first + second), percent(first), percent(second)))] : [make("p", {}, t("noItems"))]));
    plot.root.ariaLabel = t("mapOf", collection.value, whole(length));
    showLegend();
    showChosen();
    onpoint(null);
    say_("");
  }
  const paint = () => groups && plot.paint(groups.of, palette(groups.numbers));

  // The same in words: what each colour stands for, how many points have it, and how many of them are chosen.
  function showLegend() {
    const count = (points) => { const counts = new Uint32Array(256); for (const i of points) ++counts[groups.of[i]]; return counts; };
    const seen = only ?? answer.ids.keys(), all = count(seen), mine = count(chosen);
    const colours = palette(groups.numbers);
    const rows = groups.titles.filter(([shade]) => all[shade]).map(([shade, title]) => {
      const swatch = make("span", {className: "swatch", "aria-hidden": "true"});
      swatch.style.background = css(colours[shade]);
      const name = make("button", {type: "button", "aria-pressed": String(pressed === shade), onclick: () => { pressed = pressed === shade ? null : shade; emphasise(); showLegend(); legend.querySelector(`[data-shade="${shade}"]`).focus(); }},
        swatch, make("span", {dir: "auto"}, title));
      name.dataset.shade = shade;
      return make("tr", {}, make("th", {scope: "row"}, name), make("td", {}, whole(all[shade])), make("td", {}, chosen.size ? whole(mine[shade]) : "–"));
    });
    legend.replaceChildren(make("thead", {}, make("tr", {}, make("th", {scope: "col", dir: "auto"}, settings.column || t("allItems")), make("th", {scope: "col"}, t("mapCount")), make("th", {scope: "col"}, t("chosenCount")))), make("tbody", {}, ...rows));
  }
  function emphasise() {
    plot.emphasise(pressed === null && !chosen.size ? null : Uint8Array.from(groups.of, (shade, i) => (pressed === null || shade === pressed) && (!chosen.size || chosen.has(i)) ? 1 : 0));
  }

  function onchoose(list, how) {
    if (!answer) return;
    if (how === "set") chosen = new Set(list);
    else for (const i of list) if (!chosen.delete(i)) chosen.add(i);
    emphasise();
    showLegend();
    showChosen();
    say_(chosen.size ? t("chosenOf", whole(chosen.size), whole((only ?? answer.ids).length)) : t("noneChosen"));
  }
  const say_ = (text) => { said.textContent = text; };
  const idsOf = (list) => list.map((i) => answer.ids[i]);

  function showChosen() {
    chosenPart.hidden = !chosen.size && !only;
    if (chosenPart.hidden) { chosenPart.replaceChildren(); return; }
    const list = [...chosen], ids = idsOf(list), among = amongFilter(ids.slice(0, FILTER_BYTES));
    const search = (wish) => () => dispatchEvent(new CustomEvent("open-view", {detail: {name: "search", wish: {collection: settings.collection, like: [], filter: "", ...wish}}}));
    const button = (word, does, disabled = false) => make("button", {type: "button", disabled, onclick: does}, t(word));
    const restrict = (points) => { only = points; plot.only(points && Uint8Array.from(answer.ids, (_, i) => chosenNow.has(i) ? 1 : 0)); chosen = new Set(); emphasise(); showLegend(); showChosen(); };
    const chosenNow = new Set(chosen), cards = make("div", {className: "hits small"}), more = make("button", {type: "button", hidden: true, onclick: next}, t("showMore"));
    const all = (only ?? answer.ids).length;
    chosenPart.replaceChildren(make("h2", {}, chosen.size ? t("chosenOf", whole(chosen.size), whole(all)) : t("onlySome", whole(all))),
      make("div", {className: "row noprint"},
        ...(chosen.size ? [button("likeThese", search({like: ids}), ids.length > MOST_EXAMPLES), button("amongThese", search({filter: among}), new TextEncoder().encode(among).length > FILTER_BYTES),
          button("onlyThese", () => restrict(list)), button("clearChosen", () => onchoose([], "set"))] : []),
        ...(only ? [button("allAgain", () => restrict(null))] : [])),
      ...(ids.length > MOST_EXAMPLES ? [make("p", {className: "hint"}, t("mostExamples", MOST_EXAMPLES))] : []), cards, more);
    let listed = 0;
    async function next() {
      const mine = answer, some = ids.slice(listed, listed += LISTED);
      more.hidden = true;
      if (!some.length) return;
      try {
        const {items} = await get(`${pathOf(settings.collection, "items")}?${new URLSearchParams(some.map((id) => ["id", id]))}`);
        if (mine !== answer || !cards.isConnected) return;
        cards.append(...items.map((one) => hit(settings.collection, one, make("div", {className: "row noprint"},
          make("button", {type: "button", "aria-label": `${t("likeThis")} ${one.id}`, onclick: search({like: [one.id]})}, t("likeThis")), openButton(one)))));
        more.hidden = listed >= ids.length;
      } catch (error) { say(error.message); }
    }
    next();
  }
  // What the collection keeps of an item is its small image.
  const openButton = (one) => make("button", {type: "button", "aria-label": `${t("openSmall")} ${one.id}`, title: t("openSmallHint"), onclick: async () => {
    try {
      const file = new File([await thumbnailOf(settings.collection, one.id)], one.id);
      dispatchEvent(new CustomEvent("open-view", {detail: {name: "read"}}));
      await take([file], service.maxBytes);
    } catch (error) { say(error.message); }
  }}, t("openSmall"));

  // The point that is meant: its image beside it, its words for those who hear them.
  function onpoint(i, by) {
    clearTimeout(hovering);
    card.hidden = true;
    if (i === null || !answer) return;
    const id = answer.ids[i], mine = answer, value = groups.titles.find(([shade]) => shade === groups.of[i])?.[1] ?? "";
    if (by === "keys") say_([id, settings.column && value].filter(Boolean).join(", "));
    hovering = setTimeout(async () => {
      const image = make("img", {alt: ""}), words = [make("strong", {dir: "auto"}, id)];
      if (settings.column) words.push(make("span", {dir: "auto"}, `${settings.column}: ${value}`));
      const now = hovering;
      try {
        const {items: [item]} = await get(`${pathOf(settings.collection, "items")}?${new URLSearchParams({id})}`);
        if (now !== hovering || mine !== answer) return;
        const own = item?.attributes[settings.column];
        if (own !== undefined) words[1].textContent = `${settings.column}: ${own}`;
        card.replaceChildren(image, ...words);
        thumbnailOf(settings.collection, id).then((data) => showBlob(image, data), () => image.remove());
        card.hidden = false;
        place(i);
      } catch { /* the service is away, and says so elsewhere */ }
    }, by === "keys" ? 0 : HOVER_MS);
  }
  function place(i) {
    const [x, y] = plot.placeOf(i), {clientWidth, clientHeight} = plot.root;
    card.style.left = `${x + 16 + card.offsetWidth > clientWidth ? Math.max(4, x - 16 - card.offsetWidth) : x + 16}px`;
    card.style.top = `${Math.max(4, Math.min(y - 20, clientHeight - card.offsetHeight - 4))}px`;
  }

  collection.addEventListener("change", () => { filter.value = ""; fill(); ask(); });
  column.addEventListener("change", ask);
  const theme = new MutationObserver(() => root.isConnected ? (paint(), answer && showLegend()) : theme.disconnect());
  theme.observe(document.documentElement, {attributes: true, attributeFilter: ["data-theme"]});
  const form = make("form", {className: "panel", onsubmit: (event) => { event.preventDefault(); ask(); }}, make("h2", {}, t("mapTitle")),
    labelled(t("collection"), collection), labelled(t("colourBy"), column), labelled(t("filter"), filter), make("div", {className: "row"}, show, cancel));
  const root = make("div", {className: "search atlas"}, make("div", {className: "results"}, form, make("section", {className: "panel"}, facts, legend)), make("div", {className: "results"}, bar, plot.root, keys, said, chosenPart));
  if (service.collections.some((one) => one.name === settings.collection)) collection.value = settings.collection;
  fill();
  ask();
  return {root};
}
