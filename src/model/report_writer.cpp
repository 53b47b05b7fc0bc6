#include "model/report_writer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "mii/error.h"

namespace mii {

ReportWriter::ReportWriter(const ReportDecoder& decoder, ConstRows tokens, size_t images,
                           std::span<const int32_t> prompt, const TextSearchOptions& options,
                           const TextSearch::Ids& ids)
    : backend_(decoder.backend()),
      session_(decoder, tokens, images,
               static_cast<int64_t>(images * (prompt.size() + options.beams * options.most_tokens))),
      prompt_(prompt.begin(), prompt.end()),
      searches_(images, TextSearch(options, ids)) {
  for (size_t i = 0; i < images; ++i) texts_.push_back({PartialText{.image = i, .rows = {}}});
}

bool ReportWriter::step() {
  std::vector<ReportSession::Growth> growths;
  std::vector<size_t> searches;  // those that go on
  for (size_t s = 0; s < searches_.size(); ++s) {
    if (searches_[s].done()) continue;
    searches.push_back(s);
    const auto live = searches_[s].live();
    std::vector<PartialText> texts;
    for (const TextSearch::Live& text : live) texts.push_back(texts_[s][text.parent]);
    texts_[s] = std::move(texts);
    for (size_t t = 0; t < live.size(); ++t)
      growths.push_back({&texts_[s][t], begun_ ? std::span(live[t].ids).last(1) : std::span(prompt_)});
  }
  if (growths.empty()) return false;
  begun_ = true;

  const ConstRows logits = session_.extend(growths);
  logits_.resize(static_cast<size_t>(logits.elements()));
  backend_.download(logits, logits_);
  if (!std::ranges::all_of(logits_, [](float v) { return std::isfinite(v); }))
    throw Error(ErrorCode::corrupt_weights,
                "the report decoder gave a logit that is not finite: its weights are beyond float32");
  const auto vocabulary = static_cast<size_t>(logits.cols);
  std::span<const float> left = logits_;
  for (const size_t s : searches) {
    const size_t n = searches_[s].live().size() * vocabulary;
    searches_[s].step(left.first(n));
    left = left.subspan(n);
  }
  return true;
}

}  // namespace mii
