#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <vector>

#include "core/file.h"
#include "weights/config.h"

// A tiny report decoder, weights by formula, and the logits that LibTorch gives for one image and one text:
// tests/data/golden/report_decoder.f32, [ids, vocabulary] in little-endian float32. Where LibTorch is,
// train_test compares them with it anew; with MII_WRITE_GOLDEN in the environment, it writes them.

namespace mii::report_golden {

inline constexpr ReportDecoderConfig kConfig{.context_length = 24,
                                             .width = 48,
                                             .heads = 3,
                                             .layers = 3,
                                             .image_dim = 40,
                                             .vocabulary = 61,
                                             .least_support = {}};
inline constexpr int64_t kImageTokens = 9;
inline const std::vector<int32_t> kText{59, 7, 12, 60, 3, 44, 44, 21, 8, 9, 17, 30};

/// [kImageTokens, image_dim]
inline std::vector<float> image_tokens() {
  std::vector<float> tokens(static_cast<size_t>(kImageTokens * kConfig.image_dim));
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<float>(i * i * 37 % 101) / 25 - 2;
  return tokens;
}

inline std::filesystem::path file() {
  return std::filesystem::path(MII_TEST_DATA) / "golden" / "report_decoder.f32";
}

/// [kText.size(), vocabulary]
inline std::vector<float> logits() {
  const std::vector<std::byte> bytes = read_file(file(), 1 << 20);
  std::vector<float> logits(bytes.size() / sizeof(float));
  std::memcpy(logits.data(), bytes.data(), logits.size() * sizeof(float));
  return logits;
}

}  // namespace mii::report_golden
