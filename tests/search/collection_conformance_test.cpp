#include <set>

#include "collections.h"
#include "search/audit.h"

namespace mii::search {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::UnorderedElementsAre;

std::vector<std::string> kinds() {
  std::vector<std::string> kinds{"folder"};
  if (postgres_url() != nullptr) kinds.emplace_back("postgres");
  return kinds;
}

/// What the folder and the database have in common.
class AnyCollection : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "folder") {
      name_ = (fs::temp_directory_path() / ("mii-any-collection-" + std::to_string(getpid()))).string();
      fs::remove_all(name_);
    } else {
      name_ = schema_.emplace("mii_any_" + std::to_string(getpid())).url();
    }
  }
  void TearDown() override {
    collection_.reset();
    if (!schema_) fs::remove_all(name_);
  }
  void create() const { create_collection(name_); }
  Collection& open() {
    collection_.reset();  // one at a time writes
    collection_ = open_collection(name_, Access::write);
    return *collection_;
  }
  std::unique_ptr<Collection> open_reader() const { return open_collection(name_); }
  // Those that this kind has; makes the index that one of them needs.
  std::vector<Stage> stages() {
    auto* postgres = dynamic_cast<PostgresCollection*>(collection_.get());
    if (postgres == nullptr) return {Stage::exact, Stage::int8, Stage::signs};
    postgres->create_index();
    return {Stage::exact, Stage::hnsw};
  }

  std::vector<Stage> exact_stages() {
    std::vector<Stage> stages = this->stages();
    std::erase(stages, Stage::hnsw);
    return stages;
  }

 private:
  std::string name_;
  std::optional<PostgresSchema> schema_;
  std::unique_ptr<Collection> collection_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, AnyCollection, testing::ValuesIn(kinds()),
                         [](const auto& kind) { return kind.param; });

TEST_P(AnyCollection, KeepsItemsWithTheirColumnsAndVectors) {
  const Matrix vectors = clustered_vectors(2, kDim, 1);
  {
    create();
    Collection& collection = open();
    EXPECT_EQ(collection.info().version, uint64_t{0});
    EXPECT_EQ(collection.info().dim, size_t{0});
    EXPECT_FALSE(collection.info().identity);
    Item first = item("a/b's \"; drop table items", {{"path", "x/y.png"}, {"a'; --", "1"}, {"empty", ""}});
    first.state = "12 34";
    first.thumbnail = {std::byte{1}, std::byte{0}};
    collection.add(std::vector{first, item("größe")}, vectors, identity());
  }
  Collection& collection = open();
  const CollectionInfo info = collection.info();
  EXPECT_EQ(info.items, size_t{2});
  EXPECT_EQ(info.dim, kDim);
  EXPECT_EQ(info.version, uint64_t{1});
  EXPECT_EQ(info.identity, identity());
  EXPECT_THAT(info.columns, ElementsAre("path", "a'; --"));
  const auto found = collection.find(std::vector<std::string>{"größe", "none", "a/b's \"; drop table items"});
  EXPECT_EQ(found[0], item("größe"));
  EXPECT_FALSE(found[1]);
  Item expected = item("a/b's \"; drop table items", {{"path", "x/y.png"}, {"a'; --", "1"}});
  expected.state = "12 34";
  expected.thumbnail = {std::byte{1}, std::byte{0}};
  EXPECT_EQ(found[2], expected);
  const Matrix stored = collection.vectors(std::vector<std::string>{"größe"});
  EXPECT_TRUE(std::ranges::equal(stored.row(0), vectors.row(1)));
  EXPECT_THAT(collection.verify(), IsEmpty());
}

