#include "serve/collection_items_api.h"

#include <boost/json.hpp>

#include "core/json_writer.h"
#include "search/evidence.h"
#include "search/folder_collection.h"
#include "serve/collection_inputs.h"
#include "serve/collection_routes.h"
#include "serve/refuse.h"

namespace mii::serve {
namespace {

using search::Collection;
using search::Item;
using Shared = ServedCollections::Shared;

constexpr size_t kMaxPage = 1000;
constexpr size_t kStepItems = 64;

const Field kAddFields[] = {
    {.name = "ids",
     .type = Field::Type::string_list,
     .required = true,
     .description =
         "One for each image or vector. An item that is there is replaced; columns that are not given stay",
     .example = R"(["a"])"},
    {.name = "images",
     .type = Field::Type::image_list,
     .nullable = true,
     .description = "Images in base64, with or without a data: prefix"},
    {.name = "vectors",
     .nullable = true,
     .description = "In place of images: lists of numbers, or float32, little-endian, in base64",
     .schema = kVectorsSchema},
    {.name = "identity",
     .nullable = true,
     .description = "By what the vectors were made",
     .schema = kIdentitySchema},
    {.name = "attributes",
     .nullable = true,
     .description = "The columns of each item: {column: value}; null or an empty value: none",
     .schema = R"({"type":["array","null"],"items":{"type":"object",
       "additionalProperties":{"type":["string","number","null"]}}})"}};

const Field kPageQuery[] = {
    {.name = "after",
     .description = "The items after this id, in the order of ids",
     .schema = R"({"type":"string"})"},
    {.name = "limit",
     .description = "Items",
     .schema = R"({"type":"integer","minimum":1,"maximum":1000,"default":100})"},
    {.name = "id",
     .description = "These items alone, as far as they are there; may be given several times",
     .schema = R"({"type":"string"})"}};

const Field kDeleteQuery[] = {
    {.name = "id",
     .required = true,
     .description = "May be given several times; ids that are not there are passed over",
     .schema = R"({"type":"string"})"}};

const Field kThumbnailQuery[] = {
    {.name = "id", .required = true, .description = "An item", .schema = R"({"type":"string"})"}};

constexpr std::string_view kItem =
    R"({"type":"object","required":["id","path","attributes"],"properties":{"id":{"type":"string"},
    "path":{"type":"string"},"attributes":{"type":"object","additionalProperties":{"type":"string"}}}})";
constexpr std::string_view kItems =
    R"({"type":"object","required":["items","next"],"properties":{"items":{"type":"array","items":{"type":"object",
    "required":["id","path","attributes"]}},"next":{"type":["string","null"]}}})";
constexpr std::string_view kAdded =
    R"({"type":"object","required":["added","replaced","items","version"],"properties":{"added":{"type":"integer"},
    "replaced":{"type":"integer"},"items":{"type":"integer"},"version":{"type":"integer"},
    "warnings":{"type":"array","items":{"type":"string"}}}})";
constexpr std::string_view kRemoved =
    R"({"type":"object","required":["removed"],"properties":{"removed":{"type":"integer"}}})";

void write_item(JsonWriter& json, const Item& item) {
  json.begin_object().member("id", item.id).member("path", item.value("path"));
  search::write_attributes(json.key("attributes"), item);
  json.end_object();
}

// Changes a collection and answers, or says that it cannot be changed now.
Response changed(ServedCollection& collection, const std::function<void(Collection&, JsonWriter&)>& change) {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object();
  try {
    collection.write([&](Collection& writer) { change(writer, json); });
  } catch (const search::CollectionBusy&) {
    return detail_error(409, "another process writes to the collection: try again later");
  }
  return json_response(json.end_object().finish());
}

struct PageQuery {
  std::string after;
  size_t limit = 100;
  std::vector<std::string> ids;
};

PageQuery read_page_query(const std::string& text) {
  PageQuery query;
  for (auto& [name, value] : decode_query(text)) {
    if (!is_plain_utf8(value)) refuse("a parameter of the query is not valid UTF-8");
    if (name == "after") {
      query.after = std::move(value);
    } else if (name == "id") {
      query.ids.push_back(std::move(value));
    } else if (name == "limit") {
      const int64_t limit = lax_integer(boost::json::value(value)).value_or(0);
      if (limit < 1 || limit > static_cast<int64_t>(kMaxPage))
        refuse("limit: expected a whole number from 1 to " + std::to_string(kMaxPage));
      query.limit = static_cast<size_t>(limit);
    }
  }
  return query;
}

