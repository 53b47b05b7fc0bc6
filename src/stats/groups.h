#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mii::stats {

/// Cases that belong together, such as the images of a patient: they are drawn together, and never counted
/// as independent of each other.
struct Groups {
  std::vector<uint32_t> of_case;  ///< a number below count
  size_t count = 0;
};

/// Groups with equal names are the same; they are numbered in the order of their names.
Groups make_groups(std::span<const std::string> names);

/// Every case is a group of its own.
Groups single_cases(size_t cases);

}  // namespace mii::stats
