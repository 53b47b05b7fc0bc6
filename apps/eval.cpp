#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>

#include "commands.h"
#include "core/file.h"
#include "core/reason.h"
#include "core/utf8.h"
#include "eval/report.h"
#include "eval/tasks.h"
#include "image/alter.h"
#include "image/encode_jpeg.h"
#include "image/preprocess.h"
#include "inputs.h"
#include "interrupt.h"
#include "mii/error.h"
#include "model_flags.h"
#include "output.h"
#include "dataset/manifest.h"

namespace mii {
namespace {

struct Flags {
  ModelFlags model;
  std::string manifest;
  std::string tasks;
  std::vector<std::string> fields;
  std::vector<std::string> where;
  std::vector<std::string> neighbours_from;
  size_t k = 5;
  size_t resamples = 1000;
  std::string html;
  std::string json;
};

/// Rows of a manifest with what they look like to the model and as pixels.
struct EncodedRows {
  Manifest manifest;
  std::vector<size_t> rows;  ///< those whose image could be read
  std::vector<std::string> groups;
  Matrix vectors;
  Matrix pixels;  ///< 32 x 32 luma
};

constexpr size_t kThumbnail = 112;

std::string group_of(const Manifest& manifest, size_t row) {
  const std::string& patient = manifest.at(row, "patient");
  return patient.empty() ? manifest.at(row, "path") : manifest.at(row, "source") + "/" + patient;
}

void read_luma(const Image& image, std::span<float> to) {
  const Image small = resize_bicubic(image, 32, 32);
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

EncodedRows encode(const Engine& engine, Manifest manifest, bool quiet, std::vector<Failure>& failures) {
  EncodedRows encoded{std::move(manifest), {}, {}, {}, {}};
  std::vector<ImageInput> paths;
  for (size_t row = 0; row < encoded.manifest.rows(); ++row)
    paths.push_back({encoded.manifest.path(row).string(), std::nullopt});
  Matrix vectors(paths.size(), engine.info().embedding_dim), pixels(paths.size(), 32 * 32);
  size_t n = 0;
  const auto failed = encode_image_files(
      engine, paths, {}, quiet,
      [&](const std::vector<size_t>& indices, const Matrix& batch, std::span<const Image>) {
        for (size_t i = 0; i < indices.size(); ++i) {
          try {
            read_luma(Image::read(paths[indices[i]].path), pixels.row(n));
          } catch (const std::exception& error) {
            failures.push_back({paths[indices[i]].name(), reason_of(error)});
            continue;
          }
          std::ranges::copy(batch.row(i), vectors.row(n).begin());
          encoded.rows.push_back(indices[i]);
          encoded.groups.push_back(group_of(encoded.manifest, indices[i]));
          ++n;
        }
      });
  failures.insert(failures.end(), failed.begin(), failed.end());
  std::vector<size_t> kept(n);
  std::iota(kept.begin(), kept.end(), 0);
  encoded.vectors = some_rows(vectors, kept);
  encoded.pixels = some_rows(pixels, kept);
  return encoded;
}

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

/// What the images of a task were answered.
struct Answers {
  Asked asked;
  Matrix scores;  ///< zero-shot
  Matrix votes;   ///< of the embeddings' nearest neighbours; no rows where there are no references
  Matrix bare;    ///< of the pixels'
};

class Evaluation {
 public:
  Evaluation(const Flags& flags, const Engine& engine, const EncodedRows& data, const EncodedRows* references)
      : flags_(flags), engine_(engine), data_(data), references_(references) {}

  // Nothing when no image has one of the task's labels.
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
    result.confusion = confusion(scores, asked.truth);
    for (size_t c = 0; c < labels.size(); ++c)
      result.labels.push_back(label_result(labels[c], c, scores, asked, result));
    add_examples(labels, scores, asked, result);
    if (task.corruptions) add_corruptions(head, scores, asked, result);
    if (!task.mean.empty()) means_[task.mean].push_back(std::move(answers));
    return result;
  }

  // Of the tasks so far that share a mean, where there are several.
  std::vector<TaskResult> means() const {
    std::vector<TaskResult> results;
    for (const auto& [name, tasks] : means_)
      if (tasks.size() > 1)
        results.push_back(summary(name + ", mean of " + std::to_string(tasks.size()) + " tasks", tasks));
    return results;
  }

 private:
  using Statistic = std::function<double(const Matrix& scores, std::span<const size_t> truth)>;

  // The tasks' mean of a statistic of these answers, with its interval: patients are drawn from all tasks
  // together. Less that of other answers of the same draws, where there are some.
  Estimate estimate(std::span<const Answers> tasks, const Statistic& statistic, Matrix Answers::*answers,
                    Matrix Answers::*others = nullptr) const {
    std::vector<std::string> groups;
    std::vector<std::pair<size_t, size_t>> places;  // task, row
    for (size_t t = 0; t < tasks.size(); ++t) {
      for (size_t row = 0; row < tasks[t].asked.items.size(); ++row) {
        groups.push_back(tasks[t].asked.groups[row]);
        places.emplace_back(t, row);
      }
    }
    return bootstrap(groups, flags_.resamples, 1, [&](std::span<const size_t> rows) {
      std::vector<std::vector<size_t>> drawn(tasks.size());
      for (const size_t r : rows) drawn[places[r].first].push_back(places[r].second);
      double sum = 0;
      for (size_t t = 0; t < tasks.size(); ++t) {
        if (drawn[t].empty()) return std::nan("");
        std::vector<size_t> truth;
        for (const size_t row : drawn[t]) truth.push_back(tasks[t].asked.truth[row]);
        sum += statistic(some_rows(tasks[t].*answers, drawn[t]), truth);
        if (others != nullptr) sum -= statistic(some_rows(tasks[t].*others, drawn[t]), truth);
      }
      return sum / static_cast<double>(tasks.size());
    });
  }

  TaskResult summary(const std::string& name, std::span<const Answers> tasks) const {
    const auto top = [](size_t k) {
      return [k](const Matrix& scores, std::span<const size_t> truth) {
        return top_k_accuracy(scores, truth, k);
      };
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

  static LabelResult label_result(const std::string& label, size_t c, const Matrix& scores,
                                  const Asked& asked, const TaskResult& result) {
    std::vector<float> column;
    std::vector<bool> positive;
    for (size_t r = 0; r < scores.rows(); ++r) {
      column.push_back(scores.row(r)[c]);
      positive.push_back(asked.truth[r] == c);
    }
    const auto images = static_cast<size_t>(std::count(positive.begin(), positive.end(), true));
    const double right = static_cast<double>(result.confusion[c * scores.cols() + c]);
    return {label, images, images == 0 ? NAN : right / static_cast<double>(images), roc_auc(column, positive),
            roc_curve(column, positive)};
  }

  // Of the model's vectors and, to compare with, of bare pixels.
  void ask_neighbours(const EvalTask& task, Answers& answers) const {
    const EncodedRows& from = references_ != nullptr ? *references_ : data_;
    const Asked known = asked_of(task, from);
    if (known.items.empty()) return;
    const auto votes = [&](const Matrix& reference, const Matrix& queries) {
      return nearest_neighbour_votes(some_rows(reference, known.items), known.truth, known.groups,
                                     some_rows(queries, answers.asked.items), answers.asked.groups,
                                     task.labels.size(), flags_.k);
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
      for (size_t begin = 0; begin < asked.items.size() && !interrupted(); begin += batch) {
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

  const Flags& flags_;
  const Engine& engine_;
  const EncodedRows& data_;
  const EncodedRows* references_;
  std::map<std::string, std::vector<Answers>> means_;
};

void write_text(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

int evaluate(const Flags& flags) {
  std::vector<EvalTask> tasks = flags.tasks.empty() ? std::vector<EvalTask>{} : read_tasks(flags.tasks);
  for (const std::string& field : flags.fields) tasks.push_back({.name = field, .field = field});
  if (tasks.empty())
    throw Error(ErrorCode::invalid_argument, "nothing is asked: --tasks or --field is needed");
  Manifest asked = Manifest::read(flags.manifest);
  for (const std::string& condition : flags.where) asked.keep_where(condition);
  for (const EvalTask& task : tasks)
    if (!asked.has(task.field))
      throw Error(ErrorCode::invalid_argument, flags.manifest + ": has no column '" + task.field + "'");

  const Engine engine = flags.model.open();
  std::vector<Failure> failures;
  const EncodedRows data = encode(engine, std::move(asked), flags.model.quiet, failures);
  std::optional<EncodedRows> references;
  if (!flags.neighbours_from.empty()) {
    Manifest known = Manifest::read(flags.manifest);
    for (const std::string& condition : flags.neighbours_from) known.keep_where(condition);
    references = encode(engine, std::move(known), flags.model.quiet, failures);
  }
  EvalReport report{engine.info().weights_file, flags.manifest, flags.k, {}};
  for (const std::string& condition : flags.where) report.data += ", " + condition;
  Evaluation evaluation(flags, engine, data, references ? &*references : nullptr);
  for (const EvalTask& task : tasks) {
    if (interrupted()) break;
    if (auto result = evaluation.run(task))
      report.tasks.push_back(std::move(*result));
    else if (!flags.model.quiet)
      say("warning: task '" + task.name + "' left out: no image has one of its labels");
  }
  if (!interrupted()) {
    for (TaskResult& mean : evaluation.means()) report.tasks.push_back(std::move(mean));
    if (report.tasks.empty())
      throw Error(ErrorCode::invalid_argument, report.data + ": no image has a label of any task");
    std::fputs(printable_lines(to_table(report)).c_str(), stdout);
    if (!flags.json.empty()) write_text(flags.json, to_json(report));
    if (!flags.html.empty()) write_text(flags.html, to_html(report));
  }
  return mii::report(failures);
}

}  // namespace

void add_eval(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("eval", "Measure a model on labelled images, without training");
  command
      ->add_option("manifest", flags->manifest,
                   "Table of images: path, patient, and columns with the truth (TSV)")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--tasks", flags->tasks, "What to ask: label sets for some of the images (YAML)")
      ->check(CLI::ExistingFile);
  command
      ->add_option("--field", flags->fields, "Ask about a column, with its values as labels; may be repeated")
      ->expected(1)
      ->take_all();
  command->add_option("--where", flags->where, "Use rows with column=value[,value...]; may be repeated")
      ->expected(1)
      ->take_all();
  command
      ->add_option("--neighbours-from", flags->neighbours_from,
                   "Take the nearest neighbours from rows with column=value; else from other patients of the "
                   "same rows")
      ->expected(1)
      ->take_all();
  command->add_option("-k", flags->k, "Nearest neighbours that vote")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--resamples", flags->resamples, "Bootstrap draws for the confidence intervals")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  command->add_option("--html", flags->html, "Also write a page with plots and example pictures");
  command->add_option("--json", flags->json, "Also write all figures as JSON");
  flags->model.add_to(*command);
  command->callback([&chosen, flags] { chosen = [flags] { return evaluate(*flags); }; });
}

}  // namespace mii
