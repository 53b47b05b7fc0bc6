#include "labels/reading.h"

#include <algorithm>
#include <optional>
#include <set>

#include "labels/fold.h"

namespace mii::labels {
namespace {

// Longer than every label that the catalogue could know; what is longer is not looked into.
constexpr size_t kMaxLetters = 256;
// Longer than every name.
constexpr size_t kMaxNameLetters = 80;

/// The ways in which a label can be read as names in one language.
class Reader {
 public:
  Reader(const Catalogue& catalogue, std::vector<Letter> letters)
      : catalogue_(catalogue), letters_(std::move(letters)) {}

  /// English names and words, as many as there are.
  bool is_english() const {
    std::vector<bool> reached(letters_.size() + 1);
    reached[0] = true;
    for (size_t begin = 0; begin < letters_.size(); ++begin) {
      if (!reached[begin]) continue;
      for_each_piece(begin, [&](size_t end, const std::string& folded, const std::string&) {
        if (catalogue_.english(folded) != nullptr || catalogue_.is_english_word(folded))
          reached[after_space(end)] = true;
      });
    }
    return reached.back();
  }

  /// The prompts of the readings with the fewest names, and of those the fewest English ones.
  std::set<std::string> prompts() {
    extend(0, Path{});
    return prompts_;
  }

 private:
  struct Path {
    Entry parts;
    uint32_t languages = ~uint32_t{0};
    size_t names = 0;
    size_t english_names = 0;
    bool linked = false;  // a linking word was the last
  };

  bool is_space(size_t at) const { return letters_[at].text == " "; }
  size_t after_space(size_t at) const { return at < letters_.size() && is_space(at) ? at + 1 : at; }

  // A name may end between words, and anywhere in scripts that are written without spaces.
  bool is_boundary(size_t at) const {
    return at == letters_.size() || is_space(at) || !letters_[at - 1].is_word || !letters_[at].is_word;
  }

  // Calls use(end, folded, bare) for each text from `begin` that may be a name.
  template <typename Use>
  void for_each_piece(size_t begin, Use use) const {
    std::string folded, bare;
    const size_t last = std::min(letters_.size(), begin + kMaxNameLetters);
    for (size_t end = begin; end < last;) {
      folded += letters_[end].text;
      bare += letters_[end].bare;
      ++end;
      if (!is_space(end - 1) && is_boundary(end)) use(end, folded, bare);
    }
  }

  void extend(size_t begin, const Path& path) {
    if (begin == letters_.size()) {
      if (!path.linked) keep(path);
      return;
    }
    for_each_piece(begin, [&](size_t end, const std::string& folded, const std::string& bare) {
      if (const auto* meanings = catalogue_.foreign(bare))
        for (const Meaning& meaning : *meanings) take(path, meaning, meaning.languages, false, end);
      if (const Meaning* meaning = catalogue_.english(folded))
        take(path, *meaning, ~uint32_t{0}, true, end);  // every language borrows English names
      if (path.names > 0 && !path.linked) link(path, catalogue_.linking(bare), end);
    });
  }

  void link(Path path, uint32_t languages, size_t end) {
    path.languages &= languages;
    path.linked = true;
    if (path.languages != 0) extend(after_space(end), path);
  }

  void take(const Path& path, const Meaning& meaning, uint32_t languages, bool english, size_t end) {
    const auto kind = static_cast<size_t>(catalogue_.concepts()[meaning.concept_index].kind);
    Path longer = path;
    longer.linked = false;
    longer.languages &= languages;
    if (longer.parts[kind] || longer.languages == 0) return;
    longer.parts[kind] = meaning.concept_index;
    ++longer.names;
    longer.english_names += english ? 1 : 0;
    extend(after_space(end), longer);
  }

  void keep(const Path& path) {
    const std::pair cost(path.names, path.english_names);
    if (cost > least_) return;
    if (cost < least_) prompts_.clear();
    least_ = cost;
    prompts_.insert(catalogue_.prompt(path.parts));
  }

  const Catalogue& catalogue_;
  const std::vector<Letter> letters_;
  std::pair<size_t, size_t> least_{kKinds + 1, 0};
  std::set<std::string> prompts_;
};

std::string listed(const std::set<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + text;
  return list;
}

}  // namespace

Reading read_labels(const Catalogue& catalogue, std::span<const std::string> labels) {
  Reading reading;
  for (const std::string& label : labels) {
    std::set<std::string> prompts;
    std::vector<Letter> letters = label.size() <= 4 * kMaxLetters ? fold(label) : std::vector<Letter>();
    if (!letters.empty() && letters.size() <= kMaxLetters) {
      Reader reader(catalogue, std::move(letters));
      if (!reader.is_english()) prompts = reader.prompts();
    }
    reading.prompts.push_back(prompts.size() == 1 ? *prompts.begin() : label);
    if (prompts.size() == 1 || !is_in_another_script(label)) continue;
    reading.warnings.push_back(
        "label '" + label + "' " +
        (prompts.empty() ? "is not in the label catalogue" : "means several things: " + listed(prompts)) +
        "; it is scored as it stands, and the model knows English only");
  }
  return reading;
}

void write_reading(JsonWriter& json, std::span<const std::string> labels, const Reading& reading) {
  if (!std::ranges::equal(labels, reading.prompts)) {
    json.key("prompts").begin_object();
    std::set<std::string_view> written;
    for (size_t k = 0; k < labels.size(); ++k)
      if (reading.prompts[k] != labels[k] && written.insert(labels[k]).second)
        json.member(labels[k], reading.prompts[k]);
    json.end_object();
  }
  if (!reading.warnings.empty()) json.member("warnings", reading.warnings);
}

}  // namespace mii::labels
