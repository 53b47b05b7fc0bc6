#include "search/folder_collection.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <unordered_set>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "mii/error.h"
#include "search/audit.h"
#include "search/checks.h"
#include "search/choice.h"
#include "search/generation.h"

namespace mii::search {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kFormat = 1;
constexpr const char* kPointer = "collection.json";
constexpr const char* kGeneration = "generation-";
constexpr size_t kMaxPointerBytes = 4096;
constexpr size_t kCopyItems = 4096;
constexpr size_t kPartBytes = 64 << 20;  // of vectors that are read once, and not kept in memory
constexpr size_t kRowsTogether = 1024;
constexpr int kOpenAttempts = 20;  // a generation may be swapped between two looks

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

fs::path generation_folder(const fs::path& folder, int64_t number) {
  return folder / (kGeneration + std::to_string(number));
}

int64_t current_generation(const fs::path& folder) {
  const fs::path pointer = folder / kPointer;
  if (!fs::exists(pointer)) throw Error(ErrorCode::io, folder.string() + ": is no collection");
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(read_text_file(pointer, kMaxPointerBytes), error);
  const auto number = [&](const char* name) -> int64_t {
    const auto* object = error ? nullptr : value.if_object();
    const auto* member = object == nullptr ? nullptr : object->if_contains(name);
    return member != nullptr && member->is_int64() ? member->get_int64() : -1;
  };
  const int64_t format = number("format"), generation = number("generation");
  if (format < 1 || (format == kFormat && generation < 1))
    throw Error(ErrorCode::io, pointer.string() + ": is damaged");
  if (format > kFormat)
    throw Error(ErrorCode::unsupported, pointer.string() + ": has format " + std::to_string(format) +
                                            " of a newer version of this program, which reads " +
                                            std::to_string(kFormat));
  return generation;
}

void point_to(const fs::path& folder, int64_t generation) {
  AtomicFile file(folder / kPointer);
  file.write("{\"format\": " + std::to_string(kFormat) + ", \"generation\": " + std::to_string(generation) +
             "}\n");
  file.commit();
}

/// Makes `to` by filling a folder beside it, which gets the name when it is complete.
template <typename Fill>
void make_folder(const fs::path& to, const Fill& fill) {
  fs::path named = to.has_filename() ? to : to.parent_path();
  std::error_code error;
  if (fs::exists(named, error) && !fs::is_empty(named, error))
    throw Error(ErrorCode::io, named.string() + ": is there already");
  fs::path beside = named;
  beside += ".tmp-" + std::to_string(::getpid());
  fs::create_directories(beside, error);
  if (error) throw Error(ErrorCode::io, named.string() + ": cannot be made: " + error.message());
  try {
    fill(beside);
    rename_durably(beside, named);
  } catch (...) {
    fs::remove_all(beside, error);
    throw;
  }
}

/// Rows of a set, as many as are wanted, at even distances.
std::vector<uint32_t> sample_of(const Bitmap& set, size_t wanted) {
  const size_t rows = set.count();
  std::vector<uint32_t> sample, some;
  for (size_t first = 0, before = 0; sample.size() < wanted; first += kRowsTogether, before += some.size()) {
    some.clear();
    set.append_rows(first, kRowsTogether, some);
    for (size_t at; (at = sample.size() * rows / wanted) < before + some.size() && sample.size() < wanted;)
      sample.push_back(some[at - before]);
  }
  return sample;
}

VectorRows rows_from(VectorRows rows, size_t first) {
  for (RowsView* view : {&rows.stored, &rows.int8, &rows.signs}) view->data += first * view->stride;
  return rows;
}

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += (text.empty() ? "" : "; ") + sentence;
  return text;
}

}  // namespace

std::string_view Item::value(std::string_view column) const {
  const auto found = std::ranges::find(attributes, column, &Attribute::column);
  return found == attributes.end() ? std::string_view() : found->value;
}

void set_attribute(Item& item, const std::string& column, const std::string& value) {
  std::erase_if(item.attributes, [&](const Attribute& a) { return a.column == column; });
  item.attributes.push_back({column, value});
}

Item with_other_columns(Item item, const Item& there) {
  for (const Attribute& attribute : there.attributes)
    if (std::ranges::find(item.attributes, attribute.column, &Attribute::column) == item.attributes.end())
      item.attributes.push_back(attribute);
  return item;
}

