#include "pipeline/provenance.h"

#include <cstdio>
#include <utility>

#include "core/number_text.h"

namespace mii::pipeline {
namespace {

// A JSON object, member by member.
class JsonObject {
 public:
  void add(const char* name, const std::string& value) {
    text_ += (text_.empty() ? "" : ", ") + json_text(name) + ": " + value;
  }
  void add_text(const char* name, const std::string& value) {
    if (!value.empty()) add(name, json_text(value));
  }
  std::string text() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

std::string pair_text(const std::pair<double, double>& pair) {
  return "[" + number_text(pair.first) + ", " + number_text(pair.second) + "]";
}

const char* name_of(VoiFunction function) {
  return function == VoiFunction::sigmoid        ? "SIGMOID"
         : function == VoiFunction::linear_exact ? "LINEAR_EXACT"
                                                 : "LINEAR";
}

}  // namespace

std::string provenance_json(const Provenance& p) {
  JsonObject json;
  json.add_text("format", p.format);
  json.add_text("transfer_syntax", p.transfer_syntax);
  json.add_text("photometric_interpretation", p.photometric_interpretation);
  json.add_text("modality", p.modality);
  json.add_text("body_part", p.body_part);
  json.add("width", std::to_string(p.width));
  json.add("height", std::to_string(p.height));
  json.add("frame", std::to_string(p.frame + 1));
  json.add("frames", std::to_string(p.frames));
  json.add_text("plane", p.plane);
  json.add_text("profile", p.profile);
  json.add_text("applied", p.applied);
  if (p.window) {
    json.add("window_center", number_text(p.window->center));
    json.add("window_width", number_text(p.window->width));
    json.add_text("voi_lut_function", name_of(p.window->function));
  }
  if (p.range) json.add("value_range", pair_text(*p.range));
  if (p.rescale) {
    json.add("rescale_slope", number_text(p.rescale->first));
    json.add("rescale_intercept", number_text(p.rescale->second));
  }
  if (p.inverted) json.add("inverted", "true");
  if (p.azure_standardisation) json.add("azure_standardisation", "true");
  if (!p.warnings.empty()) {
    std::string list;
    for (const std::string& warning : p.warnings) list += (list.empty() ? "" : ", ") + json_text(warning);
    json.add("warnings", "[" + list + "]");
  }
  return json.text();
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string mapping_text(const Provenance& p) {
  std::string text = p.applied.empty() ? "as it is" : p.applied;
  if (p.window) {
    text += " " + short_number(p.window->center) + "/" + short_number(p.window->width);
    if (p.window->function != VoiFunction::linear) text += std::string(" ") + name_of(p.window->function);
  }
  if (p.range) text += " " + short_number(p.range->first) + " to " + short_number(p.range->second);
  if (p.inverted) text += ", inverted";
  return text;
}

}  // namespace mii::pipeline
