#include "mii/identity.h"

#include <array>
#include <boost/json.hpp>
#include <utility>

#include "core/json_writer.h"
#include "core/sha256.h"
#include "mii/error.h"

namespace mii {
namespace {

constexpr std::array<std::pair<const char*, std::string Identity::*>, 6> kParts{{
    {"weights", &Identity::weights},
    {"config", &Identity::config},
    {"tokenizer", &Identity::tokenizer},
    {"precision", &Identity::precision},
    {"preprocessing", &Identity::preprocessing},
    {"version", &Identity::version},
}};
constexpr size_t kFingerprintDigits = 16;

}  // namespace

std::string Identity::json() const {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object();
  for (const auto& [name, part] : kParts) json.member(name, this->*part);
  return json.end_object().finish();
}

Identity Identity::parse(std::string_view json) {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(json, error);
  const boost::json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr) throw Error(ErrorCode::invalid_argument, "an identity that is no JSON object");
  Identity identity;
  for (const auto& [name, part] : kParts) {
    const boost::json::value* member = object->if_contains(name);
    if (member == nullptr || !member->is_string())
      throw Error(ErrorCode::invalid_argument, std::string("an identity without the text '") + name + "'");
    identity.*part = member->get_string();
  }
  return identity;
}

std::string Identity::fingerprint() const {
  Sha256 hash;
  hash.add(json());
  return hash.finish().substr(0, kFingerprintDigits);
}

std::vector<std::string> Identity::differences_from(const Identity& expected) const {
  std::vector<std::string> differences;
  for (const auto& [name, part] : kParts)
    if (this->*part != expected.*part)
      differences.push_back(std::string(name) + ": '" + this->*part + "', expected '" + expected.*part + "'");
  return differences;
}

}  // namespace mii
