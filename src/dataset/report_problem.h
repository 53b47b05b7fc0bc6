#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "weights/config.h"
#include "weights/safetensors.h"

namespace mii {

/// A text that a report decoder is trained on.
struct ReportText {
  enum class Use : uint8_t { learn, validate, leave_out };

  std::vector<int32_t> ids;  ///< start, prompt, end, report, end
  int64_t report = 0;        ///< place of the report's first token
  int64_t image = 0;
  Use use = Use::learn;
};

struct ReportProblem {
  ReportDecoderConfig config;
  int64_t images = 0;
  int64_t image_tokens = 0;  ///< of each
  std::vector<ReportText> texts;
};

/// Writes what a report decoder is trained on as a safetensors file, with the numbers of the
/// configuration (report_decoder_numbers) as metadata:
///   tokens  BF16 [images, N, image_dim]   of the image tower
///   ids     I32 [all]                     the texts one after another
///   texts   I64 [texts, 4]                where a text begins and ends in ids; where its report
///                                         begins in the text; its image
///   use     U8 [texts, 1]                 ReportText::Use
class ReportProblemWriter {
 public:
  /// The texts keep their number and their ids from now on. Throws Error{io}.
  ReportProblemWriter(const ReportProblem& problem, const std::filesystem::path& path);

  /// The next image's tokens, [N, image_dim]. Throws Error{io}.
  void add_image(std::span<const float> tokens);

  /// When all images are there. Throws Error{io}.
  void commit(const ReportProblem& problem);

 private:
  SafetensorsWriter file_;
};

/// The same, read: without the texts that are left out. The tokens stay where they are.
class ReportProblemView {
 public:
  /// bytes: of the file; borrowed, at any address. Throws Error{corrupt_weights} for a file whose parts do
  /// not fit each other.
  static ReportProblemView parse(std::span<const std::byte> bytes, std::string_view file_name);

  const ReportProblem& problem() const { return problem_; }
  /// Copies the tokens of one image. to: [N, image_dim]
  void read_tokens(int64_t image, std::span<float> to) const;

 private:
  ReportProblem problem_;
  std::span<const std::byte> tokens_;  // BF16 [images, N, image_dim]
};

}  // namespace mii
