#include "stats/retrieval.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "mii/error.h"

namespace mii::stats {
namespace {

size_t hits_at(const Retrieved& query, size_t k) {
  const auto first = std::span(query.classes).first(std::min(k, query.classes.size()));
  return static_cast<size_t>(std::ranges::count(first, query.truth));
}

// NaN for 0 / 0.
double ratio(double part, size_t all) { return part / static_cast<double>(all); }

// One value a query.
using Column = std::vector<double>;

// Means of columns over queries and over classes, each query counted as often as a draw says.
class Means {
 public:
  Means(std::span<const Retrieved> queries, size_t classes) : queries_(queries), classes_(classes) {}

  template <typename Value>
  void add(const Value& value) {
    Column& column = columns_.emplace_back();
    for (const Retrieved& query : queries_) column.push_back(value(query));
  }

  std::vector<Averaged> estimate(const Groups& groups, const BootstrapOptions& options) const {
    const auto estimates =
        bootstrap(groups, 2 * columns_.size(), options, [this](Multiplicities times, std::span<double> of) {
          for (size_t c = 0; c < columns_.size(); ++c) write_means(columns_[c], times, of.subspan(2 * c, 2));
        });
    std::vector<Averaged> averaged;
    for (size_t c = 0; c < columns_.size(); ++c) averaged.push_back({estimates[2 * c], estimates[2 * c + 1]});
    return averaged;
  }

 private:
  void write_means(const Column& column, Multiplicities times, std::span<double> micro_macro) const {
    std::vector<double> sums(classes_);
    std::vector<size_t> counts(classes_);
    for (size_t q = 0; q < column.size(); ++q) {
      if (std::isnan(column[q])) continue;
      const uint32_t n = multiplicity(times, q);
      sums[queries_[q].truth] += n * column[q];
      counts[queries_[q].truth] += n;
    }
    double sum = 0, class_means = 0;
    size_t count = 0, filled = 0;
    for (size_t c = 0; c < classes_; ++c) {
      if (counts[c] == 0) continue;
      sum += sums[c];
      count += counts[c];
      class_means += ratio(sums[c], counts[c]);
      ++filled;
    }
    micro_macro[0] = ratio(sum, count);
    micro_macro[1] = ratio(class_means, filled);
  }

  std::span<const Retrieved> queries_;
  size_t classes_;
  std::vector<Column> columns_;
};

}  // namespace

double precision_at(const Retrieved& query, size_t k) {
  return query.relevant == 0 ? NAN : ratio(static_cast<double>(hits_at(query, k)), k);
}

double capped_precision_at(const Retrieved& query, size_t k) {
  return ratio(static_cast<double>(hits_at(query, k)), std::min(k, query.relevant));
}

double recall_at(const Retrieved& query, size_t k) {
  return ratio(static_cast<double>(hits_at(query, k)), query.relevant);
}

double average_precision_at(const Retrieved& query, size_t k) {
  double sum = 0;
  size_t hits = 0;
  for (size_t i = 0; i < std::min(k, query.classes.size()); ++i)
    if (query.classes[i] == query.truth) sum += ratio(static_cast<double>(++hits), i + 1);
  return ratio(sum, std::min(k, query.relevant));
}

double majority_at(const Retrieved& query, size_t k) {
  if (query.relevant == 0) return NAN;
  std::map<size_t, size_t> votes;
  size_t most = 0;
  const auto first = std::span(query.classes).first(std::min(k, query.classes.size()));
  for (const size_t c : first)
    if (c != kNoClass) most = std::max(most, ++votes[c]);
  const auto winner =
      std::ranges::find_if(first, [&](size_t c) { return c != kNoClass && votes[c] == most; });
  return winner != first.end() && *winner == query.truth ? 1 : 0;
}

double reciprocal_rank(const Retrieved& query) {
  if (query.relevant == 0) return NAN;
  return query.first == 0 ? 0 : 1 / static_cast<double>(query.first);
}

RetrievalFigures retrieval_figures(std::span<const Retrieved> queries, size_t classes, const Groups& groups,
                                   std::span<const size_t> ks, const BootstrapOptions& options) {
  if (queries.size() != groups.of_case.size())
    throw Error(ErrorCode::invalid_argument, "answers to " + std::to_string(queries.size()) +
                                                 " queries for groups of " +
                                                 std::to_string(groups.of_case.size()));
  if (std::ranges::any_of(queries, [&](const Retrieved& q) { return q.truth >= classes; }))
    throw Error(ErrorCode::invalid_argument,
                "a query's class is beyond the " + std::to_string(classes) + " that there are");
  if (std::ranges::find(ks, 0u) != ks.end())
    throw Error(ErrorCode::invalid_argument, "the first 0 items of an answer have no figures");
  Means means(queries, classes);
  for (const size_t k : ks)
    for (const auto figure :
         {precision_at, capped_precision_at, recall_at, average_precision_at, majority_at})
      means.add([&](const Retrieved& query) { return figure(query, k); });
  means.add(reciprocal_rank);
  const std::vector<Averaged> averaged = means.estimate(groups, options);
  RetrievalFigures figures{{}, averaged.back()};
  for (size_t i = 0; i < ks.size(); ++i) {
    const Averaged* at = &averaged[5 * i];
    figures.at.push_back({ks[i], at[0], at[1], at[2], at[3], at[4]});
  }
  return figures;
}

}  // namespace mii::stats
