#include "mii/engine.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <utility>

#include "backend/precision.h"
#include "backend/registry.h"
#include "engine/batch_size.h"
#include "engine/compute_thread.h"
#include "engine/model_digest.h"
#include "engine/report_model.h"
#include "engine/resize_axes.h"
#include "engine/text_cache.h"
#include "engine/token_maps.h"
#include "image/preprocess.h"
#include "mii/error.h"
#include "model/davit.h"
#include "model/davit_gradient.h"
#include "model/text_transformer.h"
#include "model/work.h"
#include "text/clip_tokenizer.h"
#include "weights/checkpoint.h"
#include "weights/config.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

// Tokens of texts in one computation.
constexpr size_t kTextRows = 4096;
// Of directions times tokens in one pass back through the last stage: enough for full-speed products.
constexpr size_t kGradientRows = 2048;
constexpr int kMaxThreads = 1024;
// Larger images would be too much memory for all that wait, and a side's table of weights.
constexpr size_t kMostPixelsOnDevice = 1 << 20;
constexpr size_t kMostSideOnDevice = 4096;

void expect_valid_threads(const EngineOptions& options) {
  if (options.threads < 0 || options.threads > kMaxThreads)
    throw Error(ErrorCode::invalid_argument, std::to_string(options.threads) +
                                                 " threads, expected 0 (all cores) to " +
                                                 std::to_string(kMaxThreads));
}

void warn(const EngineOptions& options, const std::string& sentence) {
  if (options.warn) options.warn(sentence);
}

// What is asked for, where the backend has it; else, and for `auto`, the fastest that is exact enough.
Precision choose_precision(const BackendEntry& backend, const EngineOptions& options) {
  const std::vector<Precision> offered = backend.precisions();
  const Precision exact =
      *std::ranges::find_if(offered, [](Precision p) { return info_of(p).taken_by_auto; });
  if (options.precision == Precision::automatic) return exact;
  if (std::ranges::count(offered, options.precision) > 0) return options.precision;
  warn(options, to_string(options.precision) + std::string(" has no fast kernel here: computing in ") +
                    to_string(exact));
  return exact;
}

// `auto` passes over a backend in silence, unless it was installed to be used.
void warn_of_passed_over(const EngineOptions& options) {
  if (options.backend != "auto") return;
  for (const BackendEntry& backend : backends()) {
    if (backend.available()) return;
    if (backend.wanted())
      warn(options, "computing without " + std::string(backend.name) + ": " + backend.obstacle());
  }
}

