#include "backend/registry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "backend/cpu/vector_kernels.h"
#include "backend/precision.h"
#include "mii/error.h"

namespace mii {
namespace {

TEST(Registry, AutoIsTheFirstThatCanRunHere) {
  EXPECT_EQ(&find_backend("auto"),
            &*std::ranges::find_if(backends(), [](const BackendEntry& b) { return b.available(); }));
}

TEST(Registry, FindsEachBackendByItsName) {
  std::set<std::string_view> names{"auto"};
  for (const BackendEntry& entry : backends()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    if (entry.available()) {
      EXPECT_EQ(&find_backend(entry.name), &entry);
    }
  }
}

TEST(Registry, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  try {
    find_backend("abacus");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_STREQ(error.what(), "backend 'abacus', expected auto, cuda, cpu or reference");
  }
}

TEST(Registry, ABackendThatCannotRunHereSaysWhy) {
  for (const BackendEntry& entry : backends()) {
    if (entry.available()) continue;
    try {
      find_backend(entry.name);
      ADD_FAILURE() << entry.name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::unsupported);
      EXPECT_EQ(error.what(),
                "backend '" + std::string(entry.name) + "' cannot run on this machine: " + entry.obstacle());
    }
  }
}

TEST(Registry, EveryBackendOffersFloat32) {
  for (const BackendEntry& entry : backends())
    if (entry.available()) {
      EXPECT_EQ(std::ranges::count(entry.precisions(), Precision::f32), 1) << entry.name;
    }
}

TEST(Registry, ABackendComputesInThePrecisionThatItWasMadeFor) {
  for (const BackendEntry& entry : backends()) {
    if (!entry.available()) continue;
    for (const Precision precision : entry.precisions())
      EXPECT_EQ(entry.make({.precision = precision, .threads = 1})->precision(), precision) << entry.name;
  }
}

TEST(Precision, NamesAreReadBack) {
  EXPECT_EQ(parse_precision("auto"), Precision::automatic);
  EXPECT_STREQ(to_string(Precision::automatic), "auto");
  for (const PrecisionInfo& info : precisions()) {
    EXPECT_EQ(parse_precision(info.name), info.precision);
    EXPECT_STREQ(to_string(info.precision), info.name);
  }
}

TEST(Precision, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  try {
    parse_precision("f31");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_STREQ(error.what(), "precision 'f31', expected auto, f32, f16, bf16, int8 or fp8");
  }
}

// Every upper half with the lower halves around a tie, NaN aside.
TEST(BFloat16Rounding, TheVectorFormIsTheScalarForm) {
  std::vector<float> values;
  for (uint32_t upper = 0; upper <= 0xFFFF; ++upper)
    for (const uint32_t lower : {0x0000u, 0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      const float value = std::bit_cast<float>(upper << 16 | lower);
      if (!std::isnan(value)) values.push_back(value);
    }
  std::vector<BFloat16> rounded(values.size());
  round_to(values.data(), values.size(), rounded.data());
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(rounded[i].bits, to_bfloat16(values[i]).bits) << std::hexfloat << values[i];
}

}  // namespace
}  // namespace mii
