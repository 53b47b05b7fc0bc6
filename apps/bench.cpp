#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>

#include "backend/cpu/product_rate.h"
#include "backend/precision.h"
#include "commands.h"
#include "core/json_writer.h"
#include "mii/error.h"
#include "mii/series.h"
#include "model_flags.h"
#include "output.h"
#include "pipeline/series_reader.h"

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

double peak_memory_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1e3;
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

void add_throughput(std::vector<Figure>& figures, const std::string& name, double seconds, double images,
                    double operations, double rate) {
  figures.push_back({name + " latency", seconds * 1e3, "ms"});
  figures.push_back({name + " images/s", images / seconds, "1/s"});
  figures.push_back({name + " GFLOP/s", images * operations / seconds / 1e9, "GFLOP/s"});
  figures.push_back({name + " share of the product rate", 100 * images * operations / seconds / rate, "%"});
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

  const DType operands = info_of(info.precision).weights;
  std::vector<double> rates, ones, manys;
  for (int i = 0; i < repeats; ++i) {
    rates.push_back(measure_product_rate(operands, info.threads));
    ones.push_back(seconds_of([&] { engine->encode_images(one); }));
    manys.push_back(seconds_of([&] { engine->encode_images(many); }));
  }
  const auto median = [](std::vector<double>& v) {
    std::ranges::sort(v);
    return v[v.size() / 2];
  };
  const double rate = median(rates);
  figures.push_back({"product rate (4096^3)", rate / 1e9, "GFLOP/s"});
  add_throughput(figures, "batch 1", median(ones), 1, info.image_operations, rate);
  if (batch > 1)
    add_throughput(figures, "batch " + std::to_string(batch), median(manys), static_cast<double>(batch),
                   info.image_operations, rate);

  const std::vector<std::string> labels{
      "X-Ray",      "Magnetic Resonance Imaging", "Computed Tomography",         "Ultrasound",
      "Dermoscopy", "Clinical Photography",       "Optical Coherence Tomography"};
  engine->encode_texts(labels);
  figures.push_back({"seven labels",
                     median_seconds(std::max(5, repeats), [&] { engine->encode_texts(labels); }) * 1e3,
                     "ms"});
  figures.push_back({"peak memory, with texts", peak_memory_mb(), "MB"});
  engine.reset();
  const Engine caching = flags.open();
  caching.encode_texts(labels);
  figures.push_back(
      {"seven labels, cached", median_seconds(100, [&] { caching.encode_texts(labels); }) * 1e3, "ms"});
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
    bool json = false;
  };
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* command = app.add_subcommand(
      "bench", "Measure the towers, and compare them with this machine's rate for large matrix products");
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
  command->add_flag("--json", flags->json, "One JSON object with machine and commit");
  flags->model.add_to(*command);
  command->callback([flags, &chosen] {
    chosen = [flags] {
      const auto figures = flags->dicom.empty() ? measure(flags->model, flags->batch, flags->repeats)
                                                : measure_dicom(flags->model, flags->dicom, flags->repeats);
      (flags->json ? print_json : print_table)(figures, flags->model);
      return static_cast<int>(kOk);
    };
  });
}

}  // namespace mii
