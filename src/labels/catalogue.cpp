#include "labels/catalogue.h"

#include <algorithm>

#include "dataset/table.h"
#include "labels/fold.h"
#include "labels/tables.h"
#include "mii/error.h"

namespace mii::labels {
namespace {

constexpr std::array<std::string_view, kKinds> kKindNames{"modality", "body part", "view", "finding"};
constexpr std::string_view kEnglishWord = "english word";
constexpr std::string_view kLinkingWord = "linking word";

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

// "a; b; c"
std::vector<std::string> split_names(std::string_view cell) {
  std::vector<std::string> names;
  while (!cell.empty()) {
    const size_t end = std::min(cell.find(';'), cell.size());
    if (const std::string_view name = trimmed(cell.substr(0, end)); !name.empty()) names.emplace_back(name);
    cell.remove_prefix(std::min(end + 1, cell.size()));
  }
  return names;
}

Kind kind_of(std::string_view name) {
  const auto found = std::ranges::find(kKindNames, name);
  if (found == kKindNames.end())
    throw Error(ErrorCode::invalid_argument,
                "names.tsv: kind '" + std::string(name) + "' is none of modality, body part, view, finding");
  return static_cast<Kind>(found - kKindNames.begin());
}

// The columns behind "kind" and "prompt".
std::vector<std::string> languages_of(const Table& names) {
  const auto& columns = names.columns();
  if (columns.size() < 3 || columns.size() > 32 || columns[0] != "kind" || columns[1] != "prompt" ||
      columns[2] != "en")
    throw Error(ErrorCode::invalid_argument, "names.tsv: the columns must be kind, prompt, en and languages");
  return {columns.begin() + 2, columns.end()};
}

}  // namespace

std::string_view to_string(Kind kind) { return kKindNames[static_cast<size_t>(kind)]; }

Catalogue Catalogue::built_in() { return parse(kNames, kEntries); }

Catalogue Catalogue::parse(std::string_view names, std::string_view entries) {
  Catalogue catalogue;
  catalogue.read_names(Table::parse(names, "names.tsv"));
  catalogue.read_entries(Table::parse(entries, "catalogue.tsv"));
  return catalogue;
}

void Catalogue::read_names(const Table& table) {
  languages_ = languages_of(table);
  for (size_t row = 0; row < table.rows(); ++row) {
    const std::string& kind = table.at(row, "kind");
    std::vector<std::vector<std::string>> names;
    for (const std::string& language : languages_) names.push_back(split_names(table.at(row, language)));
    if (kind == kEnglishWord)
      for (const std::string& word : names.front()) english_words_.insert(folded(word));
    else if (kind == kLinkingWord)
      add_linking_words(names);
    else
      add_concept({kind_of(kind), table.at(row, "prompt"), std::move(names), {}});
  }
}

void Catalogue::read_entries(const Table& table) {
  for (size_t row = 0; row < table.rows(); ++row) {
    Entry entry;
    for (size_t kind = 0; kind < kKinds; ++kind) {
      const std::string& prompt = table.at(row, kKindNames[kind]);
      if (prompt.empty()) continue;
      const auto found = by_prompt_[kind].find(prompt);
      if (found == by_prompt_[kind].end())
        throw Error(ErrorCode::invalid_argument,
                    "catalogue.tsv: names.tsv has no " + std::string(kKindNames[kind]) + " '" + prompt + "'");
      entry[kind] = found->second;
    }
    entries_.push_back(entry);
  }
}

void Catalogue::add_linking_words(const std::vector<std::vector<std::string>>& words) {
  for (size_t language = 1; language < words.size(); ++language)
    for (const std::string& word : words[language]) linking_words_[bare(word)] |= 1u << language;
}

void Catalogue::add_concept(Concept added) {
  added.names.front().insert(added.names.front().begin(), added.prompt);
  const auto index = static_cast<uint32_t>(concepts_.size());
  if (!by_prompt_[static_cast<size_t>(added.kind)].emplace(added.prompt, index).second)
    throw Error(ErrorCode::invalid_argument, "names.tsv: the " + std::string(to_string(added.kind)) + " '" +
                                                 added.prompt + "' comes twice");
  concepts_.push_back(std::move(added));
  Concept& concept_added = concepts_.back();
  for (size_t language = 0; language < languages_.size(); ++language)
    for (const std::string& name : concept_added.names[language]) {
      add_meaning(name, language, index);
      concept_added.searched += bare(name) + '\n';
    }
}

void Catalogue::add_meaning(const std::string& name, size_t language, uint32_t concept_index) {
  if (language == 0) {
    english_.try_emplace(folded(name), Meaning{concept_index, 1});
    return;
  }
  std::vector<Meaning>& meanings = foreign_[bare(name)];
  const auto known = std::ranges::find(meanings, concept_index, &Meaning::concept_index);
  if (known == meanings.end())
    meanings.push_back({concept_index, 1u << language});
  else
    known->languages |= 1u << language;
}

size_t Catalogue::language(std::string_view code) const {
  const auto found = std::ranges::find(languages_, code);
  if (found != languages_.end()) return static_cast<size_t>(found - languages_.begin());
  std::string known;
  for (const std::string& language : languages_) known += (known.empty() ? "" : ", ") + language;
  throw Error(ErrorCode::invalid_argument,
              "the label catalogue has no language '" + std::string(code) + "'; it has " + known);
}

uint32_t Catalogue::find(Kind kind, std::string_view name) const {
  std::vector<uint32_t> found;
  const auto take = [&](const Meaning& meaning) {
    const bool fits = concepts_[meaning.concept_index].kind == kind;
    if (fits && std::ranges::find(found, meaning.concept_index) == found.end())
      found.push_back(meaning.concept_index);
  };
  if (const Meaning* meaning = english(folded(name))) take(*meaning);
  if (found.empty())
    if (const auto* meanings = foreign(bare(name))) std::ranges::for_each(*meanings, take);
  if (found.size() == 1) return found.front();
  std::string known;
  for (const Concept& c : concepts_)
    if (c.kind == kind) known += (known.empty() ? "" : ", ") + c.prompt;
  throw Error(ErrorCode::invalid_argument, "the label catalogue has no " + std::string(to_string(kind)) +
                                               " '" + std::string(name) + "'; it has " + known);
}

const std::vector<std::string>& Catalogue::names(uint32_t concept_index, size_t language) const {
  const auto& all = concepts_[concept_index].names;
  return all[language].empty() ? all.front() : all[language];
}

std::string Catalogue::prompt(const Entry& entry) const { return label(entry, 0); }

std::string Catalogue::label(const Entry& entry, size_t language) const {
  std::string text;
  for (const auto& part : entry)
    if (part) text += (text.empty() ? "" : " ") + names(*part, language).front();
  return text;
}

const Meaning* Catalogue::english(const std::string& folded) const {
  const auto found = english_.find(folded);
  return found == english_.end() ? nullptr : &found->second;
}

const std::vector<Meaning>* Catalogue::foreign(const std::string& bare) const {
  const auto found = foreign_.find(bare);
  return found == foreign_.end() ? nullptr : &found->second;
}

uint32_t Catalogue::linking(const std::string& bare) const {
  const auto found = linking_words_.find(bare);
  return found == linking_words_.end() ? 0 : found->second;
}

}  // namespace mii::labels
