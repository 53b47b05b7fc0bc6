#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mii/engine.h"
#include "serve/replicas.h"

namespace mii::serve {

/// A device that the model computes on.
struct ModelDevice {
  DeviceInfo info;
  bool lost = false;
};

/// What the service asks of a model. Safe to call from several threads.
class Model {
 public:
  virtual ~Model() = default;
  virtual Image prepare(const Image& image) const = 0;
  virtual Matrix encode_images(std::span<const Image> images) const = 0;
  /// Rows of token_values(): all tokens of the stage, then the vector.
  virtual Matrix encode_image_tokens(std::span<const Image> images, TokenStage stage) const = 0;
  /// Throws Error{unsupported} for a model that lacks this stage.
  virtual TokenShape token_shape(TokenStage stage) const = 0;
  size_t token_values(TokenStage stage) const {
    const TokenShape shape = token_shape(stage);
    return shape.tokens() * shape.channels + info().embedding_dim;
  }
  /// What splits the scores of such a row of the last stage in these directions, [K, D].
  using Splitter = std::function<TokenMaps(std::span<const float> row)>;
  virtual Splitter splitter(const Matrix& directions) const = 0;
  /// Of such a row of the stage before the last; see Engine::gradient_maps. Computes.
  virtual TokenMaps gradient_maps(std::span<const float> row, const Matrix& directions) const = 0;
  /// A report by such a row. Throws as Engine::begin_report does, and like a model without a decoder.
  virtual ReportInProgress begin_report(std::span<const float> row, const ReportOptions& options) const;
  virtual ReportModelInfo report_model_info() const;
  virtual void check_report_options(const ReportOptions& options) const;
  virtual Matrix encode_texts(std::span<const std::string> texts) const = 0;
  virtual size_t count_tokens(std::string_view text) const = 0;
  virtual TextCacheCounts text_cache_counts() const = 0;
  virtual const ModelInfo& info() const = 0;
  virtual size_t image_batch() const = 0;
  /// Without preprocessing. Reads the model's files, unless they are known: takes seconds. Throws Error{io},
  /// Error{cancelled} when `cancelled`, asked now and then, says so.
  virtual Identity identity(const std::function<bool()>& cancelled) const = 0;
  /// How many batches it computes at once.
  virtual size_t batches_at_once() const { return 1; }
  /// None for one on the CPU.
  virtual std::vector<ModelDevice> devices() const { return {}; }
};

/// Engines of one model, a device each. Each batch is computed by one of them.
class EngineModel final : public Model {
 public:
  /// One at least, of the same folder and options.
  explicit EngineModel(std::vector<Engine> engines) : engines_(std::move(engines)) {}
  explicit EngineModel(Engine engine) : engines_(list_of(std::move(engine))) {}

  Image prepare(const Image& image) const override { return any().prepare(image); }
  Matrix encode_images(std::span<const Image> images) const override;
  Matrix encode_image_tokens(std::span<const Image> images, TokenStage stage) const override;
  TokenShape token_shape(TokenStage stage) const override { return any().token_shape(stage); }
  Splitter splitter(const Matrix& directions) const override;
  TokenMaps gradient_maps(std::span<const float> row, const Matrix& directions) const override;
  ReportInProgress begin_report(std::span<const float> row, const ReportOptions& options) const override;
  ReportModelInfo report_model_info() const override { return any().report_model_info(); }
  void check_report_options(const ReportOptions& options) const override {
    any().check_report_options(options);
  }
  Matrix encode_texts(std::span<const std::string> texts) const override;
  size_t count_tokens(std::string_view text) const override { return any().count_tokens(text); }
  TextCacheCounts text_cache_counts() const override;
  const ModelInfo& info() const override { return any().info(); }
  size_t image_batch() const override { return any().image_batch(); }
  size_t batches_at_once() const override { return engines_.size() * any().batches_at_once(); }
  std::vector<ModelDevice> devices() const override;
  Identity identity(const std::function<bool()>& cancelled) const override {
    return any().identity({}, cancelled);
  }

 private:
  static std::vector<Engine> list_of(Engine engine);
  // For what all of them know and no device computes.
  const Engine& any() const { return engines_[0]; }

  Replicas<Engine> engines_;
};

}  // namespace mii::serve
