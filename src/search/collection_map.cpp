#include "search/collection_map.h"

#include <algorithm>
#include <limits>
#include <span>

#include "mii/error.h"

namespace mii::search {
namespace {

constexpr size_t kRowsAtOnce = 1024;
constexpr int kAttempts = 3;  // of others' changes meanwhile

/// Calls take with the vectors of ids, part by part.
void for_each_part(Collection& collection, std::span<const std::string> ids,
                   const std::function<bool()>& cancelled,
                   const std::function<void(std::span<const std::string>, const Matrix&)>& take) {
  for (size_t first = 0; first < ids.size(); first += kRowsAtOnce) {
    if (cancelled && cancelled()) throw Error(ErrorCode::cancelled, "stopped");
    const auto part = ids.subspan(first, std::min(kRowsAtOnce, ids.size() - first));
    take(part, collection.vectors(part));
  }
}

float single(double number) {
  constexpr double kMost = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(number, -kMost, kMost));
}

}  // namespace

MapView CollectionMap::look(const MapOptions& options) {
  for (int attempt = 1;; ++attempt) {
    Selection selection = collection_.select({options.filter, options.column, options.most});
    const uint64_t version = selection.version;
    try {
      return look_once(options, std::move(selection));
    } catch (const Error& error) {
      // An item may have gone meanwhile.
      if (error.code() != ErrorCode::invalid_argument || attempt == kAttempts ||
          collection_.info().version == version)
        throw;
    }
  }
}

MapView CollectionMap::look_once(const MapOptions& options, Selection selection) {
  if (version_ != selection.version) learn_axes(options);
  std::vector<std::string> missing;
  for (const std::string& id : selection.ids)
    if (!places_.contains(id)) missing.push_back(id);
  if (places_.size() + missing.size() > 2 * kMaxMapPoints) {
    places_.clear();
    missing = selection.ids;
  }
  for_each_part(collection_, missing, options.cancelled, [&](auto ids, const Matrix& vectors) {
    const Matrix found = axes_.project(vectors);
    for (size_t i = 0; i < ids.size(); ++i) places_[ids[i]] = {found.row(i)[0], found.row(i)[1]};
  });
  MapView view{.places = Matrix(selection.ids.size(), 2), .share = axes_.share};
  for (size_t i = 0; i < selection.ids.size(); ++i)
    std::ranges::copy(places_.at(selection.ids[i]), view.places.row(i).begin());
  view.selection = std::move(selection);
  return view;
}

void CollectionMap::learn_axes(const MapOptions& options) {
  version_.reset();
  places_.clear();
  const Selection all = collection_.select({.most = kMaxMapPoints});
  Covariance covariance(collection_.info().dim);
  for_each_part(collection_, all.ids, options.cancelled,
                [&](auto, const Matrix& vectors) { covariance.add(vectors); });
  axes_ = covariance.axes();
  version_ = all.version;
}

MapColours colours_of(const std::vector<std::string>& values) {
  std::unordered_map<std::string_view, size_t> counts;
  for (const std::string& value : values)
    if (!value.empty()) ++counts[value];
  MapColours colours;
  if (counts.size() > kMaxMapNumberNames &&
      std::ranges::all_of(counts, [](const auto& one) { return number_of(one.first).has_value(); })) {
    for (const std::string& value : values)
      colours.numbers.push_back(value.empty() ? std::numeric_limits<float>::quiet_NaN()
                                              : single(*number_of(value)));
    return colours;
  }
  for (const auto& [value, items] : counts) colours.names.push_back({std::string(value), items});
  std::ranges::sort(colours.names, [](const auto& a, const auto& b) {
    return a.items != b.items ? a.items > b.items : a.value < b.value;
  });
  colours.names.resize(std::min<size_t>(colours.names.size(), MapColours::kOther - 1));
  std::unordered_map<std::string_view, uint8_t> codes{{"", MapColours::kNone}};
  for (size_t i = 0; i < colours.names.size(); ++i)
    codes[colours.names[i].value] = static_cast<uint8_t>(i + 1);
  for (const std::string& value : values) {
    const auto code = codes.find(value);
    colours.codes.push_back(code == codes.end() ? MapColours::kOther : code->second);
  }
  return colours;
}

}  // namespace mii::search
