// Items of a collection that were found.
import {blob} from "./api.js";
import {make, showBlob} from "./dom.js";

const SHOWN_COLUMNS = 5;

export const collectionOptions = (service) => service.collections.map((one) => make("option", {value: one.name}, `${one.name} (${one.items})`));
export const pathOf = (collection, what) => `collections/${encodeURIComponent(collection)}/${what}`;

export const thumbnailOf = (collection, id) => blob(`${pathOf(collection, "thumbnail")}?${new URLSearchParams({id})}`);

// An item; of a hit also how similar it is.
export function hit(collection, one, ...more) {
  const image = make("img", {alt: ""});
  thumbnailOf(collection, one.id).then((data) => showBlob(image, data), () => image.replaceWith(make("div", {className: "blank"})));
  const columns = Object.entries(one.attributes).filter(([name]) => name !== "path").slice(0, SHOWN_COLUMNS);
  return make("article", {className: "hit"}, image, one.similarity === undefined ? null : make("strong", {}, one.similarity.toFixed(4)), make("span", {dir: "auto"}, one.id),
    make("dl", {}, ...columns.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {dir: "auto"}, value)])), ...more);
}
