#include "medical/jpeg_ls.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "mii/error.h"

namespace mii {
namespace {

using Bytes = std::span<const std::byte>;

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorCode::invalid_image, "JPEG-LS: " + what); }

// Preset coding parameters; C.2.4.1. Zero stands for the default.
struct Preset {
  int maxval = 0, t1 = 0, t2 = 0, t3 = 0, reset = 0;
};

// What a scan is coded by; A.2.1.
struct Coding {
  int maxval, near, t1, t2, t3, reset, range, qbpp, limit;
};

int log2_up(int value) { return static_cast<int>(std::bit_width(static_cast<unsigned>(value - 1))); }

Preset with_defaults(Preset preset, int precision, int near) {
  const int most = (1 << precision) - 1;
  if (preset.maxval == 0) preset.maxval = most;
  const int maxval = preset.maxval;
  const auto clamped = [&](int value, int least) { return value > maxval || value < least ? least : value; };
  const int factor = maxval >= 128 ? (std::min(maxval, 4095) + 128) / 256 : 256 / (maxval + 1);
  // For few values the standard adds the error before it compares with the least.
  const auto threshold = [&](int value, int least, int errors) {
    return maxval >= 128 ? factor * (value - least) + least + errors * near
                         : std::max(least, value / factor + errors * near);
  };
  if (preset.t1 == 0) preset.t1 = clamped(threshold(3, 2, 3), near + 1);
  if (preset.t2 == 0) preset.t2 = clamped(threshold(7, 3, 5), preset.t1);
  if (preset.t3 == 0) preset.t3 = clamped(threshold(21, 4, 7), preset.t2);
  if (preset.reset == 0) preset.reset = 64;
  const bool sound = maxval <= most && near <= std::min(255, maxval / 2) && preset.t1 > near &&
                     preset.t2 >= preset.t1 && preset.t3 >= preset.t2 && preset.t3 <= maxval &&
                     preset.reset >= 3 && preset.reset <= std::max(255, maxval);
  if (!sound) fail("parameters out of range");
  return preset;
}

Coding coding_of(const Preset& given, int precision, int near) {
  const Preset preset = with_defaults(given, precision, near);
  const int range = (preset.maxval + 2 * near) / (2 * near + 1) + 1;
  const int bpp = std::max(2, log2_up(preset.maxval + 1));
  return {preset.maxval, near,           preset.t1,
          preset.t2,     preset.t3,      preset.reset,
          range,         log2_up(range), 2 * (bpp + std::max(8, bpp))};
}

// Bits, the highest of a byte first; behind a byte FF comes one with seven; A.1.
class Bits {
 public:
  explicit Bits(Bytes data) : data_(data) {}

  // count: below 56.
  int64_t take(int count) {
    if (count == 0) return 0;
    need(count);
    const auto value = static_cast<int64_t>(cache_ >> (64 - count));
    drop(count);
    return value;
  }

  bool one() { return take(1) == 1; }

  // How many zeros come before the next one, which is taken too.
  int zeros(int most) {
    int before = 0;
    for (; cache_ == 0; need(1)) {
      before += count_;
      count_ = 0;
      if (before > most) break;
    }
    const int here = std::countl_zero(cache_);
    if (before + here > most) fail("a code that there is not");
    drop(here + 1);
    return before + here;
  }

 private:
  void need(int count) {
    if (count_ < count) fill();
    if (count_ < count) fail("ends early");
  }

  void drop(int count) {
    cache_ = cache_ << (count - 1) << 1;
    count_ -= count;
  }

  void fill() {
    while (count_ <= 56 && at_ < data_.size()) {
      const auto byte = std::to_integer<uint64_t>(data_[at_++]);
      const int bits = after_ff_ ? 7 : 8;
      cache_ |= byte << (64 - count_ - bits);
      count_ += bits;
      after_ff_ = byte == 0xFF;
    }
  }

