#include "stats/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <random>
#include <utility>

namespace mii::stats {
namespace {

constexpr size_t kDrawsAtOnce = 64;  // a bound on the memory for draws

std::vector<uint32_t> draw(size_t groups, std::mt19937_64& random) {
  std::vector<uint32_t> times(groups);
  for (size_t i = 0; i < groups; ++i) ++times[random() % groups];
  return times;
}

// NaN for no values.
double percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return NAN;
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

void add_interval(Estimate& estimate, std::vector<double> values) {
  std::erase_if(values, [](double v) { return std::isnan(v); });
  std::ranges::sort(values);
  estimate.low = percentile(values, 0.025);
  estimate.high = percentile(values, 0.975);
}

}  // namespace

std::vector<Estimate> bootstrap(const Groups& groups, size_t figures, const BootstrapOptions& options,
                                const Figures& of) {
  const size_t cases = groups.of_case.size();
  std::vector<double> all(figures);
  of({}, all);
  std::vector<double> drawn(options.resamples * figures);  // [draws, figures]
  std::mt19937_64 random(options.seed);
  std::exception_ptr failure;
  for (size_t begin = 0; begin < options.resamples && groups.count > 0; begin += kDrawsAtOnce) {
    std::vector<std::vector<uint32_t>> draws(std::min(kDrawsAtOnce, options.resamples - begin));
    for (auto& times : draws) times = draw(groups.count, random);
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < draws.size(); ++i) {
      try {
        std::vector<uint32_t> times(cases);
        for (size_t c = 0; c < cases; ++c) times[c] = draws[i][groups.of_case[c]];
        of(times, std::span(drawn).subspan((begin + i) * figures, figures));
      } catch (...) {
#pragma omp critical(mii_bootstrap)
        failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
  }
  std::vector<Estimate> estimates(figures);
  for (size_t f = 0; f < figures; ++f) {
    std::vector<double> values;
    for (size_t i = f; i < drawn.size(); i += figures) values.push_back(drawn[i]);
    estimates[f].value = all[f];
    if (groups.count > 0) add_interval(estimates[f], std::move(values));
  }
  return estimates;
}

size_t JointFigures::add(Figure figure) {
  entries_.push_back({std::move(figure)});
  return entries_.size() - 1;
}

size_t JointFigures::add_difference(size_t first, size_t second) {
  entries_.push_back({{}, first, second});
  return entries_.size() - 1;
}

std::vector<Estimate> JointFigures::estimate(const Groups& groups, const BootstrapOptions& options) const {
  return bootstrap(groups, entries_.size(), options, [this](Multiplicities times, std::span<double> figures) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      const Entry& e = entries_[i];
      figures[i] = e.figure ? e.figure(times) : figures[e.first] - figures[e.second];
    }
  });
}

}  // namespace mii::stats
