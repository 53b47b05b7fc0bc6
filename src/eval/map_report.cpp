#include "core/json_writer.h"
#include "eval/format.h"
#include "eval/map_measures.h"

namespace mii {
namespace {

struct Column {
  const char* title;
  const char* key;  // in JSON
  double MapFigures::*which;
  bool share;  // else a mean, as a fraction
};
constexpr Column kColumns[] = {{"energy", "energy", &MapFigures::energy, false},
                               {"twice chance", "twice_chance", &MapFigures::twice_chance, true},
                               {"pointing", "pointing", &MapFigures::pointing, true},
                               {"deletion", "deletion", &MapFigures::deletion, false},
                               {"insertion", "insertion", &MapFigures::insertion, false},
                               {"in mask", "in_mask", &MapFigures::in_mask, false}};

std::string cell(const Column& column, const MapFigures& figures) {
  const double value = figures.*column.which;
  if (value != value) return "-";
  return column.share ? percent(value) : format("%.3f", value);
}

}  // namespace

std::string to_table(const MapReport& report) {
  std::string text =
      format("%zu canvases of %zu images, by %s: energy and pointing are %.3f by chance\n", report.canvases,
             report.cells, report.field.c_str(), 1 / static_cast<double>(report.cells));
  text += format("%zu images with curves; largest completeness error of the parts %.1e\n", report.images,
                 report.completeness);
  if (report.masks > 0)
    text += format("%zu masks: in mask is %.3f by chance\n", report.masks, report.mask_area);
  text += format("\n%-22s", "method");
  for (const Column& column : kColumns) text += format(" %12s", column.title);
  text += "\n";
  for (const MapFigures& figures : report.methods) {
    text += format("%-22s", figures.method.c_str());
    for (const Column& column : kColumns) text += format(" %12s", cell(column, figures).c_str());
    text += "\n";
  }
  return text;
}

std::string to_json(const MapReport& report) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object().member("field", report.field).member("canvases", report.canvases);
  json.member("cells", report.cells).member("images", report.images).member("masks", report.masks);
  json.member("mask_area", report.mask_area).member("completeness", report.completeness);
  json.key("methods").begin_array();
  for (const MapFigures& figures : report.methods) {
    json.begin_object().member("method", figures.method);
    for (const Column& column : kColumns) json.member(column.key, figures.*column.which);
    json.end_object();
  }
  return json.end_array().end_object().finish() + "\n";
}

}  // namespace mii
