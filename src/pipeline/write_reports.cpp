#include "pipeline/write_reports.h"

#include <utility>

#include "mii/error.h"
#include "pipeline/encode_tokens.h"

namespace mii::pipeline {
namespace {

// Collects the tokens of images until as many reports are written as may be at once.
class ReportBatch {
 public:
  ReportBatch(const Engine& engine, const ReadOptions& read, const ReportTask& task)
      : engine_(engine), read_(read), task_(task) {}

  void add(size_t index, const ImageTokens& tokens) {
    ReportOptions options = task_.options(index);
    if (!images_.empty() && options.prompt != options_.prompt) write();
    options_ = std::move(options);
    indices_.push_back(index);
    images_.push_back({tokens.tokens.clone(), tokens.rows, tokens.cols, tokens.vector});
    if (images_.size() == engine_.reports_at_once(options_)) write();
  }

  void write() {
    if (images_.empty()) return;
    ReportInProgress writing = engine_.begin_reports(images_, options_);
    bool more = true;
    while (more) {
      if (read_.cancelled && read_.cancelled()) give_up();
      more = writing.step();
      for (size_t i = 0; i < images_.size(); ++i) tell(i, writing.take(i));
    }
    for (size_t i = 0; i < images_.size(); ++i) {
      Report report = writing.report(i);
      report.image_vector = std::move(images_[i].vector);
      task_.sink(indices_[i], report);
    }
    indices_.clear();
    images_.clear();
  }

 private:
  [[noreturn]] static void give_up() {
    throw Error(ErrorCode::cancelled, "stopped before all reports were written");
  }

  void tell(size_t i, const std::string& piece) const {
    if (!piece.empty() && options_.on_text && !options_.on_text(indices_[i], piece)) give_up();
  }

  const Engine& engine_;
  const ReadOptions& read_;
  const ReportTask& task_;
  ReportOptions options_;
  std::vector<size_t> indices_;
  std::vector<ImageTokens> images_;
};

}  // namespace

std::vector<Failure> write_reports(const Engine& engine, const ImageSequence& images, const ReadOptions& read,
                                   const ReportTask& task) {
  ReportBatch batch(engine, read, task);
  auto failures = encode_image_tokens(
      engine, images, read,
      [&](size_t index, const ImageTokens& tokens, const Image&) { batch.add(index, tokens); });
  batch.write();
  return failures;
}

}  // namespace mii::pipeline
