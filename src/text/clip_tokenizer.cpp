#include "text/clip_tokenizer.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "core/file.h"
#include "mii/error.h"
#include "text/byte_pairs.h"
#include "text/repair.h"
#include "text/words.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxSettingsBytes = 1 << 20;
constexpr size_t kMaxTextBytes = 1 << 20;

struct SpecialTokens {
  std::string start = "<|startoftext|>";
  std::string end = "<|endoftext|>";
  std::string unknown = "<|endoftext|>";
  std::string padding = "<|endoftext|>";
};

// A special token is written as a string or as an object with its content.
void read_token(const boost::json::object& settings, const char* key, std::string& token,
                const std::string& file) {
  const boost::json::value* value = settings.if_contains(key);
  if (value != nullptr && value->is_object()) value = value->get_object().if_contains("content");
  if (value == nullptr || value->is_null()) return;
  if (!value->is_string() || value->get_string().empty())
    throw Error(ErrorCode::invalid_model, file + ": " + key + " is no text");
  token = std::string(value->get_string());
}

void read_special_tokens(const fs::path& file, SpecialTokens& tokens) {
  if (!fs::is_regular_file(file)) return;
  boost::system::error_code error;
  const boost::json::value parsed = boost::json::parse(read_text_file(file, kMaxSettingsBytes), error);
  if (error || !parsed.is_object())
    throw Error(ErrorCode::invalid_model,
                file.string() + ": not a JSON object" + (error ? ": " + error.message() : ""));
  const boost::json::object& settings = parsed.get_object();
  read_token(settings, "bos_token", tokens.start, file.string());
  read_token(settings, "eos_token", tokens.end, file.string());
  read_token(settings, "unk_token", tokens.unknown, file.string());
  read_token(settings, "pad_token", tokens.padding, file.string());
}

}  // namespace

struct ClipTokenizer::Impl {
  BytePairs pairs;
  int32_t start = 0;
  int32_t end = 0;
  int32_t unknown = 0;
  /// Texts that are one token wherever they stand, in exactly this spelling.
  std::map<std::string, int32_t, std::less<>> special;

  mutable std::once_flag pieces_made;
  mutable std::vector<TokenPiece> pieces;

  void encode_piece(std::string_view piece, size_t enough, std::vector<int32_t>& ids) const;
  void encode_word(std::string_view word, std::vector<int32_t>& ids) const;
};

// Stops once ids has grown to `enough` or a little more: the rest of the text no longer matters.
void ClipTokenizer::Impl::encode_piece(std::string_view piece, size_t enough,
                                       std::vector<int32_t>& ids) const {
  const std::string repaired = repair_text(piece);
  std::string_view rest = repaired;
  while (ids.size() < enough) {
    const std::string_view word = next_word(rest);
    if (word.empty()) return;
    encode_word(word, ids);
  }
}

// CLIP's own two special tokens also count when they were spelt with capitals.
void ClipTokenizer::Impl::encode_word(std::string_view word, std::vector<int32_t>& ids) const {
  if (word == "<|startoftext|>" || word == "<|endoftext|>")
    ids.push_back(pairs.id_of(std::string(word)).value_or(unknown));
  else
    pairs.encode(word, unknown, ids);
}

ClipTokenizer::ClipTokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
ClipTokenizer::ClipTokenizer(ClipTokenizer&&) noexcept = default;
ClipTokenizer& ClipTokenizer::operator=(ClipTokenizer&&) noexcept = default;
ClipTokenizer::~ClipTokenizer() = default;

ClipTokenizer ClipTokenizer::load(const fs::path& folder) {
  try {
    auto impl = std::make_unique<Impl>();
    impl->pairs = BytePairs::load(folder / "vocab.json", folder / "merges.txt");
    SpecialTokens tokens;
    read_special_tokens(folder / "tokenizer_config.json", tokens);
    read_special_tokens(folder / "special_tokens_map.json", tokens);
    for (const std::string& token : {tokens.start, tokens.end, tokens.unknown, tokens.padding}) {
      const auto id = impl->pairs.id_of(token);
      if (!id)
        throw Error(ErrorCode::invalid_model,
                    (folder / "vocab.json").string() + ": the special token '" + token + "' is not there");
      impl->special.emplace(token, *id);
    }
    impl->start = impl->special.at(tokens.start);
    impl->end = impl->special.at(tokens.end);
    impl->unknown = impl->special.at(tokens.unknown);
    return ClipTokenizer(std::move(impl));
  } catch (const Error& e) {
    if (e.code() == ErrorCode::io) throw Error(ErrorCode::invalid_model, e.what());
    throw;
  }
}

std::vector<int32_t> ClipTokenizer::encode_words(std::string_view utf8) const {
  std::vector<int32_t> ids = encode(utf8, std::numeric_limits<size_t>::max());
  std::erase_if(ids, [&](int32_t id) { return id == impl_->start || id == impl_->end; });
  return ids;
}

std::vector<int32_t> ClipTokenizer::encode(std::string_view utf8, size_t context_length) const {
  if (context_length < 2)
    throw Error(ErrorCode::invalid_argument, "a context holds at least the start and the end token");
  if (utf8.size() > kMaxTextBytes)
    throw Error(ErrorCode::invalid_text, "text of " + std::to_string(utf8.size()) + " bytes, at most " +
                                             std::to_string(kMaxTextBytes) + " are taken");
  expect_utf8(utf8);
  std::vector<int32_t> ids{impl_->start};
  const size_t enough = context_length - 1;
  size_t begin = 0;
  for (size_t i = 0; i < utf8.size() && ids.size() < enough;) {
    const auto token = std::find_if(impl_->special.rbegin(), impl_->special.rend(), [&](const auto& entry) {
      return utf8.substr(i).starts_with(entry.first);
    });
    if (token == impl_->special.rend()) {
      ++i;
      continue;
    }
    impl_->encode_piece(utf8.substr(begin, i - begin), enough, ids);
    ids.push_back(token->second);
    i += token->first.size();
    begin = i;
  }
  if (ids.size() < enough) impl_->encode_piece(utf8.substr(begin), enough, ids);
  ids.resize(std::min(ids.size(), enough));
  ids.push_back(impl_->end);
  return ids;
}

TokenPiece ClipTokenizer::piece(int32_t id) const {
  std::call_once(impl_->pieces_made, [&] {
    impl_->pieces = impl_->pairs.pieces();
    for (const auto& [token, special] : impl_->special) impl_->pieces[static_cast<size_t>(special)] = {};
  });
  const auto i = static_cast<size_t>(id);
  return id >= 0 && i < impl_->pieces.size() ? impl_->pieces[i] : TokenPiece{};
}

int32_t ClipTokenizer::start_id() const { return impl_->start; }
int32_t ClipTokenizer::end_id() const { return impl_->end; }
int64_t ClipTokenizer::vocabulary_size() const { return impl_->pairs.vocabulary_size(); }

}  // namespace mii
