#include "serve/reference_api.h"

#include <algorithm>
#include <array>
#include <functional>
#include <unordered_map>

#include "core/json_writer.h"
#include "labels/reading.h"
#include "mii/error.h"
#include "serve/service.h"

namespace mii::serve {
namespace {

constexpr std::string_view kPicture =
    "data:image/"
    "png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
const std::string kPictureList = R"([")" + std::string(kPicture) + R"("])";

// A prompt's bytes, on average. Without a bound a small body could make prompts that fill the memory.
constexpr size_t kPromptBytes = 1024;

const Field kPredictFields[] = {
    {.name = "images",
     .type = Field::Type::image_list,
     .required = true,
     .description = "Images in base64, with or without a data: prefix",
     .example = kPictureList},
    {.name = "labels",
     .type = Field::Type::string_list,
     .required = true,
     .unless = "head",
     .description = "What each image is scored against; a head knows its labels",
     .example = R"(["X-Ray","Ultrasound"])"},
    {.name = "head",
     .type = Field::Type::text,
     .nullable = true,
     .description = "A fitted head of GET /heads, which answers in place of labels"},
    {.name = "multilabel",
     .type = Field::Type::boolean,
     .description = "false: the probabilities of one image sum to 1; true: each label alone",
     .default_json = "false"},
    {.name = "templates",
     .type = Field::Type::string_list,
     .nullable = true,
     .description = "Prompts around each label, with one {} where it goes; none: the label alone. A label's "
                    "vector is the mean of its prompts'.",
     .example = R"(["a {} image"])"}};

const Field kEncodeFields[] = {{.name = "images",
                                .type = Field::Type::image_list,
                                .nullable = true,
                                .description = "Images in base64, with or without a data: prefix",
                                .example = kPictureList},
                               {.name = "texts",
                                .type = Field::Type::string_list,
                                .nullable = true,
                                .description = "Texts in UTF-8",
                                .example = R"(["X-Ray"])"}};

/// {label: probability, ...} of one image, as sorting a Python dict gives it: a label that comes twice
/// keeps its first place and its last value; equal probabilities keep their order.
void write_scores(JsonWriter& json, const std::vector<std::string>& labels, std::span<const float> scores) {
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
  json.begin_object();
  for (const size_t k : last_of) json.member(labels[k], scores[k]);
  json.end_object();
}

Response bad_request(const std::string& detail) { return detail_error(400, detail); }

// The answer of /encode, a row at a step.
class EmbeddingsWriter {
 public:
  EmbeddingsWriter(Matrix images, Matrix texts)
      : lists_(std::make_shared<const std::array<Matrix, 2>>(
            std::array<Matrix, 2>{std::move(images), std::move(texts)})) {}

  bool operator()(JsonWriter& json) {
    const Matrix& rows = (*lists_)[list_];
    if (list_ == 0 && row_ == 0) json.begin_object();
    if (row_ == 0) json.key(list_ == 0 ? "image_embeddings" : "text_embeddings");
    if (rows.rows() == 0) {
      json.value(nullptr);
    } else {
      if (row_ == 0) json.begin_array();
      json.value(rows.row(row_));
      if (++row_ < rows.rows()) return true;
      json.end_array();
    }
    row_ = 0;
    if (++list_ < lists_->size()) return true;
    json.end_object();
    return false;
  }

 private:
  std::shared_ptr<const std::array<Matrix, 2>> lists_;
  size_t list_ = 0, row_ = 0;
};

void write_predictions(JsonWriter& json, const Head& head, const Matrix& scores) {
  json.key("predictions").begin_array();
  for (size_t i = 0; i < scores.rows(); ++i) write_scores(json, head.labels(), scores.row(i));
  json.end_array();
}

// {label: {band, point}, ...} of each image, where the head has operating points.
void write_bands(JsonWriter& json, const heads::FittedHead& head, const Matrix& scores) {
  if (head.parts().points.empty()) return;
  json.key("bands").begin_array();
  for (size_t i = 0; i < scores.rows(); ++i) {
    json.begin_object();
    for (size_t k = 0; k < scores.cols(); ++k)
      if (const auto band = head.band(k, scores.row(i)[k])) {
        json.key(head.labels()[k]).begin_object();
        json.member("band", band->name).member("point", band->points).end_object();
      }
    json.end_object();
  }
  json.end_array();
}

Response predictions(const ZeroShotHead& head, const labels::Reading& reading, const Matrix& images) {
  JsonWriter json(JsonWriter::Style::compact);
  write_predictions(json.begin_object(), head, head.score(images));
  write_reading(json, head.labels(), reading);
  return json_response(json.end_object().finish());
}

Response predictions(const heads::FittedHead& head, const Matrix& images) {
  const Matrix scores = head.score(images);
  JsonWriter json(JsonWriter::Style::compact);
  write_predictions(json.begin_object(), head, scores);
  write_bands(json, head, scores);
  return json_response(json.end_object().finish());
}

// Work for a fitted head, or why it cannot answer.
Outcome predict_by_head(Inputs inputs, const ApiContext& context) {
  if (!inputs.texts.empty() || !inputs.templates.empty() || inputs.multilabel)
    return bad_request("a head takes no labels, templates or multilabel");
  if (inputs.images.empty()) return bad_request("No images provided");
  auto found = usable_head(inputs.head, context);
  if (auto* refusal = std::get_if<Response>(&found)) return std::move(*refusal);
  const HeadFolder::Shared head = std::get<HeadFolder::Shared>(found);
  Work work{.images = std::move(inputs.images)};
  work.answer = [head](const Matrix& images, const Matrix&) { return predictions(*head, images); };
  return work;
}

// Short labels and templates make many long prompts. Empty when they are within the limits, else the reason.
std::string beyond_prompt_limits(const std::vector<std::string>& labels,
                                 const std::vector<std::string>& templates, const Limits& limits) {
  const auto bytes_of = [](const std::vector<std::string>& texts) {
    size_t sum = 0;
    for (const std::string& text : texts) sum += text.size();
    return sum;
  };
  const size_t count = labels.size() * templates.size();
  if (count > limits.texts)
    return "labels in templates are " + std::to_string(count) + " prompts, at most " +
           std::to_string(limits.texts) + " a request";
  const size_t bytes = templates.size() * bytes_of(labels) + labels.size() * bytes_of(templates);
  const size_t most = limits.texts * kPromptBytes;
  if (!templates.empty() && bytes > most)
    return "labels in templates are " + std::to_string(bytes) + " bytes, at most " + std::to_string(most) +
           " a request";
  return {};
}

// The texts of a head that is not known yet, and how it is made of their vectors.
struct NewHead {
  std::vector<std::string> texts;
  std::function<ZeroShotHead(const Matrix& texts)> build;
};

// Throws as LabelPrompts does. Without templates a label may be empty, as in the Python service.
NewHead plan_head(std::vector<std::string> labels, const ClassifyOptions& options, float scale) {
  if (options.templates.empty())
    return {options.prompts,
            [labels = std::move(labels), scale, multilabel = options.multilabel](const Matrix& texts) {
              return ZeroShotHead(labels, texts.clone(), scale, multilabel);
            }};
  LabelPrompts prompts(labels, options);
  std::vector<std::string> all = prompts.texts();
  return {std::move(all),
          [prompts = std::move(prompts), scale](const Matrix& texts) { return prompts.head(texts, scale); }};
}

constexpr std::string_view kPredictions =
    R"({"type":"object","required":["predictions"],"properties":{"predictions":{"type":"array","items":
    {"type":"object","additionalProperties":{"type":"number"}}},
    "prompts":{"type":"object","additionalProperties":{"type":"string"}},
    "warnings":{"type":"array","items":{"type":"string"}},"bands":{"type":"array","items":{"type":"object",
    "additionalProperties":{"type":"object","required":["band","point"],"properties":{
    "band":{"enum":["negative","possible","positive"]},"point":{"type":"string"}}}}}}})";

