#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <future>
#include <memory>

#include "backend/precision.h"
#include "backend/registry.h"
#include "backend/timed_backend.h"
#include "commands.h"
#include "core/json_writer.h"
#include "mii/error.h"
#include "mii/series.h"
#include "model/davit.h"
#include "model/work.h"
#include "model_flags.h"
#include "output.h"
#include "pipeline/series_reader.h"
#include "text/clip_tokenizer.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median_seconds(int repeats, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) seconds.push_back(seconds_of(work));
  std::ranges::sort(seconds);
  return seconds[seconds.size() / 2];
}

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(": ") + 2);
  return "unknown";
}

// Of this program: what getrusage() says begins with the memory of the process that started it.
double peak_memory_mb() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(line.find(':') + 1)) * 1024 / 1e6;
  return 0;
}

std::vector<Image> test_images(const ModelInfo& info, size_t n) {
  std::vector<Image> images;
  for (size_t i = 0; i < n; ++i) {
    std::vector<uint8_t> pixels(info.image_width * info.image_height * 3);
    for (size_t p = 0; p < pixels.size(); ++p) pixels[p] = static_cast<uint8_t>((p * 2654435761u + i) >> 11);
    images.push_back(Image::from_rgb(info.image_width, info.image_height, pixels));
  }
  return images;
}

struct Figure {
  std::string name;
  double value;
  std::string unit;
};

// Operations per second.
void add_throughput(std::vector<Figure>& figures, const std::string& name, double seconds, double images,
                    double operations, double rate) {
  figures.push_back({name + " latency", seconds * 1e3, "ms"});
  figures.push_back({name + " images/s", images / seconds, "1/s"});
  figures.push_back({name + " GFLOP/s", images * operations / seconds / 1e9, "GFLOP/s"});
  figures.push_back({name + " share of the product rate", 100 * images * operations / seconds / rate, "%"});
}

