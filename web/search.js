// Items of a collection that are like images or a text, by patient, with votes; thumbs refine the question.
import {post} from "./api.js";
import {bars, labelled, make, say} from "./dom.js";
import {entries, options} from "./entries.js";
import {collectionOptions, hit, pathOf} from "./hits.js";
import {t} from "./i18n.js";
import {firstView, seenBytes} from "./viewer.js";

/// wish: {collection, like, filter}, to be asked at once.
export function searchView(service, wish) {
  const collection = make("select", {}, ...collectionOptions(service)), image = make("select", {});
  const text = make("input", {type: "search", dir: "auto"});
  const filter = make("input", {type: "text", placeholder: "modality = 'CT' and age < 40", spellcheck: false});
  const count = make("input", {type: "number", min: 1, max: 200, value: 12});
  const vote = make("select", {});
  const search = make("button", {type: "submit", className: "main"}, t("search"));
  const chosen = make("div", {className: "row"}), out = make("div", {className: "results", "aria-live": "polite"});
  const like = new Set(), unlike = new Set();
  let controller = null;
  const columns = () => service.collections.find((one) => one.name === collection.value)?.columns ?? [];
  const fill = () => vote.replaceChildren(make("option", {value: ""}, t("none")), ...columns().map((name) => make("option", {value: name}, name)));
  collection.addEventListener("change", () => { stop(); forget(); out.replaceChildren(); fill(); });
  fill();
  if (columns().includes("modality")) vote.value = "modality";

  const form = make("form", {className: "panel", onsubmit: (event) => { event.preventDefault(); ask(); }}, make("h2", {}, t("searchTitle")),
    labelled(t("collection"), collection), labelled(t("likeImage"), image), labelled(t("likeText"), text), labelled(t("filter"), filter),
    labelled(t("vote"), vote), labelled(t("howMany"), count), chosen, search);

  function thumb(id, set, other, sign, name) {
    return make("button", {type: "button", "aria-pressed": String(set.has(id)), "aria-label": `${name} ${id}`, title: name, onclick: () => {
      other.delete(id);
      if (!set.delete(id)) set.add(id);
      ask();
    }}, `${sign} ${name}`);
  }

  const card = (one) => hit(collection.value, one, make("div", {className: "row noprint"},
    thumb(one.id, like, unlike, "+", t("moreLike")), thumb(one.id, unlike, like, "−", t("lessLike"))));

  function forget() {
    like.clear();
    unlike.clear();
    chosen.replaceChildren();
  }
  function stop() {
    controller?.abort();
    controller = null;
  }
  async function ask() {
    stop();
    const mine = controller = new AbortController();
    const fields = {k: count.value, filter: filter.value, vote: vote.value, texts: text.value, ids: [...like], not_ids: [...unlike]};
    try {
      if (image.value !== "") fields.images = await seenBytes(entries[Number(image.value)], firstView());
      if (!fields.images && !fields.texts && !like.size) { say(t("needQuestion")); return; }
      const answer = await post(pathOf(collection.value, "search"), fields, mine.signal);
      if (mine === controller) show(answer);
    } catch (error) {
      if (mine === controller) say(error.message);
    }
  }

  function show({hits, evidence, warnings = []}) {
    chosen.replaceChildren(...(like.size + unlike.size ? [make("span", {className: "hint"}, t("refined", like.size, unlike.size)), make("button", {type: "button", onclick: () => { forget(); ask(); }}, t("forget"))] : []));
    const patients = new Map();
    for (const one of hits) {
      const patient = one.attributes.patient ?? "";
      if (!patients.has(patient)) patients.set(patient, []);
      patients.get(patient).push(one);
    }
    const votes = (evidence.votes ?? []).map((one) => make("section", {className: "panel"}, make("h2", {}, `${t("votes")}: ${one.column}`),
      bars(one.votes.map((v) => ({label: `${v.value} (${v.hits})`, value: v.share, band: `95 %: ${(v.low * 100).toFixed(0)}–${(v.high * 100).toFixed(0)} %`})))));
    out.replaceChildren(...warnings.map((text_) => make("p", {className: "warning"}, text_)), ...votes,
      make("p", {className: "hint"}, t("searched", evidence.searched, evidence.version)),
      make("div", {className: "patients"}, ...[...patients].map(([patient, items]) => make("section", {className: "results"},
        make("h3", {dir: "auto"}, patient ? `${t("patient")} ${patient}` : t("noPatient")), make("div", {className: "hits"}, ...items.map(card))))));
    if (!hits.length) out.append(make("p", {}, t("noHits")));
  }
  // The first image is the question until another is chosen.
  function added() {
    const value = image.value || (entries.length ? "0" : "");
    image.replaceChildren(make("option", {value: ""}, t("noImage")), ...options());
    image.value = value;
  }
  added();
  if (wish) {
    collection.value = wish.collection;
    fill();
    for (const id of wish.like) like.add(id);
    filter.value = wish.filter;
    if (wish.like.length) { image.value = ""; ask(); }
  }
  return {root: make("div", {className: "search"}, form, out), added};
}
