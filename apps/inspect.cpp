#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "commands.h"
#include "core/file.h"
#include "core/json_writer.h"
#include "core/reason.h"
#include "core/utf8.h"
#include "image/encode_png.h"
#include "image/preprocess.h"
#include "image_flags.h"
#include "interrupt.h"
#include "mii/error.h"
#include "mii/series.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/open_files.h"
#include "pipeline/provenance.h"
#include "pipeline/series_reader.h"
#include "weights/config.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using pipeline::ImageInput;
using pipeline::name_of;
using pipeline::short_number;

struct Flags {
  ImageFlags images;
  std::string model;
  fs::path png;
  bool full_size = false;
  bool json = false;
  bool phi = false;
};

/// The description of a file or a series, as a table or as JSON.
class Description {
 public:
  Description(const char* kind, const std::string& title) { json_.begin_object().member(kind, title); }

  void add(const char* name, const std::string& value) {
    if (!value.empty()) add(name, value, value);
  }
  void add(const char* name, size_t value) { add(name, std::to_string(value), value); }
  // The form for people (empty: JSON only), and what JSON says.
  template <typename Value>
  void add(const char* name, const std::string& text, const Value& value) {
    lines_.push_back({name, text});
    json_.member(name, value);
  }

  void print_table(const std::string& title) const {
    print_line(title);
    for (const Line& line : lines_)
      if (!line.text.empty()) std::printf("  %-26s %s\n", line.name.c_str(), printable(line.text).c_str());
  }
  // To be called once, at the end.
  void print_json() { std::printf("%s\n", json_.end_object().finish().c_str()); }

 private:
  struct Line {
    std::string name, text;
  };
  std::vector<Line> lines_;
  JsonWriter json_{JsonWriter::Style::spaced};
};

std::string bits_text(const DicomInfo& info) {
  return std::to_string(info.bits_stored) + " of " + std::to_string(info.bits_allocated) + " bits, " +
         (info.is_signed ? "signed" : "unsigned");
}

std::string windows_text(const std::vector<VoiWindow>& windows) {
  std::string text;
  for (const VoiWindow& w : windows)
    text += (text.empty() ? "" : ", ") + short_number(w.center) + "/" + short_number(w.width);
  return text;
}

std::vector<std::array<double, 2>> centers_and_widths(const std::vector<VoiWindow>& windows) {
  std::vector<std::array<double, 2>> pairs;
  for (const VoiWindow& w : windows) pairs.push_back({w.center, w.width});
  return pairs;
}

void describe_dicom(const DicomFile& file, const Flags& flags, Description& description) {
  const DicomInfo& info = file.info();
  const DicomFrameInfo frame = file.frame_info(0);
  description.add("sop_class", info.sop_class);
  description.add("modality", info.modality);
  description.add("body_part", info.body_part);
  description.add("bits", bits_text(info));
  if (!frame.windows.empty())
    description.add("windows", windows_text(frame.windows), centers_and_widths(frame.windows));
  if (!frame.voi_tables.empty()) description.add("voi_lut_tables", frame.voi_tables.size());
  if (frame.has_modality_table) description.add("modality_lut", "yes", true);
  if (info.lossy) description.add("lossy_compressed", "yes", true);
  if (info.burned_in_annotation)
    description.add("burned_in_annotation", "YES: the pixels may name the patient", true);
  if (!flags.phi) return;
  for (const auto& [name, value] : file.identifying_attributes()) description.add(name.c_str(), value);
}

void describe_nifti(const NiftiVolume& volume, Description& description) {
  const NiftiInfo& info = volume.info();
  std::string dims, spacing;
  for (const uint64_t d : info.dims) dims += (dims.empty() ? "" : " x ") + std::to_string(d);
  for (const double s : info.spacing_mm) spacing += (spacing.empty() ? "" : " x ") + short_number(s);
  description.add("dimensions", dims);
  description.add("datatype", info.datatype);
  description.add("spacing_mm", spacing);
  description.add("orientation",
                  info.orientation + (info.orientation_known ? "" : " (not given by the file)"));
}

// Of what was decoded: how the middle frame, or the one asked for, is shown.
void describe_image(const Provenance& p, Description& description) {
  description.add("format", p.format + (p.transfer_syntax.empty() ? "" : ", " + p.transfer_syntax), p.format);
  description.add("transfer_syntax", "", p.transfer_syntax);
  description.add("photometric_interpretation", p.photometric_interpretation);
  description.add("size", std::to_string(p.width) + " x " + std::to_string(p.height),
                  std::array{p.width, p.height});
  description.add("frames", p.frames);
  if (p.rescale)
    description.add("rescale",
                    short_number(p.rescale->first) + " * stored + " + short_number(p.rescale->second),
                    std::array{p.rescale->first, p.rescale->second});
  description.add("shown",
                  pipeline::mapping_text(p) + (p.profile.empty() ? "" : " (profile " + p.profile + ")"),
                  RawJson{pipeline::provenance_json(p)});
}

// The model's input size, without loading its weights.
Image as_the_model_sees_it(const Image& image, const Flags& flags) {
  const ModelFolder folder =
      ModelFolder::find(flags.model.empty() ? built_in_model() : fs::path(flags.model));
  const ModelConfig config = ModelConfig::read(folder.config);
  return resize_bicubic(image, static_cast<size_t>(config.image.width),
                        static_cast<size_t>(config.image.height));
}

