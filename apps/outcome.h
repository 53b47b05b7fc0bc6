#pragma once

#include <string>
#include <vector>

#include "pipeline/encode.h"
#include "progress.h"

namespace mii {

/// Readers that draw this progress and stop on Ctrl-C.
pipeline::ReadOptions read_options(Progress& progress);

/// Lists inputs that failed on stderr; returns the exit status that they require.
int report(const std::vector<pipeline::Failure>& failures);

}  // namespace mii
