#include <algorithm>
#include <functional>
#include <map>

#include "eval/figure_parts.h"
#include "stats/answers.h"

namespace mii {
namespace {

using stats::JointFigures;
using stats::Multiplicities;
using stats::RankedAnswers;

// The scorers of the first task that answered all the others too.
std::vector<const Answers*> common_scorers(std::span<const AnsweredTask> tasks) {
  std::vector<const Answers*> common;
  for (const Answers& answers : tasks.front().answers)
    if (std::ranges::all_of(tasks, [&](const AnsweredTask& t) { return t.find(answers.scorer) != nullptr; }))
      common.push_back(&answers);
  return common;
}

double agreement(const AnsweredTask& task, const Answers& first, const Answers& second) {
  const auto a = RankedAnswers(first.scores, task.truth).answers();
  const auto b = RankedAnswers(second.scores, task.truth).answers();
  size_t same = 0;
  for (size_t i = 0; i < a.size(); ++i) same += a[i] == b[i] ? 1 : 0;
  return static_cast<double>(same) / static_cast<double>(a.size());
}

// The figures of scorers over several tasks, all estimated on the same draws of patients.
class Summary {
 public:
  explicit Summary(std::span<const AnsweredTask> tasks) : tasks_(tasks), scorers_(common_scorers(tasks)) {
    for (const AnsweredTask& task : tasks) {
      groups_.insert(groups_.end(), task.groups.begin(), task.groups.end());
      begins_.push_back(groups_.size());
    }
    for (const Answers* scorer : scorers_) add_scorer(scorer->scorer);
    for (const Answers* scorer : scorers_)
      for (const std::string& second : scorer->compared_with)
        if (places_.contains(second)) add_pair(*scorer, second);
  }

  TaskResult result(const std::string& name, const FigureOptions& options) const {
    TaskResult result{.name = name, .images = groups_.size(), .groups = count_groups(groups_)};
    const auto estimates = figures_.estimate(stats::make_groups(groups_), draws(options));
    for (const Answers* scorer : scorers_) {
      const Places& at = places_.at(scorer->scorer);
      result.scorers.push_back(
          {scorer->scorer, estimates[at.top1], estimates[at.top5], estimates[at.macro_auc]});
    }
    for (const Pair& pair : pairs_)
      result.comparisons.push_back({pair.first->scorer, pair.second, estimates[pair.top1],
                                    estimates[pair.macro_auc], pair.first->replaces, mean_agreement(pair)});
    return result;
  }

 private:
  // Where figures stand among the estimates.
  struct Places {
    size_t top1, top5, macro_auc;
  };
  struct Pair {
    const Answers* first;
    std::string second;
    size_t top1, macro_auc;
  };
  using Figure = std::function<double(const RankedAnswers& answers, Multiplicities times)>;

  void add_scorer(const std::string& name) {
    std::vector<RankedAnswers>& ranked = ranked_[name];
    for (const AnsweredTask& task : tasks_) ranked.emplace_back(task.find(name)->scores, task.truth);
    const auto top = [](size_t k) {
      return [k](const RankedAnswers& a, Multiplicities times) { return a.top_k_accuracy(k, times); };
    };
    const auto macro_auc = [](const RankedAnswers& a, Multiplicities times) { return a.macro_auc(times); };
    places_[name] = {add_mean(ranked, top(1)), add_mean(ranked, top(5)), add_mean(ranked, macro_auc)};
  }

  // The mean over the tasks of a figure of each.
  size_t add_mean(const std::vector<RankedAnswers>& ranked, const Figure& figure) {
    return figures_.add([this, &ranked, figure](Multiplicities times) {
      double sum = 0;
      for (size_t t = 0; t < ranked.size(); ++t) sum += figure(ranked[t], of_task(times, t));
      return sum / static_cast<double>(ranked.size());
    });
  }

  Multiplicities of_task(Multiplicities times, size_t t) const {
    return times.empty() ? times : times.subspan(begins_[t], begins_[t + 1] - begins_[t]);
  }

  void add_pair(const Answers& first, const std::string& second) {
    const Places &a = places_.at(first.scorer), &b = places_.at(second);
    pairs_.push_back({&first, second, figures_.add_difference(a.top1, b.top1),
                      figures_.add_difference(a.macro_auc, b.macro_auc)});
  }

  double mean_agreement(const Pair& pair) const {
    double sum = 0;
    for (const AnsweredTask& task : tasks_)
      sum += agreement(task, *task.find(pair.first->scorer), *task.find(pair.second));
    return sum / static_cast<double>(tasks_.size());
  }

  std::span<const AnsweredTask> tasks_;
  std::vector<const Answers*> scorers_;
  std::vector<std::string> groups_;
  std::vector<size_t> begins_{0};  // of each task's images among all, and their end
  std::map<std::string, std::vector<RankedAnswers>> ranked_;
  JointFigures figures_;
  std::map<std::string, Places> places_;
  std::vector<Pair> pairs_;
};

}  // namespace

TaskResult summarize(const std::string& name, std::span<const AnsweredTask> tasks,
                     const FigureOptions& options) {
  return Summary(tasks).result(name, options);
}

}  // namespace mii
