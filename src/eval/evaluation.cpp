#include "eval/evaluation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "eval/neighbours.h"
#include "image/alter.h"
#include "image/encode_jpeg.h"
#include "image/preprocess.h"
#include "stats/answers.h"
#include "stats/bootstrap.h"

namespace mii {
namespace {

constexpr size_t kThumbnail = 112;
constexpr size_t kLumaSide = 32;

std::string group_of(const Manifest& manifest, size_t row) {
  const std::string& patient = manifest.at(row, "patient");
  return patient.empty() ? manifest.at(row, "path") : manifest.at(row, "source") + "/" + patient;
}

void read_luma(const Image& image, std::span<float> to) {
  const Image small = resize_bicubic(image, kLumaSide, kLumaSide);
  for (size_t i = 0; i < to.size(); ++i) {
    const uint8_t* p = small.pixels().data() + 3 * i;
    to[i] = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
  }
}

Matrix some_rows(const Matrix& m, const std::vector<size_t>& rows) {
  Matrix some(rows.size(), m.cols());
  for (size_t i = 0; i < rows.size(); ++i) std::ranges::copy(m.row(rows[i]), some.row(i).begin());
  return some;
}

}  // namespace

EncodedRows encode_rows(const Engine& engine, Manifest manifest, const pipeline::ReadOptions& options,
                        std::vector<pipeline::Failure>& failures) {
  EncodedRows encoded{std::move(manifest), {}, {}, {}, {}};
  const size_t rows = encoded.manifest.rows();
  std::vector<pipeline::ImageInput> inputs;
  for (size_t row = 0; row < rows; ++row)
    inputs.push_back({encoded.manifest.path(row).string(), std::nullopt});
  Matrix vectors(rows, engine.info().embedding_dim), pixels(rows, kLumaSide * kLumaSide);
  const auto failed = pipeline::encode_images(
      engine, pipeline::images_of(std::move(inputs), {}), options,
      [&](const std::vector<size_t>& indices, const Matrix& batch, std::span<const Image>) {
        for (size_t i = 0; i < indices.size(); ++i) {
          std::ranges::copy(batch.row(i), vectors.row(indices[i]).begin());
          encoded.rows.push_back(indices[i]);
          encoded.groups.push_back(group_of(encoded.manifest, indices[i]));
        }
      },
      [&](size_t row, const Image& image) { read_luma(image, pixels.row(row)); });
  failures.insert(failures.end(), failed.begin(), failed.end());
  encoded.vectors = some_rows(vectors, encoded.rows);
  encoded.pixels = some_rows(pixels, encoded.rows);
  return encoded;
}

namespace {

/// The images that a task asks about, and their labels.
struct Asked {
  std::vector<size_t> items;  ///< indices into EncodedRows::rows
  std::vector<size_t> truth;
  std::vector<std::string> groups;
};

Asked asked_of(const EvalTask& task, const EncodedRows& data) {
  Asked asked;
  for (size_t i = 0; i < data.rows.size(); ++i) {
    const auto fits = [&](const auto& condition) {
      return std::ranges::find(condition.second, data.manifest.at(data.rows[i], condition.first)) !=
             condition.second.end();
    };
    if (!std::ranges::all_of(task.where, fits)) continue;
    const auto label = task.label_of(data.manifest.at(data.rows[i], task.field));
    if (!label) continue;
    asked.items.push_back(i);
    asked.truth.push_back(*label);
    asked.groups.push_back(data.groups[i]);
  }
  return asked;
}

/// The answers for the images of a task.
struct Answers {
  Asked asked;
  Matrix scores;  ///< zero-shot
  Matrix votes;   ///< of the embeddings' nearest neighbours; no rows where there are no references
  Matrix bare;    ///< of the pixels'
};

}  // namespace

class Evaluation::Impl {
 public:
  Impl(const EvaluationOptions& options, const Engine& engine, const EncodedRows& data,
       const EncodedRows* references)
      : options_(options), engine_(engine), data_(data), references_(references) {}

