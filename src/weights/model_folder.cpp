#include "weights/model_folder.h"

#include <string>
#include <vector>

#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeightsName = "medimageinsigt-v1.0.0.pt";  // its publisher's spelling
constexpr const char* kTokenizerName = "clip_tokenizer_4.16.2";

bool is_weights(const fs::directory_entry& entry) {
  const fs::path extension = entry.path().extension();
  return entry.is_regular_file() && (extension == ".safetensors" || extension == ".pt");
}

bool is_tokenizer(const fs::path& folder) {
  return fs::is_regular_file(folder / "vocab.json") && fs::is_regular_file(folder / "merges.txt");
}

template <typename Wanted>
std::vector<fs::path> entries(const fs::path& folder, const Wanted& wanted) {
  std::vector<fs::path> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (wanted(entry)) found.push_back(entry.path());
  return found;
}

// The published name, or the only candidate; otherwise adds to `wrong` why not.
fs::path choose(const fs::path& published, const std::vector<fs::path>& candidates, bool published_fits,
                const std::string& what, std::string& wrong) {
  if (published_fits) return published;
  if (candidates.size() == 1) return candidates[0];
  const std::string reason =
      candidates.empty() ? "no " + what
                         : std::to_string(candidates.size()) + " files or folders that could be the " + what;
  wrong += (wrong.empty() ? "" : "; ") + reason + " in " + published.parent_path().string() + " (expected " +
           published.filename().string() + ")";
  return {};
}

// Adds to `wrong` what is missing or ambiguous.
ModelFolder texts_of(const fs::path& folder, std::string& wrong) {
  std::error_code none;
  if (!fs::is_directory(folder, none))
    throw Error(ErrorCode::invalid_model, folder.string() + ": no such model folder");
  ModelFolder found;
  found.config = folder / "config.yaml";
  if (!fs::is_regular_file(found.config, none)) wrong = "no config.yaml";
  const fs::path tokenizer = folder / "language_model" / kTokenizerName;
  found.tokenizer = choose(
      tokenizer, entries(tokenizer.parent_path(), [](const auto& e) { return is_tokenizer(e.path()); }),
      is_tokenizer(tokenizer), "tokenizer (vocab.json and merges.txt)", wrong);
  return found;
}

void expect_nothing(const std::string& wrong, const fs::path& folder) {
  if (!wrong.empty())
    throw Error(ErrorCode::invalid_model, folder.string() + " is no model folder: " + wrong);
}

}  // namespace

ModelFolder ModelFolder::find(const fs::path& folder) {
  std::string wrong;
  ModelFolder found = texts_of(folder, wrong);
  std::error_code none;
  const fs::path weights = folder / "vision_model" / kWeightsName;
  found.weights = choose(weights, entries(weights.parent_path(), is_weights),
                         fs::is_regular_file(weights, none), "weights (*.safetensors or *.pt)", wrong);
  expect_nothing(wrong, folder);
  return found;
}

ModelFolder ModelFolder::find_texts(const fs::path& folder) {
  std::string wrong;
  ModelFolder found = texts_of(folder, wrong);
  expect_nothing(wrong, folder);
  return found;
}

}  // namespace mii
