#include "serve/encoder.h"

#include <cmath>

#include "mii/error.h"
#include "core/base64.h"

namespace mii::serve {
namespace {

size_t image_batch(const Model& model, const Batching& batching) {
  return batching.max_batch == 0 ? model.image_batch() : batching.max_batch;
}

Image decode(const EncodedImage& image, const ServeOptions& serve) {
  const DecodeOptions options = decode_options(serve, image.standardisation);
  return image.base64 ? Image::decode(decode_base64(image.data), options)
                      : Image::decode(std::as_bytes(std::span(image.data)), options);
}

}  // namespace

DecodeOptions decode_options(const ServeOptions& options,
                             const std::optional<AzureStandardisation>& standardisation) {
  return {.limits = {.max_pixels = options.limits.image_pixels,
                     .max_file_bytes = options.limits.body_bytes,
                     .max_volume_bytes = options.limits.volume_bytes},
          .profile = options.profile,
          .azure = standardisation};
}

Encoder::Encoder(const Model& model, const ServeOptions& options, Workers& workers, Metrics& metrics)
    : model_(model),
      options_(options),
      workers_(workers),
      metrics_(metrics),
      images_(
          {Job::Kind::image, image_batch(model, options.batching), options.batching.wait},
          [this](std::span<const Image> images) { return model_.encode_images(images); },
          [this](size_t size, Seconds seconds, std::span<const Seconds> waits) {
            note_answer(size, seconds);
            metrics_.batch("image", size, seconds, waits);
          }),
      texts_(
          {Job::Kind::text, options.batching.max_text_batch, options.batching.wait},
          [this](std::span<const std::string> texts) { return model_.encode_texts(texts); },
          [this](size_t size, Seconds seconds, std::span<const Seconds> waits) {
            note_answer(0, seconds);
            metrics_.batch("text", size, seconds, waits);
          }) {}

bool Encoder::admit(size_t images, size_t texts) {
  const std::lock_guard lock(admission_);
  // An empty queue takes any request that the limits let through.
  const bool images_fit =
      admitted_images_ == 0 || admitted_images_ + images <= options_.batching.queue_images;
  const bool texts_fit = admitted_texts_ == 0 || admitted_texts_ + texts <= options_.batching.queue_texts;
  if ((images > 0 && !images_fit) || (texts > 0 && !texts_fit)) return false;
  admitted_images_ += images;
  admitted_texts_ += texts;
  return true;
}

std::shared_ptr<Job> Encoder::submit(Work& work, std::function<void()> done) {
  const size_t images = work.images.size(), texts = work.texts.size();
  if (!admit(images, texts)) return nullptr;
  auto job = std::make_shared<Job>(images, texts, model_.info().embedding_dim,
                                   [this, images, texts, done = std::move(done)] {
                                     {
                                       const std::lock_guard lock(admission_);
                                       admitted_images_ -= images;
                                       admitted_texts_ -= texts;
                                     }
                                     done();
                                   });
  enqueue(job, work);
  return job;
}

void Encoder::enqueue(const std::shared_ptr<Job>& job, Work& work) {
  images_.expect(work.images.size());
  texts_.expect(work.texts.size());
  for (size_t t = 0; t < work.texts.size(); ++t) texts_.push({job, t, std::move(work.texts[t])});
  for (size_t i = 0; i < work.images.size(); ++i)
    workers_.post(Workers::Lane::second,
                  [this, job, i, image = std::make_shared<EncodedImage>(std::move(work.images[i]))] {
                    prepare(job, i, *image);
                  });
}

void Encoder::prepare(const std::shared_ptr<Job>& job, size_t row, const EncodedImage& image) {
  if (job->cancelled()) {
    images_.forget();
    job->drop();
    return;
  }
  const auto start = std::chrono::steady_clock::now();
  Job::Failure failure{.image = row};
  try {
    Image ready = model_.prepare(decode(image, options_));
    metrics_.preprocessed(std::chrono::steady_clock::now() - start);
    job->note_prepared();
    images_.push({job, row, std::move(ready)});
    return;
  } catch (const Error& error) {
    failure.code = error.code();
    failure.message = error.what();
  } catch (const std::exception&) {
    failure.message = "out of memory or another failure of the machine";
  }
  images_.forget();
  job->fail(std::move(failure));
}

std::shared_ptr<Job> Encoder::probe(std::string text, std::function<void()> done) {
  Work work;
  work.images.push_back({.data = "P5 1 1 255\nx"});  // one grey pixel
  work.texts.push_back(std::move(text));
  auto job = std::make_shared<Job>(1, 1, model_.info().embedding_dim, std::move(done));
  enqueue(job, work);
  return job;
}

int Encoder::retry_after() const {
  const double seconds = static_cast<double>(admitted_images_) * seconds_per_image_;
  return static_cast<int>(std::clamp(std::ceil(seconds), 1.0, 60.0));
}

void Encoder::note_answer(size_t images, Seconds seconds) {
  last_answer_ = std::chrono::steady_clock::now();
  if (images == 0) return;
  seconds_per_image_ = 0.8 * seconds_per_image_ + 0.2 * seconds.count() / static_cast<double>(images);
}

}  // namespace mii::serve
