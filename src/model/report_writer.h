#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/report_decoder.h"
#include "model/text_search.h"

namespace mii {

/// Writes reports about some images, all of them token by token at once.
class ReportWriter {
 public:
  /// tokens: as ReportSession takes them. prompt: start, prompt, end, the same for all images; it leaves room
  /// for options.most_tokens in the context.
  ReportWriter(const ReportDecoder& decoder, ConstRows tokens, size_t images, std::span<const int32_t> prompt,
               const TextSearchOptions& options, const TextSearch::Ids& ids);

  /// Computes the next token of every report; false when all are done.
  bool step();
  /// The same of several writers of one decoder at once, none of them done.
  static void step(std::span<ReportWriter* const> writers);
  bool done() const;

  const TextSearch& report(size_t image) const { return searches_[image]; }

 private:
  void grow();
  size_t take(std::span<const float> logits);

  Backend& backend_;
  ReportSession session_;
  std::vector<int32_t> prompt_;
  std::vector<TextSearch> searches_;
  std::vector<std::vector<PartialText>> texts_;  // of each search, as it has them
  std::vector<ReportSession::Growth> growths_;   // what the next step computes
  std::vector<float> logits_;
  bool begun_ = false;
};

}  // namespace mii
