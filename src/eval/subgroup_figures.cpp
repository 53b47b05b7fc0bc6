#include <algorithm>

#include "eval/figure_parts.h"
#include "stats/answers.h"

namespace mii {
namespace {

using stats::JointFigures;
using stats::Multiplicities;
using stats::RankedAnswers;

Matrix scores_of(const Answers& answers, const Part& part) {
  Matrix scores(part.images.size(), answers.scores.cols());
  for (size_t i = 0; i < part.images.size(); ++i)
    std::ranges::copy(answers.scores.row(part.images[i]), scores.row(i).begin());
  return scores;
}

// The figures of a scorer inside and outside of a subgroup, and by how much they differ.
class SubgroupScorer {
 public:
  SubgroupScorer(const AnsweredTask& task, const Answers& answers, const Part& inside, const Part& outside)
      : answers_(answers),
        labels_(task.labels.size()),
        inside_(inside),
        outside_(outside),
        in_(scores_of(answers, inside), inside.truth),
        out_(scores_of(answers, outside), outside.truth) {}

  SubgroupFigures figures(const stats::Groups& groups, const FigureOptions& options) const {
    JointFigures joint;
    const auto top1 =
        add(joint, [](const RankedAnswers& a, Multiplicities t) { return a.top_k_accuracy(1, t); });
    const auto macro = add(joint, [](const RankedAnswers& a, Multiplicities t) { return a.macro_auc(t); });
    std::vector<std::pair<Places, Places>> points;
    for (size_t k = 0; k < labels_; ++k) {
      const float at = answers_.points[k].threshold;
      points.emplace_back(
          add(joint, [k, at](const RankedAnswers& a,
                             Multiplicities t) { return a.label(k).counts_at(at, t).sensitivity(); }),
          add(joint, [k, at](const RankedAnswers& a, Multiplicities t) {
            return a.label(k).counts_at(at, t).specificity();
          }));
    }
    const auto estimates = joint.estimate(groups, draws(options));
    SubgroupFigures made{answers_.scorer, estimates[top1.inside], estimates[macro.inside],
                         estimates[top1.difference], estimates[macro.difference]};
    const Matrix scores = scores_of(answers_, inside_);
    for (size_t k = 0; k < labels_; ++k) {
      const stats::BinaryCounts counts = in_.label(k).counts_at(answers_.points[k].threshold);
      made.labels.push_back({counts.positives(),
                             stats::delong_auc(stats::column(scores, k), stats::is_label(inside_.truth, k),
                                               stats::make_groups(inside_.groups)),
                             stats::wilson(counts.true_positives, counts.positives()),
                             stats::wilson(counts.true_negatives, counts.negatives()),
                             estimates[points[k].first.difference], estimates[points[k].second.difference]});
    }
    return made;
  }

 private:
  struct Places {
    size_t inside, difference;
  };

  template <typename Figure>
  Places add(JointFigures& joint, const Figure& figure) const {
    const size_t inside =
        joint.add([this, figure](Multiplicities t) { return figure(in_, inside_.times(t)); });
    const size_t outside =
        joint.add([this, figure](Multiplicities t) { return figure(out_, outside_.times(t)); });
    return {inside, joint.add_difference(inside, outside)};
  }

  const Answers& answers_;
  const size_t labels_;
  const Part& inside_;
  const Part& outside_;
  const RankedAnswers in_;
  const RankedAnswers out_;
};

bool one_class(const std::vector<size_t>& truth) {
  return std::ranges::all_of(truth, [&](size_t t) { return t == truth.front(); });
}

}  // namespace

void add_subgroups(const AnsweredTask& task, std::span<const Subgrouping> subgroupings,
                   const FigureOptions& options, TaskResult& result) {
  const stats::Groups groups = stats::make_groups(task.groups);
  for (const Subgrouping& by : subgroupings) {
    for (const std::string& name : by.names) {
      const Part inside = part_of(task, by, name, true), outside = part_of(task, by, name, false);
      SubgroupResult subgroup{by.column, name, inside.images.size(), count_groups(inside.groups), {}};
      if (inside.images.empty())
        result.notes.push_back(called(by, name) + " has no image");
      else if (one_class(inside.truth))
        result.notes.push_back(called(by, name) + " has images of '" + task.labels[inside.truth.front()] +
                               "' only, so that it has no AUC");
      if (outside.images.empty())
        result.notes.push_back(called(by, name) + " has all images, so that it differs from no others");
      for (const Answers& answers : task.answers)
        if (!answers.baseline && !inside.images.empty())
          subgroup.scorers.push_back(SubgroupScorer(task, answers, inside, outside).figures(groups, options));
      result.subgroups.push_back(std::move(subgroup));
    }
  }
}

}  // namespace mii
