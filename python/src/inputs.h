#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "mii/image.h"
#include "pipeline/encode.h"
#include "pipeline/inputs.h"
#include "pipeline/open_files.h"

namespace nb = nanobind;

namespace mii::python {

/// Bytes of a file, or values of an array, [rows, cols] or [rows, cols, 3]. Python keeps them.
struct GivenArray {
  const void* data;
  nb::dlpack::dtype dtype;
  size_t rows;
  size_t cols;
  bool colour;
};
using Given = std::variant<pipeline::ImageInput, std::span<const std::byte>, GivenArray, const Image*>;

/// An 8-bit image; of values other than uint8, what options.profile makes of them.
Image image_of(const GivenArray& array, const DecodeOptions& options);

/// Images that Python has given: a list of str (paths), ImageInput, bytes, arrays in C order and Image.
/// Made and ended with the GIL; it keeps what it reads from.
class GivenImages {
 public:
  /// Throws nb::type_error for anything else: Python has sorted it out before.
  GivenImages(nb::list given, const DecodeOptions& options);

  size_t size() const { return given_.size(); }
  /// The path, or "images[3]".
  std::string name(size_t i) const;
  /// Throws as Image::decode does, naming the input. Any thread, without the GIL.
  Image image(size_t i) const;

  /// Refers to this. Notes what an image throws.
  pipeline::ImageSequence sequence();

  /// The first input that could not be read, as far as the work went, and what it threw.
  std::optional<std::pair<size_t, std::exception_ptr>> first_failure() const;

 private:
  Image read(size_t i) const;

  nb::list kept_;
  DecodeOptions options_;
  std::vector<Given> given_;
  std::unique_ptr<pipeline::OpenFiles> files_;
  mutable std::mutex mutex_;
  std::optional<std::pair<size_t, std::exception_ptr>> failure_;  // guarded by mutex_
};

}  // namespace mii::python
