#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stats/estimate.h"

namespace mii::reports {

/// The words that overlaps are counted over: runs of a-z and 0-9 in lower case, as the package rouge-score
/// makes them.
std::vector<std::string> overlap_words(std::string_view text);

/// What a candidate shares with its reference; adds up over a corpus.
struct NgramCounts {
  static constexpr size_t kOrders = 4;
  std::array<uint64_t, kOrders> shared{};    ///< n-grams of the candidate that the reference has, n = 1 to 4
  std::array<uint64_t, kOrders> possible{};  ///< n-grams of the candidate
  uint64_t candidate_words = 0;
  uint64_t reference_words = 0;
};
NgramCounts count_ngrams(std::span<const std::string> candidate, std::span<const std::string> reference);

/// BLEU-1 to BLEU-4 of a corpus, one reference each, not smoothed: the geometric mean of the shares of shared
/// n-grams up to n, times exp(1 - r / c) where the candidates are shorter. 0 where no n-gram is shared.
/// counts: of each pair, `times` of each. Papineni et al., ACL 2002; equal to nltk's corpus_bleu where no
/// candidate has fewer than 4 words.
std::array<double, NgramCounts::kOrders> bleu(std::span<const NgramCounts> counts,
                                              stats::Multiplicities times = {});

/// ROUGE-L of a pair: the F1 of the longest common subsequence. Lin, ACL workshop 2004; equal to the package
/// rouge-score. 0 where either is empty. At most 4096 words of each are looked at.
double rouge_l(std::span<const std::string> candidate, std::span<const std::string> reference);

}  // namespace mii::reports
