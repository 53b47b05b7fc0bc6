#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "mii/engine.h"

namespace mii::serve {

/// What the service asks of a model. Safe to call from several threads.
class Model {
 public:
  virtual ~Model() = default;
  virtual Image prepare(const Image& image) const = 0;
  virtual Matrix encode_images(std::span<const Image> images) const = 0;
  virtual Matrix encode_texts(std::span<const std::string> texts) const = 0;
  virtual size_t count_tokens(std::string_view text) const = 0;
  virtual TextCacheCounts text_cache_counts() const = 0;
  virtual const ModelInfo& info() const = 0;
  virtual size_t image_batch() const = 0;
  /// Without preprocessing. Reads the model's files, unless they are known: takes seconds. Throws Error{io},
  /// Error{cancelled} when `cancelled`, asked now and then, says so.
  virtual Identity identity(const std::function<bool()>& cancelled) const = 0;
};

class EngineModel final : public Model {
 public:
  explicit EngineModel(Engine engine) : engine_(std::move(engine)) {}

  Image prepare(const Image& image) const override { return engine_.prepare(image); }
  Matrix encode_images(std::span<const Image> images) const override { return engine_.encode_images(images); }
  Matrix encode_texts(std::span<const std::string> texts) const override {
    return engine_.encode_texts(texts);
  }
  size_t count_tokens(std::string_view text) const override { return engine_.count_tokens(text); }
  TextCacheCounts text_cache_counts() const override { return engine_.text_cache_counts(); }
  const ModelInfo& info() const override { return engine_.info(); }
  size_t image_batch() const override { return engine_.image_batch(); }
  Identity identity(const std::function<bool()>& cancelled) const override {
    return engine_.identity({}, cancelled);
  }

 private:
  Engine engine_;
};

}  // namespace mii::serve
