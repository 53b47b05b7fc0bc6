#include "search/folder_collection.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <numeric>
#include <random>
#include <thread>

#include "mii/error.h"
#include "search/sqlite.h"
#include "collections.h"

namespace mii::search {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using Access = FolderCollection::Access;

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-collection-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::remove_all(other());
  }
  void TearDown() override {
    fs::remove_all(folder_);
    fs::remove_all(other());
  }
  fs::path other() const { return folder_.string() + "-other"; }
  FolderCollection create(DType precision = DType::f32) const {
    FolderCollection::create(folder_, precision);
    return FolderCollection(folder_, Access::write);
  }

  fs::path folder_;
};

TEST_F(Folder, SearchEqualsBruteForceInEveryPrecision) {
  for (const DType precision : {DType::f32, DType::bf16}) {
    fs::remove_all(folder_);
    FolderCollection collection = create(precision);
    const Matrix vectors = clustered_vectors(5000, kDim, 4);
    fill(collection, vectors);
    const Matrix queries = clustered_vectors(12, kDim, 5);
    SearchOptions options{.k = 7, .filter = parse_filter("site = 'A' and age < 50")};
    std::vector<std::vector<std::pair<float, std::string>>> expected(queries.rows());
    for (size_t q = 0; q < queries.rows(); ++q) {
      for (size_t n = 0; n < vectors.rows(); ++n) {
        if (n % 3 != 0 || n % 100 >= 50) continue;
        double sum = 0;
        for (size_t i = 0; i < kDim; ++i) {
          const float x = vectors.row(n)[i];
          sum += double{queries.row(q)[i]} * (precision == DType::bf16 ? to_float(to_bfloat16(x)) : x);
        }
        expected[q].emplace_back(static_cast<float>(-sum), name_of(n));
      }
      std::ranges::sort(expected[q]);
    }
    for (const Stage stage : {Stage::automatic, Stage::exact, Stage::int8}) {
      options.stage = stage;
      const std::vector<Answer> answers = collection.search(queries, options);
      for (size_t q = 0; q < queries.rows(); ++q) {
        ASSERT_EQ(answers[q].hits.size(), size_t{7});
        for (size_t i = 0; i < 7; ++i) {
          EXPECT_EQ(answers[q].hits[i].item.id, expected[q][i].second);
          EXPECT_NEAR(answers[q].hits[i].similarity, -expected[q][i].first, kDim * 0x1p-24);
        }
      }
    }
  }
}

TEST_F(Folder, CompactingChangesNoAnswerAndFreesTheRows) {
  for (const DType precision : {DType::f32, DType::bf16}) {
    fs::remove_all(folder_);
    FolderCollection collection = create(precision);
    const Matrix vectors = clustered_vectors(3000, kDim, 12);
    fill(collection, vectors);
    fill(collection, clustered_vectors(500, kDim, 13));
    std::vector<std::string> gone;
    for (size_t n = 0; n < 3000; n += 3) gone.push_back(name_of(n));
    collection.remove(gone);
    FolderCollection reader(folder_);
    const auto answers = [&](FolderCollection& asked) {
      std::vector<std::pair<std::string, float>> all;
      for (const Answer& answer : asked.search(clustered_vectors(10, kDim, 14), {.k = 20}))
        for (const Hit& hit : answer.hits) all.emplace_back(hit.item.id, hit.similarity);
      return all;
    };
    const auto before = answers(reader);
    const uint64_t version = collection.info().version;
    collection.compact();
    EXPECT_EQ(answers(collection), before);
    EXPECT_EQ(answers(reader), before);
    EXPECT_EQ(reader.info().version, version + 1);
    EXPECT_EQ(reader.info().removed, size_t{0});
    EXPECT_EQ(reader.info().items, size_t{2000});
    EXPECT_FALSE(fs::exists(folder_ / "generation-1"));
    EXPECT_THAT(reader.verify(), IsEmpty());
  }
}

TEST_F(Folder, AnAbandonedRebuildLeavesNoFiles) {
  FolderCollection collection = create();
  fill(collection, clustered_vectors(100, kDim, 15));
  collection.rebuild()->add(collection.page("", 10), clustered_vectors(10, 2 * kDim, 17), identity("new"));
  EXPECT_FALSE(fs::exists(folder_ / "generation-2"));
}