  Bytes data_;
  size_t at_ = 0;
  uint64_t cache_ = 0;  // the next bits, the highest first; zeros behind them
  int count_ = 0;
  bool after_ff_ = false;
};

// A line with a column on each side; one more of each component lies behind it.
struct Line {
  std::vector<int> previous, current;
  int run_index = 0;
};

class Scan {
 public:
  Scan(const Coding& coding, Bytes data, size_t cols, size_t components)
      : c_(coding), bits_(data), cols_(cols), lines_(components) {
    for (Line& line : lines_) line.previous.resize(cols + 2), line.current.resize(cols + 2);
    const int64_t a = std::max(2, (c_.range + 32) / 64);
    for (Context& context : contexts_) context.a = a;
    for (RunContext& context : run_contexts_) context.a = a;
    gradients_.resize(2 * static_cast<size_t>(c_.maxval) + 1);
    for (int d = -c_.maxval; d <= c_.maxval; ++d) gradients_[place_of(d)] = quantized(d);
  }

  // The next line of all components. Their values begin at column 1.
  const std::vector<Line>& next_line(bool by_sample) {
    for (Line& line : lines_) {
      std::swap(line.previous, line.current);
      line.previous[cols_ + 1] = line.previous[cols_];
      line.current[0] = line.previous[1];
    }
    if (by_sample)
      read(lines_);
    else
      for (Line& line : lines_) read({&line, 1});
    return lines_;
  }

 private:
  struct Context {
    int64_t a = 0;
    int b = 0, c = 0, n = 1;
  };
  struct RunContext {
    int64_t a = 0;
    int n = 1, negative = 0;
  };

  int8_t quantized(int d) const {
    const int size = std::abs(d);
    const int level = size <= c_.near ? 0 : size < c_.t1 ? 1 : size < c_.t2 ? 2 : size < c_.t3 ? 3 : 4;
    return static_cast<int8_t>(d < 0 ? -level : level);
  }
  int gradient(int d) const { return gradients_[place_of(d)]; }
  size_t place_of(int d) const {
    const int place = d + c_.maxval;
    return static_cast<size_t>(place);
  }

  // A.3: of which context the value at a column is.
  int context_of(const Line& line, size_t x) const {
    const int a = line.current[x - 1], b = line.previous[x], c = line.previous[x - 1],
              d = line.previous[x + 1];
    return (gradient(d - b) * 9 + gradient(b - c)) * 9 + gradient(c - a);
  }

  // Components of one line that are coded together, pixel by pixel.
  void read(std::span<Line> lines) {
    std::array<int, 4> contexts{};
    for (size_t x = 1; x <= cols_;) {
      bool flat = true;
      for (size_t i = 0; i < lines.size(); ++i) flat = (contexts[i] = context_of(lines[i], x)) == 0 && flat;
      if (flat) {
        x = read_run(lines, x);
        continue;
      }
      for (size_t i = 0; i < lines.size(); ++i) lines[i].current[x] = regular(lines[i], x, contexts[i]);
      ++x;
    }
  }

  // A.5.3, with the values that no encoder writes taken for damage: they would grow without end.
  int code(int k, int limit) {
    const int most = limit - c_.qbpp - 1, high = bits_.zeros(most);
    const int64_t value = high == most ? bits_.take(c_.qbpp) + 1 : (int64_t{high} << k) + bits_.take(k);
    if (value > 2 * int64_t{c_.range}) fail("an error beyond the range");
    return static_cast<int>(value);
  }

  static int golomb(int n, int64_t a) {
    int k = 0;
    while ((int64_t{n} << k) < a) ++k;
    return k;
  }

  int reconstructed(int predicted, int error) const {
    const int step = 2 * c_.near + 1;
    int value = predicted + error * step;
    if (value < -c_.near)
      value += c_.range * step;
    else if (value > c_.maxval + c_.near)
      value -= c_.range * step;
    return std::clamp(value, 0, c_.maxval);
  }

