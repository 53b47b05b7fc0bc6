#include "serve/replicas.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "mii/error.h"

namespace mii::serve {
namespace {

Error lost() { return {ErrorCode::device_lost, "lost"}; }

TEST(Replicas, CallsOneAfterAnotherAreSpreadEvenly) {
  const Replicas<int> all({10, 20, 30});
  std::vector<int> used;
  for (int i = 0; i < 6; ++i) used.push_back(all.use([](int which) { return which; }));
  EXPECT_EQ(used, (std::vector<int>{10, 20, 30, 10, 20, 30}));
}

TEST(Replicas, ACallGoesToTheOneWithTheFewestUnderWay) {
  const Replicas<int> all({10, 20});
  all.use([&](int busy) {
    for (int i = 0; i < 3; ++i) EXPECT_NE(all.use([](int which) { return which; }), busy);
    return 0;
  });
}

TEST(Replicas, WhatALostOneWasComputingIsComputedByAnother) {
  const Replicas<int> all({10, 20, 30});
  const auto call = [](int which) {
    if (which != 30) throw lost();
    return which;
  };
  for (int i = 0; i < 4; ++i) EXPECT_EQ(all.use(call), 30);
  EXPECT_TRUE(all.is_lost(0));
  EXPECT_TRUE(all.is_lost(1));
  EXPECT_FALSE(all.is_lost(2));
  int calls = 0;
  all.use([&](int which) { return ++calls, which; });
  EXPECT_EQ(calls, 1) << "the lost ones are not asked";
}

TEST(Replicas, WhenAllAreLostEachCallSaysSoAndOneThatWorksAgainIsFound) {
  const Replicas<int> all({10, 20});
  for (int i = 0; i < 3; ++i) EXPECT_THROW(all.use([](int) -> int { throw lost(); }), Error);
  EXPECT_TRUE(all.is_lost(0) && all.is_lost(1));
  const int works = all.use([](int which) { return which; });
  EXPECT_FALSE(all.is_lost(works == 10 ? 0 : 1));
  EXPECT_EQ(all.use([](int which) { return which; }), works);
}

TEST(Replicas, OtherErrorsAreTheCallers) {
  const Replicas<int> all({10, 20});
  int calls = 0;
  EXPECT_THROW(all.use([&](int) -> int {
    ++calls;
    throw Error(ErrorCode::invalid_image, "damaged");
  }),
               Error);
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(all.is_lost(0));
}

}  // namespace
}  // namespace mii::serve