TEST_P(AnyCollection, SelectsItemsAtEvenDistances) {
  create();
  Collection& collection = open();
  EXPECT_THAT(collection.select({.most = 5}).ids, IsEmpty());
  fill(collection, clustered_vectors(101, kDim, 1));
  collection.remove(std::vector{name_of(50)});
  collection.add(std::vector{item(name_of(7))}, clustered_vectors(1, kDim, 2), identity());  // now the last
  const Selection all = collection.select({.column = "site", .most = 1000});
  EXPECT_EQ(all.version, uint64_t{3});
  EXPECT_EQ(all.items, size_t{100});
  ASSERT_EQ(all.ids.size(), size_t{100});
  EXPECT_EQ(all.ids[7], name_of(8));
  EXPECT_EQ(all.ids.back(), name_of(7));
  EXPECT_EQ(all.values[7], "B");
  EXPECT_EQ(all.values.back(), "");
  for (const size_t most : {size_t{1}, size_t{7}, size_t{50}, size_t{99}}) {
    const Selection some = collection.select({.most = most});
    EXPECT_EQ(some.items, size_t{100});
    EXPECT_THAT(some.values, IsEmpty());
    ASSERT_EQ(some.ids.size(), most);
    for (size_t k = 0; k < most; ++k) EXPECT_EQ(some.ids[k], all.ids[k * 100 / most]) << most << " " << k;
  }
  const Selection filtered =
      collection.select({.filter = parse_filter("age < 2 and site = 'A'"), .column = "age", .most = 9});
  EXPECT_THAT(filtered.ids, ElementsAre(name_of(0)));
  EXPECT_THAT(filtered.values, ElementsAre("0"));
  EXPECT_EQ(collection.select({.filter = parse_filter("age < 0"), .most = 9}).items, size_t{0});
  EXPECT_THAT(error_of([&] { collection.select({.column = "none", .most = 9}); }), HasSubstr("'none'"));
  EXPECT_THAT(collection.select({.column = "id", .most = 1}).values, ElementsAre(name_of(0)));
}

TEST_P(AnyCollection, ReplacesAndRemovesById) {
  create();
  Collection& collection = open();
  const Matrix vectors = clustered_vectors(3, kDim, 2);
  const Matrix two = clustered_vectors(2, kDim, 3);
  collection.add(std::vector{item("a"), item("b"), item("c")}, vectors, identity());
  const AddCounts counts = collection.add(std::vector{item("b", {{"x", "1"}}), item("d")}, two, identity());
  EXPECT_EQ(counts.added, size_t{1});
  EXPECT_EQ(counts.replaced, size_t{1});
  EXPECT_EQ(collection.remove(std::vector<std::string>{"a", "nothing"}), size_t{1});
  EXPECT_EQ(collection.remove(std::vector<std::string>{"nothing"}), size_t{0});
  EXPECT_EQ(collection.info().version, uint64_t{3});
  EXPECT_EQ(collection.info().items, size_t{3});
  EXPECT_EQ(collection.info().removed, size_t{2});
  const Answer answer = collection.search(row_of(two, 0), {.k = 10})[0];
  EXPECT_EQ(answer.hits.front().item, item("b", {{"x", "1"}}));
  EXPECT_NEAR(answer.hits.front().similarity, 1, 1e-6);
  EXPECT_THAT(ids_of(answer), testing::UnorderedElementsAre("b", "c", "d"));
  EXPECT_THAT(collection.verify(), IsEmpty());
}

TEST_P(AnyCollection, EquallySimilarHitsComeInTheOrderOfTheirIds) {
  create();
  Collection& collection = open();
  std::vector<Item> items;
  Matrix vectors(50, kDim);
  const Matrix same = clustered_vectors(1, kDim, 6);
  for (size_t i = 0; i < 50; ++i) {
    items.push_back(item(name_of(i * 37 % 50)));
    std::ranges::copy(same.row(0), vectors.row(i).begin());
  }
  collection.add(items, vectors, identity());
  for (const Stage stage : exact_stages())
    EXPECT_THAT(ids_of(collection.search(same, {.k = 3, .stage = stage})[0]),
                ElementsAre("000000", "000001", "000002"));
}

TEST_P(AnyCollection, OneHitForEachPatientAndThoseWithoutAPatientAll) {
  create();
  Collection& collection = open();
  const Matrix vectors = clustered_vectors(400, kDim, 7, 0.1f);
  fill(collection, vectors);
  collection.add(std::vector{item("x"), item("y")}, clustered_vectors(2, kDim, 8, 0.1f), identity());
  const Answer all = collection.search(row_of(vectors, 0), {.k = 402})[0];
  std::vector<std::string> expected;
  std::set<std::string, std::less<>> patients;
  for (const Hit& hit : all.hits)
    if (hit.item.value("patient").empty() || patients.insert(std::string(hit.item.value("patient"))).second)
      expected.push_back(hit.item.id);
  ASSERT_EQ(expected.size(), size_t{102});
  EXPECT_EQ(ids_of(collection.search(row_of(vectors, 0), {.k = 402, .one_per = "patient"})[0]), expected);
  expected.resize(9);
  EXPECT_EQ(ids_of(collection.search(row_of(vectors, 0), {.k = 9, .one_per = "patient"})[0]), expected);
}

