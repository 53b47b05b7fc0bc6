#include "heads/head_json.h"

#include <array>
#include <boost/json.hpp>

#include "core/json_writer.h"
#include "heads/head_file.h"
#include "mii/error.h"

namespace mii::heads {
namespace {

namespace json = boost::json;

constexpr int kVersion = 1;
constexpr std::array<std::pair<const char*, Answer>, 3> kAnswers{
    {{"one", Answer::one}, {"several", Answer::several}, {"value", Answer::value}}};

const char* to_string(Answer answer) {
  for (const auto& [name, known] : kAnswers)
    if (known == answer) return name;
  return "";
}

void write(JsonWriter& to, std::string_view name, const stats::Estimate& rate) {
  to.key(name).begin_object();
  to.member("value", rate.value).member("low", rate.low).member("high", rate.high).end_object();
}

void write(JsonWriter& to, std::string_view name, const DataCounts& counts) {
  to.key(name).begin_object();
  to.member("rows", counts.rows).member("patients", counts.patients).end_object();
}

void write(JsonWriter& to, const Calibration& calibration) {
  to.key("calibration").begin_object().member("kind", to_string(calibration.kind));
  if (calibration.kind == Calibration::Kind::temperature) to.member("temperature", calibration.temperature);
  if (!calibration.platt.empty()) {
    to.key("platt").begin_array();
    for (const Calibration::Platt& p : calibration.platt) to.value(std::array{p.slope, p.offset});
    to.end_array();
  }
  if (!calibration.isotonic.empty()) {
    to.key("isotonic").begin_array();
    for (const Calibration::Knots& knots : calibration.isotonic) {
      to.begin_array();
      for (const auto& [odds, probability] : knots) to.value(std::array{odds, probability});
      to.end_array();
    }
    to.end_array();
  }
  to.end_object();
}

void write(JsonWriter& to, const std::vector<std::vector<OperatingPoint>>& points) {
  to.key("points").begin_array();
  for (const auto& of_label : points) {
    to.begin_array();
    for (const OperatingPoint& point : of_label) {
      to.begin_object().member("rule", point.rule).member("threshold", point.threshold);
      to.member("true_positives", point.counts.true_positives);
      to.member("false_positives", point.counts.false_positives);
      to.member("false_negatives", point.counts.false_negatives);
      to.member("true_negatives", point.counts.true_negatives);
      write(to, "sensitivity", point.sensitivity());  // for readers: it follows from the counts
      write(to, "specificity", point.specificity());
      to.end_object();
    }
    to.end_array();
  }
  to.end_array();
}

void write(JsonWriter& to, const FitRecord& record) {
  to.key("record").begin_object();
  to.member("data", record.data);
  write(to, "fit", record.fit);
  write(to, "calibration", record.calibration);
  to.key("labels").begin_array();
  for (const DataCounts& label : record.labels) to.value(std::array{label.rows, label.patients});
  to.end_array();
  to.member("C", record.c).member("folds", record.folds).member("groups", record.groups);
  if (record.epoch > 0) {
    to.member("epoch", record.epoch);
    write(to, "validation", record.validation);
  }
  to.key("losses").begin_array();
  for (const auto& [c, loss] : record.losses) to.value(std::array{c, loss});
  to.end_array();
  to.member("balanced", record.balanced).member("with_texts", record.with_texts);
  to.member("templates", record.templates).member("seed", record.seed);
  to.member("mean_absolute_error", record.mean_absolute_error);
  to.member("root_mean_square_error", record.root_mean_square_error);
  to.member("warnings", record.warnings).end_object();
}

/// Reads members of an object; what it does not find, or finds of another kind, is an error.
class Reader {
 public:
  Reader(const json::value& value, std::string where) : where_(std::move(where)), object_(value.if_object()) {
    if (object_ == nullptr) fail("", "an object");
  }

  const json::value* find(const char* name) const { return object_->if_contains(name); }

  Reader object(const char* name) const { return {member(name), where_ + name + "."}; }

  std::string text(const char* name) const {
    const json::value& value = member(name);
    if (!value.is_string()) fail(name, "a text");
    return std::string(value.get_string());
  }

  double number(const char* name) const { return number(member(name), name); }

  uint64_t count(const char* name) const { return count(member(name), name); }

  bool truth(const char* name) const {
    const json::value& value = member(name);
    if (!value.is_bool()) fail(name, "true or false");
    return value.get_bool();
  }

  const json::array& list(const char* name) const { return list(member(name), name); }

  std::vector<std::string> texts(const char* name) const {
    std::vector<std::string> found;
    for (const json::value& value : list(name)) {
      if (!value.is_string()) fail(name, "texts");
      found.emplace_back(value.get_string());
    }
    return found;
  }

  std::vector<std::pair<double, double>> pairs(const json::array& values, const char* name) const {
    std::vector<std::pair<double, double>> found;
    for (const json::value& value : values) {
      const json::array& pair = list(value, name);
      if (pair.size() != 2) fail(name, "pairs");
      found.emplace_back(number(pair[0], name), number(pair[1], name));
    }
    return found;
  }

  const json::array& list(const json::value& value, const char* name) const {
    if (!value.is_array()) fail(name, "a list");
    return value.get_array();
  }

  double number(const json::value& value, const char* name) const {
    json::error_code error;
    const double number = value.to_number<double>(error);
    if (error) fail(name, "a number");
    return number;
  }

  uint64_t count(const json::value& value, const char* name) const {
    json::error_code error;
    const auto number = value.to_number<uint64_t>(error);
    if (error) fail(name, "a whole number");
    return number;
  }

