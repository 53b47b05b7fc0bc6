#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_writer.h"
#include "mii/matrix.h"

// The forms in which the APIs of embedding vendors give a vector.

namespace mii::serve {

enum class VectorForm {
  floats,   ///< "float": a list of numbers
  base64,   ///< little-endian float32
  int8,     ///< scaled so that the vector's largest magnitude is 127
  uint8,    ///< int8 + 128
  binary,   ///< ubinary - 128, so that it fits int8
  ubinary,  ///< eight signs a byte
};

/// By the name that clients give it as `member`. Throws Error{invalid_argument} for another.
VectorForm vector_form(std::string_view name, const std::string& member);
std::string_view name_of(VectorForm form);

/// value * 127 / (the vector's largest magnitude), rounded to nearest: cosines need no more than that.
std::vector<int8_t> scaled_to_int8(std::span<const float> vector);

/// A bit is 1 where the value is above 0; the first value is the highest bit of the first byte, and the last
/// byte is filled with zeros: numpy.packbits(vector > 0).
std::vector<uint8_t> packed_signs(std::span<const float> vector);

void write_vector(JsonWriter& json, std::span<const float> vector, VectorForm form);

/// How many values a client wants of a vector, by the member `name`; `most` when it is not given. Throws
/// Error{invalid_argument} for anything else than 1 to `most`.
size_t read_dimensions(const boost::json::object& body, std::string_view name, size_t most);

/// The first values of each row, divided by their L2 norm. dimensions: 1 to rows.cols().
Matrix shortened(Matrix rows, size_t dimensions);

}  // namespace mii::serve
