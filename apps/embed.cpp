#include <cstdio>
#include <memory>

#include "commands.h"
#include "embedding_file.h"
#include "inputs.h"
#include "interrupt.h"
#include "mii/error.h"
#include "model_flags.h"

namespace mii {
namespace {

struct Flags {
  ModelFlags model;
  std::vector<std::string> images;
  std::vector<std::string> texts;
  std::string texts_file;
  std::string output;
  bool resume = false;
};

int embed(const Flags& flags) {
  const bool of_images = !flags.images.empty();
  const std::vector<std::string> inputs = of_images                  ? find_images(flags.images)
                                          : flags.texts_file.empty() ? flags.texts
                                                                     : read_lines(flags.texts_file);
  const Engine engine = flags.model.open();
  EmbeddingFile file(flags.output, engine.info().embedding_dim, flags.resume);
  std::vector<std::string> missing;
  for (const std::string& input : inputs)
    if (!file.has(input)) missing.push_back(input);

  const auto sink = [&](const std::vector<size_t>& indices, const Matrix& vectors) {
    std::vector<std::string> names;
    for (const size_t i : indices) names.push_back(missing[i]);
    file.append(names, vectors);
  };
  const auto failures = of_images ? encode_image_files(engine, missing, flags.model.quiet, sink)
                                  : encode_text_lines(engine, missing, flags.model.quiet, sink);
  const size_t rows = file.finish(inputs);
  if (interrupted())
    std::fprintf(stderr, "mii: interrupted; %zu of %zu rows are in %s, --resume goes on\n", rows,
                 inputs.size(), flags.output.c_str());
  else if (!flags.model.quiet)
    std::fprintf(stderr, "%zu vectors of %zu values in %s\n", rows, engine.info().embedding_dim,
                 flags.output.c_str());
  return report(failures);
}

}  // namespace

void add_embed(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("embed", "Write the vectors of pictures or texts");
  auto* inputs = command->add_option_group("inputs")->require_option(1);
  inputs->add_option("--images", flags->images, "Pictures, or folders of them");
  inputs->add_option("--texts", flags->texts, "Texts");
  inputs->add_option("--texts-file", flags->texts_file, "Texts, one a line");
  command
      ->add_option("--output", flags->output,
                   "FILE.npy, FILE.safetensors or FILE.jsonl; FILE.index.tsv says which row is whose")
      ->required();
  command->add_flag("--resume", flags->resume, "Keep the rows that an earlier run wrote");
  flags->model.add_to(*command);
  command->callback([flags, &chosen] { chosen = [flags] { return embed(*flags); }; });
}

}  // namespace mii
