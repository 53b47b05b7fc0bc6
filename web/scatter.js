// Points of a plane on a canvas: drawn pixel by pixel, so that a hundred thousand of them move with the pointer.
import {make} from "./dom.js";

const NEAR = 14;        // CSS pixels from the pointer to a point that is meant
const LASSO_STEP = 3;   // CSS pixels between two corners of a lasso
const RECTANGLE_STEP = .05;  // of the shorter side
const MOST_ZOOM = 400;  // times what shows everything
const DIM = .82;        // of the way to the background, for what is not meant

// A disc around a pixel: where its pixels lie, and how much of each it covers, of 256.
function disc(radius, stride) {
  const places = [], covers = [], reach = Math.ceil(radius + .5);
  for (let y = -reach; y <= reach; ++y)
    for (let x = -reach; x <= reach; ++x) {
      const cover = Math.round(256 * Math.min(1, Math.max(0, radius + .5 - Math.hypot(x, y))));
      if (cover) { places.push(y * stride + x); covers.push(cover); }
    }
  return {places: Int32Array.from(places), covers: Int32Array.from(covers), reach};
}

const rgb = (text) => text.match(/\d+/g).slice(0, 3).map(Number);
const packed = ([r, g, b]) => (255 << 24 | b << 16 | g << 8 | r) >>> 0;
const towards = (from, to, share) => from.map((value, i) => Math.round(value + (to[i] - value) * share));
const radiusOf = (count) => count < 300 ? 5.5 : count < 3000 ? 4 : count < 20000 ? 2.8 : 1.7;

