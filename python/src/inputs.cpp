#include "inputs.h"

#include <cstdint>

#include "arrays.h"
#include "image/frame_source.h"
#include "mii/error.h"

namespace mii::python {
namespace {

using Any = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

template <typename T>
std::span<const T> values_of(const GivenArray& array) {
  return {static_cast<const T*>(array.data), array.rows * array.cols * (array.colour ? 3 : 1)};
}

template <typename T>
void fill_integers(const GivenArray& array, GreyFrame& frame) {
  const auto values = values_of<T>(array);
  frame.integers.assign(values.begin(), values.end());
  frame.bits_stored = 8 * static_cast<int>(sizeof(T));
  frame.is_signed = std::is_signed_v<T>;
}

template <typename T>
void fill_reals(const GivenArray& array, GreyFrame& frame) {
  const auto values = values_of<T>(array);
  frame.reals.assign(values.begin(), values.end());
}

bool is(const GivenArray& array, nb::dlpack::dtype_code code, int bits) {
  return array.dtype.code == static_cast<uint8_t>(code) && array.dtype.bits == bits;
}

Image image_of_bytes(const GivenArray& array) {
  const auto values = values_of<uint8_t>(array);
  if (array.colour) return Image::from_rgb(array.cols, array.rows, values);
  auto rgb = std::make_unique<uint8_t[]>(values.size() * 3);
  for (size_t i = 0; i < values.size(); ++i) rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = values[i];
  return Image::adopt_rgb(array.cols, array.rows, std::move(rgb));
}

MeasuredFrame measured(const GivenArray& array) {
  using Code = nb::dlpack::dtype_code;
  GreyFrame frame{.rows = array.rows, .cols = array.cols};
  if (is(array, Code::Int, 16))
    fill_integers<int16_t>(array, frame);
  else if (is(array, Code::UInt, 16))
    fill_integers<uint16_t>(array, frame);
  else if (is(array, Code::Int, 32))
    fill_integers<int32_t>(array, frame);
  else if (is(array, Code::Float, 32))
    fill_reals<float>(array, frame);
  else if (is(array, Code::Float, 64))
    fill_reals<double>(array, frame);
  else
    throw Error(ErrorCode::invalid_argument, "an array of values of this type is not taken");
  return {std::move(frame), {}, {.format = "array", .width = array.cols, .height = array.rows}};
}

// As Python's own file functions would name it to the system.
std::string path_of(nb::handle text) {
  const nb::bytes name = nb::steal<nb::bytes>(PyUnicode_EncodeFSDefault(text.ptr()));
  if (!name.is_valid()) throw nb::python_error();
  return {name.c_str(), name.size()};
}

GivenArray given_array(nb::handle object) {
  const Any array = nb::cast<Any>(object);
  const bool colour = array.ndim() == 3 && array.shape(2) == 3;
  if (array.ndim() != 2 && !colour)
    throw nb::type_error("an array of another shape than [H, W] or [H, W, 3]");
  return {array.data(), array.dtype(), array.shape(0), array.shape(1), colour};
}

Given given(nb::handle object) {
  if (nb::isinstance<nb::str>(object)) return pipeline::ImageInput{path_of(object), std::nullopt};
  if (nb::isinstance<nb::bytes>(object)) {
    const auto bytes = nb::borrow<nb::bytes>(object);
    return std::span(static_cast<const std::byte*>(bytes.data()), bytes.size());
  }
  if (nb::isinstance<Image>(object)) return static_cast<const Image*>(nb::cast<Image*>(object));
  if (nb::isinstance<pipeline::ImageInput>(object)) return nb::cast<pipeline::ImageInput>(object);
  return given_array(object);
}

Image copy_of(const Image& image) {
  Image copy = Image::from_rgb(image.width(), image.height(), image.pixels());
  copy.set_provenance(image.shared_provenance());
  return copy;
}

}  // namespace

Image image_of(const GivenArray& array, const DecodeOptions& options) {
  if (array.rows == 0 || array.cols == 0)
    throw Error(ErrorCode::invalid_argument, "an array of " + std::to_string(array.rows) + " x " +
                                                 std::to_string(array.cols) +
                                                 " values, expected at least 1 x 1");
  if (array.rows > options.limits.max_pixels / array.cols)
    throw Error(ErrorCode::image_too_large, "an array of " + std::to_string(array.rows) + " x " +
                                                std::to_string(array.cols) + " values, at most " +
                                                std::to_string(options.limits.max_pixels) + " are taken");
  if (is(array, nb::dlpack::dtype_code::UInt, 8)) return image_of_bytes(array);
  if (array.colour) throw Error(ErrorCode::invalid_argument, "colour that is not uint8");
  return shown(measured(array), options);
}

GivenImages::GivenImages(nb::list given_list, const DecodeOptions& options)
    : kept_(std::move(given_list)), options_(options), files_(new pipeline::OpenFiles(options.limits)) {
  given_.reserve(nb::len(kept_));
  for (const nb::handle object : kept_) given_.push_back(given(object));
}

std::string GivenImages::name(size_t i) const {
  const auto* file = std::get_if<pipeline::ImageInput>(&given_[i]);
  return file != nullptr ? file->name() : "images[" + std::to_string(i) + "]";
}

Image GivenImages::read(size_t i) const {
  const Given& source = given_[i];
  if (const auto* file = std::get_if<pipeline::ImageInput>(&source)) {
    DecodeOptions options = options_;
    if (file->frame) options.frame = file->frame;
    return files_->image(file->path, options);
  }
  if (const auto* bytes = std::get_if<std::span<const std::byte>>(&source))
    return FrameSource::view(*bytes, options_.limits).image(options_);
  if (const auto* array = std::get_if<GivenArray>(&source)) return image_of(*array, options_);
  return copy_of(*std::get<const Image*>(source));
}

Image GivenImages::image(size_t i) const {
  if (std::holds_alternative<pipeline::ImageInput>(given_[i])) return read(i);  // its errors name the file
  try {
    return read(i);
  } catch (const Error& error) {
    throw Error(error.code(), name(i) + ": " + error.what());
  }
}

pipeline::ImageSequence GivenImages::sequence() {
  return {.size = size(),
          .name = [this](size_t i) { return name(i); },
          .read =
              [this](size_t i) {
                try {
                  return image(i);
                } catch (...) {
                  const std::lock_guard lock(mutex_);
                  if (!failure_ || i < failure_->first) failure_ = {i, std::current_exception()};
                  throw;
                }
              }};
}

std::optional<std::pair<size_t, std::exception_ptr>> GivenImages::first_failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace mii::python
