import {post, pngBlob} from "./api.js";
import {labelled, make, say, showBlob} from "./dom.js";
import {t} from "./i18n.js";

const PRESETS = ["", "auto", "voi", "stored", "minmax", "percentile:1,99", "ct-soft-tissue", "ct-lung", "ct-bone", "ct-brain", "ct-liver", "ct-mediastinum"];
const BY_HAND = "hand";
const SHOWN_SIDE = 1400;
const MAP_SIDE = 700;

// What of an entry is looked at. A slice of a series is a file of it; of another entry it is a frame of its file.
export const firstView = () => ({slice: null, profile: "", plane: ""});
const isSeries = (entry) => entry.slices.length > 1;
const sliceOf = (entry, view) => isSeries(entry) ? view.slice ?? Math.ceil(entry.slices.length / 2) : view.slice;

export const fileOf = (entry, view) => entry.slices[isSeries(entry) ? sliceOf(entry, view) - 1 : 0].file;
export const viewFields = (entry, view) => ({profile: view.profile, plane: view.plane, frame: isSeries(entry) ? "" : view.slice ?? ""});
export const isFileItself = (entry, view) => Object.values(viewFields(entry, view)).every((value) => value === "");

export const render = (entry, view, more, signal) => post("render", {images: fileOf(entry, view), ...viewFields(entry, view), ...more}, signal);

// The bytes that scores are computed of: the file itself, or every pixel of what is seen where the view was changed.
export async function seenBytes(entry, view, signal) {
  return isFileItself(entry, view) ? fileOf(entry, view) : pngBlob((await render(entry, view, {}, signal)).png);
}

// The image, and a map over it.
function pane() {
  const image = make("img", {alt: ""}), map = make("canvas", {className: "map", hidden: true, role: "img"});
  const caption = make("span", {className: "caption", dir: "auto", hidden: true});
  return {root: make("div", {className: "pane"}, image, map, caption), image, map, caption};
}

