#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "bindings.h"
#include "mii/error.h"
#include "mii/image.h"
#include "pipeline/identity.h"

namespace mii::python {
namespace {

SlicePlane parse_plane(const std::string& name) {
  for (const SlicePlane plane : {SlicePlane::axial, SlicePlane::coronal, SlicePlane::sagittal})
    if (name == to_string(plane)) return plane;
  throw Error(ErrorCode::invalid_argument, "plane '" + name + "', expected axial, coronal or sagittal");
}

Grey16 parse_grey16(const std::string& name) {
  if (name == "minmax") return Grey16::minmax;
  if (name == "high_byte") return Grey16::high_byte;
  throw Error(ErrorCode::invalid_argument, "grey16 '" + name + "', expected minmax or high_byte");
}

}  // namespace

void bind_decode_options(nb::module_& module) {
  nb::class_<DecodeOptions>(module, "DecodeOptions",
                            "How files and measured values become the 8-bit RGB that the model sees.")
      .def(
          "__init__",
          [](DecodeOptions* self, const std::string& profile, std::optional<size_t> frame,
             const std::string& plane, const std::string& grey16, bool azure, uint64_t max_pixels,
             uint64_t max_file_bytes) {
            DecodeOptions options;
            options.profile = Profile::parse(profile);
            options.frame = frame;
            options.plane = parse_plane(plane);
            options.grey16 = parse_grey16(grey16);
            if (azure) options.azure.emplace();
            options.limits.max_pixels = max_pixels;
            options.limits.max_file_bytes = max_file_bytes;
            new (self) DecodeOptions(options);
          },
          nb::arg("profile") = "auto", nb::kw_only(), nb::arg("frame") = nb::none(),
          nb::arg("plane") = "axial", nb::arg("grey16") = "minmax", nb::arg("azure") = false,
          nb::arg("max_pixels") = DecodeLimits().max_pixels,
          nb::arg("max_file_bytes") = DecodeLimits().max_file_bytes,
          "profile: how measured values (DICOM, NIfTI, arrays other than uint8) become grey: 'auto', 'voi',\n"
          "'stored', 'minmax', 'percentile:LOW,HIGH', 'window:CENTER,WIDTH', 'ct-soft-tissue', 'ct-lung', "
          "'ct-bone',\n"
          "'ct-brain', 'ct-liver', 'ct-mediastinum'. frame: of several, counted from 0; None: the middle "
          "one.\n"
          "plane: how NIfTI volumes are cut. grey16: of PNG and the like, 'minmax' or 'high_byte'. azure: "
          "first to\n"
          "512 x 512 and JPEG of quality 75, as the vendor's endpoint does. Raises InvalidArgument.")
      .def_prop_ro("profile", [](const DecodeOptions& o) { return o.profile.name; })
      .def_ro("frame", &DecodeOptions::frame)
      .def_prop_ro("plane", [](const DecodeOptions& o) { return to_string(o.plane); })
      .def_prop_ro("azure", [](const DecodeOptions& o) { return o.azure.has_value(); })
      .def(
          "with_frame",
          [](DecodeOptions o, size_t frame) {
            o.frame = frame;
            return o;
          },
          nb::arg("frame"), "The same for another frame, counted from 0.")
      .def_prop_ro("preprocessing", &pipeline::preprocessing_text, "As an identity has it.")
      .def("__repr__", [](const DecodeOptions& o) {
        return "DecodeOptions('" + o.profile.name + "': " + pipeline::preprocessing_text(o) + ")";
      });
}

}  // namespace mii::python
