// Measures a collection: search-bench FOLDER [ROWS [QUERIES.npy DATA.npy]]. Makes ROWS vectors of 1024 values
// around 50 centres, adds them to a collection in FOLDER, and prints times beside this machine's memory
// bandwidth and product rate. With two names, it also writes the queries and the vectors for
// search_vs_others.py. search-bench --database FOLDER [ROWS] measures a folder beside the empty database that
// MII_TEST_POSTGRES names, with and without a filter.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <thread>

#include "backend/cpu/product_seconds.h"
#include "core/aligned_buffer.h"
#include "core/threads.h"
#include "search/folder_collection.h"
#include "search/postgres_collection.h"

namespace {

using namespace mii;
using namespace mii::search;

constexpr size_t kDim = 1024;
constexpr size_t kBatch = 16'384;
constexpr size_t kQueries = 64;

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(int runs, const std::function<void()>& call) {
  std::vector<double> times;
  call();  // not measured: pages come in
  for (int i = 0; i < runs; ++i) {
    const double start = seconds();
    call();
    times.push_back(seconds() - start);
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

/// Unit vectors around centres. Sums of two slices of a table of normal numbers: quick to make.
class Vectors {
 public:
  Vectors() : centres_(kCentres, kDim), noise_(kNoise) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (float& value : centres_.values()) value = normal(random);
    for (float& value : noise_) value = 0.5f * normal(random);
  }

  Matrix make(size_t rows, uint32_t seed) const {
    Matrix made(rows, kDim);
    std::mt19937 random(seed);
    for (size_t r = 0; r < rows; ++r) {
      const float* centre = centres_.row(random() % kCentres).data();
      const float* a = &noise_[random() % (kNoise - kDim)];
      const float* b = &noise_[random() % (kNoise - kDim)];
      float squares = 0;
      float* row = made.row(r).data();
      for (size_t i = 0; i < kDim; ++i) {
        row[i] = centre[i] + a[i] + b[i];
        squares += row[i] * row[i];
      }
      const float length = std::sqrt(squares);
      for (size_t i = 0; i < kDim; ++i) row[i] /= length;
    }
    return made;
  }

 private:
  static constexpr size_t kCentres = 50, kNoise = 1 << 22;
  Matrix centres_;
  std::vector<float> noise_;
};

/// Bytes a second that all cores together read.
double read_bandwidth() {
  constexpr size_t kBytes = size_t{1} << 30;
  AlignedBuffer<uint64_t> data(kBytes / sizeof(uint64_t));
  std::fill_n(data.data(), data.size(), uint64_t{1});
  const size_t workers = static_cast<size_t>(usable_cores()), part = data.size() / workers;
  std::vector<uint64_t> sums(workers);
  const double time = median(7, [&] {
    std::vector<std::jthread> team;
    for (size_t w = 0; w < workers; ++w)
      team.emplace_back(
          [&, w] { sums[w] = std::accumulate(&data[w * part], &data[w * part] + part, uint64_t{0}); });
  });
  return static_cast<double>(kBytes) / time;
}

void write_npy(const std::string& path, size_t rows,
               const std::function<Matrix(size_t first, size_t count)>& make) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                       std::to_string(kDim) + "), }";
  header.append(117 - header.size(), ' ').append("\n");
  std::ofstream file(path, std::ios::binary);
  file << std::string("\x93NUMPY\x01\x00\x76\x00", 10) << header;
  for (size_t first = 0; first < rows; first += kBatch) {
    const Matrix part = make(first, std::min(kBatch, rows - first));
    file.write(reinterpret_cast<const char*>(part.values().data()),
               static_cast<std::streamsize>(part.values().size_bytes()));
  }
}

double recall(const std::vector<Answer>& found, const std::vector<Answer>& exact) {
  size_t there = 0, all = 0;
  for (size_t q = 0; q < exact.size(); ++q)
    for (const Hit& hit : exact[q].hits) {
      ++all;
      there +=
          std::ranges::any_of(found[q].hits, [&](const Hit& other) { return other.item.id == hit.item.id; });
    }
  return static_cast<double>(there) / static_cast<double>(all);
}

/// The seconds that adding took.
double fill(Collection& collection, size_t rows, const Vectors& vectors) {
  double adding = 0;
  for (size_t first = 0; first < rows; first += kBatch) {
    const size_t count = std::min(kBatch, rows - first);
    const Matrix part = vectors.make(count, static_cast<uint32_t>(first));
    std::vector<Item> items;
    for (size_t i = first; i < first + count; ++i)
      items.push_back(
          {.id = "item" + std::to_string(i), .attributes = {{"hundredth", std::to_string(i % 100)}}});
    const double start = seconds();
    collection.add(items, part, {});
    adding += seconds() - start;
  }
  return adding;
}

void measure(const std::filesystem::path& folder, size_t rows, DType precision, const Vectors& vectors) {
  const std::string name = precision == DType::f32 ? "f32" : "bf16";
  const double stored_bytes = static_cast<double>(rows * kDim) * (precision == DType::f32 ? 4 : 2);
  FolderCollection::create(folder, precision);
  const double adding = [&] {
    FolderCollection collection(folder, FolderCollection::Access::write);
    return fill(collection, rows, vectors);
  }();
  std::printf("%s add                 %8.1f MB/s of float32\n", name.c_str(),
              static_cast<double>(rows * kDim * 4) / adding / 1e6);
  const double open_time = median(5, [&] { FolderCollection(folder).info(); });
  std::printf("%s open                %8.2f ms\n", name.c_str(), 1e3 * open_time);

  FolderCollection collection(folder);
  const Matrix one = vectors.make(1, 77), many = vectors.make(kQueries, 78);
  const auto time = [&](const Matrix& queries, const SearchOptions& options, int runs) {
    return median(runs, [&] { collection.search(queries, options); });
  };
  const double bandwidth = read_bandwidth();
  std::printf("memory                 %8.1f GB/s\n", bandwidth / 1e9);
  const double exact = time(one, {.stage = Stage::exact}, 7);
  std::printf("%s exact, one query    %8.2f ms, %.0f %% of the bandwidth\n", name.c_str(), 1e3 * exact,
              100 * stored_bytes / exact / bandwidth);
  const double batch = time(many, {.stage = Stage::exact}, 3);
  // The GEMM of a block of rows with the queries.
  const ProductShape shape{static_cast<int64_t>(kBatch), static_cast<int64_t>(kDim),
                           static_cast<int64_t>(kQueries)};
  const double rate = shape.operations() / measure_product_seconds(precision, shape, usable_cores());
  std::printf("%s exact, 64 queries   %8.2f ms, %.0f %% of the product rate (%.0f GFLOP/s)\n", name.c_str(),
              1e3 * batch, 100 * 2.0 * static_cast<double>(rows * kDim * kQueries) / batch / rate,
              rate / 1e9);
  const std::vector<Answer> expected = collection.search(many, {.stage = Stage::exact});
  for (const Stage stage : {Stage::int8, Stage::signs, Stage::hamming}) {
    const double taken = time(one, {.stage = stage}, 7);
    std::printf("%s %-8s one query   %8.2f ms, 1/%.1f of exact, recall@10 %.4f\n", name.c_str(),
                std::string(to_string(stage)).c_str(), 1e3 * taken, exact / taken,
                recall(collection.search(many, {.stage = stage}), expected));
  }
  const SearchOptions filtered{.filter = parse_filter("hundredth = 7")};
  std::printf("%s 1 %% filter          %8.2f ms\n", name.c_str(), 1e3 * time(one, filtered, 7));
}

/// The folder's exact search beside a database's exact one and its index.
int measure_database(const std::filesystem::path& folder, size_t rows, const Vectors& vectors) {
  const char* url = std::getenv("MII_TEST_POSTGRES");
  if (url == nullptr) return std::fputs("MII_TEST_POSTGRES names no database\n", stderr), 2;
  FolderCollection::create(folder, DType::f32);
  PostgresCollection::create(url);
  FolderCollection here(folder, Access::write);
  PostgresCollection there(url, Access::write);
  std::printf("folder   add        %8.2f s\n", fill(here, rows, vectors));
  std::printf("database add        %8.2f s\n", fill(there, rows, vectors));
  const double start = seconds();
  there.create_index();
  std::printf("database index      %8.2f s\n", seconds() - start);
  const Matrix queries = vectors.make(kQueries, 78);
  const auto show = [&](const char* name, Collection& collection, Stage stage, const char* filter) {
    SearchOptions options{.stage = stage};
    if (*filter != '\0') options.filter = parse_filter(filter);
    std::vector<double> times;
    std::vector<Answer> answers;
    for (size_t q = 0; q < queries.rows(); ++q) {
      Matrix one(1, kDim);
      std::ranges::copy(queries.row(q), one.row(0).begin());
      const double begin = seconds();
      answers.push_back(collection.search(one, options).front());
      times.push_back(seconds() - begin);
    }
    std::ranges::sort(times);
    options.stage = Stage::exact;
    std::printf("%s %-5s %-14s one query %8.2f ms, recall@10 %.4f\n", name,
                std::string(to_string(answers.front().stage)).c_str(), filter, 1e3 * times[times.size() / 2],
                recall(answers, here.search(queries, options)));
  };
  for (const char* filter : {"", "hundredth = 7"}) {
    show("folder  ", here, Stage::automatic, filter);
    show("folder  ", here, Stage::exact, filter);
    show("database", there, Stage::automatic, filter);
    show("database", there, Stage::hnsw, filter);
  }
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  if (argc > 2 && argv[1] == std::string_view("--database"))
    return measure_database(argv[2], argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 100'000, Vectors());
  const std::filesystem::path folder = argv[1];
  const size_t rows = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100'000;
  const Vectors vectors;
  std::printf("%zu vectors of %zu values, %d threads\n", rows, kDim, usable_cores());
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (argc > 4) {
    write_npy(argv[3], kQueries, [&](size_t, size_t count) { return vectors.make(count, 78); });
    write_npy(argv[4], rows,
              [&](size_t first, size_t count) { return vectors.make(count, static_cast<uint32_t>(first)); });
  }
  for (const DType precision : {DType::f32, DType::bf16}) {
    measure(folder, rows, precision, vectors);
    std::filesystem::remove_all(folder);
  }
}
