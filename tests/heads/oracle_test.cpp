#include <gtest/gtest.h>

#include "heads/oracle_cases.h"

namespace mii::heads {
namespace {

TEST(HeadsOracle, FitsAndCalibratesAsScikitLearnAndThePapersFormulasDo) {
  const auto differences = differences_from_oracle(MII_TEST_DATA "/heads/oracle.json");
  EXPECT_EQ(differences.size(), 25u);
  for (const Difference& d : differences) EXPECT_LE(d.worst, d.allowed) << d.what;
}

}  // namespace
}  // namespace mii::heads
