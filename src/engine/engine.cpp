#include "mii/engine.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "backend/precision.h"
#include "backend/registry.h"
#include "engine/compute_thread.h"
#include "engine/model_digest.h"
#include "engine/text_cache.h"
#include "engine/token_maps.h"
#include "image/preprocess.h"
#include "mii/error.h"
#include "model/davit.h"
#include "model/text_transformer.h"
#include "model/work.h"
#include "text/clip_tokenizer.h"
#include "weights/checkpoint.h"
#include "weights/config.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

// Rows of the first stage's activations in one computation: enough for full-speed products, and little enough
// memory.
constexpr size_t kStageZeroRows = 16384;
// Tokens of texts in one computation.
constexpr size_t kTextRows = 4096;
constexpr int kMaxThreads = 1024;

void expect_valid_threads(const EngineOptions& options) {
  if (options.threads < 0 || options.threads > kMaxThreads)
    throw Error(ErrorCode::invalid_argument, std::to_string(options.threads) +
                                                 " threads, expected 0 (all cores) to " +
                                                 std::to_string(kMaxThreads));
}

void warn(const EngineOptions& options, const std::string& sentence) {
  if (options.warn) options.warn(sentence);
}

// What is asked for, where the backend has it; `auto` takes the fastest that is exact enough.
Precision choose_precision(const BackendEntry& backend, const EngineOptions& options) {
  const std::vector<Precision> offered = backend.precisions();
  const auto found = std::ranges::find_if(offered, [&](Precision p) {
    return options.precision == Precision::automatic ? info_of(p).taken_by_auto : p == options.precision;
  });
  if (found != offered.end()) return *found;
  warn(options, to_string(options.precision) + std::string(" has no fast kernel here: computing in f32"));
  return Precision::f32;
}

std::unique_ptr<Backend> make_backend(const EngineOptions& options) {
  expect_valid_threads(options);
  const BackendEntry& backend = find_backend(options.backend);
  return backend.make({.precision = choose_precision(backend, options), .threads = options.threads});
}

void expect_finite(const Matrix& vectors) {
  for (const float v : vectors.values())
    if (!std::isfinite(v))
      throw Error(ErrorCode::corrupt_weights,
                  "the model gave a vector that is not finite: its weights are beyond the range of float32");
}

// The n rows from `first`.
std::span<float> rows_of(Matrix& matrix, size_t first, size_t n) {
  return matrix.values().subspan(first * matrix.cols(), n * matrix.cols());
}

Image copy_of(const Image& image) {
  Image copy = Image::from_rgb(image.width(), image.height(), image.pixels());
  copy.set_provenance(image.shared_provenance());
  return copy;
}

}  // namespace

class Engine::Impl {
 public:
  Impl(const fs::path& folder, const EngineOptions& options);

  const ModelInfo& info() const { return info_; }
  size_t image_batch() const {
    return std::max<size_t>(1, kStageZeroRows / static_cast<size_t>(stage_grids(config_.image)[0].tokens()));
  }
  bool fits(const Image& image) const {
    return image.width() == info_.image_width && image.height() == info_.image_height;
  }
  Image prepare(const Image& image) const {
    return resize_bicubic(image, info_.image_width, info_.image_height);
  }

  Matrix encode_images(std::span<const Image> images);
  Matrix encode_texts(std::span<const std::string> texts);
  ZeroShotHead zero_shot_head(std::span<const std::string> labels, const ClassifyOptions& options);
  ImageTokens encode_image_tokens(const Image& image);
  std::vector<TokenMaps> explain(std::span<const Image> images, const Matrix& directions);
  size_t count_tokens(std::string_view text) const {
    return tokenizer_.encode(std::string(text), info_.text_context_length).size();
  }
  TextCacheCounts text_cache_counts() const { return text_cache_.counts(); }
  Identity identity(std::string preprocessing, const std::function<bool()>& cancelled);

 private:
  // These run on the compute thread.
  ConstRows image_tokens(std::span<const Image> images);
  void embed_images(std::span<const Image> images, std::span<float> vectors);
  void embed_texts(std::span<const std::vector<int32_t>> ids, std::span<float> vectors);

  const TowerEnd& tower_end();

  void fill_info(const ModelFolder& folder);
  Matrix compute_texts(std::span<const std::string> texts);

  ModelConfig config_;
  ClipTokenizer tokenizer_;
  Checkpoint checkpoint_;
  std::unique_ptr<Backend> backend_;
  ComputeThread compute_;
  ModelInfo info_;
  TextCache text_cache_;
  ModelDigest digest_;

  // Used on the compute thread only.
  std::optional<TowerEnd> tower_end_;  // read with the first map
  std::optional<Davit> image_tower_;
  std::optional<TextTransformer> text_tower_;  // created with the first text

  Impl(const ModelFolder& folder, const EngineOptions& options);
};

Engine::Impl::Impl(const fs::path& folder, const EngineOptions& options)
    : Impl(ModelFolder::find(folder), options) {}

