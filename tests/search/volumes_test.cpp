#include "search/volumes.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "mii/error.h"
#include "search/folder_collection.h"

namespace mii::search {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

// Slices of volumes: unit vectors of which a query along an axis sees the value on that axis. The third value
// makes them unit vectors, and queries have none there.
class Volumes : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    FolderCollection::create(folder_);
    FolderCollection collection(folder_, FolderCollection::Access::write);
    // Similarities of query slices x and y with each slice.
    //           x       y
    add("a1", "a", 0.75f, 0);
    add("a2", "a", 0.5f, 0.25f);
    add("a3", "a", 0.625f, 0);
    add("b1", "b", 1, 0);
    add("b2", "b", 0, 0.125f);
    add("c1", "c", 0.5f, 0.75f);
    add("c2", "c", 0.5f, 0.5f);
    add("loose", "", 0, 1);
    Matrix vectors(items_.size(), 3);
    std::ranges::copy(values_, vectors.values().begin());
    collection.add(items_, vectors, {"w", "c", "t", "f32", "p", "1"});
  }
  void TearDown() override { fs::remove_all(folder_); }

  void add(const std::string& id, const std::string& series, float x, float y) {
    items_.push_back({.id = id, .attributes = {}});
    if (!series.empty()) items_.back().attributes = {{"series", series}};
    values_.insert(values_.end(), {x, y, std::sqrt(1 - x * x - y * y)});
  }

  static Matrix slices() {
    Matrix query(2, 3);
    query.row(0)[0] = 1;
    query.row(1)[1] = 1;
    return query;
  }

  // "series best-slice score" of each hit.
  std::vector<std::string> ranked(const VolumeOptions& volumes, const SearchOptions& options = {}) const {
    FolderCollection collection(folder_);
    std::vector<std::string> hits;
    for (const Hit& hit : search_volumes(collection, slices(), options, volumes).hits)
      hits.push_back(std::string(hit.item.value("series")) + " " + hit.item.id + " " +
                     std::to_string(hit.similarity));
    return hits;
  }

  fs::path folder_ = fs::temp_directory_path() / ("mii-volumes-" + std::to_string(getpid()));
  std::vector<Item> items_;
  std::vector<float> values_;
};

// With three votes, x votes for b1 1, a1 0.75, a3 0.625; y for c1 0.75, c2 0.5, a2 0.25.
TEST_F(Volumes, AreRankedByTheirVotes) {
  EXPECT_THAT(ranked({.rank = VolumeRank::frequency, .votes = 3}),
              ElementsAre("a a1 0.500000", "c c1 0.333333", "b b1 0.166667"));
  EXPECT_THAT(ranked({.rank = VolumeRank::maximum, .votes = 3}),
              ElementsAre("b b1 1.000000", "a a1 0.750000", "c c1 0.750000"));
  EXPECT_THAT(ranked({.rank = VolumeRank::sum, .votes = 3}),
              ElementsAre("a a1 0.812500", "c c1 0.625000", "b b1 0.500000"));
}

// The best slices for x and y: a 0.75 + 0.25, b 1 + 0.125, c 0.5 + 0.75.
TEST_F(Volumes, AreRankedAgainByTheBestSliceForEach) {
  EXPECT_THAT(ranked({.rank = VolumeRank::late, .votes = 3}),
              ElementsAre("c c1 0.625000", "b b1 0.562500", "a a1 0.500000"));
}

TEST_F(Volumes, LateLooksAtTheBestBySumAlone) {
  EXPECT_THAT(ranked({.rank = VolumeRank::late, .votes = 3, .reranked = 1}, {.k = 1}),
              ElementsAre("a a1 0.500000"));
  EXPECT_THAT(ranked({.rank = VolumeRank::late, .votes = 3, .reranked = 1}, {.k = 2}),
              ElementsAre("c c1 0.625000", "a a1 0.500000"));
}

TEST_F(Volumes, FiltersAndNumbersOfHitsHold) {
  for (const VolumeRank rank :
       {VolumeRank::frequency, VolumeRank::maximum, VolumeRank::sum, VolumeRank::late}) {
    EXPECT_EQ(ranked({.rank = rank}, {.k = 2}).size(), 2u) << to_string(rank);
    EXPECT_EQ(ranked({.rank = rank}, {.filter = parse_filter("series = 'b'")}).size(), 1u);
    EXPECT_EQ(ranked({.rank = rank}, {.filter = parse_filter("series = 'nothing'")}).size(), 0u);
  }
}

TEST_F(Volumes, NamesOfRanksAreRead) {
  for (const VolumeRank rank :
       {VolumeRank::frequency, VolumeRank::maximum, VolumeRank::sum, VolumeRank::late})
    EXPECT_EQ(parse_volume_rank(to_string(rank)), rank);
  try {
    parse_volume_rank("size");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("not by 'size'"));
  }
}

TEST_F(Volumes, WithoutSlicesAreRefused) {
  FolderCollection collection(folder_);
  EXPECT_THROW(search_volumes(collection, Matrix(0, 3), {}, {}), Error);
}

}  // namespace
}  // namespace mii::search
