#include "reports/measures.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "core/json_writer.h"
#include "mii/error.h"
#include "reports/findings.h"
#include "reports/overlap.h"
#include "reports/sentences.h"

namespace mii::reports {
namespace {

using FindingSet = std::set<size_t>;

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

FindingSet present_in(const std::string& text) {
  FindingSet present;
  for (const Mention& mention : findings_in(text))
    if (mention.polarity == Polarity::present) present.insert(mention.finding);
  return present;
}

std::vector<FindingSet> present_in_all(const std::vector<std::string>& texts) {
  std::vector<FindingSet> all;
  for (const std::string& text : texts) all.push_back(present_in(text));
  return all;
}

std::vector<FindingSet> truth_of(const ReportRows& rows) {
  if (rows.headings.empty()) return present_in_all(rows.references);
  std::vector<FindingSet> truth;
  for (const std::string& headings : rows.headings) {
    const std::vector<size_t> found = findings_of_headings(headings);
    truth.emplace_back(found.begin(), found.end());
  }
  return truth;
}

using Words = std::vector<std::string>;

/// Sentences by how many of the references hold them, the most frequent first, with their words.
std::vector<std::pair<std::string, Words>> frequent_sentences(const std::vector<std::string>& references) {
  std::map<Words, std::pair<size_t, std::string>> times;
  for (const std::string& reference : references) {
    std::set<Words> here;
    for (const std::string& sentence : sentences_of(reference)) {
      Words words = overlap_words(sentence);
      if (!here.insert(words).second) continue;
      auto& [count, text] = times[std::move(words)];
      if (count++ == 0) text = sentence;
    }
  }
  std::vector<std::pair<size_t, std::pair<std::string, Words>>> counted;
  for (auto& [words, entry] : times) counted.emplace_back(entry.first, std::pair(entry.second, words));
  std::ranges::stable_sort(counted, std::greater(), [](const auto& entry) { return entry.first; });
  std::vector<std::pair<std::string, Words>> sentences;
  for (auto& [count, sentence] : counted) sentences.push_back(std::move(sentence));
  return sentences;
}

// "Lungs are clear" beside "The lungs are clear".
bool says_the_same(const Words& one, const Words& other) {
  const std::set<std::string> first(one.begin(), one.end()), second(other.begin(), other.end());
  const auto common =
      std::ranges::count_if(first, [&](const std::string& word) { return second.contains(word); });
  return 2 * static_cast<size_t>(common) > std::min(first.size(), second.size());
}

std::string constant_report(const std::vector<std::string>& references) {
  size_t words = 0;
  for (const std::string& reference : references) words += overlap_words(reference).size();
  const size_t usual = words / references.size();
  std::string report;
  std::vector<Words> taken;
  size_t length = 0;
  for (const auto& [sentence, words_of_it] : frequent_sentences(references)) {
    const Words& its_words = words_of_it;  // what a lambda may hold
    if (length + its_words.size() > usual) break;
    if (std::ranges::any_of(taken, [&](const Words& other) { return says_the_same(its_words, other); }))
      continue;
    report += (report.empty() ? "" : " ") + sentence;
    length += its_words.size();
    taken.push_back(its_words);
  }
  return report;
}

std::vector<std::string> random_reports(const std::vector<std::string>& references,
                                        const stats::Groups& patients, uint64_t seed) {
  if (patients.count < 2) refuse("reports of one patient: the random baseline needs those of another");
  // Rows by patient, so that a patient's own are one block, which is stepped over.
  std::vector<size_t> rows(references.size());
  std::iota(rows.begin(), rows.end(), size_t{0});
  std::ranges::stable_sort(rows, {}, [&](size_t row) { return patients.of_case[row]; });
  std::vector<size_t> first(patients.count + 1, 0);
  for (const uint32_t patient : patients.of_case) ++first[patient + 1];
  std::partial_sum(first.begin(), first.end(), first.begin());
  std::mt19937_64 random(seed);
  std::vector<std::string> drawn;
  for (const uint32_t patient : patients.of_case) {
    const size_t own = first[patient + 1] - first[patient];
    const size_t place = random() % (rows.size() - own);
    drawn.push_back(references[rows[place < first[patient] ? place : place + own]]);
  }
  return drawn;
}

/// What one set of texts has in common with the references, row by row.
struct Compared {
  std::string name;
  std::vector<FindingSet> found;
  std::vector<NgramCounts> ngrams;
  std::vector<double> rouge;
};

Compared compare(std::string name, const std::vector<std::string>& texts,
                 const std::vector<std::string>& references) {
  Compared compared{std::move(name), present_in_all(texts), {}, {}};
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::vector<std::string> words = overlap_words(texts[i]), wanted = overlap_words(references[i]);
    compared.ngrams.push_back(count_ngrams(words, wanted));
    compared.rouge.push_back(rouge_l(words, wanted));
  }
  return compared;
}

struct Counts {
  double found = 0, false_found = 0, missed = 0;
  double f1() const { return 2 * found / (2 * found + false_found + missed); }
};

std::vector<Counts> count_findings(const std::vector<FindingSet>& found, const std::vector<FindingSet>& truth,
                                   stats::Multiplicities times) {
  std::vector<Counts> counts(finding_names().size());
  for (size_t i = 0; i < truth.size(); ++i) {
    const double weight = stats::multiplicity(times, i);
    for (const size_t f : found[i])
      (truth[i].contains(f) ? counts[f].found : counts[f].false_found) += weight;
    for (const size_t f : truth[i])
      if (!found[i].contains(f)) counts[f].missed += weight;
  }
  return counts;
}

constexpr size_t kFigures = 9;  // micro F1, precision, recall, macro F1, BLEU-1 to 4, ROUGE-L

void figures_of(const Compared& compared, const std::vector<FindingSet>& truth, stats::Multiplicities times,
                std::span<double> figures) {
  const std::vector<Counts> counts = count_findings(compared.found, truth, times);
  Counts sum;
  double f1 = 0;
  size_t occurring = 0;
  for (const Counts& one : counts) {
    sum.found += one.found;
    sum.false_found += one.false_found;
    sum.missed += one.missed;
    if (one.found + one.missed == 0) continue;
    f1 += one.f1();
    ++occurring;
  }
  figures[0] = sum.f1();
  figures[1] = sum.found / (sum.found + sum.false_found);
  figures[2] = sum.found / (sum.found + sum.missed);
  figures[3] = f1 / static_cast<double>(occurring);
  const auto overlaps = bleu(compared.ngrams, times);
  std::ranges::copy(overlaps, figures.begin() + 4);
  double rouge = 0, cases = 0;
  for (size_t i = 0; i < compared.rouge.size(); ++i) {
    rouge += stats::multiplicity(times, i) * compared.rouge[i];
    cases += stats::multiplicity(times, i);
  }
  figures[8] = rouge / cases;
}

ReportFigures estimated(const Compared& compared, const std::vector<FindingSet>& truth,
                        const stats::Groups& patients, const stats::BootstrapOptions& options) {
  const std::vector<stats::Estimate> estimates = stats::bootstrap(
      patients, kFigures, options, [&](stats::Multiplicities times, std::span<double> figures) {
        figures_of(compared, truth, times, figures);
      });
  ReportFigures figures{.name = compared.name,
                        .micro_f1 = estimates[0],
                        .micro_precision = estimates[1],
                        .micro_recall = estimates[2],
                        .macro_f1 = estimates[3]};
  std::copy_n(estimates.begin() + 4, 4, figures.bleu);
  figures.rouge_l = estimates[8];
  return figures;
}

std::vector<FindingFigures> by_finding(const std::vector<FindingSet>& found,
                                       const std::vector<FindingSet>& truth) {
  std::vector<FindingFigures> figures;
  const std::vector<Counts> counts = count_findings(found, truth, {});
  for (size_t f = 0; f < counts.size(); ++f)
    if (counts[f].found + counts[f].false_found + counts[f].missed > 0)
      figures.push_back({finding_names()[f], static_cast<size_t>(counts[f].found),
                         static_cast<size_t>(counts[f].false_found), static_cast<size_t>(counts[f].missed)});
  std::ranges::stable_sort(figures, std::greater(),
                           [](const FindingFigures& f) { return f.found + f.missed; });
  return figures;
}

void check(const ReportRows& rows) {
  const size_t count = rows.references.size();
  if (count == 0) refuse("no reports to measure");
  for (const auto* list : {&rows.headings, &rows.candidates, &rows.patients})
    if (!list->empty() && list->size() != count)
      refuse(std::to_string(count) + " reports, and " + std::to_string(list->size()) + " values beside them");
  if (rows.candidates.empty() && rows.headings.empty())
    refuse("neither candidates nor headings: there is nothing to measure");
}

void write(JsonWriter& json, const char* name, const stats::Estimate& estimate) {
  json.key(name).begin_array().value(estimate.value).value(estimate.low).value(estimate.high).end_array();
}

void write(JsonWriter& json, const ReportFigures& figures) {
  json.begin_object();
  write(json, "finding_micro_f1", figures.micro_f1);
  write(json, "finding_micro_precision", figures.micro_precision);
  write(json, "finding_micro_recall", figures.micro_recall);
  write(json, "finding_macro_f1", figures.macro_f1);
  for (size_t n = 0; n < 4; ++n) write(json, ("bleu_" + std::to_string(n + 1)).c_str(), figures.bleu[n]);
  write(json, "rouge_l", figures.rouge_l);
  json.end_object();
}

std::string cell(const stats::Estimate& estimate) {
  if (std::isnan(estimate.value)) return "-";
  char text[64];
  if (std::isnan(estimate.low))
    std::snprintf(text, sizeof text, "%.3f", estimate.value);
  else
    std::snprintf(text, sizeof text, "%.3f (%.3f-%.3f)", estimate.value, estimate.low, estimate.high);
  return text;
}

}  // namespace

