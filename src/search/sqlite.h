#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace mii::search {

/// A prepared statement. Values come in as parameters, counted from 1; columns are counted from 0.
class Statement {
 public:
  Statement(sqlite3* database, std::string path, std::string_view sql);

  Statement& bind(int parameter, int64_t value);
  Statement& bind(int parameter, std::string_view text);
  Statement& bind(int parameter, std::span<const std::byte> blob);
  Statement& bind_null(int parameter);

  /// True: there is a row. False: done, and ready to be run again. Throws Error{io}.
  bool step();
  /// For statements without rows.
  void run();

  int64_t integer(int column) const;
  std::string text(int column) const;
  std::vector<std::byte> blob(int column) const;
  bool is_null(int column) const;
  /// To be run again from the beginning.
  void reset();

 private:
  void expect(int result) const;
  struct Finalise {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::string path_;
  std::unique_ptr<sqlite3_stmt, Finalise> statement_;
};

/// A SQLite file. Not for several threads at once.
class Database {
 public:
  enum class Mode { read, write, create };
  /// Throws Error{io} for a file that cannot be opened or is none.
  Database(const std::filesystem::path& path, Mode mode);

  void run(std::string_view sql);
  Statement prepare(std::string_view sql) const { return {database_.get(), path_, sql}; }
  int64_t integer(std::string_view sql) const;
  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::string path_;
  std::unique_ptr<sqlite3, Close> database_;
};

/// Rolled back unless committed. Move-only.
class Transaction {
 public:
  enum class Kind { read, write };
  Transaction(Database& database, Kind kind);
  ~Transaction();
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  void commit();

 private:
  Database* database_;  // null when done
};

}  // namespace mii::search
