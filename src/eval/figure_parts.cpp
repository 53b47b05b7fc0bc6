#include "eval/figure_parts.h"

#include <algorithm>
#include <set>
#include <string_view>

namespace mii {

const Answers* AnsweredTask::find(const std::string& scorer) const {
  const auto found = std::ranges::find(answers, scorer, &Answers::scorer);
  return found == answers.end() ? nullptr : &*found;
}

size_t count_groups(std::span<const std::string> groups) {
  return std::set<std::string_view>(groups.begin(), groups.end()).size();
}

std::vector<uint32_t> Part::times(stats::Multiplicities all) const {
  std::vector<uint32_t> own;
  if (!all.empty())
    for (const size_t i : images) own.push_back(all[i]);
  return own;
}

Part part_of(const AnsweredTask& task, const Subgrouping& by, const std::string& name, bool inside) {
  Part part;
  for (size_t i = 0; i < task.groups.size(); ++i) {
    if ((by.of_image[i] == name) != inside) continue;
    part.images.push_back(i);
    part.groups.push_back(task.groups[i]);
    if (!task.truth.empty()) part.truth.push_back(task.truth[i]);
  }
  return part;
}

std::string called(const Subgrouping& by, const std::string& name) {
  return "subgroup " + by.column + " = " + name;
}

}  // namespace mii
