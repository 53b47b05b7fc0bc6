#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mii/engine.h"

namespace mii {

/// An input that could not be used, and why.
struct Failure {
  std::string input;
  std::string reason;
};

/// The files that the arguments name: files as given, folders walked for pictures (by extension), in order of
/// name. Throws Error{io} for a path that does not exist.
std::vector<std::string> find_images(const std::vector<std::string>& paths);

/// Lines of a text file (UTF-8), empty ones left out. Throws Error{io}.
std::vector<std::string> read_lines(const std::string& path);

/// Receives the vectors of the inputs at `indices`, one row each.
using VectorSink = std::function<void(const std::vector<size_t>& indices, const Matrix& vectors)>;

/// Encodes the inputs in the engine's batches, the next batch being decoded meanwhile; stops early on Ctrl-C.
/// Inputs that fail come back, the others reach the sink in order.
std::vector<Failure> encode_image_files(const Engine& engine, const std::vector<std::string>& paths,
                                        bool quiet, const VectorSink& sink);
std::vector<Failure> encode_text_lines(const Engine& engine, const std::vector<std::string>& texts,
                                       bool quiet, const VectorSink& sink);

/// Lists them on stderr; the exit status that they call for.
int report(const std::vector<Failure>& failures);

}  // namespace mii
