#include "eval_maps.h"

#include <cstdio>

#include "core/file.h"
#include "core/temporary_folder.h"
#include "core/utf8.h"
#include "dataset/manifest.h"
#include "interrupt.h"
#include "mii/error.h"
#include "outcome.h"
#include "output.h"
#include "weights/shuffled.h"

namespace mii {
namespace {

// The same model with its image tower's weights shuffled, which lies in this folder.
Engine open_shuffled(const ModelFlags& model, const std::filesystem::path& folder, uint64_t seed) {
  write_shuffled_model(model.folder(), folder, seed);
  ModelFlags shuffled = model;
  shuffled.model = folder.string();
  shuffled.quiet = true;
  return shuffled.open();
}

}  // namespace

void MapFlags::add_to(CLI::App& command) {
  CLI::Option* asked = command.add_flag(
      "--explain", explain,
      "Measure how well maps of scores point, in place of answers: canvases of images of several labels of "
      "--field [modality], curves of deletion and insertion, masks of a column `mask`, and shuffled weights");
  command.add_option("--canvases", measures.canvases, "Canvases of --explain")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  command.add_option("--curves", measures.images, "Images whose curves --explain draws")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  command.add_option("--masks", measures.rise_masks, "Masks of RISE for each image of --explain")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  for (const char* of_maps : {"--canvases", "--curves", "--masks"}) command.get_option(of_maps)->needs(asked);
  for (const char* of_answers : {"--tasks", "--number", "--retrieval", "--head", "--few-shot", "--repeats",
                                 "--neighbours-from", "-k", "--resamples", "--prevalence", "--subgroup",
                                 "--compare", "--compare-precision", "--margin", "--html"})
    asked->excludes(command.get_option(of_answers));
}

int evaluate_maps(const MapFlags& flags, const ModelFlags& model, const std::string& name,
                  const std::vector<std::string>& where, const std::vector<std::string>& fields,
                  const std::string& json) {
  if (fields.size() > 1) throw Error(ErrorCode::invalid_argument, "--explain asks about one --field");
  MapMeasureOptions options = flags.measures;
  if (!fields.empty()) options.field = fields.front();
  const Manifest manifest = Manifest::read(name, where);
  if (!manifest.has(options.field))
    throw Error(ErrorCode::invalid_argument, name + ": has no column '" + options.field + "'");
  const Engine engine = model.open();
  const TemporaryFolder folder;
  const Engine shuffled = open_shuffled(model, folder.path() / "model", options.seed);

  Progress progress(options.canvases + options.images, "images", model.quiet);
  options.cancelled = interrupted;
  options.progress = [&](size_t more) { progress.advance(more); };
  std::vector<pipeline::Failure> failures;
  const MapReport report = measure_maps(engine, shuffled, manifest, options, failures);
  std::fputs(printable_lines(to_table(report)).c_str(), stdout);
  if (!json.empty()) write_file(json, to_json(report));
  return mii::report(failures);
}

}  // namespace mii
