#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mii {

/// A question to the model about some of a manifest's images.
struct EvalTask {
  std::string name;
  std::string field;  ///< column with the truth
  std::map<std::string, std::vector<std::string>>
      where;  ///< column -> values; images with others are left out
  /// Labels as the model sees them, each with the values of `field` for which it is right. Empty: every value
  /// that occurs is a label.
  std::vector<std::pair<std::string, std::vector<std::string>>> labels;
  std::vector<std::string> templates;  ///< prompts with {}; empty: the label alone
  bool number = false;                 ///< the field is a number to be told, and there are no labels
  bool corruptions = false;            ///< also ask about altered copies of the images
  std::string mean;                    ///< tasks that share it are also averaged, under this name

  /// The label that a value belongs to; nullopt when the task does not ask about it.
  std::optional<size_t> label_of(const std::string& value) const;
};

/// Reads a YAML list "tasks" of {name, field, where, labels, number, templates, corruptions, mean}.
/// Throws Error{invalid_argument} with the line.
std::vector<EvalTask> read_tasks(const std::filesystem::path& file);

}  // namespace mii
