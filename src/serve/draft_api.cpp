#include "serve/draft_api.h"

#include <algorithm>

#include "reports/draft.h"
#include "search/audit.h"
#include "search/query.h"
#include "serve/collection_inputs.h"
#include "serve/service.h"
#include "serve/refuse.h"

namespace mii::serve {
namespace {

using Shared = ServedCollections::Shared;

constexpr int64_t kMostReports = 1000;

const Field kFields[] = {
    {.name = "images",
     .type = Field::Type::image_list,
     .required = true,
     .description = "One image in base64; of a DICOM file, its own patient's reports are no sources"},
    {.name = "collection",
     .type = Field::Type::text,
     .required = true,
     .description = "Whose items have reports",
     .example = R"("chest")"},
    {.name = "text_column",
     .type = Field::Type::text,
     .nullable = true,
     .description = "The column with the reports",
     .default_json = R"("text")"},
    {.name = "k",
     .type = Field::Type::integer,
     .nullable = true,
     .description = "Similar images that are looked at, 1 to 1000",
     .default_json = "10"},
    {.name = "filter",
     .type = Field::Type::text,
     .nullable = true,
     .description = "Sources meet this: modality = 'X-Ray'"},
    {.name = "least_support",
     .type = Field::Type::number,
     .nullable = true,
     .description = "Share of the reports that must say a sentence, in these or other words",
     .default_json = "0.5"},
    {.name = "least_reports",
     .type = Field::Type::integer,
     .nullable = true,
     .description = "With fewer reports than this there is not enough evidence",
     .default_json = "3"}};

constexpr std::string_view kDraft =
    R"({"type":"object","required":["sentences","reports","held_back","evidence","notice"],"properties":{
    "sentences":{"type":"array","items":{"type":"object","required":["text","sources","support","contradicting","findings"],
    "properties":{"text":{"type":"string"},"sources":{"type":"array","items":{"type":"object","required":["id","similarity"],
    "properties":{"id":{"type":"string"},"similarity":{"type":"number"}}}},"support":{"type":"number"},
    "contradicting":{"type":"integer"},"findings":{"type":"object","additionalProperties":{"type":"string"}}}}},
    "reports":{"type":"integer"},"held_back":{"type":"integer"},"evidence":{"type":"string"},"notice":{"type":"string"},
    "warning":{"type":"string"}}})";

struct Asked {
  Shared collection;
  std::string text_column;
  search::SearchOptions search;
  reports::DraftOptions draft;
  std::string warning;  // of the image's vector
  std::string caller;   // empty: no audit
};

void expect_column(const search::CollectionInfo& info, const std::string& column) {
  if (std::ranges::find(info.columns, column) == info.columns.end())
    refuse("the collection has no column '" + column + "' with reports");
}

Response answer(const Asked& asked, const Matrix& images) {
  search::Collection& collection = asked.collection->reader();
  expect_dim(collection.info(), images.cols());
  const search::Answer found = collection.search(images, asked.search).front();
  if (!asked.caller.empty()) collection.record(audit_entry(asked.caller, images.row(0), asked.search, found));
  reports::Draft draft = draft_of(reports::reports_of(found, asked.text_column), asked.draft);
  draft.warning = asked.warning;
  return json_response(to_json(draft));
}

Outcome draft(Request& request, Service& service) {
  const ApiContext context = service.context();
  auto read = read_fields(request, context.limits, kFields);
  if (auto* refusal = std::get_if<Response>(&read)) return std::move(*refusal);
  FieldValues& values = std::get<FieldValues>(read);
  Work work{.images = FieldValues::take(values.images, "images")};
  if (work.images.size() != 1) refuse(std::to_string(work.images.size()) + " images, a draft is of one");
  const auto asked = std::make_shared<Asked>();
  const std::string name = FieldValues::take(values.texts, "collection");
  asked->collection = service.collections()->find(name);
  if (!asked->collection) refuse("there is no collection '" + name + "'");
  asked->text_column = FieldValues::take(values.texts, "text_column", std::string("text"));
  asked->search.k = take_within(values, "k", kMostReports).value_or(10);
  if (const std::string filter = FieldValues::take(values.texts, "filter"); !filter.empty())
    asked->search.filter = search::parse_filter(filter);
  if (const std::string patient = patient_of(work.images.front()); !patient.empty())
    leave_out_patients({patient}, asked->search);
  asked->draft.least_support = FieldValues::take(values.numbers, "least_support", asked->draft.least_support);
  asked->draft.least_reports =
      take_within(values, "least_reports", kMostReports).value_or(asked->draft.least_reports);
  check(asked->draft);

  const search::CollectionInfo info = asked->collection->reader().info();
  expect_column(info, asked->text_column);
  const auto model = service.identity(decode_options(service.options()));
  if (!model) return identity_not_known_yet();
  if (info.identity) asked->warning = search::check_identity(*model, *info.identity);
  if (service.options().audit) asked->caller = service.caller(request);
  work.answer = [asked](const Matrix& images, const Matrix&) { return answer(*asked, images); };
  return work;
}

}  // namespace

std::vector<Route> DraftApi::routes() const {
  return {
      {.method = "POST",
       .path = "/draft",
       .summary = "A draft of a report, quoted from similar images' reports",
       .computes = true,
       .needs_key = true,
       .fields = kFields,
       .takes_files = true,
       .response_schema = kDraft,
       .handle = [this](Request& r) { return draft(r, service_); }},
  };
}

}  // namespace mii::serve
