#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "model/transformer_block.h"
#include "model/weight_reader.h"
#include "weights/config.h"

namespace mii {

/// Writes about images: a causal text transformer whose blocks also attend to the tokens of the image tower.
/// Its token embedding is also the last layer.
///
/// A text is start, prompt, end, report, end: start and end are the tokenizer's. The report begins behind the
/// first end, whether there is a prompt or not.
class ReportDecoder {
 public:
  /// checkpoint: where the token embedding may stay; it must outlive this.
  ReportDecoder(const ReportDecoderConfig& config, const Checkpoint& checkpoint, Backend& backend);

  const ReportDecoderConfig& config() const { return config_; }
  Backend& backend() const { return backend_; }

 private:
  friend class ReportSession;

  // x += self attention; x += cross attention; x += feed forward
  struct Block {
    TransformerBlock text;
    LayerNorm norm;  // of the cross attention
    Linear query;
    Linear key_value;
    Linear proj;
  };
  Block read_block(const WeightReader& weights, int64_t layer) const;

  ReportDecoderConfig config_;
  Backend& backend_;
  TokenEmbedding embedding_;
  LayerNorm token_norm_;
  Linear image_projection_;
  LayerNorm image_norm_;
  std::vector<Block> blocks_;
  LayerNorm norm_;
  Linear vocabulary_;  // the token embedding
};

/// A text as far as it is computed: where its tokens lie in a session's memory. A copy is another text that
/// begins alike; nothing is computed again for it.
struct PartialText {
  size_t image = 0;  ///< of the session's, that it is about
  std::vector<int64_t> rows;
};

/// Texts about a few images, computed token by token: what is kept of each token is its keys and values.
class ReportSession {
 public:
  /// tokens: [images * N, image_dim] of the image tower, read here and not later. most_tokens: of all texts
  /// together, each counted once however many texts begin with it. The decoder must outlive this.
  ReportSession(const ReportDecoder& decoder, ConstRows tokens, size_t images, int64_t most_tokens);

  struct Growth {
    PartialText* text;
    std::span<const int32_t> ids;  ///< one at least
  };
  enum class Logits {
    last,  ///< behind the last token of each text: [texts, vocabulary]
    all,   ///< behind each new token: [new tokens, vocabulary]
  };
  /// Computes the next tokens of some texts, none of them twice, at once. Returns the logits of what may
  /// follow; they live until the next call. Throws Error{invalid_argument} for a text beyond the context,
  /// Error{internal} for more than most_tokens.
  ConstRows extend(std::span<const Growth> growths, Logits logits = Logits::last);

  /// The same of several sessions of one decoder, each with texts of its own: the weights are read once. The
  /// logits are those of the first session's texts, then the second's; they live until the first's next call.
  struct Part {
    ReportSession* session;
    std::span<const Growth> growths;
  };
  static ConstRows extend(std::span<const Part> parts, Logits logits = Logits::last);

  int64_t vocabulary() const { return decoder_.config_.vocabulary; }

  /// What a session keeps, in bytes, without what it computes with.
  static uint64_t bytes(const ReportDecoderConfig& config, int64_t image_rows, int64_t most_tokens);

 private:
  struct Step;
  Step place(std::span<const Growth> growths);
  void compute(const ReportDecoder::Block& block, size_t layer, std::span<const Step> steps, Rows x);

  const ReportDecoder& decoder_;
  Backend& backend_;
  int64_t image_tokens_;  // of one image
  int64_t most_tokens_;
  int64_t used_ = 0;             // rows of texts_
  std::vector<Buffer> texts_;    // q|k|v of the tokens, by layer
  std::vector<Buffer> images_;   // k|v of the images' tokens, by layer
  std::vector<Rows> text_rows_;  // what lies in the buffers
  std::vector<Rows> image_rows_;
  Buffer x_;
  Buffer qkv_;
  Buffer query_;
  Buffer last_;
  Buffer logits_;
};

}  // namespace mii
