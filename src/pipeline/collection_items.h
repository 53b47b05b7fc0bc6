#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dataset/manifest.h"
#include "mii/engine.h"
#include "pipeline/encode.h"
#include "pipeline/vector_formats.h"
#include "search/collection.h"

// Files as items of a collection.

namespace mii::pipeline {

/// An image that is an item, or is to become one. Its state says what its file was like; what a DICOM file
/// says of itself is not yet in it.
struct ImageItem {
  ImageInput input;
  search::Item item;
  std::optional<search::Item> there;  ///< as the collection has it: columns that are not set stay
};

/// The items of images; their ids are the inputs' names.
std::vector<ImageItem> items_of(const std::vector<ImageInput>& inputs);

/// The items of a manifest's rows, or of all their frames: every column is an attribute, and "id" the id,
/// where a row has one. Throws Error{invalid_argument} for an id that two of them have.
std::vector<ImageItem> items_of(const Manifest& manifest, const DecodeOptions& decode, bool all_frames);

/// The input of an item that was made of an image, by its columns path and frame; nullopt: of something else.
std::optional<ImageInput> input_of(const search::Item& item);

/// As a collection keeps it, and back; nullopt for what is not one.
std::string state_text(const std::optional<VectorSource::State>& state);
std::optional<VectorSource::State> parse_state(const std::string& text);

/// JPEG, at most 192 pixels wide and high.
std::vector<std::byte> thumbnail_of(const Image& image);

struct EncodeItems {
  DecodeOptions decode;
  bool thumbnails = false;
  ReadOptions read;
};
/// Encodes images and hands their items over in batches, with their origins and, if wanted, thumbnails.
/// Returns those that failed.
std::vector<Failure> encode_items(const Engine& engine, const std::vector<ImageItem>& images,
                                  const EncodeItems& options,
                                  const std::function<void(std::vector<search::Item>, const Matrix&)>& take);

}  // namespace mii::pipeline
