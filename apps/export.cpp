#include "onnx/export.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "commands.h"
#include "core/json_writer.h"
#include "engine/model_digest.h"
#include "interrupt.h"
#include "mii/identity.h"
#include "output.h"
#include "progress.h"
#include "text/clip_tokenizer.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

struct Flags {
  std::string model, out, format = "onnx", precision = "f32", tower = "both";
  bool preprocessing = false, external_data = false, quiet = false, json = false;
};

Identity identity_of(const ModelFolder& folder, bool half) {
  ModelDigest digest(folder);
  const ModelDigest::Parts& parts = digest.parts(interrupted);
  return {parts.weights, parts.config, parts.tokenizer, half ? "f16" : "f32", "", MII_VERSION};
}

void print_json(const std::vector<ExportedGraph>& written, const Identity& identity) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object().key("files").begin_array();
  for (const ExportedGraph& graph : written)
    json.begin_object().member("file", graph.file.string()).member("bytes", graph.bytes).end_object();
  json.end_array().member("opset", kOpset).member("identity", RawJson{identity.json()}).end_object();
  print_line(json.finish());
}

int export_model(const Flags& flags) {
  const ModelFolder folder = ModelFolder::find(flags.model);
  const bool half = flags.precision == "fp16";
  OnnxExport options{.image = flags.tower != "text",
                     .text = flags.tower != "image",
                     .dtype = half ? DType::f16 : DType::f32,
                     .preprocessing = flags.preprocessing,
                     .external_data = flags.external_data,
                     .metadata = {},
                     .progress = {}};
  const Identity identity = identity_of(folder, half);
  options.metadata = {{"mii.identity", identity.json()}, {"mii.fingerprint", identity.fingerprint()}};
  std::unique_ptr<Progress> progress;
  options.progress = [&](size_t, size_t all) {
    if (progress == nullptr) progress = std::make_unique<Progress>(all, "tensors", flags.quiet);
    progress->advance(1);
  };
  const auto vocabulary_size = ClipTokenizer::load(folder.tokenizer).vocabulary_size();
  const std::vector<ExportedGraph> written = export_onnx(flags.model, vocabulary_size, flags.out, options);
  progress.reset();
  if (flags.json) {
    print_json(written, identity);
    return kOk;
  }
  for (const ExportedGraph& graph : written) {
    char text[64];
    std::snprintf(text, sizeof text, ": %.1f MB, %s, opset %lld", static_cast<double>(graph.bytes) / 1e6,
                  flags.precision.c_str(), static_cast<long long>(kOpset));
    print_line(graph.file.string() + text);
  }
  return kOk;
}

}  // namespace

void add_export(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "export", "Write a model for other programs: the towers as ONNX graphs, image.onnx and text.onnx");
  command->add_option("MODEL", flags->model, "Model folder")->required();
  command->add_option("OUT", flags->out, "Folder to write")->required();
  command->add_option("--format", flags->format, "onnx")
      ->check(CLI::IsMember({"onnx"}))
      ->capture_default_str();
  command
      ->add_option("--precision", flags->precision,
                   "fp16: products in half precision, everything else in f32; half the size")
      ->check(CLI::IsMember({"f32", "fp16"}))
      ->capture_default_str();
  command->add_option("--tower", flags->tower, "Which graphs are written")
      ->check(CLI::IsMember({"image", "text", "both"}))
      ->capture_default_str();
  command->add_flag("--preprocessing", flags->preprocessing,
                    "image.onnx takes bytes of RGB, [batch, height, width, 3], and normalises them; without: "
                    "floats that are normalised, [batch, 3, height, width]");
  command->add_flag("--external-data", flags->external_data,
                    "Weights in files beside the graphs; always so beyond 2 GiB");
  command->add_flag("--quiet", flags->quiet, "No progress bar");
  command->add_flag("--json", flags->json, "One JSON object");
  command->callback([flags, &chosen] {
    if (flags->preprocessing && flags->tower == "text")
      throw CLI::ValidationError("--preprocessing", "only for the image tower");
    chosen = [flags] { return export_model(*flags); };
  });
}

}  // namespace mii
