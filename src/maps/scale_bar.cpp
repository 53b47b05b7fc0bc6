#include "maps/scale_bar.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <string_view>

namespace mii::maps {
namespace {

constexpr uint8_t kPaper = 255, kInk = 0;
constexpr size_t kBarTop = 4, kBarBottom = 14, kTextTop = 17;
constexpr size_t kDot = 2;                             // pixels of a glyph's dot
constexpr size_t kGlyphWidth = 3, kGlyphHeight = 5;    // in dots
constexpr size_t kAdvance = (kGlyphWidth + 1) * kDot;  // pixels from one glyph to the next

// A glyph's dots, row by row, the first one highest.
struct Glyph {
  char character;
  uint16_t dots;
};
constexpr std::array<Glyph, 14> kGlyphs{{{'0', 0b111'101'101'101'111},
                                         {'1', 0b010'110'010'010'111},
                                         {'2', 0b111'001'111'100'111},
                                         {'3', 0b111'001'111'001'111},
                                         {'4', 0b101'101'111'001'001},
                                         {'5', 0b111'100'111'001'111},
                                         {'6', 0b111'100'111'101'111},
                                         {'7', 0b111'001'001'001'001},
                                         {'8', 0b111'101'111'101'111},
                                         {'9', 0b111'101'111'001'111},
                                         {'-', 0b000'000'111'000'000},
                                         {'+', 0b000'010'111'010'000},
                                         {'.', 0b000'000'000'000'010},
                                         {'e', 0b010'101'111'100'011}}};

void draw_glyph(const Canvas& canvas, uint16_t dots, size_t left) {
  for (size_t row = 0; row < kGlyphHeight * kDot; ++row)
    for (size_t col = 0; col < kGlyphWidth * kDot; ++col) {
      const size_t dot = row / kDot * kGlyphWidth + col / kDot;
      if ((dots >> (kGlyphWidth * kGlyphHeight - 1 - dot)) & 1)
        std::ranges::fill(canvas.at(left + col, kTextTop + row), kInk);
    }
}

void draw_text(const Canvas& canvas, std::string_view text, size_t left) {
  for (const char c : text) {
    const auto glyph = std::ranges::find(kGlyphs, c, &Glyph::character);
    if (glyph != kGlyphs.end()) draw_glyph(canvas, glyph->dots, left);
    left += kAdvance;
  }
}

std::string two_digits(float value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%+.2g", static_cast<double>(value));
  return text.data();
}

}  // namespace

void draw_scale_bar(const Canvas& canvas, float largest,
                    const std::function<void(float share, std::span<uint8_t> rgb)>& colour) {
  std::ranges::fill(canvas.pixels, kPaper);
  for (size_t x = 0; x < canvas.width; ++x) {
    const float share = 2 * static_cast<float>(x) / static_cast<float>(canvas.width - 1) - 1;
    for (size_t y = kBarTop; y < kBarBottom; ++y) colour(share, canvas.at(x, y));
  }
  const std::string most = two_digits(largest);
  draw_text(canvas, two_digits(-largest), kDot);
  draw_text(canvas, "0", canvas.width / 2 - kDot);
  draw_text(canvas, most, canvas.width - most.size() * kAdvance);
}

}  // namespace mii::maps