  // A.4 to A.6.
  int regular(const Line& line, size_t x, int q) {
    const int sign = q < 0 ? -1 : 1;
    Context& context = contexts_[static_cast<size_t>(std::abs(q))];
    const int a = line.current[x - 1], b = line.previous[x], c = line.previous[x - 1];
    const int edge = c >= std::max(a, b) ? std::min(a, b) : c <= std::min(a, b) ? std::max(a, b) : a + b - c;
    const int predicted = std::clamp(edge + sign * context.c, 0, c_.maxval);
    const int k = golomb(context.n, context.a), mapped = code(k, c_.limit);
    int error = mapped % 2 == 0 ? mapped / 2 : -(mapped + 1) / 2;
    if (c_.near == 0 && k == 0 && 2 * context.b <= -context.n) error = -error - 1;
    update(context, error);
    return reconstructed(predicted, sign * error);
  }

  void update(Context& context, int error) const {
    context.b += error * (2 * c_.near + 1);
    context.a += std::abs(error);
    if (context.n == c_.reset) {
      context.a >>= 1;
      context.b >>= 1;
      context.n >>= 1;
    }
    ++context.n;
    if (context.b <= -context.n) {
      context.b = std::max(context.b + context.n, -context.n + 1);
      context.c = std::max(context.c - 1, -128);
    } else if (context.b > 0) {
      context.b = std::min(context.b - context.n, 0);
      context.c = std::min(context.c + 1, 127);
    }
  }

  // A.7: returns the column behind the run and the value that ends it.
  size_t read_run(std::span<Line> lines, size_t x) {
    static constexpr std::array<int, 32> kJ{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,  2,  3,  3,  3,  3,
                                            4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    int& index = lines[0].run_index;
    const auto repeat = [&](size_t count) {
      for (Line& line : lines)
        std::fill_n(line.current.begin() + static_cast<std::ptrdiff_t>(x), count, line.current[x - 1]);
      x += count;
    };
    while (bits_.one()) {
      const size_t whole = size_t{1} << kJ[static_cast<size_t>(index)], rest = cols_ + 1 - x;
      repeat(std::min(whole, rest));
      if (whole <= rest) index = std::min(index + 1, 31);
      if (x > cols_) return x;
    }
    const int j = kJ[static_cast<size_t>(index)];
    const auto count = static_cast<size_t>(bits_.take(j));
    if (count > cols_ + 1 - x) fail("a run beyond the line");
    repeat(count);
    if (x > cols_) return x;
    for (Line& line : lines) {
      const int a = line.current[x - 1], b = line.previous[x];
      const bool near = lines.size() == 1 && std::abs(a - b) <= c_.near;
      const int error = interruption(near, c_.limit - j - 1);
      line.current[x] = near ? reconstructed(a, error) : reconstructed(b, b < a ? -error : error);
    }
    index = std::max(index - 1, 0);
    return x + 1;
  }

  // A.7.2.
  int interruption(bool near, int limit) {
    RunContext& context = run_contexts_[near ? 1 : 0];
    const int type = near ? 1 : 0;
    const int k = golomb(context.n, context.a + (near ? context.n >> 1 : 0)), mapped = code(k, limit);
    const int odd = (mapped + type) % 2, size = (mapped + type + odd) / 2;
    const bool negative = (k != 0 || 2 * context.negative >= context.n) == (odd == 1);
    const int error = negative ? -size : size;
    if (error < 0) ++context.negative;
    context.a += (mapped + 1 - type) >> 1;
    if (context.n == c_.reset) {
      context.a >>= 1;
      context.n >>= 1;
      context.negative >>= 1;
    }
    ++context.n;
    return error;
  }

  const Coding c_;
  Bits bits_;
  const size_t cols_;
  std::vector<Line> lines_;  // of the components
  std::vector<int8_t> gradients_;
  std::array<Context, 365> contexts_{};
  std::array<RunContext, 2> run_contexts_{};
};

class Decoder {
 public:
  Decoder(Bytes bytes, const JpegHeader& header, uint8_t* out) : bytes_(bytes), header_(header), out_(out) {}

