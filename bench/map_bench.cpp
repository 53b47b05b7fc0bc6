// How long the maps of an image take beside its vector, at the full size of the published model. Threads as
// OMP_NUM_THREADS says.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>

#include "engine/token_maps.h"

namespace mii {
namespace {

constexpr size_t kSide = 15, kChannels = 2048, kDim = 1024;

void fill(std::span<float> values, std::mt19937& random) {
  std::normal_distribution<float> normal(0, 0.05f);
  for (float& v : values) v = normal(random);
}

struct Times {
  double wall_ms = 1e9, cpu_ms = 1e9;
};

// The best of several runs: the machine does other things too.
template <typename Work>
Times best_of(int runs, const Work& work) {
  Times best;
  for (int run = 0; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t cpu = std::clock();
    work();
    const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - start;
    best.wall_ms = std::min(best.wall_ms, wall.count());
    best.cpu_ms = std::min(best.cpu_ms, 1e3 * static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC);
  }
  return best;
}

void print(const char* what, const Times& times) {
  std::printf("%-40s %7.2f ms  %7.2f ms of CPU\n", what, times.wall_ms, times.cpu_ms);
}

int run(size_t labels) {
  std::mt19937 random(1);
  TowerEnd end{std::vector<float>(kChannels, 1), std::vector<float>(kChannels), 1e-5,
               Matrix(kChannels, kDim)};
  fill(end.projection.values(), random);
  ImageTokens tokens{Matrix(kSide * kSide, kChannels), kSide, kSide, std::vector<float>(kDim)};
  Matrix directions(labels, kDim);
  fill(tokens.tokens.values(), random);
  fill(directions.values(), random);
  const auto shared = std::make_shared<const TowerEnd>(std::move(end));
  std::printf("%zu labels, %zu x %zu tokens of %zu channels, vectors of %zu\n", labels, kSide, kSide,
              kChannels, kDim);
  print("once for the labels", best_of(10, [&] { make_splitter(shared, directions); }));
  const ScoreSplitter splitter = make_splitter(shared, directions);
  print("for each image", best_of(50, [&] { splitter.split(tokens); }));
  return 0;
}

}  // namespace
}  // namespace mii

int main(int argc, char** argv) { return mii::run(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 100); }
