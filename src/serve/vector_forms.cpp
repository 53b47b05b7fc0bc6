#include "serve/vector_forms.h"

#include <algorithm>
#include <bit>
#include <boost/json/value.hpp>
#include <cmath>
#include <utility>

#include "core/base64.h"
#include "serve/refuse.h"
#include "serve/validation.h"

namespace mii::serve {

namespace bj = boost::json;

namespace {

constexpr std::pair<std::string_view, VectorForm> kForms[] = {
    {"float", VectorForm::floats}, {"base64", VectorForm::base64}, {"int8", VectorForm::int8},
    {"uint8", VectorForm::uint8},  {"binary", VectorForm::binary}, {"ubinary", VectorForm::ubinary}};

static_assert(std::endian::native == std::endian::little, "vectors in base64 are little-endian");

std::vector<int> plus(const auto& values, int offset) {
  std::vector<int> sums(values.begin(), values.end());
  for (int& value : sums) value += offset;
  return sums;
}

}  // namespace

VectorForm vector_form(std::string_view name, const std::string& member) {
  for (const auto& [known, form] : kForms)
    if (known == name) return form;
  refuse("'" + member + "' must be 'float', 'base64', 'int8', 'uint8', 'binary' or 'ubinary'");
}

std::string_view name_of(VectorForm form) {
  return std::ranges::find(kForms, form, &std::pair<std::string_view, VectorForm>::second)->first;
}

std::vector<int8_t> scaled_to_int8(std::span<const float> vector) {
  float largest = 0;
  for (const float value : vector) largest = std::max(largest, std::abs(value));
  std::vector<int8_t> scaled;
  for (const float value : vector)
    scaled.push_back(largest == 0 ? int8_t{0} : static_cast<int8_t>(std::lrint(value / largest * 127)));
  return scaled;
}

std::vector<uint8_t> packed_signs(std::span<const float> vector) {
  std::vector<uint8_t> packed((vector.size() + 7) / 8);
  for (size_t i = 0; i < vector.size(); ++i)
    if (vector[i] > 0) packed[i / 8] = static_cast<uint8_t>(packed[i / 8] | 0x80 >> i % 8);
  return packed;
}

void write_vector(JsonWriter& json, std::span<const float> vector, VectorForm form) {
  switch (form) {
    case VectorForm::floats:
      json.value(vector);
      break;
    case VectorForm::base64:
      json.value(encode_base64(std::as_bytes(vector)));
      break;
    case VectorForm::int8:
      json.value(scaled_to_int8(vector));
      break;
    case VectorForm::uint8:
      json.value(plus(scaled_to_int8(vector), 128));
      break;
    case VectorForm::binary:
      json.value(plus(packed_signs(vector), -128));
      break;
    case VectorForm::ubinary:
      json.value(packed_signs(vector));
      break;
  }
}

size_t read_dimensions(const bj::object& body, std::string_view name, size_t most) {
  const bj::value* value = given(body, name);
  if (value == nullptr) return most;
  const int64_t wanted = value->is_int64() ? value->get_int64() : 0;
  if (wanted < 1 || static_cast<uint64_t>(wanted) > most)
    refuse("'" + std::string(name) + "' must be 1 to " + std::to_string(most) + ", or absent");
  return static_cast<size_t>(wanted);
}

Matrix shortened(Matrix rows, size_t dimensions) {
  if (dimensions == rows.cols()) return rows;
  Matrix shorter(rows.rows(), dimensions);
  for (size_t r = 0; r < rows.rows(); ++r) {
    const std::span<const float> from = rows.row(r).first(dimensions);
    double squares = 0;
    for (const float value : from) squares += static_cast<double>(value) * value;
    const double norm = squares > 0 ? std::sqrt(squares) : 1;
    std::ranges::transform(from, shorter.row(r).begin(),
                           [norm](float value) { return static_cast<float>(value / norm); });
  }
  return shorter;
}

}  // namespace mii::serve
