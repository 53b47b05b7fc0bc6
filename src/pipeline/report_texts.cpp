#include "pipeline/report_texts.h"

#include <algorithm>
#include <utility>

#include "dataset/report_problem.h"
#include "mii/error.h"
#include "pipeline/encode_tokens.h"
#include "text/clip_tokenizer.h"
#include "text/repair.h"
#include "weights/model_folder.h"

namespace mii::pipeline {
namespace {

constexpr int64_t kContext = 256;
constexpr size_t kLongestText = size_t{1} << 20;  // bytes, of what the tokenizer takes

ReportDecoderConfig config_of(const ReportTextOptions& options, const ModelFolder& folder,
                              int64_t vocabulary) {
  const ModelConfig model = ModelConfig::read(folder.config);
  const auto given_or = [](int64_t given, int64_t otherwise) { return given > 0 ? given : otherwise; };
  ReportDecoderConfig config{.context_length = given_or(options.context_length, kContext),
                             .width = given_or(options.width, model.text.width),
                             .heads = given_or(options.heads, model.text.heads),
                             .layers = given_or(options.layers, model.text.layers),
                             .image_dim = model.image.stages.back().dim,
                             .vocabulary = vocabulary,
                             .least_support = {}};
  if (config.width % config.heads != 0)
    throw Error(
        ErrorCode::invalid_argument,
        std::to_string(config.heads) + " heads do not divide a width of " + std::to_string(config.width));
  return config;
}

// Rows become texts.
class Texts {
 public:
  Texts(const Manifest& manifest, const ReportTextOptions& options)
      : manifest_(manifest),
        options_(options),
        tokenizer_(ClipTokenizer::load(ModelFolder::find(options.model).tokenizer)) {
    problem.config = config_of(options, ModelFolder::find(options.model), tokenizer_.vocabulary_size());
    for (size_t row = 0; row < manifest.rows(); ++row) add(row);
    expect_something_to_learn();
  }

  void expect_something_to_learn() const {
    if (std::ranges::none_of(problem.texts,
                             [](const ReportText& t) { return t.use == ReportText::Use::learn; }))
      throw Error(ErrorCode::invalid_argument,
                  "the manifest has no row of the split train with a text and an image that can be read");
  }

  /// Without the texts that are left out.
  ReportTextSummary summary() {
    ReportTextSummary summary{.without_text = without_text_, .failures = std::move(failures)};
    for (size_t t = 0; t < problem.texts.size(); ++t) {
      if (problem.texts[t].use == ReportText::Use::leave_out) continue;
      ++(problem.texts[t].use == ReportText::Use::learn ? summary.learn : summary.validate);
      summary.cut += seen_[t].cut ? 1 : 0;
      summary.scrubbed_texts += seen_[t].scrubbed_texts;
      for (size_t kind = 0; kind < summary.scrubbed.size(); ++kind)
        summary.scrubbed[kind] += seen_[t].scrubbed[kind];
    }
    return summary;
  }

  ReportProblem problem;
  std::vector<ImageInput> inputs;
  std::vector<Failure> failures;

 private:
  // What was done to a text and its prompt.
  struct Seen {
    bool cut = false;
    size_t scrubbed_texts = 0;
    decltype(ReportTextSummary::scrubbed) scrubbed{};
  };

  void add(size_t row) {
    const std::string& text = manifest_.at(row, options_.text_column);
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
      ++without_text_;
      return;
    }
    const std::string path = manifest_.path(row).string();
    try {
      Seen seen;
      const std::string prompt =
          options_.prompt_column.empty() ? "" : scrubbed(manifest_.at(row, options_.prompt_column), seen);
      ReportText made =
          joined(tokenizer_.encode_words(prompt), tokenizer_.encode_words(scrubbed(text, seen)), seen);
      made.image = static_cast<int64_t>(inputs.size());
      made.use = learns_from(manifest_, row) ? ReportText::Use::learn : ReportText::Use::validate;
      problem.texts.push_back(std::move(made));
      seen_.push_back(seen);
      inputs.push_back({path, {}});
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_text) throw;
      failures.push_back({path, error.what()});
    }
  }

  static std::string scrubbed(const std::string& text, Seen& seen) {
    expect_utf8(text);
    if (text.size() > kLongestText) return text;  // which the tokenizer refuses
    reports::Scrubbed result = reports::scrub(text);
    for (size_t kind = 0; kind < result.found.size(); ++kind) seen.scrubbed[kind] += result.found[kind];
    seen.scrubbed_texts += result.any() ? 1 : 0;
    return std::move(result.text);
  }

  // A text that does not end within the context has no end token.
  ReportText joined(const std::vector<int32_t>& prompt, const std::vector<int32_t>& text, Seen& seen) const {
    const auto context = static_cast<size_t>(problem.config.context_length);
    if (const size_t most = context / 2 - 2; prompt.size() > most)
      throw Error(ErrorCode::invalid_text, "a prompt of " + std::to_string(prompt.size()) +
                                               " tokens; half of the decoder's context holds " +
                                               std::to_string(most));
    ReportText made{.ids = {tokenizer_.start_id()}};
    made.ids.insert(made.ids.end(), prompt.begin(), prompt.end());
    made.ids.push_back(tokenizer_.end_id());
    made.report = static_cast<int64_t>(made.ids.size());
    made.ids.insert(made.ids.end(), text.begin(), text.end());
    made.ids.push_back(tokenizer_.end_id());
    seen.cut = made.ids.size() > context;
    made.ids.resize(std::min(made.ids.size(), context));
    return made;
  }

  const Manifest& manifest_;
  const ReportTextOptions& options_;
  const ClipTokenizer tokenizer_;
  size_t without_text_ = 0;
  std::vector<Seen> seen_;  // by text
};

}  // namespace

bool learns_from(const Manifest& manifest, size_t row) {
  return !manifest.has("split") || manifest.at(row, "split") == "train";
}

ReportTextSummary make_report_problem(const Engine& engine, const Manifest& manifest,
                                      const ReportTextOptions& options, const std::filesystem::path& out) {
  for (const std::string& column : {options.text_column, options.prompt_column})
    if (!column.empty() && !manifest.has(column))
      throw Error(ErrorCode::invalid_argument, "the manifest has no column '" + column + "'");
  Texts texts(manifest, options);
  ReportProblem& problem = texts.problem;
  const ModelInfo& info = engine.info();
  problem.images = static_cast<int64_t>(texts.inputs.size());
  problem.image_tokens = static_cast<int64_t>(info.token_rows * info.token_cols);

  ReportProblemWriter file(problem, out);
  const std::vector<float> none(static_cast<size_t>(problem.image_tokens * problem.config.image_dim));
  size_t next = 0;
  const auto leave_out_until = [&](size_t index) {
    for (; next < index; ++next) {
      file.add_image(none);
      problem.texts[next].use = ReportText::Use::leave_out;
    }
  };
  std::vector<Failure> failures =
      encode_image_tokens(engine, images_of(texts.inputs, options.decode), options.read,
                          [&](size_t index, const ImageTokens& tokens, const Image&) {
                            leave_out_until(index);
                            file.add_image(tokens.tokens.values());
                            ++next;
                          });
  if (options.read.cancelled && options.read.cancelled())
    throw Error(ErrorCode::cancelled, "stopped before all images were read");
  leave_out_until(texts.inputs.size());
  texts.expect_something_to_learn();
  file.commit(problem);
  std::ranges::move(failures, std::back_inserter(texts.failures));
  return texts.summary();
}

}  // namespace mii::pipeline