TEST_P(AnyCollection, NearDuplicatesAreFoldedIntoTheBetterHit) {
  create();
  Collection& collection = open();
  Matrix vectors = clustered_vectors(4, kDim, 9, 3);
  for (const size_t copy : {1, 2})
    for (size_t i = 0; i < kDim; ++i) vectors.row(copy)[i] = vectors.row(0)[i] + (i == copy ? 1e-3f : 0);
  collection.add(std::vector{item("a"), item("b"), item("c"), item("d")}, vectors, identity());
  const Answer answer = collection.search(row_of(vectors, 0), {.k = 4, .fold_from = 0.999f})[0];
  EXPECT_THAT(ids_of(answer), ElementsAre("a", "d"));
  EXPECT_EQ(answer.hits[0].folded, size_t{2});
  EXPECT_EQ(answer.hits[1].folded, size_t{0});
  EXPECT_THAT(ids_of(collection.search(row_of(vectors, 0), {.k = 4, .leave_out = {"a", "c"}})[0]),
              ElementsAre("b", "d"));
}

TEST_P(AnyCollection, AnOlderVersionCanBeAskedAgainUntilItIsCompacted) {
  create();
  Collection& collection = open();
  const Matrix vectors = clustered_vectors(3, kDim, 10);
  collection.add(std::vector{item("a"), item("b")}, clustered_vectors(2, kDim, 11), identity());
  collection.add(std::vector{item("a", {{"x", "new"}})}, row_of(vectors, 0), identity());
  collection.remove(std::vector<std::string>{"b"});
  const auto at = [&](uint64_t version) {
    const Answer answer = collection.search(row_of(vectors, 1), {.version = version})[0];
    EXPECT_EQ(answer.version, version);
    std::vector<Item> items;
    for (const Hit& hit : answer.hits) items.push_back(hit.item);
    std::ranges::sort(items, {}, &Item::id);
    return items;
  };
  EXPECT_THAT(at(0), IsEmpty());
  EXPECT_THAT(at(1), ElementsAre(item("a"), item("b")));
  EXPECT_THAT(at(2), ElementsAre(item("a", {{"x", "new"}}), item("b")));
  EXPECT_THAT(at(3), ElementsAre(item("a", {{"x", "new"}})));
  EXPECT_THAT(error_of([&] { at(4); }), HasSubstr("version 4 is not kept; the collection has version 3"));
  collection.compact();
  EXPECT_THAT(at(4), ElementsAre(item("a", {{"x", "new"}})));
  EXPECT_THAT(error_of([&] { at(3); }), HasSubstr("version 3 is not kept"));
}

TEST_P(AnyCollection, TypicalSimilaritiesAreThoseOfTheNearestItemOfAnotherPatient) {
  create();
  Collection& collection = open();
  const Matrix vectors = clustered_vectors(200, kDim, 19);
  fill(collection, vectors);
  EXPECT_FALSE(collection.typical());
  collection.measure_typical(1000);
  std::vector<float> expected;
  for (size_t n = 0; n < 200; ++n) {
    double best = -1;
    for (size_t m = 0; m < 200; ++m) {
      double sum = 0;
      for (size_t i = 0; i < kDim; ++i) sum += double{vectors.row(n)[i]} * vectors.row(m)[i];
      if (m / 4 != n / 4) best = std::max(best, sum);
    }
    expected.push_back(static_cast<float>(best));
  }
  std::ranges::sort(expected);
  const Typical typical = collection.typical().value();
  EXPECT_EQ(typical.version, collection.info().version);
  EXPECT_THAT(typical.nearest, testing::Pointwise(testing::FloatNear(kDim * 0x1p-24f), expected));
}

