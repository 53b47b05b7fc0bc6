#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mii/explain.h"
#include "mii/export.h"
#include "mii/head.h"
#include "mii/identity.h"
#include "mii/image.h"
#include "mii/matrix.h"
#include "mii/precision.h"
#include "mii/report.h"

namespace mii {

struct EngineOptions {
  Precision precision = Precision::automatic;
  /// Which implementation of the operators runs: "cuda" (an NVIDIA device), "cpu" (oneDNN and vector code),
  /// "reference" (plain loops with double accumulation: slow, what the tests compare with), or "auto", the
  /// best that can run here.
  std::string backend = "auto";
  /// Threads of one computation; 0 takes every core that this process may run on.
  int threads = 0;
  /// Which of the backend's devices computes, counted from 0.
  int device = 0;
  /// Images of up to 2^20 pixels and 4096 a side are resized where the backend computes, with the bytes that
  /// the CPU would give. Of a backend that cannot, that is a warning.
  bool resize_on_device = false;
  /// Text vectors that are remembered, least recently used dropped first; 0 remembers none.
  size_t text_cache_entries = 4096;
  /// The folder of the decoder that writes reports; empty takes report_model/ in the model's folder. It is
  /// opened with the first report.
  std::filesystem::path report_model;
  /// Receives warnings about the model folder and the machine (a sentence each, no user data). Called by
  /// open(), and once by encode_images() when a device's memory does not hold a batch.
  std::function<void(std::string_view)> warn;
};

/// What was loaded, for display and for logs.
struct ModelInfo {
  std::string weights_file;    ///< path as opened
  uint64_t weights_bytes = 0;  ///< of that file
  std::string stored_dtype;    ///< "F32", "BF16", "F16" or "mixed"
  uint64_t parameters = 0;
  size_t tensors = 0;
  size_t image_width = 0;  ///< the model's input size, pixels
  size_t image_height = 0;
  std::vector<size_t> stage_dims;    ///< channels of each stage of the image tower
  std::vector<size_t> stage_depths;  ///< block pairs of each stage
  size_t token_rows = 0;             ///< of the last stage's grid of tokens, from the top
  size_t token_cols = 0;             ///< from the left
  size_t window_size = 0;
  size_t text_context_length = 0;
  size_t text_width = 0;
  size_t text_layers = 0;
  size_t vocabulary_size = 0;
  size_t embedding_dim = 0;
  double image_operations = 0;           ///< floating-point operations that one image needs
  float logit_scale = 0;                 ///< the factor on the cosine: exp of the stored value
  Precision precision = Precision::f32;  ///< the precision in use, never automatic
  std::string backend;                   ///< "cpu (oneDNN 2.6.3, avx512_core_bf16)", say
  int threads = 0;
};

/// What an engine computes on, unless that is the CPU.
struct DeviceInfo {
  int device = 0;             ///< as it was chosen
  uint64_t memory_bytes = 0;  ///< that the engine has taken
  uint64_t total_bytes = 0;
};

/// How often a text's vector was found in the cache, and how often it had to be computed.
struct TextCacheCounts {
  uint64_t hits = 0;
  uint64_t misses = 0;
};

/// A loaded model. All methods may be called from several threads at once; computations then run one after
/// another. Every method may throw Error; the engine stays usable after an error.
class MII_API Engine {
 public:
  /// Loads a folder in the published layout (config.yaml, vision_model/, language_model/).
  /// Throws Error{invalid_model} for a folder that lacks a file or whose config is wrong,
  /// Error{corrupt_weights} for weights that do not fit it (all of them named at once), Error{unsupported}
  /// for options this build cannot serve.
  static Engine open(const std::filesystem::path& folder, const EngineOptions& options = {});

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  const ModelInfo& info() const;

  /// By what this engine's vectors are made. preprocessing: how the caller makes images of files, in any
  /// words. The first call reads the whole weights' file, unless its digest is remembered from an earlier
  /// run; the others are cheap. Throws Error{io} when a file of the model has become unreadable,
  /// Error{cancelled} when `cancelled`, asked now and then, says so.
  Identity identity(std::string preprocessing = {}, const std::function<bool()>& cancelled = {}) const;

  /// Resizes an image to the model's input size, as encode_images does itself, unless that is left to the
  /// device. Calling it ahead lets other threads do this work and saves memory for each waiting image; the
  /// vectors are the same.
  Image prepare(const Image& image) const;

  /// [n, embedding_dim], one row of L2 norm 1 for each image. Any n, 0 too.
  Matrix encode_images(std::span<const Image> images) const;

