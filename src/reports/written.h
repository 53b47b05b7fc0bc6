#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mii/matrix.h"
#include "mii/report.h"
#include "reports/findings.h"

namespace mii::reports {

/// A sentence that a decoder wrote.
struct WrittenSentence {
  std::string text;
  std::vector<Mention> findings;  ///< what it speaks of
  double support = 0;             ///< cosine of the sentence and the image, by the model's towers
  bool supported = true;          ///< false: the support is less than true sentences have
};

/// A report that a decoder wrote, as it may be shown.
struct WrittenReport {
  std::vector<WrittenSentence> sentences;
  size_t held_back = 0;   ///< sentences left out because they hold dates, numbers or names (scrub.h)
  bool complete = false;  ///< the decoder came to the end
  std::optional<float> least_support;
  size_t prompt_tokens = 0;
  size_t tokens = 0;

  /// All sentences, one after another.
  std::string text() const;
};

/// Whether a sentence may be shown: nothing in it tells who a patient is.
bool may_be_shown(std::string_view sentence);

/// By what support is told. What is borrowed must outlive the call.
struct Towers {
  std::span<const float> image_vector;
  /// Vectors of texts, as Engine::encode_texts gives them.
  std::function<Matrix(std::span<const std::string>)> encode_texts;
  std::optional<float> least_support;  ///< of the decoder (ReportModelInfo)
};

/// The sentences of a text with their support, those left out that may not be shown.
WrittenReport written_report(std::string_view text, const Towers& towers);
/// The same of all that the decoder wrote of an image.
WrittenReport written_report(const Report& report, const Towers& towers);

/// {"findings", "model", "usage": {"prompt_tokens", "completion_tokens", "total_tokens"}, "sentences":
/// [{"text", "support", "supported", "findings": {finding: polarity}}], "least_support", "held_back",
/// "complete", "notice"}; before them "image" where there are several.
struct ReportNames {
  std::string model;  ///< what clients of the service call it
  std::string image = {};
};
std::string to_json(const WrittenReport& report, const ReportNames& names);
/// One of "sentences".
std::string to_json(const WrittenSentence& sentence);
/// What stands below the text, for people: the sentences with their support.
std::string support_text(const WrittenReport& report);

/// Cuts a text that arrives in pieces into sentences.
class SentenceStream {
 public:
  /// The sentences that this piece completes.
  std::vector<std::string> add(std::string_view piece);
  /// The last one.
  std::vector<std::string> finish();

 private:
  std::vector<std::string> take(size_t complete, std::vector<std::string> all);

  std::string text_;
  size_t taken_ = 0;
};

}  // namespace mii::reports
