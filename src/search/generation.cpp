#include "search/generation.h"

#include <algorithm>
#include <array>
#include <future>
#include <thread>
#include <utility>

#include "core/file.h"
#include "core/threads.h"
#include "mii/error.h"
#include "search/codes.h"

namespace mii::search {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTableFile = "items.sqlite";
constexpr size_t kCopyRows = 4096;

RowFile::Layout stored_layout(size_t dim, DType precision) {
  return {precision == DType::f32 ? "f32" : "bf16", dim, stored_bytes(dim, precision)};
}
RowFile::Layout int8_layout(size_t dim) { return {"int8", dim, int8_bytes(dim)}; }
RowFile::Layout signs_layout(size_t dim) { return {"signs", dim, sign_bytes(dim)}; }

/// The bytes of rows for one of the three files, and their checksum.
struct EncodedFile {
  size_t row_bytes;
  std::vector<std::byte> made;
  std::span<const std::byte> bytes;  // what was made, or the vectors themselves
  uint32_t sum = 0;

  EncodedFile(size_t rows, size_t bytes_of_row)
      : row_bytes(bytes_of_row), made(rows * bytes_of_row), bytes(made) {}
  EncodedFile(const EncodedFile&) = delete;  // bytes may lie in it
  EncodedFile& operator=(const EncodedFile&) = delete;
  explicit EncodedFile(const Matrix& vectors)
      : row_bytes(vectors.cols() * sizeof(float)), bytes(std::as_bytes(vectors.values())) {}
  std::byte* row(size_t r) { return made.data() + r * row_bytes; }
  uint32_t sum_of(size_t first, size_t end) const {
    return crc32_of({bytes.data() + first * row_bytes, (end - first) * row_bytes});
  }
};

/// The bytes of rows for the three files, made on all cores.
struct EncodedRows {
  EncodedFile stored, int8, signs;

  EncodedRows(const Matrix& vectors, DType precision)
      : stored(precision == DType::f32
                   ? EncodedFile(vectors)
                   : EncodedFile(vectors.rows(), stored_bytes(vectors.cols(), precision))),
        int8(vectors.rows(), int8_bytes(vectors.cols())),
        signs(vectors.rows(), sign_bytes(vectors.cols())) {
    constexpr size_t kRowsOfAThread = 256;
    const size_t rows = vectors.rows();
    const size_t threads = std::clamp<size_t>(rows / kRowsOfAThread, 1, static_cast<size_t>(usable_cores()));
    std::vector<std::array<uint32_t, 3>> sums(threads);
    const auto begin_of = [&](size_t thread) { return rows * thread / threads; };
    const auto encode_part = [&](size_t thread) {
      const size_t first = begin_of(thread), end = begin_of(thread + 1);
      encode(vectors, precision, first, end);
      sums[thread] = {stored.sum_of(first, end), int8.sum_of(first, end), signs.sum_of(first, end)};
    };
    {
      std::vector<std::jthread> team;
      for (size_t thread = 1; thread < threads; ++thread) team.emplace_back(encode_part, thread);
      encode_part(0);
    }
    for (size_t thread = 0; thread < threads; ++thread)
      for (const auto& [file, sum] : {std::pair{&stored, sums[thread][0]}, std::pair{&int8, sums[thread][1]},
                                      std::pair{&signs, sums[thread][2]}})
        file->sum =
            crc32_of_both(file->sum, sum, (begin_of(thread + 1) - begin_of(thread)) * file->row_bytes);
  }

 private:
  void encode(const Matrix& vectors, DType precision, size_t first, size_t end) {
    std::vector<float> rounded(vectors.cols());
    for (size_t r = first; r < end; ++r) {
      std::span<const float> vector = vectors.row(r);
      if (precision != DType::f32) {
        encode_stored(vector, precision, stored.row(r));
        decode_stored(stored.row(r), precision, rounded);
        vector = rounded;
      }
      encode_int8(vector, int8.row(r));
      encode_signs(vector, signs.row(r));
    }
  }
};

}  // namespace

void Generation::create(const fs::path& folder, DType precision, uint64_t version) {
  ItemTable::create(folder / kTableFile, precision, version);
  sync_folder(folder);
}

Generation::Generation(fs::path folder, bool writable)
    : folder_(std::move(folder)),
      writable_(writable),
      table_(folder_ / kTableFile, writable ? Database::Mode::write : Database::Mode::read) {
  read_state();
}

Generation::Files Generation::create_files(size_t dim) const {
  return {RowFile::create(folder_ / "vectors", stored_layout(dim, state_.precision)),
          RowFile::create(folder_ / "vectors.int8", int8_layout(dim)),
          RowFile::create(folder_ / "vectors.signs", signs_layout(dim))};
}

Generation::Files Generation::open_files(uint32_t rows) const {
  return {RowFile::open(folder_ / "vectors", stored_layout(state_.dim, state_.precision), rows, writable_),
          RowFile::open(folder_ / "vectors.int8", int8_layout(state_.dim), rows, writable_),
          RowFile::open(folder_ / "vectors.signs", signs_layout(state_.dim), rows, writable_)};
}

void Generation::read_state() {
  state_ = table_.state();
  if (!files_ && state_.dim > 0) files_ = open_files(state_.rows);
}

