// Without arguments: reads cases, one JSON object a line, and prints the figures of each.
// bench: times 1 000 bootstrap draws of 12 000 images.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>
#include <string_view>

#include "figures.h"
#include "stats/answers.h"
#include "stats/bootstrap.h"

namespace mii::stats {
namespace {

// Two scorers of 12 labels, three figures each and their differences, of 4 000 patients with three images
// each.
void bench() {
  constexpr size_t kImages = 12000, kLabels = 12;
  std::mt19937 random(1);
  std::vector<size_t> truth;
  Groups patients{{}, kImages / 3};
  Matrix scores[2] = {{kImages, kLabels}, {kImages, kLabels}};
  for (size_t i = 0; i < kImages; ++i) {
    truth.push_back(random() % kLabels);
    patients.of_case.push_back(static_cast<uint32_t>(i / 3));
    for (Matrix& m : scores) {
      for (float& s : m.row(i)) s = static_cast<float>(random() % 4096) / 4096;
      m.row(i)[truth[i]] += 0.25f;
    }
  }
  const auto start = std::chrono::steady_clock::now();
  const RankedAnswers ranked[2] = {{scores[0], truth}, {scores[1], truth}};
  JointFigures figures;
  for (const RankedAnswers& r : ranked) {
    figures.add([&r](Multiplicities times) { return r.top_k_accuracy(1, times); });
    figures.add([&r](Multiplicities times) { return r.top_k_accuracy(5, times); });
    figures.add([&r](Multiplicities times) { return r.macro_auc(times); });
  }
  for (size_t f = 0; f < 3; ++f) figures.add_difference(3 + f, f);
  const auto estimates = figures.estimate(patients, {.resamples = 1000});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("1 000 draws of 12 000 images, 12 labels, 9 figures: %.2f s (macro-AUC %.4f, %.4f to %.4f)\n",
              seconds.count(), estimates[2].value, estimates[2].low, estimates[2].high);
}

void answer_cases() {
  for (std::string line; std::getline(std::cin, line);)
    std::cout << boost::json::serialize(figures_of(boost::json::parse(line).as_object())) << '\n';
}

}  // namespace
}  // namespace mii::stats

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "bench")
    mii::stats::bench();
  else
    mii::stats::answer_cases();
}
