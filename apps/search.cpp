#include <charconv>
#include <cstdio>
#include <memory>
#include <set>

#include "commands.h"
#include "core/file.h"
#include "core/json_writer.h"
#include "core/utf8.h"
#include "decode_flags.h"
#include "interrupt.h"
#include "mii/error.h"
#include "mii/series.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/collection_items.h"
#include "pipeline/identity.h"
#include "pipeline/origin.h"
#include "pipeline/series_reader.h"
#include "pipeline/vector_reader.h"
#include "search/audit.h"
#include "search/duplicates.h"
#include "search/evidence.h"
#include "search/open.h"
#include "search/postgres.h"
#include "search/query.h"
#include "search/volumes.h"
#include "volume_flags.h"

namespace mii {
namespace {

using search::Collection;
using search::Item;

/// What a query is made of: what hits are to be like, or not to be like.
struct Examples {
  std::vector<std::string> files;
  std::vector<std::string> texts;
  std::vector<std::string> ids;
  std::vector<std::string> vectors;  ///< FILE#ROW

  bool any() const { return !files.empty() || !texts.empty() || !ids.empty() || !vectors.empty(); }
};

struct Flags {
  std::string collection;
  Examples like, unlike;
  bool volume = false;
  std::string pool = "mean";
  std::string rank;  ///< of volumes by their slices; empty: items are asked by the pooled slices
  size_t k = 10;
  std::string filter;
  std::string stage = "auto";
  bool exact = false;
  std::string one_per;
  bool other_patients = false;
  std::optional<float> fold;
  std::optional<uint64_t> version;
  std::vector<std::string> votes;
  bool json = false;
  std::string html;
  bool audit = false;
  std::string caller;
  DecodeFlags decode;
  ModelFlags model;
};

/// Makes vectors of examples. The model is opened when the first file or text comes.
class ExampleEncoder {
 public:
  ExampleEncoder(const Flags& flags, Collection& collection)
      : flags_(flags), collection_(collection), identity_(collection.info().identity) {}

  Matrix encode(const Examples& examples) {
    std::vector<Matrix> parts;
    for (const std::string& file : examples.files) parts.push_back(of_file(file));
    if (!examples.texts.empty()) {
      expect_identity("", {.of_text = true});
      parts.push_back(engine().encode_texts(examples.texts));
    }
    if (!examples.ids.empty()) parts.push_back(collection_.vectors(examples.ids));
    for (const std::string& row : examples.vectors) parts.push_back(of_row(row));
    std::vector<std::span<const float>> rows;
    for (const Matrix& part : parts)
      for (size_t r = 0; r < part.rows(); ++r) rows.push_back(part.row(r));
    return search::stacked(rows);
  }

  /// [n, D] of a series or NIfTI volume, to be compared with slices.
  Matrix slices_of(const std::string& file) {
    const DecodeOptions options = flags_.decode.options();
    expect_identity(pipeline::preprocessing_text(options));
    return encoded_slices(file, options);
  }

 private:
  const Engine& engine() {
    if (!engine_) engine_ = flags_.model.open_beside(identity_);
    return *engine_;
  }

  void expect_identity(const std::string& preprocessing, search::IdentityCheck check = {}) {
    if (identity_) warn(search::check_identity(engine().identity(preprocessing), *identity_, check));
  }

  void warn(const std::string& warning) {
    if (!warning.empty() && !flags_.model.quiet && warned_.insert(warning).second) say("warning: " + warning);
  }

  Matrix of_file(const std::string& file) {
    const DecodeOptions options = flags_.decode.options();
    const std::string preprocessing = pipeline::preprocessing_text(options);
    if (flags_.volume) {
      // As `mii embed --volume`, whose vectors have another preprocessing than images.
      expect_identity(preprocessing + "; series; slices all; pool " + flags_.pool);
      return pool_slices(encoded_slices(file, options), pooling_of(flags_.pool));
    }
    expect_identity(preprocessing);
    const Image image = Image::read(file, options);
    return engine().encode_images({&image, 1});
  }

  Matrix encoded_slices(const std::string& file, const DecodeOptions& options) {
    const std::filesystem::path path = file;
    const SeriesScan scan = find_series({&path, 1}, options.plane);
    if (scan.series.size() != 1)
      throw Error(ErrorCode::invalid_argument,
                  file + ": has " + std::to_string(scan.series.size()) + " series, a query takes one");
    const std::vector<Slice>& slices = scan.series.front().slices;
    Progress progress(slices.size(), "images", flags_.model.quiet);
    pipeline::EncodedSeries encoded = encode_series(engine(), slices, options, read_options(progress));
    if (interrupted()) throw Error(ErrorCode::cancelled, "interrupted");
    if (!encoded.failures.empty())
      throw Error(ErrorCode::invalid_image,
                  encoded.failures.front().input + ": " + encoded.failures.front().reason);
    return std::move(encoded.vectors);
  }

