#include "labels/listing.h"

#include <algorithm>

#include "labels/fold.h"
#include "mii/error.h"

namespace mii::labels {
namespace {

constexpr size_t kMaxWords = 16;

std::vector<std::string> words_of(const std::string& search) {
  std::vector<std::string> words(1);
  for (const Letter& letter : fold(search)) {
    if (letter.text == " ")
      words.emplace_back();
    else
      words.back() += letter.bare;
  }
  std::erase(words, "");
  if (words.size() > kMaxWords)
    throw Error(ErrorCode::invalid_argument, "a search has " + std::to_string(words.size()) +
                                                 " words, at most " + std::to_string(kMaxWords));
  return words;
}

// Of each word and concept: whether one of the concept's names has it.
std::vector<std::vector<bool>> occurrences(const Catalogue& catalogue,
                                           const std::vector<std::string>& words) {
  std::vector<std::vector<bool>> found;
  for (const std::string& word : words) {
    std::vector<bool>& row = found.emplace_back();
    for (const Concept& c : catalogue.concepts()) row.push_back(c.searched.find(word) != std::string::npos);
  }
  return found;
}

}  // namespace

Listing list(const Catalogue& catalogue, const Query& query) {
  Listing listing{.entries = {}, .language = catalogue.language(query.language)};
  std::optional<uint32_t> modality;
  if (!query.modality.empty()) modality = catalogue.find(Kind::modality, query.modality);
  const auto found = occurrences(catalogue, words_of(query.search));
  for (const Entry& entry : catalogue.entries()) {
    if (modality && entry[static_cast<size_t>(Kind::modality)] != modality) continue;
    const bool has_all = std::ranges::all_of(found, [&](const std::vector<bool>& word) {
      return std::ranges::any_of(entry, [&](const auto& part) { return part && word[*part]; });
    });
    if (has_all) listing.entries.push_back(&entry);
  }
  return listing;
}

void write_entry(JsonWriter& json, const Catalogue& catalogue, const Entry& entry, size_t language) {
  json.begin_object();
  json.member("label", catalogue.label(entry, language)).member("prompt", catalogue.prompt(entry));
  for (size_t kind = 0; kind < kKinds; ++kind) {
    std::string name(to_string(static_cast<Kind>(kind)));
    std::ranges::replace(name, ' ', '_');
    json.key(name);
    if (entry[kind])
      json.value(catalogue.names(*entry[kind], language));
    else
      json.value(nullptr);
  }
  json.end_object();
}

}  // namespace mii::labels
