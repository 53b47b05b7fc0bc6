#include "pipeline/provenance.h"

#include <array>
#include <cstdio>

#include "core/json_writer.h"

namespace mii::pipeline {
namespace {

void add_text(JsonWriter& json, const char* name, const std::string& text) {
  if (!text.empty()) json.member(name, text);
}

const char* name_of(VoiFunction function) {
  return function == VoiFunction::sigmoid        ? "SIGMOID"
         : function == VoiFunction::linear_exact ? "LINEAR_EXACT"
                                                 : "LINEAR";
}

}  // namespace

std::string provenance_json(const Provenance& p) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object();
  add_text(json, "format", p.format);
  add_text(json, "transfer_syntax", p.transfer_syntax);
  add_text(json, "photometric_interpretation", p.photometric_interpretation);
  add_text(json, "modality", p.modality);
  add_text(json, "body_part", p.body_part);
  json.member("width", p.width);
  json.member("height", p.height);
  json.member("frame", p.frame + 1);
  json.member("frames", p.frames);
  add_text(json, "plane", p.plane);
  add_text(json, "profile", p.profile);
  add_text(json, "applied", p.applied);
  if (p.window) {
    json.member("window_center", p.window->center);
    json.member("window_width", p.window->width);
    json.member("voi_lut_function", name_of(p.window->function));
  }
  if (p.range) json.member("value_range", std::array{p.range->first, p.range->second});
  if (p.rescale) {
    json.member("rescale_slope", p.rescale->first);
    json.member("rescale_intercept", p.rescale->second);
  }
  if (p.inverted) json.member("inverted", true);
  if (p.azure_standardisation) json.member("azure_standardisation", true);
  if (!p.warnings.empty()) json.member("warnings", p.warnings);
  return json.end_object().finish();
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