  Matrix of_row(const std::string& named) {
    const size_t hash = named.rfind('#');
    const std::string file = named.substr(0, hash);
    size_t row = 0;
    if (hash != std::string::npos) {
      const char* const end = named.data() + named.size();
      const auto [last, wrong] = std::from_chars(named.data() + hash + 1, end, row);
      if (wrong != std::errc() || last != end)
        throw Error(ErrorCode::invalid_argument, named + ": expected FILE#ROW, rows counted from 0");
    }
    pipeline::VectorReader reader(file);
    if (row >= reader.rows())
      throw Error(ErrorCode::invalid_argument, file + ": has " + std::to_string(reader.rows()) +
                                                   " rows, none of number " + std::to_string(row));
    if (!reader.identity())
      throw Error(ErrorCode::invalid_argument, file + ": does not say by what it was made");
    reader.skip(row);
    pipeline::StoredVectors stored = reader.next(1);
    const bool of_text = !stored.sources[0].state;
    if (identity_) warn(search::check_identity(*stored.identity, *identity_, {.of_text = of_text}));
    return std::move(stored.vectors);
  }

  const Flags& flags_;
  Collection& collection_;
  std::optional<Identity> identity_;
  std::optional<Engine> engine_;
  std::set<std::string> warned_;
};

// The patients of the examples that hits are to be like: as stored, or as DICOM files say.
std::set<std::string> patients_of(const Examples& examples, Collection& collection) {
  std::set<std::string> patients;
  const auto add = [&](std::string_view patient) {
    if (!patient.empty()) patients.emplace(patient);
  };
  std::vector<std::string> names = examples.ids;
  names.insert(names.end(), examples.files.begin(), examples.files.end());
  for (const std::optional<Item>& item : collection.find(names))
    if (item) add(item->value("patient"));
  for (const std::string& file : examples.files) add(pipeline::origin_of(file).patient);
  return patients;
}

search::SearchOptions options_of(const Flags& flags, Collection& collection) {
  search::SearchOptions options{
      .k = flags.k,
      .leave_out = flags.like.ids,
      .one_per = flags.one_per,
      .fold_from = flags.fold,
      .version = flags.version,
      .stage = flags.exact ? search::Stage::exact : search::parse_stage(flags.stage),
      .threads = flags.model.threads};
  if (!flags.filter.empty()) options.filter = search::parse_filter(flags.filter);
  if (flags.other_patients) leave_out_patients(patients_of(flags.like, collection), options);
  return options;
}

// Where the collection keeps no thumbnails, the images themselves are asked, as far as they are there.
void add_thumbnails(search::Answer& answer, const DecodeOptions& decode) {
  for (search::Hit& hit : answer.hits) {
    const auto input = pipeline::input_of(hit.item);
    if (!hit.item.thumbnail.empty() || !input) continue;
    try {
      DecodeOptions options = decode;
      options.frame = input->frame;
      hit.item.thumbnail = pipeline::thumbnail_of(Image::read(input->path, options));
    } catch (const Error&) {  // a page without this image
    }
  }
}

search::Evidence evidence_of(const Flags& flags, search::Collection& collection, const Matrix& query,
                             const search::SearchOptions& options) {
  if (flags.rank.empty()) return search_with_evidence(collection, query, options, flags.votes);
  const search::VolumeRank rank = search::parse_volume_rank(flags.rank);
  search::Evidence evidence{.answer = search::search_volumes(collection, query, options, {.rank = rank}),
                            .identity = collection.info().identity};
  for (const std::string& column : flags.votes) evidence.votes.push_back(votes_of(evidence.answer, column));
  return evidence;  // no typicality: the score of a volume is not the similarity of an item
}

int run_search(const Flags& flags) {
  const auto opened = search::open_collection(flags.collection);
  Collection& collection = *opened;
  const search::SearchOptions options = options_of(flags, collection);
  ExampleEncoder encoder(flags, collection);
  Matrix query;
  if (flags.rank.empty()) {
    const Matrix like = encoder.encode(flags.like);
    const Matrix unlike = encoder.encode(flags.unlike);
    query = search::query_of(like, unlike);
  } else {
    query = encoder.slices_of(flags.like.files.front());
  }
  search::Evidence evidence = evidence_of(flags, collection, query, options);
  if (flags.audit) collection.record(audit_entry(flags.caller, query.values(), options, evidence.answer));
  if (!flags.html.empty()) {
    add_thumbnails(evidence.answer, flags.decode.options());
    write_file(flags.html, to_html(evidence, "Search in " + search::shown_name(flags.collection)));
  }
  if (flags.json)
    print_line(to_json(evidence));
  else
    std::fputs(printable_lines(to_table(evidence)).c_str(), stdout);
  return kOk;
}

struct DuplicateFlags {
  std::string collection;
  float at_least = 0.99f;
  std::string filter;
  bool json = false;
  bool quiet = false;
};

int run_duplicates(const DuplicateFlags& flags) {
  const auto opened = search::open_collection(flags.collection);
  Collection& collection = *opened;
  Progress progress(collection.info().items, "items", flags.quiet);
  search::DuplicateOptions options{.at_least = flags.at_least,
                                   .progress = [&](size_t n) { progress.advance(n); },
                                   .cancelled = interrupted};
  if (!flags.filter.empty()) options.filter = search::parse_filter(flags.filter);
  const std::vector<search::DuplicateGroup> groups = find_duplicates(collection, options);
  for (const search::DuplicateGroup& group : groups) {
    if (flags.json) {
      JsonWriter json(JsonWriter::Style::spaced);
      json.begin_object().key("duplicates").begin_array();
      for (const auto& [id, similarity] : group.members)
        json.begin_object().member("id", id).member("similarity", double{similarity}).end_object();
      print_line(json.end_array().end_object().finish());
      continue;
    }
    for (const auto& [id, similarity] : group.members) {
      char number[32];
      std::snprintf(number, sizeof number, "%.4f  ", double{similarity});
      print_line(number + id);
    }
    print_line("");
  }
  if (!flags.quiet) say(std::to_string(groups.size()) + " groups of near-duplicates");
  return kOk;
}

}  // namespace

void add_search(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("search", "Find the items of a collection that are most like a query");
  command->add_option("collection", flags->collection, "Folder of the collection, or postgresql://...")
      ->required();
  command->add_option("query", flags->like.files,
                      "Images or DICOM files; of several things, hits are to be like all of them");
  command->add_option("--text", flags->like.texts, "Texts");
  command->add_option("--id", flags->like.ids, "Items of the collection; they are no hits themselves");
  command->add_option("--vector", flags->like.vectors, "FILE#ROW of a file of vectors, rows counted from 0");
  command->add_option("--not-like", flags->unlike.files, "Images that hits are not to be like");
  command->add_option("--not-text", flags->unlike.texts, "Texts that hits are not to be like");
  command->add_option("--not-id", flags->unlike.ids, "Items that hits are not to be like");
  command->add_flag("--volume", flags->volume,
                    "Queries are series or NIfTI volumes, each one vector, or with --rank the slices");
  CLI::Option* pool = add_pool(*command, flags->pool);
  CLI::Option* rank =
      command
          ->add_option(
              "--rank", flags->rank,
              "With --volume: hits are the volumes (items with one value in the column series) whose "
              "slices are like the query's, by frequency, maximum or sum of the similarities, or by "
              "late interaction")
          ->check(CLI::IsMember({"frequency", "maximum", "sum", "late"}))
          ->needs(command->get_option("--volume"));
  command->add_option("-k", flags->k, "Hits")->capture_default_str();
  command->add_option("--filter", flags->filter, "Hits meet this: \"modality = 'Ultrasound' and age < 40\"");
  command
      ->add_option("--stage", flags->stage,
                   "auto, exact, int8, signs or hamming; of a database auto, exact or hnsw: docs/search.md")
      ->capture_default_str();
  command->add_flag("--exact", flags->exact, "Read every stored vector: --stage exact");
  command->add_option("--one-per", flags->one_per,
                      "Column: one hit for each of its values (patient, study, ...)");
  command->add_flag("--other-patients", flags->other_patients, "The query's own patient is no hit");
  command->add_option("--fold", flags->fold,
                      "Count near-duplicates, from this similarity on, with the better hit");
  command->add_option("--at-version", flags->version, "Ask the collection as it was then");
  command->add_option("--vote", flags->votes, "Columns for whose values the hits vote");
  command->add_flag("--json", flags->json, "One JSON object");
  command->add_option("--html", flags->html, "Also write a page with images");
  command->add_flag("--audit", flags->audit,
                    "Record the search in the collection's audit.sqlite, or table mii_audit");
  command->add_option("--caller", flags->caller, "Who asks, for --audit");
  rank->excludes(pool);
  for (const char* of_items :
       {"--text", "--id", "--vector", "--not-like", "--not-text", "--not-id", "--one-per", "--fold"})
    rank->excludes(command->get_option(of_items));
  flags->decode.add_to(*command);
  flags->model.add_to(*command);
  command->callback([flags, &chosen] {
    if (!flags->rank.empty() && flags->like.files.size() != 1)
      throw CLI::ValidationError("--rank", "takes one series or NIfTI volume");
    if (!flags->like.any()) throw CLI::RequiredError("A query: files, --text, --id or --vector");
    chosen = [flags] { return run_search(*flags); };
  });
}

void add_duplicates(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<DuplicateFlags>();
  CLI::App* command = app.add_subcommand("duplicates", "List the near-duplicates in a collection");
  command->add_option("collection", flags->collection, "Folder of the collection, or postgresql://...")
      ->required();
  command->add_option("--at-least", flags->at_least, "Similarity of near-duplicates")
      ->check(CLI::Range(-1.0, 1.0))
      ->capture_default_str();
  command->add_option("--filter", flags->filter, "Compare with items that meet this");
  command->add_flag("--json", flags->json, "One JSON object a group");
  command->add_flag("--quiet", flags->quiet, "No progress bar, no count");
  command->callback([flags, &chosen] { chosen = [flags] { return run_duplicates(*flags); }; });
}

}  // namespace mii
