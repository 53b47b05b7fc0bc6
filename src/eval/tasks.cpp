#include "eval/tasks.h"

#include <algorithm>

#include <yaml-cpp/yaml.h>

#include "core/file.h"
#include "mii/error.h"

namespace mii {
namespace {

constexpr uint64_t kMaxBytes = 16 << 20;

class TaskReader {
 public:
  explicit TaskReader(const std::filesystem::path& file) : file_(file) {}

  std::vector<EvalTask> read() const {
    YAML::Node root;
    try {
      root = YAML::Load(read_text_file(file_, kMaxBytes));
    } catch (const YAML::Exception& e) {
      throw Error(ErrorCode::invalid_argument, file_.string() + ": not valid YAML: " + e.what());
    }
    if (!root.IsMap() || !root["tasks"] || !root["tasks"].IsSequence()) fail(root, "expected a list 'tasks'");
    std::vector<EvalTask> tasks;
    for (const YAML::Node& node : root["tasks"]) tasks.push_back(task(node));
    return tasks;
  }

 private:
  [[noreturn]] void fail(const YAML::Node& node, const std::string& what) const {
    throw Error(ErrorCode::invalid_argument,
                file_.string() + ":" + std::to_string(node.Mark().line + 1) + ": " + what);
  }

  std::string text(const YAML::Node& node, const std::string& what) const {
    if (!node.IsScalar()) fail(node, "expected a text: " + what);
    return node.Scalar();
  }

  // One text, or a list of texts.
  std::vector<std::string> texts(const YAML::Node& node, const std::string& what) const {
    if (node.IsScalar()) return {node.Scalar()};
    if (!node.IsSequence()) fail(node, "expected a text or a list of texts: " + what);
    std::vector<std::string> values;
    for (const YAML::Node& item : node) values.push_back(text(item, what));
    return values;
  }

  EvalTask task(const YAML::Node& node) const {
    if (!node.IsMap()) fail(node, "a task is not a map");
    EvalTask task;
    for (const auto& member : node) {
      const std::string key = text(member.first, "a key");
      const YAML::Node& value = member.second;
      if (key == "name") {
        task.name = text(value, key);
      } else if (key == "field") {
        task.field = text(value, key);
      } else if (key == "where") {
        if (!value.IsMap()) fail(value, "'where' is not a map of columns");
        for (const auto& condition : value)
          task.where[text(condition.first, "a column")] = texts(condition.second, "values of 'where'");
      } else if (key == "labels") {
        if (!value.IsMap()) fail(value, "'labels' is not a map of labels");
        for (const auto& label : value)
          task.labels.emplace_back(text(label.first, "a label"), texts(label.second, "values of a label"));
      } else if (key == "templates") {
        task.templates = texts(value, key);
      } else if (key == "number") {
        task.number = text(value, key) == "true";
      } else if (key == "corruptions") {
        task.corruptions = text(value, key) == "true";
      } else if (key == "mean") {
        task.mean = text(value, key);
      } else {
        fail(member.first, "unknown key '" + key + "' in a task");
      }
    }
    if (task.field.empty()) fail(node, "a task has no 'field'");
    if (task.number && !task.labels.empty()) fail(node, "a task about a number has no 'labels'");
    if (task.name.empty()) task.name = task.field;
    return task;
  }

  std::filesystem::path file_;
};

}  // namespace

std::optional<size_t> EvalTask::label_of(const std::string& value) const {
  for (size_t i = 0; i < labels.size(); ++i)
    if (std::ranges::find(labels[i].second, value) != labels[i].second.end()) return i;
  return std::nullopt;
}

std::vector<EvalTask> read_tasks(const std::filesystem::path& file) { return TaskReader(file).read(); }

std::vector<EvalTask> tasks_about(const Asking& asking, const Manifest& manifest,
                                  const std::string& manifest_name) {
  std::vector<EvalTask> tasks = asking.tasks.empty() ? std::vector<EvalTask>{} : read_tasks(asking.tasks);
  for (const std::string& field : asking.fields) tasks.push_back({.name = field, .field = field});
  for (const std::string& field : asking.numbers)
    tasks.push_back({.name = field, .field = field, .number = true});
  if (tasks.empty())
    throw Error(ErrorCode::invalid_argument,
                "nothing is asked: a column of labels, a column of numbers or tasks are needed");
  for (const EvalTask& task : tasks) expect_column(manifest, manifest_name, task.field);
  return tasks;
}

void expect_column(const Manifest& manifest, const std::string& manifest_name, const std::string& column) {
  if (!manifest.has(column))
    throw Error(ErrorCode::invalid_argument, manifest_name + ": has no column '" + column + "'");
}

}  // namespace mii
