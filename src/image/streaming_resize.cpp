#include "image/streaming_resize.h"

#include <algorithm>

namespace mii {
namespace {

constexpr size_t kMaxRows = 1u << 30;  // so that twice as many fit progress_

}  // namespace

void StreamingResize::on_start(const uint8_t* pixels, size_t width, size_t height) {
  source_ = {pixels, 3 * width, width, height};
  const bool whole_table_fits = AxisWeights::block_outputs(width, width_) == width_;
  if (width == width_ || !whole_table_fits || height > kMaxRows) return;
  narrowed_ = std::make_unique_for_overwrite<uint8_t[]>(width_ * height * 3);
  weights_.emplace(width, width_, 0, width_);
}

void StreamingResize::on_rows(size_t rows) {
  if (!is_narrowing()) return;
  progress_.store(static_cast<uint32_t>(2 * rows), std::memory_order_release);
  progress_.notify_all();
}

void StreamingResize::end() {
  progress_.fetch_or(1, std::memory_order_release);
  progress_.notify_all();
}

void StreamingResize::work() {
  progress_.wait(0, std::memory_order_acquire);
  if (!is_narrowing()) return;
  for (;;) {
    const size_t first = size_t{kRowsPerTask} * next_task_.fetch_add(1, std::memory_order_relaxed);
    if (first >= source_.height) return;
    const size_t last = std::min(first + kRowsPerTask, source_.height);
    uint32_t progress = progress_.load(std::memory_order_acquire);
    while (progress / 2 < last && progress % 2 == 0) {
      progress_.wait(progress, std::memory_order_acquire);
      progress = progress_.load(std::memory_order_acquire);
    }
    if (progress / 2 < last) return;
    resample_rows(source_, *weights_, first, last, narrowed_.get(), 3 * width_);
  }
}

}  // namespace mii
