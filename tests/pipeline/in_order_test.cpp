#include "pipeline/in_order.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <numeric>

namespace mii::pipeline {
namespace {

using testing::ElementsAre;

InOrderOptions threads(int n, size_t ahead) { return {.threads = n, .ahead = ahead, .cancelled = {}}; }

TEST(InOrder, HandsOverInOrderWhateverTheThreadsTake) {
  std::vector<size_t> taken;
  InOrder<size_t>(200, threads(4, 3), [](size_t i) {
    std::this_thread::sleep_for(std::chrono::microseconds(i % 7 * 50));
    return i * i;
  }).run([&](size_t i, size_t result) {
    EXPECT_EQ(result, i * i);
    taken.push_back(i);
  });
  std::vector<size_t> all(200);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(taken, all);
}

TEST(InOrder, MakesNoMoreThanMayWait) {
  std::atomic<size_t> made = 0;
  size_t taken = 0;
  InOrder<size_t>(50, threads(4, 3), [&](size_t i) {
    ++made;
    return i;
  }).run([&](size_t, size_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ++taken;
    EXPECT_LE(made, taken + 3);
  });
  EXPECT_EQ(made, 50u);
}

TEST(InOrder, ThrowsHereWhatAThreadThrows) {
  std::vector<size_t> taken;
  const auto run = [&] {
    InOrder<size_t>(9, threads(1, 2), [](size_t i) {
      if (i == 3) throw std::runtime_error("three");
      return i;
    }).run([&](size_t i, size_t) { taken.push_back(i); });
  };
  EXPECT_THROW(run(), std::runtime_error);
  EXPECT_LE(taken.size(), 3u);
}

TEST(InOrder, EndsItsThreadsWhenTheTakerThrows) {
  const auto run = [] {
    InOrder<size_t>(1000, threads(3, 4), [](size_t i) { return i; }).run([](size_t i, size_t) {
      if (i == 5) throw std::runtime_error("full");
    });
  };
  EXPECT_THROW(run(), std::runtime_error);
}

TEST(InOrder, StopsWhenItIsCancelled) {
  std::vector<size_t> taken;
  InOrder<size_t>(1000, {.threads = 2, .ahead = 2, .cancelled = [&] { return taken.size() == 3; }},
                  [](size_t i) { return i; })
      .run([&](size_t i, size_t) { taken.push_back(i); });
  EXPECT_THAT(taken, ElementsAre(0, 1, 2));
}

TEST(InOrder, TakesNothingOfNothing) {
  InOrder<int>(0, threads(2, 2), [](size_t) { return 1; }).run([](size_t, int) { FAIL(); });
}

}  // namespace
}  // namespace mii::pipeline
