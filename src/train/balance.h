#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace mii {

/// How often each label set is drawn; the shares sum to 1. It is decided field by field: among the values
/// that agree in all earlier fields, a value of n images has the weight n^balance. So a modality with one
/// finding is not drowned by one with many. label_sets: values separated by tabs (Pack::label_sets); images:
/// the number of images of each, 0 allowed; balance: 1 draws images as they are, 0 all values equally.
inline std::vector<double> draw_shares(const std::vector<std::string>& label_sets,
                                       const std::vector<size_t>& images, double balance) {
  // The first `fields` values of a label set.
  const auto prefix = [&](size_t set, size_t fields) {
    size_t end = 0;
    for (size_t f = 0; f < fields && end != std::string::npos; ++f)
      end = label_sets[set].find('\t', f == 0 ? 0 : end + 1);
    return label_sets[set].substr(0, fields == 0 ? 0 : end);
  };
  size_t most_fields = 0;
  for (const std::string& name : label_sets)
    most_fields = std::max(most_fields, 1 + static_cast<size_t>(std::count(name.begin(), name.end(), '\t')));

  std::vector<double> shares;
  for (const size_t n : images) shares.push_back(n == 0 ? 0 : 1);
  for (size_t fields = 1; fields <= most_fields; ++fields) {
    std::map<std::string, double> count, sum;  // images of a prefix; weights of its continuations
    for (size_t set = 0; set < shares.size(); ++set)
      count[prefix(set, fields)] += static_cast<double>(images[set]);
    const auto weight = [&](size_t set) { return std::pow(count.at(prefix(set, fields)), balance); };
    std::set<std::string> seen;
    for (size_t set = 0; set < shares.size(); ++set)
      if (images[set] != 0 && seen.insert(prefix(set, fields)).second)
        sum[prefix(set, fields - 1)] += weight(set);
    for (size_t set = 0; set < shares.size(); ++set)
      if (images[set] != 0) shares[set] *= weight(set) / sum.at(prefix(set, fields - 1));
  }
  return shares;
}

}  // namespace mii
