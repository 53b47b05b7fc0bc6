#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>

#include "commands.h"
#include "core/number_text.h"
#include "core/utf8.h"
#include "embedding_file.h"
#include "inputs.h"
#include "interrupt.h"
#include "mii/error.h"
#include "model_flags.h"
#include "output.h"
#include "volume.h"

namespace mii {
namespace {

struct Flags {
  ModelFlags model;
  DecodeFlags decode;
  std::vector<std::string> images;
  std::vector<std::string> texts;
  std::string texts_file;
  std::string output;
  bool resume = false;
  bool provenance = false;
  bool volume = false;
  VolumeFlags volumes;
};

/// FILE.provenance.jsonl beside FILE: a line for each row, in the order in which they were computed.
class ProvenanceFile {
 public:
  ProvenanceFile(const std::string& output, bool resume)
      : path_(output + ".provenance.jsonl"), file_(path_, resume ? std::ios::app : std::ios::trunc) {
    if (!file_) throw Error(ErrorCode::io, path_ + ": cannot be written");
  }

  void add(const std::string& name, const Provenance* provenance) {
    if (provenance == nullptr) return;
    file_ << "{\"input\": " << json_text(name) << ", \"provenance\": " << provenance_json(*provenance)
          << "}\n";
    if (!file_.flush()) throw Error(ErrorCode::io, path_ + ": cannot be written");
  }

 private:
  std::string path_;
  std::ofstream file_;
};

void say_what_was_written(const Flags& flags, const Engine& engine, size_t rows, size_t inputs) {
  if (interrupted())
    say("interrupted; " + std::to_string(rows) + " of " + std::to_string(inputs) + " rows are in " +
        flags.output + ", --resume goes on");
  else if (!flags.model.quiet)
    std::fprintf(stderr, "%zu vectors of %zu values in %s\n", rows, engine.info().embedding_dim,
                 printable(flags.output).c_str());
}

int embed_images(const Flags& flags) {
  const FoundImages found = find_images(flags.images, flags.decode);
  const std::vector<ImageInput>& inputs = found.inputs;
  const Engine engine = flags.model.open();
  EmbeddingFile file(flags.output, engine.info().embedding_dim, flags.resume);
  std::optional<ProvenanceFile> provenance;
  if (flags.provenance) provenance.emplace(flags.output, flags.resume);
  std::vector<std::string> order;
  std::vector<ImageInput> missing;
  for (const ImageInput& input : inputs) {
    order.push_back(input.name());
    if (!file.has(order.back())) missing.push_back(input);
  }
  const auto sink = [&](const std::vector<size_t>& indices, const Matrix& vectors,
                        std::span<const Image> images) {
    std::vector<std::string> names;
    for (size_t i = 0; i < indices.size(); ++i) {
      names.push_back(missing[indices[i]].name());
      if (provenance) provenance->add(names.back(), images[i].provenance());
    }
    file.append(names, vectors);
  };
  auto failures = encode_image_files(engine, missing, flags.decode.options(), flags.model.quiet, sink);
  failures.insert(failures.end(), found.failures.begin(), found.failures.end());
  say_what_was_written(flags, engine, file.finish(order), order.size());
  return report(failures);
}

int embed_texts(const Flags& flags) {
  const std::vector<std::string> texts =
      flags.texts_file.empty() ? flags.texts : read_lines(flags.texts_file);
  const Engine engine = flags.model.open();
  EmbeddingFile file(flags.output, engine.info().embedding_dim, flags.resume);
  std::vector<std::string> missing;
  for (const std::string& text : texts)
    if (!file.has(text)) missing.push_back(text);
  const auto sink = [&](const std::vector<size_t>& indices, const Matrix& vectors, std::span<const Image>) {
    std::vector<std::string> names;
    for (const size_t i : indices) names.push_back(missing[i]);
    file.append(names, vectors);
  };
  const auto failures = encode_text_lines(engine, missing, flags.model.quiet, sink);
  say_what_was_written(flags, engine, file.finish(texts), texts.size());
  return report(failures);
}

int embed_volumes(const Flags& flags) {
  const std::vector<std::filesystem::path> paths(flags.images.begin(), flags.images.end());
  const DecodeOptions options = flags.decode.options();
  const SeriesScan scan = find_series(paths, options.plane);
  if (scan.series.empty())
    throw Error(ErrorCode::invalid_argument, "no DICOM series or NIfTI volume was found");
  const Engine engine = flags.model.open();
  EmbeddingFile file(flags.output, engine.info().embedding_dim, flags.resume);
  std::optional<EmbeddingFile> slices;
  if (!flags.volumes.slice_vectors.empty())
    slices.emplace(flags.volumes.slice_vectors, engine.info().embedding_dim, flags.resume);
  std::optional<ProvenanceFile> provenance;
  if (flags.provenance) provenance.emplace(flags.output, flags.resume);

  std::vector<Failure> failures;
  std::vector<std::string> order, slice_order;
  for (const Series& series : scan.series) {
    order.push_back(name_of(series));
    const std::vector<Slice> chosen = chosen_slices(series.slices, flags.volumes);
    for (const Slice& slice : chosen) slice_order.push_back(name_of(slice));
    const bool slices_kept = !slices || std::ranges::all_of(chosen, [&](const Slice& slice) {
      return slices->has(name_of(slice));
    });
    if (interrupted() || (file.has(order.back()) && slices_kept)) continue;
    if (!flags.model.quiet)
      for (const std::string& warning : series.warnings) say("warning: " + order.back() + ": " + warning);
    EncodedSeries encoded = encode_series(engine, chosen, options, flags.model.quiet);
    failures.insert(failures.end(), encoded.failures.begin(), encoded.failures.end());
    if (interrupted() || encoded.names.empty()) continue;
    if (slices) slices->append(encoded.names, encoded.vectors);
    if (provenance) provenance->add(order.back(), encoded.provenance.get());
    if (!file.has(order.back()))
      file.append({order.back()}, pool_slices(encoded.vectors, pooling_of(flags.volumes)));
  }
  for (const SkippedFile& skipped : scan.skipped) failures.push_back({skipped.file.string(), skipped.reason});
  if (slices) slices->finish(slice_order);
  say_what_was_written(flags, engine, file.finish(order), order.size());
  return report(failures);
}

int embed(const Flags& flags) {
  if (flags.images.empty()) return embed_texts(flags);
  return flags.volume ? embed_volumes(flags) : embed_images(flags);
}

}  // namespace

void add_embed(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("embed", "Write the vectors of pictures or texts");
  auto* inputs = command->add_option_group("inputs")->require_option(1);
  inputs->add_option("--images", flags->images, "Pictures, DICOM, NIfTI, or folders of them");
  inputs->add_option("--texts", flags->texts, "Texts");
  inputs->add_option("--texts-file", flags->texts_file, "Texts, one a line");
  command
      ->add_option("--output", flags->output,
                   "FILE.npy, FILE.safetensors or FILE.jsonl; FILE.index.tsv says which row is whose")
      ->required();
  command->add_flag("--resume", flags->resume, "Keep the rows that an earlier run wrote");
  command->add_flag("--provenance", flags->provenance,
                    "Write FILE.provenance.jsonl: how each file became the picture that was encoded");
  flags->decode.add_to(*command);
  command->add_flag("--volume", flags->volume,
                    "One vector for each DICOM series or NIfTI volume, named by its first slice");
  flags->volumes.add_to(*command);
  flags->model.add_to(*command);
  command->callback([flags, &chosen] { chosen = [flags] { return embed(*flags); }; });
}

}  // namespace mii
