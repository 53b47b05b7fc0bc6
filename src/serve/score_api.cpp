#include "serve/score_api.h"

#include <boost/json.hpp>
#include <cmath>

#include "core/json_writer.h"
#include "serve/refuse.h"
#include "serve/service.h"

namespace mii::serve {

namespace bj = boost::json;

namespace {

const Field kFields[] = {
    {.name = "input_data",
     .required = true,
     .description =
         "A table in pandas' split layout; rows are lists, or objects by column name. An empty string is "
         "no image or no text.",
     .schema = R"({"type":"object","required":["columns","data"],"properties":{
       "columns":{"type":"array","items":{"enum":["image","text"]},"minItems":1,"maxItems":2},
       "index":{"type":"array"},
       "data":{"type":"array","minItems":1,"items":{"anyOf":[
         {"type":"array","items":{"type":["string","null"]},"minItems":1,"maxItems":2},
         {"type":"object","properties":{"image":{"type":["string","null"]},"text":{"type":["string","null"]}}}]}}}})",
     .example = R"({"columns":["image","text"],"index":[0],"data":[["","X-Ray"]]})"},
    {.name = "params",
     .nullable = true,
     .description = "scaling_factor is the logarithm of the temperature. Images are resized to "
                    "image_standardization_image_size (512) and compressed as JPEG of quality "
                    "image_standardization_jpeg_compression_ratio (75) first, as there.",
     .schema = R"({"type":["object","null"],"properties":{"get_scaling_factor":{"type":["boolean","null"]},
       "image_standardization_jpeg_compression_ratio":{"type":["integer","null"],"minimum":0,"maximum":100},
       "image_standardization_image_size":{"type":["integer","null"],"minimum":0,"maximum":4096}}})",
     .example = R"({"get_scaling_factor":true})"}};

constexpr int64_t kMaxStandardSize = 4096;

// Which vectors belong to which row of the table.
struct Row {
  std::optional<size_t> image;
  std::optional<size_t> text;
};

struct Table {
  Work work;
  std::vector<Row> rows;
};

const bj::value& member(const bj::object& object, std::string_view name, const char* of) {
  if (const bj::value* value = object.if_contains(name)) return *value;
  refuse(std::string(of) + " lacks '" + std::string(name) + "'");
}

std::vector<std::string> column_names(const bj::object& input) {
  const bj::array* list = member(input, "columns", "input_data").if_array();
  if (list == nullptr || list->empty() || list->size() > 2)
    refuse("input_data.columns must be a list of 'image', 'text'");
  std::vector<std::string> names;
  for (const bj::value& name : *list) {
    if (!name.is_string() || (name.get_string() != "image" && name.get_string() != "text"))
      refuse("input_data.columns may hold 'image' and 'text' only");
    names.emplace_back(name.get_string());
  }
  if (names.size() == 2 && names[0] == names[1]) refuse("input_data.columns names a column twice");
  return names;
}

// The cell of a row, empty when the row has none.
std::string_view cell(const bj::value& row, const std::vector<std::string>& columns, size_t c, size_t r) {
  const bj::value* value = nullptr;
  if (const bj::array* list = row.if_array()) {
    if (list->size() != columns.size())
      refuse("input_data.data[" + std::to_string(r) + "] has " + std::to_string(list->size()) +
             " cells, expected " + std::to_string(columns.size()));
    value = &(*list)[c];
  } else if (const bj::object* object = row.if_object()) {
    value = object->if_contains(columns[c]);
  } else {
    refuse("input_data.data[" + std::to_string(r) + "] must be a list or an object");
  }
  if (value == nullptr || value->is_null()) return {};
  if (!value->is_string()) refuse("input_data.data[" + std::to_string(r) + "]: cells must be strings");
  return value->get_string();
}

int64_t number_param(const bj::object& params, std::string_view name, int64_t standard, int64_t max) {
  const bj::value* value = params.if_contains(name);
  if (value == nullptr || value->is_null()) return standard;
  if (!value->is_int64() || value->get_int64() < 0 || value->get_int64() > max)
    refuse("params." + std::string(name) + " must be an integer from 0 to " + std::to_string(max));
  return value->get_int64() == 0 ? standard : value->get_int64();
}

AzureStandardisation standardisation(const bj::object& params) {
  return {.side = static_cast<size_t>(
              number_param(params, "image_standardization_image_size", 512, kMaxStandardSize)),
          .jpeg_quality = static_cast<int>(
              number_param(params, "image_standardization_jpeg_compression_ratio", 75, 100))};
}