double FindingFigures::f1() const {
  return 2 * static_cast<double>(found) / static_cast<double>(2 * found + false_found + missed);
}

ReportMeasures measure_reports(const ReportRows& rows, const stats::BootstrapOptions& options) {
  check(rows);
  const stats::Groups patients =
      rows.patients.empty() ? stats::single_cases(rows.references.size()) : stats::make_groups(rows.patients);
  const std::vector<FindingSet> truth = truth_of(rows);
  const std::vector<std::string>& candidates = rows.candidates.empty() ? rows.references : rows.candidates;
  ReportMeasures measures{.rows = rows.references.size(), .patients = patients.count};
  measures.constant = constant_report(rows.references);
  const std::vector<std::string> constant(measures.rows, measures.constant);
  const Compared all[] = {
      compare(rows.candidates.empty() ? "reference, by the rules" : "candidate", candidates, rows.references),
      compare("constant", constant, rows.references),
      compare("random", random_reports(rows.references, patients, options.seed), rows.references)};
  for (const Compared& compared : all)
    measures.figures.push_back(estimated(compared, truth, patients, options));
  measures.findings = by_finding(all[0].found, truth);
  return measures;
}

std::string to_json(const ReportMeasures& measures) {
  JsonWriter json(JsonWriter::Style::spaced);
  json.begin_object()
      .member("reports", measures.rows)
      .member("patients", measures.patients)
      .key("figures")
      .begin_object();
  for (const ReportFigures& figures : measures.figures) {
    json.key(figures.name);
    write(json, figures);
  }
  json.end_object().key("findings").begin_array();
  for (const FindingFigures& f : measures.findings)
    json.begin_object()
        .member("finding", f.finding)
        .member("found", f.found)
        .member("false", f.false_found)
        .member("missed", f.missed)
        .member("f1", f.f1())
        .end_object();
  return json.end_array().member("constant", measures.constant).end_object().finish();
}

