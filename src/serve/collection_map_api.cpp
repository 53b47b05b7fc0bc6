#include "serve/collection_map_api.h"

#include <algorithm>
#include <bit>
#include <boost/json/value.hpp>
#include <cmath>
#include <memory>

#include "core/base64.h"
#include "serve/collection_routes.h"
#include "serve/refuse.h"

namespace mii::serve {
namespace {

using Shared = ServedCollections::Shared;

static_assert(std::endian::native == std::endian::little, "numbers in base64 are little-endian");

constexpr size_t kStepIds = 4096;
constexpr double kMostSteps = 65535;  // of a coordinate, u16

const Field kMapQuery[] = {
    {.name = "column",
     .description = "By whose values the points are coloured; none: they are not",
     .schema = R"({"type":"string"})"},
    {.name = "filter",
     .description = "Items meet this: modality = 'Ultrasound' and age < 40. The others stay where they are",
     .schema = R"({"type":"string"})"},
    {.name = "limit",
     .description = "Points; of more items that many, at even distances in the order in which they came",
     .schema = R"({"type":"integer","minimum":1,"maximum":100000,"default":100000})"}};

constexpr std::string_view kMap =
    R"({"type":"object","required":["version","items","share","places","names","codes","numbers","ids"],
    "properties":{"version":{"type":"integer"},
    "items":{"type":"integer","description":"That meet the filter"},
    "share":{"type":"array","items":{"type":"number"},"description":"Of the variance, along each axis"},
    "places":{"type":"object","required":["origin","step","points"],
    "description":"Point i lies at origin[0] + step * points[2 i], origin[1] + step * points[2 i + 1]","properties":{
    "origin":{"type":"array","items":{"type":"number"}},"step":{"type":"number"},
    "points":{"type":"string","contentEncoding":"base64","description":"uint16, little-endian"}}},
    "names":{"type":"array","items":{"type":"object","required":["value","items"],"properties":{
    "value":{"type":"string"},"items":{"type":"integer"}}}},
    "codes":{"type":["string","null"],"contentEncoding":"base64",
    "description":"uint8 of each point: 0 no value, 255 one without a name here, else 1 + its place in names"},
    "numbers":{"type":["string","null"],"contentEncoding":"base64",
    "description":"float32 of each point, little-endian, NaN where there is none; null where values are names"},
    "ids":{"type":"array","items":{"type":"string"}}}})";

search::MapOptions read_options(const Request& request) {
  search::MapOptions options;
  for (auto& [name, value] : decode_query(request.query)) {
    if (!is_plain_utf8(value)) refuse("a parameter of the query is not valid UTF-8");
    if (name == "column") {
      options.column = std::move(value);
    } else if (name == "filter" && !value.empty()) {
      options.filter = search::parse_filter(value);
    } else if (name == "limit") {
      const int64_t limit = lax_integer(boost::json::value(value)).value_or(0);
      if (limit < 1 || limit > static_cast<int64_t>(search::kMaxMapPoints))
        refuse("limit: expected a whole number from 1 to " + std::to_string(search::kMaxMapPoints));
      options.most = static_cast<size_t>(limit);
    }
  }
  options.cancelled = [given_up = request.given_up] { return given_up && *given_up; };
  return options;
}

/// Places as whole steps of one size along both axes.
struct Steps {
  std::array<double, 2> origin{0, 0};
  double step = 0;
  std::vector<uint16_t> points;

  explicit Steps(const Matrix& places) {
    std::array<double, 2> end{0, 0};
    for (size_t i = 0; i < places.rows(); ++i)
      for (size_t a = 0; a < 2; ++a) {
        const double at = places.row(i)[a];
        origin[a] = i == 0 ? at : std::min(origin[a], at);
        end[a] = i == 0 ? at : std::max(end[a], at);
      }
    step = std::max(end[0] - origin[0], end[1] - origin[1]) / kMostSteps;
    for (size_t i = 0; i < places.rows(); ++i)
      for (size_t a = 0; a < 2; ++a)
        points.push_back(step > 0 ? static_cast<uint16_t>(std::lround((places.row(i)[a] - origin[a]) / step))
                                  : 0);
  }
};

template <typename Values>
std::string base64_of(const Values& values) {
  return encode_base64(std::as_bytes(std::span(values)));
}

/// The map, some ids at a step.
class MapWriter {
 public:
  MapWriter(search::MapView view, bool coloured)
      : view_(std::make_shared<const search::MapView>(std::move(view))), coloured_(coloured) {}

  bool operator()(JsonWriter& json) {
    if (next_ == 0) begin(json);
    const auto& ids = view_->selection.ids;
    for (const size_t end = std::min(next_ + kStepIds, ids.size()); next_ < end; ++next_)
      json.value(ids[next_]);
    if (next_ < ids.size()) return true;
    json.end_array().end_object();
    return false;
  }

 private:
  void begin(JsonWriter& json) {
    const Steps steps(view_->places);
    json.begin_object().member("version", view_->selection.version).member("items", view_->selection.items);
    json.member("share", view_->share).key("places").begin_object();
    json.member("origin", steps.origin).member("step", steps.step).member("points", base64_of(steps.points));
    json.end_object();
    const search::MapColours colours = search::colours_of(view_->selection.values);
    json.key("names").begin_array();
    for (const auto& [value, items] : colours.names)
      json.begin_object().member("value", value).member("items", items).end_object();
    json.end_array();
    const bool numbers = !colours.numbers.empty();
    json.key("codes");
    coloured_ && !numbers ? json.value(base64_of(colours.codes)) : json.value(nullptr);
    json.key("numbers");
    numbers ? json.value(base64_of(colours.numbers)) : json.value(nullptr);
    json.key("ids").begin_array();
  }

  std::shared_ptr<const search::MapView> view_;
  bool coloured_;
  size_t next_ = 0;
};

Response map_response(ServedCollection& collection, const Request& request) {
  const search::MapOptions options = read_options(request);
  std::optional<search::MapView> view = collection.map(options);
  if (!view) {
    Response response = detail_error(503, "the map is being computed for somebody else");
    response.headers.emplace_back("Retry-After", "1");
    return response;
  }
  return json_response(MapWriter(std::move(*view), !options.column.empty()));
}

}  // namespace

std::vector<Route> CollectionMapApi::routes() const {
  return {
      {.method = "GET",
       .path = "/collections/{name}/map",
       .summary = "Items as points of a plane, along the two axes in which their vectors differ most",
       .computes = true,
       .needs_key = true,
       .query = kMapQuery,
       .response_schema = kMap,
       .handle = on_collection(
           service_,
           [](const Shared& collection, Request& request) { return map_response(*collection, request); })},
  };
}

}  // namespace mii::serve
