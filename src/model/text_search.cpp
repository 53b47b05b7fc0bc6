#include "model/text_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "mii/error.h"

namespace mii {
namespace {

constexpr double kForbidden = -std::numeric_limits<double>::infinity();

// In place: scores become logarithms of probabilities.
void log_softmax(std::vector<double>& scores) {
  const double top = *std::ranges::max_element(scores);
  double sum = 0;
  for (const double s : scores) sum += std::exp(s - top);
  const double shift = top + std::log(sum);
  for (double& s : scores) s -= shift;
}

// Texts of different lengths are compared by what a token has in the mean, the end token included.
double score_of(const TextSearch::Live& text) {
  return text.log_probability / static_cast<double>(text.ids.size() + 1);
}

}  // namespace

void check(const TextSearchOptions& options) {
  const auto refuse = [](const std::string& what) { throw Error(ErrorCode::invalid_argument, what); };
  if (options.beams < 1 || options.beams > TextSearchOptions::kMostBeams)
    refuse(std::to_string(options.beams) + " beams, expected 1 to " +
           std::to_string(TextSearchOptions::kMostBeams));
  if (!(options.top_p >= 0 && options.top_p <= 1)) refuse("top-p is a probability, above 0 and at most 1");
  if (options.top_p > 0 && options.beams > 1) refuse("either beams or top-p, not both");
  if (!(options.temperature > 0 && options.temperature <= 100))
    refuse("the temperature is above 0 and at most 100");
  if (!(options.repetition_penalty >= 1 && options.repetition_penalty <= 100))
    refuse("the penalty on repetition is from 1 to 100");
}

// A token that would complete a run that the text has already.
void TextSearch::forbid_repetition(const Live& text, std::vector<double>& scores) const {
  const std::vector<int32_t>& ids = text.ids;
  const size_t n = options_.no_repeat;
  if (n == 0 || ids.size() < n) return;
  const auto tail = ids.end() - static_cast<std::ptrdiff_t>(n - 1);
  for (auto run = ids.begin(); run + static_cast<std::ptrdiff_t>(n - 1) < ids.end(); ++run)
    if (std::equal(tail, ids.end(), run))
      scores[static_cast<size_t>(run[static_cast<std::ptrdiff_t>(n - 1)])] = kForbidden;
}

std::vector<double> TextSearch::log_probabilities(const Live& text, std::span<const float> logits) const {
  std::vector<double> scores(logits.begin(), logits.end());
  if (options_.repetition_penalty > 1) {
    std::vector<int32_t> used = text.ids;
    std::ranges::sort(used);
    used.erase(std::unique(used.begin(), used.end()), used.end());
    for (const int32_t id : used) {
      double& s = scores[static_cast<size_t>(id)];
      s = s > 0 ? s / options_.repetition_penalty : s * options_.repetition_penalty;
    }
  }
  scores[static_cast<size_t>(ids_.start)] = kForbidden;
  forbid_repetition(text, scores);
  if (options_.top_p > 0)
    for (double& s : scores) s /= options_.temperature;
  log_softmax(scores);
  return scores;
}

// Twice as many as there are beams: of each pair that is left one may be an end.
std::vector<TextSearch::Choice> TextSearch::likeliest(std::span<const float> logits) const {
  const size_t vocabulary = logits.size() / live_.size();
  const auto likelier = [](const Choice& a, const Choice& b) {
    return a.log_probability > b.log_probability;
  };
  std::vector<Choice> all;
  for (size_t t = 0; t < live_.size(); ++t) {
    const std::vector<double> scores =
        log_probabilities(live_[t], logits.subspan(t * vocabulary, vocabulary));
    std::vector<int32_t> order(vocabulary);
    std::iota(order.begin(), order.end(), 0);
    const size_t n = std::min(vocabulary, 2 * options_.beams);
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
                      [&](int32_t a, int32_t b) {
                        return std::pair(-scores[static_cast<size_t>(a)], a) <
                               std::pair(-scores[static_cast<size_t>(b)], b);
                      });
    for (size_t i = 0; i < n; ++i)
      all.push_back({t, order[i], live_[t].log_probability + scores[static_cast<size_t>(order[i])]});
  }
  std::ranges::stable_sort(all, likelier);
  all.resize(std::min(all.size(), 2 * options_.beams));
  return all;
}

TextSearch::Choice TextSearch::drawn(std::span<const float> logits) {
  const std::vector<double> scores = log_probabilities(live_.front(), logits);
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int32_t a, int32_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  double nucleus = 0;
  size_t n = 0;
  while (n < order.size() && nucleus < options_.top_p)
    nucleus += std::exp(scores[static_cast<size_t>(order[n++])]);
  double left = static_cast<double>(random_() >> 11) * 0x1p-53 * nucleus;
  size_t i = 0;
  for (; i + 1 < n; ++i) {
    left -= std::exp(scores[static_cast<size_t>(order[i])]);
    if (left < 0) break;
  }
  return {0, order[i], live_.front().log_probability + scores[static_cast<size_t>(order[i])]};
}

void TextSearch::finish(const Live& text, bool complete) {
  const double score = score_of(text);
  if (best_score_ && *best_score_ >= score) return;
  best_ = text;
  best_score_ = score;
  complete_ = complete;
}

// What goes on is likelier by token than what has ended, or nothing has.
bool TextSearch::worth_going_on(const std::vector<Live>& next) const {
  return !next.empty() && (!best_score_ || score_of(next.front()) > *best_score_);
}

void TextSearch::step(std::span<const float> logits) {
  const std::vector<Choice> choices = options_.top_p > 0 ? std::vector{drawn(logits)} : likeliest(logits);
  std::vector<Live> next;
  bool ended = false;
  for (size_t i = 0; i < choices.size() && next.size() < options_.beams; ++i) {
    const Choice& choice = choices[i];
    if (choice.log_probability == kForbidden) break;
    Live text{live_[choice.text].ids, choice.text, choice.log_probability};
    if (choice.id != ids_.end) {
      text.ids.push_back(choice.id);
      next.push_back(std::move(text));
    } else if (i < options_.beams) {
      finish(text, true);
      ended = true;
    }
  }
  if (ended && options_.beams == 1) next.clear();
  if (!next.empty() && next.front().ids.size() >= options_.most_tokens) {
    finish(next.front(), false);
    next.clear();
  }
  if (!worth_going_on(next)) next.clear();
  live_ = std::move(next);
}

const std::vector<int32_t>& TextSearch::ids() const { return done() ? best_.ids : live_.front().ids; }

}  // namespace mii
