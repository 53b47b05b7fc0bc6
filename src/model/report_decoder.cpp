#include "model/report_decoder.h"

#include <string>

#include "mii/error.h"

namespace mii {
namespace {

constexpr const char* kTokenEmbedding = "report_decoder.token_embedding.weight";
constexpr float kEpsilon = TransformerBlock::kEpsilon;

}  // namespace

ReportDecoder::ReportDecoder(const ReportDecoderConfig& config, const Checkpoint& checkpoint,
                             Backend& backend)
    : config_(config), backend_(backend) {
  const WeightReader weights(checkpoint, backend);
  embedding_ = weights.token_embedding(kTokenEmbedding, "report_decoder.positional_embedding");
  token_norm_ = weights.layer_norm("report_decoder.ln_tokens", kEpsilon);
  image_projection_ = weights.linear("report_decoder.image_projection");
  image_norm_ = weights.layer_norm("report_decoder.ln_image", kEpsilon);
  for (int64_t layer = 0; layer < config.layers; ++layer) blocks_.push_back(read_block(weights, layer));
  norm_ = weights.layer_norm("report_decoder.ln_final", kEpsilon);
  vocabulary_ = weights.linear_without_bias(kTokenEmbedding);
}

ReportDecoder::Block ReportDecoder::read_block(const WeightReader& weights, int64_t layer) const {
  const std::string prefix = "report_decoder.resblocks." + std::to_string(layer);
  return {.text = TransformerBlock::read(weights, prefix),
          .norm = weights.layer_norm(prefix + ".ln_cross", kEpsilon),
          .query = weights.linear(prefix + ".cross.q_proj"),
          .key_value = weights.linear(prefix + ".cross.kv_proj"),
          .proj = weights.linear(prefix + ".cross.out_proj")};
}

// Tokens of a session to compute: rows of x.
struct ReportSession::Step {
  ReportSession* session;
  int64_t row = 0;    // the first, in x
  int64_t first = 0;  // where they lie in the session's memory
  std::vector<int32_t> ids;
  std::vector<int32_t> places;  // in their texts
  std::vector<int64_t> own;     // 0, 1, 2, ...
  std::vector<int64_t> last;    // those that end texts
  // What each of them sees, for key_attention_add.
  std::vector<int64_t> text_offsets{0}, text_rows;
  std::vector<int64_t> image_offsets{0}, image_rows;

