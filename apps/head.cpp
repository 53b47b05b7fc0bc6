#include <cstdio>
#include <memory>

#include "commands.h"
#include "core/utf8.h"
#include "heads/head_file.h"

namespace mii {

void add_head(CLI::App& app, Command& chosen) {
  struct Flags {
    std::string head;
    bool json = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("head", "Look at a head that mii fit wrote")->require_subcommand(1);
  CLI::App* info = command->add_subcommand("info", "Say what a head answers, and how far to trust it");
  info->add_option("HEAD", flags->head, "The head's file")->required()->check(CLI::ExistingFile);
  info->add_flag("--json", flags->json, "One JSON object");
  info->callback([&chosen, flags] {
    chosen = [flags] {
      const heads::FittedHead head = heads::read_head(flags->head);
      if (flags->json)
        std::printf("%s\n", head_json(head.parts()).c_str());
      else
        std::fputs(printable_lines(head_card(head.parts())).c_str(), stdout);
      return static_cast<int>(kOk);
    };
  });
}

}  // namespace mii
