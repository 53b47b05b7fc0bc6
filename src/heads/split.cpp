#include "heads/split.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>

namespace mii::heads {
namespace {

// FNV-1a, so that the order is the same everywhere; then the last steps of splitmix64, which spread it.
uint64_t hash_of(const std::string& name, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325u ^ seed;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
  return hash ^ (hash >> 31);
}

// [groups, K]: whether a group has a label.
std::vector<uint8_t> labels_of_groups(const LabelledVectors& data, const std::vector<size_t>& of_row,
                                      size_t groups) {
  const size_t labels = data.truth.labels.size();
  std::vector<uint8_t> has(groups * labels);
  for (size_t row = 0; row < data.truth.rows(); ++row)
    for (size_t k = 0; k < labels; ++k) has[of_row[row] * labels + k] |= data.truth.is[row * labels + k];
  return has;
}

Split split_by(const Groups& groups, const std::vector<bool>& held_out) {
  Split split;
  for (size_t row = 0; row < groups.of_row.size(); ++row)
    (held_out[groups.of_row[row]] ? split.held_out : split.fit).push_back(row);
  return split;
}

}  // namespace

Groups group_rows(const LabelledVectors& data, uint64_t seed) {
  Groups groups;
  std::unordered_map<std::string, size_t> numbers;
  std::vector<std::string> names;
  for (const std::string& name : data.groups) {
    const auto [known, is_new] = numbers.emplace(name, names.size());
    if (is_new) names.push_back(name);
    groups.of_row.push_back(known->second);
  }
  const size_t labels = data.truth.labels.size();
  const std::vector<uint8_t> has = labels_of_groups(data, groups.of_row, names.size());
  groups.of_label.resize(labels);
  for (size_t i = 0; i < has.size(); ++i) groups.of_label[i % labels] += has[i];

  std::vector<size_t> rarest(names.size(), labels);
  for (size_t g = 0; g < names.size(); ++g)
    for (size_t k = 0; k < labels; ++k)
      if (has[g * labels + k] != 0 &&
          (rarest[g] == labels || groups.of_label[k] < groups.of_label[rarest[g]]))
        rarest[g] = k;
  std::vector<std::pair<size_t, uint64_t>> keys;
  for (size_t g = 0; g < names.size(); ++g) keys.emplace_back(rarest[g], hash_of(names[g], seed));
  groups.ordered.resize(names.size());
  std::iota(groups.ordered.begin(), groups.ordered.end(), 0);
  std::ranges::sort(groups.ordered, [&](size_t a, size_t b) {
    return std::tie(keys[a], names[a]) < std::tie(keys[b], names[b]);
  });
  for (size_t i = 0; i < groups.ordered.size(); ++i) {
    const bool same = i > 0 && rarest[groups.ordered[i]] == rarest[groups.ordered[i - 1]];
    groups.rank.push_back(same ? groups.rank.back() + 1 : 0);
  }
  return groups;
}

std::vector<Split> folds_of(const Groups& groups, size_t folds) {
  std::vector<Split> splits;
  for (size_t fold = 0; fold < folds; ++fold) {
    std::vector<bool> held_out(groups.count());
    for (size_t i = 0; i < groups.count(); ++i) held_out[groups.ordered[i]] = i % folds == fold;
    splits.push_back(split_by(groups, held_out));
  }
  return splits;
}

Split hold_out_fifth(const Groups& groups) {
  std::vector<bool> held_out(groups.count());
  for (size_t i = 0; i < groups.count(); ++i) held_out[groups.ordered[i]] = groups.rank[i] % 5 == 1;
  return split_by(groups, held_out);
}

}  // namespace mii::heads
