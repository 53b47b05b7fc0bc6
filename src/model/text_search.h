#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

namespace mii {

/// How the next token is chosen.
struct TextSearchOptions {
  static constexpr size_t kMostBeams = 16;

  size_t beams = 1;        ///< texts that are followed at once; the likeliest is kept. 1: greedy
  double top_p = 0;        ///< above 0: drawn among the likeliest tokens that have this probability together
  double temperature = 1;  ///< of what is drawn: below 1 bolder
  uint64_t seed = 1;       ///< of what is drawn
  /// No run of so many tokens comes twice in a text; 0 allows any.
  size_t no_repeat = 6;
  /// What the logits of tokens that were used are divided by (multiplied, below 0). Keskar et al. 2019.
  double repetition_penalty = 1;
  size_t most_tokens = 0;  ///< of a text, the end token not counted
};

/// Throws Error{invalid_argument} for options that make no sense.
void check(const TextSearchOptions& options);

/// Follows one or several continuations of a text, and says at the end which is the likeliest by token. Knows
/// ids and logits, and no model.
class TextSearch {
 public:
  struct Ids {
    int32_t start = 0;  ///< never chosen
    int32_t end = 0;
  };
  TextSearch(const TextSearchOptions& options, const Ids& ids) : options_(options), ids_(ids) {}

  /// A text that goes on. The first step has one, without tokens.
  struct Live {
    std::vector<int32_t> ids;
    size_t parent = 0;  ///< among the texts of the step before: it has all but the last of these tokens
    double log_probability = 0;
  };
  std::span<const Live> live() const { return live_; }
  bool done() const { return live_.empty(); }

  /// logits: [live, vocabulary], behind each text that goes on. Chooses what goes on after it.
  void step(std::span<const float> logits);

  /// When done, the likeliest text; before, the likeliest of those that go on.
  const std::vector<int32_t>& ids() const;
  /// Whether it came to its end token.
  bool complete() const { return complete_; }

 private:
  struct Choice {
    size_t text;
    int32_t id;
    double log_probability;  // of the whole text
  };
  std::vector<double> log_probabilities(const Live& text, std::span<const float> logits) const;
  void forbid_repetition(const Live& text, std::vector<double>& scores) const;
  std::vector<Choice> likeliest(std::span<const float> logits) const;
  Choice drawn(std::span<const float> logits);
  void finish(const Live& text, bool complete);
  bool worth_going_on(const std::vector<Live>& next) const;

  TextSearchOptions options_;
  Ids ids_;
  std::mt19937_64 random_{options_.seed};
  std::vector<Live> live_{Live{}};
  Live best_;  // of those that ended
  std::optional<double> best_score_;
  bool complete_ = false;
};

}  // namespace mii
