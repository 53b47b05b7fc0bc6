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

Matrix EngineModel::encode_image_tokens(std::span<const Image> images, TokenStage stage) const {
  Matrix rows(images.size(), token_values(stage));
  const std::vector<ImageTokens> all = engine_.encode_image_tokens(images, stage);
  for (size_t i = 0; i < all.size(); ++i)
    std::ranges::copy(all[i].vector, std::ranges::copy(all[i].tokens.values(), rows.row(i).begin()).out);
  return rows;
}

Model::Splitter EngineModel::splitter(const Matrix& directions) const {
  return [splitter = engine_.splitter(directions), shape = engine_.token_shape(TokenStage::last)](
             std::span<const float> row) { return splitter.split(tokens_of(row, shape)); };
}

TokenMaps EngineModel::gradient_maps(std::span<const float> row, const Matrix& directions) const {
  return engine_.gradient_maps(tokens_of(row, engine_.token_shape(TokenStage::before_last)), directions);
}

ReportInProgress EngineModel::begin_report(std::span<const float> row, const ReportOptions& options) const {
  return engine_.begin_report(tokens_of(row, engine_.token_shape(TokenStage::last)), options);
}

}  // namespace mii::serve
