#include "dataset/captions.h"

#include <algorithm>
#include <set>

#include <yaml-cpp/yaml.h>

#include "core/file.h"
#include "mii/error.h"

namespace mii {
namespace {

constexpr uint64_t kMaxBytes = 16 << 20;

// The value of each field; empty for a field that a concept does not mention.
using Said = std::vector<std::string>;

[[noreturn]] void fail(const std::filesystem::path& file, const YAML::Node& node, const std::string& what) {
  throw Error(ErrorCode::invalid_argument,
              file.string() + ":" + std::to_string(node.Mark().line + 1) + ": " + what);
}

std::vector<std::string> text_list(const std::filesystem::path& file, const YAML::Node& node,
                                   const std::string& what) {
  if (!node || !node.IsSequence()) fail(file, node, "expected a list of texts: " + what);
  std::vector<std::string> values;
  for (const YAML::Node& item : node) {
    if (!item.IsScalar()) fail(file, item, "expected a text in " + what);
    values.push_back(item.Scalar());
  }
  return values;
}

auto value_lists(const std::filesystem::path& file, const YAML::Node& node, const std::string& what) {
  std::map<std::string, std::map<std::string, std::vector<std::string>>> lists;
  if (!node) return lists;
  if (!node.IsMap()) fail(file, node, "'" + what + "' is not a map of fields");
  for (const auto& field : node) {
    if (!field.second.IsMap()) fail(file, field.second, "'" + what + "' is not a map of values");
    for (const auto& value : field.second)
      lists[field.first.Scalar()][value.first.Scalar()] = text_list(file, value.second, what);
  }
  return lists;
}

// "{name}" parts of a template, replaced by name.
template <typename Replace>
std::string filled(const std::string& text, const Replace& replace) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t open = text.find('{', at), close = text.find('}', open);
    if (open == std::string::npos || close == std::string::npos) return result + text.substr(at);
    result += text.substr(at, open - at) + replace(text.substr(open + 1, close - open - 1));
    at = close + 1;
  }
  return result;
}

class Composer {
 public:
  Composer(const CaptionRules& rules, const std::vector<LabelSet>& label_sets, size_t max_captions)
      : rules_(rules), label_sets_(label_sets), max_captions_(max_captions) {
    for (const std::string& text : rules.templates) {
      std::vector<bool> uses(rules.fields.size());
      filled(text, [&](const std::string& field) {
        uses[field_index(field)] = true;
        return std::string();
      });
      templates_[uses].push_back(text);
    }
  }

  Composition compose() {
    for (size_t l = 0; l < label_sets_.size(); ++l)
      for (const auto& [uses, texts] : templates_) draw(l, uses, 0, Said(uses.size()));
    for (const auto& [field, values] : rules_.distractors)
      for (const std::string& value : values) add_distractor(field_index(field), value);
    Composition composition;
    for (const auto& [said, sets] : concepts_) composition.concepts.push_back(composed(said, sets));
    for (const LabelSet& set : label_sets_)
      for (const auto& [said, sets] : concepts_) composition.truth.push_back(truth(set, said));
    return composition;
  }

 private:
  size_t field_index(const std::string& name) const {
    const auto found = std::find(rules_.fields.begin(), rules_.fields.end(), name);
    if (found == rules_.fields.end())
      throw Error(ErrorCode::invalid_argument, "captions: a template has the unknown field '{" + name + "}'");
    return static_cast<size_t>(found - rules_.fields.begin());
  }

  std::vector<std::string> broader(size_t field, const std::string& value) const {
    return listed(rules_.broader, field, value);
  }

  std::vector<std::string> listed(
      const std::map<std::string, std::map<std::string, std::vector<std::string>>>& lists, size_t field,
      const std::string& value) const {
    const auto of_field = lists.find(rules_.fields[field]);
    if (of_field == lists.end()) return {};
    const auto found = of_field->second.find(value);
    return found == of_field->second.end() ? std::vector<std::string>{} : found->second;
  }

  // All concepts that these fields of a label set make: of its values, or of broader ones.
  void draw(size_t label_set, const std::vector<bool>& uses, size_t field, Said said) {
    if (field == uses.size()) {
      concepts_[said].insert(static_cast<int32_t>(label_set));
      return;
    }
    if (!uses[field]) return draw(label_set, uses, field + 1, said);
    const std::string& value = label_sets_[label_set][field];
    if (value.empty()) return;
    said[field] = value;
    draw(label_set, uses, field + 1, said);
    for (const std::string& wider : broader(field, value)) {
      said[field] = wider;
      draw(label_set, uses, field + 1, said);
    }
  }

