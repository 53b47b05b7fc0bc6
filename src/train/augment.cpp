#include "train/augment.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace mii {
namespace {

// Maps a place of the result to a place of the source: x' = m[0] x + m[1] y + m[2], y' = m[3] x + m[4] y +
// m[5].
using Affine = std::array<float, 6>;

// Brings a place back between 0 and last: beyond its edges an image is mirrored.
float mirrored(float place, float last) {
  const float folded = std::fmod(std::abs(place), std::max(2 * last, 1.0f));
  return std::clamp(std::min(folded, 2 * last - folded), 0.0f, last);
}

// Bilinear; where the result has fewer places than the source, each is a mean of several.
void sample(const Picture& from, const Affine& m, Planes& to) {
  const size_t plane = to.plane();
  const int side = std::max(1, static_cast<int>(std::lround(std::sqrt(std::abs(m[0] * m[4] - m[1] * m[3])))));
  const float share = 1 / static_cast<float>(side), scale = share * share / 255;
  const float right = static_cast<float>(from.width - 1), bottom = static_cast<float>(from.height - 1);
  for (int y = 0; y < to.height; ++y) {
    for (int x = 0; x < to.width; ++x) {
      std::array<float, 3> sum{};
      for (int part = 0; part < side * side; ++part) {
        const float cx = static_cast<float>(x) + (static_cast<float>(part % side) + 0.5f) * share;
        const float cy = static_cast<float>(y) + (static_cast<float>(part / side) + 0.5f) * share;
        const float sx = mirrored(m[0] * cx + m[1] * cy + m[2] - 0.5f, right);
        const float sy = mirrored(m[3] * cx + m[4] * cy + m[5] - 0.5f, bottom);
        const int x0 = static_cast<int>(sx), y0 = static_cast<int>(sy);
        const int to_right = x0 + 1 < from.width ? from.channels : 0;
        const int down = y0 + 1 < from.height ? from.width * from.channels : 0;
        const float fx = sx - static_cast<float>(x0), fy = sy - static_cast<float>(y0);
        const uint8_t* at = from.values.data() + (y0 * from.width + x0) * from.channels;
        for (int c = 0; c < from.channels; ++c, ++at) {
          const auto value = [at](int offset) { return static_cast<float>(at[offset]); };
          const float upper = value(0) * (1 - fx) + value(to_right) * fx;
          const float lower = value(down) * (1 - fx) + value(down + to_right) * fx;
          sum[static_cast<size_t>(c)] += upper * (1 - fy) + lower * fy;
        }
      }
      const size_t at = static_cast<size_t>(y) * static_cast<size_t>(to.width) + static_cast<size_t>(x);
      for (size_t c = 0; c < 3; ++c) to.values[c * plane + at] = sum[from.channels == 3 ? c : 0] * scale;
    }
  }
}

struct Box {
  int left = 0, top = 0, width = 0, height = 0;
};

// The image without the black columns and rows around it, of which less than a fiftieth is visible; the whole
// image where less than a quarter of a side would be left.
Box without_black(const Picture& picture) {
  constexpr int kBlack = 24;  // of 255; JPEG's ringing stays below
  std::vector<int> columns(static_cast<size_t>(picture.width)), rows(static_cast<size_t>(picture.height));
  const uint8_t* at = picture.values.data();
  for (int& row : rows) {
    for (int& column : columns) {
      const bool visible = *std::max_element(at, at + picture.channels) > kBlack;
      row += visible;
      column += visible;
      at += picture.channels;
    }
  }
  const auto range = [](const std::vector<int>& visible, int places) {
    const auto seen = [&](int n) { return n * 50 > places; };
    const auto first = std::ranges::find_if(visible, seen);
    const auto last = std::find_if(visible.rbegin(), visible.rend(), seen).base();
    return std::pair{static_cast<int>(first - visible.begin()),
                     static_cast<int>(std::max(last - first, std::ptrdiff_t{0}))};
  };
  const auto [left, width] = range(columns, picture.height);
  const auto [top, height] = range(rows, picture.width);
  if (width * 4 < picture.width || height * 4 < picture.height) return {0, 0, picture.width, picture.height};
  return {left, top, width, height};
}

// A crop of a random share of the box's area and of random shape, turned, sheared or moved by `amount` on
// request.
Affine random_view(const Box& from, int width, int height, Random& random, int geometric, float amount,
                   float strength) {
  // Mostly the whole image; now and then a close view or one from afar, as another camera would take it.
  const float look = random.uniform();
  const bool afar = look > 1 - 0.3f * strength;
  const float area = look < 0.25f * strength ? std::exp(random.uniform(-2.1f, -0.5f))
                     : afar                  ? std::exp(random.uniform(0.0f, 1.6f))
                                             : random.uniform(0.6f, 1.0f);
  const float aspect = std::exp(random.uniform(-0.35f, 0.35f)), most = afar ? 3.0f : 1.0f;
  const float w = std::min(most, std::sqrt(area * aspect)), h = std::min(most, std::sqrt(area / aspect));
  const float left = random.uniform() * (1 - w), top = random.uniform() * (1 - h);
  float turn[4] = {1, 0, 0, 1};
  float moved_x = 0, moved_y = 0;
  switch (geometric) {
    case 0: {
      const float angle = amount * 0.7854f;
      turn[0] = turn[3] = std::cos(angle);
      turn[1] = -std::sin(angle);
      turn[2] = std::sin(angle);
      break;
    }
    case 1:
      turn[1] = amount * 0.5f;
      break;
    case 2:
      turn[2] = amount * 0.5f;
      break;
    case 3:
      moved_x = amount * 0.25f;
      break;
    case 4:
      moved_y = amount * 0.25f;
      break;
    default:
      break;
  }
  // From the result to the unit square around its centre, turned, to the crop, to the source.
  const float sw = static_cast<float>(from.width), sh = static_cast<float>(from.height);
  const float ux = 1 / static_cast<float>(width), uy = 1 / static_cast<float>(height);
  const float centre_x = left + w * (0.5f + moved_x), centre_y = top + h * (0.5f + moved_y);
  Affine m{sw * w * turn[0] * ux, sw * w * turn[1] * uy, 0, sh * h * turn[2] * ux, sh * h * turn[3] * uy, 0};
  m[2] = static_cast<float>(from.left) + sw * (centre_x - w * 0.5f * (turn[0] + turn[1]));
  m[5] = static_cast<float>(from.top) + sh * (centre_y - h * 0.5f * (turn[2] + turn[3]));
  return m;
}

void blend(Planes& x, const std::vector<float>& other, float factor) {
  for (size_t i = 0; i < x.values.size(); ++i) x.values[i] = other[i] + factor * (x.values[i] - other[i]);
}

std::vector<float> luma(const Planes& x) {
  std::vector<float> y(x.values.size());
  const size_t n = x.plane();
  for (size_t i = 0; i < n; ++i)
    y[i] = y[n + i] = y[2 * n + i] =
        0.299f * x.values[i] + 0.587f * x.values[n + i] + 0.114f * x.values[2 * n + i];
  return y;
}

std::vector<float> blurred(const Planes& x) {
  std::vector<float> y(x.values);
  for (size_t c = 0; c < 3; ++c) {
    const float* from = x.values.data() + c * x.plane();
    float* to = y.data() + c * x.plane();
    for (int row = 1; row + 1 < x.height; ++row) {
      for (int column = 1; column + 1 < x.width; ++column) {
        float sum = 0;
        for (int dy = -1; dy <= 1; ++dy)
          for (int dx = -1; dx <= 1; ++dx) sum += from[(row + dy) * x.width + column + dx];
        to[row * x.width + column] = sum / 9;
      }
    }
  }
  return y;
}

void stretch_contrast(Planes& x) {
  const auto [low, high] = std::minmax_element(x.values.begin(), x.values.end());
  const float from = *low, scale = 1 / std::max(*high - *low, 1e-3f);
  for (float& value : x.values) value = (value - from) * scale;
}

void equalize(Planes& x) {
  std::array<float, 257> below{};
  const auto bin = [](float value) { return static_cast<size_t>(std::clamp(value, 0.0f, 1.0f) * 255); };
  for (const float value : x.values) below[bin(value) + 1] += 1;
  for (size_t i = 1; i < below.size(); ++i) below[i] += below[i - 1];
  for (float& value : x.values) value = below[bin(value)] / static_cast<float>(x.values.size());
}

// One of TrivialAugment's photometric changes; amount in [-1, 1].
void change_photometry(Planes& x, int which, float amount) {
  const float factor = 1 + 0.9f * amount;
  switch (which) {
    case 0:
      for (float& value : x.values) value *= factor;
      break;
    case 1: {
      float mean = 0;
      for (const float value : luma(x)) mean += value;
      blend(x, std::vector<float>(x.values.size(), mean / static_cast<float>(x.values.size())), factor);
      break;
    }
    case 2:
      blend(x, luma(x), factor);
      break;
    case 3:
      blend(x, blurred(x), 1 + 2 * amount);
      break;
    case 4: {
      const float levels = std::exp2(std::round(2 + 6 * (1 - std::abs(amount))));
      for (float& value : x.values) value = std::floor(value * levels) / levels;
      break;
    }
    case 5:
      stretch_contrast(x);
      break;
    case 6:
      equalize(x);
      break;
    case 7:
      for (float& value : x.values) value = std::pow(std::max(value, 0.0f), std::exp(0.8f * amount));
      break;
    default:
      break;
  }
}

Planes resampled(const Planes& from, int width, int height) {
  Planes to(width, height);
  // Each place of the result is the mean of the places that fall into it, or is interpolated when there are
  // fewer.
  const float sx = static_cast<float>(from.width) / static_cast<float>(width);
  const float sy = static_cast<float>(from.height) / static_cast<float>(height);
  for (size_t c = 0; c < 3; ++c) {
    const float* source = from.values.data() + c * from.plane();
    float* target = to.values.data() + c * to.plane();
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        float sum = 0, weight = 0;
        const float cx = (static_cast<float>(x) + 0.5f) * sx - 0.5f,
                    cy = (static_cast<float>(y) + 0.5f) * sy - 0.5f;
        const float rx = std::max(sx, 1.0f), ry = std::max(sy, 1.0f);
        for (int py = static_cast<int>(std::ceil(cy - ry)); py <= static_cast<int>(std::floor(cy + ry));
             ++py) {
          const float wy = 1 - std::abs(static_cast<float>(py) - cy) / ry;
          const int row = std::clamp(py, 0, from.height - 1);
          for (int px = static_cast<int>(std::ceil(cx - rx)); px <= static_cast<int>(std::floor(cx + rx));
               ++px) {
            const float w = wy * (1 - std::abs(static_cast<float>(px) - cx) / rx);
            sum += w * source[row * from.width + std::clamp(px, 0, from.width - 1)];
            weight += w;
          }
        }
        target[y * width + x] = sum / weight;
      }
    }
  }
  return to;
}

