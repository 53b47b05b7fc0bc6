#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mii/error.h"
#include "search/choice.h"
#include "search/collection.h"
#include "search/errors.h"
#include "search/item_table.h"

namespace mii::search {

class Generation;

/// A collection in a folder of its own; docs/search.md describes its files. One process at a time writes, any
/// number read meanwhile, each search in one version.
class FolderCollection : public Collection {
 public:
  using Access = search::Access;

  /// Makes an empty collection. precision: f32 or bf16, in which vectors are stored. Throws Error{io} when
  /// there is something else in the folder.
  static void create(const std::filesystem::path& folder, DType precision = DType::f32);

  /// Whether there is one in the folder, damaged or not.
  static bool is_in(const std::filesystem::path& folder);

  /// Throws Error{io} when there is no collection or it is damaged; CollectionBusy when another process
  /// writes to it; CollectionForbidden when it may not be written; Error{unsupported} for one of a newer
  /// version.
  explicit FolderCollection(std::filesystem::path folder, Access access = Access::read);
  ~FolderCollection() override;

  CollectionInfo info() override;
  AddCounts add(std::span<const Item> items, const Matrix& vectors, const Identity& identity) override;
  size_t remove(std::span<const std::string> ids) override;
  std::vector<std::optional<Item>> find(std::span<const std::string> ids) override;
  std::vector<Item> page(const std::string& after, size_t limit) override;
  Matrix vectors(std::span<const std::string> ids) override;
  std::vector<Answer> search(const Matrix& queries, const SearchOptions& options) override;
  Selection select(const SelectOptions& options) override;

  void compact() override;

  std::unique_ptr<Rebuild> rebuild() override;

  std::vector<std::string> verify() override;

  /// Copies one consistent version to a folder that does not exist yet.
  void snapshot(const std::filesystem::path& to);

  std::optional<Typical> typical() override;
  void measure_typical(size_t sample) override;
  void record(const AuditEntry& search) override;
  std::vector<AuditEntry> recorded() override;

 private:
  struct Lock;
  class FolderRebuild;
  /// What a search sees.
  struct View {
    uint64_t version = 0;
    Bitmap alive;
  };

  void open_current();
  /// Looks at what others have written; as long as the transaction lasts, nothing changes.
  Transaction read();
  void expect_writer() const;
  View view_at(uint64_t version);
  Bitmap allowed_rows(const View& view, const std::optional<Filter>& filter);
  /// Of equally similar rows that with the lower id first.
  std::vector<ScoredRow> ordered(std::vector<ScoredRow> rows);
  std::vector<Chosen> choose(const std::vector<ScoredRow>& rows, const SearchOptions& options);
  std::unique_ptr<Generation> next_generation();
  void swap_to(std::unique_ptr<Generation> next);
  /// As scan() exactly, in memory for k rows of each query and a part of the vectors.
  std::vector<std::vector<ScoredRow>> nearest_rows(const Matrix& queries, size_t k);
  std::vector<float> nearest_of_sample(size_t sample);

  std::filesystem::path folder_;
  std::unique_ptr<Lock> lock_;  // of the writer
  std::mutex mutex_;
  std::unique_ptr<Generation> current_;
  int64_t generation_ = 0;  // the number of current_
  View now_;
};

}  // namespace mii::search
