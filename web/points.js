// A head's operating points of one label: where the threshold lies, and what that costs.
import {labelled, make, percent} from "./dom.js";
import {t} from "./i18n.js";

const SNAP = .004;

// Sensitivity falls and specificity rises with the threshold, so that the points beside it bound them.
function boundsAt(points, threshold) {
  const below = points.findLast((point) => point.threshold <= threshold), above = points.find((point) => point.threshold >= threshold);
  return {sensitivity: [above?.sensitivity.value ?? 0, below?.sensitivity.value ?? 1], specificity: [below?.specificity.value ?? 0, above?.specificity.value ?? 1]};
}
const range = ([low, high]) => low === high ? percent(low) : `${percent(low)} – ${percent(high)}`;
const rate = ({value, low, high}) => `${percent(value)} (${percent(low)} – ${percent(high)})`;

/// points: of each label, as GET /heads/{name} has them. scores: of this image, by label. ontick(label, threshold): it was moved.
export function pointsPanel(labels, points, scores, ontick) {
  const known = labels.filter((_, k) => points[k]?.length);
  if (!known.length) return null;
  const label = make("select", {}, ...known.map((name) => make("option", {value: name}, name)));
  label.value = known.reduce((best, name) => scores[name] > scores[best] ? name : best);
  const slider = make("input", {type: "range", min: 0, max: 1, step: .001}), rules = make("div", {className: "row"});
  const facts = make("dl", {}), verdict = make("p", {className: "verdict", dir: "auto", role: "status"});
  const sorted = () => [...points[labels.indexOf(label.value)]].sort((a, b) => a.threshold - b.threshold);

  function set(threshold) {
    const all = sorted(), point = all.find((one) => one.threshold === threshold), bounds = boundsAt(all, threshold), score = scores[label.value];
    slider.value = threshold;
    for (const button of rules.children) button.setAttribute("aria-pressed", String(button.threshold === threshold));
    const row = (name) => [make("dt", {}, t(name)), make("dd", {}, point ? rate(point[name]) : range(bounds[name]))];
    facts.replaceChildren(make("dt", {}, t("threshold")), make("dd", {}, percent(threshold)), ...row("sensitivity"), ...row("specificity"));
    verdict.textContent = `${label.value}: ${percent(score)}, ${t(score >= threshold ? "positive" : "negative")}`;
    ontick(label.value, threshold);
  }
  function choose() {
    rules.replaceChildren(...sorted().map((point) => {
      const button = make("button", {type: "button", onclick: () => set(point.threshold)}, point.rule);
      button.threshold = point.threshold;
      return button;
    }));
    set(sorted()[0].threshold);
  }
  slider.addEventListener("input", () => {
    const value = Number(slider.value);
    set(sorted().find((point) => Math.abs(point.threshold - value) < SNAP)?.threshold ?? value);
  });
  label.addEventListener("change", choose);
  choose();
  return make("section", {className: "points"}, make("h3", {}, t("operatingPoint")), labelled(t("label"), label), labelled(t("threshold"), slider), rules, facts, verdict,
    make("p", {className: "hint"}, t("pointsHint")));
}