void write_png(const Image& image, const ImageInput& input, size_t number, size_t inputs,
               const Flags& flags) {
  fs::path path = flags.png;
  if (inputs > 1) {
    fs::create_directories(flags.png);
    path /= std::to_string(number + 1) + "-" + fs::path(input.name()).filename().string() + ".png";
  }
  AtomicFile file(path);
  file.write(flags.full_size ? encode_png(image) : encode_png(as_the_model_sees_it(image, flags)));
  file.commit();
}

void inspect_file(pipeline::OpenFiles& files, const ImageInput& input, const Flags& flags, size_t number,
                  size_t inputs) {
  DecodeOptions options = flags.images.decode.options();
  if (input.frame) options.frame = input.frame;
  Description description("file", input.name());
  const auto source = files.open(input.path);
  const Image image = files.image(input.path, options);
  describe_image(*image.provenance(), description);
  if (source->nifti() != nullptr) describe_nifti(*source->nifti(), description);
  if (source->dicom() != nullptr) describe_dicom(*source->dicom(), flags, description);
  flags.json ? description.print_json() : description.print_table(input.name());
  if (!flags.png.empty()) write_png(image, input, number, inputs, flags);
}

std::string positions_text(const Series& series) {
  const auto& first = series.slices.front().position_mm;
  const auto& last = series.slices.back().position_mm;
  if (!first || !last) return "";
  return short_number(*first) + " to " + short_number(*last) + " mm";
}

void print_series(const Series& series, const Flags& flags) {
  Description description("series", name_of(series));
  description.add("modality", series.modality);
  description.add("body_part", series.body_part);
  if (series.number != 0) description.add("series_number", static_cast<size_t>(std::max(0, series.number)));
  description.add("slices", series.slices.size());
  description.add("size", std::to_string(series.cols) + " x " + std::to_string(series.rows),
                  std::array{series.cols, series.rows});
  description.add("positions", positions_text(series));
  std::string warnings;
  for (const std::string& warning : series.warnings) warnings += (warnings.empty() ? "" : "; ") + warning;
  description.add("warnings", warnings, series.warnings);
  std::vector<std::string> files;
  for (const Slice& slice : series.slices) files.push_back(name_of(slice));
  description.add("order", "", files);
  if (flags.phi) {
    description.add("StudyInstanceUID", series.study_instance_uid);
    description.add("SeriesInstanceUID", series.series_instance_uid);
  }
  flags.json ? description.print_json() : description.print_table("series " + name_of(series));
}

std::vector<pipeline::Failure> inspect_series(const std::vector<fs::path>& folders, const Flags& flags) {
  const SeriesScan scan = find_series(folders, flags.images.decode.options().plane);
  for (const Series& series : scan.series) print_series(series, flags);
  std::vector<pipeline::Failure> failures;
  for (const SkippedFile& skipped : scan.skipped) failures.push_back({skipped.file.string(), skipped.reason});
  return failures;
}

int inspect(const Flags& flags) {
  std::vector<fs::path> folders;
  std::vector<std::string> files;
  for (const std::string& path : flags.images.all_paths()) {
    std::error_code error;
    if (fs::is_directory(path, error) || fs::path(path).filename() == "DICOMDIR")
      folders.push_back(path);
    else
      files.push_back(path);
  }
  std::vector<pipeline::Failure> failures;
  if (!folders.empty()) failures = inspect_series(folders, flags);
  // With --png a folder's images are written one by one.
  if (!flags.png.empty())
    for (const fs::path& folder : folders) files.push_back(folder.string());
  pipeline::FoundImages found;
  if (!files.empty()) found = pipeline::find_images(files);
  const DecodeOptions options = flags.images.decode.options();
  const std::vector<ImageInput> inputs =
      flags.images.decode.all_frames() ? with_all_frames(found.inputs, options) : found.inputs;
  pipeline::OpenFiles open_files(options.limits);
  failures.insert(failures.end(), found.failures.begin(), found.failures.end());
  for (size_t i = 0; i < inputs.size() && !interrupted(); ++i) {
    try {
      inspect_file(open_files, inputs[i], flags, i, inputs.size());
    } catch (const Error& error) {
      if (error.code() == ErrorCode::invalid_argument || error.code() == ErrorCode::invalid_model) throw;
      failures.push_back({inputs[i].name(), error.what()});
    } catch (const std::exception& error) {
      failures.push_back({inputs[i].name(), reason_of(error)});
    }
    expect_printed();
  }
  return report(failures);
}

}  // namespace

void add_inspect(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "inspect", "Say what files are and how they are shown to the model; of folders, the series in them");
  flags->images.add_to(*command, "paths");
  command->add_option("--png", flags->png,
                      "Write the image that the model would see; for several files, a folder of images");
  command->add_flag("--full-size", flags->full_size, "With --png: before the resize to the model's input");
  command->add_option("--model", flags->model, "Whose input size --png takes [the built-in model]")
      ->envname("MII_MODEL");
  command->add_flag("--json", flags->json, "One JSON object a line");
  command->add_flag("--phi", flags->phi, "Print what identifies the patient, too: names, ids, dates, UIDs");
  command->callback([flags, &chosen] {
    flags->images.expect_any();
    chosen = [flags] { return inspect(*flags); };
  });
}

}  // namespace mii
