#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>

#include "commands.h"
#include "core/json_writer.h"
#include "core/utf8.h"
#include "image_flags.h"
#include "interrupt.h"
#include "mii/error.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/identity.h"
#include "pipeline/provenance.h"
#include "pipeline/series_reader.h"
#include "pipeline/vector_file.h"
#include "volume_flags.h"

namespace mii {
namespace {

using pipeline::VectorFile;
using pipeline::VectorSource;

struct Flags {
  ModelFlags model;
  ImageFlags images;
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
    JsonWriter json(JsonWriter::Style::spaced);
    json.begin_object().member("input", name);
    json.member("provenance", RawJson{pipeline::provenance_json(*provenance)}).end_object();
    file_ << json.finish() << '\n';
    if (!file_.flush()) throw Error(ErrorCode::io, path_ + ": cannot be written");
  }

 private:
  std::string path_;
  std::ofstream file_;
};

void say_what_was_written(const Flags& flags, const Engine& engine, size_t rows, size_t inputs) {
  if (interrupted())
    say("interrupted; " + std::to_string(rows) + " of " + std::to_string(inputs) + " rows are in " +
        flags.output + ", --resume continues");
  else if (!flags.model.quiet)
    std::fprintf(stderr, "%zu vectors of %zu values in %s\n", rows, engine.info().embedding_dim,
                 printable(flags.output).c_str());
}

// The vector of a file depends on what is in it.
VectorSource source_of(const std::string& name, const std::filesystem::path& file) {
  return {name, pipeline::state_of({&file, 1})};
}

VectorFile open_output(const Flags& flags, const std::string& path, const Engine& engine,
                       const std::string& preprocessing) {
  return {path,
          {.dim = engine.info().embedding_dim,
           .identity = engine.identity(preprocessing),
           .resume = flags.resume}};
}

int embed_images(const Flags& flags) {
  const pipeline::FoundImages found = flags.images.find();
  const Engine engine = flags.model.open();
  VectorFile file =
      open_output(flags, flags.output, engine, pipeline::preprocessing_text(flags.images.decode.options()));
  std::optional<ProvenanceFile> provenance;
  if (flags.provenance) provenance.emplace(flags.output, flags.resume);
  std::vector<VectorSource> order, missing_sources;
  std::vector<pipeline::ImageInput> missing;
  for (const pipeline::ImageInput& input : found.inputs) {
    order.push_back(source_of(input.name(), input.path));
    if (file.has(order.back())) continue;
    missing.push_back(input);
    missing_sources.push_back(order.back());
  }
  const auto sink = [&](const std::vector<size_t>& indices, const Matrix& vectors,
                        std::span<const Image> images) {
    std::vector<VectorSource> sources;
    for (size_t i = 0; i < indices.size(); ++i) {
      sources.push_back(missing_sources[indices[i]]);
      if (provenance) provenance->add(sources.back().input, images[i].provenance());
    }
    file.append(sources, vectors);
  };
  Progress progress(missing.size(), "images", flags.model.quiet);
  auto failures = encode_images(engine, flags.images.sequence(missing), read_options(progress), sink);
  failures.insert(failures.end(), found.failures.begin(), found.failures.end());
  say_what_was_written(flags, engine, file.finish(order), order.size());
  return report(failures);
}

int embed_texts(const Flags& flags) {
  const std::vector<std::string> texts =
      flags.texts_file.empty() ? flags.texts : pipeline::read_lines(flags.texts_file);
  const Engine engine = flags.model.open();
  VectorFile file = open_output(flags, flags.output, engine, "");
  std::vector<std::string> missing;
  std::vector<VectorSource> order;
  for (const std::string& text : texts) {
    order.push_back({text, std::nullopt});
    if (!file.has(order.back())) missing.push_back(text);
  }
  const auto sink = [&](const std::vector<size_t>& indices, const Matrix& vectors, std::span<const Image>) {
    std::vector<VectorSource> sources;
    for (const size_t i : indices) sources.push_back({missing[i], std::nullopt});
    file.append(sources, vectors);
  };
  Progress progress(missing.size(), "texts", flags.model.quiet);
  const auto failures = encode_texts(engine, missing, read_options(progress), sink);
  say_what_was_written(flags, engine, file.finish(order), order.size());
  return report(failures);
}

VectorSource source_of(const Series& series) {
  std::vector<std::filesystem::path> files;
  for (const Slice& slice : series.slices)
    if (files.empty() || files.back() != slice.file) files.push_back(slice.file);
  return {pipeline::name_of(series), pipeline::state_of(files)};
}

// One series after another into the files of vectors.
class VolumeEmbedding {
 public:
  explicit VolumeEmbedding(const Flags& flags)
      : flags_(flags),
        decode_(flags.images.decode.options()),
        engine_(flags.model.open()),
        file_(open_output(flags, flags.output, engine_, preprocessing() + "; pool " + flags.volumes.pool)) {
    if (!flags.volumes.slice_vectors.empty())
      slice_file_.emplace(open_output(flags, flags.volumes.slice_vectors, engine_, preprocessing()));
    if (flags.provenance) provenance_.emplace(flags.output, flags.resume);
  }

