#include "model_flags.h"

#include <string>
#include <vector>

#include "backend/precision.h"
#include "backend/registry.h"
#include "mii/error.h"
#include "output.h"
#include "search/collection.h"
#include "program_files.h"

namespace mii {

std::vector<std::string> precision_choices() {
  std::vector<std::string> names{"auto"};
  for (const PrecisionInfo& info : precisions()) names.emplace_back(info.name);
  return names;
}

std::vector<std::string> backend_choices() {
  std::vector<std::string> names{"auto"};
  for (const BackendEntry& entry : backends()) names.emplace_back(entry.name);
  return names;
}

std::string backend_help() {
  std::string help = "auto: the best that can run here";
  for (const BackendEntry& entry : backends())
    help += "; " + std::string(entry.name) + ": " + std::string(entry.description);
  return help;
}

std::filesystem::path built_in_model() {
  auto folder = program_file("models/starter", "models/starter");
  std::error_code error;
  if (std::filesystem::exists(folder / "config.yaml", error)) return folder;
  throw Error(ErrorCode::invalid_model,
              "no built-in model in " + folder.string() + "; name a model folder with --model");
}

void ModelFlags::add_to(CLI::App& command) {
  command.add_option("--model", model, "Model folder in the published layout [the built-in model]")
      ->envname("MII_MODEL");
  command.add_option("--precision", precision, "auto: the fastest that is exact enough for every use")
      ->check(CLI::IsMember(precision_choices()))
      ->capture_default_str();
  command.add_option("--backend", backend, backend_help())
      ->check(CLI::IsMember(backend_choices()))
      ->capture_default_str();
  command
      .add_option("--resize", resize,
                  "Where images are made the model's size, with the same bytes: on the CPU, or on the "
                  "backend's device up to 2^20 pixels")
      ->check(CLI::IsMember({"host", "device"}))
      ->capture_default_str();
  command.add_option("--threads", threads, "0: all cores")->check(CLI::Range(0, 1024))->capture_default_str();
  command.add_flag("--quiet", quiet, "No progress bar, no warnings");
}

Engine ModelFlags::open(bool cache_texts, const std::function<void(std::string_view)>& warn) const {
  EngineOptions options;
  options.precision = parse_precision(precision);
  options.backend = backend;
  options.threads = threads;
  options.device = device;
  options.resize_on_device = resize == "device";
  if (!cache_texts) options.text_cache_entries = 0;
  options.report_model = report_model;
  options.warn = warn;
  if (!warn && !quiet) options.warn = [](std::string_view s) { say("warning: " + std::string(s)); };
  if (model.empty() && !quiet) say("built-in model: " + built_in_model().string());
  return Engine::open(folder(), options);
}

std::filesystem::path ModelFlags::folder() const {
  return model.empty() ? built_in_model() : std::filesystem::path(model);
}

Engine ModelFlags::open_beside(const std::optional<Identity>& identity) const {
  ModelFlags beside = *this;
  if (identity && precision == "auto") beside.precision = identity->precision;
  return beside.open();
}

Engine ModelFlags::open_for(const std::optional<Identity>& identity, const std::string& preprocessing) const {
  Engine engine = open_beside(identity);
  if (!identity) return engine;
  const std::string warning = search::check_identity(engine.identity(preprocessing), *identity);
  if (!warning.empty() && !quiet) say("warning: " + warning);
  return engine;
}

}  // namespace mii