// The rate of the backend's library for the products with weights of the image tower, in operations per
// second.
double product_rate(const ImageTowerConfig& config, size_t images, const BackendEntry& backend,
                    const ModelInfo& info) {
  double seconds = 0, operations = 0;
  for (const auto& [shape, count] : image_tower_products(config, static_cast<int64_t>(images))) {
    const auto times = static_cast<double>(count);
    seconds += times * backend.product_seconds({.precision = info.precision, .threads = info.threads}, shape);
    operations += times * shape.operations();
  }
  return operations / seconds;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// Of as many threads as it pays to encode on at once, a batch each.
double images_per_second(const Engine& engine, std::span<const Image> batch, int repeats) {
  std::vector<std::future<void>> threads;
  const double seconds = seconds_of([&] {
    for (size_t t = 0; t < engine.batches_at_once(); ++t)
      threads.push_back(std::async(std::launch::async, [&] {
        for (int i = 0; i < repeats; ++i) engine.encode_images(batch);
      }));
    for (auto& thread : threads) thread.get();
  });
  return static_cast<double>(threads.size() * batch.size()) * repeats / seconds;
}

// Products and images alternate, so that a change of the machine's speed affects both.
std::vector<Figure> measure(const ModelFlags& flags, size_t batch, int repeats) {
  std::vector<Figure> figures;
  std::unique_ptr<Engine> engine;
  figures.push_back(
      {"load", seconds_of([&] { engine = std::make_unique<Engine>(flags.open(false)); }) * 1e3, "ms"});
  const ModelInfo& info = engine->info();
  const std::vector<Image> one = test_images(info, 1), many = test_images(info, batch);
  figures.push_back({"first image", seconds_of([&] { engine->encode_images(one); }) * 1e3, "ms"});
  figures.push_back({"peak memory, images only", peak_memory_mb(), "MB"});

  const BackendEntry& backend = find_backend(flags.backend);
  if (backend.product_seconds == nullptr)
    throw Error(ErrorCode::invalid_argument, "the " + std::string(backend.name) + " backend is not measured");
  const ImageTowerConfig config = ModelConfig::read(ModelFolder::find(flags.folder()).config).image;
  std::vector<double> rates, many_rates, ones, manys;
  for (int i = 0; i < repeats; ++i) {
    rates.push_back(product_rate(config, 1, backend, info));
    ones.push_back(seconds_of([&] { engine->encode_images(one); }));
    if (batch == 1) continue;
    many_rates.push_back(product_rate(config, batch, backend, info));
    manys.push_back(seconds_of([&] { engine->encode_images(many); }));
  }
  figures.push_back({"product rate at batch 1", median(rates) / 1e9, "GFLOP/s"});
  add_throughput(figures, "batch 1", median(ones), 1, info.image_operations, median(rates));
  if (batch > 1) {
    const std::string name = "batch " + std::to_string(batch);
    figures.push_back({"product rate at " + name, median(many_rates) / 1e9, "GFLOP/s"});
    add_throughput(figures, name, median(manys), static_cast<double>(batch), info.image_operations,
                   median(many_rates));
    if (engine->batches_at_once() > 1)
      figures.push_back({name + ", " + std::to_string(engine->batches_at_once()) + " at once images/s",
                         images_per_second(*engine, many, repeats), "1/s"});
  }

  const std::vector<std::string> labels{
      "X-Ray",      "Magnetic Resonance Imaging", "Computed Tomography",         "Ultrasound",
      "Dermoscopy", "Clinical Photography",       "Optical Coherence Tomography"};
  figures.push_back(
      {"seven labels, first time", seconds_of([&] { engine->encode_texts(labels); }) * 1e3, "ms"});
  figures.push_back({"seven labels",
                     median_seconds(std::max(5, repeats), [&] { engine->encode_texts(labels); }) * 1e3,
                     "ms"});
  figures.push_back({"peak memory, with texts", peak_memory_mb(), "MB"});
  if (const auto device = engine->device())
    figures.push_back({"device memory", static_cast<double>(device->memory_bytes) / 1e6, "MB"});
  engine.reset();
  const Engine caching = flags.open();
  caching.encode_texts(labels);
  figures.push_back(
      {"seven labels, cached", median_seconds(100, [&] { caching.encode_texts(labels); }) * 1e3, "ms"});
  return figures;
}

// What each operator of the image tower takes for one image, the slowest first. The mean of the runs.
std::vector<Figure> measure_operators(const ModelFlags& flags, int repeats) {
  const Engine engine = flags.open(false);  // chooses and checks; its tower is not used
  const ModelFolder folder = ModelFolder::find(flags.folder());
  const ModelConfig config = ModelConfig::read(folder.config);
  const Checkpoint checkpoint =
      Checkpoint::open(folder.weights, config, ClipTokenizer::load(folder.tokenizer).vocabulary_size());
  TimedBackend backend(find_backend(flags.backend)
                           .make({.precision = engine.info().precision, .threads = engine.info().threads}));
  backend.attach_thread();
  Davit tower(config.image, WeightReader(checkpoint, backend), backend);
  const std::vector<Image> images = test_images(engine.info(), 1);
  const std::span<const uint8_t> pixels = images[0].pixels();
  tower.embed(tower.tokens(pixels));
  backend.reset();
  const double all = seconds_of([&] {
    for (int i = 0; i < repeats; ++i) tower.embed(tower.tokens(pixels));
  });
  std::vector<std::pair<std::string, OperatorTime>> sorted(backend.operators().begin(),
                                                           backend.operators().end());
  std::ranges::sort(sorted, std::ranges::greater(), [](const auto& entry) { return entry.second.seconds; });
  std::vector<Figure> figures{{"one image", all / repeats * 1e3, "ms"}};
  for (const auto& [name, time] : sorted) {
    figures.push_back({name, time.seconds / repeats * 1e3, "ms"});
    if (time.operations > 0)
      figures.push_back({name + " GFLOP/s", time.operations / time.seconds / 1e9, "GFLOP/s"});
  }
  return figures;
}

// As `mii embed --volume` does it.
std::vector<Figure> measure_dicom(const ModelFlags& flags, const std::filesystem::path& folder, int repeats) {
  const Engine engine = flags.open();
  SeriesScan scan;
  const double scanned = median_seconds(repeats, [&] { scan = find_series({&folder, 1}); });
  size_t slices = 0;
  for (const Series& series : scan.series) slices += series.slices.size();
  if (slices == 0) throw Error(ErrorCode::invalid_argument, folder.string() + ": no DICOM series");
  const double read = median_seconds(repeats, [&] {
    for (const Series& series : scan.series) {
      pipeline::SeriesReader reader(series.slices, {});
      reader.prepare();
      pipeline::read_images<Image>(
          reader.images(), {}, [&](size_t, const Image& image) { return engine.prepare(image); },
          [](size_t, Image) {});
    }
  });
  const double encoded = median_seconds(repeats, [&] {
    for (const Series& series : scan.series) pipeline::encode_series(engine, series.slices, {}, {});
  });
  const auto n = static_cast<double>(slices);
  return {{"slices", n, ""},
          {"found and sorted", n / scanned, "slices/s"},
          {"read, windowed, resized", n / read, "slices/s"},
          {"from sorted files to vectors", n / encoded, "slices/s"},
          {"peak memory", peak_memory_mb(), "MB"}};
}

void print_table(const std::vector<Figure>& figures, const ModelFlags& flags) {
  print_line(processor() + ", mii " MII_VERSION " (" MII_COMMIT "), model " + flags.model);
  for (const Figure& f : figures) std::printf("  %-36s %12.3f %s\n", f.name.c_str(), f.value, f.unit.c_str());
}

void print_json(const std::vector<Figure>& figures, const ModelFlags& flags) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object();
  json.member("machine", processor()).member("version", MII_VERSION).member("commit", MII_COMMIT);
  json.member("model", flags.model).member("precision", flags.precision);
  json.key("figures").begin_object();
  for (const Figure& f : figures) json.member(f.name + ", " + f.unit, f.value);
  json.end_object().end_object();
  std::printf("%s\n", json.finish().c_str());
}

}  // namespace

void add_bench(CLI::App& app, Command& chosen) {
  struct BenchFlags {
    ModelFlags model;
    size_t batch = 4;
    int repeats = 5;
    std::filesystem::path dicom;
    bool operators = false;
    bool json = false;
  };
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* command = app.add_subcommand(
      "bench", "Measure the towers, and compare them with this machine's rate for the same matrix products");
  command->add_option("--batch", flags->batch, "Images of the larger batch")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option("--repeats", flags->repeats, "Runs, of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--dicom", flags->dicom,
                   "Measure how fast the DICOM series in a folder are read and encoded instead")
      ->check(CLI::ExistingDirectory);
  command->add_flag("--operators", flags->operators,
                    "Show instead what each operator of the image tower takes for one image");
  command->add_flag("--json", flags->json, "One JSON object with machine and commit");
  flags->model.add_to(*command);
  command->callback([flags, &chosen] {
    chosen = [flags] {
      const auto figures = !flags->dicom.empty() ? measure_dicom(flags->model, flags->dicom, flags->repeats)
                           : flags->operators    ? measure_operators(flags->model, flags->repeats)
                                                 : measure(flags->model, flags->batch, flags->repeats);
      (flags->json ? print_json : print_table)(figures, flags->model);
      return static_cast<int>(kOk);
    };
  });
}

}  // namespace mii
