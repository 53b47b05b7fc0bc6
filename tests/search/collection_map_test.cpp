#include "search/collection_map.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "collections.h"

namespace mii::search {
namespace {

namespace fs = std::filesystem;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class CollectionMaps : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    FolderCollection::create(folder_);
    writer_.emplace(folder_, Access::write);
    reader_.emplace(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  const fs::path folder_ = fs::temp_directory_path() / ("mii-collection-map-" + std::to_string(getpid()));
  std::optional<FolderCollection> writer_, reader_;
};

TEST_F(CollectionMaps, ShowItemsAlongTheAxesOfAll) {
  const Matrix vectors = clustered_vectors(3000, kDim, 1);
  fill(*writer_, vectors);
  CollectionMap map(*reader_);
  const MapView all = map.look({.column = "site"});
  ASSERT_THAT(all.selection.ids, SizeIs(3000));
  EXPECT_EQ(all.selection.ids[17], name_of(17));
  EXPECT_EQ(all.selection.values[17], "B");
  Covariance covariance(kDim);
  covariance.add(reader_->vectors(all.selection.ids));
  const PrincipalAxes axes = covariance.axes();
  EXPECT_EQ(all.share, axes.share);
  EXPECT_TRUE(
      std::ranges::equal(all.places.values(), axes.project(reader_->vectors(all.selection.ids)).values()));

  const MapView some = map.look({.filter = parse_filter("age < 2 and site = 'A'")});
  EXPECT_EQ(some.share, all.share);
  EXPECT_THAT(some.selection.ids, SizeIs(20));
  EXPECT_THAT(some.selection.values, IsEmpty());
  for (size_t i = 0; i < some.selection.ids.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(some.places.row(i), all.places.row(std::stoul(some.selection.ids[i]))));
  const MapView none = map.look({.filter = parse_filter("age < 0")});
  EXPECT_EQ(none.selection.items, size_t{0});
  EXPECT_EQ(none.places.rows(), size_t{0});
}

TEST_F(CollectionMaps, AreKeptUntilTheCollectionChanges) {
  fill(*writer_, clustered_vectors(100, kDim, 1));
  CollectionMap map(*reader_);
  bool stop = true;
  const MapOptions options{.cancelled = [&] { return stop; }};
  EXPECT_EQ(error_of([&] { map.look(options); }), "stopped");
  stop = false;
  const MapView first = map.look(options);
  stop = true;
  const MapView second = map.look(options);  // asks nobody: nothing is read
  EXPECT_TRUE(std::ranges::equal(first.places.values(), second.places.values()));
  writer_->remove(std::vector{name_of(3)});
  EXPECT_EQ(error_of([&] { map.look(options); }), "stopped");
  stop = false;
  EXPECT_THAT(map.look(options).selection.ids, SizeIs(99));
}

TEST_F(CollectionMaps, OfItemsThatGoMeanwhileAreTriedAgain) {
  fill(*writer_, clustered_vectors(10, kDim, 1));
  CollectionMap map(*reader_);
  size_t looks = 0;
  const MapView view = map.look({.cancelled = [&] {
    if (looks++ == 0) writer_->remove(std::vector{name_of(4)});
    return false;
  }});
  EXPECT_THAT(view.selection.ids, SizeIs(9));
}

TEST_F(CollectionMaps, OfNothingAndOfOneItemAreNoFailure) {
  CollectionMap map(*reader_);
  EXPECT_EQ(map.look({}).places.rows(), size_t{0});
  const Matrix vectors = clustered_vectors(1, kDim, 1);
  writer_->add(std::vector{item("a")}, vectors, identity());
  const MapView one = map.look({});
  EXPECT_THAT(one.selection.ids, ElementsAre("a"));
  EXPECT_THAT(one.places.values(), Each(0));
  EXPECT_THAT(error_of([&] { map.look({.column = "none"}); }), HasSubstr("none"));
}

TEST(MapColours, NameTheMostFrequentValues) {
  std::vector<std::string> values{"b", "", "a", "b", "c", "a"};
  const MapColours few = colours_of(values);
  ASSERT_THAT(few.names, SizeIs(3));
  EXPECT_EQ(few.names[0].value + few.names[1].value + few.names[2].value, "abc");
  EXPECT_EQ(few.names[1].items, size_t{2});
  EXPECT_THAT(few.codes, ElementsAre(2, MapColours::kNone, 1, 2, 3, 1));
  EXPECT_THAT(few.numbers, IsEmpty());
  values.clear();
  for (int i = 0; i < 300; ++i) values.push_back("v" + std::to_string(1000 + i));
  const MapColours many = colours_of(values);
  EXPECT_THAT(many.names, SizeIs(254));
  EXPECT_EQ(many.codes[253], 254);
  EXPECT_EQ(many.codes[254], MapColours::kOther);
}

TEST(MapColours, AreNumbersWhereAllValuesAreAndThereAreMany) {
  std::vector<std::string> values{"1", "2", "3", "4", "5", "6", "7", "8"};
  EXPECT_THAT(colours_of(values).numbers, IsEmpty());
  values.insert(values.end(), {"", "-1e300"});
  const MapColours numbers = colours_of(values);
  EXPECT_THAT(numbers.names, IsEmpty());
  ASSERT_THAT(numbers.numbers, SizeIs(10));
  EXPECT_EQ(numbers.numbers[2], 3);
  EXPECT_TRUE(std::isnan(numbers.numbers[8]));
  EXPECT_EQ(numbers.numbers[9], std::numeric_limits<float>::lowest());
  values.emplace_back("unknown");
  EXPECT_THAT(colours_of(values).numbers, IsEmpty());
}

}  // namespace
}  // namespace mii::search
