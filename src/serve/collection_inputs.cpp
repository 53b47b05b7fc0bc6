#include "serve/collection_inputs.h"

#include <algorithm>
#include <bit>
#include <boost/json.hpp>
#include <cstring>

#include "core/base64.h"
#include "pipeline/origin.h"
#include "search/codes.h"
#include "search/query.h"
#include "serve/json.h"
#include "serve/refuse.h"

namespace mii::serve {

namespace bj = boost::json;

namespace {

static_assert(std::endian::native == std::endian::little, "vectors in base64 are little-endian");

std::vector<float> vector_of_base64(const bj::string& text, const std::string& place) {
  const std::vector<std::byte> bytes = decode_base64(text);
  if (bytes.size() % sizeof(float) != 0)
    refuse(place + " has " + std::to_string(bytes.size()) + " bytes, no whole float32");
  std::vector<float> vector(bytes.size() / sizeof(float));
  std::memcpy(vector.data(), bytes.data(), bytes.size());
  return vector;
}

std::vector<float> vector_of(const bj::value& value, const std::string& place) {
  if (const bj::string* text = value.if_string()) return vector_of_base64(*text, place);
  const bj::array* numbers = value.if_array();
  if (numbers == nullptr) refuse(place + " must be a list of numbers, or base64");
  std::vector<float> vector;
  for (const bj::value& number : *numbers) {
    if (!number.is_number()) refuse(place + " must hold numbers only");
    vector.push_back(static_cast<float>(number.to_number<double>()));
  }
  return vector;
}

std::string text_of(const bj::value& value, const std::string& place) {
  if (value.is_null()) return "";
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_number()) return to_json(value);
  refuse(place + " must be a text, a number or null");
}

pipeline::Origin origin_of(const EncodedImage& image) {
  if (!image.base64) return pipeline::origin_of(std::as_bytes(std::span(image.data)));
  return pipeline::origin_of(std::span<const std::byte>(decode_base64(image.data)));
}

void add_attributes(const bj::value& given, const std::string& place, const Limits& limits,
                    search::Item& item) {
  const bj::object* columns = given.if_object();
  if (columns == nullptr) refuse(place + " must be an object");
  for (const auto& [column, value] : *columns) {
    std::string text = text_of(value, place + "." + std::string(column));
    for (const size_t bytes : {column.size(), text.size()})
      if (bytes > limits.text_bytes)
        refuse(place + ": a column or value has " + std::to_string(bytes) + " bytes, at most " +
               std::to_string(limits.text_bytes));
    item.attributes.push_back({std::string(column), std::move(text)});
  }
}

}  // namespace

Matrix read_vectors(const bj::value& list, const std::string& name, const Limits& limits) {
  const bj::array* given = list.if_array();
  if (given == nullptr) refuse(name + " must be a list");
  if (given->size() > limits.texts)
    refuse(std::to_string(given->size()) + " vectors, at most " + std::to_string(limits.texts) +
           " a request");
  std::vector<std::vector<float>> vectors;
  for (const bj::value& value : *given) {
    const std::string place = name + "[" + std::to_string(vectors.size()) + "]";
    vectors.push_back(vector_of(value, place));
    if (vectors.back().empty() || vectors.back().size() > search::kMaxDim)
      refuse(place + " has " + std::to_string(vectors.back().size()) + " values, expected 1 to " +
             std::to_string(search::kMaxDim));
  }
  return search::stacked({vectors.begin(), vectors.end()});
}

std::vector<search::Item> read_items(std::vector<std::string> ids, const bj::value& attributes,
                                     const Limits& limits) {
  std::vector<search::Item> items;
  for (std::string& id : ids) items.push_back({.id = std::move(id)});
  if (attributes.is_null()) return items;
  const bj::array* list = attributes.if_array();
  if (list == nullptr || list->size() != items.size())
    refuse("attributes must be a list of " + std::to_string(items.size()) + " objects, one for each id");
  for (size_t i = 0; i < items.size(); ++i)
    add_attributes((*list)[i], "attributes[" + std::to_string(i) + "]", limits, items[i]);
  return items;
}

void expect_dim(const search::CollectionInfo& info, size_t dim) {
  if (info.dim != 0 && info.dim != dim)
    refuse("the collection holds vectors of " + std::to_string(info.dim) + " values, these have " +
           std::to_string(dim));
}

Identity read_identity(const bj::value& identity) { return Identity::parse(to_json(identity)); }

void add_origins(std::span<const EncodedImage> images, std::span<search::Item> items) {
  for (size_t i = 0; i < items.size(); ++i)
    for (const auto& [column, value] : columns_of(origin_of(images[i])))
      if (std::ranges::find(items[i].attributes, column, &search::Attribute::column) ==
          items[i].attributes.end())
        items[i].attributes.push_back({column, value});
}

std::string patient_of(const EncodedImage& image) { return origin_of(image).patient; }

}  // namespace mii::serve