  std::optional<TaskResult> run(EvalTask task) {
    if (task.labels.empty()) use_values_as_labels(task);
    Answers answers{.asked = asked_of(task, data_)};
    const Asked& asked = answers.asked;
    if (asked.items.empty()) return std::nullopt;
    std::vector<std::string> labels;
    for (const auto& [label, values] : task.labels) labels.push_back(label);
    const ClassifyOptions options{.templates = task.templates};
    const ZeroShotHead head = engine_.zero_shot_head(labels, options);
    answers.scores = head.score(some_rows(data_.vectors, asked.items));
    ask_neighbours(task, answers);

    TaskResult result = summary(task.name, {&answers, 1});
    const Matrix& scores = answers.scores;
    const stats::RankedAnswers ranked(scores, asked.truth);
    result.confusion = ranked.confusion();
    for (size_t c = 0; c < labels.size(); ++c)
      result.labels.push_back(label_result(labels[c], c, ranked, result));
    add_examples(labels, scores, asked, result);
    if (task.corruptions) add_corruptions(head, scores, asked, result);
    if (!task.mean.empty()) means_[task.mean].push_back(std::move(answers));
    return result;
  }

  std::vector<TaskResult> means() const {
    std::vector<TaskResult> results;
    for (const auto& [name, tasks] : means_)
      if (tasks.size() > 1)
        results.push_back(summary(name + ", mean of " + std::to_string(tasks.size()) + " tasks", tasks));
    return results;
  }

 private:
  using Statistic = std::function<double(const stats::RankedAnswers& answers, stats::Multiplicities times)>;

  // The tasks' mean of a statistic of these answers, with its interval: patients are drawn from all tasks
  // together. Minus that of other answers on the same draws, where given.
  Estimate estimate(std::span<const Answers> tasks, const Statistic& statistic, Matrix Answers::*answers,
                    Matrix Answers::*others = nullptr) const {
    std::vector<std::string> groups;
    std::vector<stats::RankedAnswers> ranked, other;
    for (const Answers& task : tasks) {
      groups.insert(groups.end(), task.asked.groups.begin(), task.asked.groups.end());
      ranked.emplace_back(task.*answers, task.asked.truth);
      if (others != nullptr) other.emplace_back(task.*others, task.asked.truth);
    }
    const auto mean = [&](stats::Multiplicities times, std::span<double> figure) {
      double sum = 0;
      size_t begin = 0;
      for (size_t t = 0; t < tasks.size(); ++t) {
        const size_t images = tasks[t].asked.items.size();
        const auto own = times.empty() ? times : times.subspan(begin, images);
        sum += statistic(ranked[t], own);
        if (others != nullptr) sum -= statistic(other[t], own);
        begin += images;
      }
      figure[0] = sum / static_cast<double>(tasks.size());
    };
    return stats::bootstrap(stats::make_groups(groups), 1, {.resamples = options_.resamples}, mean).front();
  }

  TaskResult summary(const std::string& name, std::span<const Answers> tasks) const {
    const auto top = [](size_t k) {
      return [k](const stats::RankedAnswers& answers, stats::Multiplicities times) {
        return answers.top_k_accuracy(k, times);
      };
    };
    const auto macro_auc = [](const stats::RankedAnswers& answers, stats::Multiplicities times) {
      return answers.macro_auc(times);
    };
    TaskResult result{.name = name};
    std::set<std::string> groups;
    for (const Answers& task : tasks) {
      result.images += task.asked.items.size();
      groups.insert(task.asked.groups.begin(), task.asked.groups.end());
    }
    result.groups = groups.size();
    result.top1 = estimate(tasks, top(1), &Answers::scores);
    result.top5 = estimate(tasks, top(5), &Answers::scores);
    result.macro_auc = estimate(tasks, macro_auc, &Answers::scores);
    if (std::ranges::any_of(tasks, [](const Answers& task) { return task.votes.rows() == 0; })) return result;
    const auto neighbours = [&](const char* vectors, Matrix Answers::*votes,
                                Matrix Answers::*others = nullptr) {
      return NeighboursResult{vectors, estimate(tasks, top(1), votes, others),
                              estimate(tasks, macro_auc, votes, others)};
    };
    result.neighbours = {neighbours("embeddings", &Answers::votes),
                         neighbours("32x32 pixels", &Answers::bare)};
    result.difference = neighbours("difference", &Answers::votes, &Answers::bare);
    return result;
  }

