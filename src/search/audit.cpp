#include "search/audit.h"

#include <boost/json.hpp>
#include <chrono>
#include <ctime>

#include "core/json_writer.h"
#include "core/sha256.h"
#include "mii/error.h"
#include "search/sqlite.h"

namespace mii::search {
namespace {

std::string now_text() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

std::string list_text(const std::vector<std::string>& ids) {
  JsonWriter json(JsonWriter::Style::spaced);
  return json.value(ids).finish();
}

std::vector<std::string> parse_list(const std::string& text) {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(text, error);
  if (error || !value.is_array()) throw Error(ErrorCode::io, "audit.sqlite: is damaged");
  std::vector<std::string> ids;
  for (const boost::json::value& id : value.get_array())
    if (id.is_string()) ids.emplace_back(id.get_string());
  return ids;
}

}  // namespace

AuditLog::AuditLog(const std::filesystem::path& folder) : path_(folder / "audit.sqlite") {
  Database(path_, Database::Mode::create)
      .run(
          "CREATE TABLE IF NOT EXISTS searches (number INTEGER PRIMARY KEY, time TEXT, caller TEXT, query "
          "TEXT, "
          "filter TEXT, version INTEGER, ids TEXT)");
}

void AuditLog::add(const AuditEntry& entry) {
  Database database(path_, Database::Mode::write);
  database
      .prepare("INSERT INTO searches (time, caller, query, filter, version, ids) VALUES (?, ?, ?, ?, ?, ?)")
      .bind(1, entry.time)
      .bind(2, entry.caller)
      .bind(3, entry.query)
      .bind(4, entry.filter)
      .bind(5, static_cast<int64_t>(entry.version))
      .bind(6, list_text(entry.ids))
      .run();
}

std::vector<AuditEntry> AuditLog::entries() {
  Database database(path_, Database::Mode::read);
  Statement select =
      database.prepare("SELECT time, caller, query, filter, version, ids FROM searches ORDER BY number");
  std::vector<AuditEntry> entries;
  while (select.step())
    entries.push_back({select.text(0), select.text(1), select.text(2), select.text(3),
                       static_cast<uint64_t>(select.integer(4)), parse_list(select.text(5))});
  return entries;
}

AuditEntry audit_entry(const std::string& caller, std::span<const float> query, const SearchOptions& options,
                       const Answer& answer) {
  Sha256 hash;
  hash.add(std::as_bytes(query));
  AuditEntry entry{now_text(),     caller, hash.finish(), options.filter ? to_text(*options.filter) : "",
                   answer.version, {}};
  for (const Hit& hit : answer.hits) entry.ids.push_back(hit.item.id);
  return entry;
}

}  // namespace mii::search