  // A concept of one field; it is drawn only if images have the value.
  void add_distractor(size_t field, const std::string& value) {
    Said said(rules_.fields.size());
    said[field] = value;
    std::vector<bool> uses(said.size());
    uses[field] = true;
    if (!templates_.contains(uses)) return;
    concepts_.try_emplace(said);
    distractors_.insert(said);
  }

  ComposedConcept composed(const Said& said, const std::set<int32_t>& sets) const {
    std::vector<bool> uses;
    int32_t single = -1, fields = 0;
    for (size_t f = 0; f < said.size(); ++f) {
      uses.push_back(!said[f].empty());
      if (said[f].empty()) continue;
      single = static_cast<int32_t>(f);
      ++fields;
    }
    const auto& texts = templates_.at(uses);
    std::vector<std::string> captions;
    for (const std::string& text : texts) fill(text, said, 0, {}, captions);
    // In order of first appearance: the plainest template with the plain values comes first.
    std::set<std::string> seen;
    std::erase_if(captions, [&](const std::string& caption) { return !seen.insert(caption).second; });
    std::vector<std::string> kept;
    const size_t n = std::min(captions.size(), max_captions_);
    for (size_t i = 0; i < n; ++i) kept.push_back(captions[i * captions.size() / n]);
    return {{kept.front(),
             fields == 1 ? single : -1,
             static_cast<float>(texts.size()),
             {sets.begin(), sets.end()},
             distractors_.contains(said)},
            kept};
  }

  void fill(const std::string& text, const Said& said, size_t field, std::map<std::string, std::string> words,
            std::vector<std::string>& captions) const {
    if (field == said.size()) {
      captions.push_back(filled(text, [&](const std::string& name) { return words[name]; }));
      return;
    }
    if (said[field].empty()) return fill(text, said, field + 1, words, captions);
    std::vector<std::string> choices{said[field]};
    for (const std::string& other : listed(rules_.synonyms, field, said[field])) choices.push_back(other);
    for (const std::string& choice : choices) {
      words[rules_.fields[field]] = choice;
      fill(text, said, field + 1, words, captions);
    }
  }

  Truth truth(const LabelSet& set, const Said& said) const {
    bool unknown = false;
    bool empty = false;
    for (size_t f = 0; f < said.size(); ++f) {
      if (said[f].empty() || said[f] == set[f]) continue;
      if (set[f].empty()) {
        empty = true;
        continue;
      }
      const auto wider = broader(f, set[f]), narrower = broader(f, said[f]);
      if (std::find(wider.begin(), wider.end(), said[f]) != wider.end()) continue;
      if (std::find(narrower.begin(), narrower.end(), set[f]) == narrower.end()) return Truth::no;
      unknown = true;
    }
    if (unknown) return Truth::unknown;
    return !empty ? Truth::yes : might_hold(set, said) ? Truth::unknown : Truth::no;
  }

  // Whether any image that agrees with the known fields of this one has the value in question.
  bool might_hold(const LabelSet& set, const Said& said) const {
    return std::any_of(label_sets_.begin(), label_sets_.end(), [&](const LabelSet& other) {
      for (size_t f = 0; f < set.size(); ++f) {
        if (!set[f].empty() && other[f] != set[f]) return false;
        if (set[f].empty() && !said[f].empty() && other[f] != said[f]) return false;
      }
      return true;
    });
  }

  const CaptionRules& rules_;
  const std::vector<LabelSet>& label_sets_;
  size_t max_captions_;
  std::map<std::vector<bool>, std::vector<std::string>> templates_;  // keyed by the fields that they use
  std::map<Said, std::set<int32_t>> concepts_;                       // with the label sets that draw them
  std::set<Said> distractors_;
};

}  // namespace

CaptionRules CaptionRules::read(const std::filesystem::path& file) {
  YAML::Node root;
  try {
    root = YAML::Load(read_text_file(file, kMaxBytes));
  } catch (const YAML::Exception& e) {
    throw Error(ErrorCode::invalid_argument, file.string() + ": not valid YAML: " + e.what());
  }
  if (!root.IsMap()) fail(file, root, "expected a map with 'fields' and 'templates'");
  CaptionRules rules{text_list(file, root["fields"], "fields"),
                     text_list(file, root["templates"], "templates"),
                     value_lists(file, root["synonyms"], "synonyms"),
                     value_lists(file, root["broader"], "broader"),
                     {}};
  for (const auto& field : root["distractors"])
    rules.distractors[field.first.Scalar()] = text_list(file, field.second, "distractors");
  if (rules.fields.empty() || rules.templates.empty())
    fail(file, root, "'fields' and 'templates' must not be empty");
  return rules;
}

Composition compose(const CaptionRules& rules, const std::vector<LabelSet>& label_sets, size_t max_captions) {
  return Composer(rules, label_sets, max_captions).compose();
}

}  // namespace mii