  void use_values_as_labels(EvalTask& task) const {
    std::set<std::string> values;
    for (size_t i = 0; i < data_.rows.size(); ++i) {
      const auto fits = [&](const auto& condition) {
        return std::ranges::find(condition.second, data_.manifest.at(data_.rows[i], condition.first)) !=
               condition.second.end();
      };
      if (const std::string& value = data_.manifest.at(data_.rows[i], task.field);
          !value.empty() && std::ranges::all_of(task.where, fits))
        values.insert(value);
    }
    for (const std::string& value : values) task.labels.emplace_back(value, std::vector{value});
  }

  static LabelResult label_result(const std::string& label, size_t c, const stats::RankedAnswers& ranked,
                                  const TaskResult& result) {
    const auto images = static_cast<double>(ranked.label(c).counts_at(0).positives());
    LabelResult made{label, static_cast<size_t>(images), NAN, ranked.label(c).auc(), {}};
    if (images > 0) made.recall = static_cast<double>(result.confusion[c * ranked.labels() + c]) / images;
    for (const stats::Cut& cut : stats::corners(ranked.label(c).cuts()))
      made.roc.emplace_back(1 - cut.counts.specificity(), cut.counts.sensitivity());
    return made;
  }

  // Of the model's vectors and, to compare with, of bare pixels.
  void ask_neighbours(const EvalTask& task, Answers& answers) const {
    const EncodedRows& from = references_ != nullptr ? *references_ : data_;
    const Asked known = asked_of(task, from);
    if (known.items.empty()) return;
    const auto votes = [&](const Matrix& reference, const Matrix& queries) {
      return nearest_neighbour_votes(some_rows(reference, known.items), known.truth, known.groups,
                                     some_rows(queries, answers.asked.items), answers.asked.groups,
                                     task.labels.size(), options_.k);
    };
    answers.votes = votes(from.vectors, data_.vectors);
    answers.bare = votes(from.pixels, data_.pixels);
  }

  // For each label, the surest right answer and the surest wrong ones.
  void add_examples(const std::vector<std::string>& labels, const Matrix& scores, const Asked& asked,
                    TaskResult& result) const {
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
          const auto path = data_.manifest.path(data_.rows[asked.items[r]]);
          result.examples.push_back(
              {labels[c], labels[best], row[best],
               encode_jpeg(resize_bicubic(Image::read(path), kThumbnail, kThumbnail), 70)});
        }
      }
    }
  }

  void add_corruptions(const ZeroShotHead& head, const Matrix& scores, const Asked& asked,
                       TaskResult& result) const {
    const auto answer = [](std::span<const float> row) {
      return std::ranges::max_element(row) - row.begin();
    };
    for (const Alteration alteration : all_alterations()) {
      CorruptionResult altered_result{.name = to_string(alteration)};
      const size_t batch = engine_.image_batch();
      for (size_t begin = 0; begin < asked.items.size() && !(options_.cancelled && options_.cancelled());
           begin += batch) {
        std::vector<Image> images;
        std::vector<size_t> of;  // rows of asked
        for (size_t r = begin; r < std::min(begin + batch, asked.items.size()); ++r) {
          const Image image = Image::read(data_.manifest.path(data_.rows[asked.items[r]]));
          if (!applies(alteration, image)) continue;
          images.push_back(altered(image, alteration));
          of.push_back(r);
        }
        if (images.empty()) continue;
        const Matrix answers = head.score(engine_.encode_images(images));
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
  const Engine& engine_;
  const EncodedRows& data_;
  const EncodedRows* references_;
  std::map<std::string, std::vector<Answers>> means_;
};

Evaluation::Evaluation(const EvaluationOptions& options, const Engine& engine, const EncodedRows& data,
                       const EncodedRows* references)
    : impl_(std::make_unique<Impl>(options, engine, data, references)) {}
Evaluation::~Evaluation() = default;

std::optional<TaskResult> Evaluation::run(EvalTask task) { return impl_->run(std::move(task)); }
std::vector<TaskResult> Evaluation::means() const { return impl_->means(); }

}  // namespace mii
