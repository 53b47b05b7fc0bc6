#include "serve/reference_api.h"

#include <algorithm>
#include <unordered_map>

#include "core/number_text.h"
#include "serve/service.h"

namespace mii::serve {
namespace {

constexpr std::string_view kPicture =
    "data:image/"
    "png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
const std::string kPictureList = "[\"" + std::string(kPicture) + "\"]";

const Field kPredictFields[] = {
    {.name = "images",
     .type = Field::Type::string_list,
     .required = true,
     .description = "Pictures in base64, with or without a data: prefix",
     .example = kPictureList},
    {.name = "labels",
     .type = Field::Type::string_list,
     .required = true,
     .description = "What each picture is scored against",
     .example = R"(["X-Ray","Ultrasound"])"},
    {.name = "multilabel",
     .type = Field::Type::boolean,
     .description = "false: the probabilities of one picture sum to 1; true: each label alone",
     .default_json = "false"}};

const Field kEncodeFields[] = {{.name = "images",
                                .type = Field::Type::string_list,
                                .nullable = true,
                                .description = "Pictures in base64, with or without a data: prefix",
                                .example = kPictureList},
                               {.name = "texts",
                                .type = Field::Type::string_list,
                                .nullable = true,
                                .description = "Texts in UTF-8",
                                .example = R"(["X-Ray"])"}};

/// {label: probability, ...} of one picture, as sorting a Python dict gives it: a label that comes twice
/// keeps its first place and its last value; equal probabilities keep their order.
void append_scores(std::string& out, const std::vector<std::string>& labels, std::span<const float> scores) {
  std::vector<size_t> last_of;  // for each distinct label, the index of its last value
  std::unordered_map<std::string_view, size_t> place;
  for (size_t k = 0; k < labels.size(); ++k) {
    const auto [found, added] = place.try_emplace(labels[k], last_of.size());
    if (added)
      last_of.push_back(k);
    else
      last_of[found->second] = k;
  }
  std::ranges::stable_sort(last_of, [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  out += '{';
  for (size_t i = 0; i < last_of.size(); ++i) {
    if (i != 0) out += ',';
    out += json_text(labels[last_of[i]]) + ':' + number_text(scores[last_of[i]]);
  }
  out += '}';
}

Response bad_request(const std::string& detail) { return detail_error(400, detail); }

constexpr std::string_view kPredictions =
    R"({"type":"object","required":["predictions"],"properties":{"predictions":{"type":"array","items":
    {"type":"object","additionalProperties":{"type":"number"}}}}})";

constexpr std::string_view kEmbeddings =
    R"({"type":"object","required":["image_embeddings","text_embeddings"],"properties":{
    "image_embeddings":{"type":["array","null"],"items":{"type":"array","items":{"type":"number"}}},
    "text_embeddings":{"type":["array","null"],"items":{"type":"array","items":{"type":"number"}}}}})";

}  // namespace

Outcome predict(Request& request, const ApiContext& context) {
  auto read = read_inputs(request, context, kPredictFields);
  if (auto* refusal = std::get_if<Response>(&read)) return std::move(*refusal);
  Inputs& inputs = std::get<Inputs>(read);
  if (inputs.texts.empty()) return bad_request("No labels provided");
  if (inputs.images.empty()) return bad_request("No images provided");
  Work work{.images = std::move(inputs.images), .texts = inputs.texts};
  work.answer = [labels = std::move(inputs.texts), multilabel = inputs.multilabel,
                 scale = context.model.info().logit_scale](const Matrix& images, const Matrix& texts) {
    const Matrix scores = ZeroShotHead(labels, texts.clone(), scale, multilabel).score(images);
    std::string body = "{\"predictions\":[";
    for (size_t i = 0; i < scores.rows(); ++i) {
      if (i != 0) body += ',';
      append_scores(body, labels, scores.row(i));
    }
    return json_response(body + "]}");
  };
  return work;
}

Outcome encode(Request& request, const ApiContext& context) {
  auto read = read_inputs(request, context, kEncodeFields);
  if (auto* refusal = std::get_if<Response>(&read)) return std::move(*refusal);
  Inputs& inputs = std::get<Inputs>(read);
  if (inputs.images.empty() && inputs.texts.empty())
    return bad_request("You must provide either images or texts");
  Work work{.images = std::move(inputs.images), .texts = std::move(inputs.texts)};
  work.answer = [](const Matrix& images, const Matrix& texts) {
    std::string body = "{\"image_embeddings\":";
    if (images.rows() == 0)
      body += "null";
    else
      append_rows(body, images);
    body += ",\"text_embeddings\":";
    if (texts.rows() == 0)
      body += "null";
    else
      append_rows(body, texts);
    return json_response(body + '}');
  };
  return work;
}

std::vector<Route> ReferenceApi::routes() const {
  return {
      {.method = "POST",
       .path = "/predict",
       .summary = "Score images against labels",
       .computes = true,
       .needs_key = true,
       .fields = kPredictFields,
       .takes_files = true,
       .response_schema = kPredictions,
       .handle = [this](Request& r) { return predict(r, service_.context()); }},
      {.method = "POST",
       .path = "/encode",
       .summary = "Vectors of images and texts",
       .computes = true,
       .needs_key = true,
       .fields = kEncodeFields,
       .takes_files = true,
       .response_schema = kEmbeddings,
       .handle = [this](Request& r) { return encode(r, service_.context()); }},
  };
}

}  // namespace mii::serve
