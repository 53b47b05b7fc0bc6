#include "reports/overlap.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace mii::reports {
namespace {

constexpr size_t kMostWords = 4096;

using Ngram = std::vector<std::string_view>;

std::map<Ngram, uint64_t> ngrams(std::span<const std::string> words, size_t n) {
  std::map<Ngram, uint64_t> counts;
  for (size_t i = 0; i + n <= words.size(); ++i) ++counts[Ngram(words.begin() + i, words.begin() + i + n)];
  return counts;
}

}  // namespace

std::vector<std::string> overlap_words(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool of_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (of_word && !in_word) words.emplace_back();
    if (of_word) words.back() += c;
    in_word = of_word;
  }
  return words;
}

NgramCounts count_ngrams(std::span<const std::string> candidate, std::span<const std::string> reference) {
  NgramCounts counts;
  counts.candidate_words = candidate.size();
  counts.reference_words = reference.size();
  for (size_t n = 1; n <= NgramCounts::kOrders; ++n) {
    const auto there = ngrams(reference, n);
    for (const auto& [ngram, times] : ngrams(candidate, n)) {
      counts.possible[n - 1] += times;
      if (const auto found = there.find(ngram); found != there.end())
        counts.shared[n - 1] += std::min(times, found->second);
    }
  }
  return counts;
}

std::array<double, NgramCounts::kOrders> bleu(std::span<const NgramCounts> counts,
                                              stats::Multiplicities times) {
  NgramCounts sum;
  for (size_t i = 0; i < counts.size(); ++i) {
    const uint64_t weight = stats::multiplicity(times, i);
    sum.candidate_words += weight * counts[i].candidate_words;
    sum.reference_words += weight * counts[i].reference_words;
    for (size_t n = 0; n < NgramCounts::kOrders; ++n) {
      sum.shared[n] += weight * counts[i].shared[n];
      sum.possible[n] += weight * counts[i].possible[n];
    }
  }
  std::array<double, NgramCounts::kOrders> values{};
  if (sum.candidate_words == 0) return values;
  const double ratio = static_cast<double>(sum.reference_words) / static_cast<double>(sum.candidate_words);
  const double brevity = ratio > 1 ? std::exp(1 - ratio) : 1;
  double logs = 0;
  for (size_t n = 0; n < NgramCounts::kOrders && sum.shared[n] > 0; ++n) {
    logs += std::log(static_cast<double>(sum.shared[n]) / static_cast<double>(sum.possible[n]));
    values[n] = brevity * std::exp(logs / static_cast<double>(n + 1));
  }
  return values;
}

double rouge_l(std::span<const std::string> candidate, std::span<const std::string> reference) {
  candidate = candidate.first(std::min(candidate.size(), kMostWords));
  reference = reference.first(std::min(reference.size(), kMostWords));
  if (candidate.empty() || reference.empty()) return 0;
  std::vector<size_t> longest(reference.size() + 1,
                              0);  // of the candidate's words so far, by reference prefix
  for (const std::string& word : candidate) {
    size_t diagonal = 0;
    for (size_t r = 0; r < reference.size(); ++r) {
      const size_t above = longest[r + 1];
      longest[r + 1] = word == reference[r] ? diagonal + 1 : std::max(above, longest[r]);
      diagonal = above;
    }
  }
  const auto common = static_cast<double>(longest.back());
  return 2 * common / static_cast<double>(candidate.size() + reference.size());
}

}  // namespace mii::reports
