#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mii/matrix.h"
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

/// The sentences of a text, those left out that may not be shown.
WrittenReport written_report(std::string_view text);

/// sentence_vectors: of the report's sentences, in their order; unit vectors as the image's is.
void add_support(const Matrix& sentence_vectors, std::span<const float> image_vector, WrittenReport& report);

/// {"findings", "model", "usage": {"prompt_tokens", "completion_tokens", "total_tokens"}, "sentences":
/// [{"text", "support", "supported", "findings": {finding: polarity}}], "least_support", "held_back",
/// "complete", "notice"}
std::string to_json(const WrittenReport& report, const std::string& model);
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