Table read_table(const bj::object& input, const AzureStandardisation& standard) {
  const std::vector<std::string> columns = column_names(input);
  if (const bj::value* index = input.if_contains("index"); index != nullptr && !index->is_array())
    refuse("input_data.index must be a list");
  const bj::array* data = member(input, "data", "input_data").if_array();
  if (data == nullptr || data->empty()) refuse("input_data.data must be a list of rows");
  Table table;
  for (size_t r = 0; r < data->size(); ++r) {
    Row row;
    for (size_t c = 0; c < columns.size(); ++c) {
      const std::string_view text = cell((*data)[r], columns, c, r);
      if (text.empty()) continue;
      if (columns[c] == "image") {
        row.image = table.work.images.size();
        table.work.images.push_back({.data = std::string(text), .base64 = true, .standardisation = standard});
      } else {
        row.text = table.work.texts.size();
        table.work.texts.emplace_back(text);
      }
    }
    if (!row.image && !row.text)
      refuse("input_data.data[" + std::to_string(r) + "] has neither an image nor a text");
    table.rows.push_back(row);
  }
  return table;
}

// The answer, a row of the table at a step.
class ScoreWriter {
 public:
  ScoreWriter(std::vector<Row> rows, std::optional<float> log_scale, Matrix images, Matrix texts)
      : data_(std::make_shared<const Data>(Data{std::move(rows), std::move(images), std::move(texts)})),
        log_scale_(log_scale) {}

  bool operator()(JsonWriter& json) {
    if (row_ == 0) json.begin_array();
    const Row& row = data_->rows[row_];
    json.begin_object();
    if (row.image) json.key("image_features").begin_array().value(data_->images.row(*row.image)).end_array();
    if (row.text) json.member("text_features", data_->texts.row(*row.text));
    if (log_scale_) json.member("scaling_factor", *log_scale_);
    json.end_object();
    if (++row_ < data_->rows.size()) return true;
    json.end_array();
    return false;
  }

 private:
  struct Data {
    std::vector<Row> rows;
    Matrix images, texts;
  };
  std::shared_ptr<const Data> data_;
  std::optional<float> log_scale_;
  size_t row_ = 0;
};

Outcome score_checked(const bj::value& body, const ApiContext& context) {
  const bj::object* object = body.if_object();
  if (object == nullptr) refuse("the body must be an object with 'input_data'");
  const bj::object* input = member(*object, "input_data", "the body").if_object();
  if (input == nullptr) refuse("input_data must be an object");
  const bj::value* given = object->if_contains("params");
  if (given != nullptr && !given->is_null() && !given->is_object()) refuse("params must be an object");
  const bj::object params = given != nullptr && given->is_object() ? given->get_object() : bj::object();
  std::optional<float> log_scale;
  if (const bj::value* wanted = params.if_contains("get_scaling_factor");
      wanted != nullptr && !wanted->is_null()) {
    if (!wanted->is_bool()) refuse("params.get_scaling_factor must be a boolean");
    if (wanted->get_bool()) log_scale = std::log(context.model.info().logit_scale);
  }
  Table table = read_table(*input, standardisation(params));
  const std::string reason = beyond_limits(table.work.images, table.work.texts, context.limits);
  if (!reason.empty()) return detail_error(400, reason);
  table.work.answer = [rows = std::move(table.rows), log_scale](Matrix images, Matrix texts) {
    return json_response(ScoreWriter(rows, log_scale, std::move(images), std::move(texts)));
  };
  return std::move(table.work);
}

constexpr std::string_view kScores =
    R"({"type":"array","items":{"type":"object","properties":{
    "image_features":{"type":"array","items":{"type":"array","items":{"type":"number"}}},
    "text_features":{"type":"array","items":{"type":"number"}},"scaling_factor":{"type":"number"}}}})";

}  // namespace

Outcome score(Request& request, const ApiContext& context) {
  JsonBody body = read_json(request, context.limits);
  if (body.refusal) return std::move(*body.refusal);
  return score_checked(body.value, context);
}

std::vector<Route> ScoreApi::routes() const {
  return {
      {.method = "POST",
       .path = "/score",
       .summary = "Vectors of a table of images and texts",
       .computes = true,
       .needs_key = true,
       .fields = kFields,
       .response_schema = kScores,
       .handle = [this](Request& r) { return score(r, service_.context()); }},
  };
}

}  // namespace mii::serve
