#include "serve/collections_api.h"

#include "core/json_writer.h"
#include "core/number_text.h"
#include "mii/error.h"
#include "serve/collection_routes.h"

namespace mii::serve {
namespace {

constexpr std::string_view kCollection =
    R"({"type":"object","required":["name","items","dim","identity","version","columns"],"properties":{
    "name":{"type":"string"},"items":{"type":"integer"},"dim":{"type":"integer"},
    "identity":{"type":["string","object","null"]},"version":{"type":"integer"},
    "columns":{"type":"array","items":{"type":"string"}}}})";
constexpr std::string_view kCollections =
    R"({"type":"object","required":["collections"],"properties":{"collections":{"type":"array","items":{
    "type":"object","required":["name","items","dim","identity","version","columns"]}}}})";

void write_info(JsonWriter& json, const std::string& name, const search::CollectionInfo& info) {
  json.begin_object()
      .member("name", name)
      .member("items", info.items)
      .member("dim", info.dim)
      .key("identity");
  if (info.identity)
    json.value(info.identity->fingerprint());
  else
    json.value(nullptr);
  json.member("version", info.version).member("columns", info.columns).end_object();
}

// A database that is away is left out, so that the others can be used; the log says why.
Response collections_response(Service& service) {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object().key("collections").begin_array();
  for (const auto& [name, collection] : service.collections()->all()) {
    try {
      const search::CollectionInfo info = collection->reader().info();
      write_info(json, name, info);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::network) throw;
      service.log().write("error", "database_unreachable", {{"reason", json_text(error.what())}});
    }
  }
  return json_response(json.end_array().end_object().finish());
}

Response collection_response(const std::string& name, ServedCollection& collection) {
  JsonWriter json(JsonWriter::Style::compact);
  write_info(json, name, collection.reader().info());
  return json_response(json.finish());
}

}  // namespace

std::vector<Route> CollectionsApi::routes() const {
  return {
      {.method = "GET",
       .path = "/collections",
       .summary = "The collections that can be searched",
       .computes = true,
       .needs_key = true,
       .response_schema = kCollections,
       .handle = [this](Request&) -> Outcome { return collections_response(service_); }},
      {.method = "GET",
       .path = "/collections/{name}",
       .summary = "What a collection holds",
       .computes = true,
       .needs_key = true,
       .response_schema = kCollection,
       .handle = on_collection(service_,
                               [](const ServedCollections::Shared& collection, Request& request) {
                                 return collection_response(std::string(request.parameter("name")),
                                                            *collection);
                               })},
  };
}

}  // namespace mii::serve
