#include "serve/collections_api.h"

#include <boost/json.hpp>
#include <set>

#include "core/json_writer.h"
#include "mii/error.h"
#include "search/audit.h"
#include "search/evidence.h"
#include "search/query.h"
#include "serve/collection_inputs.h"
#include "serve/service.h"

namespace mii::serve {
namespace {

using search::FolderCollection;
using search::Item;
using Shared = CollectionFolder::Shared;

constexpr size_t kMaxPage = 1000;
constexpr size_t kStepItems = 64;
// Folding compares every hit with every better one.
constexpr size_t kMaxFoldedHits = 1000;

constexpr std::string_view kVectorsSchema =
    R"({"type":["array","null"],"items":{"anyOf":[{"type":"array","items":{"type":"number"}},
    {"type":"string","contentEncoding":"base64"}]}})";
constexpr std::string_view kIdentitySchema =
    R"({"type":["object","null"],"additionalProperties":{"type":"string"}})";

const Field kSearchFields[] = {
    {.name = "images",
     .type = Field::Type::image_list,
     .nullable = true,
     .description = "Images in base64 that hits are to be like"},
    {.name = "texts",
     .type = Field::Type::string_list,
     .nullable = true,
     .description = "Texts that hits are to be like",
     .example = R"(["X-Ray"])"},
    {.name = "vectors",
     .nullable = true,
     .description =
         "Vectors that hits are to be like: lists of numbers, or float32, little-endian, in base64",
     .schema = kVectorsSchema},
    {.name = "ids",
     .type = Field::Type::string_list,
     .nullable = true,
     .description = "Items of the collection that hits are to be like; they are no hits themselves"},
    {.name = "not_images",
     .type = Field::Type::image_list,
     .nullable = true,
     .description = "Images in base64 that hits are not to be like"},
    {.name = "not_texts", .type = Field::Type::string_list, .nullable = true},
    {.name = "not_vectors", .nullable = true, .schema = kVectorsSchema},
    {.name = "not_ids", .type = Field::Type::string_list, .nullable = true},
    {.name = "identity",
     .nullable = true,
     .description = "By what the vectors were made; refused when it is not that of the collection",
     .schema = kIdentitySchema},
    {.name = "k",
     .type = Field::Type::integer,
     .nullable = true,
     .description = "Hits, 1 to 10000; with fold 1000",
     .default_json = "10",
     .example = "3"},
    {.name = "filter",
     .type = Field::Type::text,
     .nullable = true,
     .description = "Hits meet this: modality = 'Ultrasound' and age < 40"},
    {.name = "one_per",
     .type = Field::Type::text,
     .nullable = true,
     .description = "A column: one hit for each of its values"},
    {.name = "leave_out_patient",
     .type = Field::Type::boolean,
     .description = "The query's own patient is no hit, as the collection or the DICOM file says who that is",
     .default_json = "false"},
    {.name = "fold",
     .type = Field::Type::number,
     .nullable = true,
     .description = "Near-duplicates, from this similarity on, count with the better hit"},
    {.name = "vote",
     .type = Field::Type::string_list,
     .nullable = true,
     .description = "Columns for whose values the hits vote"},
    {.name = "exact",
     .type = Field::Type::boolean,
     .description = "Read every stored vector",
     .default_json = "false"},
    {.name = "version",
     .type = Field::Type::integer,
     .nullable = true,
     .description = "Ask the collection as it was then"}};

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

constexpr std::string_view kCollection =
    R"({"type":"object","required":["name","items","dim","identity","version","columns"],"properties":{
    "name":{"type":"string"},"items":{"type":"integer"},"dim":{"type":"integer"},
    "identity":{"type":["string","object","null"]},"version":{"type":"integer"},
    "columns":{"type":"array","items":{"type":"string"}}}})";
constexpr std::string_view kCollections =
    R"({"type":"object","required":["collections"],"properties":{"collections":{"type":"array","items":{
    "type":"object","required":["name","items","dim","identity","version","columns"]}}}})";
constexpr std::string_view kItem =
    R"({"type":"object","required":["id","path","attributes"],"properties":{"id":{"type":"string"},
    "path":{"type":"string"},"attributes":{"type":"object","additionalProperties":{"type":"string"}}}})";