// Down to fewer pixels and back, like a small or blurred original.
void lose_resolution(Planes& x, Random& random) {
  const float keep = random.uniform(0.25f, 0.8f);
  const auto size = [&](int n) { return std::max(8, static_cast<int>(keep * static_cast<float>(n))); };
  x = resampled(resampled(x, size(x.width), size(x.height)), x.width, x.height);
}

// Sharpened: edges as another camera or a larger original shows them.
void sharpen(Planes& x, Random& random) { blend(x, blurred(x), random.uniform(1.0f, 3.0f)); }

// Whether a good part of the image is coloured. Many grey images have three channels, tinted by JPEG or with
// a coloured mark.
bool is_coloured(const Picture& picture) {
  if (picture.channels != 3) return false;
  constexpr int kVisible = 20;  // of 255
  size_t coloured = 0;
  for (size_t i = 0; i < picture.values.size(); i += 3) {
    const auto [low, high] = std::minmax({picture.values[i], picture.values[i + 1], picture.values[i + 2]});
    coloured += high - low > kVisible;
  }
  return coloured * 5 > picture.values.size() / 3;
}

void cast_colour(Planes& x, Random& random) {
  for (size_t c = 0; c < 3; ++c) {
    const float gain = std::exp(random.uniform(-0.5f, 0.5f)), offset = random.uniform(-0.1f, 0.1f);
    for (size_t i = 0; i < x.plane(); ++i)
      x.values[c * x.plane() + i] = x.values[c * x.plane() + i] * gain + offset;
  }
}