AddCounts Generation::append(const Batch& batch) {
  TableState next = state_;
  next.version = batch.version;
  if (next.dim == 0) {
    next.dim = batch.vectors.cols();
    next.identity = batch.identity;
  }
  if (batch.items.size() > UINT32_MAX - state_.rows)
    throw Error(ErrorCode::unsupported, folder_.string() + ": more than 2^32 - 1 rows");
  next.rows += static_cast<uint32_t>(batch.items.size());
  if (!files_) files_ = create_files(next.dim);
  std::future<Change> written = std::async(std::launch::async, [&] {
    const EncodedRows encoded(batch.vectors, state_.precision);
    for (const auto& [file, rows] :
         {std::pair{&files_->stored, &encoded.stored}, std::pair{&files_->int8, &encoded.int8},
          std::pair{&files_->signs, &encoded.signs}}) {
      file->write(state_.rows, rows->bytes);
      file->sync();
    }
    return Change{
        .stored_sum = encoded.stored.sum, .int8_sum = encoded.int8.sum, .signs_sum = encoded.signs.sum};
  });
  Transaction transaction = table_.begin(Transaction::Kind::write);
  table_.add_columns(batch.items);
  AddCounts counts;
  for (size_t i = 0; i < batch.items.size(); ++i) {
    table_.remove(batch.items[i].id, batch.version) ? ++counts.replaced : ++counts.added;
    table_.insert(state_.rows + static_cast<uint32_t>(i), batch.items[i]);
  }
  Change change = written.get();  // when the table counts the rows, they are on the disk
  change.version = batch.version;
  change.first_row = state_.rows;
  change.rows = static_cast<uint32_t>(batch.items.size());
  change.removed = static_cast<uint32_t>(counts.replaced);
  table_.add_change(change);
  table_.set_state(next);
  transaction.commit();
  state_ = next;
  return counts;
}

size_t Generation::remove(std::span<const std::string> ids) {
  TableState next = state_;
  ++next.version;
  Transaction transaction = table_.begin(Transaction::Kind::write);
  uint32_t removed = 0;
  for (const std::string& id : ids)
    if (table_.remove(id, next.version)) ++removed;
  if (removed == 0) return 0;
  table_.add_change({.version = next.version, .first_row = state_.rows, .removed = removed});
  table_.set_state(next);
  transaction.commit();
  state_ = next;
  return removed;
}

VectorRows Generation::rows() {
  if (!files_) return {};
  return {.stored = {files_->stored.map(state_.rows), stored_bytes(state_.dim, state_.precision)},
          .int8 = {files_->int8.map(state_.rows), int8_bytes(state_.dim)},
          .signs = {files_->signs.map(state_.rows), sign_bytes(state_.dim)},
          .precision = state_.precision,
          .dim = state_.dim};
}

void Generation::release(uint32_t first, size_t count) {
  if (!files_) return;
  for (RowFile* file : {&files_->stored, &files_->int8, &files_->signs}) file->release(first, count);
}

void Generation::decode(uint32_t row, std::span<float> vector) {
  if (row >= state_.rows)
    throw Error(ErrorCode::io, folder_.string() + ": has no row " + std::to_string(row));
  const RowsView stored = rows().stored;
  decode_stored(stored.data + row * stored.stride, state_.precision, vector);
}

const Column& Generation::column(const std::string& name) {
  CachedColumn& cached = columns_[name];
  const auto known = static_cast<uint32_t>(cached.column.codes.size());
  if (known < state_.rows || state_.rows == 0)
    table_.load_column(name, known, state_.rows, cached.column, cached.codes);
  return cached.column;
}

std::vector<std::string> Generation::faults() {
  std::vector<std::string> faults = table_.faults();
  if (!faults.empty() || !files_) return faults;
  for (const Change& change : table_.changes()) {
    const auto check = [&](RowFile& file, const char* name, uint32_t expected) {
      if (change.rows > 0 && file.checksum(change.first_row, change.rows) != expected)
        faults.push_back((folder_ / name).string() + ": rows " + std::to_string(change.first_row) + " to " +
                         std::to_string(change.first_row + change.rows - 1) + " are damaged");
    };
    check(files_->stored, "vectors", change.stored_sum);
    check(files_->int8, "vectors.int8", change.int8_sum);
    check(files_->signs, "vectors.signs", change.signs_sum);
  }
  return faults;
}

void Generation::copy_to(const fs::path& folder) {
  table_.copy_to(folder / kTableFile);
  TableState copied;
  {
    Database database(folder / kTableFile, Database::Mode::write);
    database.run("PRAGMA journal_mode = wal");
    copied = ItemTable(folder / kTableFile, Database::Mode::write).state();
  }
  if (copied.dim > 0) {
    if (!files_) files_ = open_files(copied.rows);
    const auto copy = [&](RowFile& from, const char* name, const RowFile::Layout& layout) {
      RowFile to = RowFile::create(folder / name, layout);
      const std::byte* rows = from.map(copied.rows);
      for (uint64_t row = 0; row < copied.rows; row += kCopyRows) {
        const uint64_t count = std::min<uint64_t>(kCopyRows, copied.rows - row);
        to.write(row, {rows + row * layout.row_bytes, static_cast<size_t>(count * layout.row_bytes)});
      }
      to.sync();
    };
    copy(files_->stored, "vectors", stored_layout(copied.dim, copied.precision));
    copy(files_->int8, "vectors.int8", int8_layout(copied.dim));
    copy(files_->signs, "vectors.signs", signs_layout(copied.dim));
  }
  sync_folder(folder);
}

}  // namespace mii::search
