#include "serve/explain_api.h"

#include <optional>

#include "core/base64.h"
#include "image/encode_png.h"
#include "labels/reading.h"
#include "maps/explained.h"
#include "serve/service.h"
#include "serve/refuse.h"

namespace mii::serve {
namespace {

// What one request may make the service compute and write.
constexpr size_t kMaxImages = 64;
constexpr size_t kMaxMaps = 4096;
constexpr size_t kMaxOverlays = 256;
constexpr size_t kMaxGradients = 64;

const Field kFields[] = {
    {.name = "images",
     .type = Field::Type::image_list,
     .required = true,
     .description = "Images in base64, with or without a data: prefix; 64 at most"},
    {.name = "labels",
     .type = Field::Type::string_list,
     .required = true,
     .unless = "head",
     .description = "Whose scores are explained; images times labels are 4096 at most",
     .example = R"(["X-Ray","Ultrasound"])"},
    {.name = "head",
     .type = Field::Type::text,
     .nullable = true,
     .description = "A fitted head of GET /heads, whose scores are explained in place of labels'"},
    {.name = "versus",
     .type = Field::Type::text,
     .nullable = true,
     .description = "A label: say why each of the others and not this one"},
    {.name = "method",
     .type = Field::Type::text,
     .nullable = true,
     .description = "exact: each token's part of the score. gradient: how sensitive it is to the tokens one "
                    "stage earlier, on a finer grid; images times labels are then 64 at most, and one such "
                    "request is computed at a time",
     .default_json = R"("exact")"},
    {.name = "overlays",
     .type = Field::Type::boolean,
     .description = "Answer each map over its image, too, as a PNG in base64; images times labels are then "
                    "256 at most",
     .default_json = "false"}};

constexpr std::string_view kExplained =
    R"({"type":"object","required":["contrast","images"],"properties":{"contrast":{"type":"string"},
    "images":{"type":"array","items":{"type":"object","required":["rows","cols","labels"],"properties":{
    "rows":{"type":"integer"},"cols":{"type":"integer"},"labels":{"type":"array","items":{"type":"object",
    "required":["label","score","highest","map"],"properties":{
    "label":{"type":"string"},"score":{"type":"number"},"constant":{"type":"number"},
    "completeness":{"type":"number"},"highest":{"type":"object","required":["row","col"],"properties":{
    "row":{"type":"integer"},"col":{"type":"integer"}}},
    "map":{"type":"array","items":{"type":"array","items":{"type":"number"}}},
    "parts":{"type":"array","items":{"type":"array","items":{"type":"number"}}},
    "overlay":{"type":"string"}}}}}}},
    "prompts":{"type":"object","additionalProperties":{"type":"string"}},
    "warnings":{"type":"array","items":{"type":"string"}}}})";

// What is asked of each image. It is made of labels when their texts' vectors are there.
struct Asked {
  std::vector<std::string> labels;
  labels::Reading reading;
  HeadFolder::Shared head;  // in place of labels
  std::string versus;
  std::vector<Image> canvases;  // of the images; none: no overlays
  std::shared_ptr<void> turn;   // while the engine goes back for this request's maps; else they are exact

  maps::Question question(const Matrix& texts) const;
};

// texts: [K + M, D], of the labels, and of the modalities behind one alone.
maps::Question about_labels(const std::vector<std::string>& labels, const Matrix& texts) {
  const size_t n = labels.size();
  Matrix vectors(n, texts.cols()), others(texts.rows() - n, texts.cols());
  std::ranges::copy(texts.values().first(vectors.values().size()), vectors.values().begin());
  std::ranges::copy(texts.values().subspan(vectors.values().size()), others.values().begin());
  return maps::about_labels(labels, std::move(vectors), others);
}

maps::Question Asked::question(const Matrix& texts) const {
  maps::Question all = head ? maps::about_head(*head) : about_labels(labels, texts);
  return versus.empty() ? std::move(all) : maps::against(versus, all);
}

// What says of a row where its scores come from.
using Explainer = std::function<maps::Explained(std::span<const float> row)>;

Explainer explainer(const Asked& asked, const maps::Question& question, const Model& model) {
  if (!asked.turn)
    return [&question, split = model.splitter(question.directions())](std::span<const float> row) {
      return maps::Explained(question, split(row));
    };
  return [&question, &model](std::span<const float> row) {
    return maps::Explained(question, model.gradient_maps(row, question.shown),
                           row.last(question.shown.cols()));
  };
}

// The answer, an image at a step.
class ExplanationWriter {
 public:
  ExplanationWriter(std::shared_ptr<const Asked> asked, Matrix rows, const Matrix& texts, const Model& model)
      : asked_(std::move(asked)),
        rows_(std::make_shared<const Matrix>(std::move(rows))),
        question_(std::make_shared<const maps::Question>(asked_->question(texts))),
        explain_(explainer(*asked_, *question_, model)) {}

  bool operator()(JsonWriter& json) {
    if (image_ == 0) json.begin_object().member("contrast", question_->contrast).key("images").begin_array();
    const maps::Explained explained = explain_(rows_->row(image_));
    write_explained(json.begin_object(), explained, overlay_of(explained));
    json.end_object();
    if (++image_ < rows_->rows()) return true;
    json.end_array();
    if (!asked_->head) write_reading(json, asked_->labels, asked_->reading);
    json.end_object();
    return false;
  }