  void run() {
    const size_t samples = header_.image.samples;
    for (size_t at = 2; done_ < samples && bytes_.size() - at >= 4;) {
      if (byte(at + 1) == 0xFF) {  // a fill byte
        ++at;
        continue;
      }
      const size_t length = two_bytes(at + 2);
      const bool is_scan = byte(at + 1) == 0xDA;
      if (byte(at + 1) == 0xF8) read_preset(at + 4, length);
      if (byte(at + 1) == 0xE8 && length >= 7 && byte(at + 4) == 'm' && byte(at + 8) != 0)
        fail("a colour transform of no standard");
      at += 2 + length;
      if (is_scan) at = read_scan(at - length, length, at);
    }
    if (done_ != samples) fail(std::to_string(done_) + " of " + std::to_string(samples) + " components");
  }

 private:
  size_t byte(size_t at) const { return std::to_integer<size_t>(bytes_[at]); }
  size_t two_bytes(size_t at) const { return load_be<uint16_t>(&bytes_[at]); }

  void read_preset(size_t at, size_t length) {
    if (length != 13) fail("parameters of " + std::to_string(length) + " bytes");
    const auto value = [&](size_t i) { return static_cast<int>(two_bytes(at + 1 + 2 * i)); };
    preset_ = {value(0), value(1), value(2), value(3), value(4)};
  }

  // Returns where the next marker may be. at: of the header's length; data: behind the header.
  size_t read_scan(size_t at, size_t length, size_t data) {
    const size_t components = length < 6 ? 0 : byte(at + 2), rest = header_.image.samples - done_;
    if (components == 0 || components > rest || length != 6 + 2 * components) fail("a damaged scan header");
    const size_t near = byte(data - 3), interleave = byte(data - 2), transform = byte(data - 1);
    if (interleave > 2 || (interleave == 0) != (components == 1) || transform != 0)
      fail("a scan of " + std::to_string(components) + " components, interleaved by " +
           std::to_string(interleave));
    size_t end = data;
    while (end + 1 < bytes_.size() && !(byte(end) == 0xFF && byte(end + 1) >= 0x80)) ++end;
    const Coding coding = coding_of(preset_, header_.precision, static_cast<int>(near));
    Scan scan(coding, bytes_.subspan(data, end - data), header_.image.cols, components);
    for (size_t y = 0; y < header_.image.rows; ++y) store(scan.next_line(interleave == 2), y);
    done_ += components;
    return end;
  }

  void store(const std::vector<Line>& lines, size_t y) {
    const auto& [rows, cols, samples] = header_.image;
    for (size_t i = 0; i < lines.size(); ++i)
      for (size_t x = 0; x < cols; ++x) {
        const size_t to = (y * cols + x) * samples + done_ + i;
        const auto value = static_cast<unsigned>(lines[i].current[x + 1]);
        if (header_.precision <= 8) {
          out_[to] = static_cast<uint8_t>(value);
        } else {
          out_[2 * to] = static_cast<uint8_t>(value);
          out_[2 * to + 1] = static_cast<uint8_t>(value >> 8);
        }
      }
  }

  Bytes bytes_;
  const JpegHeader& header_;
  uint8_t* out_;
  Preset preset_;
  size_t done_ = 0;  // components that are read
};

}  // namespace

void decode_jpeg_ls(Bytes bytes, const JpegHeader& header, uint8_t* out) {
  if (header.marker != 0xF7 || header.precision < 2 || header.precision > 16)
    fail("an image of " + std::to_string(header.precision) + " bits");
  Decoder(bytes, header, out).run();
}

}  // namespace mii
