// What was opened: the images, volumes and series of all views.
import {pngBlob} from "./api.js";
import {make, say, showBlob} from "./dom.js";
import {entriesOf, MAX_ENTRIES} from "./files.js";
import {t} from "./i18n.js";
import {firstView, render} from "./viewer.js";

export const entries = [];

// Adds files to the entries. The page hears of it as "entries-added", with the number of those that were there before.
export async function take(files, maxBytes) {
  const stop = new AbortController();
  const progress = make("progress", {max: files.length, value: 0, "aria-label": t("reading")});
  const bar = make("div", {className: "reading"}, progress, make("button", {type: "button", onclick: () => stop.abort()}, t("cancel")));
  document.getElementById("main").before(bar);  // the view may change meanwhile
  const {entries: more, refused, full} = await entriesOf(files, maxBytes, (done) => { progress.value = done; }, stop.signal);
  bar.remove();
  const before = entries.length, room = Math.max(0, MAX_ENTRIES - before);
  entries.push(...more.slice(0, room));
  if (full || more.length > room) say(t("tooMany", MAX_ENTRIES));
  for (const file of refused.slice(0, 2)) say(t(file.size ? "tooLarge" : "emptyFile", file.name, Math.round(maxBytes / 2 ** 20)));
  if (refused.length > 2) say(t("moreRefused", refused.length - 2));
  if (entries.length > before) dispatchEvent(new CustomEvent("entries-added", {detail: before}));
}

export function chooser(maxBytes) {
  const pick = (folder) => {
    const field = make("input", {type: "file", multiple: true, webkitdirectory: folder, onchange: () => take([...field.files], maxBytes)});
    field.click();
  };
  return make("div", {className: "row noprint"}, make("button", {type: "button", className: "main", onclick: () => pick(false)}, t("openFiles")),
    make("button", {type: "button", onclick: () => pick(true)}, t("openFolder")));
}

export const options = () => entries.map((entry, i) => make("option", {value: i}, entry.name));

// Thumbnails are asked for when they come into sight, two at a time.
const wanted = [];
let working = 0;
async function nextThumbnail() {
  if (working >= 2 || !wanted.length) return;
  ++working;
  const {entry, image} = wanted.shift();
  try {
    entry.thumbnail ??= pngBlob((await render(entry, firstView(), {max_side: 160})).png);
    showBlob(image, entry.thumbnail);
  } catch (error) { image.replaceWith(make("span", {className: "blank", title: error.message}, "×")); }
  --working;
  nextThumbnail();
}
const sight = new IntersectionObserver((seen) => {
  for (const {isIntersecting, target} of seen)
    if (isIntersecting) { sight.unobserve(target); wanted.push({entry: target.entry, image: target}); nextThumbnail(); }
});
export function thumbnail(entry) {
  const image = make("img", {alt: ""});
  image.entry = entry;
  sight.observe(image);
  return image;
}
