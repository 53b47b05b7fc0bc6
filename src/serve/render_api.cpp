#include "serve/render_api.h"

#include <algorithm>

#include "core/base64.h"
#include "core/json_writer.h"
#include "image/encode_png.h"
#include "image/preprocess.h"
#include "pipeline/provenance.h"
#include "serve/service.h"
#include "serve/refuse.h"

namespace mii::serve {
namespace {

constexpr int64_t kMaxSide = 16384;
constexpr int64_t kMaxFrame = int64_t{1} << 31;

const Field kFields[] = {
    {.name = "images", .type = Field::Type::image_list, .required = true, .description = "One image"},
    {.name = "frame",
     .type = Field::Type::integer,
     .nullable = true,
     .description = "Of several frames or slices, counted from 1; none: the middle one"},
    {.name = "plane",
     .type = Field::Type::text,
     .nullable = true,
     .description = "Of a volume: axial, coronal or sagittal"},
    {.name = "profile",
     .type = Field::Type::text,
     .nullable = true,
     .description =
         "How measured values become grey, as --profile: ct-lung, window:40,400; none: the service's",
     .example = R"("auto")"},
    {.name = "max_side",
     .type = Field::Type::integer,
     .nullable = true,
     .description = "A larger image is reduced to this many pixels; none: every pixel"},
    {.name = "model_input",
     .type = Field::Type::boolean,
     .description = "The image after the resize to the model's input",
     .default_json = "false"}};

constexpr std::string_view kRendered =
    R"({"type":"object","required":["width","height","frames","provenance","png"],"properties":{
    "width":{"type":"integer"},"height":{"type":"integer"},"frames":{"type":"integer"},
    "provenance":{"type":["object","null"]},"png":{"type":"string"}}})";

SlicePlane plane_of(const std::string& name) {
  for (const SlicePlane plane : {SlicePlane::axial, SlicePlane::coronal, SlicePlane::sagittal})
    if (name == to_string(plane)) return plane;
  refuse("plane must be axial, coronal or sagittal");
}

Image reduced(Image image, std::optional<size_t> max_side) {
  const size_t side = std::max(image.width(), image.height());
  if (!max_side || side <= *max_side) return image;
  const auto scaled = [&](size_t length) {
    return std::max<size_t>(1, (length * *max_side + side / 2) / side);
  };
  return resize_bicubic(image, scaled(image.width()), scaled(image.height()));
}

Response rendered(const Provenance* provenance, const Image& shown) {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object().member("width", shown.width()).member("height", shown.height());
  json.member("frames", provenance != nullptr ? provenance->frames : 1).key("provenance");
  if (provenance != nullptr)
    json.value(RawJson{pipeline::provenance_json(*provenance)});
  else
    json.value(nullptr);
  json.member("png", encode_base64(encode_png(shown)));
  return json_response(json.end_object().finish());
}

Outcome render(Request& request, const ApiContext& context, DecodeOptions options) {
  auto read = read_fields(request, context.limits, kFields);
  if (auto* refusal = std::get_if<Response>(&read)) return std::move(*refusal);
  FieldValues& values = std::get<FieldValues>(read);
  const auto images = FieldValues::take(values.images, "images");
  if (images.size() != 1) refuse(std::to_string(images.size()) + " images, expected 1");
  if (const auto frame = take_within(values, "frame", kMaxFrame)) options.frame = *frame - 1;
  if (const auto plane = FieldValues::take(values.texts, "plane"); !plane.empty())
    options.plane = plane_of(plane);
  if (const auto profile = FieldValues::take(values.texts, "profile"); !profile.empty())
    options.profile = Profile::parse(profile);
  const auto max_side = take_within(values, "max_side", kMaxSide);
  Image image = decode(images[0], options);
  const auto provenance = image.shared_provenance();
  if (FieldValues::take(values.booleans, "model_input"))
    image = resize_bicubic(image, context.model.info().image_width, context.model.info().image_height);
  return rendered(provenance.get(), reduced(std::move(image), max_side));
}

}  // namespace

std::vector<Route> RenderApi::routes() const {
  return {
      {.method = "POST",
       .path = "/render",
       .summary = "An image as the model is given it, as PNG, and how it was made from the file",
       .computes = true,
       .needs_key = true,
       .fields = kFields,
       .takes_files = true,
       .response_schema = kRendered,
       .handle =
           [this](Request& request) {
             return render(request, service_.context(), decode_options(service_.options()));
           }},
  };
}

}  // namespace mii::serve
