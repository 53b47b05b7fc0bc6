// Talks to the service that the page came from, and to nobody else.
import {t} from "./i18n.js";

let key = "";
let asking = null;

export const hasKey = () => key !== "";

async function askForKey() {
  const dialog = document.getElementById("key-dialog");
  const field = document.getElementById("key");
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, {once: true}));
  key = field.value;  // in this page's memory only
  field.value = "";
}

async function send(path, options) {
  const used = key, headers = {...options.headers};
  if (used) headers.Authorization = `Bearer ${used}`;
  let answer;
  try {
    answer = await fetch(path, {...options, headers});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    dispatchEvent(new Event("service-away"));
    throw new Error(t("away"));
  }
  if (answer.status !== 503) dispatchEvent(new Event("service-here"));
  if (answer.status === 401) {
    if (used === key) await (asking ??= askForKey().finally(() => { asking = null; }));
    if (!key) throw new Error(t("keyTitle"));
    return send(path, options);
  }
  const identity = answer.headers.get("X-Model-Identity");
  if (identity) dispatchEvent(new CustomEvent("model-identity", {detail: identity}));
  if (answer.ok) return answer;
  const text = await answer.text();
  let detail = text;
  try {
    const told = JSON.parse(text);
    detail = told.detail ?? told.error?.message;
  } catch { /* it is no JSON */ }
  const error = new Error(typeof detail === "string" ? detail : detail?.[0]?.msg ?? `HTTP ${answer.status}`);
  error.status = answer.status;
  throw error;
}

export const get = async (path, signal) => (await send(path, {signal})).json();
export const blob = async (path) => (await send(path, {})).blob();
export const openapi = () => get("openapi.json");

function form(fields) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields))
    for (const one of Array.isArray(value) ? value : [value])
      if (one instanceof Blob) body.append(name, one, "image");  // names of files stay in the browser
      else if (one !== undefined && one !== "" && one !== null) body.append(name, String(one));
  return body;
}

export const post = async (path, fields, signal) => (await send(path, {method: "POST", body: form(fields), signal})).json();

export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  return bytes;
}
export const pngBlob = (base64) => new Blob([bytesOf(base64)], {type: "image/png"});
