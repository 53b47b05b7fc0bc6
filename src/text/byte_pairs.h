#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mii {

/// What a token stands for.
struct TokenPiece {
  std::string bytes;       ///< empty for an id that there is not
  bool ends_word = false;  ///< the next token begins another word
};

/// Byte-pair encoding of one word, with the vocabulary and the merges of vocab.json and merges.txt.
/// Symbols are bytes, spelt in the files as printable characters; the last symbol of a word ends in "</w>".
class BytePairs {
 public:
  /// Throws Error{invalid_model} when a file is missing or damaged, or the two do not fit each other.
  static BytePairs load(const std::filesystem::path& vocab_json, const std::filesystem::path& merges_txt);

  /// The id of a whole token as vocab.json spells it.
  std::optional<int32_t> id_of(const std::string& token) const;

  /// One more than the largest id.
  int64_t vocabulary_size() const { return vocabulary_size_; }

  /// By id. A token that is spelt otherwise than the tokens of words stands for nothing.
  std::vector<TokenPiece> pieces() const;

  /// Appends the ids of one word (its bytes); symbols that the vocabulary lacks become unknown_id.
  void encode(std::string_view word, int32_t unknown_id, std::vector<int32_t>& ids) const;

 private:
  struct Merge {
    int32_t rank;
    int32_t id;
  };

  void read_vocabulary(const std::filesystem::path& path);
  void read_merges(const std::filesystem::path& path);
  void add_merge(const std::string& left, const std::string& right, int32_t rank, const std::string& where);
  void find_byte_symbols();
  const Merge* find_merge(int32_t left, int32_t right) const;
  std::vector<int32_t> merged(std::vector<int32_t> symbols) const;

  std::unordered_map<std::string, int32_t> vocabulary_;
  std::unordered_map<uint64_t, Merge> merges_;  // by the ids of the two parts
  std::array<int32_t, 256> inner_{};            // id of a byte inside a word, or kUnknown
  std::array<int32_t, 256> last_{};             // id of a byte at the end of a word
  int64_t vocabulary_size_ = 0;
};

}  // namespace mii
