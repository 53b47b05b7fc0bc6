#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>

#include "commands.h"
#include "core/utf8.h"
#include "decode_flags.h"
#include "mii/error.h"
#include "model_flags.h"
#include "output.h"
#include "pipeline/identity.h"
#include "pipeline/origin.h"
#include "reports/draft.h"
#include "search/open.h"
#include "search/postgres.h"
#include "search/query.h"

namespace mii {
namespace {

struct Flags {
  std::string image;
  std::string collection;
  std::string text_column = "text";
  std::string filter;
  size_t k = 10;
  reports::DraftOptions draft;
  bool json = false;
  DecodeFlags decode;
  ModelFlags model;
};

Matrix query_of(const Flags& flags, const std::optional<Identity>& identity) {
  const DecodeOptions options = flags.decode.options();
  const Engine engine = flags.model.open_for(identity, pipeline::preprocessing_text(options));
  const Image image = Image::read(flags.image, options);
  return engine.encode_images({&image, 1});
}

// The image's patient, as the file says and as the collection has it.
std::set<std::string> patients_of(const std::string& image, search::Collection& collection) {
  std::set<std::string> patients{pipeline::origin_of(image).patient};
  const std::string ids[] = {image};
  for (const std::optional<search::Item>& item : collection.find(ids))
    if (item) patients.emplace(item->value("patient"));
  patients.erase("");
  return patients;
}

// The image itself may be an item of another id.
void leave_out_image(const std::string& image, const search::CollectionInfo& info,
                     search::SearchOptions& options) {
  options.leave_out = {image};
  if (std::ranges::find(info.columns, "path") == info.columns.end()) return;
  std::vector<search::Filter> all;
  if (options.filter) all.push_back(std::move(*options.filter));
  all.push_back(negation(search::equals("path", image)));
  options.filter = search::all_of(std::move(all));
}

int run(const Flags& flags) {
  check(flags.draft);
  const auto collection = search::open_collection(flags.collection);
  const search::CollectionInfo info = collection->info();
  if (std::ranges::find(info.columns, flags.text_column) == info.columns.end())
    throw Error(ErrorCode::invalid_argument, search::shown_name(flags.collection) + ": has no column '" +
                                                 flags.text_column + "' with reports");
  search::SearchOptions options{.k = flags.k, .threads = flags.model.threads};
  if (!flags.filter.empty()) options.filter = search::parse_filter(flags.filter);
  leave_out_image(flags.image, info, options);
  if (const auto patients = patients_of(flags.image, *collection); !patients.empty())
    search::leave_out_patients(patients, options);
  const Matrix query = query_of(flags, info.identity);
  const search::Answer answer = collection->search(query, options).front();
  const reports::Draft draft = draft_of(reports::reports_of(answer, flags.text_column), flags.draft);
  if (flags.json)
    print_line(to_json(draft));
  else
    std::fputs(printable_lines(to_text(draft)).c_str(), stdout);
  return kOk;
}

}  // namespace

void add_draft(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "draft",
      "Draft a report of an image from sentences of similar images' reports, each quoted with its source");
  command->add_option("image", flags->image, "Image or DICOM file; its own item and patient are no sources")
      ->required();
  command
      ->add_option("--collection", flags->collection,
                   "Folder of a collection whose items have reports, or postgresql://...")
      ->required();
  command->add_option("--text-column", flags->text_column, "Column with the reports")->capture_default_str();
  command->add_option("--filter", flags->filter, "Sources meet this: \"modality = 'X-Ray'\"");
  command->add_option("-k", flags->k, "Similar images that are looked at")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--least-support", flags->draft.least_support,
                   "Share of their reports that must say a sentence, in these or other words")
      ->check(CLI::Range(1e-6, 1.0))
      ->capture_default_str();
  command
      ->add_option("--least-reports", flags->draft.least_reports,
                   "With fewer reports than this there is not enough evidence")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "One JSON object");
  flags->decode.add_to(*command);
  flags->model.add_to(*command);
  command->callback([flags, &chosen] { chosen = [flags] { return run(*flags); }; });
}

}  // namespace mii
