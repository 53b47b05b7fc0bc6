#include <algorithm>
#include <cstdio>
#include <memory>

#include "commands.h"
#include "core/file.h"
#include "core/json_writer.h"
#include "core/reason.h"
#include "core/utf8.h"
#include "heads/head_file.h"
#include "image/encode_png.h"
#include "image_flags.h"
#include "interrupt.h"
#include "labels/reading.h"
#include "map_overlay.h"
#include "mii/error.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/identity.h"
#include "pipeline/open_files.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

struct Flags {
  ModelFlags model;
  ImageFlags images;
  std::vector<std::string> labels;
  std::string head;
  std::string versus;
  fs::path out;
  bool json = false;
};

/// What is asked about each image.
struct Question {
  std::vector<std::string> labels;  ///< K
  Matrix scored;                    ///< [K, D]: the scores' directions
  std::vector<double> intercepts;   ///< [K]: what a head adds to them
  Matrix shown;                     ///< [K, D]: the directions whose maps are shown
  std::string contrast;             ///< what these are the scores' directions less
};

[[noreturn]] void refuse(const std::string& sentence) { throw Error(ErrorCode::invalid_argument, sentence); }

Matrix some_rows(const Matrix& from, size_t first, size_t n) {
  Matrix rows(n, from.cols());
  std::ranges::copy(from.values().subspan(first * from.cols(), n * from.cols()), rows.values().begin());
  return rows;
}

Matrix stacked(const Matrix& top, const Matrix& bottom) {
  Matrix both(top.rows() + bottom.rows(), top.cols());
  std::ranges::copy(bottom.values(), std::ranges::copy(top.values(), both.values().begin()).out);
  return both;
}

// "A and not B": the difference of the directions, for every A but B itself.
Question against(const std::string& versus, const Question& all) {
  const size_t b = static_cast<size_t>(std::ranges::find(all.labels, versus) - all.labels.begin());
  if (b == all.labels.size()) refuse("--versus " + versus + ": no such label");
  Question question{.contrast = versus};
  Matrix differences(all.labels.size() - 1, all.scored.cols());
  for (size_t k = 0; k < all.labels.size(); ++k) {
    if (k == b) continue;
    const std::span<float> row = differences.row(question.labels.size());
    std::ranges::transform(all.scored.row(k), all.scored.row(b), row.begin(), std::minus{});
    if (std::ranges::all_of(row, [](float v) { return v == 0; }))
      refuse("'" + all.labels[k] + "' and '" + versus + "' are the same to this model");
    question.labels.push_back(all.labels[k] + " and not " + versus);
    question.intercepts.push_back(all.intercepts[k] - all.intercepts[b]);
  }
  if (question.labels.empty()) refuse("--versus " + versus + ": there is no other label");
  question.shown = differences.clone();
  question.scored = std::move(differences);
  return question;
}

// One label alone has no others to be compared with: the modalities of the catalogue stand in for them.
Matrix less_modalities(const Engine& engine, const labels::Catalogue& catalogue, const Matrix& label) {
  std::vector<std::string> modalities;
  for (const labels::Concept& named : catalogue.concepts())
    if (named.kind == labels::Kind::modality) modalities.push_back(named.prompt);
  return some_rows(contrasted(stacked(label, engine.encode_texts(modalities))), 0, 1);
}

Question ask_labels(const Flags& flags, const Engine& engine) {
  const labels::Catalogue catalogue = labels::Catalogue::built_in();
  std::vector<std::string> asked = flags.labels;
  if (!flags.versus.empty() && std::ranges::find(asked, flags.versus) == asked.end())
    asked.push_back(flags.versus);
  const labels::Reading reading = labels::read_labels(catalogue, asked);
  for (const std::string& warning : reading.warnings) say(warning);
  ClassifyOptions options;
  options.prompts = reading.prompts;
  Question question{.labels = asked,
                    .scored = engine.zero_shot_head(asked, options).label_vectors().clone(),
                    .intercepts = std::vector<double>(asked.size()),
                    .contrast = "the mean of the labels"};
  if (!flags.versus.empty()) return against(flags.versus, question);
  if (asked.size() > 1) {
    question.shown = contrasted(question.scored);
  } else {
    question.shown = less_modalities(engine, catalogue, question.scored);
    question.contrast = "the catalogue's modalities";
  }
  return question;
}

Question ask_head(const Flags& flags, const Engine& engine) {
  const heads::FittedHead head = heads::read_head(flags.head);
  for (const std::string& difference :
       head.expect_made_alike(engine.identity(pipeline::preprocessing_text(flags.images.decode.options()))))
    if (!flags.model.quiet) say("warning: the head was fitted to vectors of another making: " + difference);
  const heads::HeadParts& parts = head.parts();
  if (parts.voters)
    refuse(flags.head +
           ": its neighbours vote, so its scores are no sum over the image; heads of the other kinds "
           "have such sums");
  Question question{.labels = parts.labels, .scored = Matrix(parts.labels.size(), head.dim())};
  for (size_t k = 0; k < parts.labels.size(); ++k) {
    const std::span<const double> row = parts.coefficients.row(k);
    std::ranges::transform(row.first(head.dim()), question.scored.row(k).begin(),
                           [](double v) { return static_cast<float>(v); });
    question.intercepts.push_back(row[head.dim()]);
  }
  if (!flags.versus.empty()) return against(flags.versus, question);
  const bool compared = parts.answer == heads::Answer::one && parts.labels.size() > 1;
  question.contrast = compared ? "the mean of the labels" : "nothing";
  question.shown = compared ? contrasted(question.scored) : question.scored.clone();
  return question;
}

