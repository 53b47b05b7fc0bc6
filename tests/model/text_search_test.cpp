// Choosing tokens, with logits that are written down by hand.
#include "model/text_search.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <map>

#include "mii/error.h"

namespace mii {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Ids = std::vector<int32_t>;

constexpr TextSearch::Ids kIds{0, 1};  // start and end; the words are 2 to 5
constexpr size_t kVocabulary = 6;

// The probabilities of what follows a text; what is not named is next to impossible.
using Next = std::function<std::map<int32_t, double>(const Ids&)>;

TextSearch searched(const TextSearchOptions& options, const Next& next) {
  TextSearch search(options, kIds);
  while (!search.done()) {
    std::vector<float> logits;
    for (const TextSearch::Live& text : search.live()) {
      std::vector<float> row(kVocabulary, -40);
      for (const auto& [id, p] : next(text.ids))
        row[static_cast<size_t>(id)] = static_cast<float>(std::log(p));
      logits.insert(logits.end(), row.begin(), row.end());
    }
    search.step(logits);
  }
  return search;
}

// Word 2 looks better at first, word 3 leads to the likelier text.
std::map<int32_t, double> tempting(const Ids& text) {
  if (text.empty()) return {{2, 0.6}, {3, 0.4}};
  if (text == Ids{2}) return {{4, 0.4}, {5, 0.35}, {1, 0.25}};
  if (text == Ids{3}) return {{5, 1}};
  return {{1, 1}};
}

TEST(TextSearch, GreedyTakesTheLikeliestTokenEachTime) {
  const TextSearch search = searched({.most_tokens = 9}, tempting);
  EXPECT_THAT(search.ids(), ElementsAre(2, 4));
  EXPECT_TRUE(search.complete());
}

TEST(TextSearch, BeamsFindTheLikelierText) {
  EXPECT_THAT(searched({.beams = 2, .most_tokens = 9}, tempting).ids(), ElementsAre(3, 5));
}

TEST(TextSearch, NeverTakesTheStartTokenAndMayEndAtOnce) {
  const TextSearch search = searched({.most_tokens = 9}, [](const Ids&) {
    return std::map<int32_t, double>{{0, 0.9}, {1, 0.1}};
  });
  EXPECT_THAT(search.ids(), IsEmpty());
  EXPECT_TRUE(search.complete());
}

TEST(TextSearch, StopsAtTheMostTokensAndSaysSo) {
  for (const size_t beams : {1, 2}) {
    const TextSearch search = searched({.beams = beams, .no_repeat = 0, .most_tokens = 5}, [](const Ids&) {
      return std::map<int32_t, double>{{4, 1}};
    });
    EXPECT_THAT(search.ids(), ElementsAre(4, 4, 4, 4, 4));
    EXPECT_FALSE(search.complete());
  }
}

TEST(TextSearch, NoRunComesTwice) {
  const auto circle = [](const Ids& text) {
    return std::map<int32_t, double>{{text.size() % 2 == 0 ? 2 : 3, 0.8}, {4, 0.15}, {1, 0.05}};
  };
  EXPECT_THAT(searched({.no_repeat = 3, .most_tokens = 8}, circle).ids(),
              ElementsAre(2, 3, 2, 3, 4, 3, 2, 4));
  EXPECT_THAT(searched({.no_repeat = 0, .most_tokens = 5}, circle).ids(), ElementsAre(2, 3, 2, 3, 2));
}

// Two logits of 1 and 0.8: what was used is divided by 2.
TEST(TextSearch, WhatWasUsedIsLessLikely) {
  TextSearch search({.repetition_penalty = 2, .most_tokens = 3}, kIds);
  const std::vector<float> logits{-9, -9, 1, 0.8f, 0.6f, -9};
  while (!search.done()) search.step(logits);
  EXPECT_THAT(search.ids(), ElementsAre(2, 3, 4));
}

TEST(TextSearch, DrawsFromTheNucleusAloneAndInProportion) {
  std::map<int32_t, int> drawn;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const TextSearch search = searched({.top_p = 0.75, .seed = seed, .most_tokens = 1}, [](const Ids&) {
      return std::map<int32_t, double>{{2, 0.5}, {3, 0.3}, {4, 0.15}, {5, 0.05}};
    });
    ++drawn[search.ids().front()];
  }
  EXPECT_EQ(drawn.size(), 2u);  // 0.5 and 0.3 are 0.75 together
  EXPECT_NEAR(drawn[2] / 2000.0, 0.5 / 0.8, 5 * std::sqrt(0.625 * 0.375 / 2000));
}

TEST(TextSearch, TheSameSeedDrawsTheSame) {
  const auto even = [](const Ids&) { return std::map<int32_t, double>{{2, 1}, {3, 1}, {4, 1}, {5, 1}}; };
  const TextSearchOptions options{.top_p = 1, .seed = 7, .no_repeat = 0, .most_tokens = 30};
  const Ids first = searched(options, even).ids();
  EXPECT_EQ(searched(options, even).ids(), first);
  TextSearchOptions other = options;
  other.seed = 8;
  EXPECT_NE(searched(other, even).ids(), first);
}

TEST(TextSearch, ALowTemperatureIsGreedy) {
  const TextSearch search = searched({.top_p = 1, .temperature = 0.01, .most_tokens = 9}, tempting);
  EXPECT_THAT(search.ids(), ElementsAre(2, 4));
}

TEST(TextSearch, RefusesOptionsThatMakeNoSense) {
  for (const TextSearchOptions& wrong : {TextSearchOptions{.beams = 0},
                                         {.beams = 17},
                                         {.top_p = 1.5},
                                         {.top_p = -0.1},
                                         {.top_p = NAN},
                                         {.beams = 2, .top_p = 0.9},
                                         {.top_p = 1, .temperature = 0},
                                         {.repetition_penalty = 0.5}})
    EXPECT_THROW(check(wrong), Error);
  EXPECT_NO_THROW(check({}));
}

}  // namespace
}  // namespace mii
