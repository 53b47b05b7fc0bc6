#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "dataset/table.h"

namespace mii::labels {

/// What a name names. A prompt has its parts in this order.
enum class Kind : uint8_t { modality, body_part, view, finding };
constexpr size_t kKinds = 4;

/// "body part" of Kind::body_part.
std::string_view to_string(Kind kind);

/// A modality, body part, view or finding, whatever its name.
struct Concept {
  Kind kind = Kind::modality;
  std::string prompt;  ///< the English word or words that stand for it in prompts
  /// Of each language of Catalogue::languages(), the preferred name first; none where it has not been
  /// translated. The English ones begin with the prompt.
  std::vector<std::vector<std::string>> names;
  std::string searched;  ///< all names as bare() gives them, a line each
};

/// A combination that exists in practice: of each kind, the index of a concept, or none.
using Entry = std::array<std::optional<uint32_t>, kKinds>;

/// What a text may mean. languages: a bit for each language in which it does.
struct Meaning {
  uint32_t concept_index = 0;
  uint32_t languages = 0;
};

/// Modalities, body parts, views and findings, how they are called in eleven languages, and which of them go
/// together. See docs/labels.md. Safe to use from several threads.
class Catalogue {
 public:
  /// The one of this program: labels/names.tsv and labels/catalogue.tsv.
  static Catalogue built_in();

  /// Throws Error{invalid_argument} for a damaged table, a kind that is none, a concept that comes twice or
  /// that an entry names and the names do not have.
  static Catalogue parse(std::string_view names, std::string_view entries);

  /// "en", "zh", ...: English first.
  const std::vector<std::string>& languages() const { return languages_; }
  /// Throws Error{invalid_argument}, and says which there are.
  size_t language(std::string_view code) const;

  const std::vector<Concept>& concepts() const { return concepts_; }
  const std::vector<Entry>& entries() const { return entries_; }

  /// The concept of a kind that has this name in any language. Throws Error{invalid_argument} for none, or
  /// where the name means several.
  uint32_t find(Kind kind, std::string_view name) const;

  /// Names in a language, the English ones where there are none in it.
  const std::vector<std::string>& names(uint32_t concept_index, size_t language) const;

  /// "x-ray chest anteroposterior pneumonia"
  std::string prompt(const Entry& entry) const;
  /// The same in another language: the first name of each part.
  std::string label(const Entry& entry, size_t language) const;

  /// By folded() text: English names.
  const Meaning* english(const std::string& folded) const;
  /// By bare() text: names in other languages.
  const std::vector<Meaning>* foreign(const std::string& bare) const;
  /// By folded() text: English words that are names in another language ("main": a hand in French).
  bool is_english_word(const std::string& folded) const { return english_words_.contains(folded); }
  /// By bare() text: the languages in which it may stand between two names ("radiographie du thorax").
  uint32_t linking(const std::string& bare) const;

 private:
  void read_names(const Table& table);
  void read_entries(const Table& table);
  void add_linking_words(const std::vector<std::vector<std::string>>& words);
  void add_concept(Concept added);
  void add_meaning(const std::string& name, size_t language, uint32_t concept_index);

  std::vector<std::string> languages_;
  std::vector<Concept> concepts_;
  std::vector<Entry> entries_;
  std::array<std::unordered_map<std::string, uint32_t>, kKinds> by_prompt_;
  std::unordered_map<std::string, Meaning> english_;
  std::unordered_map<std::string, std::vector<Meaning>> foreign_;
  std::unordered_set<std::string> english_words_;
  std::unordered_map<std::string, uint32_t> linking_words_;
};

}  // namespace mii::labels
