#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/encoded.h"
#include "eval/result.h"
#include "heads/fitted_head.h"
#include "mii/engine.h"

namespace mii {

/// A model with its vectors; all outlives what is made of it.
struct EncodedModel {
  const Engine& engine;
  const EncodedRows& data;        ///< what is asked about
  const EncodedRows* references;  ///< where neighbours and thresholds come from; null: neighbours from data
  std::string suffix;             ///< of its scorers' names, such as ", bf16"; empty for the model itself
};

/// A task and its images.
struct Question {
  const EvalTask& task;
  std::vector<std::string> labels;
  Asked asked;
  Asked known;  ///< those of the references, else the same
  bool apart;   ///< there are references

  /// The images that scores are wanted of.
  enum class Which { asked, known };
  const Asked& images(Which which) const { return which == Which::asked ? asked : known; }
};

/// Something that answers tasks. A further one is a class here and a line where the list is made.
class Scorer {
 public:
  virtual ~Scorer() = default;

  virtual std::string name() const = 0;
  /// A baseline is compared with, and not looked at label by label.
  virtual bool baseline() const { return false; }
  /// The names of scorers whose figures are subtracted from its own.
  virtual std::vector<std::string> compared_with() const { return {}; }
  /// Whether it may take their place is the question.
  virtual bool replaces() const { return false; }

  /// Probabilities [images, labels]; nothing where it has no answer to this task.
  virtual std::optional<Matrix> scores(const Question& question, Question::Which which) const = 0;
  /// [asked] of a task about a number; nothing where it has no answer.
  virtual std::optional<std::vector<float>> values(const Question&) const { return std::nullopt; }
  /// Its own threshold for a label, where it has one.
  virtual std::optional<PointChoice> point(const Question&, size_t) const { return std::nullopt; }
};

std::unique_ptr<Scorer> zero_shot_scorer(const EncodedModel& model);
/// k neighbours by the model's vectors.
std::unique_ptr<Scorer> neighbours_scorer(const EncodedModel& model, size_t k);
/// k neighbours by bare pixels: what can be had without a model.
std::unique_ptr<Scorer> pixels_scorer(const EncodedModel& model, size_t k);

/// A head that was fitted to vectors of the same making. It answers tasks about its own field.
std::unique_ptr<Scorer> head_scorer(const EncodedModel& model, std::string name, heads::FittedHead head);

/// The same of heads that mii fit wrote, named after their files. warn hears how their vectors were made
/// otherwise. Throws as heads::read_head and FittedHead::expect_made_alike do.
std::vector<std::unique_ptr<Scorer>> head_scorers(const EncodedModel& model,
                                                  const std::vector<std::string>& files,
                                                  const std::function<void(const std::string&)>& warn);

/// A threshold for each label: the scorer's own, else the one with the largest Youden index on the
/// references, else 0.5. Why it is 0.5 although there are references is added to notes.
std::vector<PointChoice> choose_points(const Scorer& scorer, const Question& question,
                                       std::vector<std::string>& notes);

}  // namespace mii
