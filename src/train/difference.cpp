#include "train/difference.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "train/random.h"

namespace mii {
namespace {

constexpr int kDraws = 2000;
constexpr uint64_t kSeed = 1;

// What one group adds to a field: second less first, and the images that count.
struct Sum {
  int64_t difference = 0;
  int64_t counted = 0;
};
using Sums = std::vector<Sum>;  // of each field

void add(Sums& sums, const Sums& more) {
  for (size_t f = 0; f < sums.size(); ++f) {
    sums[f].difference += more[f].difference;
    sums[f].counted += more[f].counted;
  }
}

// Over the fields that have images.
double mean(const Sums& sums) {
  double total = 0;
  int fields = 0;
  for (const Sum& sum : sums) {
    if (sum.counted == 0) continue;
    total += static_cast<double>(sum.difference) / static_cast<double>(sum.counted);
    ++fields;
  }
  return total / std::max(fields, 1);
}

std::vector<Sums> sums_of_groups(const Scores& first, const Scores& second, std::span<const int32_t> groups) {
  std::map<int32_t, Sums> sums;
  for (size_t i = 0; i < groups.size(); ++i) {
    Sums& of_group = sums.try_emplace(groups[i], first.right.size()).first->second;
    for (size_t f = 0; f < first.right.size(); ++f) {
      if (!first.right[f][i]) continue;
      of_group[f].difference += static_cast<int>(*second.right[f][i]) - static_cast<int>(*first.right[f][i]);
      ++of_group[f].counted;
    }
  }
  std::vector<Sums> list;
  for (auto& [group, of_group] : sums) list.push_back(std::move(of_group));
  return list;
}

}  // namespace

Difference paired_difference(const Scores& first, const Scores& second, std::span<const int32_t> groups) {
  const std::vector<Sums> sums = sums_of_groups(first, second, groups);
  if (sums.empty()) return {};
  Sums all(first.right.size());
  for (const Sums& group : sums) add(all, group);
  std::vector<double> drawn;
  for (int draw = 0; draw < kDraws; ++draw) {
    Random random{kSeed, static_cast<uint64_t>(draw)};
    Sums sample(first.right.size());
    for (size_t g = 0; g < sums.size(); ++g)
      add(sample, sums[static_cast<size_t>(random.below(static_cast<int64_t>(sums.size())))]);
    drawn.push_back(mean(sample));
  }
  std::ranges::sort(drawn);
  return {mean(all), drawn[static_cast<size_t>(0.025 * kDraws)],
          drawn[static_cast<size_t>(0.975 * kDraws) - 1]};
}

std::vector<int32_t> validation_groups(const Pack& pack) {
  std::vector<int32_t> groups;
  int32_t alone = -1;
  for (const PackedImage& image : pack.images)
    if (image.validation) groups.push_back(image.patient >= 0 ? image.patient : alone--);
  return groups;
}

}  // namespace mii
