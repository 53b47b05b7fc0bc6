#include "serve/model.h"

#include <algorithm>

#include "mii/error.h"

namespace mii::serve {
namespace {

[[noreturn]] void no_decoder() { throw Error(ErrorCode::invalid_model, "the model has no report decoder"); }

// A row is the tokens, then the vector.
ImageTokens tokens_of(std::span<const float> row, const TokenShape& shape) {
  ImageTokens tokens{Matrix(shape.tokens(), shape.channels), shape.rows, shape.cols};
  const size_t values = tokens.tokens.values().size();
  std::ranges::copy(row.first(values), tokens.tokens.values().begin());
  tokens.vector.assign(row.begin() + static_cast<std::ptrdiff_t>(values), row.end());
  return tokens;
}

}  // namespace

ReportInProgress Model::begin_report(std::span<const float>, const ReportOptions&) const { no_decoder(); }
ReportModelInfo Model::report_model_info() const { no_decoder(); }
void Model::check_report_options(const ReportOptions&) const { no_decoder(); }

std::vector<Engine> EngineModel::list_of(Engine engine) {
  std::vector<Engine> engines;
  engines.push_back(std::move(engine));
  return engines;
}

Matrix EngineModel::encode_images(std::span<const Image> images) const {
  return engines_.use([&](const Engine& engine) { return engine.encode_images(images); });
}

Matrix EngineModel::encode_texts(std::span<const std::string> texts) const {
  return engines_.use([&](const Engine& engine) { return engine.encode_texts(texts); });
}

TextCacheCounts EngineModel::text_cache_counts() const {
  TextCacheCounts all;
  for (size_t i = 0; i < engines_.size(); ++i) {
    const TextCacheCounts counts = engines_[i].text_cache_counts();
    all.hits += counts.hits;
    all.misses += counts.misses;
  }
  return all;
}

std::vector<ModelDevice> EngineModel::devices() const {
  std::vector<ModelDevice> devices;
  for (size_t i = 0; i < engines_.size(); ++i)
    if (const auto info = engines_[i].device()) devices.push_back({*info, engines_.is_lost(i)});
  return devices;
}

Matrix EngineModel::encode_image_tokens(std::span<const Image> images, TokenStage stage) const {
  Matrix rows(images.size(), token_values(stage));
  const std::vector<ImageTokens> all =
      engines_.use([&](const Engine& engine) { return engine.encode_image_tokens(images, stage); });
  for (size_t i = 0; i < all.size(); ++i)
    std::ranges::copy(all[i].vector, std::ranges::copy(all[i].tokens.values(), rows.row(i).begin()).out);
  return rows;
}

Model::Splitter EngineModel::splitter(const Matrix& directions) const {
  return [splitter = any().splitter(directions), shape = any().token_shape(TokenStage::last)](
             std::span<const float> row) { return splitter.split(tokens_of(row, shape)); };
}

TokenMaps EngineModel::gradient_maps(std::span<const float> row, const Matrix& directions) const {
  const ImageTokens tokens = tokens_of(row, any().token_shape(TokenStage::before_last));
  return engines_.use([&](const Engine& engine) { return engine.gradient_maps(tokens, directions); });
}

ReportInProgress EngineModel::begin_report(std::span<const float> row, const ReportOptions& options) const {
  const ImageTokens tokens = tokens_of(row, any().token_shape(TokenStage::last));
  return engines_.use([&](const Engine& engine) { return engine.begin_report(tokens, options); });
}

}  // namespace mii::serve