  int64_t rows() const { return static_cast<int64_t>(ids.size()); }
};

ReportSession::ReportSession(const ReportDecoder& decoder, ConstRows tokens, size_t images,
                             int64_t most_tokens)
    : decoder_(decoder),
      backend_(decoder.backend_),
      image_tokens_(tokens.rows / static_cast<int64_t>(images)),
      most_tokens_(most_tokens),
      x_(backend_),
      qkv_(backend_),
      query_(backend_),
      last_(backend_),
      logits_(backend_) {
  const int64_t width = decoder.config_.width;
  const Rows projected = x_.take(tokens.rows, width);
  backend_.norm_linear(tokens, decoder.token_norm_, decoder.image_projection_, projected);
  for (const ReportDecoder::Block& block : decoder.blocks_) {
    images_.emplace_back(backend_);
    image_rows_.push_back(images_.back().take(tokens.rows, 2 * width));
    backend_.norm_linear(projected, decoder.image_norm_, block.key_value, image_rows_.back());
    texts_.emplace_back(backend_);
    text_rows_.push_back(texts_.back().take(most_tokens, 3 * width));
  }
}

ReportSession::Step ReportSession::place(std::span<const Growth> growths) {
  Step step{.session = this, .first = used_};
  for (const Growth& growth : growths) {
    std::vector<int64_t>& rows = growth.text->rows;
    if (static_cast<int64_t>(rows.size() + growth.ids.size()) > decoder_.config_.context_length)
      throw Error(ErrorCode::invalid_argument, "a text of " +
                                                   std::to_string(rows.size() + growth.ids.size()) +
                                                   " tokens; the decoder's context holds " +
                                                   std::to_string(decoder_.config_.context_length));
    const int64_t first_of_image = static_cast<int64_t>(growth.text->image) * image_tokens_;
    for (const int32_t id : growth.ids) {
      step.own.push_back(step.rows());
      step.ids.push_back(id);
      step.places.push_back(static_cast<int32_t>(rows.size()));
      rows.push_back(used_++);
      step.text_rows.insert(step.text_rows.end(), rows.begin(), rows.end());
      step.text_offsets.push_back(static_cast<int64_t>(step.text_rows.size()));
      for (int64_t n = 0; n < image_tokens_; ++n) step.image_rows.push_back(first_of_image + n);
      step.image_offsets.push_back(static_cast<int64_t>(step.image_rows.size()));
    }
    step.last.push_back(step.rows() - 1);
  }
  if (used_ > most_tokens_)
    throw Error(ErrorCode::internal, "a session for " + std::to_string(most_tokens_) + " tokens got more");
  return step;
}

void ReportSession::compute(const ReportDecoder::Block& block, size_t layer, std::span<const Step> steps,
                            Rows x) {
  const int64_t heads = decoder_.config_.heads;
  // x += out_proj(attention(in_proj(ln_1(x))))
  const Rows qkv = qkv_.take(x.rows, 3 * x.cols);
  backend_.norm_linear(x, block.text.norm, block.text.qkv, qkv);
  for (const Step& step : steps) {
    const Rows texts = step.session->text_rows_[layer], rows = qkv.slice(step.row, step.rows());
    backend_.gather_rows(rows, step.own, texts.slice(step.first, step.rows()));
    backend_.key_attention_add(rows, texts, {step.text_offsets, step.text_rows, heads}, block.text.proj,
                               x.slice(step.row, step.rows()));
  }
  // x += out_proj(attention(q_proj(ln_cross(x)), the image's keys and values))
  const Rows query = query_.take(x.rows, x.cols);
  backend_.norm_linear(x, block.norm, block.query, query);
  for (const Step& step : steps)
    backend_.key_attention_add(query.slice(step.row, step.rows()), step.session->image_rows_[layer],
                               {step.image_offsets, step.image_rows, heads}, block.proj,
                               x.slice(step.row, step.rows()));
  // x += c_proj(quick_gelu(c_fc(ln_2(x))))
  backend_.feed_forward_add(block.text.feed_forward, x);
}

ConstRows ReportSession::extend(std::span<const Growth> growths, Logits logits) {
  const Part part{this, growths};
  return extend({&part, 1}, logits);
}

ConstRows ReportSession::extend(std::span<const Part> parts, Logits logits) {
  std::vector<Step> steps;
  std::vector<int32_t> ids, places;
  std::vector<int64_t> last;
  for (const Part& part : parts) {
    Step step = part.session->place(part.growths);
    step.row = static_cast<int64_t>(ids.size());
    ids.insert(ids.end(), step.ids.begin(), step.ids.end());
    places.insert(places.end(), step.places.begin(), step.places.end());
    for (const int64_t row : step.last) last.push_back(step.row + row);
    steps.push_back(std::move(step));
  }

  ReportSession& first = *parts.front().session;  // whose buffers are used
  const ReportDecoder& decoder = first.decoder_;
  const Rows x = first.x_.take(static_cast<int64_t>(ids.size()), decoder.config_.width);
  first.backend_.embed_tokens(ids, places, decoder.embedding_, x);
  for (size_t layer = 0; layer < decoder.blocks_.size(); ++layer)
    first.compute(decoder.blocks_[layer], layer, steps, x);

  ConstRows ends = x;
  if (logits == Logits::last) {
    const Rows rows = first.last_.take(static_cast<int64_t>(last.size()), x.cols);
    first.backend_.gather_rows(x, last, rows);
    ends = rows;
  }
  const Rows y = first.logits_.take(ends.rows, decoder.config_.vocabulary);
  first.backend_.norm_linear(ends, decoder.norm_, decoder.vocabulary_, y);
  return y;
}

uint64_t ReportSession::bytes(const ReportDecoderConfig& config, int64_t image_rows, int64_t most_tokens) {
  const int64_t values = config.layers * config.width * (2 * image_rows + 3 * most_tokens);
  return static_cast<uint64_t>(values) * sizeof(float);
}

}  // namespace mii