Engine::Impl::Impl(const ModelFolder& folder, const EngineOptions& options)
    : config_(ModelConfig::read(folder.config)),
      tokenizer_(ClipTokenizer::load(folder.tokenizer)),
      checkpoint_(Checkpoint::open(folder.weights, config_, tokenizer_.vocabulary_size())),
      backend_(make_backend(options)),
      text_cache_(options.text_cache_entries),
      digest_(folder) {
  for (const std::string& warning : checkpoint_.warnings()) warn(options, warning);
  compute_.run([&] {
    backend_->attach_thread();
    const WeightReader weights(checkpoint_, *backend_);
    info_.logit_scale = std::exp(weights.scalar("logit_scale"));
    image_tower_.emplace(config_.image, weights, *backend_);
  });
  fill_info(folder);
}

void Engine::Impl::fill_info(const ModelFolder& folder) {
  info_.weights_file = folder.weights.string();
  info_.weights_bytes = checkpoint_.file_bytes();
  info_.stored_dtype = checkpoint_.stored_dtype();
  info_.parameters = checkpoint_.parameters();
  info_.tensors = checkpoint_.tensors();
  info_.image_width = static_cast<size_t>(config_.image.width);
  info_.image_height = static_cast<size_t>(config_.image.height);
  for (const StageConfig& stage : config_.image.stages) {
    info_.stage_dims.push_back(static_cast<size_t>(stage.dim));
    info_.stage_depths.push_back(static_cast<size_t>(stage.depth));
  }
  info_.window_size = static_cast<size_t>(config_.image.window_size);
  info_.text_context_length = static_cast<size_t>(config_.text.context_length);
  info_.text_width = static_cast<size_t>(config_.text.width);
  info_.text_layers = static_cast<size_t>(config_.text.layers);
  info_.vocabulary_size = static_cast<size_t>(tokenizer_.vocabulary_size());
  info_.embedding_dim = static_cast<size_t>(config_.embedding_dim);
  info_.image_operations = image_tower_operations(config_.image);
  info_.precision = backend_->precision();
  info_.backend = backend_->description();
  info_.threads = backend_->threads();
}

ConstRows Engine::Impl::image_tokens(std::span<const Image> images) {
  std::vector<Image> resized;
  resized.reserve(images.size());
  std::vector<std::span<const uint8_t>> pixels;
  for (const Image& image : images) {
    if (!fits(image)) resized.push_back(prepare(image));
    pixels.push_back(fits(image) ? image.pixels() : resized.back().pixels());
  }
  return image_tower_->tokens(pixels);
}

void Engine::Impl::embed_images(std::span<const Image> images, std::span<float> vectors) {
  backend_->download(image_tower_->embed(image_tokens(images)), vectors);
}

Matrix Engine::Impl::encode_images(std::span<const Image> images) {
  Matrix vectors(images.size(), info_.embedding_dim);
  for (size_t first = 0; first < images.size(); first += image_batch()) {
    const size_t n = std::min(image_batch(), images.size() - first);
    compute_.run([&] { embed_images(images.subspan(first, n), rows_of(vectors, first, n)); });
  }
  expect_finite(vectors);
  return vectors;
}

void Engine::Impl::embed_texts(std::span<const std::vector<int32_t>> ids, std::span<float> vectors) {
  if (!text_tower_) text_tower_.emplace(config_.text, checkpoint_, *backend_);
  backend_->download(text_tower_->embed(ids), vectors);
}

Matrix Engine::Impl::compute_texts(std::span<const std::string> texts) {
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& text : texts) ids.push_back(tokenizer_.encode(text, info_.text_context_length));
  Matrix vectors(texts.size(), info_.embedding_dim);
  const size_t batch = std::max<size_t>(1, kTextRows / info_.text_context_length);
  for (size_t first = 0; first < ids.size(); first += batch) {
    const size_t n = std::min(batch, ids.size() - first);
    compute_.run([&] { embed_texts(std::span(ids).subspan(first, n), rows_of(vectors, first, n)); });
  }
  expect_finite(vectors);
  return vectors;
}

Matrix Engine::Impl::encode_texts(std::span<const std::string> texts) {
  Matrix vectors(texts.size(), info_.embedding_dim);
  std::vector<std::string> unknown;
  std::vector<size_t> unknown_rows;
  for (size_t t = 0; t < texts.size(); ++t) {
    if (text_cache_.find(texts[t], vectors.row(t))) continue;
    unknown.push_back(texts[t]);
    unknown_rows.push_back(t);
  }
  const Matrix computed = compute_texts(unknown);
  for (size_t u = 0; u < unknown.size(); ++u) {
    std::ranges::copy(computed.row(u), vectors.row(unknown_rows[u]).begin());
    text_cache_.insert(unknown[u], computed.row(u));
  }
  return vectors;
}