constexpr std::string_view kItems =
    R"({"type":"object","required":["items","next"],"properties":{"items":{"type":"array","items":{"type":"object",
    "required":["id","path","attributes"]}},"next":{"type":["string","null"]}}})";
constexpr std::string_view kHits =
    R"({"type":"object","required":["hits","evidence","identity"],"properties":{"hits":{"type":"array","items":{
    "type":"object","required":["id","path","similarity","rank","attributes"],"properties":{"id":{"type":"string"},
    "path":{"type":"string"},"similarity":{"type":"number"},"rank":{"type":"integer"},
    "near_duplicates":{"type":"integer"},"attributes":{"type":"object","additionalProperties":{"type":"string"}}}}},
    "evidence":{"type":"object","required":["stage","exact","searched","version","votes","typical"]},
    "identity":{"type":["object","null"]},"warnings":{"type":"array","items":{"type":"string"}}}})";
constexpr std::string_view kAdded =
    R"({"type":"object","required":["added","replaced","items","version"],"properties":{"added":{"type":"integer"},
    "replaced":{"type":"integer"},"items":{"type":"integer"},"version":{"type":"integer"},
    "warnings":{"type":"array","items":{"type":"string"}}}})";
constexpr std::string_view kRemoved =
    R"({"type":"object","required":["removed"],"properties":{"removed":{"type":"integer"}}})";

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

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

void write_item(JsonWriter& json, const Item& item) {
  json.begin_object().member("id", item.id).member("path", item.value("path"));
  search::write_attributes(json.key("attributes"), item);
  json.end_object();
}

Response collections_response(const CollectionFolder& folder) {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object().key("collections").begin_array();
  for (const auto& [name, collection] : folder.all()) write_info(json, name, collection->reader().info());
  return json_response(json.end_array().end_object().finish());
}

Response collection_response(const std::string& name, ServedCollection& collection) {
  JsonWriter json(JsonWriter::Style::compact);
  write_info(json, name, collection.reader().info());
  return json_response(json.finish());
}

// Changes a collection and answers, or says that it cannot be changed now.
Response changed(ServedCollection& collection,
                 const std::function<void(FolderCollection&, JsonWriter&)>& change) {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object();
  try {
    collection.write([&](FolderCollection& writer) { change(writer, json); });
  } catch (const search::CollectionBusy&) {
    return detail_error(409, "another process writes to the collection: try again later");
  }
  return json_response(json.end_object().finish());
}

// ---- Items

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

