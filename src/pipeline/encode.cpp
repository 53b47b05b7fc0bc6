#include "pipeline/encode.h"

#include <deque>
#include <future>
#include <optional>
#include <utility>

#include "mii/error.h"
#include "pipeline/open_files.h"

namespace mii::pipeline {
namespace {

constexpr size_t kTextBatch = 64;

// Collects prepared images until they make a batch of the engine's, and has as many batches under way as the
// engine computes at once.
class ImageBatches {
 public:
  ImageBatches(const Engine& engine, const VectorSink& sink) : engine_(engine), sink_(sink) {}

  void add(size_t index, Image image) {
    next_.indices.push_back(index);
    next_.images.push_back(std::move(image));
    // The engine's number may have fallen in the meantime.
    if (next_.images.size() >= engine_.image_batch()) begin();
  }

  void finish() {
    if (!next_.images.empty()) begin();
    while (!under_way_.empty()) take_oldest();
  }

 private:
  struct Batch {
    std::vector<size_t> indices;
    std::vector<Image> images;
    std::future<Matrix> vectors;
  };

  // A batch that is the only one is computed by who waits for it.
  void begin() {
    const size_t at_once = engine_.batches_at_once();
    Batch& batch = under_way_.emplace_back(std::exchange(next_, {}));
    batch.vectors = std::async(at_once > 1 ? std::launch::async : std::launch::deferred,
                               [this, &batch] { return engine_.encode_images(batch.images); });
    while (under_way_.size() >= at_once) take_oldest();
  }

  void take_oldest() {
    Batch& oldest = under_way_.front();
    sink_(oldest.indices, oldest.vectors.get(), oldest.images);
    under_way_.pop_front();
  }

  const Engine& engine_;
  const VectorSink& sink_;
  Batch next_;
  std::deque<Batch> under_way_;
};

// One text after another, to find out which of a batch is wrong.
void encode_one_by_one(const Engine& engine, std::span<const std::string> texts, size_t first,
                       const VectorSink& sink, std::vector<Failure>& failures) {
  for (size_t i = 0; i < texts.size(); ++i) {
    try {
      sink({first + i}, engine.encode_texts(texts.subspan(i, 1)), {});
    } catch (const Error& e) {
      if (e.code() != ErrorCode::invalid_text) throw;
      failures.push_back({"text " + std::to_string(first + i + 1), e.what()});
    }
  }
}

std::optional<Matrix> encoded(const Engine& engine, std::span<const std::string> texts) {
  try {
    return engine.encode_texts(texts);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::invalid_text) throw;
    return std::nullopt;
  }
}

}  // namespace

ImageSequence images_of(std::vector<ImageInput> inputs, const DecodeOptions& options) {
  const auto list = std::make_shared<const std::vector<ImageInput>>(std::move(inputs));
  const auto files = std::make_shared<OpenFiles>(options.limits);
  return {list->size(), [list](size_t i) { return (*list)[i].name(); },
          [list, files, options](size_t i) {
            DecodeOptions of_frame = options;
            if ((*list)[i].frame) of_frame.frame = (*list)[i].frame;
            return files->image((*list)[i].path, of_frame);
          }};
}

std::vector<Failure> encode_images(const Engine& engine, const ImageSequence& images,
                                   const ReadOptions& options, const VectorSink& sink,
                                   const ImageObserver& observer) {
  ReadOptions batched = options;
  if (batched.ahead == 0) batched.ahead = engine.image_batch();
  ImageBatches batches(engine, sink);
  auto failures = read_images<Image>(
      images, batched,
      [&](size_t index, const Image& image) {
        if (observer) observer(index, image);
        return engine.prepare(image);
      },
      [&](size_t index, Image image) { batches.add(index, std::move(image)); });
  batches.finish();
  return failures;
}

std::vector<Failure> encode_texts(const Engine& engine, const std::vector<std::string>& texts,
                                  const ReadOptions& options, const VectorSink& sink) {
  std::vector<Failure> failures;
  for (size_t first = 0; first < texts.size(); first += kTextBatch) {
    if (options.cancelled && options.cancelled()) break;
    const auto batch = std::span(texts).subspan(first, std::min(kTextBatch, texts.size() - first));
    std::vector<size_t> indices;
    for (size_t i = 0; i < batch.size(); ++i) indices.push_back(first + i);
    if (const auto vectors = encoded(engine, batch))
      sink(indices, *vectors, {});
    else
      encode_one_by_one(engine, batch, first, sink, failures);
    if (options.progress) options.progress(batch.size());
  }
  return failures;
}

}  // namespace mii::pipeline