  /// [n, embedding_dim], one row of L2 norm 1 for each text (UTF-8; cut to the context length). Any n, 0 too.
  /// Throws Error{invalid_text} for invalid UTF-8 or a text of more than 1 MiB.
  Matrix encode_texts(std::span<const std::string> texts) const;

  /// A head that scores image vectors against these labels. Built once, it is asked without the text tower.
  /// Throws Error{invalid_argument} for no labels, an empty or repeated label, or a template without exactly
  /// one "{}".
  ZeroShotHead zero_shot_head(std::span<const std::string> labels, const ClassifyOptions& options = {}) const;

  /// Probabilities [n images, K labels], columns in the order of labels.
  /// Throws as zero_shot_head does.
  Matrix classify(std::span<const Image> images, std::span<const std::string> labels,
                  const ClassifyOptions& options = {}) const;

  /// The same, from vectors that encode_images returned.
  Matrix classify_vectors(const Matrix& image_vectors, std::span<const std::string> labels,
                          const ClassifyOptions& options = {}) const;

  /// Throws Error{unsupported} for a stage that the model lacks: it may have one alone.
  TokenShape token_shape(TokenStage stage) const;

  /// A stage's tokens of one image, [rows * cols, channels], and its vector. Throws as encode_images and
  /// token_shape do.
  ImageTokens encode_image_tokens(const Image& image, TokenStage stage = TokenStage::last) const;
  /// The same of several images, in their order, in batches of image_batch().
  std::vector<ImageTokens> encode_image_tokens(std::span<const Image> images,
                                               TokenStage stage = TokenStage::last) const;

  /// What splits scores in these directions, [K, embedding_dim]. Throws Error{invalid_argument} for
  /// directions of another width, Error{unsupported} for a model whose last stage has one token and in int8.
  ScoreSplitter splitter(const Matrix& directions) const;

  /// Where in each image its scores in these directions come from: splitter() of encode_image_tokens(). Any
  /// number of directions after one computation. Throws as splitter does.
  std::vector<TokenMaps> explain(std::span<const Image> images, const Matrix& directions) const;

  /// Where scores are sensitive to the image: their gradients with respect to what the last stage cuts its
  /// patches from (the tokens that enter it, after the norm where that comes first), times these values,
  /// summed over the channels. tokens: of TokenStage::before_last, by this engine; directions: [K,
  /// embedding_dim]. Each direction costs a pass back through the last stage. The constants are 0, and the
  /// maps do not add up to the scores. Throws as splitter does, and Error{invalid_argument} for other tokens.
  TokenMaps gradient_maps(const ImageTokens& tokens, const Matrix& directions) const;

  /// A draft of a report of each image, written by the decoder, in their order. Other threads' computations
  /// take their turns between its tokens. Throws Error{invalid_model} without a decoder or with one of
  /// another model, Error{invalid_argument} for options that make no sense or would keep more than 512 MiB a
  /// report, and for a prompt that leaves no room in the context, Error{invalid_text} for a prompt that is
  /// not UTF-8, Error{cancelled} when on_text says so, Error{corrupt_weights} for a decoder that is damaged
  /// or gives numbers that are not finite.
  std::vector<Report> write_reports(std::span<const Image> images, const ReportOptions& options = {}) const;
  /// The same of one image by its tokens, step by step; on_text is not called. Throws as write_reports does,
  /// and Error{invalid_argument} for tokens of another model.
  ReportInProgress begin_report(const ImageTokens& tokens, const ReportOptions& options = {}) const;
  /// The same of one to reports_at_once() images, side by side: the decoder's weights are read once a token
  /// for all of them.
  ReportInProgress begin_reports(std::span<const ImageTokens> images,
                                 const ReportOptions& options = {}) const;
  /// At most 16; fewer where their memory would be too much. Throws as write_reports does.
  size_t reports_at_once(const ReportOptions& options = {}) const;
  /// Throws as write_reports does.
  ReportModelInfo report_model_info() const;
  /// Throws what write_reports would throw for these options.
  void check_report_options(const ReportOptions& options) const;

  /// Tokens of a text as the text tower sees it: start and end tokens count, what is cut off does not.
  /// Throws as encode_texts does.
  size_t count_tokens(std::string_view text) const;

  /// Since the model was opened.
  TextCacheCounts text_cache_counts() const;

  /// How many images one computation takes at most: the best number to pass at once. It falls when a device's
  /// memory does not hold so many.
  size_t image_batch() const;

  /// How many threads it pays to encode images on at once, a batch each: on a device two, so that one batch
  /// goes up while another is computed; on the CPU one.
  size_t batches_at_once() const;

  /// Nothing for an engine on the CPU.
  std::optional<DeviceInfo> device() const;

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mii