std::unique_ptr<Backend> make_backend(const EngineOptions& options) {
  expect_valid_threads(options);
  warn_of_passed_over(options);
  const BackendEntry& backend = find_backend(options.backend);
  const int devices = backend.devices();
  if (options.device < 0 || options.device >= devices)
    throw Error(ErrorCode::invalid_argument, "device " + std::to_string(options.device) + " of backend '" +
                                                 std::string(backend.name) + "', which has " +
                                                 std::to_string(devices) + ", counted from 0");
  return backend.make({.precision = choose_precision(backend, options),
                       .threads = options.threads,
                       .device = options.device});
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
  size_t image_batch() const { return image_batch_.get(); }
  size_t batches_at_once() const { return static_cast<size_t>(backend_->batches_at_once()); }
  std::optional<DeviceInfo> device() const;
  Image prepare(const Image& image) const {
    return may_be_sent(image) ? copy_of(image) : resize_bicubic(image, info_.image_width, info_.image_height);
  }

  Matrix encode_images(std::span<const Image> images);
  Matrix encode_texts(std::span<const std::string> texts);
  ZeroShotHead zero_shot_head(std::span<const std::string> labels, const ClassifyOptions& options);
  TokenShape token_shape(TokenStage stage) const;
  std::vector<ImageTokens> encode_image_tokens(std::span<const Image> images, TokenStage stage);
  ScoreSplitter splitter(const Matrix& directions);
  TokenMaps gradient_maps(const ImageTokens& tokens, const Matrix& directions);
  size_t count_tokens(std::string_view text) const {
    return tokenizer_.encode(std::string(text), info_.text_context_length).size();
  }
  TextCacheCounts text_cache_counts() const { return text_cache_.counts(); }
  Identity identity(std::string preprocessing, const std::function<bool()>& cancelled);
  std::vector<Report> write_reports(std::span<const Image> images, const ReportOptions& options);
  ReportInProgress begin_reports(std::span<const ImageTokens> images, const ReportOptions& options);
  size_t reports_at_once(const ReportOptions& options);
  ReportModelInfo report_model_info() { return report_model().info(); }
  void check_report_options(const ReportOptions& options) { report_model().request(options); }

 private:
  // Images where the tower reads them, and what had to be resized for that.
  struct Sent {
    std::vector<Image> resized;
    std::unique_ptr<SentImages> images;
  };
  Sent send(std::span<const Image> images);
  // It has the model's size, or the backend resizes it.
  bool may_be_sent(const Image& image) const;
  ImageBytes bytes_of(const Image& image);
  using ImageWork = std::function<void(const SentImages&)>;
  // Calls work with the images on the compute thread. Once more, where one image has no room beside others.
  void compute_with(std::span<const Image> images, const ImageWork& work);

  // These run on the compute thread.
  void embed_texts(std::span<const std::vector<int32_t>> ids, std::span<float> vectors);
  void take_tokens(const SentImages& images, TokenStage stage, std::span<ImageTokens> to);
  DavitGradient::Result gradients(const ImageTokens& tokens, const Matrix& directions);

  void free_memory();
  void go_on_with(size_t smaller_batch);

  void fill_info(const ModelFolder& folder);
  Matrix compute_texts(std::span<const std::string> texts);
  void expect_explicable(const Matrix& directions, TokenStage stage) const;
  std::shared_ptr<const TowerEnd> read_tower_end();
  ReportModel& report_model();
  // Which images of all that were asked for.
  struct ImageRange {
    size_t first;
    size_t count;
  };
  // Hands over what was written of them.
  static void tell(ReportRun& run, ImageRange images, const ReportOptions& options);

  ModelConfig config_;
  ClipTokenizer tokenizer_;
  Checkpoint checkpoint_;
  std::unique_ptr<Backend> backend_;
  const bool resizes_;  // the backend, and is asked to
  ResizeAxes axes_;
  BatchSize image_batch_;
  std::function<void(std::string_view)> warn_;
  std::once_flag warned_of_memory_;
  std::shared_mutex under_way_;  // held by every batch of images that overlaps with others
  const int device_;
  ComputeThread compute_;
  ModelInfo info_;
  TextCache text_cache_;
  ModelDigest digest_;
  std::once_flag tower_end_read_;  // with the first map
  std::shared_ptr<const TowerEnd> tower_end_;
  fs::path report_folder_;
  std::mutex report_mutex_;
  std::unique_ptr<ReportModel> report_model_;  // guarded by report_mutex_; with the first report

  // Used on the compute thread only.
  std::optional<Davit> image_tower_;
  std::optional<TextTransformer> text_tower_;  // created with the first text
  std::optional<DavitGradient> gradient_;      // with the first map of its kind

  Impl(const ModelFolder& folder, const EngineOptions& options);
};

Engine::Impl::Impl(const fs::path& folder, const EngineOptions& options)
    : Impl(ModelFolder::find(folder), options) {}

Engine::Impl::Impl(const ModelFolder& folder, const EngineOptions& options)
    : config_(ModelConfig::read(folder.config)),
      tokenizer_(ClipTokenizer::load(folder.tokenizer)),
      checkpoint_(Checkpoint::open(folder.weights, config_, tokenizer_.vocabulary_size())),
      backend_(make_backend(options)),
      resizes_(options.resize_on_device && backend_->resizes()),
      image_batch_(static_cast<size_t>(backend_->image_rows() / stage_grids(config_.image)[0].tokens())),
      warn_(options.warn),
      device_(options.device),
      text_cache_(options.text_cache_entries),
      digest_(folder),
      report_folder_(options.report_model.empty() ? folder.config.parent_path() / "report_model"
                                                  : options.report_model) {
  for (const std::string& warning : checkpoint_.warnings()) warn(options, warning);
  if (options.resize_on_device && !resizes_)
    warn(options, "images are resized on the host: " + backend_->description() + " does not do it");
  compute_.run([&] {
    backend_->attach_thread();
    const WeightReader weights(checkpoint_, *backend_);
    info_.logit_scale = std::exp(weights.scalar("logit_scale"));
    image_tower_.emplace(config_.image, weights, *backend_);
  });
  fill_info(folder);
}