std::string check_identity(const Identity& found, const Identity& expected, IdentityCheck options) {
  Identity compared = found;
  if (options.of_text) compared.preprocessing = expected.preprocessing;
  const std::string all_differences = joined(compared.differences_from(expected));
  compared.precision = expected.precision;
  compared.version = expected.version;
  const std::string differences = joined(compared.differences_from(expected));
  if (!differences.empty()) refuse("vectors of another identity: " + differences);
  return all_differences.empty() ? "" : "vectors made a little differently: " + all_differences;
}

/// The writer's, by the open file: it ends with the process however that ends.
struct FolderCollection::Lock {
  explicit Lock(const fs::path& folder) {
    const fs::path path = folder / "lock";
    fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
      const int why = errno;
      const std::string what = path.string() + ": cannot write: " + std::strerror(why);
      if (why == EACCES || why == EPERM || why == EROFS) throw CollectionForbidden(ErrorCode::io, what);
      throw Error(ErrorCode::io, what);
    }
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return;
    ::close(fd);
    throw CollectionBusy(ErrorCode::io, folder.string() + ": another process writes to it");
  }
  ~Lock() { ::close(fd); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  int fd;
};

void FolderCollection::create(const fs::path& folder, DType precision) {
  if (precision != DType::f32 && precision != DType::bf16)
    refuse(std::string("a collection stores f32 or bf16, not ") + to_string(precision));
  make_folder(folder, [&](const fs::path& beside) {
    fs::create_directory(generation_folder(beside, 1));
    Generation::create(generation_folder(beside, 1), precision, 0);
    point_to(beside, 1);
  });
}

bool FolderCollection::is_in(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / kPointer, error);
}

FolderCollection::FolderCollection(fs::path folder, Access access) : folder_(std::move(folder)) {
  current_generation(folder_);  // or it is no collection
  if (access == Access::write) {
    lock_ = std::make_unique<Lock>(folder_);
    // What a writer left that was stopped while it wrote everything anew.
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_))
      if (const std::string name = entry.path().filename().string();
          name.starts_with(kGeneration) &&
          entry.path() != generation_folder(folder_, current_generation(folder_)))
        fs::remove_all(entry.path());
  }
  read();
}

FolderCollection::~FolderCollection() = default;

void FolderCollection::open_current() {
  for (int attempt = 1;; ++attempt) {
    const int64_t number = current_generation(folder_);
    if (current_ && number == generation_) return;
    try {
      current_ = std::make_unique<Generation>(generation_folder(folder_, number), lock_ != nullptr);
      generation_ = number;
      now_ = {};
      return;
    } catch (const Error&) {
      if (attempt == kOpenAttempts || current_generation(folder_) == number) throw;
    }
  }
}

Transaction FolderCollection::read() {
  open_current();
  Transaction transaction = current_->table().begin(Transaction::Kind::read);
  current_->read_state();
  const TableState& state = current_->state();
  now_.alive.resize(state.rows, true);
  if (state.version != now_.version)
    current_->table().for_each_removed(now_.version, state.version, [&](uint32_t row) {
      if (row < now_.alive.size()) now_.alive.reset(row);
    });
  now_.version = state.version;
  return transaction;
}

FolderCollection::View FolderCollection::view_at(uint64_t version) {
  const std::optional<uint32_t> rows = current_->table().rows_at(version);
  if (!rows || *rows > current_->state().rows)
    refuse("version " + std::to_string(version) + " is not kept; the collection has version " +
           std::to_string(now_.version));
  View view{version, Bitmap(*rows, true)};
  current_->table().for_each_removed(0, version, [&](uint32_t row) {
    if (row < view.alive.size()) view.alive.reset(row);
  });
  return view;
}

void FolderCollection::expect_writer() const {
  if (!lock_) throw Error(ErrorCode::internal, folder_.string() + ": was opened for reading");
}

CollectionInfo FolderCollection::info() {
  const std::lock_guard guard(mutex_);
  const Transaction transaction = read();
  const TableState& state = current_->state();
  const size_t items = now_.alive.count();
  return {state.precision,
          state.dim,
          state.identity,
          state.version,
          items,
          state.rows - items,
          current_->table().columns()};
}

