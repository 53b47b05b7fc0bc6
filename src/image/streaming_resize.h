#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "image/codec.h"
#include "image/resample.h"

namespace mii {

/// The horizontal pass of a resize, done on rows as soon as a decoder on another thread has finished them.
/// One thread decodes onto a canvas that this observes and calls end(); the others, and in the end that one
/// too, call work(). The canvas outlives all of that.
class StreamingResize : public RowObserver {
 public:
  explicit StreamingResize(size_t width) : width_(width) {}

  void on_start(const uint8_t* pixels, size_t width, size_t height) override;
  void on_rows(size_t rows) override;

  /// No more rows will come.
  void end();

  /// Narrows rows until none are left. Returns only after end() or the last row.
  void work();

  /// Whether work() narrows the picture: not when the width stays the same, or when the table of weights
  /// would be too large to be held whole. Known after on_start.
  bool is_narrowing() const { return weights_.has_value(); }

  /// The result, [height, width] pixels. Precondition: is_narrowing(), all rows came, all calls of work()
  /// returned.
  const uint8_t* narrowed() const { return narrowed_.get(); }

 private:
  static constexpr uint32_t kRowsPerTask = 16;

  size_t width_;
  RgbRows source_{};
  std::optional<AxisWeights> weights_;
  std::unique_ptr<uint8_t[]> narrowed_;
  std::atomic<uint32_t> next_task_{0};
  // Rows that are ready, twice, plus 1 when no more will come: one number, so that one wait hears of both.
  std::atomic<uint32_t> progress_{0};
};

}  // namespace mii
