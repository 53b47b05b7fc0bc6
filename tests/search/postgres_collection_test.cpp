#include <atomic>
#include <thread>

#include "collections.h"

namespace mii::search {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class PostgresCollections : public testing::Test {
 protected:
  void SetUp() override {
    if (postgres_url() == nullptr) GTEST_SKIP() << "run_with_postgres.py runs these tests";
    url_ = PostgresSchema(schema_).url();
  }
  static void control(const std::string& what) {
    ASSERT_EQ(std::system((std::string(std::getenv("MII_TEST_POSTGRES_CONTROL")) + " " + what).c_str()), 0);
  }
  void sql(const std::string& statements) const { Postgres(url_).run_script(statements.c_str()); }
  // The URL with something else in place of a part of it.
  std::string with(const std::string& part, const std::string& other) const {
    std::string url = url_;
    return url.replace(url.find(part), part.size(), other);
  }

  const std::string schema_ = "mii_own_" + std::to_string(getpid());
  std::string url_;
};

std::string opening_error(const std::string& url) {
  return error_of([&] { PostgresCollection collection(url); });
}

TEST_F(PostgresCollections, OpeningSaysWhatIsWrongAndNoPassword) {
  EXPECT_THAT(opening_error(url_), HasSubstr("is no collection"));
  const std::string wrong = opening_error(with(":secret@", ":hidden@"));
  EXPECT_THAT(wrong, HasSubstr("password authentication failed"));
  EXPECT_THAT(wrong, Not(HasSubstr("hidden")));
  EXPECT_THAT(opening_error(with("/postgres?", "/nowhere?")),
              HasSubstr("database \"nowhere\" does not exist"));
  EXPECT_THAT(opening_error("postgresql://u@%2Fnowhere/x"), HasSubstr("No such file"));
  EXPECT_THAT(opening_error("postgresql://u:hidden@[/x"), HasSubstr("postgresql://...: is no URL"));
  PostgresCollection::create(url_);
  EXPECT_THAT(error_of([&] { PostgresCollection::create(url_); }), HasSubstr("is there already"));
  EXPECT_THAT(error_of([&] { create_collection(url_, DType::bf16); }), HasSubstr("a database stores f32"));
  sql("UPDATE mii_format SET format = 3");
  EXPECT_THAT(opening_error(url_),
              HasSubstr("has format 3 of a newer version of this program, which reads 2"));
}

TEST_F(PostgresCollections, ADatabaseWithoutPgvectorIsRefusedAndStaysAsItWas) {
  sql("DROP EXTENSION vector CASCADE");
  const std::string url = url_ + "%20-cextension_control_path%3D/nowhere";
  EXPECT_THAT(error_of([&] { PostgresCollection::create(url); }), HasSubstr("\"vector\" is not available"));
  EXPECT_THAT(opening_error(url_), HasSubstr("is no collection"));
}

TEST_F(PostgresCollections, AnOlderFormatIsMigratedByTheNextWriter) {
  PostgresCollection::create(url_);
  sql("DROP TABLE mii_state, mii_columns, mii_vectors, mii_thumbnails, mii_items, mii_typical, mii_audit; "
      "UPDATE mii_format SET format = 0");
  EXPECT_THAT(opening_error(url_), HasSubstr("has format 0 of an older version"));
  { PostgresCollection writer(url_, Access::write); }
  EXPECT_EQ(PostgresCollection(url_).info().items, size_t{0});
  sql("DROP TABLE mii_audit; UPDATE mii_format SET format = 1");
  PostgresCollection writer(url_, Access::write);
  EXPECT_THAT(PostgresCollection(url_).recorded(), IsEmpty());
}

TEST_F(PostgresCollections, EachSchemaHasACollectionOfItsOwn) {
  PostgresCollection::create(url_);
  PostgresCollection collection(url_, Access::write);
  fill(collection, clustered_vectors(10, kDim, 9));
  collection.create_index();
  const std::string other = PostgresSchema(schema_ + "_b").url();
  // The first collection's schema stands behind that of the second.
  const std::string behind = other + "," + schema_;
  EXPECT_THAT(opening_error(behind), HasSubstr("is no collection"));
  PostgresCollection::create(behind);
  PostgresCollection second(behind, Access::write);
  fill(second, clustered_vectors(3, kDim, 10));
  EXPECT_THAT(error_of([&] { second.search(clustered_vectors(1, kDim, 11), {.stage = Stage::hnsw}); }),
              HasSubstr("has no index hnsw"));
  EXPECT_EQ(second.info().items, size_t{3});
  EXPECT_EQ(collection.info().items, size_t{10});
}

TEST_F(PostgresCollections, TextsWithAZeroByteAreRefused) {
  PostgresCollection::create(url_);
  PostgresCollection collection(url_, Access::write);
  const std::string zero("a\0b", 3);
  EXPECT_THAT(
      error_of([&] { collection.add(std::vector{item(zero)}, clustered_vectors(1, kDim, 1), identity()); }),
      HasSubstr("zero byte"));
  EXPECT_THAT(error_of([&] { collection.find(std::vector{zero}); }), HasSubstr("zero byte"));
  EXPECT_EQ(collection.info().version, uint64_t{0});
}

TEST_F(PostgresCollections, TheIndexIsUsedForManyItemsAndTheAnswerSaysSo) {
  PostgresCollection::create(url_);
  PostgresCollection collection(url_, Access::write);
  EXPECT_THAT(error_of([&] { collection.create_index(); }), HasSubstr("is empty"));
  const Matrix vectors = clustered_vectors(21'000, kDim, 2);
  fill(collection, vectors, 5000);
  EXPECT_THAT(error_of([&] { collection.search(row_of(vectors, 0), {.stage = Stage::hnsw}); }),
              HasSubstr("has no index hnsw"));
  EXPECT_THAT(error_of([&] { collection.search(row_of(vectors, 0), {.stage = Stage::signs}); }),
              HasSubstr("exact and hnsw, not signs"));
  EXPECT_EQ(collection.search(row_of(vectors, 0), {})[0].stage, Stage::exact);
  collection.create_index();
  for (const size_t n : {0, 77, 20'999}) {
    const Answer answer = collection.search(row_of(vectors, n), {})[0];
    EXPECT_EQ(answer.stage, Stage::hnsw);
    EXPECT_EQ(answer.hits.size(), size_t{10});
    EXPECT_EQ(answer.hits[0].item.id, name_of(n));
  }
  EXPECT_EQ(collection.search(row_of(vectors, 0), {.stage = Stage::exact})[0].stage, Stage::exact);
  // Few items behind a filter, and older versions, are searched exactly.
  EXPECT_EQ(collection.search(row_of(vectors, 0), {.filter = parse_filter("age = 7")})[0].stage,
            Stage::exact);
  collection.remove(std::vector{name_of(0)});
  const Answer before = collection.search(row_of(vectors, 0), {.version = 5})[0];
  EXPECT_EQ(before.stage, Stage::exact);
  EXPECT_EQ(before.hits[0].item.id, name_of(0));
  EXPECT_NE(collection.search(row_of(vectors, 0), {})[0].hits[0].item.id, name_of(0));
}

TEST_F(PostgresCollections, AReaderSearchesAndCannotWrite) {
  PostgresCollection::create(url_);
  const Matrix vectors = clustered_vectors(10, kDim, 4);
  {
    PostgresCollection collection(url_, Access::write);
    fill(collection, vectors);
  }
  sql("CREATE ROLE mii_reader LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA " + schema_ +
      " TO mii_reader; GRANT SELECT ON mii_format, mii_state, mii_columns, mii_items, mii_vectors, "
      "mii_thumbnails, mii_typical TO mii_reader; GRANT INSERT ON mii_audit TO mii_reader");
  PostgresCollection reader(with("//postgres:", "//mii_reader:"));
  EXPECT_EQ(reader.search(row_of(vectors, 3), {.k = 1})[0].hits[0].item.id, name_of(3));
  EXPECT_THAT(error_of([&] { reader.remove(std::vector{name_of(3)}); }), HasSubstr("permission denied"));
  EXPECT_THROW(reader.remove(std::vector{name_of(3)}), CollectionForbidden);
  EXPECT_EQ(reader.info().items, size_t{10});
  reader.record({.time = "2026-11-28T04:30:00Z", .version = 1, .ids = {"a"}});
  EXPECT_THAT(error_of([&] { reader.recorded(); }), HasSubstr("permission denied"));
  EXPECT_EQ(PostgresCollection(url_).recorded().size(), size_t{1});
  sql("DROP OWNED BY mii_reader; DROP ROLE mii_reader");
}

TEST_F(PostgresCollections, ARebuildIsRefusedWhereTheCollectionHasChangedMeanwhile) {
  PostgresCollection::create(url_);
  PostgresCollection collection(url_, Access::write);
  fill(collection, clustered_vectors(4, kDim, 12));
  collection.create_index();
  const Matrix other = clustered_vectors(4, kDim / 2, 13);
  auto rebuild = collection.rebuild();
  rebuild->add(collection.page("", 9), other, identity("new"));
  PostgresCollection(url_, Access::write).remove(std::vector{name_of(3)});
  EXPECT_THAT(error_of([&] { rebuild->finish(); }), HasSubstr("has changed from version 1 to 2 meanwhile"));
  EXPECT_EQ(collection.info().identity, identity());
  // The index of vectors of another length goes with them.
  rebuild.reset();
  rebuild = collection.rebuild();
  rebuild->add(collection.page("", 9), rows_of(other, 0, 3), identity("new"));
  rebuild->finish();
  EXPECT_THAT(error_of([&] { collection.search(row_of(other, 0), {.stage = Stage::hnsw}); }),
              HasSubstr("has no index hnsw"));
  collection.create_index();
  EXPECT_EQ(collection.search(row_of(other, 0), {.k = 1, .stage = Stage::hnsw})[0].hits[0].item.id,
            name_of(0));
}

TEST_F(PostgresCollections, WritersWaitForEachOther) {
  PostgresCollection::create(url_);
  const auto write = [&](size_t first) {
    PostgresCollection collection(url_, Access::write);
    for (size_t n = first; n < first + 20; ++n)
      collection.add(std::vector{item(name_of(n)), item("both")}, clustered_vectors(2, kDim, 5), identity());
  };
  std::jthread other(write, 100);
  write(0);
  other.join();
  PostgresCollection collection(url_);
  EXPECT_EQ(collection.info().items, size_t{41});
  EXPECT_EQ(collection.info().version, uint64_t{40});
  EXPECT_THAT(collection.verify(), IsEmpty());
}

TEST_F(PostgresCollections, VerifyFindsWhatIsMissing) {
  PostgresCollection::create(url_);
  PostgresCollection collection(url_, Access::write);
  fill(collection, clustered_vectors(10, kDim, 6));
  EXPECT_THAT(collection.verify(), IsEmpty());
  sql("DELETE FROM mii_vectors WHERE number = 3");
  EXPECT_THAT(collection.verify(), testing::ElementsAre(HasSubstr("has 9 vectors of length 1, expected 10")));
}

TEST_F(PostgresCollections, ReadsGoOnWhenTheServerIsBackAndEndInAnErrorIfItIsNot) {
  PostgresCollection::create(url_);
  PostgresCollection collection(url_, Access::write);
  fill(collection, clustered_vectors(10, kDim, 7));
  control("stop");
  EXPECT_THAT(error_of([&] { collection.info(); }), HasSubstr("(after 5 attempts)"));
  std::jthread later([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    control("start");
  });
  EXPECT_EQ(collection.info().items, size_t{10});
}

// The server is killed while changes follow each other.
TEST_F(PostgresCollections, AKilledServerLosesNothingThatItAcknowledgedAndKeepsNothingHalf) {
  PostgresCollection::create(url_);
  const Matrix vectors = clustered_vectors(100, kDim, 8);
  std::atomic<size_t> acknowledged = 0;
  std::string error;
  std::thread writer([&] {
    PostgresCollection collection(url_, Access::write);
    error = error_of([&] {
      for (size_t n = 0;; ++n) {
        std::vector<Item> items;
        for (size_t i = 0; i < 100; ++i) items.push_back(item(name_of(100 * n + i)));
        collection.add(items, vectors, identity());
        ++acknowledged;
      }
    });
  });
  while (acknowledged < 3) std::this_thread::yield();
  control("stop");
  writer.join();
  control("start");
  EXPECT_TRUE(error.find("not acknowledged") != std::string::npos ||
              error.find("attempts") != std::string::npos)
      << error;
  PostgresCollection collection(url_);
  const size_t items = collection.info().items;
  EXPECT_TRUE(items == 100 * acknowledged || items == 100 * (acknowledged + 1))
      << items << " " << acknowledged;
  EXPECT_THAT(collection.verify(), IsEmpty());
}

}  // namespace
}  // namespace mii::search
