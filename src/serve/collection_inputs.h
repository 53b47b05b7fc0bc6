#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mii/matrix.h"
#include "search/collection.h"
#include "serve/options.h"
#include "serve/work.h"

// What clients send to collections. Everything throws Error{invalid_argument} for what it does not take.

namespace mii::serve {

/// Schemas of the fields `vectors` and `identity`.
inline constexpr std::string_view kVectorsSchema =
    R"({"type":["array","null"],"items":{"anyOf":[{"type":"array","items":{"type":"number"}},
    {"type":"string","contentEncoding":"base64"}]}})";
inline constexpr std::string_view kIdentitySchema =
    R"({"type":["object","null"],"additionalProperties":{"type":"string"}})";

/// A list of vectors, each a list of numbers or float32, little-endian, in base64. name: of the field.
Matrix read_vectors(const boost::json::value& list, const std::string& name, const Limits& limits);

/// The items with these ids and, for each, the columns of an object; a column that is null, or empty, is to
/// have no value. attributes: null when none are given.
std::vector<search::Item> read_items(std::vector<std::string> ids, const boost::json::value& attributes,
                                     const Limits& limits);

/// Vectors of `dim` values must be those of the collection, if it has any.
void expect_dim(const search::CollectionInfo& info, size_t dim);

Identity read_identity(const boost::json::value& identity);

/// What DICOM files say of where they come from, in the columns that an item does not set.
void add_origins(std::span<const EncodedImage> images, std::span<search::Item> items);

/// The patient of a DICOM file; empty for any other.
std::string patient_of(const EncodedImage& image);

}  // namespace mii::serve
