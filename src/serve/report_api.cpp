#include "serve/report_api.h"

#include <chrono>
#include <utility>

#include "reports/draft.h"
#include "reports/scrub.h"
#include "reports/written.h"
#include "serve/refuse.h"
#include "serve/service.h"

namespace mii::serve {
namespace {

// A piece of an answer comes at least so often, so that a client that has left is noticed.
constexpr std::chrono::milliseconds kPieceTime{200};

const Field kFields[] = {
    {.name = "images",
     .type = Field::Type::image_list,
     .required = true,
     .description = "One image in base64"},
    {.name = "prompt",
     .type = Field::Type::text,
     .nullable = true,
     .description = "What is known besides the image, such as the indication"},
    {.name = "max_tokens",
     .type = Field::Type::integer,
     .nullable = true,
     .description = "Of the report; as many as the decoder's context holds"},
    {.name = "beams",
     .type = Field::Type::integer,
     .nullable = true,
     .description = "Texts that are followed at once, 1 to 16",
     .default_json = "1"},
    {.name = "top_p",
     .type = Field::Type::number,
     .nullable = true,
     .description = "Draw each token among the likeliest that have this probability together"},
    {.name = "temperature",
     .type = Field::Type::number,
     .nullable = true,
     .description = "Of what is drawn",
     .default_json = "1"},
    {.name = "seed",
     .type = Field::Type::integer,
     .nullable = true,
     .description = "Of what is drawn",
     .default_json = "1"},
    {.name = "stream",
     .type = Field::Type::boolean,
     .description = "Answer as server-sent events: each sentence when it is written, then the whole report",
     .default_json = "false"}};

constexpr std::string_view kReport =
    R"({"type":"object","required":["findings","model","usage","sentences","held_back","complete","notice"],"properties":{
    "findings":{"type":"string"},"model":{"type":"string"},"usage":{"type":"object","required":["prompt_tokens",
    "completion_tokens","total_tokens"],"properties":{"prompt_tokens":{"type":"integer"},
    "completion_tokens":{"type":"integer"},"total_tokens":{"type":"integer"}}},
    "sentences":{"type":"array","items":{"type":"object","required":["text","support","supported","findings"],
    "properties":{"text":{"type":"string"},"support":{"type":"number"},"supported":{"type":"boolean"},
    "findings":{"type":"object","additionalProperties":{"type":"string"}}}}},"least_support":{"type":"number"},
    "held_back":{"type":"integer"},"complete":{"type":"boolean"},"notice":{"type":"string"}}})";

struct Asked {
  ReportOptions options;
  bool stream = false;
  std::string model_name;
  std::shared_ptr<void> turn;  // as long as the report is written
};

// An answer that is made while the report is written. It is asked for piece by piece, and never again once
// the client has left: so the work stops.
class ReportAnswer {
 public:
  ReportAnswer(const Asked& asked, const Model& model, std::span<const float> row)
      : asked_(asked),
        model_(&model),
        vector_(row.end() - static_cast<std::ptrdiff_t>(model.info().embedding_dim), row.end()),
        writing_(std::make_shared<ReportInProgress>(model.begin_report(row, asked.options))) {}

  /// What comes first.
  std::string begin() const {
    if (!asked_.stream) return " ";
    JsonWriter json(JsonWriter::Style::compact);
    return event("notice", json.begin_object().member("notice", reports::kNotice).end_object().finish());
  }

  std::string operator()() {
    if (done_) return {};
    const auto until = std::chrono::steady_clock::now() + kPieceTime;
    while (writing_->step()) {
      if (std::string events = told(stream_.add(writing_->take())); !events.empty()) return events;
      if (std::chrono::steady_clock::now() >= until) return asked_.stream ? ":\n\n" : " ";  // a comment
    }
    done_ = true;
    const std::vector<std::string> last = last_sentences();
    return asked_.stream ? told(last) + event("report", whole()) : whole();
  }

