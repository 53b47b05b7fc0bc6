#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dataset/manifest.h"

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

/// The tasks of such a file (none: empty) and those about columns alone: with their values as labels, and
/// with numbers.
struct Asking {
  std::filesystem::path tasks;
  std::vector<std::string> fields;
  std::vector<std::string> numbers;
};
/// Throws as read_tasks does, and Error{invalid_argument} where nothing is asked or the manifest lacks a
/// column that a task is about. manifest_name: for the message.
std::vector<EvalTask> tasks_about(const Asking& asking, const Manifest& manifest,
                                  const std::string& manifest_name);

/// Throws Error{invalid_argument}.
void expect_column(const Manifest& manifest, const std::string& manifest_name, const std::string& column);

}  // namespace mii