// A page of items, some of them at a step.
class PageWriter {
 public:
  PageWriter(Shared collection, std::string after, size_t limit)
      : collection_(std::move(collection)), last_(std::move(after)), left_(limit) {}

  bool operator()(JsonWriter& json) {
    if (!begun_) json.begin_object().key("items").begin_array();
    begun_ = true;
    const size_t wanted = std::min(left_, kStepItems);
    const std::vector<Item> items = collection_->reader().page(last_, wanted);
    for (const Item& item : items) write_item(json, item);
    left_ -= items.size();
    if (!items.empty()) last_ = items.back().id;
    if (items.size() == wanted && left_ > 0) return true;
    json.end_array().key("next");
    if (items.size() == wanted)
      json.value(last_);
    else
      json.value(nullptr);
    json.end_object();
    return false;
  }

 private:
  Shared collection_;
  std::string last_;
  size_t left_;
  bool begun_ = false;
};

Response items_response(const Shared& collection, const Request& request) {
  PageQuery query = read_page_query(request.query);
  if (query.ids.empty()) return json_response(PageWriter(collection, std::move(query.after), query.limit));
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object().key("items").begin_array();
  for (const std::optional<Item>& item : collection->reader().find(query.ids))
    if (item) write_item(json, *item);
  return json_response(json.end_array().member("next", nullptr).end_object().finish());
}

Response item_response(ServedCollection& collection, const Request& request) {
  const std::string id(request.parameter("id"));
  const std::optional<Item> item = collection.reader().find({&id, 1}).front();
  if (!item) return detail_error(404, "Not Found");
  JsonWriter json(JsonWriter::Style::compact);
  write_item(json, *item);
  return json_response(json.finish());
}

Response thumbnail_response(ServedCollection& collection, const Request& request) {
  const PageQuery query = read_page_query(request.query);
  if (query.ids.size() != 1) refuse("which item? id=...");
  const std::optional<Item> item = collection.reader().find(query.ids).front();
  if (!item || item->thumbnail.empty()) return detail_error(404, "Not Found");
  Response response;
  response.content_type = "image/jpeg";
  response.body.assign(reinterpret_cast<const char*>(item->thumbnail.data()), item->thumbnail.size());
  return response;
}

Response remove_items(ServedCollection& collection, const std::vector<std::string>& ids) {
  return changed(collection,
                 [&](Collection& writer, JsonWriter& json) { json.member("removed", writer.remove(ids)); });
}

Response remove_listed(ServedCollection& collection, const Request& request) {
  const PageQuery query = read_page_query(request.query);
  if (query.ids.empty()) refuse("which items? id=...");
  return remove_items(collection, query.ids);
}

Response remove_one(ServedCollection& collection, const Request& request) {
  const std::string id(request.parameter("id"));
  if (!collection.reader().find({&id, 1}).front()) return detail_error(404, "Not Found");
  return remove_items(collection, {id});
}

struct Addition {
  Shared collection;
  std::vector<Item> items;
  Identity identity;
};

Response add(const Addition& addition, const Matrix& vectors) {
  return changed(*addition.collection, [&](Collection& writer, JsonWriter& json) {
    std::vector<std::string> ids;
    for (const Item& item : addition.items) ids.push_back(item.id);
    const std::vector<std::optional<Item>> there = writer.find(ids);
    std::vector<Item> items = addition.items;
    for (size_t i = 0; i < items.size(); ++i)
      if (there[i]) items[i] = with_other_columns(std::move(items[i]), *there[i]);
    const std::optional<Identity> expected = writer.info().identity;
    const std::string warning = expected ? search::check_identity(addition.identity, *expected) : "";
    const search::AddCounts counts = writer.add(items, vectors, addition.identity);
    const search::CollectionInfo info = writer.info();
    json.member("added", counts.added).member("replaced", counts.replaced);
    json.member("items", info.items).member("version", info.version);
    if (!warning.empty()) json.key("warnings").begin_array().value(warning).end_array();
  });
}