TEST_P(AnyCollection, RefusesWhatDoesNotFitAndKeepsNothingOfIt) {
  create();
  Collection& collection = open();
  const Matrix two = clustered_vectors(2, kDim, 20);
  collection.add(std::vector{item("a"), item("b")}, two, identity());
  const auto error = [&](std::vector<Item> items, const Matrix& vectors, const Identity& by) {
    return error_of([&] { collection.add(items, vectors, by); });
  };
  const std::vector fine{item("c"), item("d")};
  EXPECT_THAT(error(fine, two, identity("other")),
              HasSubstr("another identity: weights: 'other', expected 'w'"));
  EXPECT_THAT(error(fine, clustered_vectors(2, 10, 1), identity()),
              HasSubstr("holds vectors of 24 values, these have 10"));
  EXPECT_THAT(error({item("c"), item("c")}, two, identity()), HasSubstr("the id 'c' is given twice"));
  EXPECT_THAT(error({item("c"), item("")}, two, identity()), HasSubstr("without an id"));
  EXPECT_THAT(error({item("c"), item("\xff")}, two, identity()), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(error({item("c")}, two, identity()), HasSubstr("1 items and 2 vectors"));
  EXPECT_THAT(error({item("c", {{"x", "1"}, {"x", "2"}}), item("d")}, two, identity()),
              HasSubstr("given twice"));
  EXPECT_THAT(error({item("c", {{"id", "1"}}), item("d")}, two, identity()),
              HasSubstr("may not be called 'id'"));
  Matrix wrong = two.clone();
  wrong.row(1)[3] = NAN;
  EXPECT_THAT(error(fine, wrong, identity()), HasSubstr("the vector of 'd' is not finite"));
  std::ranges::fill(wrong.row(1), 0.0f);
  EXPECT_THAT(error(fine, wrong, identity()), HasSubstr("the vector of 'd' is zero"));
  std::vector<Attribute> many;
  for (int i = 0; i < 1001; ++i) many.push_back({std::string("c").append(std::to_string(i)), "1"});
  EXPECT_THAT(error({item("c", many), item("d")}, two, identity()), HasSubstr("1001 columns, at most 1000"));
  EXPECT_EQ(collection.info().version, uint64_t{1});
  EXPECT_EQ(collection.info().items, size_t{2});
  Identity halves = identity();
  halves.precision = "bf16";
  EXPECT_EQ(collection.add(fine, two, halves).added, size_t{2});
  EXPECT_THAT(check_identity(halves, identity()), HasSubstr("precision: 'bf16', expected 'f32'"));
  Identity newer = identity();
  newer.version = "0.2.0";
  EXPECT_THAT(check_identity(newer, identity()), HasSubstr("version: '0.2.0', expected '0.1.0'"));
  EXPECT_EQ(check_identity(identity(), identity()), "");
}

TEST_P(AnyCollection, RefusesSearchesThatMakeNoSense) {
  create();
  Collection& collection = open();
  const Matrix two = clustered_vectors(2, kDim, 21);
  EXPECT_THAT(collection.search(two, {})[1].hits, IsEmpty());
  collection.add(std::vector{item("a", {{"x", "1"}}), item("b")}, two, identity());
  const auto error = [&](const Matrix& queries, const SearchOptions& options) {
    return error_of([&] { collection.search(queries, options); });
  };
  EXPECT_THAT(error(two, {.k = 0}), HasSubstr("0 hits; 1 to 10000"));
  EXPECT_THAT(error(two, {.k = 1'000'000'000}), HasSubstr("1000000000 hits"));
  EXPECT_THAT(error(clustered_vectors(1, 10, 1), {}), HasSubstr("the query has 10"));
  EXPECT_THAT(error(two, {.filter = parse_filter("y = 1")}),
              HasSubstr("there is no column 'y'; there are id, x"));
  EXPECT_THAT(error(two, {.one_per = "y"}), HasSubstr("there is no column 'y'"));
  EXPECT_THAT(ids_of(collection.search(two, {.filter = parse_filter("id != 'a'")})[0]), ElementsAre("b"));
  EXPECT_THAT(error_of([&] { collection.vectors(std::vector<std::string>{"z"}); }),
              HasSubstr("there is no item 'z'"));
}

TEST_P(AnyCollection, AnExactSearchGivesTheBitsOfAScan) {
  create();
  Collection& collection = open();
  const Matrix vectors = clustered_vectors(3000, kDim, 4);
  fill(collection, vectors);
  const Matrix queries = clustered_vectors(12, kDim, 5);
  const VectorRows rows{
      .stored = {reinterpret_cast<const std::byte*>(vectors.values().data()), kDim * sizeof(float)},
      .precision = DType::f32,
      .dim = kDim};
  const Scan expected = scan(rows, Bitmap(vectors.rows(), true), queries, {.k = 20, .stage = Stage::exact});
  const std::vector<Answer> answers = collection.search(queries, {.k = 20, .stage = Stage::exact});
  for (size_t q = 0; q < queries.rows(); ++q) {
    EXPECT_EQ(answers[q].searched, vectors.rows());
    ASSERT_EQ(answers[q].hits.size(), size_t{20});
    for (size_t i = 0; i < 20; ++i) {
      EXPECT_EQ(answers[q].hits[i].item.id, name_of(expected.best[q][i].row));
      EXPECT_EQ(answers[q].hits[i].similarity, expected.best[q][i].similarity);
    }
  }
}

// Values that are numbers, or nearly; that differ in case; beyond ASCII; and none.
TEST_P(AnyCollection, FiltersMeanTheSame) {
  create();
  Collection& collection = open();
  const std::vector<std::string> values{"",       "5",    "05",  "5.0",  "-3",  "1e2", "1e999", " 5",
                                        "+5",     "0x10", "nan", "inf",  "abc", "ABC", "aBc",   "ä",
                                        "Ä",      "a%b",  "a_b", "a\\b", "z",   "Z",   "'",     "\"",
                                        "1e-400", ".5",   "5.",  "b\\",  "-0",  "100"};
  std::vector<Item> items;
  for (size_t i = 0; i < values.size(); ++i)
    items.push_back(item(std::to_string(i), {{"x", values[i]}, {"y", "1"}}));
  collection.add(items, clustered_vectors(items.size(), kDim, 30), identity());
  for (const char* text : {"x = 5",
                           "x != 5",
                           "x < 5",
                           "x <= 5",
                           "x > 5",
                           "x >= 5",
                           "x = 0",
                           "x = 100",
                           "x > 1e-300",
                           "x = '5'",
                           "x != '5'",
                           "x < 'a'",
                           "x >= 'Z'",
                           "x > 'z'",
                           "x in (5, 'abc', 'nothing')",
                           "x like 'a%'",
                           "x like '_'",
                           "x like 'a\\%b'",
                           "x like '%\\'",
                           "x like 'a\\_b'",
                           "x contains 'B'",
                           "x contains 'Ä'",
                           "x contains ''",
                           "x contains '%'",
                           "x is null",
                           "x is not null",
                           "not x < 5",
                           "not (x = 5 or x like 'a%')",
                           "x not in (5)",
                           "id < 10",
                           "id = '3'",
                           "id like '1%'",
                           "id is null",
                           "not id > 3 and y = 1",
                           "x = '''; DROP TABLE mii_items; --'",
                           "x < 'a' or x = 5"}) {
    const Filter filter = parse_filter(text);
    std::vector<std::string> expected;
    for (const Item& tested : items) {
      Column column;
      const auto column_of = [&](const std::string& name) -> const Column& {
        const std::string_view value = name == "id" ? std::string_view(tested.id) : tested.value(name);
        column = {{value.empty() ? 0u : 1u}, {std::string(value)}};
        return column;
      };
      if (rows_that_meet(filter, 1, column_of).test(0)) expected.push_back(tested.id);
    }
    const Answer answer = collection.search(clustered_vectors(1, kDim, 31), {.k = 100, .filter = filter})[0];
    EXPECT_THAT(ids_of(answer), testing::UnorderedElementsAreArray(expected)) << text;
    EXPECT_EQ(answer.searched, expected.size()) << text;
  }
}

TEST_P(AnyCollection, AFilterCostsNoHitsWhateverTheStage) {
  create();
  Collection& collection = open();
  const Matrix vectors = clustered_vectors(3000, kDim, 32);
  fill(collection, vectors);
  for (const Stage stage : stages()) {
    const Answer answer = collection.search(row_of(vectors, 0),
                                            {.k = 30, .filter = parse_filter("age = 7"), .stage = stage})[0];
    EXPECT_EQ(answer.hits.size(), size_t{30});
    EXPECT_EQ(answer.searched, size_t{30});
  }
}

TEST_P(AnyCollection, PagesGoThroughAllItemsInTheOrderOfIds) {
  create();
  Collection& collection = open();
  collection.add(std::vector{item("b"), item("a"), item("B"), item("ä")}, clustered_vectors(4, kDim, 33),
                 identity());
  std::vector<std::string> ids;
  for (std::vector<Item> page = collection.page("", 3); !page.empty(); page = collection.page(ids.back(), 3))
    for (const Item& one : page) ids.push_back(one.id);
  EXPECT_THAT(ids, ElementsAre("B", "a", "b", "ä"));
}

TEST_P(AnyCollection, RebuildSwapsToVectorsOfAnotherModelAtOnce) {
  create();
  Collection& collection = open();
  fill(collection, clustered_vectors(100, kDim, 15));
  const auto reader = open_reader();
  const uint64_t before = reader->info().version;
  const Matrix other_vectors = clustered_vectors(100, 2 * kDim, 16);
  {
    const auto abandoned = collection.rebuild();
    abandoned->add(collection.page("", 10), clustered_vectors(10, 2 * kDim, 17), identity("new"));
    EXPECT_THAT(error_of([&] {
                  abandoned->add(collection.page("000009", 1), clustered_vectors(1, kDim, 18),
                                 identity("new"));
                }),
                HasSubstr("values"));
    EXPECT_THAT(error_of([&] { abandoned->finish(); }), HasSubstr("10 of 100 vectors"));
  }
  const auto rebuild = collection.rebuild();
  std::vector<Item> items = collection.page("", 1000);
  set_attribute(items[7], "new column", "x");
  rebuild->add(std::span(items).first(60), rows_of(other_vectors, 0, 60), identity("new"));
  rebuild->add(std::span(items).subspan(60), rows_of(other_vectors, 60, 40), identity("new"));
  EXPECT_EQ(reader->info().identity, identity());
  EXPECT_EQ(reader->info().version, before);
  EXPECT_THAT(reader->info().columns, Not(Contains("new column")));
  rebuild->finish();
  EXPECT_EQ(reader->info().identity, identity("new"));
  EXPECT_EQ(reader->info().dim, 2 * kDim);
  EXPECT_EQ(reader->info().items, size_t{100});
  EXPECT_EQ(reader->info().removed, size_t{0});
  EXPECT_GT(reader->info().version, before);
  EXPECT_FALSE(reader->typical());
  const Hit hit = reader->search(row_of(other_vectors, 7), {.k = 1})[0].hits[0];
  EXPECT_EQ(hit.item, items[7]);
  EXPECT_THAT(error_of([&] { reader->search(row_of(other_vectors, 7), {.version = before}); }),
              HasSubstr("is not kept"));
  EXPECT_THAT(reader->verify(), IsEmpty());
  collection.remove(std::vector{name_of(7)});
  EXPECT_EQ(reader->info().items, size_t{99});
}

TEST_P(AnyCollection, TheAuditTableSaysWhoAskedWhatAndWasGivenWhichIds) {
  create();
  const Matrix vectors = clustered_vectors(3, kDim, 1);
  open().add(std::vector{item("a\"b"), item("c"), item("d")}, vectors, identity());
  const SearchOptions options{.k = 2, .filter = parse_filter("id != 'd'")};
  const auto reader = open_reader();
  const Answer answer = reader->search(row_of(vectors, 0), options).front();
  EXPECT_THAT(reader->recorded(), IsEmpty());
  reader->record(audit_entry("O'Hara", vectors.row(0), options, answer));
  open().compact();
  open().record(audit_entry("", vectors.row(0), {}, answer));
  const std::vector<AuditEntry> entries = reader->recorded();
  ASSERT_EQ(entries.size(), size_t{2});
  EXPECT_EQ(entries[0].caller, "O'Hara");
  EXPECT_EQ(entries[0].query.size(), size_t{64});
  EXPECT_EQ(entries[0].query, entries[1].query);
  EXPECT_EQ(entries[0].filter, "\"id\" != 'd'");
  EXPECT_EQ(entries[0].version, uint64_t{1});
  EXPECT_THAT(entries[0].ids, UnorderedElementsAre("a\"b", "c"));
  EXPECT_THAT(entries[0].time, MatchesRegex("20..-..-..T..:..:..Z"));
}

}  // namespace
}  // namespace mii::search
