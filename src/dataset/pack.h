#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "weights/config.h"

namespace mii {

/// Whether a concept is true of an image.
enum class Truth : uint8_t { no, yes, unknown };

/// An image of the training or the validation set, decoded and resized once.
struct PackedImage {
  bool validation = false;
  int32_t label_set = 0;        ///< index into Pack::label_sets
  std::vector<std::byte> jpeg;  ///< grey or RGB, square
  int32_t patient = -1;         ///< images of one patient have one number; -1: unknown
};

/// What captions say ("computed tomography of the head"), whatever the words.
struct Concept {
  std::string name;               ///< the plainest caption
  int32_t field = -1;             ///< index into Pack::fields when it mentions that field alone, else -1
  float weight = 0;               ///< how often it is drawn, relative to the others that fit an image
  std::vector<int32_t> drawn_by;  ///< label sets whose images may draw it, ascending
  bool distractor = false;        ///< no training image has it: its captions take part as wrong answers
};

struct Caption {
  int32_t concept_id = 0;
  std::vector<int32_t> ids;  ///< of the tokenizer, start and end token included, no padding
};

/// All that training needs; what remains is to decode JPEG and to compute. On disk it is a folder:
///   pack.safetensors           labels, concepts, captions; the model's sizes as metadata
///   images-001.safetensors ... the JPEG bytes, end to end
///   model/                     config.yaml and the tokenizer, for the folder that training writes
struct Pack {
  ModelConfig model;
  int64_t vocabulary_size = 0;
  std::vector<PackedImage> images;
  std::vector<std::string> label_sets;  ///< values of the fields, a tab between them
  std::vector<std::string> fields;
  std::vector<Concept> concepts;
  std::vector<Caption> captions;
  std::vector<Truth> truth;  ///< [label_sets, concepts]

  Truth truth_of(int32_t label_set, int32_t concept_id) const {
    return truth[static_cast<size_t>(label_set) * concepts.size() + static_cast<size_t>(concept_id)];
  }
};

constexpr uint64_t kMaxShardBytes = 15u << 20;

/// Writes everything but model/. Throws Error{io}.
void write_pack(const Pack& pack, const std::filesystem::path& folder,
                uint64_t max_shard_bytes = kMaxShardBytes);

/// Throws Error{io} when a file is missing, Error{corrupt_weights} when the parts do not fit each other.
Pack read_pack(const std::filesystem::path& folder);

}  // namespace mii
