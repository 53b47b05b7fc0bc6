#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/compute_thread.h"
#include "mii/explain.h"
#include "mii/report.h"
#include "model/report_decoder.h"
#include "model/report_writer.h"
#include "text/clip_tokenizer.h"
#include "text/detokenizer.h"
#include "weights/checkpoint.h"

namespace mii {

/// An opened report decoder. Several threads may write at once: the next tokens of those that wait are
/// computed together, and all other computations take their turns between.
class ReportModel {
 public:
  /// Throws Error{invalid_model} for a folder without a decoder, or one of another image tower or tokenizer.
  /// What is passed must outlive this.
  ReportModel(const std::filesystem::path& folder, const TokenShape& image, const ClipTokenizer& tokenizer,
              Backend& backend, ComputeThread& compute);

  const ReportModelInfo& info() const { return info_; }
  /// Of its file.
  const std::vector<std::string>& warnings() const { return checkpoint_.warnings(); }

  /// Options that were checked, and what they mean for this decoder.
  struct Request {
    std::vector<int32_t> prompt;  ///< start, prompt, end
    TextSearchOptions search;
  };
  Request request(const ReportOptions& options) const;
  /// Reports that are written side by side, as memory allows.
  size_t at_once(const Request& request) const;

 private:
  friend class ReportRun;

  // What a report keeps while it is written.
  uint64_t bytes(const Request& request) const;

  // A thread that waits for the next token of its reports.
  struct Waiting {
    ReportWriter* writer;
    std::exception_ptr error;
  };
  void step(ReportWriter& writer);
  void step_all_that_wait();

  const size_t image_tokens_;
  const ClipTokenizer& tokenizer_;
  ComputeThread& compute_;
  ReportDecoderConfig config_;
  Checkpoint checkpoint_;
  std::unique_ptr<ReportDecoder> decoder_;
  ReportModelInfo info_;

  std::mutex waiting_mutex_;
  std::condition_variable waiting_changed_;
  std::vector<Waiting*> waiting_;  // guarded by waiting_mutex_
  size_t unfinished_ = 0;          // runs; guarded by waiting_mutex_
};

/// Reports of a few images that are written side by side.
class ReportRun {
 public:
  /// images: one at least, all of the model's shape.
  ReportRun(ReportModel& model, ReportModel::Request request, std::span<const ImageTokens> images);
  /// Does not wait for the compute thread.
  ~ReportRun();
  ReportRun(const ReportRun&) = delete;
  ReportRun& operator=(const ReportRun&) = delete;

  /// Computes the next token of each text; false when all are done.
  bool step();
  /// What was written of one since the last call.
  std::string take(size_t image);
  Report report(size_t image) const;

 private:
  void finish();

  ReportModel& model_;
  ReportModel::Request request_;
  // Of the backend's memory: it comes and goes on the compute thread. Shared, so that work can hold it.
  std::shared_ptr<ReportWriter> writer_;
  std::vector<Detokenizer> texts_;
  std::vector<size_t> told_;  // tokens that are in the texts
  bool finished_ = false;
};

class ReportInProgress::Impl : public ReportRun {
  using ReportRun::ReportRun;
};

}  // namespace mii
