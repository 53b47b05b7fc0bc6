#include "eval/few_shot.h"

#include <algorithm>
#include <random>
#include <utility>

#include "heads/fit_head.h"
#include "stats/answers.h"

namespace mii {
namespace {

// A kind of head that is fitted, with or without the labels' texts.
struct Recipe {
  const char* name;
  heads::Kind kind;
  bool with_texts;
};

constexpr Recipe kRecipes[] = {
    {"k-NN", heads::Kind::knn, false},
    {"logistic", heads::Kind::logistic, false},
    {"SS-Text", heads::Kind::ss_text, false},
    {"LP++", heads::Kind::lp_plus_plus, false},
    {"logistic with texts", heads::Kind::logistic, true},
};

// The images of each label in the order of a draw; the first n of them are its shots.
std::vector<std::vector<size_t>> drawn_order(const Asked& known, size_t labels, uint64_t seed) {
  std::vector<std::vector<size_t>> order(labels);
  for (size_t i = 0; i < known.size(); ++i) order[known.truth[i]].push_back(i);
  std::mt19937_64 random(seed);
  for (auto& images : order)
    for (size_t left = images.size(); left > 1; --left) std::swap(images[left - 1], images[random() % left]);
  return order;
}

class FewShot {
 public:
  FewShot(const EncodedModel& model, const Question& question, const FewShotOptions& options)
      : options_(options),
        question_(question),
        asked_(some_rows(model.data.vectors, question.asked.items)),
        known_(some_rows(model.references->vectors, question.known.items)),
        zero_shot_(model.engine.zero_shot_head(question.labels, {.templates = question.task.templates})),
        texts_{zero_shot_.label_vectors().clone(), model.engine.info().logit_scale} {}

  FewShotResult run() const {
    FewShotResult result{.shots = options_.shots, .zero_shot = measured(zero_shot_), .heads = {}};
    for (const Recipe& recipe : kRecipes) result.heads.push_back({recipe.name, {}});
    for (const size_t shots : options_.shots) {
      for (FewShotHead& head : result.heads) head.runs.emplace_back();
      const size_t repeats = shots == kAllShots ? 1 : options_.repeats;
      for (size_t repeat = 0; repeat < repeats; ++repeat) {
        const heads::LabelledVectors data = drawn(shots, repeat);
        for (size_t i = 0; i < std::size(kRecipes); ++i)
          if (!options_.cancelled || !options_.cancelled())
            result.heads[i].runs.back().push_back(measured(fitted(data, kRecipes[i], shots)));
      }
    }
    return result;
  }

 private:
  // At most as many as there are shots, and then an odd number: of an even one, two labels often have equal
  // votes.
  size_t neighbours(size_t shots) const {
    return shots >= options_.k ? options_.k : shots - (shots % 2 == 0 ? 1 : 0);
  }

  heads::LabelledVectors drawn(size_t shots, size_t repeat) const {
    const size_t labels = question_.labels.size();
    std::vector<size_t> rows;
    for (const auto& images : drawn_order(question_.known, labels, repeat + 1))
      rows.insert(rows.end(), images.begin(),
                  images.begin() + static_cast<std::ptrdiff_t>(std::min(shots, images.size())));
    heads::LabelledVectors data{some_rows(known_, rows), {}, {false, question_.labels, {}}, {}};
    data.truth.is.resize(rows.size() * labels);
    for (size_t i = 0; i < rows.size(); ++i) {
      data.groups.push_back(question_.known.groups[rows[i]]);
      data.truth.is[i * labels + question_.known.truth[rows[i]]] = 1;
    }
    return data;
  }

  heads::FittedHead fitted(const heads::LabelledVectors& data, const Recipe& recipe, size_t shots) const {
    heads::FitOptions fit{.kind = recipe.kind,
                          .field = question_.task.field,
                          .k = neighbours(shots),
                          .with_texts = recipe.with_texts,
                          .calibration = heads::Calibration::Kind::none};
    if (shots != kAllShots) fit.c = 1;
    return heads::fit_head(data, std::nullopt, &texts_, fit, {});
  }

  FewShotFigures measured(const Head& head) const {
    const stats::RankedAnswers answers(head.score(asked_), question_.asked.truth);
    return {answers.top_k_accuracy(1), answers.macro_auc()};
  }

  const FewShotOptions& options_;
  const Question& question_;
  const Matrix asked_;
  const Matrix known_;
  const ZeroShotHead zero_shot_;
  const heads::LabelTexts texts_;
};

FewShotFigures operator+(FewShotFigures a, FewShotFigures b) {
  return {a.top1 + b.top1, a.macro_auc + b.macro_auc};
}
FewShotFigures operator/(FewShotFigures a, double n) { return {a.top1 / n, a.macro_auc / n}; }

}  // namespace

std::optional<FewShotResult> few_shot(const EncodedModel& model, const Question& question,
                                      const FewShotOptions& options, std::vector<std::string>& notes) {
  if (question.labels.size() < 2) {
    notes.push_back("no head is fitted: there is one label only");
    return std::nullopt;
  }
  for (size_t k = 0; k < question.labels.size(); ++k) {
    if (std::ranges::find(question.known.truth, k) != question.known.truth.end()) continue;
    notes.push_back("no head is fitted: the references have no image of '" + question.labels[k] + "'");
    return std::nullopt;
  }
  return FewShot(model, question, options).run();
}

FewShotResult mean_of(std::span<const FewShotResult> tasks) {
  FewShotResult mean = tasks.front();
  for (const FewShotResult& task : tasks.subspan(1)) {
    mean.zero_shot = mean.zero_shot + task.zero_shot;
    for (size_t h = 0; h < mean.heads.size(); ++h)
      for (size_t s = 0; s < mean.shots.size(); ++s)
        for (size_t r = 0; r < mean.heads[h].runs[s].size(); ++r)
          mean.heads[h].runs[s][r] = mean.heads[h].runs[s][r] + task.heads[h].runs[s][r];
  }
  const auto n = static_cast<double>(tasks.size());
  mean.zero_shot = mean.zero_shot / n;
  for (FewShotHead& head : mean.heads)
    for (auto& runs : head.runs)
      for (FewShotFigures& run : runs) run = run / n;
  return mean;
}

}  // namespace mii
