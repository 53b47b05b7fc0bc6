#include "search/volumes.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "mii/error.h"

namespace mii::search {
namespace {

constexpr std::string_view kNames[] = {"frequency", "maximum", "sum", "late"};
constexpr const char* kSeries = "series";

// What votes say of a volume.
struct Tally {
  size_t votes = 0;
  double sum = 0;
  Hit best;  // the most similar of its slices that got a vote
};
using Tallies = std::map<std::string, Tally, std::less<>>;

Tallies tallies_of(const std::vector<Answer>& answers) {
  Tallies tallies;
  for (const Answer& answer : answers) {
    for (const Hit& hit : answer.hits) {
      Tally& tally = tallies[std::string(hit.item.value(kSeries))];
      if (tally.votes == 0 || hit.similarity > tally.best.similarity) tally.best = hit;
      ++tally.votes;
      tally.sum += double{hit.similarity};
    }
  }
  return tallies;
}

// The best volumes of all, by this score.
std::vector<Hit> best_hits(const Tallies& tallies, size_t k,
                           const std::function<double(const Tally&)>& score) {
  std::vector<std::tuple<double, float, std::string_view>> order;
  for (const auto& [series, tally] : tallies)
    order.emplace_back(-score(tally), -tally.best.similarity, series);
  std::ranges::sort(order);
  order.resize(std::min(k, order.size()));
  std::vector<Hit> hits;
  for (const auto& [minus_score, similarity, series] : order) {
    hits.push_back(tallies.find(series)->second.best);
    hits.back().similarity = static_cast<float>(-minus_score);
  }
  return hits;
}

Filter in_a_volume() { return negation({.kind = Filter::Kind::is_null, .column = kSeries}); }

Filter one_of(const std::vector<Hit>& volumes) {
  Filter filter{.kind = Filter::Kind::one_of, .column = kSeries};
  for (const Hit& hit : volumes) filter.literals.push_back({std::string(hit.item.value(kSeries)), {}});
  return filter;
}

SearchOptions with(const SearchOptions& options, Filter filter) {
  SearchOptions narrowed = options;
  narrowed.leave_out.clear();
  narrowed.one_per.clear();
  narrowed.fold_from.reset();
  std::vector<Filter> all{std::move(filter)};
  if (options.filter) all.push_back(*options.filter);
  narrowed.filter = all_of(std::move(all));
  return narrowed;
}

// Each query slice's best slice of each of these volumes.
std::vector<Answer> best_slices(Collection& collection, const Matrix& slices, const SearchOptions& options,
                                const std::vector<Hit>& volumes) {
  SearchOptions narrowed = with(options, one_of(volumes));
  narrowed.one_per = kSeries;
  narrowed.k = volumes.size();
  narrowed.stage = Stage::exact;
  return collection.search(slices, narrowed);
}

}  // namespace

std::string_view to_string(VolumeRank rank) { return kNames[static_cast<size_t>(rank)]; }

VolumeRank parse_volume_rank(std::string_view name) {
  const auto* found = std::ranges::find(kNames, name);
  if (found == std::end(kNames))
    throw Error(ErrorCode::invalid_argument,
                "volumes are ranked by frequency, maximum, sum or late, not by '" + std::string(name) + "'");
  return static_cast<VolumeRank>(found - std::begin(kNames));
}

Answer search_volumes(Collection& collection, const Matrix& slices, const SearchOptions& options,
                      const VolumeOptions& volumes) {
  if (slices.rows() == 0) throw Error(ErrorCode::invalid_argument, "the volume has no slices");
  SearchOptions votes = with(options, in_a_volume());
  votes.k = volumes.votes;
  std::vector<Answer> answers = collection.search(slices, votes);
  const Tallies tallies = tallies_of(answers);
  const auto n = static_cast<double>(slices.rows());
  double all_votes = 0;
  for (const auto& [series, tally] : tallies) all_votes += static_cast<double>(tally.votes);
  const auto by_sum = [&](const Tally& tally) { return tally.sum / n; };

  Answer answer{{}, answers.front().version, answers.front().searched, answers.front().stage};
  switch (volumes.rank) {
    case VolumeRank::frequency:
      answer.hits = best_hits(tallies, options.k, [&](const Tally& tally) {
        return static_cast<double>(tally.votes) / all_votes;
      });
      break;
    case VolumeRank::maximum:
      answer.hits =
          best_hits(tallies, options.k, [](const Tally& tally) { return double{tally.best.similarity}; });
      break;
    case VolumeRank::sum:
      answer.hits = best_hits(tallies, options.k, by_sum);
      break;
    case VolumeRank::late: {
      const std::vector<Hit> shortlist =
          best_hits(tallies, std::min(std::max(options.k, volumes.reranked), kMaxHits), by_sum);
      if (shortlist.empty()) break;
      votes.version = answer.version;  // the same that the votes were of
      answer.hits =
          best_hits(tallies_of(best_slices(collection, slices, votes, shortlist)), options.k, by_sum);
      break;
    }
  }
  return answer;
}

}  // namespace mii::search
