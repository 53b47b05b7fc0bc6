#include <cstdio>
#include <memory>

#include "commands.h"
#include "core/number_text.h"
#include "model_flags.h"
#include "output.h"

namespace mii {
namespace {

std::string joined(const std::vector<size_t>& values) {
  std::string text;
  for (const size_t v : values) text += (text.empty() ? "" : " ") + std::to_string(v);
  return text;
}

int print_info(const ModelFlags& flags) {
  const Engine engine = flags.open();
  const ModelInfo& m = engine.info();
  print_line("weights      " + m.weights_file);
  std::printf("             %.1f MB, %s, %zu tensors, %llu parameters\n",
              static_cast<double>(m.weights_bytes) / 1e6, m.stored_dtype.c_str(), m.tensors,
              static_cast<unsigned long long>(m.parameters));
  std::printf("image tower  %zux%zu pixels; dims %s; depths %s; window %zu; %.1f GFLOP an image\n",
              m.image_width, m.image_height, joined(m.stage_dims).c_str(), joined(m.stage_depths).c_str(),
              m.window_size, m.image_operations / 1e9);
  std::printf("text tower   width %zu, %zu layers, context %zu, vocabulary %zu\n", m.text_width,
              m.text_layers, m.text_context_length, m.vocabulary_size);
  std::printf("embedding    %zu values; logit scale %s\n", m.embedding_dim,
              number_text(m.logit_scale).c_str());
  std::printf("computes in  %s on %s, %d thread%s\n", to_string(m.precision), m.backend.c_str(), m.threads,
              m.threads == 1 ? "" : "s");
  return kOk;
}

}  // namespace

void add_info(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<ModelFlags>();
  CLI::App* command =
      app.add_subcommand("info", "Say what a model folder holds and how it would be computed");
  flags->add_to(*command);
  command->add_option("MODEL", flags->model, "The same as --model");
  command->callback([flags, &chosen] { chosen = [flags] { return print_info(*flags); }; });
}

}  // namespace mii
