#include "progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace mii {

Progress::Progress(size_t total, std::string unit, bool quiet)
    : total_(total), unit_(std::move(unit)), shown_(!quiet && total > 1 && isatty(STDERR_FILENO) == 1) {
  if (shown_) draw();
}

Progress::~Progress() {
  if (shown_) std::fprintf(stderr, "\r\x1b[K");
}

void Progress::advance(size_t n) {
  done_ += n;
  if (shown_) draw();
}

void Progress::draw() const {
  constexpr size_t kWidth = 30;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double rate = static_cast<double>(done_) / std::max(seconds, 1e-9);
  const size_t filled = kWidth * done_ / total_;
  const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
  std::fprintf(stderr, "\r\x1b[K[%s] %zu/%zu", bar.c_str(), done_, total_);
  if (done_ == 0) return;
  const auto left = static_cast<long>(static_cast<double>(total_ - done_) / rate);
  std::fprintf(stderr, "  %.2f %s/s  %ld:%02ld left", rate, unit_.c_str(), left / 60, left % 60);
}

}  // namespace mii