// Made smaller, within a border of one shade.
void add_border(Planes& x, Random& random) {
  const bool all_round = random.chance(0.5f);
  const auto share = [&] { return !all_round && random.chance(0.5f) ? 1.0f : random.uniform(0.4f, 1.0f); };
  const float horizontal = share(), vertical = all_round ? horizontal : share();
  const int w = std::max(8, static_cast<int>(horizontal * static_cast<float>(x.width)));
  const int h = std::max(8, static_cast<int>(vertical * static_cast<float>(x.height)));
  const int left = static_cast<int>(random.below(x.width - w + 1)),
            top = static_cast<int>(random.below(x.height - h + 1));
  const Planes small = resampled(x, w, h);
  std::fill(x.values.begin(), x.values.end(), random.chance(0.8f) ? 0.0f : random.uniform());
  for (size_t c = 0; c < 3; ++c)
    for (int y = 0; y < h; ++y)
      std::copy_n(small.values.begin() + static_cast<std::ptrdiff_t>(c * small.plane()) + y * w, w,
                  x.values.begin() + static_cast<std::ptrdiff_t>(c * x.plane()) + (top + y) * x.width + left);
}

// Everything outside a round or octagonal field of view becomes black, as in images from scopes.
void mask_field(Planes& x, Random& random) {
  const float cx = random.uniform(0.4f, 0.6f), cy = random.uniform(0.4f, 0.6f);
  const float radius = random.uniform(0.42f, 0.7f), soft = random.uniform(0.005f, 0.12f);
  const bool round = random.chance(0.7f);
  const float corner = random.uniform(1.1f, 1.4f);
  for (int row = 0; row < x.height; ++row) {
    for (int column = 0; column < x.width; ++column) {
      const float dx = std::abs((static_cast<float>(column) + 0.5f) / static_cast<float>(x.width) - cx);
      const float dy = std::abs((static_cast<float>(row) + 0.5f) / static_cast<float>(x.height) - cy);
      const float distance = round ? std::hypot(dx, dy) : std::max({dx, dy, (dx + dy) / corner});
      const float inside = std::clamp((radius - distance) / soft, 0.0f, 1.0f);
      for (size_t c = 0; c < 3; ++c)
        x.values[c * x.plane() + static_cast<size_t>(row * x.width + column)] *= inside;
    }
  }
}

