#include "weights/convert.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "backend/precision.h"
#include "calibration/calibrate.h"
#include "commands.h"
#include "image/preprocess.h"
#include "mii/error.h"
#include "onnx/import.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/encode.h"
#include "progress.h"
#include "text/clip_tokenizer.h"
#include "weights/config.h"

namespace mii {
namespace {

struct Flags {
  std::string model, out, dtype = "bf16", calibrate, text, config;
  std::optional<double> logit_scale;
  double max_distance = 1e-3;
  bool smooth = false;
  size_t images = 16;
  int threads = 0;
  bool quiet = false;
};

// n of the paths, evenly spread.
std::vector<pipeline::ImageInput> some_of(const std::vector<pipeline::ImageInput>& all, size_t n) {
  std::vector<pipeline::ImageInput> some;
  n = std::min(n, all.size());
  for (size_t i = 0; i < n; ++i) some.push_back(all[i * all.size() / n]);
  return some;
}

// The images, of the model's size.
std::vector<Image> calibration_images(const Flags& flags, const ModelConfig& config,
                                      std::vector<pipeline::Failure>& failures) {
  const std::vector<std::string> paths{flags.calibrate};
  pipeline::FoundImages found = pipeline::find_images(paths);
  failures = std::move(found.failures);
  std::vector<Image> images;
  const auto unread = pipeline::read_images<Image>(
      pipeline::images_of(some_of(found.inputs, flags.images), {}), {},
      [&](size_t, const Image& image) {
        return resize_bicubic(image, static_cast<size_t>(config.image.width),
                              static_cast<size_t>(config.image.height));
      },
      [&](size_t, Image image) { images.push_back(std::move(image)); });
  failures.insert(failures.end(), unread.begin(), unread.end());
  if (images.empty()) {
    report(failures);
    throw Error(ErrorCode::invalid_argument, flags.calibrate + ": no image that can be read");
  }
  return images;
}

void print_shares(const Calibration& calibration, size_t images) {
  double sum = 0;
  for (const LayerError& layer : calibration.layers) sum += layer.distance;
  std::printf("share of the error, cosine distance of the layer alone, layer; %zu images\n", images);
  for (const LayerError& layer : calibration.layers)
    std::printf("  %5.1f %%  %.2e  %s%s\n", sum > 0 ? 100 * layer.distance / sum : 0, layer.distance,
                layer.name.c_str(), calibration.float_layers.contains(layer.name) ? "  stays in bf16" : "");
  std::printf("largest cosine distance: %.2e with every layer in int8", calibration.distance_unsmoothed);
  if (!calibration.column_factors.empty()) std::printf(", %.2e smoothed", calibration.distance_of_all);
  if (calibration.float_layers.empty())
    std::printf("\n");
  else
    std::printf(", %.2e with %zu of %zu layers in bf16\n", calibration.distance,
                calibration.float_layers.size(), calibration.layers.size());
}

Calibration calibrated(const Flags& flags, const ModelFolder& folder, int64_t vocabulary_size,
                       std::vector<pipeline::Failure>& failures) {
  const std::vector<Image> images = calibration_images(flags, ModelConfig::read(folder.config), failures);
  std::vector<std::span<const uint8_t>> pixels;
  for (const Image& image : images) pixels.push_back(image.pixels());
  CalibrationOptions options{
      .max_distance = flags.max_distance, .smooth = flags.smooth, .threads = flags.threads, .progress = {}};
  std::unique_ptr<Progress> progress;
  options.progress = [&](size_t, size_t all) {
    if (progress == nullptr) progress = std::make_unique<Progress>(all, "passes", flags.quiet);
    progress->advance(1);
  };
  Calibration calibration = calibrate(folder, vocabulary_size, pixels, options);
  progress.reset();
  if (!flags.quiet) print_shares(calibration, images.size());
  return calibration;
}

bool is_onnx(const std::string& path) { return std::filesystem::path(path).extension() == ".onnx"; }

int convert_graphs(const Flags& flags) {
  OnnxImport import{.graphs = {flags.model},
                    .texts = ModelFolder::find_texts(flags.config),
                    .format = {.dtype = info_of(parse_precision(flags.dtype)).weights, .float_layers = {}},
                    .logit_scale = flags.logit_scale};
  if (!flags.text.empty()) import.graphs.emplace_back(flags.text);
  import.vocabulary_size = ClipTokenizer::load(import.texts.tokenizer).vocabulary_size();
  for (const std::string& note : import_onnx(import, flags.out)) print_line(note);
  print_line(flags.out + ": written with " + flags.dtype + " weights");
  return kOk;
}

int convert_folder(const Flags& flags) {
  const ModelFolder folder = ModelFolder::find(flags.model);
  const int64_t vocabulary_size = ClipTokenizer::load(folder.tokenizer).vocabulary_size();
  Calibration calibration;
  std::vector<pipeline::Failure> failures;
  if (!flags.calibrate.empty()) calibration = calibrated(flags, folder, vocabulary_size, failures);
  convert_model(flags.model, vocabulary_size,
                {.dtype = info_of(parse_precision(flags.dtype)).weights,
                 .float_layers = std::move(calibration.float_layers)},
                flags.out, calibration.column_factors);
  print_line(flags.out + ": written with " + flags.dtype + " weights");
  return report(failures);
}

}  // namespace

void add_convert(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "convert", "Write a model folder again with weights of another type, or of ONNX graphs");
  command
      ->add_option("MODEL", flags->model, "Model folder, or a graph (FILE.onnx) of any maker: docs/onnx.md")
      ->required();
  command->add_option("OUT", flags->out, "Folder to write")->required();
  command
      ->add_option(
          "--dtype", flags->dtype,
          "bf16 halves the disk space and the time to load; int8, for --precision int8, halves them again")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->capture_default_str();
  auto* calibrate =
      command
          ->add_option(
              "--calibrate", flags->calibrate,
              "int8: measure each layer's error on images in this folder, and keep the worst in bf16")
          ->check(CLI::ExistingPath);
  command
      ->add_option("--max-distance", flags->max_distance,
                   "The largest cosine distance from f32 that these images may keep")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->needs(calibrate);
  command
      ->add_flag("--smooth", flags->smooth,
                 "Even out the channels that layers read, where that brings these images nearer to f32")
      ->needs(calibrate);
  command->add_option("--calibration-images", flags->images, "How many of them at the most, evenly spread")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str()
      ->needs(calibrate);
  auto* config = command->add_option("--config", flags->config,
                                     "Of a graph: a folder with the model's config.yaml and tokenizer");
  auto* text = command->add_option(
      "--text", flags->text,
      "Of a graph of one tower: the graph of the other, text.onnx beside image.onnx, say");
  auto* logit_scale =
      command
          ->add_option("--logit-scale", flags->logit_scale,
                       "Of a graph: the factor on the cosine; without, the graph's, or 100 if it has none")
          ->check(CLI::PositiveNumber);
  command->add_option("--threads", flags->threads, "0: all cores")->check(CLI::Range(0, 1024));
  command->add_flag("--quiet", flags->quiet, "No progress bar, no table of layers");
  command->callback([flags, calibrate, config, text, logit_scale, &chosen] {
    if (!calibrate->empty() && flags->dtype != "int8")
      throw CLI::ValidationError("--calibrate", "only for --dtype int8");
    if (!is_onnx(flags->model)) {
      for (const CLI::Option* option : {config, text, logit_scale})
        if (!option->empty()) throw CLI::ValidationError(option->get_name(), "only for a graph, FILE.onnx");
      chosen = [flags] { return convert_folder(*flags); };
      return;
    }
    if (config->empty())
      throw CLI::ValidationError("--config", "missing: a graph has neither configuration nor tokenizer");
    if (!calibrate->empty())
      throw CLI::ValidationError("--calibrate", "not for a graph: convert it to f32 first");
    chosen = [flags] { return convert_graphs(*flags); };
  });
}

}  // namespace mii