AddCounts FolderCollection::add(std::span<const Item> items, const Matrix& vectors,
                                const Identity& identity) {
  const std::lock_guard guard(mutex_);
  expect_writer();
  const TableState& state = current_->state();
  expect_fitting({folder_.string(), state.dim, state.identity}, items, vectors, identity);
  if (items.empty()) return {};
  const Matrix units = unit_vectors(items, vectors);
  const std::vector<Item> kept = without_empty_values(items);
  const AddCounts counts = current_->append({kept, units, state.version + 1, identity});
  return counts;
}

size_t FolderCollection::remove(std::span<const std::string> ids) {
  const std::lock_guard guard(mutex_);
  expect_writer();
  return current_->remove(ids);
}

std::vector<std::optional<Item>> FolderCollection::find(std::span<const std::string> ids) {
  const std::lock_guard guard(mutex_);
  const Transaction transaction = read();
  std::vector<std::optional<Item>> items;
  for (const std::string& id : ids) {
    const std::optional<uint32_t> row = current_->table().row_of(id);
    items.push_back(row ? std::optional(current_->table().item(*row)) : std::nullopt);
  }
  return items;
}

std::vector<Item> FolderCollection::page(const std::string& after, size_t limit) {
  const std::lock_guard guard(mutex_);
  const Transaction transaction = read();
  std::vector<Item> items;
  for (const uint32_t row : current_->table().page(after, limit))
    items.push_back(current_->table().item(row));
  return items;
}

Matrix FolderCollection::vectors(std::span<const std::string> ids) {
  const std::lock_guard guard(mutex_);
  const Transaction transaction = read();
  Matrix vectors(ids.size(), current_->state().dim);
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::optional<uint32_t> row = current_->table().row_of(ids[i]);
    if (!row) refuse("there is no item '" + ids[i] + "'");
    current_->decode(*row, vectors.row(i));
  }
  return vectors;
}

Bitmap FolderCollection::allowed_rows(const View& view, const std::optional<Filter>& filter) {
  Bitmap allowed = view.alive;
  if (filter)
    allowed &= rows_that_meet(*filter, allowed.size(), [this](const std::string& name) -> const Column& {
      return current_->column(name);
    });
  return allowed;
}

std::vector<ScoredRow> FolderCollection::ordered(std::vector<ScoredRow> rows) {
  for (auto begin = rows.begin(); begin != rows.end();) {
    const auto end = std::find_if(begin, rows.end(),
                                  [&](const ScoredRow& row) { return row.similarity != begin->similarity; });
    if (end - begin > 1) {
      std::vector<std::pair<std::string, uint32_t>> by_id;
      for (auto row = begin; row != end; ++row) by_id.emplace_back(current_->table().id(row->row), row->row);
      std::ranges::sort(by_id);
      for (size_t i = 0; i < by_id.size(); ++i) begin[static_cast<std::ptrdiff_t>(i)].row = by_id[i].second;
    }
    begin = end;
  }
  return rows;
}

std::vector<Chosen> FolderCollection::choose(const std::vector<ScoredRow>& rows,
                                             const SearchOptions& options) {
  const Column* group = options.one_per.empty() ? nullptr : &current_->column(options.one_per);
  return search::choose(rows, options,
                        {.vectors = current_->rows(),
                         .id = [&](uint32_t row) { return current_->table().id(row); },
                         .group = [&](uint32_t row) { return group->at(row); }});
}

std::vector<Answer> FolderCollection::search(const Matrix& queries, const SearchOptions& options) {
  const std::lock_guard guard(mutex_);
  const Transaction transaction = read();
  expect_queries(folder_.string(), current_->state().dim, queries, options);
  if (options.stage == Stage::hnsw) refuse(folder_.string() + ": a folder has no index hnsw");
  const View view = options.version ? view_at(*options.version) : now_;
  const Bitmap allowed = allowed_rows(view, options.filter);
  const size_t candidates = allowed.count();
  std::vector<Answer> answers(queries.rows());
  std::vector<std::vector<Chosen>> chosen(queries.rows());
  // Where hits are left out, more rows are asked for until there are enough.
  constexpr size_t kMore = 4;
  for (size_t wanted = options.k + options.leave_out.size();; wanted *= kMore) {
    const Scan found = scan(current_->rows(), allowed, queries,
                            {.k = wanted, .stage = options.stage, .threads = options.threads});
    bool enough = true;
    for (size_t q = 0; q < queries.rows(); ++q) {
      chosen[q] = choose(ordered(found.best[q]), options);
      enough = enough && chosen[q].size() == options.k;
      answers[q].stage = found.stage;
    }
    if (enough || wanted >= candidates) break;
  }
  for (size_t q = 0; q < queries.rows(); ++q) {
    answers[q].version = view.version;
    answers[q].searched = candidates;
    for (const Chosen& hit : chosen[q])
      answers[q].hits.push_back({current_->table().item(hit.row.row), hit.row.similarity, hit.folded});
  }
  return answers;
}