 private:
  std::function<std::string(size_t)> overlay_of(const maps::Explained& explained) const {
    if (asked_->canvases.empty()) return {};
    return [&explained, &canvas = asked_->canvases[image_]](size_t k) {
      return encode_base64(encode_png(overlay(canvas, explained.map(k))));
    };
  }

  std::shared_ptr<const Asked> asked_;
  std::shared_ptr<const Matrix> rows_;
  std::shared_ptr<const maps::Question> question_;
  Explainer explain_;
  size_t image_ = 0;
};

bool asks_for_gradients(const std::string& method) {
  if (method.empty() || method == "exact") return false;
  if (method != "gradient") refuse("method: expected exact or gradient");
  return true;
}

struct Kind {
  bool gradients = false;
  bool overlays = false;
};

void expect_within_limits(size_t images, size_t labels, const Kind& kind) {
  if (images > kMaxImages)
    refuse(std::to_string(images) + " images, at most " + std::to_string(kMaxImages) + " a request");
  const size_t most = kind.gradients ? kMaxGradients : kind.overlays ? kMaxOverlays : kMaxMaps;
  if (images * labels > most)
    refuse("images times labels are " + std::to_string(images * labels) +
           (kind.gradients  ? " maps by gradients"
            : kind.overlays ? " overlays"
                            : " maps") +
           ", at most " + std::to_string(most) + " a request");
}

size_t values_of_map(const Model& model, TokenStage stage) {
  if (model.token_shape(stage).tokens() == 1)
    throw Error(ErrorCode::unsupported,
                "the stage that the maps are of has one token: it says nothing of where");
  return model.token_values(stage);
}

// The texts whose vectors a question about labels needs.
std::vector<std::string> texts_of(const Asked& asked, const labels::Catalogue& catalogue) {
  ClassifyOptions options;
  options.prompts = asked.reading.prompts;
  std::vector<std::string> texts = LabelPrompts(asked.labels, options).texts();
  for (std::string& text : maps::texts_of_others(asked.labels.size(), catalogue))
    texts.push_back(std::move(text));
  return texts;
}

}  // namespace

Outcome ExplainApi::explain(Request& request) const {
  const ApiContext& context = service_.context();
  auto read = read_fields(request, context.limits, kFields);
  if (auto* refusal = std::get_if<Response>(&read)) return std::move(*refusal);
  FieldValues& values = std::get<FieldValues>(read);
  const Kind kind{asks_for_gradients(FieldValues::take(values.texts, "method")),
                  FieldValues::take(values.booleans, "overlays")};
  const TokenStage stage = kind.gradients ? TokenStage::before_last : TokenStage::last;
  Work work{.images = FieldValues::take(values.images, "images"),
            .token_values = values_of_map(context.model, stage),
            .stage = stage};
  const auto asked = std::make_shared<Asked>();
  asked->labels = FieldValues::take(values.lists, "labels");
  asked->versus = FieldValues::take(values.texts, "versus");
  const std::string head = FieldValues::take(values.texts, "head");
  if (work.images.empty()) refuse("No images provided");
  if (head.empty()) {
    if (asked->labels.empty()) refuse("No labels provided");
    asked->labels = maps::with_versus(std::move(asked->labels), asked->versus);
    expect_within_limits(work.images.size(), asked->labels.size(), kind);
    asked->reading = labels::read_labels(context.catalogue, asked->labels);
    work.texts = texts_of(*asked, context.catalogue);
  } else {
    if (!asked->labels.empty()) refuse("a head takes no labels");
    auto found = usable_head(head, context);
    if (auto* refusal = std::get_if<Response>(&found)) return std::move(*refusal);
    asked->head = std::get<HeadFolder::Shared>(std::move(found));
    expect_within_limits(work.images.size(), asked->head->labels().size(), kind);
    asked->question({});  // throws for a head that has no maps
  }
  if (kind.gradients && !(asked->turn = turns_.take()))
    return turns_are_taken("maps by gradients of another request are being computed");
  if (kind.overlays) {
    for (size_t i = 0; i < work.images.size(); ++i)
      asked->canvases.push_back(Image::from_rgb(1, 1, std::vector<uint8_t>(3)));
    work.observer = [asked](size_t i, const Image& decoded) {
      asked->canvases[i] = maps::canvas_of(decoded);
    };
  }
  work.answer = [asked, &model = context.model](Matrix images, const Matrix& texts) {
    return json_response(ExplanationWriter(asked, std::move(images), texts, model));
  };
  return work;
}

std::vector<Route> ExplainApi::routes() const {
  return {
      {.method = "POST",
       .path = "/explain",
       .summary = "Where in images the scores of labels, or of a head, come from",
       .computes = true,
       .needs_key = true,
       .fields = kFields,
       .takes_files = true,
       .response_schema = kExplained,
       .handle = [this](Request& r) { return explain(r); }},
  };
}

}  // namespace mii::serve
