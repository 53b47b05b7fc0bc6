#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "heads/labelled.h"

namespace mii::heads {

/// Groups (patients) and what they have. Rows of a group stay together, whatever is split.
struct Groups {
  std::vector<size_t> of_row;    ///< the number of each row's group
  std::vector<size_t> ordered;   ///< the groups' numbers, those whose rarest label is the same beside each
                                 ///< other, among them in an order that the seed decides
  std::vector<size_t> rank;      ///< of ordered[i]: its place among those whose rarest label is the same
  std::vector<size_t> of_label;  ///< [K]: groups that have a label

  size_t count() const { return ordered.size(); }
};

/// Depends on the seed, the groups' names and their labels alone.
Groups group_rows(const LabelledVectors& data, uint64_t seed);

/// A part of the rows, and the others.
struct Split {
  std::vector<size_t> fit;
  std::vector<size_t> held_out;
};

/// Each group is held out once; every label is spread over the folds as evenly as its groups allow.
std::vector<Split> folds_of(const Groups& groups, size_t folds);

/// A fifth of the groups is held out, at least one of each label that has two; a label's only group is not.
Split hold_out_fifth(const Groups& groups);

}  // namespace mii::heads