// Another grey-level window: values beyond two levels are cut off, those between are spread and bent.
void change_window(Planes& x, Random& random) {
  const float low = random.uniform(-0.1f, 0.25f), high = std::exp(random.uniform(-0.5f, 0.6f));
  const float bend = std::exp(random.uniform(-0.5f, 0.5f));
  for (float& value : x.values) value = std::pow(std::clamp((value - low) / (high - low), 0.0f, 1.0f), bend);
}

void add_noise(Planes& x, Random& random) {
  const float sigma = random.uniform(0.01f, 0.08f);
  for (size_t i = 0; i < x.plane(); ++i) {
    const float noise = sigma * random.normal();
    for (size_t c = 0; c < 3; ++c) x.values[c * x.plane() + i] += noise;
  }
}

void erase(Planes& x, Random& random) {
  const float area = random.uniform(0.02f, 0.2f), aspect = std::exp(random.uniform(-1.0f, 1.0f));
  const int w =
      std::clamp(static_cast<int>(std::sqrt(area * aspect) * static_cast<float>(x.width)), 1, x.width);
  const int h =
      std::clamp(static_cast<int>(std::sqrt(area / aspect) * static_cast<float>(x.height)), 1, x.height);
  const int left = static_cast<int>(random.below(x.width - w + 1)),
            top = static_cast<int>(random.below(x.height - h + 1));
  const float shade = random.uniform();
  for (size_t c = 0; c < 3; ++c)
    for (int y = top; y < top + h; ++y)
      std::fill_n(x.values.begin() + static_cast<std::ptrdiff_t>(c * x.plane()) + y * x.width + left, w,
                  shade);
}

}  // namespace

Planes resized(const Picture& picture, int width, int height) {
  Planes full(picture.width, picture.height);
  sample(picture, {1, 0, 0, 0, 1, 0}, full);
  return resampled(full, width, height);
}

Planes augmented(const Picture& picture, const View& view, Random& random) {
  constexpr int kGeometric = 5, kPhotometric = 8;
  const int change = static_cast<int>(random.below(kGeometric + kPhotometric + 1));  // the last: none
  const float amount = random.uniform(-view.strength, view.strength);
  const auto chance = [&](float probability) { return random.chance(probability * view.strength); };
  Planes x(view.width, view.height);
  const Box box = chance(0.5f) ? without_black(picture) : Box{0, 0, picture.width, picture.height};
  sample(picture,
         random_view(box, view.width, view.height, random, change < kGeometric ? change : -1, amount,
                     view.strength),
         x);
  if (change >= kGeometric) change_photometry(x, change - kGeometric, amount);

  // Colour is evidence: a grey image never gets a colour cast.
  const bool coloured = is_coloured(picture);
  if (coloured && chance(0.5f)) cast_colour(x, random);
  if (picture.channels == 3 && random.chance(view.grey)) x.values = luma(x);
  if (chance(0.3f)) change_window(x, random);
  if (!coloured && chance(0.25f))
    for (float& value : x.values) value = 1 - value;
  if (chance(0.2f)) mask_field(x, random);
  if (chance(0.3f)) add_border(x, random);
  if (chance(0.3f)) sharpen(x, random);
  if (chance(0.4f)) lose_resolution(x, random);
  if (chance(0.15f)) add_noise(x, random);
  for (float& value : x.values) value = std::clamp(value, 0.0f, 1.0f);
  if (chance(0.25f)) erase(x, random);
  return x;
}

}  // namespace mii
