#include "serve/labels_api.h"

#include "core/json_writer.h"
#include "labels/listing.h"
#include "mii/error.h"
#include "serve/service.h"

namespace mii::serve {
namespace {

const Field kQuery[] = {
    {.name = "modality",
     .description = "Labels of one modality, by its name in any language",
     .schema = R"({"type":"string"})"},
    {.name = "language",
     .description = "Language of the labels",
     .schema = R"({"enum":["en","zh","ja","ko","de","fr","es","pt","it","ru","ar"],"default":"en"})"},
    {.name = "search",
     .description = "Labels that have all of these words in their names in any language",
     .schema = R"({"type":"string"})"}};

constexpr std::string_view kLabels =
    R"({"type":"object","required":["language","labels"],"properties":{"language":{"type":"string"},
    "labels":{"type":"array","items":{"type":"object",
    "required":["label","prompt","modality","body_part","view","finding"],"properties":{
    "label":{"type":"string"},"prompt":{"type":"string"},
    "modality":{"type":["array","null"],"items":{"type":"string"}},
    "body_part":{"type":["array","null"],"items":{"type":"string"}},
    "view":{"type":["array","null"],"items":{"type":"string"}},
    "finding":{"type":["array","null"],"items":{"type":"string"}}}}}}})";

// Empty words and an empty modality count as absent.
labels::Query read_query(const std::string& text) {
  labels::Query query;
  for (auto& [name, value] : decode_query(text)) {
    if (value.empty() && name != "language") continue;
    if (!is_plain_utf8(value))
      throw Error(ErrorCode::invalid_argument, "a parameter of the query is not valid UTF-8");
    if (name == "modality")
      query.modality = std::move(value);
    else if (name == "language")
      query.language = std::move(value);
    else if (name == "search")
      query.search = std::move(value);
  }
  return query;
}

}  // namespace

Outcome list_labels(Request& request, const ApiContext& context) {
  const labels::Query query = read_query(request.query);
  const labels::Listing listing = labels::list(context.catalogue, query);
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object().member("language", query.language).key("labels").begin_array();
  for (const labels::Entry* entry : listing.entries)
    labels::write_entry(json, context.catalogue, *entry, listing.language);
  return json_response(json.end_array().end_object().finish());
}

std::vector<Route> LabelsApi::routes() const {
  return {
      {.method = "GET",
       .path = "/labels",
       .summary = "Labels that images may be scored against",
       .computes = true,
       .needs_key = true,
       .query = kQuery,
       .response_schema = kLabels,
       .handle = [this](Request& r) { return list_labels(r, service_.context()); }},
  };
}

}  // namespace mii::serve
