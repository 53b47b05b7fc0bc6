#include "text/byte_pairs.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <queue>
#include <tuple>

#include "core/file.h"
#include "core/utf8.h"
#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFileBytes = 64 << 20;
constexpr int32_t kMaxId = 1 << 24;
constexpr int32_t kUnknown = -1;

uint64_t pair_key(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

// Printable bytes stand for themselves; the others, in order, for U+0100 and on.
std::array<std::string, 256> byte_spellings() {
  std::array<std::string, 256> spellings;
  unsigned shifted = 0x100;
  for (unsigned b = 0; b < 256; ++b) {
    const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    append_utf8(spellings[b], printable ? b : shifted++);
  }
  return spellings;
}

// The bytes that printable characters stand for; nothing where one of them stands for none.
std::string bytes_of(std::string_view spelling, const std::map<char32_t, char>& byte_of) {
  std::string bytes;
  while (!spelling.empty()) {
    const Utf8Start start = utf8_start(spelling);
    const auto byte = byte_of.find(start.character);
    if (!start.valid || byte == byte_of.end()) return {};
    bytes += byte->second;
    spelling.remove_prefix(start.bytes);
  }
  return bytes;
}

[[noreturn]] void damaged(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::invalid_model, where + ": " + what);
}

// A word as a list of symbols. Neighbours are merged, always the pair of the lowest rank first.
class SymbolList {
 public:
  explicit SymbolList(std::vector<int32_t> symbols)
      : ids_(std::move(symbols)), next_(ids_.size()), previous_(ids_.size()) {
    for (size_t i = 0; i < ids_.size(); ++i) {
      next_[i] = i + 1;
      previous_[i] = i - 1;  // wraps for the first symbol, where it is never used
    }
  }

  bool has_next(size_t i) const { return next_[i] < ids_.size(); }
  bool has_previous(size_t i) const { return i != 0; }
  size_t next(size_t i) const { return next_[i]; }
  size_t previous(size_t i) const { return previous_[i]; }
  int32_t id(size_t i) const { return ids_[i]; }
  size_t size() const { return ids_.size(); }

  void merge_with_next(size_t i, int32_t id) {
    const size_t gone = next_[i];
    ids_[i] = id;
    ids_[gone] = kGone;
    next_[i] = next_[gone];
    if (has_next(i)) previous_[next_[i]] = i;
  }

  std::vector<int32_t> ids() const {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < ids_.size(); i = next_[i]) ids.push_back(ids_[i]);
    return ids;
  }

 private:
  static constexpr int32_t kGone = -2;

  std::vector<int32_t> ids_;
  std::vector<size_t> next_;
  std::vector<size_t> previous_;
};

}  // namespace

BytePairs BytePairs::load(const fs::path& vocab_json, const fs::path& merges_txt) {
  BytePairs pairs;
  pairs.read_vocabulary(vocab_json);
  pairs.read_merges(merges_txt);
  pairs.find_byte_symbols();
  return pairs;
}

void BytePairs::read_vocabulary(const fs::path& path) {
  boost::system::error_code error;
  const boost::json::value parsed = boost::json::parse(read_text_file(path, kMaxFileBytes), error);
  if (error) damaged(path.string(), "not valid JSON: " + error.message());
  if (!parsed.is_object()) damaged(path.string(), "expected an object of token to id");
  for (const auto& [token, id] : parsed.get_object()) {
    if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() > kMaxId)
      damaged(path.string(), "the id of a token is not a whole number of 0 to " + std::to_string(kMaxId));
    vocabulary_.emplace(std::string(token), static_cast<int32_t>(id.get_int64()));
    vocabulary_size_ = std::max(vocabulary_size_, id.get_int64() + 1);
  }
}

