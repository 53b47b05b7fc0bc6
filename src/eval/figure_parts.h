#pragma once

#include "eval/figures.h"
#include "stats/bootstrap.h"

// What the files of figures.h share.

namespace mii {

inline stats::BootstrapOptions draws(const FigureOptions& options) {
  return {.resamples = options.resamples};
}

size_t count_groups(std::span<const std::string> groups);

/// Some of a task's images.
struct Part {
  std::vector<size_t> images;
  std::vector<std::string> groups;
  std::vector<size_t> truth;

  /// Of the draws of all images, those of these.
  std::vector<uint32_t> times(stats::Multiplicities all) const;
};

/// The images that are in a subgroup, or those that are not.
Part part_of(const AnsweredTask& task, const Subgrouping& by, const std::string& name, bool inside);

/// "subgroup sex = F"
std::string called(const Subgrouping& by, const std::string& name);

}  // namespace mii