Response remove_items(ServedCollection& collection, const std::vector<std::string>& ids) {
  return changed(collection, [&](FolderCollection& writer, JsonWriter& json) {
    json.member("removed", writer.remove(ids));
  });
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

// ---- Adding

struct Addition {
  Shared collection;
  std::vector<Item> items;
  Identity identity;
};

Response add(const Addition& addition, const Matrix& vectors) {
  return changed(*addition.collection, [&](FolderCollection& writer, JsonWriter& json) {
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

void expect_dim(const search::CollectionInfo& info, size_t dim) {
  if (info.dim != 0 && info.dim != dim)
    refuse("the collection holds vectors of " + std::to_string(info.dim) + " values, these have " +
           std::to_string(dim));
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

// ---- Search

// What hits are to be like, or not to be like. Images and texts are on their way through the model.
struct Examples {
  size_t images = 0;
  size_t texts = 0;
  std::vector<std::string> ids;
  Matrix vectors;

  size_t size() const { return images + texts + ids.size() + vectors.rows(); }
};

struct Query {
  Shared collection;
  Examples like, unlike;
  search::SearchOptions options;
  std::vector<std::string> votes;
  std::vector<std::string> warnings;
  std::string caller;  // empty: no audit
};

// The vectors of examples; what is taken of images and texts before them is counted on.
Matrix vectors_of(const Examples& examples, FolderCollection& collection, const Matrix& images, size_t& image,
                  const Matrix& texts, size_t& text) {
  const Matrix stored = examples.ids.empty() ? Matrix() : collection.vectors(examples.ids);
  std::vector<std::span<const float>> rows;
  for (size_t i = 0; i < examples.images; ++i) rows.push_back(images.row(image++));
  for (size_t i = 0; i < examples.texts; ++i) rows.push_back(texts.row(text++));
  for (const Matrix* more : {&stored, &examples.vectors})
    for (size_t i = 0; i < more->rows(); ++i) rows.push_back(more->row(i));
  return search::stacked(rows);
}

Response answer(const Query& query, const Matrix& images, const Matrix& texts) {
  FolderCollection& collection = query.collection->reader();
  size_t image = 0, text = 0;
  const Matrix like = vectors_of(query.like, collection, images, image, texts, text);
  const Matrix unlike = vectors_of(query.unlike, collection, images, image, texts, text);
  const Matrix vector = search::query_of(like, unlike);
  expect_dim(collection.info(), vector.cols());
  search::Evidence evidence = search_with_evidence(collection, vector, query.options, query.votes);
  evidence.warnings = query.warnings;
  if (!query.caller.empty())
    search::AuditLog(query.collection->folder())
        .add(audit_entry(query.caller, vector.row(0), query.options, evidence.answer));
  return json_response(search::EvidenceWriter(std::move(evidence)));
}

// The names of the fields of examples.
struct ExampleFields {
  std::string_view images, texts, ids, vectors;
};
constexpr ExampleFields kLike{"images", "texts", "ids", "vectors"};
constexpr ExampleFields kUnlike{"not_images", "not_texts", "not_ids", "not_vectors"};

Examples read_examples(const ExampleFields& fields, FieldValues& values, const Limits& limits, Work& work) {
  Examples examples;
  for (EncodedImage& image : FieldValues::take(values.images, fields.images)) {
    work.images.push_back(std::move(image));
    ++examples.images;
  }
  for (std::string& text : FieldValues::take(values.lists, fields.texts)) {
    work.texts.push_back(std::move(text));
    ++examples.texts;
  }
  examples.ids = FieldValues::take(values.lists, fields.ids);
  if (values.others.contains(fields.vectors))
    examples.vectors = read_vectors(values.others[fields.vectors], std::string(fields.vectors), limits);
  return examples;
}

search::SearchOptions read_options(FieldValues& values) {
  const int64_t k = FieldValues::take(values.integers, "k", int64_t{10});
  const size_t most = values.numbers.contains("fold") ? kMaxFoldedHits : search::kMaxHits;
  if (k < 1 || k > static_cast<int64_t>(most))
    refuse("k is " + std::to_string(k) + ", expected 1 to " + std::to_string(most));
  search::SearchOptions options{.k = static_cast<size_t>(k),
                                .one_per = FieldValues::take(values.texts, "one_per")};
  if (const std::string filter = FieldValues::take(values.texts, "filter"); !filter.empty())
    options.filter = search::parse_filter(filter);
  if (values.numbers.contains("fold")) options.fold_from = static_cast<float>(values.numbers["fold"]);
  if (values.integers.contains("version")) {
    if (values.integers["version"] < 0) refuse("version is negative");
    options.version = static_cast<uint64_t>(values.integers["version"]);
  }
  if (FieldValues::take(values.booleans, "exact")) options.stage = search::Stage::exact;
  return options;
}

std::set<std::string> patients_of(const Examples& like, std::span<const EncodedImage> images,
                                  FolderCollection& collection) {
  std::set<std::string> patients;
  for (const std::optional<Item>& item : collection.find(like.ids))
    if (item) patients.emplace(item->value("patient"));
  for (const EncodedImage& image : images.first(like.images)) patients.insert(patient_of(image));
  patients.erase("");
  return patients;
}

// Throws for vectors that are not like the collection's; otherwise how they differ a little.
std::vector<std::string> identity_warnings(const Identity& expected, const Work& work,
                                           const std::optional<Identity>& model,
                                           const boost::json::value& given) {
  std::set<std::string> warnings;
  if (!work.images.empty()) warnings.insert(search::check_identity(*model, expected));
  if (!work.texts.empty()) warnings.insert(search::check_identity(*model, expected, {.of_text = true}));
  if (!given.is_null())
    warnings.insert(search::check_identity(read_identity(given), expected, {.of_text = true}));
  warnings.erase("");
  return {warnings.begin(), warnings.end()};
}

Outcome search_collection(const Shared& collection, Request& request, Service& service) {
  const ApiContext context = service.context();
  auto read = read_fields(request, context.limits, kSearchFields);
  if (auto* refusal = std::get_if<Response>(&read)) return std::move(*refusal);
  FieldValues& values = std::get<FieldValues>(read);
  Work work;
  const auto query = std::make_shared<Query>();
  query->collection = collection;
  query->like = read_examples(kLike, values, context.limits, work);
  query->unlike = read_examples(kUnlike, values, context.limits, work);
  if (query->like.size() == 0) refuse("a query needs images, texts, vectors or ids");
  if (const std::string reason = beyond_limits(work.images, work.texts, context.limits); !reason.empty())
    refuse(reason);
  query->options = read_options(values);
  query->options.leave_out = query->like.ids;
  query->votes = FieldValues::take(values.lists, "vote");
  if (service.options().audit) query->caller = service.caller(request);
  if (FieldValues::take(values.booleans, "leave_out_patient"))
    leave_out_patients(patients_of(query->like, work.images, collection->reader()), query->options);

  const bool needs_model = !work.images.empty() || !work.texts.empty();
  if (const auto expected = collection->reader().info().identity) {
    const auto model = service.identity(decode_options(service.options()));
    if (needs_model && !model) return identity_not_known_yet();
    query->warnings = identity_warnings(*expected, work, model, FieldValues::take(values.others, "identity"));
  }
  if (!needs_model) return answer(*query, {}, {});
  work.answer = [query](const Matrix& images, const Matrix& texts) { return answer(*query, images, texts); };
  return work;
}

}  // namespace

std::vector<Route> CollectionsApi::routes() const {
  // `handle` of the collection that the path names, or 404.
  const auto of_collection = [this](auto handle) {
    return [this, handle](Request& request) -> Outcome {
      const Shared collection = service_.collections()->find(request.parameter("name"));
      if (!collection) return detail_error(404, "Not Found");
      return handle(collection, request);
    };
  };
  // All of them run on workers: they read the disk.
  return {
      {.method = "GET",
       .path = "/collections",
       .summary = "The collections that can be searched",
       .computes = true,
       .needs_key = true,
       .response_schema = kCollections,
       .handle = [this](Request&) -> Outcome { return collections_response(*service_.collections()); }},
      {.method = "GET",
       .path = "/collections/{name}",
       .summary = "What a collection holds",
       .computes = true,
       .needs_key = true,
       .response_schema = kCollection,
       .handle = of_collection([](const Shared& collection, Request& request) {
         return collection_response(std::string(request.parameter("name")), *collection);
       })},
      {.method = "POST",
       .path = "/collections/{name}/search",
       .summary = "The items most like a query, with evidence",
       .computes = true,
       .needs_key = true,
       .fields = kSearchFields,
       .takes_files = true,
       .response_schema = kHits,
       .handle = of_collection([this](const Shared& collection, Request& request) {
         return search_collection(collection, request, service_);
       })},
      {.method = "GET",
       .path = "/collections/{name}/items",
       .summary = "Items, in the order of their ids",
       .computes = true,
       .needs_key = true,
       .query = kPageQuery,
       .response_schema = kItems,
       .handle = of_collection(
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
       .handle = of_collection([this](const Shared& collection, Request& request) {
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
       .handle = of_collection(
           [](const Shared& collection, Request& request) { return remove_listed(*collection, request); })},
      {.method = "GET",
       .path = "/collections/{name}/items/{id...}",
       .summary = "An item",
       .computes = true,
       .needs_key = true,
       .response_schema = kItem,
       .handle = of_collection(
           [](const Shared& collection, Request& request) { return item_response(*collection, request); })},
      {.method = "DELETE",
       .path = "/collections/{name}/items/{id...}",
       .summary = "Remove an item",
       .computes = true,
       .needs_key = true,
       .writes = true,
       .response_schema = kRemoved,
       .handle = of_collection(
           [](const Shared& collection, Request& request) { return remove_one(*collection, request); })},
  };
}

}  // namespace mii::serve
