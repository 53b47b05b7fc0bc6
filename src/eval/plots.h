#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mii {

/// Of the thing with this number, wherever it is drawn.
std::string colour_of(size_t index);

/// labels: with their images. confusion: [truth * labels + answer].
std::string confusion_svg(const std::vector<std::pair<std::string, size_t>>& labels,
                          std::span<const size_t> confusion);

struct Axes {
  std::string title, x, y;
  double x_low = 0, x_high = 1, y_low = 0, y_high = 1;
};

struct Line {
  std::string name;
  std::string colour;
  std::vector<std::pair<double, double>> points;  ///< those that are not finite are left out
  bool dashed = false;
  bool dots = false;  ///< also a dot at each point
};

/// Lines in a square. What is above or below the axes is drawn at their ends.
std::string plot_svg(const Axes& axes, std::span<const Line> lines);

}  // namespace mii
