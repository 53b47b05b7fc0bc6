#include "eval/encoded.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/number_text.h"
#include "image/preprocess.h"
#include "stats/retrieval.h"

namespace mii {
namespace {

constexpr size_t kLumaSide = 32;

void read_luma(const Image& image, std::span<float> to) {
  const Image small = resize_bicubic(image, kLumaSide, kLumaSide);
  for (size_t i = 0; i < to.size(); ++i) {
    const uint8_t* p = small.pixels().data() + 3 * i;
    to[i] = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
  }
}

bool meets(const EvalTask& task, const Manifest& manifest, size_t row) {
  return std::ranges::all_of(task.where, [&](const auto& condition) {
    return std::ranges::find(condition.second, manifest.at(row, condition.first)) != condition.second.end();
  });
}

}  // namespace

Matrix some_rows(const Matrix& m, const std::vector<size_t>& rows) {
  Matrix some(rows.size(), m.cols());
  for (size_t i = 0; i < rows.size(); ++i) std::ranges::copy(m.row(rows[i]), some.row(i).begin());
  return some;
}

EncodedRows encode_rows(const Engine& engine, Manifest manifest, const pipeline::ReadOptions& options,
                        std::vector<pipeline::Failure>& failures) {
  EncodedRows encoded{std::move(manifest), {}, {}, {}, {}};
  const size_t rows = encoded.manifest.rows();
  std::vector<pipeline::ImageInput> inputs;
  for (size_t row = 0; row < rows; ++row)
    inputs.push_back({encoded.manifest.path(row).string(), std::nullopt});
  Matrix vectors(rows, engine.info().embedding_dim), pixels(rows, kLumaSide * kLumaSide);
  const auto failed = pipeline::encode_images(
      engine, pipeline::images_of(std::move(inputs), {}), options,
      [&](const std::vector<size_t>& indices, const Matrix& batch, std::span<const Image>) {
        for (size_t i = 0; i < indices.size(); ++i) {
          std::ranges::copy(batch.row(i), vectors.row(indices[i]).begin());
          encoded.rows.push_back(indices[i]);
          encoded.groups.push_back(encoded.manifest.group(indices[i]));
        }
      },
      [&](size_t row, const Image& image) { read_luma(image, pixels.row(row)); });
  failures.insert(failures.end(), failed.begin(), failed.end());
  encoded.vectors = some_rows(vectors, encoded.rows);
  encoded.pixels = some_rows(pixels, encoded.rows);
  return encoded;
}

Asked asked_of(const EvalTask& task, const EncodedRows& data) {
  Asked asked;
  for (size_t i = 0; i < data.rows.size(); ++i) {
    if (!meets(task, data.manifest, data.rows[i])) continue;
    const std::string& cell = data.manifest.at(data.rows[i], task.field);
    if (task.number) {
      const auto value = parse_number(cell);
      if (!value) continue;
      asked.values.push_back(static_cast<float>(*value));
    } else {
      const auto label = task.label_of(cell);
      if (!label) continue;
      asked.truth.push_back(*label);
    }
    asked.items.push_back(i);
    asked.groups.push_back(data.groups[i]);
  }
  return asked;
}

Asked searched_of(const EvalTask& task, const EncodedRows& data) {
  Asked searched;
  for (size_t i = 0; i < data.rows.size(); ++i) {
    if (!meets(task, data.manifest, data.rows[i])) continue;
    searched.items.push_back(i);
    searched.groups.push_back(data.groups[i]);
    searched.truth.push_back(
        task.label_of(data.manifest.at(data.rows[i], task.field)).value_or(stats::kNoClass));
  }
  return searched;
}

void use_values_as_labels(EvalTask& task, std::span<const EncodedRows* const> data) {
  if (!task.labels.empty() || task.number) return;
  std::set<std::string> values;
  for (const EncodedRows* encoded : data)
    for (const size_t row : encoded->rows)
      if (meets(task, encoded->manifest, row)) values.insert(encoded->manifest.at(row, task.field));
  values.erase("");
  for (const std::string& value : values) task.labels.emplace_back(value, std::vector{value});
}

}  // namespace mii
