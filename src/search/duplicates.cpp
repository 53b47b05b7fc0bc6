#include "search/duplicates.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "mii/error.h"

namespace mii::search {
namespace {

constexpr size_t kPage = 256;
constexpr size_t kFirstHits = 16;
constexpr size_t kMoreHits = 8;

/// Sets of ids that grow together.
class Groups {
 public:
  void join(const std::string& a, const std::string& b, float similarity) {
    const size_t x = number_of(a), y = number_of(b);
    best_[x] = std::max(best_[x], similarity);
    best_[y] = std::max(best_[y], similarity);
    parents_[root_of(y)] = root_of(x);
  }

  std::vector<DuplicateGroup> finish() {
    std::map<size_t, DuplicateGroup> by_root;
    for (const auto& [id, number] : numbers_) by_root[root_of(number)].members.push_back({id, best_[number]});
    std::vector<DuplicateGroup> groups;
    for (auto& [root, group] : by_root) {
      std::ranges::sort(group.members, {}, &DuplicateGroup::Member::id);
      groups.push_back(std::move(group));
    }
    std::ranges::sort(groups, {}, [](const DuplicateGroup& group) { return group.members.front().id; });
    return groups;
  }

 private:
  size_t number_of(const std::string& id) {
    const auto [found, is_new] = numbers_.try_emplace(id, parents_.size());
    if (is_new) {
      parents_.push_back(parents_.size());
      best_.push_back(0);
    }
    return found->second;
  }

  size_t root_of(size_t number) {
    while (parents_[number] != number) number = parents_[number] = parents_[parents_[number]];
    return number;
  }

  std::unordered_map<std::string, size_t> numbers_;
  std::vector<size_t> parents_;
  std::vector<float> best_;
};

Matrix row_of(const Matrix& matrix, size_t row) {
  Matrix one(1, matrix.cols());
  std::ranges::copy(matrix.row(row), one.row(0).begin());
  return one;
}

// The hits of one item, as many as are near enough.
Answer all_near(Collection& collection, const Matrix& vectors, size_t row, Answer answer,
                SearchOptions options, float at_least) {
  while (answer.hits.size() == options.k && answer.hits.back().similarity >= at_least &&
         options.k < kMaxHits) {
    options.k = std::min(kMaxHits, options.k * kMoreHits);
    answer = std::move(collection.search(row_of(vectors, row), options).front());
  }
  return answer;
}

}  // namespace

std::vector<DuplicateGroup> find_duplicates(Collection& collection, const DuplicateOptions& options) {
  Groups groups;
  const SearchOptions search{.k = kFirstHits, .filter = options.filter, .stage = Stage::exact};
  std::string after;
  for (;;) {
    std::vector<std::string> ids;
    for (const Item& item : collection.page(after, kPage)) ids.push_back(item.id);
    if (ids.empty()) break;
    after = ids.back();
    const Matrix vectors = collection.vectors(ids);
    std::vector<Answer> answers = collection.search(vectors, search);
    for (size_t i = 0; i < ids.size(); ++i) {
      if (options.cancelled && options.cancelled()) throw Error(ErrorCode::cancelled, "stopped");
      const Answer near = all_near(collection, vectors, i, std::move(answers[i]), search, options.at_least);
      for (const Hit& hit : near.hits)
        if (hit.item.id != ids[i] && hit.similarity >= options.at_least)
          groups.join(ids[i], hit.item.id, hit.similarity);
    }
    if (options.progress) options.progress(ids.size());
  }
  return groups.finish();
}

}  // namespace mii::search
