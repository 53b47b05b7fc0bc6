#include "eval/map_games.h"

#include <algorithm>
#include <numeric>

namespace mii {
namespace {

double middle(size_t place, size_t places) {
  return (static_cast<double>(place) + 0.5) / static_cast<double>(places);
}

size_t part_of_token(const maps::MapGrid& map, size_t token, const PartOf& part_of) {
  return part_of(middle(token / map.cols, map.rows), middle(token % map.cols, map.cols));
}

}  // namespace

PartOf grid_parts(size_t rows, size_t cols) {
  const auto at = [](double place, size_t places) {
    return std::min(static_cast<size_t>(place * static_cast<double>(places)), places - 1);
  };
  return [=](double y, double x) { return at(y, rows) * cols + at(x, cols); };
}

double energy_in(const maps::MapGrid& map, const PartOf& part_of, size_t part) {
  double inside = 0, all = 0;
  for (size_t token = 0; token < map.values.size(); ++token) {
    const double above = std::max(map.values[token], 0.0f);
    all += above;
    if (part_of_token(map, token, part_of) == part) inside += above;
  }
  return all > 0 ? inside / all : 0;
}

size_t highest_part(const maps::MapGrid& map, const PartOf& part_of) {
  const auto highest = std::ranges::max_element(map.values) - map.values.begin();
  return part_of_token(map, static_cast<size_t>(highest), part_of);
}

std::vector<size_t> places_by_height(const maps::MapGrid& map, size_t side) {
  std::vector<float> heights(side * side);
  for (size_t place = 0; place < heights.size(); ++place)
    heights[place] = maps::value_at(map, middle(place / side, side), middle(place % side, side));
  std::vector<size_t> order(heights.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return heights[a] > heights[b]; });
  return order;
}

double area_below(std::span<const double> curve) {
  const double all = std::accumulate(curve.begin(), curve.end(), 0.0);
  return (all - (curve.front() + curve.back()) / 2) / static_cast<double>(curve.size() - 1);
}

}  // namespace mii