  void add(const Series& series) {
    order_.push_back(source_of(series));
    const std::vector<Slice> chosen = flags_.volumes.chosen(series.slices);
    const size_t first = slice_order_.size();
    for (const Slice& slice : chosen) slice_order_.push_back(source_of(pipeline::name_of(slice), slice.file));
    const bool slices_kept =
        !slice_file_ ||
        std::all_of(slice_order_.begin() + static_cast<std::ptrdiff_t>(first), slice_order_.end(),
                    [&](const VectorSource& source) { return slice_file_->has(source); });
    if (interrupted() || (file_.has(order_.back()) && slices_kept)) return;
    if (!flags_.model.quiet)
      for (const std::string& warning : series.warnings)
        say("warning: " + order_.back().input + ": " + warning);
    encode(chosen);
  }

  int finish(const SeriesScan& scan) {
    for (const SkippedFile& skipped : scan.skipped)
      failures_.push_back({skipped.file.string(), skipped.reason});
    if (slice_file_) slice_file_->finish(slice_order_);
    say_what_was_written(flags_, engine_, file_.finish(order_), order_.size());
    return report(failures_);
  }

 private:
  std::string preprocessing() const {
    return pipeline::preprocessing_text(decode_) + "; series; slices " + flags_.volumes.slices;
  }

  void encode(const std::vector<Slice>& slices) {
    Progress progress(slices.size(), "images", flags_.model.quiet);
    const pipeline::EncodedSeries encoded = encode_series(engine_, slices, decode_, read_options(progress));
    failures_.insert(failures_.end(), encoded.failures.begin(), encoded.failures.end());
    if (interrupted() || encoded.rows.empty()) return;
    if (slice_file_) {
      const auto first = slice_order_.end() - static_cast<std::ptrdiff_t>(slices.size());
      std::vector<VectorSource> sources;
      for (const size_t row : encoded.rows) sources.push_back(first[static_cast<std::ptrdiff_t>(row)]);
      slice_file_->append(sources, encoded.vectors);
    }
    if (provenance_) provenance_->add(order_.back().input, encoded.provenance.get());
    if (!file_.has(order_.back()))
      file_.append({order_.back()}, pool_slices(encoded.vectors, flags_.volumes.pooling()));
  }

  const Flags& flags_;
  const DecodeOptions decode_;
  const Engine engine_;
  VectorFile file_;
  std::optional<VectorFile> slice_file_;
  std::optional<ProvenanceFile> provenance_;
  std::vector<VectorSource> order_, slice_order_;
  std::vector<pipeline::Failure> failures_;
};

int embed_volumes(const Flags& flags) {
  const std::vector<std::string> named = flags.images.all_paths();
  const std::vector<std::filesystem::path> paths(named.begin(), named.end());
  const SeriesScan scan = find_series(paths, flags.images.decode.options().plane);
  if (scan.series.empty())
    throw Error(ErrorCode::invalid_argument, "no DICOM series or NIfTI volume was found");
  VolumeEmbedding embedding(flags);
  for (const Series& series : scan.series) embedding.add(series);
  return embedding.finish(scan);
}

int embed(const Flags& flags) {
  if (!flags.images.any()) return embed_texts(flags);
  return flags.volume ? embed_volumes(flags) : embed_images(flags);
}

}  // namespace

void add_embed(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("embed", "Write the vectors of images or texts");
  flags->images.add_to(*command, "--images");
  auto* texts = command->add_option("--texts", flags->texts, "Texts");
  auto* texts_file =
      command->add_option("--texts-file", flags->texts_file, "Texts, one a line; -: standard input");
  texts->excludes(texts_file);
  command
      ->add_option(
          "--output", flags->output,
          "FILE.npy, FILE.safetensors or FILE.jsonl; FILE.index.tsv says which input each row belongs to, "
          "FILE.identity.json by what they were made")
      ->required();
  command->add_flag("--resume", flags->resume,
                    "Keep the rows that an earlier run wrote, of files that have not changed since");
  command->add_flag("--provenance", flags->provenance,
                    "Write FILE.provenance.jsonl: how each file became the image that was encoded");
  command->add_flag("--volume", flags->volume,
                    "One vector for each DICOM series or NIfTI volume, named by its first slice");
  flags->volumes.add_to(*command);
  flags->model.add_to(*command);
  command->callback([flags, texts, texts_file, &chosen] {
    const bool of_texts = !texts->empty() || !texts_file->empty();
    if (of_texts && flags->images.any()) throw CLI::ExcludesError("Images", "--texts and --texts-file");
    if (!of_texts) flags->images.expect_any();
    chosen = [flags] { return embed(*flags); };
  });
}

}  // namespace mii
