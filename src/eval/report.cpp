#include "eval/report.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <span>

#include "core/base64.h"
#include "core/json_writer.h"

namespace mii {
namespace {

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
  char buffer[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(buffer, sizeof(buffer), pattern, arguments);
  va_end(arguments);
  return buffer;
}

std::string percent(double share) { return std::isnan(share) ? "-" : format("%.1f %%", 100 * share); }

std::string percent(const Estimate& e) {
  if (std::isnan(e.value)) return "-";
  return format("%5.1f %%", 100 * e.value) +
         (std::isnan(e.low) ? "" : format(" (%.1f-%.1f)", 100 * e.low, 100 * e.high));
}

std::string fraction(const Estimate& e) {
  if (std::isnan(e.value)) return "-";
  return format("%.4f", e.value) + (std::isnan(e.low) ? "" : format(" (%.4f-%.4f)", e.low, e.high));
}

std::string signed_percent(const Estimate& e) {
  return format("%+5.1f %%", 100 * e.value) +
         (std::isnan(e.low) ? "" : format(" (%+.1f to %+.1f)", 100 * e.low, 100 * e.high));
}

std::string signed_fraction(const Estimate& e) {
  if (std::isnan(e.value)) return "-";
  return format("%+.4f", e.value) + (std::isnan(e.low) ? "" : format(" (%+.4f to %+.4f)", e.low, e.high));
}

void add(JsonWriter& json, const char* name, const Estimate& e) {
  json.key(name).begin_object();
  json.member("value", e.value).member("low", e.low).member("high", e.high).end_object();
}

void add_accuracies(JsonWriter& json, const std::string& name, const Estimate& top1,
                    const Estimate& macro_auc) {
  json.key(name).begin_object();
  add(json, "top1", top1);
  add(json, "macro_auc", macro_auc);
  json.end_object();
}

void add_confusion(JsonWriter& json, const TaskResult& task) {
  const size_t n = task.labels.size();
  const std::span counts(task.confusion);
  json.key("confusion").begin_array();
  for (size_t i = 0; i < counts.size(); i += n) json.value(counts.subspan(i, n));
  json.end_array();
}

void add_task(JsonWriter& json, const TaskResult& task) {
  json.begin_object();
  json.member("name", task.name).member("images", task.images).member("patients", task.groups);
  add(json, "top1", task.top1);
  add(json, "top5", task.top5);
  add(json, "macro_auc", task.macro_auc);
  json.key("nearest_neighbours").begin_object();
  for (const NeighboursResult& n : task.neighbours) add_accuracies(json, n.vectors, n.top1, n.macro_auc);
  json.end_object();
  if (const auto& d = task.difference) add_accuracies(json, "difference", d->top1, d->macro_auc);
  json.key("labels").begin_array();
  for (const LabelResult& label : task.labels) {
    json.begin_object().member("label", label.label).member("images", label.images);
    json.member("sensitivity", label.recall).member("auc", label.auc).end_object();
  }
  json.end_array();
  add_confusion(json, task);
  json.key("altered").begin_array();
  for (const CorruptionResult& c : task.corruptions) {
    json.begin_object().member("name", c.name).member("images", c.images);
    json.member("top1", c.accuracy).member("same_answer", c.agreement).end_object();
  }
  json.end_array().end_object();
}

std::string escaped(const std::string& text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

std::string colour_of(size_t index) { return format("hsl(%zu,65%%,42%%)", index * 137 % 360); }

// Rows: truth; columns: answers; the darker a cell, the larger its share of the row.
std::string confusion_svg(const TaskResult& task) {
  const size_t n = task.labels.size();
  const int cell = n > 16 ? 22 : 34, left = 230, top = 160;
  const int size = static_cast<int>(n) * cell;
  std::string svg = format("<svg width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"confusion matrix\">",
                           left + size + 10, top + size + 10);
  for (size_t r = 0; r < n; ++r) {
    size_t total = 0;
    for (size_t c = 0; c < n; ++c) total += task.confusion[r * n + c];
    const int y = top + static_cast<int>(r) * cell;
    svg += format("<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", left - 6, y + cell * 2 / 3) +
           escaped(task.labels[r].label) + "</text>";
    svg += format("<text transform=\"translate(%d,%d) rotate(-50)\">",
                  left + static_cast<int>(r) * cell + cell / 2, top - 6) +
           escaped(task.labels[r].label) + "</text>";
    for (size_t c = 0; c < n; ++c) {
      const size_t count = task.confusion[r * n + c];
      const double share = total == 0 ? 0 : static_cast<double>(count) / static_cast<double>(total);
      const int x = left + static_cast<int>(c) * cell;
      svg += format(
          "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\" fill-opacity=\"%.3f\" "
          "stroke=\"#ddd\"/>",
          x, y, cell, cell, r == c ? "#1a7f37" : "#c62828", share);
      if (count > 0)
        svg += format("<text x=\"%d\" y=\"%d\" text-anchor=\"middle\"%s>%zu</text>", x + cell / 2,
                      y + cell * 2 / 3, share > 0.6 ? " fill=\"#fff\"" : "", count);
    }
  }
  return svg + "</svg>";
}

std::string roc_svg(const TaskResult& task) {
  constexpr int kSize = 300, kMargin = 34;
  std::string svg = format("<svg width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"ROC curves\">",
                           kSize + 2 * kMargin, kSize + 2 * kMargin);
  svg += format("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#999\"/>", kMargin,
                kMargin, kSize, kSize);
  svg += format("<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#ccc\"/>", kMargin, kMargin + kSize,
                kMargin + kSize, kMargin);
  for (size_t i = 0; i < task.labels.size(); ++i) {
    svg += "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"" + colour_of(i) + "\" points=\"";
    for (const auto& [x, y] : task.labels[i].roc)
      svg += format("%.1f,%.1f ", kMargin + x * kSize, kMargin + (1 - y) * kSize);
    svg += "\"><title>" + escaped(task.labels[i].label) + "</title></polyline>";
  }
  svg += format("<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">1 - specificity</text>", kMargin + kSize / 2,
                kMargin + kSize + 24);
  svg += format("<text transform=\"translate(20,%d) rotate(-90)\" text-anchor=\"middle\">sensitivity</text>",
                kMargin + kSize / 2);
  return svg + "</svg>";
}

std::string task_html(const TaskResult& task, size_t k) {
  std::string html = "<h2>" + escaped(task.name) +
                     "</h2><table><tr><th>images</th><th>top-1</th><th>top-5</th><th>macro AUC</th>";
  for (const NeighboursResult& n : task.neighbours)
    html += format("<th>%zu-NN, ", k) + escaped(n.vectors) + "</th><th>its macro AUC</th>";
  if (task.difference) html += "<th>the first less the second</th><th>macro AUC</th>";
  html += format("</tr><tr><td>%zu of %zu patients</td>", task.images, task.groups) + "<td>" +
          percent(task.top1) + "</td><td>" + percent(task.top5) + "</td><td>" + fraction(task.macro_auc) +
          "</td>";
  for (const NeighboursResult& n : task.neighbours)
    html += "<td>" + percent(n.top1) + "</td><td>" + fraction(n.macro_auc) + "</td>";
  if (const auto& d = task.difference)
    html += "<td>" + signed_percent(d->top1) + "</td><td>" + signed_fraction(d->macro_auc) + "</td>";
  html += "</tr></table>";
  if (task.labels.empty()) return html;
  html += "<div class=\"plots\">" + confusion_svg(task) + roc_svg(task) + "</div>";
  html += "<table><tr><th></th><th>label</th><th>images</th><th>sensitivity</th><th>AUC</th></tr>";
  for (size_t i = 0; i < task.labels.size(); ++i) {
    const LabelResult& label = task.labels[i];
    html += "<tr><td><span class=\"key\" style=\"background:" + colour_of(i) + "\"></span></td><td>" +
            escaped(label.label) + format("</td><td>%zu</td><td>", label.images) + percent(label.recall) +
            "</td><td>" + (std::isnan(label.auc) ? "-" : format("%.4f", label.auc)) + "</td></tr>";
  }
  html += "</table>";
  if (!task.corruptions.empty()) {
    html +=
        "<h3>The same images, altered</h3><table><tr><th></th><th>images</th><th>top-1</th>"
        "<th>same answer</th></tr>";
    for (const CorruptionResult& c : task.corruptions)
      html += "<tr><td>" + escaped(c.name) + format("</td><td>%zu</td><td>", c.images) + percent(c.accuracy) +
              "</td><td>" + percent(c.agreement) + "</td></tr>";
    html += "</table>";
  }
  if (!task.examples.empty()) {
    html += "<h3>Examples</h3><div class=\"examples\">";
    for (const Example& e : task.examples)
      html += std::string("<figure class=\"") + (e.truth == e.predicted ? "right" : "wrong") +
              "\"><img alt=\"\" src=\"data:image/jpeg;base64," + encode_base64(e.jpeg) + "\"><figcaption>" +
              escaped(e.predicted) + format(" %.0f %%", 100 * e.probability) +
              (e.truth == e.predicted ? "" : "<br>is: " + escaped(e.truth)) + "</figcaption></figure>";
    html += "</div>";
  }
  return html;
}

}  // namespace

std::string to_table(const EvalReport& report) {
  std::string text = "model: " + report.model + "\ndata:  " + report.data + "\n";
  for (const TaskResult& task : report.tasks) {
    text += format("\n%s: %zu images of %zu patients", task.name.c_str(), task.images, task.groups);
    text += task.labels.empty() ? "\n" : format(", %zu labels\n", task.labels.size());
    text += "  zero-shot top-1     " + percent(task.top1) + "\n";
    if (task.labels.size() > 5) text += "  zero-shot top-5     " + percent(task.top5) + "\n";
    text += "  zero-shot macro-AUC " + fraction(task.macro_auc) + "\n";
    for (const NeighboursResult& n : task.neighbours)
      text += format("  %2zu-NN %-12s  ", report.k, n.vectors.c_str()) + percent(n.top1) + ", macro-AUC " +
              fraction(n.macro_auc) + "\n";
    if (const auto& d = task.difference)
      text += format("        %-12s  ", d->vectors.c_str()) + signed_percent(d->top1) + ", macro-AUC " +
              signed_fraction(d->macro_auc) + "\n";
    for (const LabelResult& label : task.labels)
      text += format("    %-34s %5zu images  sensitivity %7s  AUC %s\n", label.label.c_str(), label.images,
                     percent(label.recall).c_str(),
                     std::isnan(label.auc) ? "-" : format("%.4f", label.auc).c_str());
    for (const CorruptionResult& c : task.corruptions)
      text += format("    altered: %-25s %5zu images  top-1 %7s  same answer %7s\n", c.name.c_str(), c.images,
                     percent(c.accuracy).c_str(), percent(c.agreement).c_str());
  }
  return text;
}

std::string to_json(const EvalReport& report) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object();
  json.member("model", report.model).member("data", report.data).member("k", report.k);
  json.key("tasks").begin_array();
  for (const TaskResult& task : report.tasks) add_task(json, task);
  json.end_array().end_object();
  return json.finish() + '\n';
}

std::string to_html(const EvalReport& report) {
  std::string html =
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">"
      "<title>Evaluation</title><style>"
      "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}"
      "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ddd;padding:.25em "
      ".7em;text-align:left}"
      "svg{font:11px "
      "system-ui,sans-serif;max-width:100%}.plots{display:flex;flex-wrap:wrap;gap:1em;align-items:start;"
      "overflow-x:auto}"
      ".key{display:inline-block;width:1em;height:1em}.examples{display:flex;flex-wrap:wrap;gap:.6em}"
      "figure{margin:0;width:112px;font-size:11px;line-height:1.3}figure img{width:100%;border:3px solid}"
      ".right img{border-color:#1a7f37}.wrong img{border-color:#c62828}</style>"
      "<h1>Zero-shot evaluation</h1><p>Model: " +
      escaped(report.model) + "<br>Data: " + escaped(report.data) +
      "<br>In brackets: 95 % confidence intervals, bootstrap over patients. Not for clinical use.</p>";
  for (const TaskResult& task : report.tasks) html += task_html(task, report.k);
  return html + "</html>\n";
}

}  // namespace mii
