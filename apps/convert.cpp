#include "weights/convert.h"

#include <cstdio>
#include <memory>

#include "backend/precision.h"
#include "commands.h"
#include "output.h"
#include "text/clip_tokenizer.h"

namespace mii {

void add_convert(CLI::App& app, Command& chosen) {
  struct Flags {
    std::string model, out, dtype = "bf16";
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("convert", "Write a model folder again with weights of another type");
  command->add_option("MODEL", flags->model, "Model folder")->required();
  command->add_option("OUT", flags->out, "Folder to write")->required();
  command->add_option("--dtype", flags->dtype, "bf16 halves the disk space and the time to load")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  command->callback([flags, &chosen] {
    chosen = [flags] {
      const auto tokenizer = ClipTokenizer::load(ModelFolder::find(flags->model).tokenizer);
      convert_model(flags->model, tokenizer.vocabulary_size(), info_of(parse_precision(flags->dtype)).weights,
                    flags->out);
      print_line(flags->out + ": written with " + flags->dtype + " weights");
      return static_cast<int>(kOk);
    };
  });
}

}  // namespace mii