Outcome add_images(Addition addition, std::vector<EncodedImage> images, const ApiContext& context,
                   const std::optional<Identity>& model) {
  if (!model) return identity_not_known_yet();
  const search::CollectionInfo info = addition.collection->reader().info();
  if (info.identity) search::check_identity(*model, *info.identity);
  expect_dim(info, context.model.info().embedding_dim);
  addition.identity = *model;
  add_origins(images, addition.items);
  return Work{.images = std::move(images),
              .answer = [addition = std::make_shared<const Addition>(std::move(addition))](
                            const Matrix& vectors, const Matrix&) { return add(*addition, vectors); }};
}

Outcome add_items(const Shared& collection, Request& request, Service& service) {
  const ApiContext context = service.context();
  auto read = read_fields(request, context.limits, kAddFields);
  if (auto* refusal = std::get_if<Response>(&read)) return std::move(*refusal);
  FieldValues& values = std::get<FieldValues>(read);
  Addition addition{collection,
                    read_items(FieldValues::take(values.lists, "ids"),
                               FieldValues::take(values.others, "attributes"), context.limits),
                    {}};
  if (addition.items.empty()) refuse("ids: there are none");
  std::vector<EncodedImage> images = FieldValues::take(values.images, "images");
  Matrix vectors;
  if (values.others.contains("vectors"))
    vectors = read_vectors(values.others["vectors"], "vectors", context.limits);
  if (images.empty() == (vectors.rows() == 0)) refuse("items have either images or vectors");
  if (const size_t given = images.size() + vectors.rows(); given != addition.items.size())
    refuse(std::to_string(addition.items.size()) + " ids for " + std::to_string(given) +
           " images or vectors");
  if (!images.empty())
    return add_images(std::move(addition), std::move(images), context,
                      service.identity(decode_options(service.options())));
  if (!values.others.contains("identity")) refuse("vectors need an identity: by what they were made");
  addition.identity = read_identity(values.others["identity"]);
  expect_dim(collection->reader().info(), vectors.cols());
  return add(addition, vectors);
}

}  // namespace

std::vector<Route> CollectionItemsApi::routes() const {
  return {
      {.method = "GET",
       .path = "/collections/{name}/items",
       .summary = "Items, in the order of their ids",
       .computes = true,
       .needs_key = true,
       .query = kPageQuery,
       .response_schema = kItems,
       .handle = on_collection(
           service_,
           [](const Shared& collection, Request& request) { return items_response(collection, request); })},
      {.method = "POST",
       .path = "/collections/{name}/items",
       .summary = "Add items, or replace them",
       .computes = true,
       .needs_key = true,
       .writes = true,
       .fields = kAddFields,
       .takes_files = true,
       .response_schema = kAdded,
       .handle = on_collection(service_,
                               [this](const Shared& collection, Request& request) {
                                 return add_items(collection, request, service_);
                               })},
      {.method = "DELETE",
       .path = "/collections/{name}/items",
       .summary = "Remove items",
       .computes = true,
       .needs_key = true,
       .writes = true,
       .query = kDeleteQuery,
       .response_schema = kRemoved,
       .handle = on_collection(
           service_,
           [](const Shared& collection, Request& request) { return remove_listed(*collection, request); })},
      {.method = "GET",
       .path = "/collections/{name}/items/{id...}",
       .summary = "An item",
       .computes = true,
       .needs_key = true,
       .response_schema = kItem,
       .handle = on_collection(
           service_,
           [](const Shared& collection, Request& request) { return item_response(*collection, request); })},
      {.method = "GET",
       .path = "/collections/{name}/thumbnail",
       .summary = "The small image of an item, where it has one",
       .computes = true,
       .needs_key = true,
       .query = kThumbnailQuery,
       .content_type = "image/jpeg",
       .handle = on_collection(service_,
                               [](const Shared& collection, Request& request) {
                                 return thumbnail_response(*collection, request);
                               })},
      {.method = "DELETE",
       .path = "/collections/{name}/items/{id...}",
       .summary = "Remove an item",
       .computes = true,
       .needs_key = true,
       .writes = true,
       .response_schema = kRemoved,
       .handle = on_collection(service_, [](const Shared& collection,
                                            Request& request) { return remove_one(*collection, request); })},
  };
}

}  // namespace mii::serve
