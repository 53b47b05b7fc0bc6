// The measures of maps, on maps whose figures can be counted by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/map_games.h"

namespace mii {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;

TEST(MapGames, EnergyIsTheShareAboveZeroInsideThePart) {
  const std::vector<float> values{3, -9, 0, 0,   //
                                  1, 0,  2, 0,   //
                                  0, 0,  0, -1,  //
                                  0, 2,  0, 0};
  const maps::MapGrid map{4, 4, values};
  const PartOf quarters = grid_parts(2, 2);
  EXPECT_DOUBLE_EQ(energy_in(map, quarters, 0), 0.5);
  EXPECT_DOUBLE_EQ(energy_in(map, quarters, 1), 0.25);
  EXPECT_DOUBLE_EQ(energy_in(map, quarters, 2), 0.25);
  EXPECT_DOUBLE_EQ(energy_in(map, quarters, 3), 0);
  EXPECT_EQ(highest_part(map, quarters), 0u);
}

TEST(MapGames, AMapOfNothingHasNoEnergy) {
  const std::vector<float> values{-1, 0, -2, -3};
  EXPECT_EQ(energy_in({2, 2, values}, grid_parts(2, 2), 1), 0);
  EXPECT_EQ(highest_part({2, 2, values}, grid_parts(2, 2)), 1u);
}

TEST(MapGames, PlacesComeFromTheHighestToTheLowest) {
  const std::vector<float> values{1, 4, 2, 3};
  EXPECT_THAT(places_by_height({2, 2, values}, 2), ElementsAre(1, 3, 2, 0));
  const std::vector<float> flat(4);
  EXPECT_THAT(places_by_height({2, 2, flat}, 2), ElementsAre(0, 1, 2, 3));
}

TEST(MapGames, TheAreaIsThatOfTrapezoids) {
  EXPECT_THAT(area_below(std::vector<double>{1, 0.5, 0}), DoubleEq(0.5));
  EXPECT_THAT(area_below(std::vector<double>{0, 1, 1}), DoubleEq(0.75));
}

}  // namespace
}  // namespace mii
