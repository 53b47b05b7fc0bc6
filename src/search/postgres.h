#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;
struct pg_result;

namespace mii::search {

/// The text of a statement, and the values that it names as $1, $2, ...: values are never in the text.
struct Sql {
  std::string text;
  std::vector<std::string> values;

  /// Keeps a value and returns its name. Throws as expect_no_zero_byte, and so do the others.
  std::string value(std::string wanted);
  /// Keeps texts and returns what stands for them in FROM: a table of one column, in their order.
  std::string texts(std::span<const std::string> wanted);
  /// The same with numbers, as texts.
  std::string numbers(std::span<const int64_t> wanted);
};

/// Throws Error{invalid_argument} for a text that PostgreSQL cannot keep.
void expect_no_zero_byte(std::string_view text);

/// The rows that a statement gave. Columns are counted from 0.
class PostgresRows {
 public:
  explicit PostgresRows(pg_result* result) : result_(result) {}

  size_t rows() const;
  bool is_null(size_t row, int column) const;
  /// Of a bigint.
  int64_t integer(size_t row, int column) const;
  bool truth(size_t row, int column) const;
  /// Of a text or bytea.
  std::string_view bytes(size_t row, int column) const;
  /// Of a vector of this many values. Throws Error{io} for one of another length.
  void vector(size_t row, int column, std::span<float> values) const;

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

/// The rows of a COPY in PostgreSQL's binary format.
class CopyData {
 public:
  CopyData();
  CopyData& begin_row(size_t columns);
  CopyData& integer(int64_t value);
  CopyData& bytes(std::string_view text);
  CopyData& json(std::string_view text);
  CopyData& vector(std::span<const float> values);
  CopyData& null();
  std::string finish();

 private:
  void big_endian(uint64_t value, int bytes);
  std::string data_;
};

/// How often a server is asked that cannot be reached, with growing waits: some four seconds.
constexpr int kManyAttempts = 5;

/// A connection to a PostgreSQL server. What a server says is thrown as Error{io}, without the values that it
/// was about, and Error{network} when it cannot be reached. Not for several threads at once.
class Postgres {
 public:
  /// url: postgresql://user@host:port/database?option=value, as libpq takes it. attempts: of read and write.
  /// Throws Error{network} when no connection comes about.
  explicit Postgres(std::string url, int attempts = kManyAttempts);
  ~Postgres();

  /// The URL without its password and options.
  const std::string& name() const { return name_; }

  /// Calls work in a transaction that sees one version and writes nothing. When the connection is lost, it
  /// connects again, waits longer each time, and calls it anew; throws after the last attempt.
  void read(const std::function<void()>& work);
  /// Calls work in a transaction, all of which is kept, or nothing. A connection that was lost before it
  /// began is made again; one that is lost in it is an error.
  void write(const std::function<void()>& work);

  /// Within work.
  PostgresRows run(const Sql& sql);
  PostgresRows run(std::string_view text) { return run(Sql{std::string(text), {}}); }
  /// Statements without values, of which no rows are wanted.
  void run_script(const char* statements);
  /// target: a table with its columns.
  void copy(const std::string& target, const std::string& data);

 private:
  struct Lost;
  void connect();
  void try_again(const std::function<void()>& work);
  PostgresRows checked(pg_result* result);
  void commit_unless_it_throws(const char* begin, const std::function<void()>& work);
  [[noreturn]] void fail(std::string message, std::string_view state = {});

  struct Finish {
    void operator()(pg_conn* connection) const;
  };
  std::string url_;
  std::string name_;
  int attempts_;
  std::unique_ptr<pg_conn, Finish> connection_;
};

/// Whether a collection's name is that of a database.
bool is_postgres(std::string_view name);
/// A collection's name for messages: of a database without its password and options.
std::string shown_name(const std::string& name);

}  // namespace mii::search
