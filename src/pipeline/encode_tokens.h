#pragma once

#include "pipeline/encode.h"

namespace mii::pipeline {

/// An image as the model sees it, and as overlays are drawn on it.
struct Prepared {
  Image input;
  Image canvas;
};

/// Reads images as read_images does and prepares them.
std::vector<Failure> prepare_images(const Engine& engine, const ImageSequence& images,
                                    const ReadOptions& options,
                                    const std::function<void(size_t index, Prepared)>& take);

/// Receives the tokens of one image, and the image as overlays are drawn on it.
using TokenSink = std::function<void(size_t index, const ImageTokens& tokens, const Image& canvas)>;

/// From images to a stage's tokens, as encode_images does it. At most two batches of images are kept.
std::vector<Failure> encode_image_tokens(const Engine& engine, const ImageSequence& images,
                                         const ReadOptions& options, const TokenSink& sink,
                                         TokenStage stage = TokenStage::last);

}  // namespace mii::pipeline
