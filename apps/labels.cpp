#include <cstdio>
#include <memory>

#include "commands.h"
#include "core/json_writer.h"
#include "labels/listing.h"
#include "output.h"

namespace mii {
namespace {

struct Flags {
  labels::Query query;
  bool json = false;
  bool quiet = false;
};

void print(const labels::Catalogue& catalogue, const labels::Entry& entry, size_t language, bool json) {
  if (json) {
    JsonWriter writer(JsonWriter::Style::spaced);
    labels::write_entry(writer, catalogue, entry, language);
    std::printf("%s\n", writer.finish().c_str());
  } else {
    const std::string prompt = catalogue.prompt(entry);
    const std::string label = catalogue.label(entry, language);
    print_line(label == prompt ? prompt : label + "  =  " + prompt);
  }
}

int list_labels(const Flags& flags) {
  const labels::Catalogue catalogue = labels::Catalogue::built_in();
  const labels::Listing listing = labels::list(catalogue, flags.query);
  for (const labels::Entry* entry : listing.entries) print(catalogue, *entry, listing.language, flags.json);
  if (!flags.quiet)
    say(std::to_string(listing.entries.size()) + " of " + std::to_string(catalogue.entries().size()) +
        " labels");
  return kOk;
}

}  // namespace

void add_labels(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("labels", "List labels that images may be scored against");
  command->add_option("--modality", flags->query.modality,
                      "Those of one modality, by its name in any language");
  command
      ->add_option("--language", flags->query.language,
                   "Language of the labels: en, zh, ja, ko, de, fr, es, pt, it, ru, ar")
      ->capture_default_str();
  command->add_option("--search", flags->query.search,
                      "Those that have all of these words in their names in any language");
  command->add_flag("--json", flags->json, "One JSON object a line, with all names of each part");
  command->add_flag("-q,--quiet", flags->quiet, "Do not say how many there are");
  command->callback([flags, &chosen] { chosen = [flags] { return list_labels(*flags); }; });
}

}  // namespace mii
