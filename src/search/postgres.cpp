#include "search/postgres.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <thread>

#include <libpq-fe.h>

#include "core/json_writer.h"
#include "mii/error.h"
#include "search/errors.h"

namespace mii::search {
namespace {

using namespace std::chrono_literals;

constexpr auto kFirstWait = 100ms;
constexpr int kLongerWait = 3;  // times the one before
constexpr int kBinary = 1;
constexpr const char* kNoUrl = "postgresql://...";
constexpr size_t kCopyPiece = 1 << 20;
constexpr std::string_view kCopyHeader("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);

uint64_t read_big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::ranges::replace(text, '\n', ' ');
  return text;
}

template <typename Values>
std::string elements_of(const Values& values, Sql& sql) {
  const std::string json = JsonWriter(JsonWriter::Style::compact).value(values).finish();
  return std::string("jsonb_array_elements_text(").append(sql.value(json)).append("::jsonb)");
}

}  // namespace

/// The connection was lost: what was done in it may be done again.
struct Postgres::Lost : Error {
  using Error::Error;
};

void expect_no_zero_byte(std::string_view text) {
  if (text.find('\0') != std::string_view::npos)
    throw Error(ErrorCode::invalid_argument, "a text with a zero byte, which PostgreSQL cannot keep");
}

std::string Sql::value(std::string wanted) {
  expect_no_zero_byte(wanted);
  values.push_back(std::move(wanted));
  return std::string("$").append(std::to_string(values.size()));
}

std::string Sql::texts(std::span<const std::string> wanted) {
  for (const std::string& one : wanted) expect_no_zero_byte(one);
  return elements_of(wanted, *this);
}

std::string Sql::numbers(std::span<const int64_t> wanted) { return elements_of(wanted, *this); }

void PostgresRows::Clear::operator()(pg_result* result) const { PQclear(result); }
size_t PostgresRows::rows() const { return static_cast<size_t>(PQntuples(result_.get())); }
bool PostgresRows::is_null(size_t row, int column) const {
  return PQgetisnull(result_.get(), static_cast<int>(row), column) != 0;
}
std::string_view PostgresRows::bytes(size_t row, int column) const {
  return {PQgetvalue(result_.get(), static_cast<int>(row), column),
          static_cast<size_t>(PQgetlength(result_.get(), static_cast<int>(row), column))};
}
int64_t PostgresRows::integer(size_t row, int column) const {
  return static_cast<int64_t>(read_big_endian(bytes(row, column)));
}
bool PostgresRows::truth(size_t row, int column) const {
  return bytes(row, column) == std::string_view("\1", 1);
}

// pgvector's binary format: the number of values, 16 bits that are zero, and the values as float32.
void PostgresRows::vector(size_t row, int column, std::span<float> values) const {
  const std::string_view data = bytes(row, column);
  if (data.size() != 4 + 4 * values.size() || read_big_endian(data.substr(0, 2)) != values.size())
    throw Error(ErrorCode::io, "PostgreSQL: a vector of " + std::to_string(data.size()) +
                                   " bytes, expected " + std::to_string(values.size()) + " values");
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = std::bit_cast<float>(static_cast<uint32_t>(read_big_endian(data.substr(4 + 4 * i, 4))));
}

CopyData::CopyData() : data_(kCopyHeader) {}
void CopyData::big_endian(uint64_t value, int bytes) {
  for (int byte = bytes - 1; byte >= 0; --byte) data_ += static_cast<char>(value >> (8 * byte) & 0xff);
}
CopyData& CopyData::begin_row(size_t columns) {
  big_endian(columns, 2);
  return *this;
}
CopyData& CopyData::integer(int64_t value) {
  big_endian(8, 4);
  big_endian(static_cast<uint64_t>(value), 8);
  return *this;
}
CopyData& CopyData::bytes(std::string_view text) {
  big_endian(text.size(), 4);
  data_ += text;
  return *this;
}
CopyData& CopyData::json(std::string_view text) {
  big_endian(text.size() + 1, 4);
  data_ += '\1';  // the version of jsonb's format
  data_ += text;
  return *this;
}
CopyData& CopyData::vector(std::span<const float> values) {
  big_endian(4 + 4 * values.size(), 4);
  big_endian(values.size(), 2);
  big_endian(0, 2);
  for (const float value : values) big_endian(std::bit_cast<uint32_t>(value), 4);
  return *this;
}
CopyData& CopyData::null() {
  big_endian(0xffff'ffff, 4);
  return *this;
}
std::string CopyData::finish() {
  big_endian(0xffff, 2);
  return std::move(data_);
}

void Postgres::Finish::operator()(pg_conn* connection) const { PQfinish(connection); }

Postgres::Postgres(std::string url, int attempts)
    : url_(std::move(url)), name_(shown_name(url_)), attempts_(attempts) {
  // What libpq says of such a one would have its password in it.
  if (name_ == kNoUrl) throw Error(ErrorCode::invalid_argument, name_ + ": is no URL that PostgreSQL takes");
  connect();
}
Postgres::~Postgres() = default;

void Postgres::fail(std::string message, std::string_view state) {
  message = name_ + ": " + trimmed(std::move(message));
  // 42501: the role has not the right; 25006: the server is one that only reads.
  if (state == "42501" || state == "25006") throw CollectionForbidden(ErrorCode::io, message);
  // libpq's own messages have no state; 57P01 to 57P03: the server stops, or starts.
  if (!state.empty() && !state.starts_with("57P0")) throw Error(ErrorCode::io, message);
  connection_.reset();
  throw Lost(ErrorCode::network, message);
}

void Postgres::connect() {
  // What stands before dbname, the URL may say otherwise.
  const std::array names{"connect_timeout", "keepalives_idle", "fallback_application_name",
                         "dbname",          "client_encoding", static_cast<const char*>(nullptr)};
  const std::array values{"10", "30", "mii", url_.c_str(), "UTF8", static_cast<const char*>(nullptr)};
  connection_.reset(PQconnectdbParams(names.data(), values.data(), 1));
  if (PQstatus(connection_.get()) != CONNECTION_OK) fail(PQerrorMessage(connection_.get()));
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
}

void Postgres::try_again(const std::function<void()>& work) {
  auto wait = kFirstWait;
  for (int attempt = 1;; ++attempt) {
    try {
      if (PQstatus(connection_.get()) != CONNECTION_OK) connect();
      return work();
    } catch (const Lost& lost) {
      if (attempt == attempts_)
        throw Error(lost.code(),
                    std::string(lost.what()) + " (after " + std::to_string(attempts_) + " attempts)");
    }
    std::this_thread::sleep_for(wait);
    wait *= kLongerWait;
  }
}

void Postgres::commit_unless_it_throws(const char* begin, const std::function<void()>& work) {
  run(begin);
  try {
    work();
    run("COMMIT");
  } catch (...) {
    PQclear(PQexec(connection_.get(), "ROLLBACK"));
    throw;
  }
}

void Postgres::read(const std::function<void()>& work) {
  try_again([&] { commit_unless_it_throws("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", work); });
}

void Postgres::write(const std::function<void()>& work) {
  try_again([&] { run("SELECT 1"); });
  try {
    commit_unless_it_throws("BEGIN", work);
  } catch (const Lost& lost) {
    throw Error(lost.code(), std::string(lost.what()) +
                                 ": the change was not acknowledged; it is there as a whole or not at all");
  }
}

PostgresRows Postgres::checked(pg_result* result) {
  PostgresRows rows(result);
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN) return rows;
  const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  fail(message != nullptr ? message : PQerrorMessage(connection_.get()), state != nullptr ? state : "");
}

PostgresRows Postgres::run(const Sql& sql) {
  std::vector<const char*> values;
  for (const std::string& value : sql.values) values.push_back(value.c_str());
  return checked(PQexecParams(connection_.get(), sql.text.c_str(), static_cast<int>(values.size()), nullptr,
                              values.data(), nullptr, nullptr, kBinary));
}

void Postgres::run_script(const char* statements) { checked(PQexec(connection_.get(), statements)); }

void Postgres::copy(const std::string& target, const std::string& data) {
  checked(PQexec(connection_.get(), ("COPY " + target + " FROM STDIN (FORMAT binary)").c_str()));
  for (size_t at = 0; at < data.size(); at += kCopyPiece)
    if (PQputCopyData(connection_.get(), data.data() + at,
                      static_cast<int>(std::min(kCopyPiece, data.size() - at))) != 1)
      fail(PQerrorMessage(connection_.get()));
  if (PQputCopyEnd(connection_.get(), nullptr) != 1) fail(PQerrorMessage(connection_.get()));
  checked(PQgetResult(connection_.get()));
  while (pg_result* more = PQgetResult(connection_.get())) checked(more);
}

bool is_postgres(std::string_view name) {
  return name.starts_with("postgresql://") || name.starts_with("postgres://");
}

std::string shown_name(const std::string& name) {
  if (!is_postgres(name)) return name;
  char* why = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(name.c_str(), &why), &PQconninfoFree);
  PQfreemem(why);
  if (!options) return kNoUrl;
  const auto value = [&](std::string_view keyword) -> std::string {
    for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option)
      if (option->keyword == keyword && option->val != nullptr) return option->val;
    return "";
  };
  const auto with = [](const char* before, const std::string& text, const char* behind) {
    return text.empty() ? "" : before + text + behind;
  };
  return "postgresql://" + with("", value("user"), "@") + value("host") + with(":", value("port"), "") +
         with("/", value("dbname"), "");
}

}  // namespace mii::search