std::optional<DeviceInfo> Engine::Impl::device() const {
  const std::optional<DeviceMemory> memory = backend_->device_memory();
  if (!memory) return std::nullopt;
  return DeviceInfo{device_, static_cast<uint64_t>(memory->used), static_cast<uint64_t>(memory->total)};
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
  info_.token_rows = static_cast<size_t>(image_tower_->last_grid().height);
  info_.token_cols = static_cast<size_t>(image_tower_->last_grid().width);
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

bool Engine::Impl::may_be_sent(const Image& image) const {
  const size_t width = image.width(), height = image.height();
  if (width == info_.image_width && height == info_.image_height) return true;
  return resizes_ && std::max(width, height) <= kMostSideOnDevice && width * height <= kMostPixelsOnDevice;
}

ImageBytes Engine::Impl::bytes_of(const Image& image) {
  return {image.pixels(), axes_.find(image.width(), info_.image_width),
          axes_.find(image.height(), info_.image_height)};
}

Engine::Impl::Sent Engine::Impl::send(std::span<const Image> images) {
  Sent sent;
  sent.resized.reserve(images.size());
  std::vector<ImageBytes> bytes;
  for (const Image& image : images) {
    const bool ready = may_be_sent(image);
    if (!ready) sent.resized.push_back(prepare(image));
    bytes.push_back(bytes_of(ready ? image : sent.resized.back()));
  }
  sent.images = backend_->send_images(bytes);
  return sent;
}

// Images go up on the caller's thread where that overlaps with others' computations. Elsewhere a resize
// belongs to the compute thread, which has a team for it.
void Engine::Impl::compute_with(std::span<const Image> images, const ImageWork& work) {
  if (batches_at_once() == 1) return compute_.run([&] { work(*send(images).images); });
  const auto send_then_compute = [&] {
    const Sent sent = send(images);
    compute_.run([&] { work(*sent.images); });
  };
  try {
    const std::shared_lock others(under_way_);
    return send_then_compute();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory || images.size() > 1) throw;
  }
  // The memory may hold one image when it holds no other beside it.
  const std::unique_lock alone(under_way_);
  free_memory();
  send_then_compute();
}

Matrix Engine::Impl::encode_images(std::span<const Image> images) {
  Matrix vectors(images.size(), info_.embedding_dim);
  const auto compute = [&](size_t first, size_t n) {
    compute_with(images.subspan(first, n), [&](const SentImages& sent) {
      backend_->download(image_tower_->vectors(sent), rows_of(vectors, first, n));
    });
  };
  image_batch_.each_batch(images.size(), compute, [&](size_t smaller) { go_on_with(smaller); });
  expect_finite(vectors);
  return vectors;
}

void Engine::Impl::free_memory() {
  compute_.run([&] {
    image_tower_->free_activations();
    backend_->free_scratch();
  });
}

