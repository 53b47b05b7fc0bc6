#include "pipeline/encode_tokens.h"

#include "maps/overlay.h"

namespace mii::pipeline {
namespace {

// Collects prepared images until they make a batch of the engine's.
class TokenBatch {
 public:
  TokenBatch(const Engine& engine, const TokenSink& sink, TokenStage stage)
      : engine_(engine), sink_(sink), stage_(stage) {}

  void add(size_t index, Prepared prepared) {
    indices_.push_back(index);
    inputs_.push_back(std::move(prepared.input));
    canvases_.push_back(std::move(prepared.canvas));
    if (inputs_.size() >= engine_.image_batch()) compute();
  }

  void compute() {
    const std::vector<ImageTokens> tokens = engine_.encode_image_tokens(inputs_, stage_);
    for (size_t i = 0; i < tokens.size(); ++i) sink_(indices_[i], tokens[i], canvases_[i]);
    indices_.clear();
    inputs_.clear();
    canvases_.clear();
  }

 private:
  const Engine& engine_;
  const TokenSink& sink_;
  const TokenStage stage_;
  std::vector<size_t> indices_;
  std::vector<Image> inputs_;
  std::vector<Image> canvases_;
};

}  // namespace

std::vector<Failure> prepare_images(const Engine& engine, const ImageSequence& images,
                                    const ReadOptions& options,
                                    const std::function<void(size_t index, Prepared)>& take) {
  return read_images<Prepared>(
      images, options,
      [&](size_t, const Image& image) {
        return Prepared{engine.prepare(image), maps::canvas_of(image)};
      },
      take);
}

std::vector<Failure> encode_image_tokens(const Engine& engine, const ImageSequence& images,
                                         const ReadOptions& options, const TokenSink& sink,
                                         TokenStage stage) {
  ReadOptions batched = options;
  if (batched.ahead == 0) batched.ahead = engine.image_batch();
  TokenBatch batch(engine, sink, stage);
  auto failures = prepare_images(engine, images, batched, [&](size_t index, Prepared prepared) {
    batch.add(index, std::move(prepared));
  });
  batch.compute();
  return failures;
}

}  // namespace mii::pipeline
