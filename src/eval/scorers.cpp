#include "eval/scorers.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <utility>

#include "eval/neighbours.h"
#include "stats/answers.h"

namespace mii {
namespace {

class ZeroShotScorer final : public Scorer {
 public:
  explicit ZeroShotScorer(EncodedModel model) : model_(std::move(model)) {}

  std::string name() const override { return "zero-shot" + model_.suffix; }
  std::vector<std::string> compared_with() const override {
    return model_.suffix.empty() ? std::vector<std::string>{} : std::vector<std::string>{"zero-shot"};
  }

  bool replaces() const override { return !model_.suffix.empty(); }

  std::optional<Matrix> scores(const Question& question, Question::Which which) const override {
    const bool known = which == Question::Which::known && question.apart;
    const EncodedRows& rows = known ? *model_.references : model_.data;
    const ZeroShotHead head =
        model_.engine.zero_shot_head(question.labels, {.templates = question.task.templates});
    return head.score(some_rows(rows.vectors, question.images(which).items));
  }

 private:
  EncodedModel model_;
};

class NeighboursScorer final : public Scorer {
 public:
  NeighboursScorer(EncodedModel model, size_t k, Matrix EncodedRows::*vectors, std::string of, bool baseline,
                   std::vector<std::string> compared_with)
      : model_(std::move(model)),
        k_(k),
        vectors_(vectors),
        of_(std::move(of)),
        baseline_(baseline),
        compared_with_(std::move(compared_with)) {}

  std::string name() const override { return std::to_string(k_) + "-NN " + of_ + model_.suffix; }
  bool baseline() const override { return baseline_; }
  std::vector<std::string> compared_with() const override { return compared_with_; }
  bool replaces() const override { return !model_.suffix.empty(); }

  std::optional<Matrix> scores(const Question& question, Question::Which which) const override {
    if (question.known.size() == 0) return std::nullopt;
    return neighbour_votes(near(question, which), question.known.truth, question.labels.size(), k_);
  }

  std::optional<std::vector<float>> values(const Question& question) const override {
    const auto neighbours = near(question, Question::Which::asked);
    if (std::ranges::any_of(neighbours, &std::vector<uint32_t>::empty)) return std::nullopt;
    return neighbour_means(neighbours, question.known.values);
  }

 private:
  std::vector<std::vector<uint32_t>> near(const Question& question, Question::Which which) const {
    const EncodedRows& from = question.apart ? *model_.references : model_.data;
    const EncodedRows& to = which == Question::Which::known ? from : model_.data;
    const Asked& asked = question.images(which);
    return nearest_neighbours(some_rows(from.*vectors_, question.known.items), question.known.groups,
                              some_rows(to.*vectors_, asked.items), asked.groups, k_);
  }

  EncodedModel model_;
  size_t k_;
  Matrix EncodedRows::*vectors_;
  std::string of_;
  bool baseline_;
  std::vector<std::string> compared_with_;
};

// The threshold of the largest Youden index on the references, or why there is none.
struct Youden {
  PointChoice point{0.5f, "0.5"};
  const char* failure = nullptr;
};

Youden youden_point(const Matrix& scores, const Question& question, size_t label) {
  const auto positive = stats::is_label(question.known.truth, label);
  const auto count = std::ranges::count(positive, true);
  if (count == 0) return {.failure = "no image of the references has this label"};
  if (count == std::ssize(positive)) return {.failure = "all images of the references have this label"};
  const stats::Cut cut =
      stats::youden_cut(stats::RankedScores(stats::column(scores, label), positive).cuts());
  if (!std::isfinite(cut.threshold))
    return {.failure = "no threshold is better than chance on the references"};
  return {{cut.threshold, "Youden of the references"}};
}

}  // namespace

std::unique_ptr<Scorer> zero_shot_scorer(const EncodedModel& model) {
  return std::make_unique<ZeroShotScorer>(model);
}

std::unique_ptr<Scorer> neighbours_scorer(const EncodedModel& model, size_t k) {
  const std::string name = std::to_string(k) + "-NN ";
  std::vector<std::string> compared_with{"zero-shot", name + "32x32 pixels"};
  if (!model.suffix.empty()) compared_with = {name + "embeddings"};
  return std::make_unique<NeighboursScorer>(model, k, &EncodedRows::vectors, "embeddings", false,
                                            compared_with);
}

std::unique_ptr<Scorer> pixels_scorer(const EncodedModel& model, size_t k) {
  return std::make_unique<NeighboursScorer>(model, k, &EncodedRows::pixels, "32x32 pixels", true,
                                            std::vector<std::string>{});
}

std::vector<PointChoice> choose_points(const Scorer& scorer, const Question& question,
                                       std::vector<std::string>& notes) {
  std::vector<PointChoice> points;
  std::optional<Matrix> known;
  std::map<std::string, std::string> failures;  // the labels of each
  for (size_t k = 0; k < question.labels.size(); ++k) {
    if (auto own = scorer.point(question, k)) {
      points.push_back(*std::move(own));
      continue;
    }
    if (!question.apart) {
      points.push_back({0.5f, "0.5"});
      continue;
    }
    if (!known) known = scorer.scores(question, Question::Which::known);
    Youden youden = youden_point(*known, question, k);
    if (youden.failure != nullptr) {
      std::string& labels = failures[youden.failure];
      labels += (labels.empty() ? "'" : ", '") + question.labels[k] + "'";
    }
    points.push_back(std::move(youden.point));
  }
  for (const auto& [failure, labels] : failures)
    notes.push_back(scorer.name() + ": the threshold of " + labels + " is 0.5, because " + failure);
  return points;
}

}  // namespace mii
