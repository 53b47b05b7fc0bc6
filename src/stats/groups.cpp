#include "stats/groups.h"

#include <map>
#include <numeric>
#include <string_view>

namespace mii::stats {

Groups make_groups(std::span<const std::string> names) {
  std::map<std::string_view, uint32_t> numbers;
  for (const std::string& name : names) numbers.emplace(name, 0);
  Groups groups{{}, numbers.size()};
  uint32_t next = 0;
  for (auto& [name, number] : numbers) number = next++;
  for (const std::string& name : names) groups.of_case.push_back(numbers.at(name));
  return groups;
}

Groups single_cases(size_t cases) {
  Groups groups{std::vector<uint32_t>(cases), cases};
  std::iota(groups.of_case.begin(), groups.of_case.end(), 0);
  return groups;
}

}  // namespace mii::stats
