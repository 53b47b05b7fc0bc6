#include "model_flags.h"

#include <string>
#include <vector>

#include "backend/precision.h"
#include "backend/registry.h"
#include "mii/error.h"
#include "output.h"
#include "program_files.h"

namespace mii {

std::vector<std::string> precision_choices() {
  std::vector<std::string> names{"auto"};
  for (const PrecisionInfo& info : precisions()) names.emplace_back(info.name);
  return names;
}

namespace {

std::vector<std::string> backend_choices() {
  std::vector<std::string> names{"auto"};
  for (const BackendEntry& entry : backends()) names.emplace_back(entry.name);
  return names;
}

// "auto: the best that can run here; cpu: ...; reference: ..."
std::string backend_help() {
  std::string help = "auto: the best that can run here";
  for (const BackendEntry& entry : backends())
    help += "; " + std::string(entry.name) + ": " + std::string(entry.description);
  return help;
}

}  // namespace

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
  command.add_option("--threads", threads, "0: all cores")->check(CLI::Range(0, 1024))->capture_default_str();
  command.add_flag("--quiet", quiet, "No progress bar, no warnings");
}

Engine ModelFlags::open(bool cache_texts, const std::function<void(std::string_view)>& warn) const {
  EngineOptions options;
  options.precision = parse_precision(precision);
  options.backend = backend;
  options.threads = threads;
  if (!cache_texts) options.text_cache_entries = 0;
  options.warn = warn;
  if (!warn && !quiet) options.warn = [](std::string_view s) { say("warning: " + std::string(s)); };
  if (!model.empty()) return Engine::open(model, options);
  const auto folder = built_in_model();
  if (!quiet) say("built-in model: " + folder.string());
  return Engine::open(folder, options);
}

}  // namespace mii
