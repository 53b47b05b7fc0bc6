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

// Tokens to compute: rows of x.
struct ReportSession::Step {
  int64_t first = 0;  // where they lie in the memory
  std::vector<int32_t> ids;
  std::vector<int32_t> places;  // in their texts
  std::vector<int64_t> last;    // rows of x that end texts
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
  Step step{.first = used_};
  for (const Growth& growth : growths) {
    std::vector<int64_t>& rows = growth.text->rows;
    if (static_cast<int64_t>(rows.size() + growth.ids.size()) > decoder_.config_.context_length)
      throw Error(ErrorCode::invalid_argument, "a text of " +
                                                   std::to_string(rows.size() + growth.ids.size()) +
                                                   " tokens; the decoder's context holds " +
                                                   std::to_string(decoder_.config_.context_length));
    const int64_t first_of_image = static_cast<int64_t>(growth.text->image) * image_tokens_;
    for (const int32_t id : growth.ids) {
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

void ReportSession::compute(const ReportDecoder::Block& block, size_t layer, const Step& step, Rows x) {
  const int64_t heads = decoder_.config_.heads;
  // x += out_proj(attention(in_proj(ln_1(x))))
  const Rows qkv = text_rows_[layer].slice(step.first, x.rows);
  backend_.norm_linear(x, block.text.norm, block.text.qkv, qkv);
  backend_.key_attention_add(qkv, text_rows_[layer], {step.text_offsets, step.text_rows, heads},
                             block.text.proj, x);
  // x += out_proj(attention(q_proj(ln_cross(x)), the image's keys and values))
  const Rows query = query_.take(x.rows, x.cols);
  backend_.norm_linear(x, block.norm, block.query, query);
  backend_.key_attention_add(query, image_rows_[layer], {step.image_offsets, step.image_rows, heads},
                             block.proj, x);
  // x += c_proj(quick_gelu(c_fc(ln_2(x))))
  backend_.feed_forward_add(block.text.feed_forward, x);
}

ConstRows ReportSession::extend(std::span<const Growth> growths, Logits logits) {
  const Step step = place(growths);
  const Rows x = x_.take(step.rows(), decoder_.config_.width);
  backend_.embed_tokens(step.ids, step.places, decoder_.embedding_, x);
  for (size_t layer = 0; layer < decoder_.blocks_.size(); ++layer)
    compute(decoder_.blocks_[layer], layer, step, x);

  ConstRows ends = x;
  if (logits == Logits::last) {
    const Rows last = last_.take(static_cast<int64_t>(step.last.size()), x.cols);
    backend_.gather_rows(x, step.last, last);
    ends = last;
  }
  const Rows y = logits_.take(ends.rows, decoder_.config_.vocabulary);
  backend_.norm_linear(ends, decoder_.norm_, decoder_.vocabulary_, y);
  return y;
}

}  // namespace mii
