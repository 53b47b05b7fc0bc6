#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mii/export.h"

namespace mii {

/// How a report is written. What is written is a draft of a research system, not for diagnosis.
struct ReportOptions {
  static constexpr size_t kMostBeams = 16;
  static constexpr size_t kMostTokens = 4096;  ///< no context holds more

  /// What is known besides the image: the indication, say (UTF-8).
  std::string prompt;
  size_t max_tokens = 0;  ///< of the report; 0: as many as the decoder's context holds beside the prompt
  size_t beams =
      1;  ///< texts that are followed at once, at most kMostBeams; the likeliest is kept. 1: greedy
  /// Above 0, at most 1, and not with beams: each token is drawn among the likeliest of this probability
  /// together.
  double top_p = 0;
  double temperature = 1;         ///< of what is drawn, above 0, at most 100: below 1 bolder
  uint64_t seed = 1;              ///< of what is drawn; the same draws the same
  size_t no_repeat = 6;           ///< no run of so many tokens comes twice; 0 allows any
  double repetition_penalty = 1;  ///< above 1, at most 100: what was said is less likely to be said again
  /// Receives the text of each image piece by piece, as it is written (with beams, as a whole). When it
  /// returns false, the work stops with Error{cancelled}.
  std::function<bool(size_t image, std::string_view piece)> on_text;
};

struct Report {
  std::string text;
  bool complete = false;            ///< it came to its end, and not to the most tokens
  size_t prompt_tokens = 0;         ///< with the start token and the one between prompt and report
  size_t tokens = 0;                ///< of the text
  std::vector<float> image_vector;  ///< as encode_images() gives it
};

/// Reports that are being written, by Engine::begin_report or begin_reports; the engine must outlive them.
/// Used by one thread at a time. Those of several threads are computed side by side where they meet.
class MII_API ReportInProgress {
 public:
  class Impl;
  explicit ReportInProgress(std::unique_ptr<Impl> impl);
  ReportInProgress(ReportInProgress&&) noexcept;
  ReportInProgress& operator=(ReportInProgress&&) noexcept;
  ~ReportInProgress();

  /// Computes the next token of each; false when all are done. Throws Error{corrupt_weights} where the
  /// decoder gives numbers that are not finite.
  bool step();
  /// What was written since the last call (with beams, nothing before the end).
  std::string take(size_t image = 0);
  /// What was written so far, without the image's vector.
  Report report(size_t image = 0) const;

 private:
  std::unique_ptr<Impl> impl_;
};

/// The decoder that writes reports.
struct ReportModelInfo {
  std::filesystem::path folder;
  uint64_t parameters = 0;
  size_t context_length = 0;  ///< tokens of prompt and report together
  size_t width = 0;
  size_t layers = 0;
  /// A sentence whose cosine with the image is below this has no support, as it was measured in training.
  std::optional<float> least_support;
};

}  // namespace mii
