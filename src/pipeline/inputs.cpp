#include "pipeline/inputs.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iostream>
#include <set>

#include "core/file.h"
#include "core/folder.h"
#include "image/frame_source.h"
#include "image/sniff.h"
#include "mii/error.h"

namespace mii::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr size_t kStartBytes = 4096;

// Throws Error{io} for a file that cannot be read.
bool begins_like_an_image(const fs::path& path) {
  return path.filename() != "DICOMDIR" && sniff(read_start(path, kStartBytes)) != ImageFormat::unknown;
}

bool looks_like_an_image(const fs::path& path) {
  static const std::set<std::string> extensions{".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp",
                                                ".bmp", ".ppm",  ".pgm", ".pbm", ".pnm"};
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extensions.contains(extension) || begins_like_an_image(path);
}

void add_folder(const fs::path& folder, FoundImages& found) {
  const FolderWalk walked = walk_folder(folder);
  for (const auto& [path, reason] : walked.unreadable) found.failures.push_back({path.string(), reason});
  std::vector<std::string> files;
  for (const fs::path& file : walked.files) {
    try {
      if (looks_like_an_image(file)) files.push_back(file.string());
    } catch (const Error& error) {
      std::error_code unknown;
      const bool vanished = !fs::exists(file, unknown) && !unknown;
      if (!vanished) found.failures.push_back({file.string(), error.what()});
    }
  }
  std::ranges::sort(files);
  for (std::string& file : files) found.inputs.push_back({std::move(file), std::nullopt});
}

std::vector<std::string> lines_of(std::istream& stream, const std::string& name) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  if (stream.bad()) throw Error(ErrorCode::io, name + ": cannot be read");
  return lines;
}

}  // namespace

FoundImages find_images(const std::vector<std::string>& paths) {
  FoundImages found;
  for (const std::string& path : paths) {
    std::error_code unreadable;
    const fs::file_type type = fs::status(path, unreadable).type();
    if (type == fs::file_type::not_found) throw Error(ErrorCode::io, path + ": no such file or folder");
    if (type == fs::file_type::directory)
      add_folder(path, found);
    else
      found.inputs.push_back({path, std::nullopt});
  }
  if (found.inputs.empty() && found.failures.empty())
    throw Error(ErrorCode::invalid_argument, "no images in the folders that were named");
  return found;
}

std::vector<ImageInput> with_all_frames(const std::vector<ImageInput>& inputs, const DecodeOptions& options) {
  std::vector<ImageInput> frames;
  for (const ImageInput& input : inputs) {
    size_t count = 1;
    try {
      count = FrameSource::read(input.path, options.limits).frames(options.plane);
    } catch (const std::exception&) {
      // Its failure is reported when it is read.
    }
    for (size_t frame = 0; frame < count; ++frame)
      frames.push_back({input.path, count == 1 ? std::nullopt : std::optional(frame)});
  }
  return frames;
}

std::vector<std::string> read_lines(const std::string& path) {
  if (path == "-") return lines_of(std::cin, "the standard input");
  std::ifstream file(path);
  if (!file) throw Error(ErrorCode::io, path + ": cannot be read");
  return lines_of(file, path);
}

}  // namespace mii::pipeline