TEST_F(Folder, ASnapshotIsACollectionOfItsOwn) {
  FolderCollection collection = create();
  const Matrix vectors = clustered_vectors(100, kDim, 18);
  fill(collection, vectors);
  FolderCollection(folder_).snapshot(other());
  collection.remove(std::vector<std::string>{"000001"});
  FolderCollection copy(other(), Access::write);
  EXPECT_EQ(copy.info().items, size_t{100});
  EXPECT_EQ(copy.info().version, uint64_t{1});
  EXPECT_THAT(copy.verify(), IsEmpty());
  EXPECT_EQ(copy.search(row_of(vectors, 1), {.k = 1})[0].hits[0].item.id, "000001");
  copy.add(std::vector{item("more")}, row_of(vectors, 2), identity());
  EXPECT_THAT(error_of([&] { FolderCollection(folder_).snapshot(other()); }), HasSubstr("is there already"));
}

TEST_F(Folder, OneProcessWritesAndOthersRead) {
  FolderCollection collection = create();
  EXPECT_THAT(error_of([&] { FolderCollection(folder_, Access::write); }),
              HasSubstr("another process writes to it"));
  FolderCollection reader(folder_);
  collection.add(std::vector{item("a")}, clustered_vectors(1, kDim, 22), identity());
  EXPECT_EQ(reader.info().items, size_t{1});
  EXPECT_THAT(error_of([&] { reader.remove(std::vector<std::string>{"a"}); }),
              HasSubstr("opened for reading"));
}

TEST_F(Folder, AFolderThatMayNotBeWrittenIsReadAndSaysSo) {
  {
    FolderCollection collection = create();
    fill(collection, clustered_vectors(10, kDim, 31));
  }
  const fs::path never_written = "/sys/kernel/uevent_seqnum";  // by root neither
  if (!fs::exists(never_written)) GTEST_SKIP() << never_written << " is missing";
  fs::remove(folder_ / "lock");
  fs::create_symlink(never_written, folder_ / "lock");
  EXPECT_THROW(FolderCollection(folder_, Access::write), CollectionForbidden);
  EXPECT_EQ(FolderCollection(folder_).info().items, size_t{10});
}

TEST_F(Folder, EverySearchSeesOneVersionWhileAnotherProcessAdds) {
  FolderCollection::create(folder_);
  const Matrix vectors = clustered_vectors(10, kDim, 23);
  const pid_t writer = fork();
  if (writer == 0) {
    FolderCollection collection(folder_, Access::write);
    // Each change replaces all ten items: a search that saw two versions would have others than ten.
    for (int version = 1; version <= 300; ++version) {
      std::vector<Item> items;
      for (int i = 0; i < 10; ++i) items.push_back(item(name_of(i), {{"version", std::to_string(version)}}));
      collection.add(items, vectors, identity());
      if (version % 100 == 0) collection.compact();
    }
    _exit(0);
  }
  FolderCollection reader(folder_);
  size_t searches = 0;
  int status = 0;
  while (waitpid(writer, &status, WNOHANG) == 0) {
    const Answer answer = reader.search(row_of(vectors, 0), {.k = 100})[0];
    if (answer.version == 0) continue;
    ASSERT_EQ(answer.hits.size(), size_t{10});
    for (const Hit& hit : answer.hits)
      ASSERT_EQ(hit.item.value("version"), answer.hits[0].item.value("version"));
    ++searches;
  }
  EXPECT_EQ(status, 0);
  EXPECT_GT(searches, size_t{10});
  EXPECT_EQ(reader.search(row_of(vectors, 0), {})[0].hits[0].item.value("version"), "300");
}

