#include "model_flags.h"

#include "mii/error.h"
#include "output.h"
#include "program_files.h"

namespace mii {

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
  command.add_option("--precision", precision, "auto: bf16 where it is fast, else f32")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->capture_default_str();
  command.add_option("--backend", backend, "reference: plain loops, slow, to compare with")
      ->check(CLI::IsMember({"cpu", "reference"}))
      ->capture_default_str();
  command.add_option("--threads", threads, "0: all cores")->check(CLI::Range(0, 1024))->capture_default_str();
  command.add_flag("--quiet", quiet, "No progress bar, no warnings");
}

Engine ModelFlags::open(bool cache_texts, const std::function<void(std::string_view)>& warn) const {
  EngineOptions options;
  options.precision = precision == "f32"    ? Precision::f32
                      : precision == "bf16" ? Precision::bf16
                                            : Precision::automatic;
  options.backend = backend == "reference" ? BackendKind::reference : BackendKind::cpu;
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
