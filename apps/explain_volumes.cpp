#include "explain_volumes.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>

#include "core/file.h"
#include "core/json_writer.h"
#include "core/utf8.h"
#include "eval/plots.h"
#include "interrupt.h"
#include "mii/error.h"
#include "mii/series.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/encode_tokens.h"
#include "pipeline/map_files.h"
#include "pipeline/series_reader.h"

namespace mii {
namespace {

using maps::Explained;

constexpr size_t kTopSlices = 3;  // of each label, whose maps are written

struct ExplainedSlice {
  Explained explained;
  Image canvas;
};

/// The slices of one series: all scores, and of each label the slices that score highest.
class Curve {
 public:
  Curve(const maps::Question& question, const std::vector<Slice>& slices)
      : question_(question), slices_(slices), scores_(question.labels.size()), top_(scores_.size()) {}

  void add(size_t slice, Explained explained, const Image& canvas) {
    rows_.push_back(slice);
    for (size_t k = 0; k < scores_.size(); ++k) {
      scores_[k].push_back(explained.score(k));
      std::vector<std::pair<double, size_t>>& top = top_[k];
      top.emplace_back(-explained.score(k), slice);
      std::ranges::sort(top);
      if (top.size() > kTopSlices) top.pop_back();
    }
    if (is_top(slice)) kept_.emplace(slice, ExplainedSlice{std::move(explained), copy_of(canvas)});
    std::erase_if(kept_, [this](const auto& kept) { return !is_top(kept.first); });
  }

  bool empty() const { return rows_.empty(); }
  const std::map<size_t, ExplainedSlice>& kept() const { return kept_; }
  size_t highest(size_t k) const { return top_[k].front().second; }
  double highest_score(size_t k) const { return -top_[k].front().first; }

  std::string json(const std::string& name) const {
    JsonWriter json(JsonWriter::Style::spaced);
    json.begin_object().member("series", name).key("slices").begin_array();
    for (const size_t row : rows_) {
      json.begin_object().member("slice", row + 1).member("name", pipeline::name_of(slices_[row]));
      json.key("position_mm");
      slices_[row].position_mm ? json.value(*slices_[row].position_mm) : json.value(nullptr);
      json.end_object();
    }
    json.end_array().key("labels").begin_array();
    for (size_t k = 0; k < scores_.size(); ++k) {
      json.begin_object().member("label", question_.labels[k]).member("scores", scores_[k]);
      json.key("top").begin_array();
      for (const auto& [score, slice] : top_[k]) json.value(slice + 1);
      json.end_array().end_object();
    }
    return json.end_array().end_object().finish();
  }

  std::string svg(const std::string& name) const {
    Axes axes{.title = name, .x = "slice", .y = "score", .x_low = 1, .x_high = 2};
    axes.x_high = std::max(2.0, static_cast<double>(slices_.size()));
    axes.y_low = axes.y_high = scores_[0][0];
    std::vector<Line> lines;
    for (size_t k = 0; k < scores_.size(); ++k) {
      lines.push_back({.name = question_.labels[k], .colour = colour_of(k), .points = {}});
      for (size_t i = 0; i < rows_.size(); ++i) {
        const double score = scores_[k][i];
        lines.back().points.emplace_back(static_cast<double>(rows_[i] + 1), score);
        axes.y_low = std::min(axes.y_low, score);
        axes.y_high = std::max(axes.y_high, score);
      }
    }
    if (axes.y_high == axes.y_low) axes.y_high += 1;
    constexpr std::string_view kOpens = "<svg ";
    std::string svg = plot_svg(axes, lines);
    svg.replace(0, kOpens.size(), R"(<svg xmlns="http://www.w3.org/2000/svg" )");
    return svg + "\n";
  }

 private:
  static Image copy_of(const Image& image) {
    Image copy = Image::from_rgb(image.width(), image.height(), image.pixels());
    copy.set_provenance(image.shared_provenance());
    return copy;
  }
  bool is_top(size_t slice) const {
    return std::ranges::any_of(top_, [&](const auto& top) {
      return std::ranges::any_of(top, [&](const auto& entry) { return entry.second == slice; });
    });
  }

  const maps::Question& question_;
  const std::vector<Slice>& slices_;
  std::vector<size_t> rows_;                                 // the slices that could be read
  std::vector<std::vector<double>> scores_;                  // [K], of rows_
  std::vector<std::vector<std::pair<double, size_t>>> top_;  // [K]: less the score, and the slice
  std::map<size_t, ExplainedSlice> kept_;
};

void print_table(const std::string& name, const Curve& curve, const maps::Question& question, size_t slices) {
  print_line(name + ": " + std::to_string(slices) + " slices");
  std::printf("  %9s %9s  label\n", "highest", "in slice");
  for (size_t k = 0; k < question.labels.size(); ++k)
    std::printf("  %9.4f %9zu  %s\n", curve.highest_score(k), curve.highest(k) + 1,
                printable(question.labels[k]).c_str());
}

void write_curve(pipeline::MapFiles& files, const pipeline::MapFiles::Source& source, const Series& series,
                 const Curve& curve) {
  const std::string stem = files.stem(source);
  write_file(files.folder() / (stem + ".curve.json"), curve.json(source.name) + "\n");
  write_file(files.folder() / (stem + ".curve.svg"), curve.svg(source.name));
  for (const auto& [row, slice] : curve.kept()) {
    const std::string name = source.name + ".slice" + std::to_string(row + 1);
    files.write({source.index, name, series.slices[row].file}, slice.canvas, slice.explained);
  }
}

}  // namespace

int explain_volumes(const VolumeQuestion& asked) {
  const std::vector<std::filesystem::path> paths(asked.paths.begin(), asked.paths.end());
  const SeriesScan scan = find_series(paths, asked.decode.plane);
  std::vector<pipeline::Failure> failures;
  for (const SkippedFile& skipped : scan.skipped) failures.push_back({skipped.file.string(), skipped.reason});
  if (scan.series.empty() && failures.empty())
    throw Error(ErrorCode::invalid_argument, "no DICOM series or NIfTI volume was found");
  const ScoreSplitter splitter = asked.engine.splitter(asked.question.directions());
  std::optional<pipeline::MapFiles> files;
  if (!asked.out.empty()) files.emplace(asked.out);
  for (size_t s = 0; s < scan.series.size() && !interrupted(); ++s) {
    const Series& series = scan.series[s];
    const pipeline::MapFiles::Source source{s, pipeline::name_of(series), series.slices.front().file};
    for (const std::string& warning : series.warnings)
      if (!asked.quiet) say("warning: " + source.name + ": " + warning);
    Progress progress(series.slices.size(), "images", asked.quiet);
    pipeline::SeriesReader reader(series.slices, asked.decode);
    reader.prepare();
    Curve curve(asked.question, series.slices);
    const auto failed =
        encode_image_tokens(asked.engine, reader.images(), read_options(progress),
                            [&](size_t i, const ImageTokens& tokens, const Image& canvas) {
                              curve.add(i, Explained(asked.question, splitter.split(tokens)), canvas);
                            });
    failures.insert(failures.end(), failed.begin(), failed.end());
    if (curve.empty()) continue;  // each slice has said why
    asked.json ? print_line(curve.json(source.name))
               : print_table(source.name, curve, asked.question, series.slices.size());
    if (files) write_curve(*files, source, series, curve);
    expect_printed();
  }
  return report(failures);
}

}  // namespace mii
