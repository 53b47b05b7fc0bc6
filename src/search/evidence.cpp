#include "search/evidence.h"

#include <algorithm>
#include <cstdio>

#include "core/base64.h"
#include "core/number_text.h"
#include "search/folder_collection.h"
#include "stats/binary.h"

namespace mii::search {
namespace {

std::string four_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f %%", 100 * share);
  return text;
}

std::string vote_text(const Vote& vote, size_t voters) {
  return std::to_string(vote.hits) + " of " + std::to_string(voters) + " (" + percent(vote.share.low) +
         " to " + percent(vote.share.high) + ")";
}

// The stages whose hits are those of an exact search.
bool is_exact(Stage stage) { return stage == Stage::exact || stage == Stage::int8; }

std::string searched_text(const Answer& answer) {
  return std::to_string(answer.searched) + " items searched, stage " + std::string(to_string(answer.stage)) +
         (is_exact(answer.stage) ? " (exact)" : " (hits may be missing)") + ", version " +
         std::to_string(answer.version);
}

std::string typical_text(const Typicality& t) {
  return "best similarity " + four_digits(t.best) + "; of " + std::to_string(t.sample) +
         " items of the collection, the nearest other is less similar for " + percent(t.share_below);
}

void add_votes(JsonWriter& json, const Votes& votes) {
  json.begin_object().member("column", votes.column).member("voters", votes.voters);
  json.key("votes").begin_array();
  for (const Vote& vote : votes.votes) {
    json.begin_object().member("value", vote.value).member("hits", vote.hits);
    json.member("share", vote.share.value).member("low", vote.share.low).member("high", vote.share.high);
    json.end_object();
  }
  json.end_array().end_object();
}

void add_hit(JsonWriter& json, const Hit& hit, size_t rank) {
  json.begin_object().member("id", hit.item.id).member("path", hit.item.value("path"));
  json.member("similarity", double{hit.similarity}).member("rank", rank);
  if (hit.folded > 0) json.member("near_duplicates", hit.folded);
  write_attributes(json.key("attributes"), hit.item);
  json.end_object();
}

void begin_hits(JsonWriter& json) { json.begin_object().key("hits").begin_array(); }

void end_hits(JsonWriter& json, const Evidence& evidence) {
  const Answer& answer = evidence.answer;
  json.end_array();
  json.key("evidence").begin_object();
  json.member("stage", to_string(answer.stage)).member("exact", is_exact(answer.stage));
  json.member("searched", answer.searched).member("version", answer.version);
  json.key("votes").begin_array();
  for (const Votes& votes : evidence.votes) add_votes(json, votes);
  json.end_array().key("typical");
  if (const auto& t = evidence.typicality) {
    json.begin_object().member("best_similarity", double{t->best}).member("share_below", t->share_below);
    json.member("sample", t->sample).member("version", t->version).end_object();
  } else {
    json.value(nullptr);
  }
  json.end_object().key("identity");
  if (evidence.identity)
    json.value(RawJson{evidence.identity->json()});
  else
    json.value(nullptr);
  if (!evidence.warnings.empty()) json.member("warnings", evidence.warnings);
  json.end_object();
}

std::string image_html(const Item& item) {
  if (item.thumbnail.empty()) return "";
  return "<img alt=\"\" src=\"data:image/jpeg;base64," + encode_base64(item.thumbnail) + "\">";
}

}  // namespace

Votes votes_of(const Answer& answer, const std::string& column) {
  Votes votes{.column = column};
  for (const Hit& hit : answer.hits) {
    const std::string_view value = hit.item.value(column);
    if (value.empty()) continue;
    ++votes.voters;
    auto vote = std::ranges::find(votes.votes, value, &Vote::value);
    if (vote == votes.votes.end()) vote = votes.votes.insert(vote, {.value = std::string(value)});
    ++vote->hits;
  }
  std::ranges::stable_sort(votes.votes, std::greater(), &Vote::hits);
  for (Vote& vote : votes.votes) vote.share = stats::wilson(vote.hits, votes.voters);
  return votes;
}

std::optional<Typicality> typicality_of(const Answer& answer, const std::optional<Typical>& typical) {
  if (answer.hits.empty() || !typical || typical->nearest.empty()) return std::nullopt;
  const std::vector<float>& nearest = typical->nearest;
  const float best = answer.hits.front().similarity;
  const auto below = std::ranges::lower_bound(nearest, best) - nearest.begin();
  return Typicality{best, static_cast<double>(below) / static_cast<double>(nearest.size()), nearest.size(),
                    typical->version};
}