// The child acknowledges each change by a byte in a pipe and is killed at any time. What was acknowledged
// must be there, and at most one change more.
TEST_F(Folder, AKilledWriterLosesNothingThatItAcknowledged) {
  FolderCollection::create(folder_);
  const Matrix vectors = clustered_vectors(100, kDim, 24);
  std::mt19937 random(1);
  size_t acknowledged = 0;
  for (int kill = 0; kill < 60; ++kill) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t writer = fork();
    if (writer == 0) {
      FolderCollection collection(folder_, Access::write);
      for (size_t n = collection.info().items / 10;; ++n) {
        std::vector<Item> items;
        for (size_t i = 0; i < 10; ++i)
          items.push_back(item(name_of(10 * n + i), {{"x", std::to_string(n)}}));
        Matrix part(10, kDim);
        for (size_t i = 0; i < 10; ++i)
          std::ranges::copy(vectors.row((10 * n + i) % 100), part.row(i).begin());
        collection.add(items, part, identity());
        if (write(pipe_ends[1], "x", 1) != 1) _exit(1);
        if (n % 7 == 6) collection.compact();
      }
    }
    close(pipe_ends[1]);
    char buffer[4096];
    for (size_t wait_for = random() % 4; wait_for > 0; --wait_for)
      acknowledged += static_cast<size_t>(read(pipe_ends[0], buffer, 1));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    ::kill(writer, SIGKILL);
    int status = 0;
    waitpid(writer, &status, 0);
    for (ssize_t n; (n = read(pipe_ends[0], buffer, sizeof buffer)) > 0;)
      acknowledged += static_cast<size_t>(n);
    close(pipe_ends[0]);

    FolderCollection collection(folder_);
    const size_t items = collection.info().items;
    ASSERT_TRUE(items == 10 * acknowledged || items == 10 * (acknowledged + 1))
        << items << " " << acknowledged;
    ASSERT_THAT(collection.verify(), IsEmpty());
    acknowledged = items / 10;
    for (size_t n = 0; n < items; n += 17)
      EXPECT_TRUE(
          std::ranges::equal(collection.vectors(std::vector{name_of(n)}).row(0), vectors.row(n % 100)));
  }
  EXPECT_GT(acknowledged, size_t{20});
}

size_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string name; status >> name;)
    if (size_t kilobytes = 0; name == "RssFile:" && status >> kilobytes) return kilobytes << 10;
  return 0;
}

// More vectors than are looked at together. But for a few, all are of one patient, so that nearly all are
// looked through for the nearest of another.
TEST_F(Folder, TypicalSimilaritiesOfManyVectorsAreFoundWithoutHoldingThem) {
  constexpr size_t kRows = 1200, kLong = 16'384;
  FolderCollection collection = create();
  const Matrix vectors = clustered_vectors(kRows, kLong, 30);
  const auto patient = [](size_t n) { return std::string(n % 100 == 99 ? "q" : "p"); };
  for (size_t first = 0; first < kRows; first += 100) {
    std::vector<Item> items;
    for (size_t n = first; n < first + 100; ++n) items.push_back(item(name_of(n), {{"patient", patient(n)}}));
    collection.add(items, rows_of(vectors, first, 100), identity());
  }
  std::vector<float> expected;
  for (size_t s = 0; s < 40; ++s) {
    const size_t sampled = s * kRows / 40;
    double nearest = -1;
    for (size_t n = 0; n < kRows; ++n)
      if (patient(n) != patient(sampled))
        nearest = std::max(nearest, std::inner_product(vectors.row(n).begin(), vectors.row(n).end(),
                                                       vectors.row(sampled).begin(), 0.0));
    expected.push_back(static_cast<float>(nearest));
  }
  std::ranges::sort(expected);
  const size_t before = resident_file_bytes();
  collection.measure_typical(40);
  EXPECT_LT(resident_file_bytes(), before + kRows * kLong * sizeof(float) / 4);
  EXPECT_THAT(collection.typical()->nearest,
              testing::Pointwise(testing::FloatNear(kLong * 0x1p-24f), expected));
}

TEST_F(Folder, AFullDiskIsAnErrorAndNothingIsHalfWritten) {
  FolderCollection::create(folder_);
  const pid_t writer = fork();
  if (writer == 0) {
    FolderCollection collection(folder_, Access::write);
    fill(collection, clustered_vectors(1000, kDim, 25));
    // As a full disk, files may not grow beyond a size.
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{400'000, 400'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    std::vector<Item> items;
    for (size_t n = 0; n < 5000; ++n) items.push_back(item("more" + name_of(n)));
    const std::string error =
        error_of([&] { collection.add(items, clustered_vectors(5000, kDim, 26), identity()); });
    const bool said = error.find("cannot write") != std::string::npos;
    const bool usable = collection.search(clustered_vectors(1, kDim, 27), {})[0].hits.size() == 10;
    _exit(said && usable ? 0 : 1);
  }
  int status = 0;
  waitpid(writer, &status, 0);
  EXPECT_EQ(status, 0);
  FolderCollection collection(folder_, Access::write);
  EXPECT_EQ(collection.info().items, size_t{1000});
  EXPECT_THAT(collection.verify(), IsEmpty());
  collection.add(std::vector{item("more")}, clustered_vectors(1, kDim, 28), identity());
  EXPECT_THAT(collection.verify(), IsEmpty());
}

class Damaged : public Folder {
 protected:
  void SetUp() override {
    Folder::SetUp();
    FolderCollection collection = create();
    fill(collection, clustered_vectors(500, kDim, 29), 100);
    collection.remove(std::vector<std::string>{"000003"});
    collection.measure_typical(50);
  }
  fs::path file(const char* name) const { return folder_ / "generation-1" / name; }
  static void flip(const fs::path& path, uint64_t bit) {
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(bit / 8));
    const auto byte = static_cast<char>(stream.get() ^ (1 << (bit % 8)));
    stream.seekp(static_cast<std::streamoff>(bit / 8));
    stream.put(byte);
  }
  std::string opening_error() const {
    return error_of([&] { FolderCollection(folder_).verify(); });
  }
};

