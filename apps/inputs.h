#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "decode_flags.h"
#include "mii/engine.h"

namespace mii {

/// An input that could not be used, and why.
struct Failure {
  std::string input;
  std::string reason;
};

/// A picture to be read: a file, or one frame of it.
struct ImageInput {
  std::string path;
  std::optional<size_t> frame;  ///< counted from 0; absent: as DecodeOptions say

  /// The path, and "#12" for the frame, counted from 1.
  std::string name() const { return frame ? path + "#" + std::to_string(*frame + 1) : path; }
};

struct FoundImages {
  std::vector<ImageInput> inputs;
  std::vector<Failure> failures;  ///< what could not be read in the folders
};

/// The images that the arguments name: files as given, folders walked for images (by the usual
/// extensions, and what is DICOM or NIfTI by its content), in order of name; with --frame all each frame of
/// them. Throws Error{io} for a path that does not exist.
FoundImages find_images(const std::vector<std::string>& paths, const DecodeFlags& flags);

/// Lines of a text file (UTF-8), empty ones left out. Throws Error{io}.
std::vector<std::string> read_lines(const std::string& path);

/// Receives the vectors of the inputs at `indices`, one row each, and the images as the model saw them (none
/// for texts).
using VectorSink = std::function<void(const std::vector<size_t>& indices, const Matrix& vectors,
                                      std::span<const Image> images)>;

/// Encodes the inputs in the engine's batches, the next batch being decoded meanwhile; stops early on Ctrl-C.
/// Inputs that fail come back, the others reach the sink in order.
std::vector<Failure> encode_image_files(const Engine& engine, const std::vector<ImageInput>& inputs,
                                        const DecodeOptions& options, bool quiet, const VectorSink& sink);
std::vector<Failure> encode_text_lines(const Engine& engine, const std::vector<std::string>& texts,
                                       bool quiet, const VectorSink& sink);

/// Lists them on stderr; the exit status that they call for.
int report(const std::vector<Failure>& failures);

}  // namespace mii