void BytePairs::read_merges(const fs::path& path) {
  const std::string text = read_text_file(path, kMaxFileBytes);
  int32_t line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    begin = end + 1;
    ++line_number;
    if (line_number == 1 || line.empty()) continue;  // the first line is a version
    const std::string where = path.string() + ":" + std::to_string(line_number);
    const size_t space = line.find(' ');
    if (space == 0 || space == std::string_view::npos || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string_view::npos)
      damaged(where, "expected two symbols with a space between them");
    add_merge(std::string(line.substr(0, space)), std::string(line.substr(space + 1)), line_number, where);
  }
}

void BytePairs::add_merge(const std::string& left, const std::string& right, int32_t rank,
                          const std::string& where) {
  const auto l = id_of(left), r = id_of(right), both = id_of(left + right);
  if (!l || !r || !both) damaged(where, "a symbol of this merge, or its result, is not in the vocabulary");
  merges_.emplace(pair_key(*l, *r), Merge{rank, *both});
}

void BytePairs::find_byte_symbols() {
  const auto spellings = byte_spellings();
  for (size_t b = 0; b < spellings.size(); ++b) {
    inner_[b] = id_of(spellings[b]).value_or(kUnknown);
    last_[b] = id_of(spellings[b] + "</w>").value_or(kUnknown);
  }
}

std::optional<int32_t> BytePairs::id_of(const std::string& token) const {
  const auto found = vocabulary_.find(token);
  return found == vocabulary_.end() ? std::nullopt : std::optional(found->second);
}

const BytePairs::Merge* BytePairs::find_merge(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

std::vector<int32_t> BytePairs::merged(std::vector<int32_t> symbols) const {
  SymbolList list(std::move(symbols));
  // A possible merge; out of date once the symbols at its place have changed.
  struct Candidate {
    int32_t rank;
    size_t left;
    int32_t left_id;
    int32_t right_id;
    bool operator>(const Candidate& other) const {
      return std::tie(rank, left) > std::tie(other.rank, other.left);
    }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](size_t left) {
    const int32_t l = list.id(left), r = list.id(list.next(left));
    if (const Merge* merge = find_merge(l, r)) queue.push({merge->rank, left, l, r});
  };
  for (size_t i = 0; i + 1 < list.size(); ++i) consider(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const size_t i = best.left;
    if (list.id(i) != best.left_id || !list.has_next(i) || list.id(list.next(i)) != best.right_id) continue;
    list.merge_with_next(i, find_merge(best.left_id, best.right_id)->id);
    if (list.has_previous(i)) consider(list.previous(i));
    if (list.has_next(i)) consider(i);
  }
  return list.ids();
}

std::vector<TokenPiece> BytePairs::pieces() const {
  constexpr std::string_view kWordEnd = "</w>";
  std::map<char32_t, char> byte_of;
  const auto spellings = byte_spellings();
  for (size_t b = 0; b < spellings.size(); ++b)
    byte_of.emplace(utf8_start(spellings[b]).character, static_cast<char>(b));
  std::vector<TokenPiece> pieces(static_cast<size_t>(vocabulary_size_));
  for (const auto& [token, id] : vocabulary_) {
    const bool ends_word = token.size() > kWordEnd.size() && token.ends_with(kWordEnd);
    const std::string_view spelling =
        std::string_view(token).substr(0, token.size() - (ends_word ? kWordEnd.size() : 0));
    pieces[static_cast<size_t>(id)] = {bytes_of(spelling, byte_of), ends_word};
  }
  return pieces;
}

void BytePairs::encode(std::string_view word, int32_t unknown_id, std::vector<int32_t>& ids) const {
  if (word.empty()) return;
  std::vector<int32_t> symbols;
  for (const char c : word.substr(0, word.size() - 1))
    symbols.push_back(inner_[static_cast<unsigned char>(c)]);
  symbols.push_back(last_[static_cast<unsigned char>(word.back())]);
  for (const int32_t id : merged(std::move(symbols))) ids.push_back(id == kUnknown ? unknown_id : id);
}

}  // namespace mii
