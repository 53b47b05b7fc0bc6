#include "image_flags.h"

#include "dataset/manifest.h"
#include "mii/error.h"

namespace mii {

void ImageFlags::add_to(CLI::App& command, const char* name) {
  command.add_option(name, paths, "Images, DICOM, NIfTI, or folders of them");
  command.add_option("--images-from", images_from,
                     "File with the paths of images or folders, one a line; -: standard input");
  command.add_option("--manifest", manifest, "Table of images (CSV or TSV) with a column 'path'")
      ->check(CLI::ExistingFile);
  command
      .add_option("--where", where, "With --manifest: use rows with column=value[,value...]; may be repeated")
      ->expected(1)
      ->take_all();
  decode.add_to(command);
}

void ImageFlags::expect_any() const {
  const int sources = !paths.empty() + !images_from.empty() + !manifest.empty();
  if (sources == 0) throw CLI::RequiredError("Images, --images-from or --manifest");
  if (sources > 1) throw CLI::ExcludesError("Images, --images-from and --manifest", "each other");
  if (!where.empty() && manifest.empty()) throw CLI::RequiresError("--where", "--manifest");
}

std::vector<std::string> ImageFlags::all_paths() const {
  if (!images_from.empty()) return pipeline::read_lines(images_from);
  if (manifest.empty()) return paths;
  const Manifest table = Manifest::read(manifest, where);
  std::vector<std::string> listed;
  for (size_t row = 0; row < table.rows(); ++row) listed.push_back(table.path(row).string());
  return listed;
}

pipeline::FoundImages ImageFlags::find() const {
  pipeline::FoundImages found;
  if (!manifest.empty())
    for (const std::string& path : all_paths())
      found.inputs.push_back({path, std::nullopt});  // folders are none
  else
    found = pipeline::find_images(all_paths());
  if (decode.all_frames()) found.inputs = with_all_frames(found.inputs, decode.options());
  return found;
}

}  // namespace mii
