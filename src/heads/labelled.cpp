#include "heads/labelled.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "heads/products.h"
#include "mii/error.h"

namespace mii::heads {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

std::vector<std::string> split(std::string_view cell, std::string_view separators) {
  std::vector<std::string> parts;
  while (!cell.empty()) {
    const size_t end = std::min(cell.find_first_of(separators), cell.size());
    if (const std::string_view part = trimmed(cell.substr(0, end)); !part.empty()) parts.emplace_back(part);
    cell.remove_prefix(std::min(end + 1, cell.size()));
  }
  return parts;
}

ReadCells read_cells(std::span<const std::string> cells, bool several) {
  ReadCells read;
  std::vector<std::vector<std::string>> known;
  std::map<std::string, size_t> labels;
  for (size_t row = 0; row < cells.size(); ++row) {
    std::vector<std::string> here = split(cells[row], several ? ";|" : "");
    if (here.empty()) continue;
    for (const std::string& label : here) labels.emplace(label, 0);
    read.rows.push_back(row);
    known.push_back(std::move(here));
  }
  for (auto& [label, number] : labels) {
    number = read.truth.labels.size();
    read.truth.labels.push_back(label);
  }
  read.truth.several = several;
  read.truth.is.resize(known.size() * labels.size());
  for (size_t i = 0; i < known.size(); ++i)
    for (const std::string& label : known[i]) read.truth.is[i * labels.size() + labels.at(label)] = 1;
  return read;
}

template <typename T>
std::vector<T> some(const std::vector<T>& from, std::span<const size_t> rows) {
  std::vector<T> chosen;
  if (from.empty()) return chosen;
  for (const size_t row : rows) chosen.push_back(from[row]);
  return chosen;
}

}  // namespace

size_t Truth::label_of(size_t row) const {
  const auto first = is.begin() + static_cast<std::ptrdiff_t>(row * labels.size());
  return static_cast<size_t>(std::find(first, first + static_cast<std::ptrdiff_t>(labels.size()), 1) - first);
}

size_t Truth::count(size_t label) const {
  size_t count = 0;
  for (size_t row = 0; row < rows(); ++row) count += is[row * labels.size() + label];
  return count;
}

Truth Truth::some_rows(std::span<const size_t> rows) const {
  Truth some{several, labels, {}};
  for (const size_t row : rows)
    for (size_t k = 0; k < labels.size(); ++k) some.is.push_back(is[row * labels.size() + k]);
  return some;
}

Truth Truth::some_labels(std::span<const size_t> chosen) const {
  Truth some{several, {}, {}};
  for (const size_t k : chosen) some.labels.push_back(labels[k]);
  for (size_t row = 0; row < rows(); ++row)
    for (const size_t k : chosen) some.is.push_back(is[row * labels.size() + k]);
  return some;
}

LabelWeights balanced_weights(const Truth& truth, bool against_the_rest) {
  LabelWeights weights;
  const auto rows = static_cast<double>(truth.rows());
  const double parts = against_the_rest ? 2 : static_cast<double>(truth.labels.size());
  for (size_t k = 0; k < truth.labels.size(); ++k) {
    const auto count = static_cast<double>(truth.count(k));
    weights.yes.push_back(rows / parts / std::max(count, 1.0));
    weights.no.push_back(rows / 2 / std::max(rows - count, 1.0));
  }
  return weights;
}

LabelledVectors LabelledVectors::some_rows(std::span<const size_t> rows) const {
  return {heads::some_rows(vectors, rows), some(groups, rows), truth.some_rows(rows), some(values, rows)};
}

ReadCells read_labels(std::span<const std::string> cells) { return read_cells(cells, false); }

ReadCells read_label_lists(std::span<const std::string> cells) { return read_cells(cells, true); }

ReadCells read_numbers(std::span<const std::string> cells) {
  ReadCells read;
  for (size_t row = 0; row < cells.size(); ++row) {
    const std::string_view text = trimmed(cells[row]);
    if (text.empty()) continue;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
      throw Error(ErrorCode::invalid_argument, "'" + std::string(text.substr(0, 40)) + "' is not a number");
    read.rows.push_back(row);
    read.values.push_back(value);
  }
  return read;
}

}  // namespace mii::heads
