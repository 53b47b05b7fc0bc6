#include "pipeline/fit_manifest.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "heads/products.h"
#include "mii/error.h"
#include "pipeline/identity.h"
#include "pipeline/vector_reader.h"

namespace mii::pipeline {
namespace {

namespace fs = std::filesystem;

std::string_view column_of(std::string_view condition) { return condition.substr(0, condition.find('=')); }

std::vector<bool> meets_all(const Manifest& manifest, const std::vector<std::string>& conditions) {
  std::vector<bool> met(manifest.rows(), true);
  for (const std::string& condition : conditions) {
    const std::vector<bool> one = manifest.meets(condition);
    for (size_t row = 0; row < met.size(); ++row) met[row] = met[row] && one[row];
  }
  return met;
}

// Where the file of a row is, whichever way to it was written.
std::string place_of(const fs::path& path) { return fs::weakly_canonical(path).string(); }

heads::LabelTexts texts_of(const Engine& engine, const std::vector<std::string>& labels,
                           const std::vector<std::string>& templates) {
  const ZeroShotHead head = engine.zero_shot_head(labels, {.templates = templates});
  return {head.label_vectors().clone(), engine.info().logit_scale};
}

void expect_same_model(const Engine& engine, const Identity& vectors) {
  Identity own = engine.identity(vectors.preprocessing);
  own.precision = vectors.precision;
  own.version = vectors.version;
  if (const auto differences = own.differences_from(vectors); !differences.empty())
    throw Error(ErrorCode::invalid_argument, "the vectors are of another model: " + differences.front());
}

}  // namespace

FitRows fit_rows(const Manifest& manifest, const ManifestFit& options) {
  const std::string& field = options.fit.field;
  if (!manifest.has(field))
    throw Error(ErrorCode::invalid_argument, "the manifest has no column '" + field + "'");
  std::vector<std::string> calibrate = options.calibrate_where;
  for (const std::string& condition : options.where) {
    const auto same = [&](const std::string& other) { return column_of(other) == column_of(condition); };
    if (std::ranges::none_of(options.calibrate_where, same)) calibrate.push_back(condition);
  }
  const std::vector<bool> fits = meets_all(manifest, options.where);
  const std::vector<bool> calibrates =
      options.calibrate_where.empty() ? std::vector<bool>(manifest.rows()) : meets_all(manifest, calibrate);
  FitRows rows;
  for (size_t row = 0; row < manifest.rows(); ++row) {
    if (!(fits[row] || calibrates[row]) || manifest.at(row, field).empty()) continue;
    rows.all.push_back(row);
    rows.calibrates.push_back(calibrates[row]);
  }
  if (rows.all.empty())
    throw Error(ErrorCode::invalid_argument, "field '" + field + "' is empty in all rows");
  return rows;
}

RowVectors find_vectors(const Manifest& manifest, const FitRows& rows, const fs::path& file,
                        std::vector<Failure>& failures) {
  const StoredVectors stored = read_vectors(file);
  if (!stored.identity)
    throw Error(ErrorCode::invalid_argument,
                file.string() + ": it does not say by what the vectors were made");
  std::unordered_map<std::string, size_t> places;
  for (size_t i = 0; i < stored.sources.size(); ++i) places.emplace(place_of(stored.sources[i].input), i);
  RowVectors found{.identity = *stored.identity};
  std::vector<size_t> stored_rows;
  for (size_t i = 0; i < rows.all.size(); ++i) {
    const fs::path path = manifest.path(rows.all[i]);
    if (const auto place = places.find(place_of(path)); place != places.end()) {
      found.rows.push_back(i);
      stored_rows.push_back(place->second);
    } else {
      failures.push_back({path.string(), "has no vector in " + file.string()});
    }
  }
  found.vectors = heads::some_rows(stored.vectors, stored_rows);
  return found;
}

RowVectors encode_rows(const Engine& engine, const Manifest& manifest, const FitRows& rows,
                       const DecodeOptions& decode, const ReadOptions& options,
                       std::vector<Failure>& failures) {
  std::vector<ImageInput> inputs;
  for (const size_t row : rows.all) inputs.push_back({manifest.path(row).string(), std::nullopt});
  RowVectors encoded{.identity = engine.identity(preprocessing_text(decode))};
  Matrix vectors(rows.all.size(), engine.info().embedding_dim);
  const auto failed =
      encode_images(engine, images_of(std::move(inputs), decode), options,
                    [&](const std::vector<size_t>& indices, const Matrix& batch, std::span<const Image>) {
                      for (size_t i = 0; i < indices.size(); ++i) {
                        std::ranges::copy(batch.row(i), vectors.row(indices[i]).begin());
                        encoded.rows.push_back(indices[i]);
                      }
                    });
  failures.insert(failures.end(), failed.begin(), failed.end());
  encoded.vectors = heads::some_rows(vectors, encoded.rows);
  return encoded;
}

heads::FittedHead fit_manifest(const Manifest& manifest, const FitRows& rows, const RowVectors& encoded,
                               const Engine* engine, const ManifestFit& options) {
  std::vector<std::string> cells;
  for (const size_t i : encoded.rows) cells.push_back(manifest.at(rows.all[i], options.fit.field));
  const bool numbers = options.numbers || options.fit.kind == heads::Kind::ridge;
  heads::ReadCells read = numbers           ? heads::read_numbers(cells)
                          : options.several ? heads::read_label_lists(cells)
                                            : heads::read_labels(cells);
  heads::LabelledVectors data{
      heads::some_rows(encoded.vectors, read.rows), {}, std::move(read.truth), std::move(read.values)};
  std::optional<heads::Split> split;
  if (!options.calibrate_where.empty()) split.emplace();
  for (size_t i = 0; i < read.rows.size(); ++i) {
    const size_t row = encoded.rows[read.rows[i]];
    data.groups.push_back(manifest.group(rows.all[row]));
    if (split) (rows.calibrates[row] ? split->held_out : split->fit).push_back(i);
  }
  std::optional<heads::LabelTexts> texts;
  if (heads::needs_texts(options.fit) && !numbers) {
    expect_same_model(*engine, encoded.identity);
    texts = texts_of(*engine, data.truth.labels, options.fit.templates);
  }
  return heads::fit_head(data, split, texts ? &*texts : nullptr, options.fit, encoded.identity);
}

}  // namespace mii::pipeline
