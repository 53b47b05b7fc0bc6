#include "eval/evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "image/alter.h"
#include "image/encode_jpeg.h"
#include "image/preprocess.h"
#include "mii/error.h"

namespace mii {
namespace {

constexpr size_t kThumbnail = 112;

}  // namespace

class Evaluation::Impl {
 public:
  Impl(EvaluationOptions options, EncodedModel model, std::vector<std::unique_ptr<Scorer>> scorers)
      : options_(std::move(options)), model_(std::move(model)), scorers_(std::move(scorers)) {}

  std::optional<TaskResult> run(EvalTask task) {
    use_values_as_labels(task, std::array{&model_.data});
    const Question question = question_of(task);
    if (question.asked.size() == 0) return std::nullopt;
    if (task.number) return run_number(question);

    std::vector<std::string> notes;
    AnsweredTask answered = answer(question, notes);
    TaskResult result = summarize(task.name, {&answered, 1}, options_.figures);
    result.notes = std::move(notes);
    add_label_figures(answered, options_.figures, result);
    add_subgroups(answered, subgroupings(question), options_.figures, result);
    if (!options_.few_shot.shots.empty() && question.apart)
      result.few_shot = few_shot(model_, question, options_.few_shot, result.notes);
    const Matrix& scores = answered.answers.front().scores;
    add_examples(question, scores, result);
    if (task.corruptions) add_corruptions(question, scores, result);
    if (!task.mean.empty()) {
      Mean& mean = means_[task.mean];
      mean.tasks.push_back(std::move(answered));
      if (result.few_shot) mean.few_shot.push_back(*result.few_shot);
    }
    return result;
  }

  std::vector<TaskResult> means() const {
    std::vector<TaskResult> results;
    for (const auto& [name, mean] : means_) {
      if (mean.tasks.size() < 2) continue;
      results.push_back(summarize(name + ", mean of " + std::to_string(mean.tasks.size()) + " tasks",
                                  mean.tasks, options_.figures));
      if (mean.few_shot.size() == mean.tasks.size()) results.back().few_shot = mean_of(mean.few_shot);
    }
    return results;
  }

 private:
  Question question_of(const EvalTask& task) const {
    Question question{task, {}, asked_of(task, model_.data), {}, model_.references != nullptr};
    for (const auto& [label, values] : task.labels) question.labels.push_back(label);
    question.known = asked_of(task, question.apart ? *model_.references : model_.data);
    return question;
  }

  AnsweredTask answer(const Question& question, std::vector<std::string>& notes) const {
    AnsweredTask answered{question.asked.groups, question.labels, question.asked.truth, {}, {}, {}};
    for (const auto& scorer : scorers_) {
      auto scores = scorer->scores(question, Question::Which::asked);
      if (!scores) {
        notes.push_back(scorer->name() + " has no answer to this task");
        continue;
      }
      Answers answers{scorer->name(),     scorer->baseline(), scorer->compared_with(),
                      scorer->replaces(), *std::move(scores), {}};
      expect_probabilities(answers);
      if (!answers.baseline) answers.points = choose_points(*scorer, question, notes);
      answered.answers.push_back(std::move(answers));
    }
    return answered;
  }

  std::optional<TaskResult> run_number(const Question& question) const {
    AnsweredTask answered{question.asked.groups, {}, {}, {}, question.asked.values, {}};
    for (const auto& scorer : scorers_)
      if (auto values = scorer->values(question))
        answered.value_answers.push_back(
            {scorer->name(), scorer->baseline(), scorer->compared_with(), *std::move(values)});
    return value_result(question.task.name, answered, subgroupings(question), options_.figures);
  }

  std::vector<Subgrouping> subgroupings(const Question& question) const {
    std::vector<Subgrouping> all;
    for (const SubgroupColumn& column : options_.subgroups) {
      std::vector<std::string> cells, of_image;
      for (const size_t item : question.asked.items) {
        cells.push_back(model_.data.manifest.at(model_.data.rows[item], column.column()));
        of_image.push_back(column.of(cells.back()));
      }
      all.push_back({column.column(), column.names(cells), std::move(of_image)});
    }
    return all;
  }

