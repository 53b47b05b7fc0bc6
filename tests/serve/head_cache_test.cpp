// Which heads are remembered.
#include <gtest/gtest.h>

#include "serve/head_cache.h"

namespace mii::serve {
namespace {

using Texts = std::vector<std::string>;

HeadCache::Shared head_of(size_t dim) {
  return std::make_shared<const ZeroShotHead>(Texts{"a"}, Matrix(1, dim), 1.0f, false);
}

TEST(HeadCache, TellsLabelsTemplatesAndKindsApart) {
  const auto key = [](const Texts& labels, const Texts& templates, bool multilabel) {
    return HeadCache::key(labels, {.multilabel = multilabel, .templates = templates});
  };
  const std::string keys[] = {key({"a", "b"}, {}, false),     key({"b", "a"}, {}, false),
                              key({"ab"}, {}, false),         key({"a", "b"}, {}, true),
                              key({"a", "b"}, {"{}"}, false), key({"a"}, {"b"}, false),
                              key({"a1:b"}, {}, false),       key({}, {"a", "b"}, false)};
  for (size_t i = 0; i < std::size(keys); ++i)
    for (size_t k = 0; k < i; ++k) EXPECT_NE(keys[i], keys[k]) << i << " and " << k;
  EXPECT_EQ(key({"a", "b"}, {"{}"}, true), key({"a", "b"}, {"{}"}, true));
}

TEST(HeadCache, DropsTheLeastRecentlyUsedBeyondItsBytes) {
  // Three heads of 1000 floats fit, and what they take besides; four do not.
  HeadCache cache(15'000);
  cache.insert("a", head_of(1000));
  cache.insert("b", head_of(1000));
  cache.insert("c", head_of(1000));
  const size_t full = cache.bytes();
  EXPECT_GE(full, 12'000u);
  EXPECT_TRUE(cache.find("a"));
  cache.insert("d", head_of(1000));
  EXPECT_EQ(cache.bytes(), full);
  EXPECT_FALSE(cache.find("b"));
  for (const char* key : {"a", "c", "d"}) EXPECT_TRUE(cache.find(key)) << key;
  cache.insert("large", head_of(4000));
  EXPECT_FALSE(cache.find("large"));
  EXPECT_TRUE(cache.find("a"));
  cache.insert("a", head_of(1000));
  EXPECT_EQ(cache.bytes(), full) << "the same head counts once";
}

TEST(HeadCache, AHeadLivesOnWithWhoeverUsesIt) {
  HeadCache cache(8'000);
  cache.insert("a", head_of(1000));
  const HeadCache::Shared head = cache.find("a");
  cache.insert("b", head_of(1000));
  EXPECT_FALSE(cache.find("a"));
  EXPECT_EQ(head->labels(), Texts{"a"});
}

}  // namespace
}  // namespace mii::serve
