#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "mii/error.h"
#include "mii/matrix.h"
#include "serve/timing.h"

namespace mii::serve {

/// The vectors that one request waits for. Its items settle once each, on any thread; the last one calls
/// done.
class Job {
 public:
  enum class Kind { image, text };

  struct Failure {
    ErrorCode code = ErrorCode::internal;
    std::string message;
    std::optional<size_t> image;  ///< index of the image that failed
  };

  /// images, texts: the rows to be filled.
  Job(Matrix images, Matrix texts, std::function<void()> done);

  void set_row(Kind kind, size_t row, std::span<const float> vector);
  /// Of several failures, that of the first image is kept. Cancels the rest.
  void fail(Failure failure);
  /// Counts one item that cancelled() made not worth computing.
  void drop() { settle(); }

  void cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }

  void note_prepared();
  void note_batch(Kind kind, Seconds queued, Seconds inference);
  Timing timing() const;

  // Once done was called:
  const std::optional<Failure>& failure() const { return failure_; }
  Matrix take_images() { return std::move(images_); }
  Matrix take_texts() { return std::move(texts_); }

 private:
  void settle();

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::atomic<bool> cancelled_ = false;
  mutable std::mutex mutex_;
  size_t left_;  // guarded by mutex_, as all below
  Matrix images_, texts_;
  std::optional<Failure> failure_;
  Timing timing_;
  Seconds image_inference_{}, text_inference_{};
  std::function<void()> done_;
};

}  // namespace mii::serve
