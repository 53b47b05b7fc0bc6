#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "mii/explain.h"
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
  /// Not 0: the images' rows are tokens of this stage, of so many values; see Model::encode_image_tokens.
  size_t token_values = 0;
  TokenStage stage = TokenStage::last;
  /// Hears of each image before it is resized to the model's input. On workers, several at once.
  std::function<void(size_t image, const Image& decoded)> observer;
  /// Rows in the order of images and texts. Runs on a worker thread.
  std::function<Response(Matrix image_vectors, Matrix text_vectors)> answer;
};

/// An answer at once, or work for the model.
using Outcome = std::variant<Response, Work>;

}  // namespace mii::serve
