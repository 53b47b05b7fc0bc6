#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "figures.h"

namespace mii::stats {
namespace {

// Sums of at most 60 terms of the size of 1, in double precision and in another order: 60 * 2^-53 each, and a
// quotient and a root of such. 1e-12 is a hundred times that.
void expect_equal(const boost::json::value& expected, const boost::json::value& found,
                  const std::string& where) {
  if (expected.is_array()) {
    ASSERT_EQ(expected.as_array().size(), found.as_array().size()) << where;
    for (size_t i = 0; i < expected.as_array().size(); ++i)
      expect_equal(expected.as_array()[i], found.as_array()[i], where + "[" + std::to_string(i) + "]");
    return;
  }
  EXPECT_NEAR(expected.to_number<double>(), found.to_number<double>(), 1e-12) << where;
}

TEST(Packages, GaveTheSameFigures) {
  std::ifstream file(MII_TEST_DATA "/stats/cases.json");
  const auto cases = boost::json::parse(std::string(std::istreambuf_iterator<char>(file), {})).as_array();
  ASSERT_GE(cases.size(), 8u);
  for (const auto& entry : cases) {
    const auto& input = entry.as_object();
    const auto& expected = input.at("figures").as_object();
    const auto found = figures_of(input);
    ASSERT_EQ(expected.size(), found.size());
    for (const auto& [name, value] : expected)
      expect_equal(value, found.at(name),
                   std::string(input.at("name").as_string()) + ", " + std::string(name));
  }
}

}  // namespace
}  // namespace mii::stats