// onchange: something else is to be seen. onshown: it is there, with the view and what /render answered; without: it cannot be
// shown.
export function viewer({onchange = () => {}, onshown = () => {}} = {}) {
  const panes = [pane(), pane()];
  const corners = ["tl", "tr", "bl", "br"].map((place) => make("span", {className: `corner ${place}`, dir: "auto"}));
  const stage = make("div", {className: "stage", tabIndex: 0, role: "application"}, ...panes.map((one) => one.root), ...corners);
  const profile = make("select", {}, ...PRESETS.map((name) => make("option", {value: name}, name || t("asService"))), make("option", {value: BY_HAND, hidden: true}, t("byHand")));
  const plane = make("select", {}, ...["axial", "coronal", "sagittal"].map((name) => make("option", {value: name}, t(name))));
  const slice = make("input", {type: "range", min: 1, value: 1});
  const invert = make("button", {type: "button"}, t("invert"));
  const reset = make("button", {type: "button"}, t("reset"));
  const sliceBox = labelled(t("slice"), slice), planeBox = labelled(t("plane"), plane);
  sliceBox.className = "slice";
  const controls = make("div", {className: "controls"}, labelled(t("window"), profile), planeBox, sliceBox, invert, reset);
  const root = make("div", {className: "viewer"}, stage, controls, make("p", {className: "hint noprint"}, t("keys")));
  let entry = null, view, frames, zoom, pan, inverted;
  let answer = null, png = null, working = false, waiting = false;

  const count = () => isSeries(entry) ? entry.slices.length : frames;
  // The centre and width that the next change starts from: those asked for, else those of the image.
  const window_ = () => {
    const hand = view.profile.match(/^window:(.+),(.+)$/);
    return hand ? [Number(hand[1]), Number(hand[2])] : windowOf(answer?.provenance);
  };

  function place() {
    for (const {image, map} of panes) {
      for (const one of [image, map]) one.style.transform = `translate(${pan[0]}px, ${pan[1]}px) scale(${zoom})`;
      image.style.filter = inverted ? "invert(1)" : "";
    }
    invert.setAttribute("aria-pressed", inverted);
  }
  function asItWas() {
    view = firstView();
    [zoom, pan, inverted] = [1, [0, 0], false];
    place();
  }
  function showNothing() {
    answer = png = null;
    for (const {image} of panes) { image.removeAttribute("src"); image.hidden = true; }
    for (const corner of corners) corner.textContent = "";
    stage.ariaLabel = t("image");
  }

  function showAnswer(got, looked) {
    answer = got;
    png = pngBlob(answer.png);
    showBlob(panes[0].image, png);
    panes[0].image.hidden = false;
    panes[0].image.alt = stage.ariaLabel = `${t("image")} ${entry.name}`;
    const p = answer.provenance ?? {}, w = windowOf(p);
    frames = answer.frames;
    const at = isSeries(entry) ? sliceOf(entry, looked) : p.frame ?? 1;
    corners[0].textContent = entry.name;
    corners[1].textContent = [p.modality, p.body_part, p.plane].filter(Boolean).join(" · ");
    corners[2].textContent = w ? `C ${round(w[0])}  W ${round(w[1])}` : "";
    corners[3].textContent = `${p.width ?? answer.width} × ${p.height ?? answer.height}${count() > 1 ? `  ·  ${at} / ${count()}` : ""}`;
    planeBox.hidden = !p.plane;
    profile.disabled = !p.applied;
    if (waiting) return;
    showSlices(at);
    onshown(looked, answer);
  }
  function showSlices(at) {
    slice.max = count();
    slice.value = at;
    sliceBox.hidden = count() < 2;
  }
  function showError(error) {
    showNothing();
    corners[0].textContent = entry.name;
    say(`${entry.name}: ${error.message}`);
    onshown();
  }

  function overlay(maps) {
    if (!answer) maps = [];
    const most = Math.max(...maps.flatMap(({grid}) => grid.flat().map(Math.abs))) || 1;  // one scale for both
    panes.forEach(({root: box, image, map, caption}, i) => {
      box.hidden = i > 0 && !maps[i];
      map.hidden = caption.hidden = !maps[i];
      if (!maps[i]) return;
      if (i > 0) { showBlob(image, png); image.hidden = false; image.alt = panes[0].image.alt; }
      draw(map, maps[i].grid, most, answer);
      caption.textContent = maps[i].label;
      map.ariaLabel = `${t("map")} ${maps[i].label}`;
    });
  }

  // One request at a time; the newest wish is asked next.
  async function refresh() {
    profile.value = PRESETS.includes(view.profile) ? view.profile : BY_HAND;
    plane.value = view.plane || "axial";
    overlay([]);
    onchange();
    waiting = true;
    if (working) return;
    working = true;
    stage.ariaBusy = "true";
    while (waiting) {
      waiting = false;
      const asked = entry, looked = {...view};
      const done = await render(asked, looked, {max_side: SHOWN_SIDE}).then((got) => () => showAnswer(got, looked), (error) => () => showError(error));
      if (asked === entry) done();
    }
    working = false;
    stage.ariaBusy = "false";
  }
  const go = (step) => {
    if (count() < 2) return;
    slice.value = view.slice = Math.max(1, Math.min(count(), Number(slice.value) + step));
    refresh();
  };
  const shift = (dc, dw) => {
    const w = window_();
    if (!w || profile.disabled) return;
    const center = w[0] + dc * w[1] / 300, width = Math.max(1, w[1] * (1 + dw / 300));
    view.profile = `window:${round(center)},${round(width)}`;
    refresh();
  };
  const setZoom = (factor) => { zoom = Math.max(.5, Math.min(16, zoom * factor)); place(); };
  const setInvert = () => { inverted = !inverted; place(); };
  const setReset = () => { asItWas(); refresh(); };

  profile.addEventListener("change", () => { view.profile = profile.value; refresh(); });
  plane.addEventListener("change", () => { view.plane = plane.value; view.slice = null; refresh(); });
  slice.addEventListener("input", () => { view.slice = Number(slice.value); refresh(); });
  invert.addEventListener("click", setInvert);
  reset.addEventListener("click", setReset);
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey || count() < 2) setZoom(event.deltaY < 0 ? 1.15 : 1 / 1.15);
    else go(Math.sign(event.deltaY));
  }, {passive: false});
  const pointers = new Map();  // that are down: where each was last
  const spread = () => { const [[ax, ay], [bx, by]] = pointers.values(); return Math.hypot(ax - bx, ay - by) || 1; };
  const move = (dx, dy) => { pan = [pan[0] + dx, pan[1] + dy]; place(); };
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => pointers.delete(event.pointerId));
  stage.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const dx = event.clientX - last[0], dy = event.clientY - last[1], two = pointers.size === 2, before = two ? spread() : 1;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (two) { setZoom(spread() / before); move(dx / 2, dy / 2); }
    else if (event.shiftKey || event.buttons & 4 || profile.disabled) move(dx, dy);
    else shift(dy, dx);
  });
  stage.addEventListener("keydown", (event) => {
    const does = {ArrowUp: () => go(-1), ArrowDown: () => go(1), PageUp: () => go(-10), PageDown: () => go(10), "+": () => setZoom(1.2), "-": () => setZoom(1 / 1.2),
      i: setInvert, r: setReset, b: () => shift(-10, 0), d: () => shift(10, 0), w: () => shift(0, 30), n: () => shift(0, -30)}[event.key];
    if (!does || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    does();
  });

  return {
    root,
    show(next) {
      entry = next;
      frames = 1;
      asItWas();
      showNothing();
      showSlices(sliceOf(entry, view) ?? 1);
      refresh();
    },
    /// Two at the most, side by side: {label, grid}, the grid being what speaks for the label, row by row.
    overlay,
    get entry() { return entry; },
    get view() { return view; },
  };
}

function windowOf(p) {
  if (p?.window_width) return [p.window_center, p.window_width];
  if (p?.value_range) return [(p.value_range[0] + p.value_range[1]) / 2, p.value_range[1] - p.value_range[0]];
  return null;
}
const round = (value) => Math.abs(value) >= 10 ? Math.round(value) : Number(value.toPrecision(4));

// Red speaks for the label, blue against it; where little is said the image shows through.
function draw(map, grid, most, {width, height}) {
  const small = make("canvas", {width: grid[0].length, height: grid.length});
  const context = small.getContext("2d"), data = context.createImageData(small.width, small.height);
  grid.flat().forEach((value, i) => data.data.set([value > 0 ? 230 : 40, 60, value > 0 ? 40 : 230, 170 * Math.abs(value) / most], 4 * i));
  context.putImageData(data, 0, 0);
  const scale = MAP_SIDE / Math.max(width, height);
  map.width = Math.max(1, width * scale);
  map.height = Math.max(1, height * scale);
  const to = map.getContext("2d");
  to.imageSmoothingQuality = "high";
  to.drawImage(small, 0, 0, map.width, map.height);
}