  [[noreturn]] void fail(const std::string& name, const std::string& expected) const {
    throw Error(ErrorCode::invalid_argument, "'" + where_ + name + "' is not " + expected);
  }

 private:
  const json::value& member(const char* name) const {
    const json::value* value = object_->if_contains(name);
    if (value == nullptr) throw Error(ErrorCode::invalid_argument, "there is no '" + where_ + name + "'");
    return *value;
  }

  std::string where_;
  const json::object* object_;
};

DataCounts read_counts(const Reader& from) { return {from.count("rows"), from.count("patients")}; }

Calibration read_calibration(const Reader& from) {
  Calibration calibration{.kind = parse_calibration(from.text("kind"))};
  if (calibration.kind == Calibration::Kind::temperature)
    calibration.temperature = static_cast<float>(from.number("temperature"));
  if (calibration.kind == Calibration::Kind::platt)
    for (const auto& [slope, offset] : from.pairs(from.list("platt"), "platt"))
      calibration.platt.push_back({static_cast<float>(slope), static_cast<float>(offset)});
  if (calibration.kind == Calibration::Kind::isotonic)
    for (const json::value& knots : from.list("isotonic")) {
      const auto pairs = from.pairs(from.list(knots, "isotonic"), "isotonic");
      calibration.isotonic.emplace_back(pairs.begin(), pairs.end());
    }
  return calibration;
}

std::vector<std::vector<OperatingPoint>> read_points(const Reader& from) {
  std::vector<std::vector<OperatingPoint>> points;
  for (const json::value& of_label : from.list("points")) {
    points.emplace_back();
    for (const json::value& value : from.list(of_label, "points")) {
      const Reader point(value, "points.");
      points.back().push_back({point.text("rule"),
                               static_cast<float>(point.number("threshold")),
                               {point.count("true_positives"), point.count("false_positives"),
                                point.count("false_negatives"), point.count("true_negatives")}});
    }
  }
  return points;
}

FitRecord read_record(const Reader& from) {
  FitRecord record{.data = from.text("data"),
                   .fit = read_counts(from.object("fit")),
                   .calibration = read_counts(from.object("calibration"))};
  for (const json::value& label : from.list("labels")) {
    const json::array& pair = from.list(label, "labels");
    if (pair.size() != 2) from.fail("labels", "pairs");
    record.labels.push_back({from.count(pair[0], "labels"), from.count(pair[1], "labels")});
  }
  record.c = from.number("C");
  record.folds = from.count("folds");
  record.groups = from.count("groups");
  if (from.find("epoch") != nullptr) {
    record.epoch = from.count("epoch");
    record.validation = read_counts(from.object("validation"));
  }
  record.losses = from.pairs(from.list("losses"), "losses");
  record.balanced = from.truth("balanced");
  record.with_texts = from.truth("with_texts");
  record.templates = from.texts("templates");
  record.seed = from.count("seed");
  record.mean_absolute_error = from.number("mean_absolute_error");
  record.root_mean_square_error = from.number("root_mean_square_error");
  record.warnings = from.texts("warnings");
  return record;
}

Mlp read_mlp(const Reader& from) {
  Mlp mlp{.weight = from.number("weight")};
  for (const std::string& then : from.texts("layers")) mlp.layers.push_back({.then = parse_then(then)});
  return mlp;
}

Answer read_answer(const Reader& from) {
  const std::string text = from.text("answer");
  for (const auto& [name, answer] : kAnswers)
    if (text == name) return answer;
  from.fail("answer", "one, several or value");
}

}  // namespace

std::string head_json(const HeadParts& parts) {
  JsonWriter to(JsonWriter::Style::spaced);
  to.begin_object().member("version", kVersion).member("kind", to_string(parts.kind));
  to.member("answer", to_string(parts.answer)).member("field", parts.field).member("labels", parts.labels);
  if (parts.voters) {
    to.key("voters").begin_object();
    to.member("k", parts.voters->k).member("weight", parts.voters->weight).end_object();
  }
  if (parts.mlp) {
    to.key("mlp").begin_object().member("weight", parts.mlp->weight).key("layers").begin_array();
    for (const MlpLayer& layer : parts.mlp->layers) to.value(to_string(layer.then));
    to.end_array().end_object();
  }
  write(to, parts.calibration);
  write(to, parts.points);
  to.member("identity", RawJson{parts.identity.json()});
  write(to, parts.record);
  return to.end_object().finish();
}

void parse_head_json(std::string_view text, HeadParts& parts) {
  json::error_code error;
  const json::value value = json::parse(text, error);
  if (error) throw Error(ErrorCode::invalid_argument, "its description is no JSON");
  const Reader from(value, "");
  if (from.number("version") != kVersion)
    throw Error(ErrorCode::unsupported, "it is of a later version of this program");
  parts.kind = parse_kind(from.text("kind"));
  parts.answer = read_answer(from);
  parts.field = from.text("field");
  parts.labels = from.texts("labels");
  if (from.find("voters") != nullptr) {
    const Reader voters = from.object("voters");
    parts.voters.emplace();
    parts.voters->k = voters.count("k");
    parts.voters->weight = voters.number("weight");
  }
  if (from.find("mlp") != nullptr) parts.mlp = read_mlp(from.object("mlp"));
  parts.calibration = read_calibration(from.object("calibration"));
  parts.points = read_points(from);
  const json::value* identity = from.find("identity");
  parts.identity = Identity::parse(identity == nullptr ? "" : json::serialize(*identity));
  parts.record = read_record(from.object("record"));
}

}  // namespace mii::heads