Evidence search_with_evidence(Collection& collection, const Matrix& query, const SearchOptions& options,
                              const std::vector<std::string>& vote_columns) {
  Evidence evidence{.answer = std::move(collection.search(query, options).front()),
                    .identity = collection.info().identity};
  for (const std::string& column : vote_columns) evidence.votes.push_back(votes_of(evidence.answer, column));
  evidence.typicality = typicality_of(evidence.answer, collection.typical());
  return evidence;
}

void write_attributes(JsonWriter& json, const Item& item) {
  json.begin_object();
  for (const auto& [column, value] : item.attributes) json.member(column, value);
  json.end_object();
}

std::string to_json(const Evidence& evidence) {
  JsonWriter json(JsonWriter::Style::spaced);
  begin_hits(json);
  for (size_t i = 0; i < evidence.answer.hits.size(); ++i) add_hit(json, evidence.answer.hits[i], i + 1);
  end_hits(json, evidence);
  return json.finish();
}

EvidenceWriter::EvidenceWriter(Evidence evidence)
    : evidence_(std::make_shared<const Evidence>(std::move(evidence))) {}

bool EvidenceWriter::operator()(JsonWriter& json) {
  const std::vector<Hit>& hits = evidence_->answer.hits;
  if (hit_ == 0) begin_hits(json);
  if (hit_ < hits.size()) {
    add_hit(json, hits[hit_], hit_ + 1);
    ++hit_;
    return true;
  }
  end_hits(json, *evidence_);
  return false;
}

std::string to_table(const Evidence& evidence) {
  const Answer& answer = evidence.answer;
  std::string table;
  for (size_t i = 0; i < answer.hits.size(); ++i) {
    const Hit& hit = answer.hits[i];
    const std::string rank = std::to_string(i + 1);
    table += std::string(rank.size() < 4 ? 4 - rank.size() : 0, ' ') + rank + "  " +
             four_digits(hit.similarity) + "  " + hit.item.id;
    if (hit.folded > 0) table += "  (+" + std::to_string(hit.folded) + " near-duplicates)";
    table += '\n';
    std::string attributes;
    for (const auto& [column, value] : hit.item.attributes)
      if (value != hit.item.id) attributes += (attributes.empty() ? "" : ", ") + column + "=" + value;
    if (!attributes.empty()) table += "              " + attributes + '\n';
  }
  for (const Votes& votes : evidence.votes) {
    table += votes.column + ":\n";
    for (const Vote& vote : votes.votes)
      table += "  " + vote.value + ": " + vote_text(vote, votes.voters) + '\n';
  }
  if (evidence.typicality) table += typical_text(*evidence.typicality) + '\n';
  return table + searched_text(answer) + '\n';
}

std::string to_html(const Evidence& evidence, const std::string& title) {
  std::string html = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>" + html_text(title) +
                     "</title><style>body{font:15px sans-serif;margin:2em}.hits{display:grid;gap:1em;"
                     "grid-template-columns:repeat(auto-fill,minmax(200px,1fr))}figure{margin:0;border:1px "
                     "solid #ccc;padding:.6em;"
                     "overflow-wrap:anywhere}img{width:100%}dt{float:left;clear:left;margin-right:.5em;color:"
                     "#555}dd{margin:0}"
                     "table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:left}</style><h1>" +
                     html_text(title) + "</h1><p>" + html_text(searched_text(evidence.answer)) + "</p>";
  if (evidence.typicality) html += "<p>" + html_text(typical_text(*evidence.typicality)) + "</p>";
  for (const Votes& votes : evidence.votes) {
    html += "<h2>" + html_text(votes.column) + "</h2><table><tr><th>value<th>hits (95 % interval)";
    for (const Vote& vote : votes.votes)
      html += "<tr><td>" + html_text(vote.value) + "<td>" + html_text(vote_text(vote, votes.voters));
    html += "</table>";
  }
  html += "<div class=\"hits\">";
  for (size_t i = 0; i < evidence.answer.hits.size(); ++i) {
    const Hit& hit = evidence.answer.hits[i];
    html += "<figure>" + image_html(hit.item) + "<figcaption><b>" + std::to_string(i + 1) + ". " +
            four_digits(hit.similarity) + "</b><br>" + html_text(hit.item.id);
    if (hit.folded > 0) html += "<br>+" + std::to_string(hit.folded) + " near-duplicates";
    html += "<dl>";
    for (const auto& [column, value] : hit.item.attributes)
      html += "<dt>" + html_text(column) + "<dd>" + html_text(value);
    html += "</dl></figcaption></figure>";
  }
  html += "</div>";
  if (evidence.identity) html += "<p>Vectors: " + html_text(evidence.identity->json()) + "</p>";
  return html + "<p>For research; not a medical device.</p></html>\n";
}

}  // namespace mii::search