TEST_F(Damaged, VerifyFindsEveryFlippedBitOfTheVectors) {
  std::mt19937 random(2);
  for (const char* name : {"vectors", "vectors.int8", "vectors.signs"}) {
    for (int i = 0; i < 40; ++i) {
      const uint64_t bit = random() % (fs::file_size(file(name)) * 8);
      flip(file(name), bit);
      std::vector<std::string> faults;
      const std::string error = error_of([&] { faults = FolderCollection(folder_).verify(); });
      EXPECT_TRUE(error != "no error" || (faults.size() == 1 && faults[0].find(name) != std::string::npos))
          << name << " bit " << bit;
      flip(file(name), bit);
    }
  }
  EXPECT_EQ(opening_error(), "no error");
}

// What SQLite keeps in places that hold nothing may change; what is read may not.
TEST_F(Damaged, VerifyFindsAFlippedBitOfTheItemsOrNothingHasChanged) {
  const auto everything = [&] {
    FolderCollection collection(folder_);
    std::vector<Item> items = collection.page("", 1000);
    const CollectionInfo info = collection.info();
    return std::tuple(items, info.columns, info.version, info.identity, collection.typical()->nearest);
  };
  const auto expected = everything();
  std::mt19937 random(3);
  size_t found = 0;
  for (int i = 0; i < 300; ++i) {
    const uint64_t bit = random() % (fs::file_size(file("items.sqlite")) * 8);
    flip(file("items.sqlite"), bit);
    std::vector<std::string> faults;
    const std::string error = error_of([&] { faults = FolderCollection(folder_).verify(); });
    if (error == "no error" && faults.empty())
      EXPECT_TRUE(everything() == expected) << "bit " << bit;
    else
      ++found;
    flip(file("items.sqlite"), bit);
  }
  EXPECT_GT(found, size_t{100});
}

TEST_F(Damaged, AFileThatIsTornOrMissingIsNamed) {
  for (const char* name : {"vectors", "vectors.int8", "vectors.signs"}) {
    const fs::path path = file(name);
    fs::copy_file(path, other());
    fs::resize_file(path, fs::file_size(path) - 1);
    EXPECT_THAT(opening_error(), HasSubstr(std::string(name) + ": has ")) << name;
    fs::resize_file(path, 10);
    EXPECT_THAT(opening_error(), HasSubstr("has 10 bytes, fewer than its header"));
    fs::remove(path);
    EXPECT_THAT(opening_error(), HasSubstr("cannot open"));
    fs::rename(other(), path);
  }
  EXPECT_EQ(opening_error(), "no error");
  std::ofstream(file("items.sqlite")) << "no database";
  EXPECT_THAT(opening_error(), HasSubstr("items.sqlite: "));
}

TEST_F(Damaged, ANewerOrDamagedFormatIsRefused) {
  std::ofstream(folder_ / "collection.json") << "{\"format\": 2, \"generation\": 1}";
  EXPECT_THAT(opening_error(), HasSubstr("has format 2 of a newer version of this program, which reads 1"));
  std::ofstream(folder_ / "collection.json") << "{\"format\": 1, \"generation\": \"../x\"}";
  EXPECT_THAT(opening_error(), HasSubstr("is damaged"));
  fs::remove(folder_ / "collection.json");
  EXPECT_THAT(opening_error(), HasSubstr("is no collection"));
}

TEST_F(Damaged, ANewerTableIsRefused) {
  Database(file("items.sqlite"), Database::Mode::write).run("UPDATE state SET format = 2");
  EXPECT_THAT(opening_error(), HasSubstr("has format 2 of a newer version"));
}

}  // namespace
}  // namespace mii::search
