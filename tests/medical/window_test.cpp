// Windows and lookup tables against values that are computed here by hand from the standard's formulas.

#include <cmath>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mii/error.h"

#include "medical/value_range.h"
#include "medical/window.h"

namespace mii {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

GreyFrame row(const std::vector<int32_t>& values) {
  return {.rows = 1, .cols = values.size(), .integers = values};
}

GreyFrame real_row(const std::vector<double>& values) {
  return {.rows = 1, .cols = values.size(), .reals = values};
}

VoiWindow linear(double c, double w) { return {c, w, VoiFunction::linear}; }
VoiWindow exact(double c, double w) { return {c, w, VoiFunction::linear_exact}; }
VoiWindow sigmoid(double c, double w) { return {c, w, VoiFunction::sigmoid}; }

// The examples of PS3.3 C.11.2.1.2.1 with y from 0 to 255.
TEST(WindowLinear, EqualsTheStandardsExamples) {
  // c=2048, w=4096: x <= 0 black, x > 4095 white, else ((x - 2047.5) / 4095 + 0.5) * 255.
  EXPECT_EQ(windowed(0, linear(2048, 4096)), 0);
  EXPECT_DOUBLE_EQ(windowed(1, linear(2048, 4096)), ((1 - 2047.5) / 4095 + 0.5) * 255);
  EXPECT_DOUBLE_EQ(windowed(4095, linear(2048, 4096)), 255);
  EXPECT_EQ(windowed(4096, linear(2048, 4096)), 255);
  // c=2048, w=1: x <= 2047.5 black, else white.
  EXPECT_EQ(windowed(2047, linear(2048, 1)), 0);
  EXPECT_EQ(windowed(2047.5, linear(2048, 1)), 0);
  EXPECT_EQ(windowed(2048, linear(2048, 1)), 255);
  // c=0, w=100: x <= -50 black, x > 49 white, else ((x + 0.5) / 99 + 0.5) * 255.
  EXPECT_EQ(windowed(-50, linear(0, 100)), 0);
  EXPECT_DOUBLE_EQ(windowed(-49, linear(0, 100)), (-48.5 / 99 + 0.5) * 255);
  EXPECT_DOUBLE_EQ(windowed(49, linear(0, 100)), 255);
  // c=0, w=1: x <= -0.5 black, else white.
  EXPECT_EQ(windowed(-1, linear(0, 1)), 0);
  EXPECT_EQ(windowed(0, linear(0, 1)), 255);
}

// C.11.2.1.3.2: x <= c - w/2 black, x > c + w/2 white, else ((x - c) / w + 0.5) * 255.
TEST(WindowLinearExact, EqualsTheStandardsExamples) {
  EXPECT_EQ(windowed(0, exact(2048, 4096)), 0);
  EXPECT_DOUBLE_EQ(windowed(1, exact(2048, 4096)), 255 / 4096.0);
  EXPECT_DOUBLE_EQ(windowed(4096, exact(2048, 4096)), 255);
  EXPECT_EQ(windowed(2047.5, exact(2048, 1)), 0);
  EXPECT_DOUBLE_EQ(windowed(2048, exact(2048, 1)), 127.5);
  EXPECT_EQ(windowed(2049, exact(2048, 1)), 255);
  EXPECT_DOUBLE_EQ(windowed(0.125, exact(0, 0.5)), 0.75 * 255);  // narrower than 1
}

// C.11.2.1.3.1: 255 / (1 + exp(-4 (x - c) / w)).
TEST(WindowSigmoid, EqualsTheFormula) {
  EXPECT_DOUBLE_EQ(windowed(40, sigmoid(40, 400)), 127.5);
  EXPECT_DOUBLE_EQ(windowed(140, sigmoid(40, 400)), 255 / (1 + std::exp(-1.0)));
  EXPECT_DOUBLE_EQ(windowed(-60, sigmoid(40, 400)), 255 / (1 + std::exp(1.0)));
  EXPECT_EQ(windowed(1e9, sigmoid(40, 400)), 255);
  EXPECT_EQ(windowed(-1e9, sigmoid(40, 400)), 0);
}

// c=40, w=400: ((x - 39.5) / 399 + 0.5) * 255. x=40: 127.82, x=-100: 38.35, x=200: 230.07, x=41: 128.46.
TEST(Render, FloorsAndDoesNotRound) {
  EXPECT_THAT(render(row({-160, -159, -100, 40, 41, 200, 238, 239, 240}), linear(40, 400)),
              ElementsAre(0, 0, 38, 127, 128, 230, 254, 255, 255));
}

TEST(Render, AppliesTheRescaleBeforeTheWindow) {
  GreyFrame frame = row({0, 924, 1064, 1263, 4000});
  frame.intercept = -1024;  // -1024, -100, 40, 239, 2976
  EXPECT_THAT(render(frame, linear(40, 400)), ElementsAre(0, 38, 127, 255, 255));
  GreyFrame steep = row({0, 50, 100});
  steep.slope = 2;
  steep.intercept = -60;  // -60, 40, 140; ((-60 - 39.5) / 399 + 0.5) * 255 = 63.9; 140: 191.7
  EXPECT_THAT(render(steep, linear(40, 400)), ElementsAre(63, 127, 191));
}

TEST(Render, NegativeSlopeTurnsTheImageRound) {
  GreyFrame frame = row({0, 10, 20});
  frame.slope = -1;  // 0, -10, -20
  EXPECT_THAT(render(frame, ValueRange{-20, 0}), ElementsAre(255, 127, 0));
  EXPECT_THAT(render(frame, exact(-10, 20)), ElementsAre(255, 127, 0));
}

TEST(Render, InvertedIsTheComplementOfTheImage) {
  GreyFrame frame = row({-160, -100, 40, 200, 239, 500});
  const std::vector<uint8_t> grey = render(frame, linear(40, 400));
  frame.inverted = true;
  const std::vector<uint8_t> inverted = render(frame, linear(40, 400));
  for (size_t i = 0; i < grey.size(); ++i) EXPECT_EQ(inverted[i], 255 - grey[i]) << i;
}

TEST(Render, PaddingAndNotANumberAreBlackInvertedOrNot) {
  for (const bool inverted : {false, true}) {
    GreyFrame frame = row({-2000, -1999, 0, 1000, -1998});
    frame.padding = {-2000, -1999};
    frame.inverted = inverted;
    // 0: 1998 / 2998 * 255 = 169.9
    const std::vector<uint8_t> grey = render(frame, ValueRange{-1998, 1000});
    EXPECT_THAT(grey, ElementsAre(0, 0, inverted ? 86 : 169, inverted ? 0 : 255, inverted ? 255 : 0));
    GreyFrame reals = real_row({kNaN, 1, 0, kInfinity, -kInfinity});
    reals.inverted = inverted;
    const uint8_t black = inverted ? 255 : 0, white = inverted ? 0 : 255;
    EXPECT_THAT(render(reals, ValueRange{0, 1}), ElementsAre(0, white, black, white, black));
  }
}

// The table of PS3.3 C.11.2.1.1: values below the first mapped one take the first entry, beyond the end the
// last.
// Infinity less infinity, and infinity times zero.
TEST(Render, WhatHasNoValueIsBlack) {
  EXPECT_THAT(render(real_row({kInfinity, 0}), ValueRange{-kInfinity, kInfinity}), Each(0));
  GreyFrame frame = row({0, 0});
  frame.slope = kInfinity;
  for (const Mapping& mapping : {Mapping(linear(40, 400)), Mapping(ValueRange{0, 1}), Mapping(StoredRange{}),
                                 Mapping(LookupTable{0, {1, 2}, 8})})
    EXPECT_THAT(render(frame, mapping), Each(0));
}

TEST(RenderLookupTable, ClampsAtBothEnds) {
  const LookupTable table{-10, {0, 128, 255}, 8};
  EXPECT_THAT(render(row({-1000, -11, -10, -9, -8, -7, 1000}), table),
              ElementsAre(0, 0, 0, 128, 255, 255, 255));
}

TEST(RenderLookupTable, SpreadsTheEntriesBitsOverTheGreys) {
  // 12 bits: 4095 is white; 2048 / 4095 * 255 = 127.53.
  EXPECT_THAT(render(row({0, 1, 2}), LookupTable{0, {0, 2048, 4095}, 12}), ElementsAre(0, 127, 255));
  EXPECT_THAT(render(row({0, 1, 2}), LookupTable{0, {0, 32768, 65535}, 16}), ElementsAre(0, 127, 255));
}

TEST(RenderLookupTable, TakesRescaledValues) {
  GreyFrame frame = row({0, 1, 2});
  frame.slope = 0.5;  // 0, 0.5, 1: whole numbers below
  EXPECT_THAT(render(frame, LookupTable{0, {10, 20}, 8}), ElementsAre(10, 10, 20));
}

TEST(RenderStored, SpreadsTheWholeRangeOfTheStoredBits) {
  GreyFrame frame = row({0, 1, 128, 255});
  frame.bits_stored = 8;
  EXPECT_THAT(render(frame, StoredRange{}), ElementsAre(0, 1, 128, 255)) << "8 bits stay as they are";
  frame.slope = 3;
  frame.intercept = -7;
  EXPECT_THAT(render(frame, StoredRange{}), ElementsAre(0, 1, 128, 255)) << "whatever the rescale";
  GreyFrame is_signed = row({-128, -1, 0, 127});
  is_signed.bits_stored = 8;
  is_signed.is_signed = true;
  EXPECT_THAT(render(is_signed, StoredRange{}), ElementsAre(0, 127, 128, 255));
  GreyFrame twelve = row({0, 2048, 4095});
  twelve.bits_stored = 12;
  EXPECT_THAT(render(twelve, StoredRange{}), ElementsAre(0, 127, 255));
}

TEST(RenderRange, AConstantImageIsBlack) {
  EXPECT_THAT(render(row({7, 7, 7}), range_of(row({7, 7, 7}))), Each(0));
  EXPECT_THAT(render(real_row({0.5, 0.5}), range_of(real_row({0.5, 0.5}))), Each(0));
}

TEST(RenderRange, EndsAreBlackAndWhite) {
  EXPECT_THAT(render(row({-5, 0, 5, 10, 15}), ValueRange{0, 10}), ElementsAre(0, 0, 127, 255, 255));
}

// As Double Float Pixel Data may hold them: their difference is more than a double can.
TEST(RenderRange, AsWideAsNumbersGo) {
  const double most = std::numeric_limits<double>::max();
  const GreyFrame frame = real_row({-most, 0, most});
  EXPECT_THAT(render(frame, range_of(frame)), ElementsAre(0, 127, 255));
  EXPECT_THAT(render(frame, percentiles_of(frame, 0, 100)), ElementsAre(0, 127, 255));
  ValueStatistics statistics;
  statistics.add_range(frame);
  statistics.add_values(frame);
  EXPECT_THAT(render(frame, statistics.percentiles(0, 100)), ElementsAre(0, 127, 255));
}

// A frame of few different values goes through a table of them, one of many does not.
TEST(Render, ManyValuesAreMappedAsFewAre) {
  std::vector<int32_t> few(4096);
  std::iota(few.begin(), few.end(), -2048);
  std::vector<int32_t> many = few;
  many.push_back(INT32_MIN);
  many.push_back(INT32_MAX);
  for (const Mapping& mapping :
       {Mapping(linear(40, 400)), Mapping(exact(40.5, 399)), Mapping(sigmoid(40, 400)),
        Mapping(ValueRange{-1000.5, 1000}), Mapping(LookupTable{-3, {0, 5, 250}, 8})}) {
    GreyFrame a = row(few), b = row(many);
    a.slope = b.slope = 1.25;
    a.intercept = b.intercept = -0.75;
    a.padding = b.padding = std::pair(100, 101);
    const std::vector<uint8_t> by_table = render(a, mapping);
    std::vector<uint8_t> one_by_one = render(b, mapping);
    one_by_one.resize(by_table.size());
    EXPECT_EQ(by_table, one_by_one) << mapping.index();
  }
}

TEST(Render, RealsAreMappedAsIntegersAre) {
  std::vector<int32_t> values(1000);
  std::iota(values.begin(), values.end(), -500);
  const std::vector<double> reals(values.begin(), values.end());
  for (const Mapping& mapping : {Mapping(linear(40, 400)), Mapping(exact(40, 400)), Mapping(sigmoid(40, 400)),
                                 Mapping(ValueRange{-100, 100}), Mapping(LookupTable{-3, {0, 5, 250}, 8})})
    EXPECT_EQ(render(row(values), mapping), render(real_row(reals), mapping)) << mapping.index();
}

TEST(Render, RefusesWindowsThatTheStandardForbids) {
  for (const VoiWindow& window :
       {linear(0, 0.5), linear(0, 0), linear(0, -5), linear(kNaN, 10), linear(0, kInfinity), linear(0, kNaN),
        exact(0, 0), exact(0, -1), sigmoid(0, 0)}) {
    try {
      render(row({1}), window);
      ADD_FAILURE() << window.center << "/" << window.width;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    }
  }
}

}  // namespace
}  // namespace mii
