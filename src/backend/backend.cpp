#include "backend/backend.h"

namespace mii {

Vector Backend::store(std::span<const float> values) {
  const auto n = static_cast<int64_t>(values.size());
  Vector vector{allocate(n), n};
  upload(values, {vector.storage.get(), 0, 1, n});
  return vector;
}

Rows Buffer::take(int64_t rows, int64_t cols) {
  const int64_t values = rows * cols;
  if (storage_ == nullptr || values > values_) {
    free();
    storage_ = backend_->allocate(values);
    values_ = values;
  }
  return {storage_.get(), 0, rows, cols};
}

void Buffer::free() {
  storage_.reset();
  values_ = 0;
}

}  // namespace mii
