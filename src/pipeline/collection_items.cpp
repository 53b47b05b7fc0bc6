#include "pipeline/collection_items.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <unordered_map>

#include "image/encode_jpeg.h"
#include "image/preprocess.h"
#include "mii/error.h"
#include "pipeline/origin.h"

namespace mii::pipeline {
namespace {

using search::Item;

ImageItem image_item(const ImageInput& input, const std::string& id) {
  ImageItem image{input, {.id = id}};
  set_attribute(image.item, "path", input.path);
  if (input.frame) set_attribute(image.item, "frame", std::to_string(*input.frame + 1));
  const std::filesystem::path file = input.path;
  image.item.state = state_text(state_of({&file, 1}));
  return image;
}

// A row of a manifest, or its frames.
void add_row(const Manifest& manifest, size_t row, const DecodeOptions& decode, bool all_frames,
             std::vector<ImageItem>& images) {
  std::vector<ImageInput> inputs{{manifest.path(row).string(), std::nullopt}};
  if (all_frames) inputs = with_all_frames(inputs, decode);
  const std::string& id = manifest.at(row, "id");
  for (const ImageInput& input : inputs) {
    std::string frame_id = input.name();
    if (!id.empty()) frame_id = input.frame ? id + "#" + std::to_string(*input.frame + 1) : id;
    ImageItem image = image_item(input, frame_id);
    for (const std::string& column : manifest.table().columns())
      if (column != "id" && column != "path") set_attribute(image.item, column, manifest.at(row, column));
    images.push_back(std::move(image));
  }
}

void expect_different_ids(const std::vector<ImageItem>& images) {
  std::unordered_map<std::string_view, std::string_view> paths;
  for (const ImageItem& image : images)
    if (const auto [other, is_new] = paths.try_emplace(image.item.id, image.input.path); !is_new)
      throw Error(ErrorCode::invalid_argument, "the id '" + image.item.id + "' is that of " +
                                                   std::string(other->second) + " and of " +
                                                   image.input.path);
}

/// The origins of files, each read once where its frames follow one another.
class Origins {
 public:
  void add_to(Item& item, const std::string& path) {
    if (path != path_) {
      origin_ = origin_of(path);
      path_ = path;
    }
    for (const auto& [column, value] : columns_of(origin_))
      if (item.value(column).empty()) set_attribute(item, column, value);
  }

 private:
  std::string path_;
  Origin origin_;
};

}  // namespace

std::vector<ImageItem> items_of(const std::vector<ImageInput>& inputs) {
  std::vector<ImageItem> items;
  for (const ImageInput& input : inputs) items.push_back(image_item(input, input.name()));
  expect_different_ids(items);
  return items;
}

std::vector<ImageItem> items_of(const Manifest& manifest, const DecodeOptions& decode, bool all_frames) {
  std::vector<ImageItem> items;
  for (size_t row = 0; row < manifest.rows(); ++row) add_row(manifest, row, decode, all_frames, items);
  expect_different_ids(items);
  return items;
}

std::optional<ImageInput> input_of(const Item& item) {
  if (item.value("path").empty()) return std::nullopt;
  ImageInput input{std::string(item.value("path")), std::nullopt};
  const std::string_view frame = item.value("frame");
  size_t number = 0;
  std::from_chars(frame.data(), frame.data() + frame.size(), number);
  if (number > 0) input.frame = number - 1;
  return input;
}

std::string state_text(const std::optional<VectorSource::State>& state) {
  return state ? std::to_string(state->bytes) + " " + std::to_string(state->modified_ns) : "";
}

std::optional<VectorSource::State> parse_state(const std::string& text) {
  VectorSource::State state;
  const char* const end = text.data() + text.size();
  const auto [space, wrong] = std::from_chars(text.data(), end, state.bytes);
  if (wrong != std::errc() || space == end || *space != ' ') return std::nullopt;
  const auto [last, wrong_too] = std::from_chars(space + 1, end, state.modified_ns);
  if (wrong_too != std::errc() || last != end) return std::nullopt;
  return state;
}

std::vector<std::byte> thumbnail_of(const Image& image) {
  constexpr size_t kSide = 192;
  constexpr int kQuality = 80;
  const size_t longer = std::max(image.width(), image.height());
  if (longer <= kSide) return encode_jpeg(image, kQuality);
  const auto scaled = [&](size_t side) { return std::max<size_t>(1, side * kSide / longer); };
  return encode_jpeg(resize_bicubic(image, scaled(image.width()), scaled(image.height())), kQuality);
}

std::vector<Failure> encode_items(const Engine& engine, const std::vector<ImageItem>& images,
                                  const EncodeItems& options,
                                  const std::function<void(std::vector<Item>, const Matrix&)>& take) {
  std::vector<ImageInput> inputs;
  for (const ImageItem& image : images) inputs.push_back(image.input);
  std::map<size_t, std::vector<std::byte>> thumbnails;  // of images on their way through the model
  std::mutex mutex;
  ImageObserver observer;
  if (options.thumbnails)
    observer = [&](size_t i, const Image& image) {
      std::vector<std::byte> jpeg = thumbnail_of(image);
      const std::lock_guard lock(mutex);
      thumbnails[i] = std::move(jpeg);
    };
  Origins origins;
  const auto sink = [&](const std::vector<size_t>& indices, const Matrix& vectors, std::span<const Image>) {
    std::vector<Item> items;
    for (const size_t i : indices) {
      items.push_back(images[i].item);
      origins.add_to(items.back(), images[i].input.path);
      if (images[i].there) items.back() = with_other_columns(std::move(items.back()), *images[i].there);
      const std::lock_guard lock(mutex);
      if (auto found = thumbnails.extract(i)) items.back().thumbnail = std::move(found.mapped());
    }
    take(std::move(items), vectors);
  };
  return encode_images(engine, images_of(std::move(inputs), options.decode), options.read, sink, observer);
}

}  // namespace mii::pipeline