Selection FolderCollection::select(const SelectOptions& options) {
  const std::lock_guard guard(mutex_);
  const Transaction transaction = read();
  const Bitmap allowed = allowed_rows(now_, options.filter);
  Selection selection{.version = now_.version, .items = allowed.count()};
  const Column* column = options.column.empty() ? nullptr : &current_->column(options.column);
  for (const uint32_t row : sample_of(allowed, std::min(options.most, selection.items))) {
    selection.ids.push_back(current_->table().id(row));
    if (column != nullptr) selection.values.emplace_back(column->at(row).value_or(""));
  }
  return selection;
}

std::unique_ptr<Generation> FolderCollection::next_generation() {
  expect_writer();
  const fs::path folder = generation_folder(folder_, generation_ + 1);
  fs::remove_all(folder);
  std::error_code error;
  if (!fs::create_directory(folder, error))
    throw Error(ErrorCode::io, folder.string() + ": cannot be made: " + error.message());
  Generation::create(folder, current_->state().precision, current_->state().version + 1);
  return std::make_unique<Generation>(folder, true);
}

void FolderCollection::swap_to(std::unique_ptr<Generation> next) {
  const int64_t old = generation_;
  sync_folder(folder_);
  point_to(folder_, old + 1);
  current_ = std::move(next);
  generation_ = old + 1;
  now_ = {};
  // Readers that still look at the old files have them open.
  std::error_code ignored;
  fs::remove_all(generation_folder(folder_, old), ignored);
}

void FolderCollection::compact() {
  const std::lock_guard guard(mutex_);
  expect_writer();
  read();
  auto next = next_generation();
  const TableState& state = current_->state();
  for (uint32_t first = 0;;) {
    const std::vector<uint32_t> rows = current_->table().rows_from(first, kCopyItems);
    if (rows.empty()) break;
    std::vector<Item> items;
    Matrix vectors(rows.size(), state.dim);
    for (size_t i = 0; i < rows.size(); ++i) {
      items.push_back(current_->table().item(rows[i]));
      current_->decode(rows[i], vectors.row(i));
    }
    next->append({items, vectors, state.version + 1, state.identity});
    first = rows.back() + 1;
  }
  if (const auto typical = current_->table().typical()) next->table().set_typical(*typical);
  swap_to(std::move(next));
}

class FolderCollection::FolderRebuild final : public Rebuild {
 public:
  explicit FolderRebuild(FolderCollection& collection)
      : collection_(collection), next_(collection.next_generation()) {}
  FolderRebuild(const FolderRebuild&) = delete;
  FolderRebuild& operator=(const FolderRebuild&) = delete;
  ~FolderRebuild() override;
  void add(std::span<const Item> items, const Matrix& vectors, const Identity& identity) override;
  void finish() override;

 private:
  FolderCollection& collection_;
  std::unique_ptr<Generation> next_;
};

FolderCollection::FolderRebuild::~FolderRebuild() {
  if (!next_) return;
  const fs::path folder = generation_folder(collection_.folder_, collection_.generation_ + 1);
  next_.reset();
  std::error_code ignored;
  fs::remove_all(folder, ignored);
}

void FolderCollection::FolderRebuild::add(std::span<const Item> items, const Matrix& vectors,
                                          const Identity& identity) {
  const TableState& state = next_->state();
  expect_fitting({collection_.folder_.string(), state.dim, state.identity}, items, vectors, identity);
  if (items.empty()) return;
  const Matrix units = unit_vectors(items, vectors);
  next_->append({without_empty_values(items), units, state.version, identity});
}

