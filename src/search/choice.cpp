#include "search/choice.h"

#include <algorithm>
#include <unordered_set>

#include "search/codes.h"

namespace mii::search {

std::vector<Chosen> choose(const std::vector<ScoredRow>& rows, const SearchOptions& options,
                           const RowsToChoose& about) {
  std::unordered_set<std::string_view> groups;
  std::vector<Chosen> chosen;
  std::vector<std::vector<float>> vectors;  // of the chosen
  for (const ScoredRow& row : rows) {
    if (chosen.size() == options.k) break;
    if (!options.leave_out.empty() &&
        std::ranges::find(options.leave_out, about.id(row.row)) != options.leave_out.end())
      continue;
    const auto value = options.one_per.empty() ? std::nullopt : about.group(row.row);
    if (value && groups.contains(*value)) continue;
    if (options.fold_from) {
      const auto near = std::ranges::find_if(vectors, [&](const std::vector<float>& better) {
        return similarity(about.vectors, better, row.row) >= *options.fold_from;
      });
      if (near != vectors.end()) {
        ++chosen[static_cast<size_t>(near - vectors.begin())].folded;
        continue;
      }
      const auto& [stored, int8, signs, precision, dim] = about.vectors;
      decode_stored(stored.data + row.row * stored.stride, precision, vectors.emplace_back(dim));
    }
    if (value) groups.insert(*value);
    chosen.push_back({row, 0});
  }
  return chosen;
}

}  // namespace mii::search
