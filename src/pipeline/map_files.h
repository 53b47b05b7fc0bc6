#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "maps/explained.h"
#include "pipeline/open_files.h"

namespace mii::pipeline {

/// A folder of maps. Of image I (counted from 1) of a file named NAME, and its label K:
///   I-NAME-K.png   the map over the image
///   I-NAME-K.dcm   the same as a DICOM Secondary Capture, where the file is a DICOM object
///   I-NAME.json    all that is said of the image, with the grids
///   I-NAME.npy     the maps, float32 [labels, rows, cols]
/// Files that have these names are replaced, each at once.
class MapFiles {
 public:
  /// Makes the folder. Throws Error{io}, with the system's reason.
  explicit MapFiles(std::filesystem::path folder);

  /// What the maps belong to.
  struct Source {
    size_t index = 0;            ///< counted from 0
    std::string name;            ///< in outputs
    std::filesystem::path path;  ///< of the file
  };
  /// canvas: of maps::canvas_of. Throws Error{io}: a full disk, say.
  void write(const Source& source, const Image& canvas, const maps::Explained& explained);

  /// I-NAME
  static std::string stem(const Source& source);
  const std::filesystem::path& folder() const { return folder_; }

 private:
  /// Our images of one study.
  struct DerivedSeries {
    std::string uid;
    int images = 0;
  };

  std::vector<std::byte> secondary_capture(const Source& source, const Image& overlay, size_t frame,
                                           const std::string& description);

  std::filesystem::path folder_;
  OpenFiles files_;
  std::map<std::string, DerivedSeries> series_;  // by the study's UID
};

}  // namespace mii::pipeline