void FolderCollection::FolderRebuild::finish() {
  const std::lock_guard guard(collection_.mutex_);
  collection_.read();
  if (const size_t items = collection_.now_.alive.count(); next_->state().rows != items)
    throw Error(ErrorCode::invalid_argument, collection_.folder_.string() + ": " +
                                                 std::to_string(next_->state().rows) + " of " +
                                                 std::to_string(items) + " vectors were computed anew");
  collection_.swap_to(std::move(next_));
}

std::unique_ptr<Rebuild> FolderCollection::rebuild() {
  const std::lock_guard guard(mutex_);
  read();
  return std::make_unique<FolderRebuild>(*this);
}

void FolderCollection::record(const AuditEntry& search) { AuditLog(folder_).add(search); }
std::vector<AuditEntry> FolderCollection::recorded() { return AuditLog(folder_).entries(); }

std::vector<std::string> FolderCollection::verify() {
  const std::lock_guard guard(mutex_);
  const Transaction transaction = read();
  return current_->faults();
}

void FolderCollection::snapshot(const fs::path& to) {
  const std::lock_guard guard(mutex_);
  open_current();
  make_folder(to, [&](const fs::path& beside) {
    fs::create_directory(generation_folder(beside, 1));
    current_->copy_to(generation_folder(beside, 1));
    point_to(beside, 1);
  });
}

std::optional<Typical> FolderCollection::typical() {
  const std::lock_guard guard(mutex_);
  const Transaction transaction = read();
  return current_->table().typical();
}

void FolderCollection::measure_typical(size_t sample) {
  const std::lock_guard guard(mutex_);
  expect_writer();
  Typical typical;
  {
    const Transaction transaction = read();
    typical = {now_.version, nearest_of_sample(sample)};
  }
  current_->table().set_typical(typical);
}

std::vector<std::vector<ScoredRow>> FolderCollection::nearest_rows(const Matrix& queries, size_t k) {
  const VectorRows all = current_->rows();
  const size_t part = std::max<size_t>(kPartBytes / all.stored.stride / 64, 1) * 64;
  std::vector<std::vector<ScoredRow>> best(queries.rows());
  for (size_t first = 0; first < now_.alive.size(); first += part) {
    const size_t count = std::min(part, now_.alive.size() - first);
    const Scan found =
        scan(rows_from(all, first), now_.alive.part(first, count), queries, {.k = k, .stage = Stage::exact});
    current_->release(static_cast<uint32_t>(first), count);
    for (size_t q = 0; q < queries.rows(); ++q) {
      for (const ScoredRow& row : found.best[q])
        best[q].push_back({row.similarity, row.row + static_cast<uint32_t>(first)});
      std::ranges::stable_sort(best[q], std::greater(), &ScoredRow::similarity);
      best[q].resize(std::min(best[q].size(), k));
    }
  }
  return best;
}

std::vector<float> FolderCollection::nearest_of_sample(size_t sample) {
  const size_t rows = now_.alive.count();
  if (rows < 2 || sample == 0) return {};
  const std::vector<uint32_t> sampled = sample_of(now_.alive, std::min(sample, rows));
  Matrix queries(sampled.size(), current_->state().dim);
  for (size_t q = 0; q < sampled.size(); ++q) {
    current_->decode(sampled[q], queries.row(q));
    current_->release(0, now_.alive.size());  // with a row, the system maps much around it
  }
  const std::vector<std::string> columns = current_->table().columns();
  const Column* patient =
      std::ranges::find(columns, "patient") != columns.end() ? &current_->column("patient") : nullptr;
  std::vector<float> nearest;
  constexpr size_t kMore = 8;
  for (size_t wanted = 16;; wanted *= kMore) {
    const std::vector<std::vector<ScoredRow>> best = nearest_rows(queries, wanted);
    nearest.clear();
    for (size_t q = 0; q < sampled.size(); ++q) {
      const auto own = patient != nullptr ? patient->at(sampled[q]) : std::nullopt;
      const auto other = std::ranges::find_if(best[q], [&](const ScoredRow& row) {
        return row.row != sampled[q] && !(own && patient->at(row.row) == own);
      });
      if (other != best[q].end()) nearest.push_back(other->similarity);
    }
    if (nearest.size() == sampled.size() || wanted >= rows) break;
  }
  std::ranges::sort(nearest);
  return nearest;
}

}  // namespace mii::search
