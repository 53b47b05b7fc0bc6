#include "eval/subgroups.h"

#include <algorithm>
#include <set>

#include "core/number_text.h"
#include "mii/error.h"

namespace mii {
namespace {

constexpr const char* kNone = "(none)";

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts{""};
  for (const char c : text)
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

std::vector<std::string> bands_between(const std::vector<std::string>& edges) {
  std::vector<std::string> bands{"below " + edges.front()};
  for (size_t i = 0; i + 1 < edges.size(); ++i) bands.push_back(edges[i] + " to below " + edges[i + 1]);
  bands.push_back("from " + edges.back());
  return bands;
}

}  // namespace

SubgroupColumn SubgroupColumn::parse(std::string_view text) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorCode::invalid_argument, "subgroup '" + std::string(text) + "': " + what);
  };
  SubgroupColumn made;
  const size_t colon = text.rfind(':');
  made.column_ = text.substr(0, colon);
  if (made.column_.empty()) fail("names no column");
  if (colon == std::string_view::npos) return made;
  const auto edges = split(text.substr(colon + 1));
  for (const std::string& edge : edges) {
    const auto value = parse_number(edge);
    if (!value) fail("expected numbers behind the colon, found '" + edge + "'");
    if (!made.edges_.empty() && *value <= made.edges_.back()) fail("the edges do not rise at " + edge);
    made.edges_.push_back(*value);
  }
  made.bands_ = bands_between(edges);
  return made;
}

std::string SubgroupColumn::of(std::string_view cell) const {
  if (cell.empty()) return kNone;
  if (edges_.empty()) return std::string(cell);
  const auto value = parse_number(cell);
  if (!value) return kNone;
  return bands_[static_cast<size_t>(std::ranges::upper_bound(edges_, *value) - edges_.begin())];
}

std::vector<std::string> SubgroupColumn::names(std::span<const std::string> cells) const {
  std::set<std::string> found;
  for (const std::string& cell : cells) found.insert(of(cell));
  const bool none = found.erase(kNone) > 0;
  std::vector<std::string> names = bands_.empty() ? std::vector(found.begin(), found.end()) : bands_;
  if (none) names.emplace_back(kNone);
  return names;
}

}  // namespace mii
