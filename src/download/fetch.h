#pragma once

#include "download/download.h"
#include "download/part_file.h"

namespace mii {

/// Fetches what is missing of a file, as many ranges at once as the options say. Throws as download() does;
/// what was received stays in `part`.
void fetch(const RemoteFile& file, PartFile& part, const DownloadOptions& options);

}  // namespace mii
