#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "text/byte_pairs.h"

namespace mii {

/// CLIP's byte-level BPE, as Hugging Face's CLIPTokenizer computes it. Safe to use from several threads.
class ClipTokenizer {
 public:
  /// Reads vocab.json and merges.txt (and special_tokens_map.json / tokenizer_config.json when there) of any
  /// size. Throws Error{invalid_model} when a file is missing or damaged, or the two do not fit each other.
  static ClipTokenizer load(const std::filesystem::path& folder);

  ClipTokenizer(ClipTokenizer&&) noexcept;
  ClipTokenizer& operator=(ClipTokenizer&&) noexcept;
  ~ClipTokenizer();

  /// Start token, tokens, end token; at most context_length ids, the end token kept. No padding.
  /// Throws Error{invalid_text} for invalid UTF-8 (with the byte offset) or a text of more than 1 MiB.
  std::vector<int32_t> encode(std::string_view utf8, size_t context_length) const;

  /// All tokens between start and end, and neither of the two wherever the text spells them out. Throws as
  /// encode does.
  std::vector<int32_t> encode_words(std::string_view utf8) const;

  /// What a token stands for; nothing for special tokens and for an id that there is not. The first call
  /// reads the vocabulary through.
  TokenPiece piece(int32_t id) const;

  int32_t start_id() const;
  int32_t end_id() const;
  /// One more than the largest id: the rows that the token embedding must have.
  int64_t vocabulary_size() const;

 private:
  struct Impl;
  explicit ClipTokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace mii
