#include "text/trim_vocabulary.h"

#include <map>
#include <set>
#include <sstream>

#include <boost/json.hpp>

#include "core/file.h"
#include "core/json_writer.h"
#include "mii/error.h"
#include "text/clip_tokenizer.h"

namespace mii {
namespace {

constexpr uint64_t kMaxFileBytes = 64 << 20;
constexpr size_t kByteSymbols =
    512;  // each byte, inside a word and at its end; the first ids of the vocabulary

struct Merge {
  std::string left;
  std::string right;
  std::string line;
};

}  // namespace

int64_t trim_vocabulary(const std::filesystem::path& tokenizer, const std::vector<std::string>& texts,
                        const std::filesystem::path& out) {
  const ClipTokenizer full = ClipTokenizer::load(tokenizer);
  std::vector<std::string> tokens(static_cast<size_t>(full.vocabulary_size()));
  const auto parsed = boost::json::parse(read_text_file(tokenizer / "vocab.json", kMaxFileBytes));
  for (const auto& [token, id] : parsed.as_object())
    tokens[static_cast<size_t>(id.as_int64())] = std::string(token);

  std::istringstream file(read_text_file(tokenizer / "merges.txt", kMaxFileBytes));
  std::string version, line;
  std::getline(file, version);
  std::vector<Merge> merges;
  std::map<std::string, size_t> made_by;
  while (std::getline(file, line)) {
    if (line.ends_with('\r')) line.pop_back();
    const size_t space = line.find(' ');
    if (space == std::string::npos) continue;
    merges.push_back({line.substr(0, space), line.substr(space + 1), line});
    made_by.emplace(merges.back().left + merges.back().right, merges.size() - 1);
  }

  // A merge makes a token from two symbols, and so on down to bytes: these are all the merges that encoding
  // the text applied, in the same order.
  std::set<size_t> kept;
  std::vector<std::string> open;
  for (const std::string& text : texts)
    for (const int32_t id : full.encode(text, SIZE_MAX)) open.push_back(tokens[static_cast<size_t>(id)]);
  while (!open.empty()) {
    const auto merge = made_by.find(open.back());
    open.pop_back();
    if (merge == made_by.end() || !kept.insert(merge->second).second) continue;
    open.push_back(merges[merge->second].left);
    open.push_back(merges[merge->second].right);
  }

  std::vector<std::string> vocabulary(tokens.begin(), tokens.begin() + std::min(kByteSymbols, tokens.size()));
  std::string merges_text = version + "\n";
  for (const size_t m : kept) {
    vocabulary.push_back(merges[m].left + merges[m].right);
    merges_text += merges[m].line + "\n";
  }
  vocabulary.push_back(tokens[static_cast<size_t>(full.start_id())]);
  vocabulary.push_back(tokens[static_cast<size_t>(full.end_id())]);

  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object();
  for (size_t id = 0; id < vocabulary.size(); ++id) json.member(vocabulary[id], id);
  json.end_object();
  std::filesystem::create_directories(out);
  for (const auto& [name, content] :
       std::map<std::string, std::string>{{"vocab.json", json.finish()}, {"merges.txt", merges_text}}) {
    AtomicFile to(out / name);
    to.write(content);
    to.commit();
  }
  for (const char* name : {"special_tokens_map.json", "tokenizer_config.json"})
    if (std::filesystem::exists(tokenizer / name))
      std::filesystem::copy_file(tokenizer / name, out / name,
                                 std::filesystem::copy_options::overwrite_existing);
  return static_cast<int64_t>(vocabulary.size());
}

}  // namespace mii
