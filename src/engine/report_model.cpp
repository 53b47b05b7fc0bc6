#include "engine/report_model.h"

#include <algorithm>
#include <string>
#include <utility>

#include "mii/error.h"
#include "weights/report_model.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

// Longer prompts are refused in any case: no context holds so many tokens.
constexpr size_t kLongestPrompt = size_t{1} << 21;

ReportDecoderConfig read_config(const fs::path& folder, int64_t image_dim, int64_t vocabulary) {
  const ReportDecoderConfig config = ReportDecoderConfig::read(ReportModelFolder::find(folder).config);
  expect_fit(config, image_dim, vocabulary);
  return config;
}

TextSearchOptions search_options(const ReportOptions& options) {
  return {.beams = options.beams,
          .top_p = options.top_p,
          .temperature = options.temperature,
          .seed = options.seed,
          .no_repeat = options.no_repeat,
          .repetition_penalty = options.repetition_penalty};
}

}  // namespace

ReportModel::ReportModel(const fs::path& folder, int64_t image_dim, const ClipTokenizer& tokenizer,
                         Backend& backend, ComputeThread& compute)
    : tokenizer_(tokenizer),
      compute_(compute),
      config_(read_config(folder, image_dim, tokenizer.vocabulary_size())),
      checkpoint_(Checkpoint::open(ReportModelFolder::find(folder).weights, report_decoder_specs(config_))) {
  compute_.run([&] { decoder_ = std::make_unique<ReportDecoder>(config_, checkpoint_, backend); });
  info_ = {.folder = folder,
           .parameters = checkpoint_.parameters(),
           .context_length = static_cast<size_t>(config_.context_length),
           .width = static_cast<size_t>(config_.width),
           .layers = static_cast<size_t>(config_.layers),
           .least_support = config_.least_support};
}

ReportModel::Request ReportModel::request(const ReportOptions& options) const {
  Request request{tokenizer_.encode(options.prompt, kLongestPrompt), search_options(options)};
  check(request.search);
  // The two special tokens mean something at the ends alone.
  std::vector<int32_t>& prompt = request.prompt;
  const auto inner = std::remove_if(prompt.begin() + 1, prompt.end() - 1, [&](int32_t id) {
    return id == tokenizer_.start_id() || id == tokenizer_.end_id();
  });
  prompt.erase(inner, prompt.end() - 1);
  if (prompt.size() >= info_.context_length)
    throw Error(ErrorCode::invalid_argument,
                "the prompt has " + std::to_string(prompt.size() - 2) + " tokens; the decoder's context of " +
                    std::to_string(info_.context_length) + " has room for " +
                    std::to_string(info_.context_length - 3) + " beside the report");
  const size_t room = info_.context_length - prompt.size();
  request.search.most_tokens = options.max_tokens == 0 ? room : std::min(options.max_tokens, room);
  return request;
}

ReportRun::ReportRun(ReportModel& model, ReportModel::Request request, size_t images, const GetTokens& tokens)
    : model_(model),
      request_(std::move(request)),
      texts_(images, Detokenizer(model.tokenizer_)),
      told_(images) {
  model_.compute_.run([&] {
    try {
      tokens([&](ConstRows rows) {
        writer_ = std::make_shared<ReportWriter>(
            *model_.decoder_, rows, images, request_.prompt, request_.search,
            TextSearch::Ids{model_.tokenizer_.start_id(), model_.tokenizer_.end_id()});
      });
    } catch (...) {
      writer_.reset();
      throw;
    }
  });
}

ReportRun::~ReportRun() {
  model_.compute_.post([writer = std::move(writer_)]() mutable { writer.reset(); });
}

bool ReportRun::step() {
  bool more = false;
  model_.compute_.run([&] { more = writer_->step(); });
  return more;
}

// With beams the text is known at the end alone.
std::string ReportRun::take(size_t image) {
  const TextSearch& search = writer_->report(image);
  std::string piece;
  if (request_.search.beams > 1 && !search.done()) return piece;
  for (size_t& told = told_[image]; told < search.ids().size(); ++told)
    piece += texts_[image].add(search.ids()[told]);
  return piece;
}

Report ReportRun::report(size_t image) const {
  const TextSearch& search = writer_->report(image);
  return {.text = texts_[image].text(),
          .complete = search.complete(),
          .prompt_tokens = request_.prompt.size(),
          .tokens = search.ids().size(),
          .image_vector = {}};
}

ReportInProgress::ReportInProgress(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ReportInProgress::ReportInProgress(ReportInProgress&&) noexcept = default;
ReportInProgress& ReportInProgress::operator=(ReportInProgress&&) noexcept = default;
ReportInProgress::~ReportInProgress() = default;

bool ReportInProgress::step() { return impl_->step(); }
std::string ReportInProgress::take() { return impl_->take(0); }
Report ReportInProgress::report() const { return impl_->report(0); }

}  // namespace mii
