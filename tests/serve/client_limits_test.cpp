#include "serve/client_limits.h"

#include <gtest/gtest.h>

namespace mii::serve {
namespace {

using Clock = RequestRate::Clock;

TEST(ServeClients, AnAddressIsAClientAndSoIsHalfOfAnIpv6Address) {
  EXPECT_EQ(client_of_address("10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(client_of_address("::ffff:10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(client_of_address("2001:db8:1:2:3:4:5:6"), client_of_address("2001:db8:1:2:ffff::1"));
  EXPECT_NE(client_of_address("2001:db8:1:2::1"), client_of_address("2001:db8:1:3::1"));
}

TEST(ServeClients, ABucketGivesItsBurstAndThenTheRate) {
  RequestRate rate({.per_second = 2, .burst = 3});
  auto now = Clock::now();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rate.take("a", now), Seconds::zero());
  EXPECT_DOUBLE_EQ(rate.take("a", now).count(), 0.5);
  EXPECT_EQ(rate.take("b", now), Seconds::zero()) << "another client has its own";
  now += std::chrono::milliseconds(500);
  EXPECT_EQ(rate.take("a", now), Seconds::zero());
  EXPECT_GT(rate.take("a", now), Seconds::zero());
  now += std::chrono::hours(1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rate.take("a", now), Seconds::zero());
  EXPECT_GT(rate.take("a", now), Seconds::zero()) << "a full bucket holds no more than the burst";
}

TEST(ServeClients, OfTooManyClientsTheOneThatAskedLongestAgoIsForgotten) {
  RequestRate rate({.per_second = 1, .burst = 1, .max_clients = 2});
  const auto now = Clock::now();
  rate.take("a", now);
  rate.take("b", now);
  EXPECT_GT(rate.take("a", now), Seconds::zero());
  EXPECT_EQ(rate.take("c", now), Seconds::zero());
  EXPECT_EQ(rate.clients(), 2u);
  EXPECT_GT(rate.take("a", now), Seconds::zero()) << "asked after b";
  EXPECT_EQ(rate.take("b", now), Seconds::zero()) << "forgotten";
}

TEST(ServeClients, ConnectionsOfAClientAreBoundedAndGivenBack) {
  ConnectionCounts counts(2);
  EXPECT_TRUE(counts.open("a"));
  EXPECT_TRUE(counts.open("a"));
  EXPECT_FALSE(counts.open("a"));
  EXPECT_TRUE(counts.open("b"));
  counts.close("a");
  EXPECT_TRUE(counts.open("a"));
  ConnectionCounts unbounded(0);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(unbounded.open("a"));
}

}  // namespace
}  // namespace mii::serve
