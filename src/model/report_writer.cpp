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

bool ReportWriter::done() const {
  return std::ranges::all_of(searches_, [](const TextSearch& search) { return search.done(); });
}

bool ReportWriter::step() {
  if (done()) return false;
  ReportWriter* const self = this;
  step({&self, 1});
  return true;
}

// Texts that go on, and by what.
void ReportWriter::grow() {
  growths_.clear();
  for (size_t s = 0; s < searches_.size(); ++s) {
    const auto live = searches_[s].live();
    std::vector<PartialText> texts;
    for (const TextSearch::Live& text : live) texts.push_back(texts_[s][text.parent]);
    texts_[s] = std::move(texts);
    for (size_t t = 0; t < live.size(); ++t)
      growths_.push_back({&texts_[s][t], begun_ ? std::span(live[t].ids).last(1) : std::span(prompt_)});
  }
  begun_ = true;
}

// Chooses tokens by the first rows of the logits, and returns how many values those were.
size_t ReportWriter::take(std::span<const float> logits) {
  const auto vocabulary = static_cast<size_t>(session_.vocabulary());
  size_t taken = 0;
  for (TextSearch& search : searches_) {
    if (search.done()) continue;
    const size_t n = search.live().size() * vocabulary;
    search.step(logits.subspan(taken, n));
    taken += n;
  }
  return taken;
}

void ReportWriter::step(std::span<ReportWriter* const> writers) {
  std::vector<ReportSession::Part> parts;
  for (ReportWriter* const writer : writers) {
    writer->grow();
    parts.push_back({&writer->session_, writer->growths_});
  }
  const ConstRows rows = ReportSession::extend(parts);
  std::vector<float>& logits = writers.front()->logits_;
  logits.resize(static_cast<size_t>(rows.elements()));
  writers.front()->backend_.download(rows, logits);
  if (!std::ranges::all_of(logits, [](float v) { return std::isfinite(v); }))
    throw Error(ErrorCode::corrupt_weights,
                "the report decoder gave a logit that is not finite: its weights are beyond float32");
  std::span<const float> left = logits;
  for (ReportWriter* const writer : writers) left = left.subspan(writer->take(left));
}

}  // namespace mii