/// What is said of one image. Rows k of the maps are the scores', rows K + k the shown ones.
struct Explained {
  std::string name;
  const Question& question;
  const TokenMaps& maps;

  size_t labels() const { return question.labels.size(); }
  double score(size_t k) const { return maps.scores[k] + question.intercepts[k]; }
  std::vector<float> shown(size_t k) const { return maps.centred(labels() + k); }
};

size_t highest(std::span<const float> map) {
  return static_cast<size_t>(std::ranges::max_element(map) - map.begin());
}

// The middle of a token, in percent of the image's side.
int percent(size_t place, size_t places) { return static_cast<int>((200 * place + 100) / (2 * places)); }

void print_table(const Explained& e) {
  print_line(e.name);
  std::printf("  %9s %13s  %-19s label\n", "score", "completeness", "most speaks for it");
  for (size_t k = 0; k < e.labels(); ++k) {
    const size_t token = highest(e.shown(k));
    std::printf("  %9.4f %13.1e  %3d %% x, %3d %% y      %s\n", e.score(k), e.maps.completeness_error(k),
                percent(token % e.maps.cols, e.maps.cols), percent(token / e.maps.cols, e.maps.rows),
                printable(e.question.labels[k]).c_str());
  }
}

void write_grid(JsonWriter& json, const char* name, std::span<const float> map, size_t cols) {
  json.key(name).begin_array();
  for (size_t row = 0; row < map.size() / cols; ++row) json.value(map.subspan(row * cols, cols));
  json.end_array();
}

void print_json(const Explained& e) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object().member("image", e.name).member("contrast", e.question.contrast);
  json.member("rows", e.maps.rows).member("cols", e.maps.cols).key("labels").begin_array();
  for (size_t k = 0; k < e.labels(); ++k) {
    const std::vector<float> shown = e.shown(k);
    json.begin_object().member("label", e.question.labels[k]).member("score", e.score(k));
    json.member("constant", e.maps.constants[k] + e.question.intercepts[k]);
    json.member("completeness_error", e.maps.completeness_error(k)).key("highest").begin_object();
    json.member("row", highest(shown) / e.maps.cols).member("col", highest(shown) % e.maps.cols).end_object();
    write_grid(json, "map", shown, e.maps.cols);
    write_grid(json, "parts", e.maps.maps.row(k), e.maps.cols);
    json.end_object();
  }
  std::printf("%s\n", json.end_array().end_object().finish().c_str());
}

// NUMBER-NAME-LABEL.png: the label's number, for labels may hold what a file's name cannot.
void write_overlays(const Explained& e, const Image& image, size_t number, const fs::path& folder) {
  fs::create_directories(folder);
  const std::string start = std::to_string(number + 1) + "-" + fs::path(e.name).filename().string() + "-";
  for (size_t k = 0; k < e.labels(); ++k) {
    AtomicFile file(folder / (start + std::to_string(k + 1) + ".png"));
    file.write(encode_png(overlay(image, {e.maps.rows, e.maps.cols, e.shown(k)})));
    file.commit();
  }
}

int explain(const Flags& flags) {
  const pipeline::FoundImages found = flags.images.find();
  const Engine engine = flags.model.open();
  const Question question = flags.head.empty() ? ask_labels(flags, engine) : ask_head(flags, engine);
  const Matrix directions = stacked(question.scored, question.shown);
  if (!flags.model.quiet) say("maps are shown against " + question.contrast);
  const DecodeOptions decode = flags.images.decode.options();
  pipeline::OpenFiles files(decode.limits);
  std::vector<pipeline::Failure> failures = found.failures;
  for (size_t i = 0; i < found.inputs.size() && !interrupted(); ++i) {
    const pipeline::ImageInput& input = found.inputs[i];
    std::optional<Image> image;
    try {
      DecodeOptions options = decode;
      if (input.frame) options.frame = input.frame;
      image = engine.prepare(files.image(input.path, options));
    } catch (const std::exception& error) {
      failures.push_back({input.name(), reason_of(error)});
      continue;
    }
    const std::vector<TokenMaps> maps = engine.explain({&*image, 1}, directions);
    const Explained explained{input.name(), question, maps.front()};
    flags.json ? print_json(explained) : print_table(explained);
    if (!flags.out.empty()) write_overlays(explained, *image, i, flags.out);
    expect_printed();
  }
  return report(failures);
}

}  // namespace

void add_explain(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("explain", "Show where in images the scores of labels, or of a head, come from");
  flags->images.add_to(*command, "images");
  auto* labels = command->add_option("--labels", flags->labels,
                                     "Labels, in English or as `mii labels --language` has them");
  auto* head = command->add_option("--head", flags->head, "Explain this head's scores, in place of labels'")
                   ->check(CLI::ExistingFile)
                   ->excludes(labels);
  command->add_option("--versus", flags->versus, "Say why a label and not this one");
  command->add_option("--out", flags->out, "Write a PNG of each image and label with the map over it here");
  command->add_flag("--json", flags->json, "One JSON object a line, with the maps");
  flags->model.add_to(*command);
  command->callback([flags, labels, head, &chosen] {
    flags->images.expect_any();
    if (labels->empty() && head->empty()) throw CLI::RequiredError("--labels or --head");
    chosen = [flags] { return explain(*flags); };
  });
}

}  // namespace mii
