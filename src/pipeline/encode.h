#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/reason.h"
#include "core/threads.h"
#include "mii/engine.h"
#include "pipeline/in_order.h"
#include "pipeline/inputs.h"

namespace mii::pipeline {

/// Images that can be read in any order and on several threads. read throws where an image cannot be had.
struct ImageSequence {
  size_t size = 0;
  std::function<std::string(size_t)> name;
  std::function<Image(size_t)> read;
};

/// The inputs' images. A file of which several frames follow one another is opened once.
ImageSequence images_of(std::vector<ImageInput> inputs, const DecodeOptions& options);

struct ReadOptions {
  int readers = 0;   ///< threads that read and decode; 0: one for each core
  size_t ahead = 0;  ///< images that may wait for their turn; 0: two for each reader
  /// Hears how many more inputs are done, failed ones included. On the caller's thread.
  std::function<void(size_t)> progress;
  std::function<bool()> cancelled;  ///< true: stop before the next batch
};

/// Reads images on several threads and hands over what `make` makes of each, in order, on the caller's
/// thread. make runs on the readers' threads: what is expensive belongs there. Images that fail, for whatever
/// reason, come back; the others reach take.
template <typename T>
std::vector<Failure> read_images(const ImageSequence& images, const ReadOptions& options,
                                 const std::function<T(size_t, Image)>& make,
                                 const std::function<void(size_t, T)>& take) {
  using Made = std::variant<T, Failure>;
  const auto read = [&](size_t i) -> Made {
    try {
      return make(i, images.read(i));
    } catch (const std::exception& error) {
      return Failure{images.name(i), reason_of(error)};
    }
  };
  const int readers = options.readers > 0 ? options.readers : usable_cores();
  const size_t ahead = options.ahead > 0 ? options.ahead : 2 * static_cast<size_t>(readers);
  std::vector<Failure> failures;
  InOrder<Made> work(images.size, {readers, ahead, options.cancelled}, read);
  work.run([&](size_t i, Made made) {
    if (auto* failure = std::get_if<Failure>(&made))
      failures.push_back(std::move(*failure));
    else
      take(i, std::move(std::get<T>(made)));
    if (options.progress) options.progress(1);
  });
  return failures;
}

/// Receives the vectors of the inputs at `indices`, one row each, and the images as the model saw them (none
/// for texts).
using VectorSink = std::function<void(const std::vector<size_t>& indices, const Matrix& vectors,
                                      std::span<const Image> images)>;

/// Hears of an image before it is resized to the model's input. On a reader's thread.
using ImageObserver = std::function<void(size_t index, const Image& image)>;

/// From images to vectors, in the engine's batches, while the next ones are being read. Images that fail come
/// back, the others reach the sink in order. At most one batch of images more is kept than the engine
/// computes at once.
std::vector<Failure> encode_images(const Engine& engine, const ImageSequence& images,
                                   const ReadOptions& options, const VectorSink& sink,
                                   const ImageObserver& observer = {});

/// options: progress and cancelled count.
std::vector<Failure> encode_texts(const Engine& engine, const std::vector<std::string>& texts,
                                  const ReadOptions& options, const VectorSink& sink);

}  // namespace mii::pipeline
