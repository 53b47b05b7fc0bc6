#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eval/retrieval.h"
#include "mii/series.h"
#include "search/volumes.h"

namespace mii {

/// By what volumes are ranked for a volume: by the votes of its slices, as `mii search --rank` does, or by
/// the cosine of pooled vectors.
using VolumeRanking = std::variant<search::VolumeRank, Pooling>;

/// "frequency", "maximum", "sum", "late"; "mean", "median", "max", "std".
std::vector<std::string_view> volume_ranking_names();
/// Throws Error{invalid_argument} for another name.
VolumeRanking parse_volume_ranking(std::string_view name);

struct VolumeRetrievalOptions {
  std::string column;                      ///< the images of one source with one value in it are a volume
  std::vector<std::string_view> rankings;  ///< by their names, at least one
  RetrievalOptions retrieval;
};

/// Volumes as queries of an index of others, by the protocol of 3D-MIR (Abacha et al., arXiv 2311.13752).
/// Images without a value in the column take no part. A volume has the label that its labelled slices have;
/// where those differ it is no query, and as part of the index a miss. A volume that a ranking does not reach
/// (no slice of it got a vote) is not found. Otherwise as measure_retrieval; the pixels are searched by their
/// mean. Throws Error{invalid_argument} for a volume of several patients.
std::optional<TaskResult> measure_volume_retrieval(EvalTask task, std::span<const EncodedModel> models,
                                                   const VolumeRetrievalOptions& options);

}  // namespace mii
