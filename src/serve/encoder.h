#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "serve/batcher.h"
#include "serve/job.h"
#include "serve/metrics.h"
#include "serve/model.h"
#include "serve/options.h"
#include "serve/work.h"
#include "serve/workers.h"

namespace mii::serve {

/// How the service decodes an image that a client sent.
/// The image that a client sent. Throws as Image::decode does, and for what is no base64.
Image decode(const EncodedImage& image, const DecodeOptions& options);

DecodeOptions decode_options(const ServeOptions& options,
                             const std::optional<AzureStandardisation>& standardisation = {});

/// From encoded images and texts to vectors: decoding on the workers, then batches, separate for images,
/// images whose tokens of a stage are wanted, and texts. The amount of work admitted and not yet settled is
/// limited.
class Encoder {
 public:
  Encoder(const Model& model, const ServeOptions& options, Workers& workers, Metrics& metrics);

  /// Takes the work's images and texts. Returns nothing when the queue is full; retry_after() says when to
  /// try again. done is called on another thread, once, whatever happens.
  std::shared_ptr<Job> submit(Work& work, std::function<void()> done);

  /// Seconds until the work that is admitted will be done, a whole number from 1 to 60.
  int retry_after() const;

  /// The work of a tiny request, an encoded image and this text, past the bound.
  std::shared_ptr<Job> probe(std::string text, std::function<void()> done);

  size_t admitted_images() const { return admitted_images_; }
  size_t admitted_texts() const { return admitted_texts_; }
  size_t queued_images() const { return images_.queued() + tokens_.queued() + earlier_tokens_.queued(); }
  size_t queued_texts() const { return texts_.queued(); }
  Seconds computing_for() const {
    return std::max({images_.computing_for(), tokens_.computing_for(), earlier_tokens_.computing_for(),
                     texts_.computing_for()});
  }
  /// When a computation last finished.
  std::chrono::steady_clock::time_point last_answer() const { return last_answer_; }

  const Model& model() const { return model_; }

 private:
  /// What a request asks for. Images whose tokens are wanted count among the images, too.
  struct Amount {
    size_t images = 0, with_tokens = 0, texts = 0;
  };
  /// An image on its way to a batch.
  struct Coming {
    std::shared_ptr<Job> job;
    size_t row = 0;
    EncodedImage image;
    std::function<void(size_t image, const Image& decoded)> observer;
    Batcher<Image>& batcher;
  };

  bool admit(const Amount& amount);
  void release(const Amount& amount);
  std::shared_ptr<Job> make_job(const Work& work, std::function<void()> done) const;
  void enqueue(const std::shared_ptr<Job>& job, Work& work);
  void prepare(const Coming& coming);
  Batcher<Image>& batcher_of(const Work& work);
  Batcher<Image>::Compute tokens_of(TokenStage stage) const;
  Batcher<Image>::Observer image_observer();
  void note_answer(size_t images, Seconds seconds);

  const Model& model_;
  const ServeOptions& options_;
  Workers& workers_;
  Metrics& metrics_;
  std::mutex admission_;
  std::atomic<size_t> admitted_images_ = 0, admitted_texts_ = 0;
  size_t admitted_with_tokens_ = 0;  // guarded by admission_
  std::atomic<double> seconds_per_image_ = 0.01;
  std::atomic<std::chrono::steady_clock::time_point> last_answer_ = std::chrono::steady_clock::now();
  Batcher<Image> images_;
  Batcher<Image> tokens_;
  Batcher<Image> earlier_tokens_;  // of the stage before the last
  Batcher<std::string> texts_;
};

}  // namespace mii::serve
