#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_writer.h"
#include "search/collection.h"
#include "search/item_table.h"
#include "stats/estimate.h"

namespace mii::search {

/// How many hits have a value in a column, of those that have one.
struct Vote {
  std::string value;
  size_t hits = 0;
  stats::Estimate share;  ///< with Wilson's 95 % interval, as if the hits were drawn independently
};

struct Votes {
  std::string column;
  size_t voters = 0;        ///< hits with a value in the column
  std::vector<Vote> votes;  ///< the most first; of as many, that of the better hit
};
Votes votes_of(const Answer& answer, const std::string& column);

/// How much a query is like what the collection holds.
struct Typicality {
  float best = 0;          ///< the similarity of the best hit
  double share_below = 0;  ///< of the sampled items, those whose nearest other is less similar than that
  size_t sample = 0;
  uint64_t version = 0;  ///< of the collection when the sample was taken
};
/// Nothing without hits or without a sample.
std::optional<Typicality> typicality_of(const Answer& answer, const std::optional<Typical>& typical);

/// An answer and what speaks for it.
struct Evidence {
  Answer answer;
  std::vector<Votes> votes;
  std::optional<Typicality> typicality;
  std::optional<Identity> identity;   ///< of the collection
  std::vector<std::string> warnings;  ///< of the query's vectors
};

/// Searches, and looks at the hits. vote_columns: for whose values they vote.
Evidence search_with_evidence(Collection& collection, const Matrix& query, const SearchOptions& options,
                              const std::vector<std::string>& vote_columns);

/// One object: {"hits": [{"id", "path", "similarity", "attributes": {column: value}}, ...], "evidence": ...,
/// "identity": ...}, and "warnings" where there are any.
std::string to_json(const Evidence& evidence);

/// Writes the same in steps of a hit, for an answer that is sent while it is written.
class EvidenceWriter {
 public:
  explicit EvidenceWriter(Evidence evidence);
  /// Returns whether there is more to write.
  bool operator()(JsonWriter& json);

 private:
  std::shared_ptr<const Evidence> evidence_;
  size_t hit_ = 0;
};

/// An item's columns: {column: value, ...}.
void write_attributes(JsonWriter& json, const Item& item);
/// For people.
std::string to_table(const Evidence& evidence);
/// A page without references to anything outside it, with the thumbnails that the items have.
std::string to_html(const Evidence& evidence, const std::string& title);

}  // namespace mii::search