function inPolygon(corners, x, y) {
  let inside = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
    const [ax, ay] = corners[i], [bx, by] = corners[j];
    if (ay > y !== by > y && x < (bx - ax) * (y - ay) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

/// onpoint(i, by): the pointer or the keys are at point i, null: at none. onchoose(list, how): "set" or "toggle". onopen(i).
export function scatter({onpoint, onchoose, onopen}) {
  const canvas = make("canvas", {"aria-hidden": "true"}), marks = make("canvas", {"aria-hidden": "true"});
  const root = make("div", {className: "plot", tabIndex: 0, role: "application"}, canvas, marks);
  let xs = new Uint16Array(0), ys = xs, shades = new Uint8Array(0), colours = [], shown = null, meant = null;
  let centre = [0, 0], scale = 1, fitted = 1, ratio = 1, width = 0, height = 0;
  let image = null, pixels = null, wanted = false, moving = false, moved = false;
  let cursor = null, hover = null, lasso = null, rectangle = null;

  const isShown = (i) => !shown || shown[i];
  const toScreen = (x, y) => [(x - centre[0]) * scale + width / 2, (centre[1] - y) * scale + height / 2];
  const toData = (x, y) => [(x - width / 2) / scale + centre[0], centre[1] - (y - height / 2) / scale];
  const placeOf = (i) => toScreen(xs[i], ys[i]);

  function size() {
    const box = root.getBoundingClientRect();
    ratio = Math.min(2, devicePixelRatio || 1);
    [width, height] = [box.width, box.height];
    for (const one of [canvas, marks]) { one.width = Math.max(1, Math.round(width * ratio)); one.height = Math.max(1, Math.round(height * ratio)); }
    image = null;
    if (moved) redraw(); else fit();
  }
  function fit() {
    moved = false;
    let low = [Infinity, Infinity], high = [-Infinity, -Infinity];
    for (let i = 0; i < xs.length; ++i) {
      if (!isShown(i)) continue;
      low = [Math.min(low[0], xs[i]), Math.min(low[1], ys[i])];
      high = [Math.max(high[0], xs[i]), Math.max(high[1], ys[i])];
    }
    if (low[0] > high[0]) [low, high] = [[0, 0], [1, 1]];
    centre = [0, 1].map((a) => (low[a] + high[a]) / 2);
    const room = Math.max(40, Math.min(width, height) * .06);
    fitted = scale = Math.min(Math.max(1, width - 2 * room) / Math.max(1, high[0] - low[0]), Math.max(1, height - 2 * room) / Math.max(1, high[1] - low[1]));
    redraw();
  }
  function zoom(factor, x = width / 2, y = height / 2) {
    const [dx, dy] = toData(x, y);
    scale = Math.max(fitted / 4, Math.min(fitted * MOST_ZOOM, scale * factor));
    centre = [dx - (x - width / 2) / scale, dy + (y - height / 2) / scale];
    moved = true;
    redraw();
  }
  function move(dx, dy) {
    centre = [centre[0] - dx / scale, centre[1] + dy / scale];
    moved = true;
    redraw();
  }
  function redraw() {
    if (wanted) return;
    wanted = true;
    requestAnimationFrame(() => { wanted = false; if (width && root.isConnected) { draw(); mark(); } });
  }

  function draw() {
    const zoomed = Math.max(1, Math.min(2.2, (scale / fitted) ** .35));
    const radius = radiusOf(xs.length) * zoomed * ratio, reach = Math.ceil(radius + .5) + 1;
    const w = canvas.width, h = canvas.height, stride = w + 2 * reach, rows = h + 2 * reach;
    if (!image || image.width !== stride || image.height !== rows) {
      image = new ImageData(stride, rows);
      pixels = new Uint32Array(image.data.buffer);
    }
    const ground = rgb(getComputedStyle(root).backgroundColor), {places, covers} = disc(radius, stride);
    pixels.fill(packed(ground));
    const strong = colours.map(packed), dim = colours.map((colour) => packed(towards(colour, ground, DIM)));
    const a = scale * ratio, left = w / 2 - centre[0] * a + reach, top = h / 2 + centre[1] * a + reach;
    const count = xs.length, parts = places.length;
    for (const pass of meant ? [0, 1] : [1]) {
      const palette = pass ? strong : dim;
      for (let i = 0; i < count; ++i) {
        if (meant && meant[i] !== pass || shown && !shown[i]) continue;
        const x = left + xs[i] * a | 0, y = top - ys[i] * a | 0;
        if (x < reach || y < reach || x >= w + reach || y >= h + reach) continue;
        const at = y * stride + x, colour = palette[shades[i]], rb = colour & 0xff00ff, g = colour >>> 8 & 0xff;
        for (let k = 0; k < parts; ++k) {
          const cover = covers[k], p = at + places[k];
          if (cover === 256) { pixels[p] = colour; continue; }
          const under = pixels[p], rest = 256 - cover;
          pixels[p] = 0xff000000 | (Math.imul(under & 0xff00ff, rest) + Math.imul(rb, cover)) >>> 8 & 0xff00ff | (under >>> 8 & 0xff) * rest + g * cover & 0xff00;
        }
      }
    }
    canvas.getContext("2d").putImageData(image, -reach, -reach);
  }

  // What lies over the points: lasso, rectangle, the point that is meant.
  function mark() {
    const to = marks.getContext("2d"), {color, accentColor} = getComputedStyle(root);
    to.setTransform(ratio, 0, 0, ratio, 0, 0);
    to.clearRect(0, 0, width, height);
    to.strokeStyle = accentColor;
    to.fillStyle = accentColor;
    to.lineWidth = 2;
    const area = (corners) => {
      to.beginPath();
      corners.forEach(([x, y], i) => i ? to.lineTo(...toScreen(x, y)) : to.moveTo(...toScreen(x, y)));
      to.closePath();
      to.globalAlpha = .14;
      to.fill();
      to.globalAlpha = 1;
      to.stroke();
    };
    if (lasso?.length > 1) area(lasso);
    if (rectangle) area(cornersOf(rectangle));
    const ring = (i, radius) => {
      const [x, y] = placeOf(i);
      to.beginPath();
      to.arc(x, y, radius, 0, 2 * Math.PI);
      to.stroke();
    };
    to.strokeStyle = color;
    if (hover !== null) ring(hover, 9);
    if (cursor !== null && cursor !== hover) ring(cursor, 9);
  }
  const cornersOf = ([[ax, ay], [bx, by]]) => [[ax, ay], [bx, ay], [bx, by], [ax, by]];

  function nearest(x, y, most) {
    let best = null, least = (most / scale) ** 2;
    const [dx, dy] = toData(x, y);
    for (let i = 0; i < xs.length; ++i) {
      const distance = (xs[i] - dx) ** 2 + (ys[i] - dy) ** 2;
      if (distance <= least && isShown(i)) { best = i; least = distance; }
    }
    return best;
  }
  // The next point that way: near, and rather ahead than beside.
  function nextPoint(dx, dy) {
    if (cursor === null || !isShown(cursor)) return nearest(width / 2, height / 2, Infinity);
    let best = cursor, least = Infinity;
    for (let i = 0; i < xs.length; ++i) {
      const x = xs[i] - xs[cursor], y = ys[i] - ys[cursor], ahead = x * dx + y * dy, beside = Math.abs(x * dy - y * dx);
      if (ahead <= 0 || beside > ahead || !isShown(i)) continue;
      const distance = ahead + 2 * beside;
      if (distance < least) { best = i; least = distance; }
    }
    return best;
  }
  function goTo(i) {
    cursor = i;
    hover = null;
    if (i === null) return;
    const [x, y] = placeOf(i), edge = 30;
    if (x < edge || y < edge || x > width - edge || y > height - edge) centre = [xs[i], ys[i]];
    redraw();
    onpoint(i, "keys");
  }
  // Of a lasso's corners, or of two opposite ones of a rectangle, whose edges belong to it.
  function within(corners) {
    const found = [], low = [0, 1].map((a) => Math.min(...corners.map((c) => c[a]))), high = [0, 1].map((a) => Math.max(...corners.map((c) => c[a])));
    for (let i = 0; i < xs.length; ++i)
      if (isShown(i) && xs[i] >= low[0] && xs[i] <= high[0] && ys[i] >= low[1] && ys[i] <= high[1] && (corners.length === 2 || inPolygon(corners, xs[i], ys[i]))) found.push(i);
    return found;
  }

  const pointers = new Map();  // that are down: where each was last
  const at = (event) => { const box = root.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const spread = () => { const [[ax, ay], [bx, by]] = pointers.values(); return Math.hypot(ax - bx, ay - by) || 1; };
  function point(i) {
    if (i === hover) return;
    hover = i;
    mark();
    onpoint(i, "pointer");
  }
  root.addEventListener("pointerdown", (event) => {
    root.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    point(null);
    lasso = pointers.size === 1 && event.button === 0 && moving === event.shiftKey ? [toData(...at(event))] : null;
    mark();
  });
  root.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId), [x, y] = at(event);
    if (!last) { if (event.pointerType === "mouse") point(nearest(x, y, NEAR)); return; }
    const two = pointers.size === 2, before = two ? spread() : 1;
    if (lasso && Math.hypot(x - last[0], y - last[1]) < LASSO_STEP) return;
    pointers.set(event.pointerId, [x, y]);
    if (two) { zoom(spread() / before, x, y); move((x - last[0]) / 2, (y - last[1]) / 2); }
    else if (lasso) { lasso.push(toData(x, y)); mark(); }
    else move(x - last[0], y - last[1]);
  });
  root.addEventListener("pointerup", (event) => {
    if (!pointers.delete(event.pointerId)) return;
    const drawn = lasso, how = event.ctrlKey || event.metaKey ? "toggle" : "set";
    lasso = null;
    mark();
    if (!drawn) return;
    if (drawn.length > 2) { onchoose(within(drawn), how); return; }
    const i = nearest(...at(event), NEAR);
    if (i !== null) cursor = i;
    onchoose(i === null ? [] : [i], how);
  });
  root.addEventListener("pointercancel", (event) => { pointers.delete(event.pointerId); lasso = null; mark(); });
  root.addEventListener("pointerleave", () => { if (!pointers.size) point(null); });
  root.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY * .0015), ...at(event)); }, {passive: false});

  const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]};
  function stretch([dx, dy]) {
    const step = Math.min(width, height) * RECTANGLE_STEP / scale, start = cursor === null ? centre : [xs[cursor], ys[cursor]];
    const [anchor, corner] = rectangle ?? [start, start];
    rectangle = [anchor, [corner[0] + dx * step, corner[1] + dy * step]];
    mark();
  }
  function enter() {
    const drawn = rectangle;
    rectangle = null;
    mark();
    if (drawn) onchoose(within(drawn), "set");
    else if (cursor !== null) { onchoose([cursor], "set"); onopen(); }
  }
  function escape() {
    if (rectangle || hover !== null) { rectangle = null; point(null); mark(); return; }
    cursor = null;
    onpoint(null, "keys");
    onchoose([], "set");
  }
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    const does = arrow ? () => event.shiftKey ? stretch(arrow) : goTo(nextPoint(...arrow))
      : {Enter: enter, Escape: escape, " ": () => { if (cursor !== null) onchoose([cursor], "toggle"); }, "+": () => zoom(1.25), "-": () => zoom(.8), 0: fit}[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });
  new ResizeObserver(size).observe(root);
  const theme = new MutationObserver(() => root.isConnected ? redraw() : theme.disconnect());
  theme.observe(document.documentElement, {attributes: true, attributeFilter: ["data-theme"]});

  return {
    root, fit, zoom, redraw,
    /// points: [x, y, x, y, ...]. Everything else is forgotten.
    show(points) {
      xs = Uint16Array.from({length: points.length / 2}, (_, i) => points[2 * i]);
      ys = Uint16Array.from({length: points.length / 2}, (_, i) => points[2 * i + 1]);
      shades = new Uint8Array(xs.length);
      [cursor, hover, lasso, rectangle, shown, meant] = [null, null, null, null, null, null];
      fit();
    },
    /// Of each point the number of its colour, [red, green, blue].
    paint(of, palette) { shades = of; colours = palette; redraw(); },
    /// 1 for each point that is meant, the others are dim; null: all are.
    emphasise(points) { meant = points; redraw(); },
    /// 1 for each point that is shown at all; null: all are.
    only(points) { shown = points; if (cursor !== null && !isShown(cursor)) cursor = null; fit(); },
    set moving(on) { moving = on; root.classList.toggle("moving", on); },
    placeOf,
  };
}
