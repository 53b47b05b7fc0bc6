#include "layer_flags.h"

#include <filesystem>

#include "core/number_text.h"
#include "core/temporary_folder.h"
#include "heads/mlp_file.h"
#include "interrupt.h"
#include "mii/error.h"
#include "trainer.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

heads::TrainedMlp train(const heads::MlpProblem& problem, std::vector<std::string> options) {
  const TemporaryFolder folder;
  const fs::path asked = folder.path() / "problem", answer = folder.path() / "layers";
  write_mlp_problem(problem, asked);
  options.insert(options.begin(), {"head", "--problem", asked.string(), "--out", answer.string()});
  const int status = run_trainer(std::move(options));
  if (interrupted()) throw LayerFlags::Interrupted();
  if (status != 0) throw Error(ErrorCode::internal, "mii-train ended with status " + std::to_string(status));
  return heads::read_trained_mlp(answer);
}

}  // namespace

void LayerFlags::add_to(CLI::App& command) {
  command.add_option("--hidden", hidden, "mlp: values of a hidden layer")
      ->check(CLI::Range(1, 16384))
      ->capture_default_str();
  command
      .add_option(
          "--epochs", epochs,
          "mlp: passes over the images at most; ten without a smaller loss on a fifth of the patients end it")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command.add_option("--learning-rate", learning_rate, "mlp: of AdamW")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--weight-decay", weight_decay, "mlp: of AdamW")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

heads::MlpTrainer LayerFlags::trainer(uint64_t seed, bool quiet) const {
  trainer_path();  // before any image is read
  std::vector<std::string> options{
      "--hidden",        std::to_string(hidden),     "--epochs",       std::to_string(epochs),
      "--learning-rate", number_text(learning_rate), "--weight-decay", number_text(weight_decay),
      "--seed",          std::to_string(seed)};
  if (quiet) options.emplace_back("--quiet");
  return [options](const heads::MlpProblem& problem) { return train(problem, options); };
}

}  // namespace mii
