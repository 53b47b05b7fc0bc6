#include "reports/written.h"

#include <cstdio>
#include <numeric>
#include <utility>

#include "core/json_writer.h"
#include "reports/draft.h"
#include "reports/scrub.h"
#include "reports/sentences.h"

namespace mii::reports {
namespace {

void write(JsonWriter& json, const WrittenSentence& sentence) {
  json.begin_object().member("text", sentence.text).member("support", sentence.support);
  json.member("supported", sentence.supported).key("findings").begin_object();
  for (const Mention& mention : sentence.findings)
    json.member(finding_names()[mention.finding], to_string(mention.polarity));
  json.end_object().end_object();
}

// The cosine of each sentence and the image: both are unit vectors.
void add_support(const Towers& towers, WrittenReport& report) {
  std::vector<std::string> texts;
  for (const WrittenSentence& sentence : report.sentences) texts.push_back(sentence.text);
  const Matrix vectors = towers.encode_texts(texts);
  for (size_t i = 0; i < report.sentences.size(); ++i) {
    const auto vector = vectors.row(i);
    WrittenSentence& sentence = report.sentences[i];
    sentence.support = std::inner_product(vector.begin(), vector.end(), towers.image_vector.begin(), 0.0);
    sentence.supported = !report.least_support || sentence.support >= *report.least_support;
  }
}

}  // namespace

std::string WrittenReport::text() const {
  std::string text;
  for (const WrittenSentence& sentence : sentences) text += (text.empty() ? "" : " ") + sentence.text;
  return text;
}

bool may_be_shown(std::string_view sentence) { return !scrub(sentence).any(); }

WrittenReport written_report(std::string_view text, const Towers& towers) {
  WrittenReport report{.least_support = towers.least_support};
  for (std::string& sentence : sentences_of(text)) {
    if (!may_be_shown(sentence)) {
      ++report.held_back;
      continue;
    }
    std::vector<Mention> findings = findings_in_sentence(sentence);
    report.sentences.push_back({.text = std::move(sentence), .findings = std::move(findings)});
  }
  add_support(towers, report);
  return report;
}

WrittenReport written_report(const Report& report, const Towers& towers) {
  WrittenReport written = written_report(report.text, towers);
  written.complete = report.complete;
  written.prompt_tokens = report.prompt_tokens;
  written.tokens = report.tokens;
  return written;
}

std::string to_json(const WrittenSentence& sentence) {
  JsonWriter json(JsonWriter::Style::spaced);
  write(json, sentence);
  return json.finish();
}

std::string to_json(const WrittenReport& report, const ReportNames& names) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object();
  if (!names.image.empty()) json.member("image", names.image);
  json.member("findings", report.text()).member("model", names.model).key("usage").begin_object();
  json.member("prompt_tokens", report.prompt_tokens)
      .member("completion_tokens", report.tokens)
      .member("total_tokens", report.prompt_tokens + report.tokens)
      .end_object()
      .key("sentences")
      .begin_array();
  for (const WrittenSentence& sentence : report.sentences) write(json, sentence);
  json.end_array();
  if (report.least_support) json.member("least_support", double{*report.least_support});
  return json.member("held_back", report.held_back)
      .member("complete", report.complete)
      .member("notice", kNotice)
      .end_object()
      .finish();
}

std::string support_text(const WrittenReport& report) {
  std::string text = "support of each sentence (cosine with the image";
  char number[48];
  if (report.least_support) {
    std::snprintf(number, sizeof number, "; below %.4f there is none", double{*report.least_support});
    text += number;
  }
  text += "):\n";
  for (const WrittenSentence& sentence : report.sentences) {
    std::snprintf(number, sizeof number, "%8.4f  ", sentence.support);
    text += number + sentence.text + (sentence.supported ? "" : "  (no support)") + "\n";
  }
  if (report.held_back > 0)
    text += std::to_string(report.held_back) + " sentences with dates, numbers or names were held back\n";
  if (!report.complete) text += "the text was cut off at the most tokens\n";
  return text;
}

std::vector<std::string> SentenceStream::take(size_t complete, std::vector<std::string> all) {
  std::vector<std::string> taken;
  for (; taken_ < complete; ++taken_) taken.push_back(std::move(all[taken_]));
  return taken;
}

std::vector<std::string> SentenceStream::add(std::string_view piece) {
  text_ += piece;
  std::vector<std::string> all = sentences_of(text_);
  const size_t complete = all.empty() ? 0 : all.size() - 1;
  return take(complete, std::move(all));
}

std::vector<std::string> SentenceStream::finish() {
  std::vector<std::string> all = sentences_of(text_);
  const size_t complete = all.size();
  return take(complete, std::move(all));
}

}  // namespace mii::reports
