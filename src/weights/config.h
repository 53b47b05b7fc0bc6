#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace mii {

/// Limits far beyond any sensible model; within them no product of sizes can overflow.
inline constexpr int64_t kMaxDim = 16384;
inline constexpr int64_t kMaxLayers = 256;

/// One stage of the image tower (DaViT): a convolution that cuts patches, then `depth` pairs of blocks.
struct StageConfig {
  int64_t dim = 0;     ///< channels C
  int64_t depth = 0;   ///< pairs of a spatial and a channel block
  int64_t heads = 0;   ///< of the window attention; divides dim
  int64_t groups = 0;  ///< of the channel attention; divides dim
  int64_t patch_size = 0;
  int64_t patch_stride = 0;
  int64_t patch_padding = 0;
  bool patch_prenorm = false;  ///< layer norm before the convolution, else after it
};

struct ImageTowerConfig {
  int64_t width = 0;   ///< of the input, pixels
  int64_t height = 0;  ///< of the input, pixels
  std::array<float, 3> mean{};
  std::array<float, 3> std{};
  std::vector<StageConfig> stages;
  int64_t window_size = 7;
  bool conv_at_attn = true;   ///< depthwise convolution before the attention
  bool conv_at_ffn = true;    ///< depthwise convolution before the feed-forward
  bool dynamic_scale = true;  ///< channel attention is scaled by N^-0.5, else by C^-0.5
};

struct TextTowerConfig {
  int64_t context_length = 77;
  int64_t width = 0;
  int64_t heads = 0;
  int64_t layers = 0;
  bool causal = true;
};

/// What config.yaml says about the two towers.
struct ModelConfig {
  ImageTowerConfig image;
  TextTowerConfig text;
  int64_t embedding_dim = 0;

  /// Throws Error{invalid_model} when a key is missing, of a wrong type or out of range, or asks for
  /// something that this program does not compute (another tokenizer, a centre crop, standard parametrisation
  /// off, ...).
  static ModelConfig parse(std::string_view yaml, std::string_view file_name);
  static ModelConfig read(const std::filesystem::path& path);
};

/// The report decoder, as report_model/config.yaml describes it: a causal text transformer whose blocks also
/// attend to the tokens of an image.
struct ReportDecoderConfig {
  static constexpr int64_t kLongestContext = 4096;

  int64_t context_length = 0;  ///< tokens of prompt and report together
  int64_t width = 0;
  int64_t heads = 0;  ///< divides width
  int64_t layers = 0;
  int64_t image_dim = 0;   ///< channels of the image tower's last stage
  int64_t vocabulary = 0;  ///< ids of the model's tokenizer
  /// A sentence whose cosine with the image is below this is said to have no support; or nothing is said.
  std::optional<float> least_support;

  /// Throws Error{invalid_model} when a key is missing, of a wrong type or out of range.
  static ReportDecoderConfig parse(std::string_view yaml, std::string_view file_name);
  static ReportDecoderConfig read(const std::filesystem::path& path);
};

/// Height and width of the token grid of each stage, from the first.
struct Grid {
  int64_t height = 0;
  int64_t width = 0;
  int64_t tokens() const { return height * width; }
};
std::vector<Grid> stage_grids(const ImageTowerConfig& config);

}  // namespace mii
