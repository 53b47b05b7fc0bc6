#include "serve/collection_search_api.h"

#include <boost/json.hpp>
#include <set>

#include "search/audit.h"
#include "search/evidence.h"
#include "search/query.h"
#include "serve/collection_inputs.h"
#include "serve/collection_routes.h"
#include "serve/refuse.h"

namespace mii::serve {
namespace {

using search::Collection;
using search::Item;
using Shared = ServedCollections::Shared;

// Folding compares every hit with every better one.
constexpr size_t kMaxFoldedHits = 1000;

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

constexpr std::string_view kHits =
    R"({"type":"object","required":["hits","evidence","identity"],"properties":{"hits":{"type":"array","items":{
    "type":"object","required":["id","path","similarity","rank","attributes"],"properties":{"id":{"type":"string"},
    "path":{"type":"string"},"similarity":{"type":"number"},"rank":{"type":"integer"},
    "near_duplicates":{"type":"integer"},"attributes":{"type":"object","additionalProperties":{"type":"string"}}}}},
    "evidence":{"type":"object","required":["stage","exact","searched","version","votes","typical"]},
    "identity":{"type":["object","null"]},"warnings":{"type":"array","items":{"type":"string"}}}})";
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
Matrix vectors_of(const Examples& examples, Collection& collection, const Matrix& images, size_t& image,
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
  Collection& collection = query.collection->reader();
  size_t image = 0, text = 0;
  const Matrix like = vectors_of(query.like, collection, images, image, texts, text);
  const Matrix unlike = vectors_of(query.unlike, collection, images, image, texts, text);
  const Matrix vector = search::query_of(like, unlike);
  expect_dim(collection.info(), vector.cols());
  search::Evidence evidence = search_with_evidence(collection, vector, query.options, query.votes);
  evidence.warnings = query.warnings;
  if (!query.caller.empty())
    collection.record(audit_entry(query.caller, vector.row(0), query.options, evidence.answer));
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
  const size_t most = values.numbers.contains("fold") ? kMaxFoldedHits : search::kMaxHits;
  search::SearchOptions options{.k = take_within(values, "k", static_cast<int64_t>(most)).value_or(10),
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
                                  Collection& collection) {
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

std::vector<Route> CollectionSearchApi::routes() const {
  return {
      {.method = "POST",
       .path = "/collections/{name}/search",
       .summary = "The items most like a query, with evidence",
       .computes = true,
       .needs_key = true,
       .fields = kSearchFields,
       .takes_files = true,
       .response_schema = kHits,
       .handle = on_collection(service_,
                               [this](const Shared& collection, Request& request) {
                                 return search_collection(collection, request, service_);
                               })},
  };
}

}  // namespace mii::serve
