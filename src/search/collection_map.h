#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "search/collection.h"
#include "search/principal_axes.h"

namespace mii::search {

/// Points that are shown at most; of more items that many are taken, at even distances.
constexpr size_t kMaxMapPoints = 100'000;

struct MapOptions {
  std::optional<Filter> filter;  ///< items that do not meet it are not shown; the others stay where they are
  std::string column;            ///< by whose values points are coloured; empty: none
  size_t most = kMaxMapPoints;   ///< points, 1 to kMaxMapPoints
  std::function<bool()> cancelled;
};

/// Items as points of a plane.
struct MapView {
  Selection selection;
  Matrix places;                      ///< [n, 2], where each of the selected ids lies
  std::array<double, 2> share{0, 0};  ///< of the variance of all items that each of the axes shows
};

/// A collection seen along the two axes in which the vectors of its items differ most. The axes are those of
/// all items (of kMaxMapPoints at even distances), whatever is shown, and kept together with the places until
/// the collection changes. Not for several threads at once.
class CollectionMap {
 public:
  /// The collection outlives it.
  explicit CollectionMap(Collection& collection) : collection_(collection) {}

  /// Throws as Collection::select does, Error{cancelled}, and Error{unsupported} for vectors of more than
  /// Covariance::kMaxDim values.
  MapView look(const MapOptions& options);

 private:
  using Place = std::array<float, 2>;

  MapView look_once(const MapOptions& options, Selection selection);
  void learn_axes(const MapOptions& options);

  Collection& collection_;
  std::optional<uint64_t> version_;  // that the rest is of
  PrincipalAxes axes_;
  std::unordered_map<std::string, Place> places_;
};

/// The colours of points by their values: numbers along a scale, where every value that is there is one and
/// there are more than kMaxMapNumberNames of them; otherwise names.
struct MapColours {
  struct Name {
    std::string value;
    size_t items = 0;
  };
  static constexpr uint8_t kNone = 0;     ///< the item has no value
  static constexpr uint8_t kOther = 255;  ///< one that is not among the names

  std::vector<Name> names;     ///< the most frequent ones, at most 254; of equally frequent ones, by bytes
  std::vector<uint8_t> codes;  ///< of each point: kNone, kOther, or 1 + the place among the names
  std::vector<float> numbers;  ///< of each point, NaN where there is none; empty where values are names
};
constexpr size_t kMaxMapNumberNames = 8;

MapColours colours_of(const std::vector<std::string>& values);

}  // namespace mii::search
