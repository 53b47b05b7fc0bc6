#include "serve/encoder.h"

#include <cmath>

#include "mii/error.h"
#include "core/base64.h"

namespace mii::serve {
namespace {

// Tokens of an image are megabytes, which its job keeps until they are answered.
constexpr size_t kQueueWithTokens = 64;

Batcher<Image>::Options image_batching(const Model& model, const Batching& batching) {
  return {Job::Kind::image, batching.max_batch == 0 ? model.image_batch() : batching.max_batch, batching.wait,
          model.batches_at_once()};
}

}  // namespace

Image decode(const EncodedImage& image, const DecodeOptions& options) {
  return image.base64 ? Image::decode(decode_base64(image.data), options)
                      : Image::decode(std::as_bytes(std::span(image.data)), options);
}

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
          image_batching(model, options.batching),
          [this](std::span<const Image> images) { return model_.encode_images(images); }, image_observer()),
      tokens_(image_batching(model, options.batching), tokens_of(TokenStage::last), image_observer()),
      earlier_tokens_(image_batching(model, options.batching), tokens_of(TokenStage::before_last),
                      image_observer()),
      texts_(
          {Job::Kind::text, options.batching.max_text_batch, options.batching.wait, model.batches_at_once()},
          [this](std::span<const std::string> texts) { return model_.encode_texts(texts); },
          [this](size_t size, Seconds seconds, std::span<const Seconds> waits) {
            note_answer(0, seconds);
            metrics_.batch("text", size, seconds, waits);
          }) {}

Batcher<Image>::Compute Encoder::tokens_of(TokenStage stage) const {
  return [this, stage](std::span<const Image> images) { return model_.encode_image_tokens(images, stage); };
}

Batcher<Image>& Encoder::batcher_of(const Work& work) {
  if (work.token_values == 0) return images_;
  return work.stage == TokenStage::last ? tokens_ : earlier_tokens_;
}

Batcher<Image>::Observer Encoder::image_observer() {
  return [this](size_t size, Seconds seconds, std::span<const Seconds> waits) {
    note_answer(size, seconds);
    metrics_.batch("image", size, seconds, waits);
  };
}

bool Encoder::admit(const Amount& amount) {
  const std::lock_guard lock(admission_);
  // An empty queue takes any request that the limits let through.
  const auto fits = [](size_t admitted, size_t more, size_t most) {
    return more == 0 || admitted == 0 || admitted + more <= most;
  };
  if (!fits(admitted_images_, amount.images, options_.batching.queue_images) ||
      !fits(admitted_with_tokens_, amount.with_tokens, kQueueWithTokens) ||
      !fits(admitted_texts_, amount.texts, options_.batching.queue_texts))
    return false;
  admitted_images_ += amount.images;
  admitted_with_tokens_ += amount.with_tokens;
  admitted_texts_ += amount.texts;
  return true;
}

void Encoder::release(const Amount& amount) {
  const std::lock_guard lock(admission_);
  admitted_images_ -= amount.images;
  admitted_with_tokens_ -= amount.with_tokens;
  admitted_texts_ -= amount.texts;
}

std::shared_ptr<Job> Encoder::make_job(const Work& work, std::function<void()> done) const {
  const size_t dim = model_.info().embedding_dim;
  return std::make_shared<Job>(Matrix(work.images.size(), work.token_values > 0 ? work.token_values : dim),
                               Matrix(work.texts.size(), dim), std::move(done));
}

std::shared_ptr<Job> Encoder::submit(Work& work, std::function<void()> done) {
  const Amount amount{work.images.size(), work.token_values > 0 ? work.images.size() : 0, work.texts.size()};
  if (!admit(amount)) return nullptr;
  auto job = make_job(work, [this, amount, done = std::move(done)] {
    release(amount);
    done();
  });
  enqueue(job, work);
  return job;
}

void Encoder::enqueue(const std::shared_ptr<Job>& job, Work& work) {
  Batcher<Image>& batcher = batcher_of(work);
  batcher.expect(work.images.size());
  texts_.expect(work.texts.size());
  for (size_t t = 0; t < work.texts.size(); ++t) texts_.push({job, t, std::move(work.texts[t])});
  for (size_t i = 0; i < work.images.size(); ++i) {
    const auto coming =
        std::make_shared<Coming>(Coming{job, i, std::move(work.images[i]), work.observer, batcher});
    workers_.post(Workers::Lane::second, [this, coming] { prepare(*coming); });
  }
}

void Encoder::prepare(const Coming& coming) {
  const auto& [job, row, image, observer, batcher] = coming;
  if (job->cancelled()) {
    batcher.forget();
    job->drop();
    return;
  }
  const auto start = std::chrono::steady_clock::now();
  Job::Failure failure{.image = row};
  try {
    const Image decoded = decode(image, decode_options(options_, image.standardisation));
    if (observer) observer(row, decoded);
    Image ready = model_.prepare(decoded);
    metrics_.preprocessed(std::chrono::steady_clock::now() - start);
    job->note_prepared();
    batcher.push({job, row, std::move(ready)});
    return;
  } catch (const Error& error) {
    failure.code = error.code();
    failure.message = error.what();
  } catch (const std::exception&) {
    failure.message = "out of memory or another failure of the machine";
  }
  batcher.forget();
  job->fail(std::move(failure));
}

std::shared_ptr<Job> Encoder::probe(std::string text, std::function<void()> done) {
  Work work;
  work.images.push_back({.data = "P5 1 1 255\nx"});  // one grey pixel
  work.texts.push_back(std::move(text));
  auto job = make_job(work, std::move(done));
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
  const auto at_once = static_cast<double>(images * model_.batches_at_once());
  seconds_per_image_ = 0.8 * seconds_per_image_ + 0.2 * seconds.count() / at_once;
}

}  // namespace mii::serve
