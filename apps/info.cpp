#include <cstdio>
#include <memory>

#include "commands.h"
#include "core/json_writer.h"
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

void print_table(const Engine& engine) {
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
  const Identity identity = engine.identity();
  std::printf("identity     %s: weights %s\n", identity.fingerprint().c_str(), identity.weights.c_str());
}

void print_json(const Engine& engine) {
  const ModelInfo& m = engine.info();
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object()
      .member("weights_file", m.weights_file)
      .member("weights_bytes", m.weights_bytes)
      .member("stored_dtype", m.stored_dtype)
      .member("tensors", m.tensors)
      .member("parameters", m.parameters)
      .member("image_size", std::vector{m.image_width, m.image_height})
      .member("stage_dims", m.stage_dims)
      .member("stage_depths", m.stage_depths)
      .member("window_size", m.window_size)
      .member("image_operations", m.image_operations)
      .member("text_width", m.text_width)
      .member("text_layers", m.text_layers)
      .member("text_context_length", m.text_context_length)
      .member("vocabulary_size", m.vocabulary_size)
      .member("embedding_dim", m.embedding_dim)
      .member("logit_scale", static_cast<double>(m.logit_scale))
      .member("precision", to_string(m.precision))
      .member("backend", m.backend)
      .member("threads", m.threads)
      .member("identity", RawJson{engine.identity().json()})
      .end_object();
  std::printf("%s\n", json.finish().c_str());
}

}  // namespace

void add_info(CLI::App& app, Command& chosen) {
  struct InfoFlags {
    ModelFlags model;
    bool json = false;
  };
  auto flags = std::make_shared<InfoFlags>();
  CLI::App* command =
      app.add_subcommand("info", "Say what a model folder holds and how it would be computed");
  flags->model.add_to(*command);
  command->add_option("MODEL", flags->model.model, "The same as --model");
  command->add_flag("--json", flags->json, "One JSON object");
  command->callback([flags, &chosen] {
    chosen = [flags] {
      const Engine engine = flags->model.open();
      flags->json ? print_json(engine) : print_table(engine);
      return static_cast<int>(kOk);
    };
  });
}

}  // namespace mii