ZeroShotHead Engine::Impl::zero_shot_head(std::span<const std::string> labels,
                                          const ClassifyOptions& options) {
  const LabelPrompts prompts(labels, options);
  return prompts.head(encode_texts(prompts.texts()), info_.logit_scale);
}

Identity Engine::Impl::identity(std::string preprocessing, const std::function<bool()>& cancelled) {
  const ModelDigest::Parts& parts = digest_.parts(cancelled);
  return {parts.weights, parts.config, parts.tokenizer, to_string(info_.precision), std::move(preprocessing),
          MII_VERSION};
}

ImageTokens Engine::Impl::encode_image_tokens(const Image& image) {
  const Grid grid = image_tower_->last_grid();
  ImageTokens result{Matrix(static_cast<size_t>(grid.tokens()), info_.stage_dims.back()),
                     static_cast<size_t>(grid.height), static_cast<size_t>(grid.width)};
  compute_.run([&] { backend_->download(image_tokens({&image, 1}), result.tokens.values()); });
  return result;
}

const TowerEnd& Engine::Impl::tower_end() {
  if (tower_end_) return *tower_end_;
  const WeightReader weights(checkpoint_, *backend_);
  TowerEnd end{weights.vector("image_encoder.norms.weight"), weights.vector("image_encoder.norms.bias"),
               Davit::kEpsilon, heads::Rows64(info_.stage_dims.back(), info_.embedding_dim)};
  const std::vector<float> projection = weights.vector("image_projection");
  for (size_t c = 0; c < end.projection.rows(); ++c)
    std::ranges::copy(std::span(projection).subspan(c * info_.embedding_dim, info_.embedding_dim),
                      end.projection.row(c).begin());
  return tower_end_.emplace(std::move(end));
}

std::vector<TokenMaps> Engine::Impl::explain(std::span<const Image> images, const Matrix& directions) {
  if (directions.cols() != info_.embedding_dim)
    throw Error(ErrorCode::invalid_argument, "directions of " + std::to_string(directions.cols()) +
                                                 " values, expected " + std::to_string(info_.embedding_dim) +
                                                 " as of the model's vectors");
  const Grid grid = image_tower_->last_grid();
  if (grid.tokens() == 1)
    throw Error(ErrorCode::unsupported, "the model's last stage has one token: it says nothing of where");
  std::optional<ScoreSplitter> splitter;
  compute_.run([&] { splitter.emplace(tower_end(), directions); });
  ImageTokens tokens{Matrix(static_cast<size_t>(grid.tokens()), info_.stage_dims.back()),
                     static_cast<size_t>(grid.height), static_cast<size_t>(grid.width)};
  Matrix vector(1, info_.embedding_dim);
  std::vector<TokenMaps> maps;
  for (const Image& image : images) {
    compute_.run([&] {
      const ConstRows last = image_tokens({&image, 1});
      backend_->download(last, tokens.tokens.values());
      backend_->download(image_tower_->embed(last), vector.values());
    });
    expect_finite(vector);
    maps.push_back(splitter->split(tokens, vector.row(0)));
  }
  return maps;
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Engine Engine::open(const fs::path& folder, const EngineOptions& options) {
  return Engine(std::make_unique<Impl>(folder, options));
}

const ModelInfo& Engine::info() const { return impl_->info(); }
size_t Engine::image_batch() const { return impl_->image_batch(); }

Image Engine::prepare(const Image& image) const {
  return impl_->fits(image) ? copy_of(image) : impl_->prepare(image);
}

Matrix Engine::encode_images(std::span<const Image> images) const { return impl_->encode_images(images); }

Matrix Engine::encode_texts(std::span<const std::string> texts) const { return impl_->encode_texts(texts); }

ZeroShotHead Engine::zero_shot_head(std::span<const std::string> labels,
                                    const ClassifyOptions& options) const {
  return impl_->zero_shot_head(labels, options);
}

Matrix Engine::classify(std::span<const Image> images, std::span<const std::string> labels,
                        const ClassifyOptions& options) const {
  const ZeroShotHead head = zero_shot_head(labels, options);  // wrong labels are found before the long work
  return head.score(encode_images(images));
}

Matrix Engine::classify_vectors(const Matrix& image_vectors, std::span<const std::string> labels,
                                const ClassifyOptions& options) const {
  return zero_shot_head(labels, options).score(image_vectors);
}

size_t Engine::count_tokens(std::string_view text) const { return impl_->count_tokens(text); }

Identity Engine::identity(std::string preprocessing, const std::function<bool()>& cancelled) const {
  return impl_->identity(std::move(preprocessing), cancelled);
}

TextCacheCounts Engine::text_cache_counts() const { return impl_->text_cache_counts(); }

ImageTokens Engine::encode_image_tokens(const Image& image) const {
  return impl_->encode_image_tokens(image);
}

std::vector<TokenMaps> Engine::explain(std::span<const Image> images, const Matrix& directions) const {
  return impl_->explain(images, directions);
}

}  // namespace mii
