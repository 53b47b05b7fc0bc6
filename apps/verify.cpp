#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "commands.h"
#include "core/json_writer.h"
#include "core/temporary_folder.h"
#include "download/download.h"
#include "download/verify.h"
#include "eval/published_examples.h"
#include "interrupt.h"
#include "mii/error.h"
#include "model_flags.h"
#include "output.h"

namespace mii {
namespace {

struct Flags {
  ModelFlags model;
  std::map<std::string, std::string> examples;  ///< file or URL of each
  bool json = false;
};

// Downloaded to a folder of its own, which goes with this.
class Fetched {
 public:
  explicit Fetched(const std::string& url) {
    const size_t slash = url.rfind('/');
    const std::string name = url.substr(slash + 1);
    if (name.empty()) throw Error(ErrorCode::invalid_argument, url + ": names no file");
    download({{.path = name}}, folder_.path(), {.base_url = url.substr(0, slash), .cancelled = interrupted});
    file_ = folder_.path() / name;
  }
  const std::filesystem::path& file() const { return file_; }

 private:
  TemporaryFolder folder_;
  std::filesystem::path file_;
};

Image image_of(const std::string& file_or_url) {
  if (file_or_url.starts_with("http://") || file_or_url.starts_with("https://"))
    return Image::read(Fetched(file_or_url).file());
  return Image::read(file_or_url);
}

bool print_files(const std::vector<VerifiedFile>& files, JsonWriter* json) {
  bool right = true;
  if (json != nullptr) json->key("files").begin_array();
  for (const VerifiedFile& file : files) {
    right = right && file.state == VerifiedFile::State::right;
    if (json == nullptr) {
      print_line(std::string(to_string(file.state)) + "  " + file.path +
                 (file.state == VerifiedFile::State::differs ? "  " + file.sha256 : ""));
      continue;
    }
    json->begin_object().member("path", file.path).member("state", to_string(file.state));
    json->member("sha256", file.sha256).member("expected", file.expected).end_object();
  }
  if (json != nullptr) json->end_array();
  return right;
}

bool print_example(const PublishedExample& example, const ExampleScores& scores, JsonWriter* json) {
  if (json == nullptr) {
    char text[128];
    std::snprintf(text, sizeof text, ": published %.4f, here %.4f: %s", example.probability,
                  example.probability + scores.difference, scores.agrees ? "right" : "differs");
    print_line(std::string(example.name) + text);
    for (size_t k = 0; k < scores.labels.size(); ++k) {
      std::snprintf(text, sizeof text, "    %.4f  ", double{scores.probabilities[k]});
      print_line(text + scores.labels[k]);
    }
    return scores.agrees;
  }
  json->key(example.name).begin_object().member("published", example.probability);
  json->member("agrees", scores.agrees).key("probabilities").begin_object();
  for (size_t k = 0; k < scores.labels.size(); ++k)
    json->member(scores.labels[k], double{scores.probabilities[k]});
  json->end_object().end_object();
  return scores.agrees;
}

int verify(const Flags& flags) {
  JsonWriter json(JsonWriter::Style::spaced);
  JsonWriter* const to = flags.json ? &json : nullptr;
  if (to != nullptr) to->begin_object();
  bool right = print_files(verify_files(flags.model.model, interrupted), to);
  if (to != nullptr) to->key("examples").begin_object();
  if (!flags.examples.empty()) {
    const Engine engine = flags.model.open();
    for (const auto& [name, image] : flags.examples) {
      const PublishedExample& example = find_published_example(name);
      right &= print_example(example, score_published_example(engine, example, image_of(image)), to);
    }
  }
  if (to != nullptr) print_line(json.end_object().member("right", right).end_object().finish());
  if (!right && !flags.model.quiet) say(flags.model.model + ": is not the published model, or is damaged");
  return right ? kOk : kFailed;
}

}  // namespace

void add_verify(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "verify",
      "Compare a folder with the published model: all files by SHA-256, and what it says of images");
  flags->model.add_to(*command);
  command->get_option("--model")->envname("");
  command->add_option("MODEL", flags->model.model, "The same as --model");
  for (const PublishedExample& example : published_examples()) {
    const std::string name(example.name);
    command->add_option_function<std::string>(
        "--" + name, [flags, name](const std::string& image) { flags->examples[name] = image; },
        "File or URL of the " + name + " image of the post that introduced the open model; its scores are " +
            "compared with the published ones");
  }
  command->add_flag("--json", flags->json, "One JSON object");
  command->callback([flags, &chosen] {
    if (flags->model.model.empty()) throw CLI::RequiredError("MODEL");
    chosen = [flags] { return verify(*flags); };
  });
}

}  // namespace mii
