#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "golden.h"
#include "text/clip_tokenizer.h"
#include "weights/procedural.h"

namespace mii {

/// What is to stand in a configuration in place of something.
using ConfigEdits = std::vector<std::pair<std::string, std::string>>;

/// A folder in the published layout with the weights that the golden numbers were computed with, or of an
/// edited configuration; removed at the end.
class ProceduralModel {
 public:
  explicit ProceduralModel(const std::string& name, const ConfigEdits& edits = {},
                           const ProceduralOptions& options = {})
      : folder_(std::filesystem::temp_directory_path() /
                ("mii-" + name + (options.outliers ? "-outliers-" : "-") + std::to_string(getpid()))) {
    const Golden golden(name);
    std::filesystem::remove_all(folder_);
    const std::filesystem::path config = folder_.string() + ".yaml";
    std::ofstream(config) << edited(golden.folder() / "config.yaml", edits);
    write_procedural_model(config, golden.tokenizer(),
                           ClipTokenizer::load(golden.tokenizer()).vocabulary_size(), folder_, options);
    std::filesystem::remove(config);
  }
  ~ProceduralModel() { std::filesystem::remove_all(folder_); }
  ProceduralModel(const ProceduralModel&) = delete;
  ProceduralModel& operator=(const ProceduralModel&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  static std::string edited(const std::filesystem::path& file, const ConfigEdits& edits) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    std::string config = text.str();
    for (const auto& [from, to] : edits) {
      const size_t at = config.find(from);
      if (at == std::string::npos) throw std::runtime_error("the configuration lacks " + from);
      config.replace(at, from.size(), to);
    }
    return config;
  }

  std::filesystem::path folder_;
};

}  // namespace mii
