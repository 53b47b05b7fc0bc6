#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/compute_thread.h"
#include "mii/report.h"
#include "model/report_decoder.h"
#include "model/report_writer.h"
#include "text/clip_tokenizer.h"
#include "text/detokenizer.h"
#include "weights/checkpoint.h"

namespace mii {

/// An opened report decoder. Several threads may write at once: they take turns token by token, and so do all
/// other computations.
class ReportModel {
 public:
  static constexpr size_t kMostAtOnce = 16;  ///< images whose reports are written side by side

  /// Throws Error{invalid_model} for a folder without a decoder, or one of another image tower or tokenizer.
  /// What is passed must outlive this.
  ReportModel(const std::filesystem::path& folder, int64_t image_dim, const ClipTokenizer& tokenizer,
              Backend& backend, ComputeThread& compute);

  const ReportModelInfo& info() const { return info_; }

  /// Options that were checked, and what they mean for this decoder.
  struct Request {
    std::vector<int32_t> prompt;  ///< start, prompt, end
    TextSearchOptions search;
  };
  Request request(const ReportOptions& options) const;

 private:
  friend class ReportRun;

  const ClipTokenizer& tokenizer_;
  ComputeThread& compute_;
  ReportDecoderConfig config_;
  Checkpoint checkpoint_;
  std::unique_ptr<ReportDecoder> decoder_;
  ReportModelInfo info_;
};

/// Reports of a few images that are written side by side.
class ReportRun {
 public:
  /// Gets the tokens of the images. Both run on the compute thread.
  using Begin = std::function<void(ConstRows tokens)>;
  using GetTokens = std::function<void(const Begin& begin)>;
  ReportRun(ReportModel& model, ReportModel::Request request, size_t images, const GetTokens& tokens);
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
  ReportModel& model_;
  ReportModel::Request request_;
  // Of the backend's memory: it comes and goes on the compute thread. Shared, so that work can hold it.
  std::shared_ptr<ReportWriter> writer_;
  std::vector<Detokenizer> texts_;
  std::vector<size_t> told_;  // tokens that are in the texts
};

class ReportInProgress::Impl : public ReportRun {
  using ReportRun::ReportRun;
};

}  // namespace mii