 private:
  static std::string event(const char* name, const std::string& data) {
    return std::string("event: ") + name + "\ndata: " + data + "\n\n";
  }

  std::vector<std::string> last_sentences() {
    std::vector<std::string> sentences = stream_.add(writing_->take());
    for (std::string& sentence : stream_.finish()) sentences.push_back(std::move(sentence));
    return sentences;
  }

  // White space before a JSON object is none of its business, and shows whether the client is there.
  std::string told(const std::vector<std::string>& sentences) {
    if (!asked_.stream) return std::string(sentences.empty() ? 0 : 1, ' ');
    std::string events;
    for (const std::string& sentence : sentences) {
      const reports::WrittenReport one = reports::written_report(sentence, towers());
      if (!one.sentences.empty()) events += event("sentence", to_json(one.sentences.front()));
    }
    return events;
  }

  reports::Towers towers() const {
    return {vector_, [this](std::span<const std::string> texts) { return model_->encode_texts(texts); },
            model_->report_model_info().least_support};
  }

  std::string whole() const {
    return to_json(written_report(writing_->report(), towers()), {.model = asked_.model_name});
  }

  Asked asked_;
  const Model* model_;
  std::vector<float> vector_;
  std::shared_ptr<ReportInProgress> writing_;
  reports::SentenceStream stream_;
  bool done_ = false;
};

Response answer(const Asked& asked, const Model& model, const Matrix& rows) {
  ReportAnswer pieces(asked, model, rows.row(0));
  Response response;
  if (asked.stream) response.content_type = "text/event-stream";
  response.body = pieces.begin();
  response.more = std::move(pieces);
  return response;
}

ReportOptions read_options(FieldValues& values) {
  ReportOptions options;
  options.prompt = reports::scrub(FieldValues::take(values.texts, "prompt")).text;  // as in training
  options.max_tokens = take_within(values, "max_tokens", ReportOptions::kMostTokens).value_or(0);
  options.beams = take_within(values, "beams", ReportOptions::kMostBeams).value_or(1);
  options.top_p = FieldValues::take(values.numbers, "top_p", options.top_p);
  options.temperature = FieldValues::take(values.numbers, "temperature", options.temperature);
  options.seed = static_cast<uint64_t>(FieldValues::take(values.integers, "seed", int64_t{1}));
  return options;
}

void expect_decoder(const Model& model) {
  try {
    model.report_model_info();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_model) throw;
    refuse("this service has no report decoder for its model");
  }
}

}  // namespace

Outcome ReportApi::report(Request& request) const {
  const ApiContext& context = service_.context();
  auto read = read_fields(request, context.limits, kFields);
  if (auto* refusal = std::get_if<Response>(&read)) return std::move(*refusal);
  FieldValues& values = std::get<FieldValues>(read);
  Work work{.images = FieldValues::take(values.images, "images")};
  if (work.images.size() != 1) refuse(std::to_string(work.images.size()) + " images, a report is of one");
  expect_decoder(context.model);
  work.token_values = context.model.token_values(TokenStage::last);
  Asked asked{.options = read_options(values),
              .stream = FieldValues::take(values.booleans, "stream"),
              .model_name = context.model_name,
              .turn = turns_.take()};
  context.model.check_report_options(asked.options);
  if (!asked.turn) return turns_are_taken("as many reports as may be written at once are being written");
  work.answer = [asked, &model = context.model](const Matrix& rows, const Matrix&) {
    return answer(asked, model, rows);
  };
  return work;
}

std::vector<Route> ReportApi::routes() const {
  return {
      {.method = "POST",
       .path = "/report",
       .summary = "A draft of a report, written by a decoder, each sentence with its support",
       .computes = true,
       .needs_key = true,
       .fields = kFields,
       .takes_files = true,
       .response_schema = kReport,
       .handle = [this](Request& r) { return report(r); }},
  };
}

}  // namespace mii::serve