void Engine::Impl::go_on_with(size_t smaller_batch) {
  free_memory();
  std::call_once(warned_of_memory_, [&] {
    if (warn_)
      warn_("the device's memory does not hold the batch: from now on " + std::to_string(smaller_batch) +
            " images at once, or fewer");
  });
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

TokenShape Engine::Impl::token_shape(TokenStage stage) const {
  const size_t stages = config_.image.stages.size(), from_end = stage == TokenStage::last ? 1 : 2;
  if (stages < from_end)
    throw Error(ErrorCode::unsupported, "the model has one stage: there is none before the last");
  const Grid grid = stage_grids(config_.image)[stages - from_end];
  return {static_cast<size_t>(grid.height), static_cast<size_t>(grid.width),
          static_cast<size_t>(config_.image.stages[stages - from_end].dim)};
}

// By place, so that a batch that failed may be computed again.
void Engine::Impl::take_tokens(const SentImages& images, TokenStage stage, std::span<ImageTokens> to) {
  const TokenShape shape = token_shape(stage);
  const auto take = [&](ConstRows tokens) {
    const auto each = static_cast<int64_t>(shape.tokens());
    for (size_t i = 0; i < images.size(); ++i) {
      to[i] = {Matrix(shape.tokens(), shape.channels), shape.rows, shape.cols};
      backend_->download(tokens.slice(static_cast<int64_t>(i) * each, each), to[i].tokens.values());
    }
  };
  const ConstRows entering = image_tower_->entering_tokens(images);
  if (stage == TokenStage::before_last) take(entering);
  const ConstRows last = image_tower_->last_stage(entering);
  if (stage == TokenStage::last) take(last);
  Matrix vectors(images.size(), info_.embedding_dim);
  backend_->download(image_tower_->embed(last), vectors.values());
  expect_finite(vectors);
  for (size_t i = 0; i < images.size(); ++i)
    to[i].vector.assign(vectors.row(i).begin(), vectors.row(i).end());
}

std::vector<ImageTokens> Engine::Impl::encode_image_tokens(std::span<const Image> images, TokenStage stage) {
  std::vector<ImageTokens> all(images.size());
  image_batch_.each_batch(
      images.size(),
      [&](size_t first, size_t n) {
        compute_with(images.subspan(first, n), [&](const SentImages& sent) {
          take_tokens(sent, stage, std::span(all).subspan(first, n));
        });
      },
      [&](size_t smaller) { go_on_with(smaller); });
  return all;
}

ReportModel& Engine::Impl::report_model() {
  const std::lock_guard lock(report_mutex_);
  if (!report_model_) {
    report_model_ = std::make_unique<ReportModel>(report_folder_, token_shape(TokenStage::last), tokenizer_,
                                                  *backend_, compute_);
    for (const std::string& warning : report_model_->warnings())
      if (warn_) warn_(warning);
  }
  return *report_model_;
}

size_t Engine::Impl::reports_at_once(const ReportOptions& options) {
  ReportModel& model = report_model();
  return model.at_once(model.request(options));
}

std::vector<Report> Engine::Impl::write_reports(std::span<const Image> images, const ReportOptions& options) {
  ReportModel& model = report_model();
  const ReportModel::Request request = model.request(options);
  std::vector<Report> reports;
  const size_t step = model.at_once(request);
  for (size_t first = 0; first < images.size(); first += step) {
    const auto some = images.subspan(first, std::min(step, images.size() - first));
    std::vector<ImageTokens> tokens = encode_image_tokens(some, TokenStage::last);
    ReportRun run(model, request, tokens);
    while (run.step()) tell(run, {first, some.size()}, options);
    tell(run, {first, some.size()}, options);
    for (size_t i = 0; i < some.size(); ++i) {
      reports.push_back(run.report(i));
      reports.back().image_vector = std::move(tokens[i].vector);
    }
  }
  return reports;
}

void Engine::Impl::tell(ReportRun& run, ImageRange images, const ReportOptions& options) {
  for (size_t i = 0; i < images.count; ++i) {
    const std::string piece = run.take(i);
    if (piece.empty() || !options.on_text) continue;
    if (!options.on_text(images.first + i, piece))
      throw Error(ErrorCode::cancelled, "the report was given up");
  }
}

ReportInProgress Engine::Impl::begin_reports(std::span<const ImageTokens> images,
                                             const ReportOptions& options) {
  ReportModel& model = report_model();
  ReportModel::Request request = model.request(options);
  if (images.empty() || images.size() > model.at_once(request))
    throw Error(ErrorCode::invalid_argument, std::to_string(images.size()) + " reports, expected 1 to " +
                                                 std::to_string(model.at_once(request)) + " at once");
  for (const ImageTokens& tokens : images)
    expect_tokens(tokens, token_shape(TokenStage::last), info_.embedding_dim);
  return ReportInProgress(std::make_unique<ReportInProgress::Impl>(model, std::move(request), images));
}

std::shared_ptr<const TowerEnd> Engine::Impl::read_tower_end() {
  const WeightReader weights(checkpoint_, *backend_);
  TowerEnd end{weights.vector("image_encoder.norms.weight"), weights.vector("image_encoder.norms.bias"),
               Davit::kEpsilon, Matrix(info_.stage_dims.back(), info_.embedding_dim)};
  std::ranges::copy(weights.vector("image_projection"), end.projection.values().begin());
  return std::make_shared<const TowerEnd>(std::move(end));
}

void Engine::Impl::expect_explicable(const Matrix& directions, TokenStage stage) const {
  if (directions.cols() != info_.embedding_dim)
    throw Error(ErrorCode::invalid_argument, "directions of " + std::to_string(directions.cols()) +
                                                 " values, expected " + std::to_string(info_.embedding_dim) +
                                                 " as of the model's vectors");
  if (!info_of(info_.precision).maps)
    throw Error(ErrorCode::unsupported,
                std::string("maps are not computed in ") + to_string(info_.precision) +
                    ", which rounds what they are made of too coarsely: open the model "
                    "in f16, bf16 or f32");
  if (token_shape(stage).tokens() == 1)
    throw Error(ErrorCode::unsupported,
                std::string("the model's ") +
                    (stage == TokenStage::last ? "last stage" : "stage before the last") +
                    " has one token: it says nothing of where");
}

ScoreSplitter Engine::Impl::splitter(const Matrix& directions) {
  expect_explicable(directions, TokenStage::last);
  std::call_once(tower_end_read_, [&] { tower_end_ = read_tower_end(); });
  return make_splitter(tower_end_, directions);
}

DavitGradient::Result Engine::Impl::gradients(const ImageTokens& tokens, const Matrix& directions) {
  if (!gradient_) gradient_.emplace(*image_tower_, WeightReader(checkpoint_, *backend_), *backend_);
  return gradient_->gradients(tokens.tokens, directions);
}

// Some directions in a computation, so that others' work need not wait for all.
TokenMaps Engine::Impl::gradient_maps(const ImageTokens& tokens, const Matrix& directions) {
  expect_explicable(directions, TokenStage::before_last);
  const TokenShape shape = token_shape(TokenStage::before_last);
  expect_tokens(tokens, shape, info_.embedding_dim);
  TokenMaps result{.rows = shape.rows,
                   .cols = shape.cols,
                   .maps = Matrix(directions.rows(), shape.tokens()),
                   .constants = std::vector<double>(directions.rows()),
                   .scores = scores_of(tokens.vector, directions)};
  const size_t at_once = std::max<size_t>(1, kGradientRows / token_shape(TokenStage::last).tokens());
  for (size_t first = 0; first < directions.rows(); first += at_once) {
    Matrix some(std::min(at_once, directions.rows() - first), directions.cols());
    std::ranges::copy(directions.values().subspan(first * some.cols(), some.values().size()),
                      some.values().begin());
    compute_.run([&] {
      const DavitGradient::Result found = gradients(tokens, some);
      weigh(found.gradients, found.inputs, first, result.maps);
    });
  }
  expect_finite(result.maps);
  return result;
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
size_t Engine::batches_at_once() const { return impl_->batches_at_once(); }
std::optional<DeviceInfo> Engine::device() const { return impl_->device(); }

Image Engine::prepare(const Image& image) const { return impl_->prepare(image); }

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

std::vector<Report> Engine::write_reports(std::span<const Image> images, const ReportOptions& options) const {
  return impl_->write_reports(images, options);
}

ReportInProgress Engine::begin_report(const ImageTokens& tokens, const ReportOptions& options) const {
  return impl_->begin_reports({&tokens, 1}, options);
}

ReportInProgress Engine::begin_reports(std::span<const ImageTokens> images,
                                       const ReportOptions& options) const {
  return impl_->begin_reports(images, options);
}

size_t Engine::reports_at_once(const ReportOptions& options) const { return impl_->reports_at_once(options); }

ReportModelInfo Engine::report_model_info() const { return impl_->report_model_info(); }

void Engine::check_report_options(const ReportOptions& options) const {
  impl_->check_report_options(options);
}

TextCacheCounts Engine::text_cache_counts() const { return impl_->text_cache_counts(); }

TokenShape Engine::token_shape(TokenStage stage) const { return impl_->token_shape(stage); }

ImageTokens Engine::encode_image_tokens(const Image& image, TokenStage stage) const {
  return std::move(impl_->encode_image_tokens({&image, 1}, stage).front());
}

std::vector<ImageTokens> Engine::encode_image_tokens(std::span<const Image> images, TokenStage stage) const {
  return impl_->encode_image_tokens(images, stage);
}

TokenMaps Engine::gradient_maps(const ImageTokens& tokens, const Matrix& directions) const {
  return impl_->gradient_maps(tokens, directions);
}

ScoreSplitter Engine::splitter(const Matrix& directions) const { return impl_->splitter(directions); }

std::vector<TokenMaps> Engine::explain(std::span<const Image> images, const Matrix& directions) const {
  const ScoreSplitter splitter = this->splitter(directions);
  std::vector<TokenMaps> maps;
  const size_t step = image_batch();  // tokens are large: no more of them at once
  for (size_t first = 0; first < images.size(); first += step)
    for (const ImageTokens& tokens :
         encode_image_tokens(images.subspan(first, std::min(step, images.size() - first))))
      maps.push_back(splitter.split(tokens));
  return maps;
}

}  // namespace mii
