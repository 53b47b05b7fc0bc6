#pragma once

#include <functional>
#include <string>
#include <vector>

#include "search/collection.h"

namespace mii::search {

/// Items that are near-duplicates of each other, directly or by others of the group.
struct DuplicateGroup {
  struct Member {
    std::string id;
    float similarity;  ///< with the member of the group that is most similar to it
  };
  std::vector<Member> members;  ///< by id
};

struct DuplicateOptions {
  float at_least = 0.99f;  ///< the similarity from which two items are near-duplicates
  std::optional<Filter> filter;
  std::function<void(size_t)> progress;  ///< hears how many more items were compared
  std::function<bool()> cancelled;
};

/// Every group of at least two, by their first ids. Compares each item with all others: the time grows with
/// the square of their number. Throws Error{cancelled}.
std::vector<DuplicateGroup> find_duplicates(Collection& collection, const DuplicateOptions& options);

}  // namespace mii::search
