#include "engine/report_model.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "mii/error.h"
#include "weights/report_model.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

static_assert(ReportOptions::kMostBeams == TextSearchOptions::kMostBeams);
static_assert(ReportOptions::kMostTokens == ReportDecoderConfig::kLongestContext);

constexpr size_t kMostAtOnce = 16;
// Of what is kept of reports that are written side by side, and so of one.
constexpr uint64_t kMostBytes = uint64_t{512} << 20;
// How long a step waits for the threads that will want the next token too: they have just got theirs.
constexpr std::chrono::microseconds kGathering{300};

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

ReportModel::ReportModel(const fs::path& folder, const TokenShape& image, const ClipTokenizer& tokenizer,
                         Backend& backend, ComputeThread& compute)
    : image_tokens_(image.tokens()),
      tokenizer_(tokenizer),
      compute_(compute),
      config_(read_config(folder, static_cast<int64_t>(image.channels), tokenizer.vocabulary_size())),
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
  Request request{tokenizer_.encode_words(options.prompt), search_options(options)};
  check(request.search);
  std::vector<int32_t>& prompt = request.prompt;
  prompt.insert(prompt.begin(), tokenizer_.start_id());
  prompt.push_back(tokenizer_.end_id());
  if (prompt.size() >= info_.context_length)
    throw Error(ErrorCode::invalid_argument,
                "the prompt has " + std::to_string(prompt.size() - 2) + " tokens; the decoder's context of " +
                    std::to_string(info_.context_length) + " has room for " +
                    std::to_string(info_.context_length - 3) + " beside the report");
  const size_t room = info_.context_length - prompt.size();
  request.search.most_tokens = options.max_tokens == 0 ? room : std::min(options.max_tokens, room);
  if (const uint64_t needed = bytes(request); needed > kMostBytes)
    throw Error(ErrorCode::invalid_argument,
                "a report of " + std::to_string(request.search.beams) + " beams and " +
                    std::to_string(request.search.most_tokens) + " tokens keeps " +
                    std::to_string(needed >> 20) + " MiB while it is written, at most " +
                    std::to_string(kMostBytes >> 20) + ": ask for fewer beams or tokens");
  return request;
}

uint64_t ReportModel::bytes(const Request& request) const {
  const size_t rows = request.prompt.size() + request.search.beams * request.search.most_tokens;
  const size_t logits = request.search.beams * static_cast<size_t>(config_.vocabulary);
  return ReportSession::bytes(config_, static_cast<int64_t>(image_tokens_), static_cast<int64_t>(rows)) +
         2 * logits * sizeof(float);  // on the backend and on the host
}

size_t ReportModel::at_once(const Request& request) const {
  return std::clamp<size_t>(kMostBytes / bytes(request), 1, kMostAtOnce);
}

void ReportModel::step(ReportWriter& writer) {
  Waiting mine{&writer, nullptr};
  {
    const std::lock_guard lock(waiting_mutex_);
    waiting_.push_back(&mine);
  }
  waiting_changed_.notify_one();
  // Unless work that was queued before this has computed the token already.
  compute_.run([&] { step_all_that_wait(); });
  if (mine.error) std::rethrow_exception(mine.error);
}

void ReportModel::step_all_that_wait() {
  std::vector<Waiting*> all;
  {
    std::unique_lock lock(waiting_mutex_);
    if (waiting_.empty()) return;
    waiting_changed_.wait_for(lock, kGathering, [&] { return waiting_.size() >= unfinished_; });
    all.swap(waiting_);
  }
  std::vector<ReportWriter*> writers;
  for (const Waiting* waiting : all) writers.push_back(waiting->writer);
  try {
    ReportWriter::step(writers);
  } catch (...) {
    for (Waiting* waiting : all) waiting->error = std::current_exception();
  }
}

ReportRun::ReportRun(ReportModel& model, ReportModel::Request request, std::span<const ImageTokens> images)
    : model_(model),
      request_(std::move(request)),
      texts_(images.size(), Detokenizer(model.tokenizer_)),
      told_(images.size()) {
  model_.compute_.run([&] {
    Backend& backend = model_.decoder_->backend();
    Buffer buffer(backend);
    const auto each = static_cast<int64_t>(images.front().tokens.rows());
    const Rows rows = buffer.take(each * static_cast<int64_t>(images.size()), model_.config_.image_dim);
    for (size_t i = 0; i < images.size(); ++i)
      backend.upload(images[i].tokens.values(), rows.slice(static_cast<int64_t>(i) * each, each));
    writer_ = std::make_shared<ReportWriter>(
        *model_.decoder_, rows, images.size(), request_.prompt, request_.search,
        TextSearch::Ids{model_.tokenizer_.start_id(), model_.tokenizer_.end_id()});
  });
  const std::lock_guard lock(model_.waiting_mutex_);
  ++model_.unfinished_;
}

ReportRun::~ReportRun() {
  finish();
  model_.compute_.post([writer = std::move(writer_)]() mutable { writer.reset(); });
}

// Nobody waits for it any more.
void ReportRun::finish() {
  if (std::exchange(finished_, true)) return;
  {
    const std::lock_guard lock(model_.waiting_mutex_);
    --model_.unfinished_;
  }
  model_.waiting_changed_.notify_one();
}

bool ReportRun::step() {
  if (!writer_->done()) model_.step(*writer_);
  if (writer_->done()) finish();
  return !writer_->done();
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
std::string ReportInProgress::take(size_t image) { return impl_->take(image); }
Report ReportInProgress::report(size_t image) const { return impl_->report(image); }

}  // namespace mii
