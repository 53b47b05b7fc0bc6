#pragma once

// A model whose vectors tell what went in, and that waits, fails or is stuck on demand: for the faults that a
// real engine does not show when asked. Everything else is tested with the built-in model.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "mii/error.h"
#include "serve/model.h"

namespace mii::serve {

struct FakeState {
  std::mutex mutex;
  std::condition_variable changed;
  bool blocked = false;               // guarded by mutex: computations wait while it is set
  bool preparing_blocked = false;     // guarded by mutex: the same for prepare(), which runs on a worker
  bool counting_blocked = false;      // guarded by mutex: and for count_tokens(), which parsing calls
  bool digest_blocked = false;        // guarded by mutex: and for identity()
  bool gradients_blocked = false;     // guarded by mutex: and for gradient_maps(), which writing calls
  std::vector<size_t> image_batches;  // guarded by mutex
  std::vector<size_t> text_batches;   // guarded by mutex
  std::atomic<bool> failing = false;
  std::atomic<bool> lost = false;  // computations throw Error{device_lost}
  std::atomic<size_t> batches_at_once = 1;
  std::atomic<bool> one_token = false;         // the model's last stage says nothing of where
  std::atomic<bool> counting_failing = false;  // count_tokens() throws, as a defect in a handler would

  void block(bool on) {
    const std::lock_guard lock(mutex);
    blocked = on;
    changed.notify_all();
  }
  void block_preparing(bool on) {
    const std::lock_guard lock(mutex);
    preparing_blocked = on;
    changed.notify_all();
  }
  void block_counting(bool on) {
    const std::lock_guard lock(mutex);
    counting_blocked = on;
    changed.notify_all();
  }
  void block_digest(bool on) {
    const std::lock_guard lock(mutex);
    digest_blocked = on;
    changed.notify_all();
  }
  void block_gradients(bool on) {
    const std::lock_guard lock(mutex);
    gradients_blocked = on;
    changed.notify_all();
  }
  void wait_while(const bool& is_blocked) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !is_blocked; });
  }
  size_t computed_texts() {
    const std::lock_guard lock(mutex);
    size_t sum = 0;
    for (const size_t n : text_batches) sum += n;
    return sum;
  }
  size_t computed_images() {
    const std::lock_guard lock(mutex);
    size_t sum = 0;
    for (const size_t n : image_batches) sum += n;
    return sum;
  }
};

class FakeModel final : public Model {
 public:
  explicit FakeModel(std::shared_ptr<FakeState> state, size_t dim = 2) : state_(std::move(state)) {
    info_.image_width = info_.image_height = 8;
    info_.embedding_dim = dim;
    info_.logit_scale = 1;
    info_.backend = "fake";
  }

  Image prepare(const Image& image) const override {
    state_->wait_while(state_->preparing_blocked);
    return Image::from_rgb(image.width(), image.height(), image.pixels());
  }
  Matrix encode_images(std::span<const Image> images) const override {
    wait(state_->image_batches, images.size());
    Matrix rows(images.size(), info_.embedding_dim);
    for (size_t i = 0; i < images.size(); ++i) {
      if (images[i].width() == 13) throw Error(ErrorCode::invalid_image, "thirteen pixels wide");
      rows.row(i)[0] = static_cast<float>(images[i].width());
      rows.row(i)[1] = static_cast<float>(images[i].height());
    }
    return rows;
  }
  // Four tokens of one value, 1 to 4 times the width, then the vector.
  Matrix encode_image_tokens(std::span<const Image> images, TokenStage stage) const override {
    const Matrix vectors = encode_images(images);
    Matrix rows(images.size(), token_values(stage));
    for (size_t i = 0; i < images.size(); ++i) {
      for (size_t t = 0; t < 4; ++t) rows.row(i)[t] = static_cast<float>((t + 1) * images[i].width());
      std::ranges::copy(vectors.row(i), rows.row(i).begin() + 4);
    }
    return rows;
  }
  TokenShape token_shape(TokenStage) const override {
    const size_t side = state_->one_token ? 1 : 2;
    return {side, side, 1};
  }
  // A token's part of a score is its value times the direction's first.
  Splitter splitter(const Matrix& directions) const override {
    auto first = std::make_shared<std::vector<float>>();
    for (size_t k = 0; k < directions.rows(); ++k) first->push_back(directions.row(k)[0]);
    return [first](std::span<const float> row) {
      TokenMaps maps{.rows = 2, .cols = 2, .maps = Matrix(first->size(), 4)};
      for (size_t k = 0; k < first->size(); ++k) {
        for (size_t t = 0; t < 4; ++t) maps.maps.row(k)[t] = row[t] * (*first)[k];
        maps.constants.push_back(0);
        maps.scores.push_back(10 * double{row[0]} * (*first)[k]);
      }
      return maps;
    };
  }
  // Of one row and as many columns as tokens: twice what the splitter says.
  TokenMaps gradient_maps(std::span<const float> row, const Matrix& directions) const override {
    state_->wait_while(state_->gradients_blocked);
    TokenMaps maps = splitter(directions)(row);
    for (float& v : maps.maps.values()) v *= 2;
    maps.rows = 1;
    maps.cols = 4;
    return maps;
  }
  Matrix encode_texts(std::span<const std::string> texts) const override {
    wait(state_->text_batches, texts.size());
    Matrix rows(texts.size(), info_.embedding_dim);
    for (size_t t = 0; t < texts.size(); ++t) rows.row(t)[0] = static_cast<float>(texts[t].size());
    return rows;
  }
  size_t count_tokens(std::string_view text) const override {
    state_->wait_while(state_->counting_blocked);
    if (state_->counting_failing) throw std::runtime_error("a defect at /secret/path");
    return text.size();
  }
  TextCacheCounts text_cache_counts() const override { return {3, 4}; }
  const ModelInfo& info() const override { return info_; }
  size_t image_batch() const override { return 4; }
  size_t batches_at_once() const override { return state_->batches_at_once; }
  Identity identity(const std::function<bool()>& cancelled) const override {
    std::unique_lock lock(state_->mutex);
    while (state_->digest_blocked) {
      if (cancelled()) throw Error(ErrorCode::cancelled, "cancelled");
      state_->changed.wait_for(lock, std::chrono::milliseconds(10));
    }
    return {"weights", "config", "tokenizer", "f32", {}, "1"};
  }

 private:
  void wait(std::vector<size_t>& batches, size_t n) const {
    std::unique_lock lock(state_->mutex);
    batches.push_back(n);
    state_->changed.wait(lock, [&] { return !state_->blocked; });
    if (state_->failing) throw Error(ErrorCode::internal, "failing as told");
    if (state_->lost) throw Error(ErrorCode::device_lost, "lost as told");
  }

  std::shared_ptr<FakeState> state_;
  ModelInfo info_;
};

}  // namespace mii::serve
