#include <algorithm>
#include <filesystem>
#include <utility>

#include "eval/scorers.h"
#include "heads/head_file.h"
#include "pipeline/identity.h"

namespace mii {
namespace {

// A fitted head. Its labels are the task's by name, or by the values that a label of the task has.
class HeadScorer final : public Scorer {
 public:
  HeadScorer(EncodedModel model, std::string name, heads::FittedHead head)
      : model_(std::move(model)), name_(std::move(name)), head_(std::move(head)) {}

  std::string name() const override { return name_; }
  std::vector<std::string> compared_with() const override { return {"zero-shot"}; }

  std::optional<Matrix> scores(const Question& question, Question::Which which) const override {
    const auto columns = columns_of(question);
    if (!columns) return std::nullopt;
    const bool known = which == Question::Which::known && question.apart;
    const EncodedRows& rows = known ? *model_.references : model_.data;
    return joined(head_.score(some_rows(rows.vectors, question.images(which).items)), *columns);
  }

  std::optional<std::vector<float>> values(const Question& question) const override {
    if (head_.parts().answer != heads::Answer::value || head_.parts().field != question.task.field)
      return std::nullopt;
    const Matrix values = head_.score(some_rows(model_.data.vectors, question.asked.items));
    return std::vector(values.values().begin(), values.values().end());
  }

  // The highest of the head's own points, where the task has the head's labels one for one.
  std::optional<PointChoice> point(const Question& question, size_t label) const override {
    const auto columns = columns_of(question);
    if (!columns || head_.labels().size() != question.labels.size()) return std::nullopt;
    const size_t own = (*columns)[label].front();
    if (own >= head_.parts().points.size() || head_.parts().points[own].empty()) return std::nullopt;
    const heads::OperatingPoint& point = head_.parts().points[own].back();
    return PointChoice{point.threshold, point.rule + " of the head"};
  }

 private:
  // Of each of the task's labels, the head's that belong to it; nothing when one has none.
  std::optional<std::vector<std::vector<size_t>>> columns_of(const Question& question) const {
    if (head_.parts().answer == heads::Answer::value || head_.parts().field != question.task.field)
      return std::nullopt;
    std::vector<std::vector<size_t>> columns(question.labels.size());
    for (size_t c = 0; c < head_.labels().size(); ++c) {
      const std::string& label = head_.labels()[c];
      const auto named = std::ranges::find(question.labels, label);
      if (named != question.labels.end())
        columns[static_cast<size_t>(named - question.labels.begin())].push_back(c);
      else if (const auto of = question.task.label_of(label))
        columns[*of].push_back(c);
    }
    if (std::ranges::any_of(columns, &std::vector<size_t>::empty)) return std::nullopt;
    return columns;
  }

  // Of labels of which one holds, the probability that it is one of those asked for is taken for granted. Of
  // labels that hold each on its own, the likeliest stands for those that are joined.
  Matrix joined(const Matrix& scores, const std::vector<std::vector<size_t>>& columns) const {
    const bool several = head_.parts().answer == heads::Answer::several;
    Matrix joined(scores.rows(), columns.size());
    for (size_t r = 0; r < scores.rows(); ++r) {
      float all = 0;
      for (size_t k = 0; k < columns.size(); ++k) {
        float& p = joined.row(r)[k];
        for (const size_t c : columns[k]) p = several ? std::max(p, scores.row(r)[c]) : p + scores.row(r)[c];
        all += p;
      }
      if (!several && all > 0)
        for (float& p : joined.row(r)) p = std::min(p / all, 1.0f);
    }
    return joined;
  }

  EncodedModel model_;
  std::string name_;
  heads::FittedHead head_;
};

}  // namespace

std::unique_ptr<Scorer> head_scorer(const EncodedModel& model, std::string name, heads::FittedHead head) {
  return std::make_unique<HeadScorer>(model, std::move(name), std::move(head));
}

std::vector<std::unique_ptr<Scorer>> head_scorers(const EncodedModel& model,
                                                  const std::vector<std::string>& files,
                                                  const std::function<void(const std::string&)>& warn) {
  std::vector<std::unique_ptr<Scorer>> scorers;
  for (const std::string& file : files) {
    heads::FittedHead head = heads::read_head(file);
    for (const std::string& difference :
         head.expect_made_alike(model.engine.identity(pipeline::preprocessing_text({}))))
      warn(file + ": " + difference);
    scorers.push_back(
        head_scorer(model, "head " + std::filesystem::path(file).filename().string(), std::move(head)));
  }
  return scorers;
}

}  // namespace mii
