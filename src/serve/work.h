#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "mii/image.h"
#include "mii/matrix.h"
#include "serve/http.h"

namespace mii::serve {

/// An image as a client sent it.
struct EncodedImage {
  std::string data;
  bool base64 = false;  ///< else the file's own bytes
  std::optional<AzureStandardisation> standardisation;
};

/// What a request asks of the model, and how its answer is written.
struct Work {
  std::vector<EncodedImage> images;
  std::vector<std::string> texts;
  /// Rows in the order of images and texts. Runs on a worker thread.
  std::function<Response(Matrix image_vectors, Matrix text_vectors)> answer;
};

/// An answer at once, or work for the model.
using Outcome = std::variant<Response, Work>;

}  // namespace mii::serve
