#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

#include "golden.h"
#include "text/clip_tokenizer.h"
#include "weights/procedural.h"

namespace mii {

/// A folder in the published layout with the weights that the golden numbers were computed with; removed at
/// the end.
class ProceduralModel {
 public:
  explicit ProceduralModel(const std::string& name)
      : folder_(std::filesystem::temp_directory_path() / ("mii-" + name + "-" + std::to_string(getpid()))) {
    const Golden golden(name);
    std::filesystem::remove_all(folder_);
    write_procedural_model(golden.folder() / "config.yaml", golden.tokenizer(),
                           ClipTokenizer::load(golden.tokenizer()).vocabulary_size(), folder_);
  }
  ~ProceduralModel() { std::filesystem::remove_all(folder_); }
  ProceduralModel(const ProceduralModel&) = delete;
  ProceduralModel& operator=(const ProceduralModel&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

}  // namespace mii
