import {get, openapi} from "./api.js";
import {atlasView} from "./atlas.js";
import {compareView} from "./compare.js";
import {make, say} from "./dom.js";
import {take} from "./entries.js";
import {droppedFiles} from "./files.js";
import {judgeView} from "./judge.js";
import {language, setLanguage, t} from "./i18n.js";
import {readView} from "./read.js";
import {searchView} from "./search.js";

const DEFAULT_MAX_BYTES = 64 << 20;
const service = {routes: new Set(), heads: [], collections: [], maxBytes: DEFAULT_MAX_BYTES};
const VIEWS = {read: readView, compare: compareView, search: searchView, atlas: atlasView, judge: judgeView};
const OF_COLLECTIONS = ["search", "atlas"];
const id = (name) => document.getElementById(name);
let current = "read", view = null;

// What this service has decides what the page shows.
async function learn() {
  const document_ = await openapi();
  service.routes = new Set(Object.keys(document_.paths));
  service.maxBytes = document_.info["x-max-body-bytes"] ?? DEFAULT_MAX_BYTES;
  const ask = async (path, name) => service.routes.has(path) ? (await get(path.slice(1)).catch(withoutIt))[name] : [];
  const [heads, collections, models] = await Promise.all([ask("/heads", "heads"), ask("/collections", "collections"), get("v1/models")]);
  Object.assign(service, {heads, collections, model: models.data?.[0]?.id ?? ""});
}

// A part that the service cannot give is missing on the page; a service that is not ready is asked again.
function withoutIt(error) {
  if (!error.status || error.status === 503) throw error;
  say(error.message);
  return {heads: [], collections: []};
}

const identity = () => [service.model, service.identity].filter(Boolean).join(" · ");
const available = () => Object.keys(VIEWS).filter((name) => !OF_COLLECTIONS.includes(name) || service.collections.length);

function words() {
  document.documentElement.lang = language();
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.dataset.label));
  id("identity").textContent = identity();
  id("nav").replaceChildren(...available().map((name) => make("button", {type: "button", onclick: () => open(name), "aria-current": name === current ? "page" : null}, t(name))));
}

// wish: what another view wants to be asked there.
function open(name, wish) {
  current = name;
  words();
  view = VIEWS[name](service, wish);
  id("main").replaceChildren(make("p", {className: "sheet-head"}), view.root);
}

// What the sheet says of itself: by which model, and when.
addEventListener("beforeprint", () => {
  for (const head of document.querySelectorAll(".sheet-head")) head.textContent = `${identity()} · ${new Date().toISOString()}`;
});
addEventListener("model-identity", ({detail}) => { service.identity = detail; id("identity").textContent = identity(); });

// The system's, until another is chosen.
const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => { document.documentElement.dataset.theme = localStorage.getItem("theme") || (dark.matches ? "dark" : "light"); };
dark.addEventListener("change", theme);

let timer = null;
function here() {
  if (timer) { clearInterval(timer); timer = null; }
  id("status").classList.remove("off");
  id("status").textContent = t("here");
}
function away() {
  id("status").classList.add("off");
  id("status").textContent = t("away");
  timer ??= setInterval(() => get("readyz").catch(() => {}), 2000);
}
addEventListener("service-away", away);
addEventListener("service-here", here);

theme();
setLanguage(localStorage.getItem("language") || navigator.language);
id("language").value = language();
id("language").addEventListener("change", ({target}) => { localStorage.setItem("language", target.value); setLanguage(target.value); here(); open(current); });
id("theme").addEventListener("click", () => { localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark"); theme(); });
id("print").addEventListener("click", () => print());

// Files are dropped anywhere on the page, or pasted.
async function receive(files) {
  if (!view || !files.length) return;
  if (view.dropped) view.dropped(files);
  else await take(files, service.maxBytes);
}
for (const name of ["dragover", "dragleave", "drop"])
  addEventListener(name, (event) => { event.preventDefault(); document.body.classList.toggle("dragging", name === "dragover"); });
addEventListener("drop", (event) => droppedFiles(event.dataTransfer).then(receive).catch((error) => say(error.message)));
addEventListener("paste", (event) => receive([...event.clipboardData.files]));
addEventListener("open-view", ({detail: {name, wish}}) => open(name, wish));
addEventListener("entries-added", ({detail}) => view.added?.(detail));

words();
async function start() {
  try {
    await learn();
    open("read");
  } catch (error) {
    if (error.status === 503) id("status").textContent = t("loading");
    else if (error.status) say(error.message);
    setTimeout(start, 1000);
  }
}
start();
