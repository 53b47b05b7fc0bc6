#include "serve/job.h"

#include <algorithm>
#include <utility>

namespace mii::serve {

Job::Job(Matrix images, Matrix texts, std::function<void()> done)
    : left_(images.rows() + texts.rows()),
      images_(std::move(images)),
      texts_(std::move(texts)),
      done_(std::move(done)) {}

void Job::set_row(Kind kind, size_t row, std::span<const float> vector) {
  {
    const std::lock_guard lock(mutex_);
    std::ranges::copy(vector, (kind == Kind::image ? images_ : texts_).row(row).begin());
  }
  settle();
}

void Job::fail(Failure failure) {
  {
    const std::lock_guard lock(mutex_);
    const bool earlier = failure_ && failure.image && failure_->image && *failure.image < *failure_->image;
    if (!failure_ || earlier) failure_ = std::move(failure);
  }
  cancel();
  settle();
}

void Job::note_prepared() {
  const std::lock_guard lock(mutex_);
  timing_.preprocess = std::chrono::steady_clock::now() - start_;
}

void Job::note_batch(Kind kind, Seconds queued, Seconds inference) {
  const std::lock_guard lock(mutex_);
  timing_.queue = std::max(timing_.queue, queued);
  Seconds& sum = kind == Kind::image ? image_inference_ : text_inference_;
  sum += inference;
  timing_.inference = std::max(timing_.inference, sum);
}

Timing Job::timing() const {
  const std::lock_guard lock(mutex_);
  return timing_;
}

void Job::settle() {
  std::function<void()> done;
  {
    const std::lock_guard lock(mutex_);
    if (--left_ == 0) done = std::move(done_);
  }
  if (done) done();
}

}  // namespace mii::serve