std::string to_table(const ReportMeasures& measures) {
  std::string table = std::to_string(measures.rows) + " reports of " + std::to_string(measures.patients) +
                      " patients; 95 % intervals over patients\n\n";
  const auto line = [&](const char* name, const auto& of) {
    char first[48];
    std::snprintf(first, sizeof first, "%-26s", name);
    table += first;
    for (const ReportFigures& figures : measures.figures) {
      char next[48];
      std::snprintf(next, sizeof next, "  %-24s", std::string(of(figures)).c_str());
      table += next;
    }
    table.erase(table.find_last_not_of(' ') + 1) += "\n";
  };
  line("", [](const ReportFigures& f) { return f.name; });
  line("findings, micro F1", [](const ReportFigures& f) { return cell(f.micro_f1); });
  line("findings, precision", [](const ReportFigures& f) { return cell(f.micro_precision); });
  line("findings, sensitivity", [](const ReportFigures& f) { return cell(f.micro_recall); });
  line("findings, macro F1", [](const ReportFigures& f) { return cell(f.macro_f1); });
  for (size_t n = 0; n < 4; ++n)
    line(("BLEU-" + std::to_string(n + 1)).c_str(), [n](const ReportFigures& f) { return cell(f.bleu[n]); });
  line("ROUGE-L", [](const ReportFigures& f) { return cell(f.rouge_l); });
  table += "\nfinding                         found  false  missed     F1\n";
  for (const FindingFigures& f : measures.findings) {
    char row[96];
    std::snprintf(row, sizeof row, "%-30s %6zu %6zu %7zu  %.3f\n", f.finding.c_str(), f.found, f.false_found,
                  f.missed, f.f1());
    table += row;
  }
  return table + "\nconstant report: " + measures.constant + "\n";
}

}  // namespace mii::reports
