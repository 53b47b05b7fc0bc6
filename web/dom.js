import {t} from "./i18n.js";

// Elements are made here only, and text becomes text only: nothing is ever parsed as HTML.
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list") element[name] = value;
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export const labelled = (text, field) => make("label", {}, text, field);

export function say(text) {
  const box = make("div", {className: "message"}, make("span", {dir: "auto"}, text));
  box.append(make("button", {type: "button", "aria-label": t("dismiss"), onclick: () => box.remove()}, "×"));
  const all = document.getElementById("messages");
  all.append(box);
  while (all.children.length > 4) all.firstChild.remove();
}

// The address lives until the image is decoded, so that the page keeps no copy of it.
export function showBlob(image, blob) {
  const url = URL.createObjectURL(blob);
  image.src = url;
  return image.decode().catch(() => {}).finally(() => URL.revokeObjectURL(url));
}

// Bars can be pressed where there is something to do with a label.
export function bars(entries, onpick) {
  const list = make("ul", {className: "bars"});
  for (const {label, value, band} of entries) {
    const fill = make("span", {className: "fill"});
    fill.style.width = `${Math.max(0, Math.min(1, value)) * 100}%`;
    const pressed = onpick ? {type: "button", "aria-pressed": "false", onclick: () => onpick(label)} : {};
    const row = make(onpick ? "button" : "div", {className: "bar", title: label, ...pressed},
      make("span", {className: "name", dir: "auto"}, label), make("span", {className: "number"}, percent(value)),
      make("span", {className: "track", "aria-hidden": "true"}, fill), band ? make("span", {className: "band"}, band) : null);
    row.dataset.label = label;
    row.dataset.value = value;
    list.append(make("li", {}, row));
  }
  return list;
}

export const percent = (value) => `${(value * 100).toFixed(1)} %`;
