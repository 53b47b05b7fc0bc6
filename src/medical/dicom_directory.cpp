#include "medical/dicom_directory.h"

#include <algorithm>
#include <cctype>
#include <string>

#include "medical/dicom_attributes.h"
#include "medical/dicom_dataset.h"
#include "medical/dicom_structure.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

// "IMAGES\CT\1" below the folder; empty for a component that leads elsewhere.
fs::path path_of(const std::string& file_id) {
  fs::path path;
  size_t at = 0;
  while (at <= file_id.size()) {
    const size_t end = std::min(file_id.find('\\', at), file_id.size());
    const std::string part = file_id.substr(at, end - at);
    if (part.empty() || part == "." || part == ".." || part.find('/') != std::string::npos) return {};
    path /= part;
    at = end + 1;
  }
  return path;
}

// File names on discs are in capitals; copies often have them in lower case.
fs::path existing(const fs::path& folder, const fs::path& listed) {
  std::error_code error;
  if (fs::exists(folder / listed, error)) return folder / listed;
  std::string small = listed.string();
  std::ranges::transform(small, small.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return fs::exists(folder / small, error) ? folder / small : folder / listed;
}

}  // namespace

std::optional<std::vector<fs::path>> files_of_dicomdir(const fs::path& path,
                                                       std::span<const std::byte> bytes) {
  const DicomStructure structure = walk_dicom(bytes);
  if (structure.pixels.tag != 0 || structure.transfer_syntax == kDeflatedTransferSyntax) return std::nullopt;
  DcmDataset dataset;
  read_dicom_dataset(structure, dataset);
  DcmSequenceOfItems* records = nullptr;
  if (dataset.findAndGetSequence(DCM_DirectoryRecordSequence, records).bad() || records == nullptr)
    return std::nullopt;
  std::vector<fs::path> files;
  for (DcmObject* record = records->nextInContainer(nullptr); record != nullptr;
       record = records->nextInContainer(record)) {
    const std::string file_id = dicom_text(*static_cast<DcmItem*>(record), DCM_ReferencedFileID);
    const fs::path listed = file_id.empty() ? fs::path() : path_of(file_id);
    if (!listed.empty()) files.push_back(existing(path.parent_path(), listed));
  }
  return files;
}

}  // namespace mii
