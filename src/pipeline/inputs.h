#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "mii/image.h"

namespace mii::pipeline {

/// An image to be read: a file, or one frame of it.
struct ImageInput {
  std::string path;
  std::optional<size_t> frame;  ///< counted from 0; absent: as DecodeOptions say

  /// The path, and "#12" for the frame, counted from 1.
  std::string name() const { return frame ? path + "#" + std::to_string(*frame + 1) : path; }
};

/// An input that could not be used, and why.
struct Failure {
  std::string input;
  std::string reason;
};

struct FoundImages {
  std::vector<ImageInput> inputs;
  std::vector<Failure> failures;  ///< files and folders that could not be read
};

/// The images that paths name: files as given, folders walked for images (by the usual extensions, and what
/// is an image by its content), in order of name. Throws Error{io} for a path that does not exist.
FoundImages find_images(const std::vector<std::string>& paths);

/// The same inputs with each frame of every file as an input of its own. A file that cannot be opened stays,
/// so that its failure is reported in its turn.
std::vector<ImageInput> with_all_frames(const std::vector<ImageInput>& inputs, const DecodeOptions& options);

/// Lines of a text file (UTF-8), empty ones left out; "-": of the standard input. Throws Error{io}.
std::vector<std::string> read_lines(const std::string& path);

}  // namespace mii::pipeline
