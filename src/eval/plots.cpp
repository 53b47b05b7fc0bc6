#include "eval/plots.h"

#include <algorithm>
#include <cmath>

#include "core/number_text.h"
#include "eval/format.h"

namespace mii {

std::string colour_of(size_t index) { return format("hsl(%zu,65%%,42%%)", index * 137 % 360); }

// Rows: truth; columns: answers; the darker a cell, the larger its share of the row.
std::string confusion_svg(const std::vector<std::pair<std::string, size_t>>& labels,
                          std::span<const size_t> confusion) {
  const size_t n = labels.size();
  const int cell = n > 16 ? 22 : 34, left = 230, top = 160;
  const int size = static_cast<int>(n) * cell;
  std::string svg = format("<svg width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"confusion matrix\">",
                           left + size + 10, top + size + 10);
  for (size_t r = 0; r < n; ++r) {
    size_t total = 0;
    for (size_t c = 0; c < n; ++c) total += confusion[r * n + c];
    const int y = top + static_cast<int>(r) * cell;
    svg += format("<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", left - 6, y + cell * 2 / 3) +
           html_text(labels[r].first) + "</text>";
    svg += format("<text transform=\"translate(%d,%d) rotate(-50)\">",
                  left + static_cast<int>(r) * cell + cell / 2, top - 6) +
           html_text(labels[r].first) + "</text>";
    for (size_t c = 0; c < n; ++c) {
      const size_t count = confusion[r * n + c];
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

namespace {

constexpr int kSize = 300, kMargin = 42;

}  // namespace

std::string plot_svg(const Axes& axes, std::span<const Line> lines) {
  const auto x_of = [&](double x) { return kMargin + kSize * (x - axes.x_low) / (axes.x_high - axes.x_low); };
  const auto y_of = [&](double y) {
    return kMargin + kSize - kSize * (y - axes.y_low) / (axes.y_high - axes.y_low);
  };
  std::string svg = format("<svg width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"", kSize + 2 * kMargin,
                           kSize + 2 * kMargin) +
                    html_text(axes.title) + "\">";
  svg += format("<text x=\"%d\" y=\"20\" text-anchor=\"middle\">", kMargin + kSize / 2) +
         html_text(axes.title) + "</text>";
  svg += format("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#999\"/>", kMargin,
                kMargin, kSize, kSize);
  for (const Line& line : lines) {
    svg += "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"" + line.colour + "\"" +
           (line.dashed ? " stroke-dasharray=\"4 3\"" : "") + " points=\"";
    for (const auto& [x, y] : line.points)
      if (std::isfinite(x) && std::isfinite(y))
        svg += format("%.1f,%.1f ", x_of(x), y_of(std::clamp(y, axes.y_low, axes.y_high)));
    svg += "\"><title>" + html_text(line.name) + "</title></polyline>";
    if (!line.dots) continue;
    for (const auto& [x, y] : line.points)
      if (std::isfinite(x) && std::isfinite(y))
        svg += format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"", x_of(x),
                      y_of(std::clamp(y, axes.y_low, axes.y_high))) +
               line.colour + "\"/>";
  }
  const auto tick = [&](double value) { return format("%.3g", value); };
  svg += format("<text x=\"%d\" y=\"%d\">%s</text>", kMargin, kMargin + kSize + 12, tick(axes.x_low).c_str());
  svg += format("<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", kMargin + kSize,
                kMargin + kSize + 12, tick(axes.x_high).c_str());
  svg += format("<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", kMargin - 3, kMargin + kSize,
                tick(axes.y_low).c_str());
  svg += format("<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", kMargin - 3, kMargin + 9,
                tick(axes.y_high).c_str());
  svg +=
      format("<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", kMargin + kSize / 2, kMargin + kSize + 24) +
      html_text(axes.x) + "</text>";
  svg += format("<text transform=\"translate(20,%d) rotate(-90)\" text-anchor=\"middle\">",
                kMargin + kSize / 2) +
         html_text(axes.y) + "</text>";
  return svg + "</svg>";
}

}  // namespace mii
