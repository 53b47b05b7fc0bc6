#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "image_flags.h"
#include "mii/engine.h"
#include "model_flags.h"
#include "pipeline/vector_formats.h"
#include "search/collection.h"

// Files as items of a collection, for the commands that work with collections.

namespace mii {

/// An image that is an item, or is to become one. Its state says what its file was like; what a DICOM file
/// says of itself is not yet in it.
struct ImageItem {
  pipeline::ImageInput input;
  search::Item item;
  std::optional<search::Item> there;  ///< as the collection has it: columns that are not set stay
};

struct ImageItems {
  std::vector<ImageItem> items;
  std::vector<pipeline::Failure> failures;
};

/// The images that flags name. Of a manifest every column is an attribute, and "id" the id; else the id is
/// the input's name. Throws Error{invalid_argument} for an id that two of them have.
ImageItems image_items(const ImageFlags& flags);

/// The input of an item that was made of an image, by its columns path and frame; nullopt: of something else.
std::optional<pipeline::ImageInput> input_of(const search::Item& item);

/// As a collection keeps it, and back; nullopt for what is not one.
std::string state_text(const std::optional<pipeline::VectorSource::State>& state);
std::optional<pipeline::VectorSource::State> parse_state(const std::string& text);

/// At most 192 pixels wide and high.
std::vector<std::byte> thumbnail_of(const Image& image);

/// Encodes images and hands their items over in batches, with their origins and, if wanted, thumbnails.
/// Returns those that failed.
struct EncodeItems {
  bool thumbnails = false;
  bool quiet = false;
};
std::vector<pipeline::Failure> encode_items(
    const Engine& engine, const std::vector<ImageItem>& images, const DecodeFlags& decode,
    EncodeItems options, const std::function<void(std::vector<search::Item>, const Matrix&)>& take);

/// Opens the model. With --precision auto in that of the collection's vectors. Throws Error{invalid_argument}
/// when it is not the model of the collection; says how it differs in precision.
Engine open_for(const ModelFlags& flags, const std::optional<Identity>& identity,
                const std::string& preprocessing, search::IdentityCheck check = {});

}  // namespace mii