  // For each label, the surest right answer and the surest wrong ones.
  void add_examples(const Question& question, const Matrix& scores, TaskResult& result) const {
    const std::vector<std::string>& labels = question.labels;
    const Asked& asked = question.asked;
    for (size_t c = 0; c < labels.size(); ++c) {
      std::vector<std::pair<float, size_t>> right, wrong;
      for (size_t r = 0; r < scores.rows(); ++r) {
        if (asked.truth[r] != c) continue;
        const auto row = scores.row(r);
        const auto best = static_cast<size_t>(std::ranges::max_element(row) - row.begin());
        (best == c ? right : wrong).emplace_back(row[best], r);
      }
      for (auto* list : {&right, &wrong}) {
        std::ranges::sort(*list, std::greater());
        for (size_t i = 0; i < std::min<size_t>(2, list->size()); ++i) {
          const size_t r = (*list)[i].second;
          const auto row = scores.row(r);
          const auto best = static_cast<size_t>(std::ranges::max_element(row) - row.begin());
          const auto path = model_.data.manifest.path(model_.data.rows[asked.items[r]]);
          result.examples.push_back(
              {labels[c], labels[best], row[best],
               encode_jpeg(resize_bicubic(Image::read(path), kThumbnail, kThumbnail), 70)});
        }
      }
    }
  }

  void add_corruptions(const Question& question, const Matrix& scores, TaskResult& result) const {
    const Asked& asked = question.asked;
    const ZeroShotHead head =
        model_.engine.zero_shot_head(question.labels, {.templates = question.task.templates});
    const auto answer = [](std::span<const float> row) {
      return std::ranges::max_element(row) - row.begin();
    };
    for (const Alteration alteration : all_alterations()) {
      CorruptionResult altered_result{.name = to_string(alteration)};
      const size_t batch = model_.engine.image_batch();
      for (size_t begin = 0; begin < asked.items.size() && !(options_.cancelled && options_.cancelled());
           begin += batch) {
        std::vector<Image> images;
        std::vector<size_t> of;  // rows of asked
        for (size_t r = begin; r < std::min(begin + batch, asked.items.size()); ++r) {
          const Image image = Image::read(model_.data.manifest.path(model_.data.rows[asked.items[r]]));
          if (!applies(alteration, image)) continue;
          images.push_back(altered(image, alteration));
          of.push_back(r);
        }
        if (images.empty()) continue;
        const Matrix answers = head.score(model_.engine.encode_images(images));
        for (size_t i = 0; i < of.size(); ++i) {
          const auto given = answer(answers.row(i));
          altered_result.accuracy += static_cast<size_t>(given) == asked.truth[of[i]] ? 1 : 0;
          altered_result.agreement += given == answer(scores.row(of[i])) ? 1 : 0;
        }
        altered_result.images += of.size();
      }
      if (altered_result.images == 0) continue;
      altered_result.accuracy /= static_cast<double>(altered_result.images);
      altered_result.agreement /= static_cast<double>(altered_result.images);
      result.corruptions.push_back(altered_result);
    }
  }

  const EvaluationOptions options_;
  const EncodedModel model_;
  const std::vector<std::unique_ptr<Scorer>> scorers_;
  struct Mean {
    std::vector<AnsweredTask> tasks;
    std::vector<FewShotResult> few_shot;
  };
  std::map<std::string, Mean> means_;
};

Evaluation::Evaluation(EvaluationOptions options, const EncodedModel& model,
                       std::vector<std::unique_ptr<Scorer>> scorers)
    : impl_(std::make_unique<Impl>(std::move(options), model, std::move(scorers))) {}
Evaluation::~Evaluation() = default;

std::optional<TaskResult> Evaluation::run(EvalTask task) { return impl_->run(std::move(task)); }
std::vector<TaskResult> Evaluation::means() const { return impl_->means(); }

std::optional<VectorAgreement> vector_agreement(const EncodedRows& first, const EncodedRows& second) {
  if (first.rows != second.rows)
    throw Error(ErrorCode::invalid_argument, "the models did not read the same images");
  if (first.vectors.cols() != second.vectors.cols() || first.rows.empty()) return std::nullopt;
  std::vector<double> cosines;
  double sum = 0;
  for (size_t i = 0; i < first.rows.size(); ++i) {
    double cosine = 0;  // both are of unit length
    for (size_t d = 0; d < first.vectors.cols(); ++d)
      cosine += static_cast<double>(first.vectors.row(i)[d]) * second.vectors.row(i)[d];
    cosines.push_back(cosine);
    sum += cosine;
  }
  std::ranges::sort(cosines);
  return VectorAgreement{cosines.size(), sum / static_cast<double>(cosines.size()),
                         cosines[cosines.size() / 100], cosines.front()};
}

}  // namespace mii
