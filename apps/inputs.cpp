#include "inputs.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <set>

#include "commands.h"
#include "core/file.h"
#include "core/folder.h"
#include "core/reason.h"
#include "image/sniff.h"
#include "interrupt.h"
#include "mii/error.h"
#include "output.h"
#include "progress.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

// Throws Error{io} for a file that cannot be read.
bool begins_like_a_picture(const fs::path& path) {
  const std::vector<std::byte> start = read_start(path, 4096);
  return path.filename() != "DICOMDIR" && sniff(start) != ImageFormat::unknown;
}

bool looks_like_a_picture(const fs::path& path) {
  static const std::set<std::string> extensions{".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp",
                                                ".bmp", ".ppm",  ".pgm", ".pbm", ".pnm"};
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extensions.contains(extension) || begins_like_a_picture(path);
}

void walk(const fs::path& folder, std::vector<std::string>& files, std::vector<Failure>& failures) {
  const FolderWalk found = walk_folder(folder);
  for (const auto& [path, reason] : found.unreadable) failures.push_back({path.string(), reason});
  const size_t first = files.size();
  for (const fs::path& file : found.files) {
    try {
      if (looks_like_a_picture(file)) files.push_back(file.string());
    } catch (const Error& error) {
      std::error_code unknown;
      const bool vanished = !fs::exists(file, unknown) && !unknown;
      if (!vanished) failures.push_back({file.string(), error.what()});
    }
  }
  std::sort(files.begin() + static_cast<std::ptrdiff_t>(first), files.end());
}

struct LoadedBatch {
  std::vector<size_t> indices;
  std::vector<Image> images;
  std::vector<Failure> failures;
};

/// Reads inputs one after another; a file of which several frames are asked for is opened once.
class ImageReader {
 public:
  explicit ImageReader(const DecodeOptions& options) : options_(options) {}

  Image read(const ImageInput& input) {
    if (!input.frame) return Image::read(input.path, options_);
    if (path_ != input.path) {
      path_.clear();
      file_.emplace(ImageFile::read(input.path, options_.limits));
      path_ = input.path;
    }
    DecodeOptions options = options_;
    options.frame = input.frame;
    return file_->frame(options);
  }

 private:
  DecodeOptions options_;
  std::string path_;
  std::optional<ImageFile> file_;
};

LoadedBatch load(const Engine& engine, ImageReader& reader, const std::vector<ImageInput>& inputs,
                 size_t first, size_t n) {
  LoadedBatch batch;
  for (size_t i = first; i < std::min(first + n, inputs.size()); ++i) {
    try {
      batch.images.push_back(engine.prepare(reader.read(inputs[i])));
      batch.indices.push_back(i);
    } catch (const std::exception& e) {
      batch.failures.push_back({inputs[i].name(), reason_of(e)});
    }
  }
  return batch;
}

// Every frame of a file; the file itself when it cannot be read, so that its failure is reported in its turn.
void add_frames(const std::string& path, const DecodeOptions& options, std::vector<ImageInput>& inputs) {
  try {
    const size_t frames = ImageFile::read(path, options.limits).frames(options.plane);
    for (size_t frame = 0; frame < frames; ++frame)
      inputs.push_back({path, frames == 1 ? std::nullopt : std::optional(frame)});
  } catch (const std::exception&) {
    inputs.push_back({path, std::nullopt});
  }
}

// One text after another, to find out which of a batch is wrong.
void encode_one_by_one(const Engine& engine, const std::vector<std::string>& texts, size_t first, size_t n,
                       const VectorSink& sink, std::vector<Failure>& failures) {
  for (size_t i = first; i < first + n; ++i) {
    try {
      sink({i}, engine.encode_texts({&texts[i], 1}), {});
    } catch (const Error& e) {
      if (e.code() != ErrorCode::invalid_text) throw;
      failures.push_back({"text " + std::to_string(i + 1), e.what()});
    }
  }
}

}  // namespace

FoundImages find_images(const std::vector<std::string>& paths, const DecodeFlags& flags) {
  FoundImages found;
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code unreadable;
    const fs::file_type type = fs::status(path, unreadable).type();
    if (type == fs::file_type::not_found) throw Error(ErrorCode::io, path + ": no such file or folder");
    if (type == fs::file_type::directory)
      walk(path, files, found.failures);
    else
      files.push_back(path);
  }
  if (files.empty() && found.failures.empty())
    throw Error(ErrorCode::invalid_argument, "no pictures in the folders that were named");
  const DecodeOptions options = flags.options();
  for (const std::string& file : files) {
    if (flags.all_frames())
      add_frames(file, options, found.inputs);
    else
      found.inputs.push_back({file, std::nullopt});
  }
  return found;
}

std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error(ErrorCode::io, path + ": cannot be read");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  if (file.bad()) throw Error(ErrorCode::io, path + ": cannot be read");
  return lines;
}

std::vector<Failure> encode_image_files(const Engine& engine, const std::vector<ImageInput>& inputs,
                                        const DecodeOptions& options, bool quiet, const VectorSink& sink) {
  std::vector<Failure> failures;
  Progress progress(inputs.size(), "images", quiet);
  ImageReader reader(options);  // used by one load at a time
  const size_t batch_size = engine.image_batch();
  const auto load_from = [&](size_t first) {
    return std::async(std::launch::async, [&engine, &reader, &inputs, first, batch_size] {
      return load(engine, reader, inputs, first, batch_size);
    });
  };
  auto next = load_from(0);
  for (size_t first = 0; first < inputs.size() && !interrupted(); first += batch_size) {
    LoadedBatch batch = next.get();
    if (first + batch_size < inputs.size()) next = load_from(first + batch_size);
    failures.insert(failures.end(), batch.failures.begin(), batch.failures.end());
    if (!batch.images.empty()) sink(batch.indices, engine.encode_images(batch.images), batch.images);
    progress.advance(batch.indices.size() + batch.failures.size());
  }
  return failures;
}

std::vector<Failure> encode_text_lines(const Engine& engine, const std::vector<std::string>& texts,
                                       bool quiet, const VectorSink& sink) {
  constexpr size_t kBatch = 64;
  std::vector<Failure> failures;
  Progress progress(texts.size(), "texts", quiet);
  for (size_t first = 0; first < texts.size() && !interrupted(); first += kBatch) {
    const size_t n = std::min(kBatch, texts.size() - first);
    std::vector<size_t> indices;
    for (size_t i = first; i < first + n; ++i) indices.push_back(i);
    std::optional<Matrix> vectors;
    try {
      vectors = engine.encode_texts(std::span(texts).subspan(first, n));
    } catch (const Error& e) {
      if (e.code() != ErrorCode::invalid_text) throw;
    }
    if (vectors)
      sink(indices, *vectors, {});
    else
      encode_one_by_one(engine, texts, first, n, sink, failures);
    progress.advance(n);
  }
  return failures;
}

int report(const std::vector<Failure>& failures) {
  for (const Failure& f : failures) {
    const bool named = f.reason.starts_with(f.input);
    say(named ? f.reason : f.input + ": " + f.reason);
  }
  if (interrupted()) return kInterrupted;
  if (failures.empty()) return kOk;
  say(std::to_string(failures.size()) + (failures.size() == 1 ? " input failed" : " inputs failed"));
  return kSomeInputsFailed;
}

}  // namespace mii
