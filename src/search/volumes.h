#pragma once

#include <cstddef>
#include <string_view>

#include "search/collection.h"

namespace mii::search {

/// How volumes are ranked whose slices are items of a collection; a volume is the items with one value in the
/// column series. Each slice of the query votes for its most similar slices. Source: Abacha et al., 3D-MIR,
/// arXiv 2311.13752; late interaction: Khattab and Zaharia, ColBERT, SIGIR 2020.
enum class VolumeRank {
  frequency,  ///< votes
  maximum,    ///< the largest similarity among the votes
  sum,        ///< the sum of the similarities of the votes
  late,       ///< of the best volumes by sum: for each query slice its best slice of the volume, summed
};

/// "frequency", ...
std::string_view to_string(VolumeRank rank);
/// Throws Error{invalid_argument} for another name.
VolumeRank parse_volume_rank(std::string_view name);

struct VolumeOptions {
  VolumeRank rank = VolumeRank::late;
  size_t votes = 50;      ///< of each slice of the query, 1 to kMaxHits
  size_t reranked = 100;  ///< volumes that late looks at again, at least k of them
};

/// The k best volumes for the slices of one, [n, D], n >= 1. A hit is the slice of the volume that is most
/// similar to any of the query's; its similarity is the volume's score, which frequency divides by the number
/// of votes, sum and late by n. Of equal scores, the larger similarity comes first, then the series by name.
/// Items without a series take no part; one_per, fold_from and leave_out of the options are not used. Throws
/// as Collection::search does.
Answer search_volumes(Collection& collection, const Matrix& slices, const SearchOptions& options,
                      const VolumeOptions& volumes);

}  // namespace mii::search
