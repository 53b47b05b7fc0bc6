#include "maps/explained.h"

#include <algorithm>
#include <numeric>

namespace mii::maps {
namespace {

void write_grid(JsonWriter& json, const char* name, std::span<const float> values, size_t cols) {
  json.key(name).begin_array();
  for (size_t first = 0; first < values.size(); first += cols) json.value(values.subspan(first, cols));
  json.end_array();
}

}  // namespace

Explained::Explained(const Question& question, TokenMaps maps)
    : question_(question), maps_(std::move(maps)), adds_up_(true), scores_(maps_.scores) {
  for (size_t k = 0; k < labels(); ++k) shown_.push_back(maps_.centred(labels() + k));
}

Explained::Explained(const Question& question, TokenMaps maps, std::span<const float> vector)
    : question_(question), maps_(std::move(maps)), adds_up_(false) {
  for (size_t k = 0; k < labels(); ++k) {
    scores_.push_back(std::inner_product(vector.begin(), vector.end(), question_.scored.row(k).begin(), 0.0));
    shown_.push_back(maps_.centred(k));
  }
}

size_t Explained::highest(size_t k) const {
  return static_cast<size_t>(std::ranges::max_element(shown_[k]) - shown_[k].begin());
}

void write_explained(JsonWriter& json, const Explained& explained,
                     const std::function<std::string(size_t k)>& overlay) {
  const size_t cols = explained.cols();
  json.member("rows", explained.rows()).member("cols", cols).key("labels").begin_array();
  for (size_t k = 0; k < explained.labels(); ++k) {
    const size_t highest = explained.highest(k);
    json.begin_object().member("label", explained.question().labels[k]).member("score", explained.score(k));
    if (explained.adds_up())
      json.member("constant", explained.constant(k)).member("completeness", explained.completeness(k));
    json.key("highest").begin_object().member("row", highest / cols).member("col", highest % cols);
    json.end_object();
    write_grid(json, "map", explained.map(k).values, cols);
    if (explained.adds_up()) write_grid(json, "parts", explained.parts(k), cols);
    if (overlay) json.member("overlay", overlay(k));
    json.end_object();
  }
  json.end_array();
}

std::string explained_json(const std::string& image, const Explained& explained) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object().member("image", image).member("contrast", explained.question().contrast);
  write_explained(json, explained);
  return json.end_object().finish();
}

}  // namespace mii::maps