constexpr std::string_view kEmbeddings =
    R"({"type":"object","required":["image_embeddings","text_embeddings"],"properties":{
    "image_embeddings":{"type":["array","null"],"items":{"type":"array","items":{"type":"number"}}},
    "text_embeddings":{"type":["array","null"],"items":{"type":"array","items":{"type":"number"}}}}})";

}  // namespace

Outcome predict(Request& request, const ApiContext& context) {
  auto read = read_inputs(request, context, kPredictFields);
  if (auto* refusal = std::get_if<Response>(&read)) return std::move(*refusal);
  Inputs& inputs = std::get<Inputs>(read);
  if (!inputs.head.empty()) return predict_by_head(std::move(inputs), context);
  if (inputs.texts.empty()) return bad_request("No labels provided");
  if (inputs.images.empty()) return bad_request("No images provided");
  const auto reading =
      std::make_shared<const labels::Reading>(labels::read_labels(context.catalogue, inputs.texts));
  const ClassifyOptions options{.multilabel = inputs.multilabel,
                                .prompts = reading->prompts,
                                .templates = std::move(inputs.templates),
                                .allow_duplicate_labels = true};
  const std::string reason = beyond_prompt_limits(options.prompts, options.templates, context.limits);
  if (!reason.empty()) return bad_request(reason);

  Work work{.images = std::move(inputs.images)};
  const std::string key = HeadCache::key(inputs.texts, options);
  if (const HeadCache::Shared head = context.heads.find(key)) {
    work.answer = [head, reading](const Matrix& images, const Matrix&) {
      return predictions(*head, *reading, images);
    };
    return work;
  }
  NewHead new_head = plan_head(std::move(inputs.texts), options, context.model.info().logit_scale);
  work.texts = std::move(new_head.texts);
  work.answer = [build = std::move(new_head.build), reading, key, &heads = context.heads](
                    const Matrix& images, const Matrix& texts) {
    const auto head = std::make_shared<const ZeroShotHead>(build(texts));
    heads.insert(key, head);
    return predictions(*head, *reading, images);
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
  work.answer = [](Matrix images, Matrix texts) {
    return json_response(EmbeddingsWriter(std::move(images), std::move(texts)));
  };
  return work;
}

std::vector<Route> ReferenceApi::routes() const {
  return {
      {.method = "POST",
       .path = "/predict",
       .summary = "Score images against labels, or by a fitted head",
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
