#include "core/json_writer.h"

#include <cmath>
#include <utility>

#include "core/number_text.h"
#include "mii/error.h"

namespace mii {
namespace {

void expect(bool fits, const char* otherwise) {
  if (!fits) throw Error(ErrorCode::internal, std::string("JSON: ") + otherwise);
}

}  // namespace

void JsonWriter::separate() {
  if (!first_) text_ += style_ == Style::compact ? "," : ", ";
  first_ = false;
}

void JsonWriter::start_value() {
  if (std::exchange(key_waits_, false)) return;
  expect(open_.empty() ? !std::exchange(begun_, true) : open_.back() == '[',
         open_.empty() ? "a second top-level value" : "a value without a key in an object");
  separate();
}

JsonWriter& JsonWriter::key(std::string_view name) {
  expect(!open_.empty() && open_.back() == '{' && !key_waits_, "a key where none may stand");
  separate();
  text_ += json_text(name);
  text_ += style_ == Style::compact ? ":" : ": ";
  key_waits_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(RawJson json) {
  expect(!json.text.empty(), "an empty value");
  start_value();
  text_ += json.text;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) { return value(RawJson{json_text(text)}); }

JsonWriter& JsonWriter::value(double number) {
  return std::isfinite(number) ? value(RawJson{number_text(number)}) : value(nullptr);
}

JsonWriter& JsonWriter::begin(char bracket) {
  start_value();
  text_ += bracket;
  open_.push_back(bracket);
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::end(char begun_with, char bracket) {
  expect(!open_.empty() && open_.back() == begun_with && !key_waits_, "an end that does not fit");
  text_ += bracket;
  open_.pop_back();
  first_ = false;
  return *this;
}

std::string JsonWriter::finish() {
  expect(open_.empty() && begun_, "a text that is not complete");
  return std::move(text_);
}

}  // namespace mii
