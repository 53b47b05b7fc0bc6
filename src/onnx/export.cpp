#include "onnx/export.h"

#include <cmath>

#include "core/number_text.h"
#include "mii/error.h"
#include "onnx/image_graph.h"
#include "onnx/model_file.h"
#include "onnx/text_graph.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

struct NamedGraph {
  const char* file;
  GraphBuilder graph;
};

std::vector<NamedGraph> graphs_of(const ModelConfig& config, const OnnxExport& options) {
  std::vector<NamedGraph> graphs;
  if (options.image)
    graphs.push_back(
        {"image.onnx", image_graph(config.image, config.embedding_dim, options.dtype,
                                   options.preprocessing ? PixelInput::bytes : PixelInput::normalised)});
  if (options.text)
    graphs.push_back({"text.onnx", text_graph(config.text, config.embedding_dim, options.dtype)});
  return graphs;
}

// The factor on the cosine.
std::string logit_scale(const Checkpoint& checkpoint) {
  float value = 0;
  checkpoint.copy_as(DType::f32, "logit_scale", reinterpret_cast<std::byte*>(&value));
  return number_text(std::exp(value));
}

}  // namespace

std::vector<ExportedGraph> export_onnx(const fs::path& folder, int64_t vocabulary_size,
                                       const fs::path& out_folder, const OnnxExport& options) {
  if (!options.image && !options.text) throw Error(ErrorCode::invalid_argument, "no tower to export");
  const ModelFolder from = ModelFolder::find(folder);
  const ModelConfig config = ModelConfig::read(from.config);
  const Checkpoint checkpoint = Checkpoint::open(from.weights, config, vocabulary_size);
  std::vector<NamedGraph> graphs = graphs_of(config, options);

  std::error_code error;
  fs::create_directories(out_folder, error);
  if (error) throw Error(ErrorCode::io, out_folder.string() + ": cannot be made: " + error.message());
  GraphFileOptions file{
      .external_data = options.external_data, .metadata = options.metadata, .wrote_tensor = {}};
  file.metadata.emplace("mii.logit_scale", logit_scale(checkpoint));
  size_t done = 0, all = 0;
  for (const NamedGraph& graph : graphs) all += graph.graph.weights().size();
  if (options.progress) file.wrote_tensor = [&] { options.progress(++done, all); };
  std::vector<ExportedGraph> written;
  for (NamedGraph& graph : graphs) {
    const fs::path path = out_folder / graph.file;
    written.push_back({path, write_graph(std::move(graph.graph), checkpoint, path, file)});
  }
  return written;
}

}  // namespace mii
