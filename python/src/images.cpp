#include "mii/image.h"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "image/frame_source.h"
#include "inputs.h"
#include "pipeline/provenance.h"

namespace mii::python {
namespace {

using Pixels = nb::ndarray<nb::numpy, const uint8_t, nb::ndim<3>, nb::c_contig>;

nb::object provenance_of(const Image& image) {
  if (image.provenance() == nullptr) return nb::none();
  return nb::module_::import_("json").attr("loads")(pipeline::provenance_json(*image.provenance()));
}

std::string repr(const Image& image) {
  return "Image(" + std::to_string(image.width()) + " x " + std::to_string(image.height()) + " pixels" +
         (image.provenance() ? ", " + image.provenance()->format : std::string()) + ")";
}

Image read_one(const nb::list& given, const DecodeOptions& options) {
  const GivenImages images(given, options);
  if (images.size() != 1) throw nb::type_error("one image is read at a time");
  const nb::gil_scoped_release released;
  return images.image(0);
}

// Real values of a measured frame, [rows, cols] f32; of colour, nothing.
nb::object values_of(const FrameSource& file, const DecodeOptions& options) {
  if (!file.is_measured()) return nb::none();
  Matrix values;
  {
    const nb::gil_scoped_release released;
    const MeasuredFrame frame = file.measured(options);
    const auto* grey = std::get_if<GreyFrame>(&frame.values);
    if (grey == nullptr) return nb::none();
    values = Matrix(grey->rows, grey->cols);
    for (size_t i = 0; i < values.values().size(); ++i)
      values.values()[i] = static_cast<float>(
          grey->reals.empty() ? grey->slope * grey->integers[i] + grey->intercept : grey->reals[i]);
  }
  return nb::cast(to_numpy(std::move(values)));
}

void bind_image(nb::module_& module) {
  nb::class_<Image>(module, "Image", "An image as the model sees it before it is resized: 8-bit RGB.")
      .def_static("read", &read_one, nb::arg("given"), nb::arg("options"))
      .def_prop_ro("width", &Image::width, "Pixels.")
      .def_prop_ro("height", &Image::height, "Pixels.")
      .def_prop_ro(
          "pixels",
          [](nb::handle self) {
            const Image& image = *nb::cast<Image*>(self);
            return Pixels(image.pixels().data(), {image.height(), image.width(), 3}, self);
          },
          "uint8 [height, width, 3], of the image itself: not to be written to.")
      .def_prop_ro("provenance", &provenance_of, nb::sig("def provenance(self) -> dict | None"),
                   "How the file became this image: format, window, warnings, ...; None of RGB bytes.")
      .def("__repr__", &repr);
}

void bind_image_file(nb::module_& module) {
  nb::class_<FrameSource>(module, "ImageFile",
                          "A file with one or several frames: DICOM, NIfTI or an image. Opened once.")
      .def_static(
          "read",
          [](const std::filesystem::path& path, const DecodeOptions& o) {
            const nb::gil_scoped_release released;
            return FrameSource::read(path, o.limits);
          },
          nb::arg("path"), nb::arg("options"))
      .def_static(
          "decode",
          [](const nb::bytes& bytes, const DecodeOptions& o) {
            const auto* first = static_cast<const std::byte*>(bytes.data());
            return FrameSource::open(std::vector(first, first + bytes.size()), o.limits);
          },
          nb::arg("bytes"), nb::arg("options"))
      .def(
          "frames", [](const FrameSource& f, const DecodeOptions& o) { return f.frames(o.plane); },
          nb::arg("options"))
      .def(
          "image",
          [](const FrameSource& f, const DecodeOptions& o) {
            const nb::gil_scoped_release released;
            return f.image(o);
          },
          nb::arg("options"))
      .def("values", &values_of, nb::arg("options"),
           nb::sig("def values(self, options: DecodeOptions) -> numpy.typing.NDArray[numpy.float32] | None"))
      .def_prop_ro("measured", &FrameSource::is_measured);
}

void bind_image_input(nb::module_& module) {
  using pipeline::ImageInput;
  nb::class_<ImageInput>(module, "ImageInput", "A file, or one frame of it, counted from 0.")
      .def(nb::init<std::string, std::optional<size_t>>(), nb::arg("path"), nb::arg("frame") = nb::none())
      .def_ro("path", &ImageInput::path)
      .def_ro("frame", &ImageInput::frame)
      .def_prop_ro("name", &ImageInput::name, "The path, and '#12' for a frame, counted from 1.")
      .def("__repr__", [](const ImageInput& i) { return "ImageInput('" + i.name() + "')"; });
  module.def(
      "find_images",
      [](const std::vector<std::string>& paths, bool all_frames, const DecodeOptions& options) {
        pipeline::FoundImages found;
        {
          const nb::gil_scoped_release released;
          found = pipeline::find_images(paths);
          if (all_frames) found.inputs = pipeline::with_all_frames(found.inputs, options);
        }
        nb::list failures;
        for (const pipeline::Failure& f : found.failures) failures.append(nb::make_tuple(f.input, f.reason));
        return nb::make_tuple(std::move(found.inputs), failures);
      },
      nb::arg("paths"), nb::arg("all_frames"), nb::arg("options"));
}

}  // namespace

void bind_images(nb::module_& module) {
  bind_image_input(module);
  bind_image(module);
  bind_image_file(module);
}

}  // namespace mii::python
