#include "heads/head_file.h"

#include <cmath>
#include <cstdio>
#include <cstring>

#include "core/file.h"
#include "heads/head_json.h"
#include "heads/mlp_file.h"
#include "heads/stored_matrix.h"
#include "mii/error.h"
#include "weights/safetensors.h"

namespace mii::heads {
namespace {

constexpr uint64_t kMaxBytes = 1ull << 30;
constexpr size_t kMaxLabels = 100'000, kMaxVoters = 2'000'000;
constexpr const char *kCoefficients = "coefficients", *kVoters = "voters", *kVotersAre = "voters.is";

[[noreturn]] void refuse(std::string_view name, const std::string& what) {
  throw Error(ErrorCode::corrupt_weights, std::string(name) + ": " + what);
}

Rows64 read_coefficients(const StoredMatrix& from, size_t labels, std::string_view name) {
  if (from.rows != labels || from.cols < 2) refuse(name, "its coefficients do not fit its labels");
  Rows64 to(from.rows, from.cols);
  for (size_t k = 0; k < from.rows; ++k)
    std::memcpy(to.row(k).data(), from.data.data() + k * from.cols * sizeof(double),
                from.cols * sizeof(double));
  return to;
}

void read_voters(const Safetensors& file, std::string_view name, Voters& voters) {
  const StoredMatrix vectors = stored_matrix(file, kVoters, "F32", name),
                     is = stored_matrix(file, kVotersAre, "U8", name);
  if (is.rows != vectors.rows) refuse(name, "its neighbours and their labels do not fit each other");
  if (vectors.rows > kMaxVoters || vectors.cols == 0)
    refuse(name, "it has too many neighbours, or empty ones");
  voters.vectors = Matrix(vectors.rows, vectors.cols);
  if (!vectors.data.empty())
    std::memcpy(voters.vectors.values().data(), vectors.data.data(), vectors.data.size());
  for (const std::byte b : is.data) {
    if (b > std::byte{1}) refuse(name, "a neighbour whose label neither holds nor not");
    voters.is.push_back(static_cast<uint8_t>(b));
  }
}

HeadParts read_parts(const Safetensors& file, std::string_view name) {
  const auto json = file.metadata.find("head");
  if (json == file.metadata.end()) refuse(name, "it is no head: there is no description");
  HeadParts parts;
  parse_head_json(json->second, parts);
  if (parts.labels.size() > kMaxLabels) refuse(name, "it has too many labels");
  if (file.tensors.contains(kCoefficients))
    parts.coefficients =
        read_coefficients(stored_matrix(file, kCoefficients, "F64", name), parts.labels.size(), name);
  if (parts.voters) read_voters(file, name, *parts.voters);
  if (parts.mlp) read_layers(file, name, parts.mlp->layers);
  return parts;
}

std::string line(const char* format, auto... values) {
  char text[256];
  std::snprintf(text, sizeof(text), format, values...);
  return text;
}

std::string counts_text(const DataCounts& counts) {
  return std::to_string(counts.rows) + " images of " + std::to_string(counts.patients) + " patients";
}

std::string rate_text(const stats::Estimate& rate) {
  return line("%.1f %% (%.1f to %.1f)", 100 * rate.value, 100 * rate.low, 100 * rate.high);
}

std::string how_chosen(const FitRecord& record) {
  std::string text;
  if (record.c > 0) text += line("C %.4g", record.c);
  if (record.epoch > 0)
    text += line("%llu epochs of %zu, chosen by the loss of ", static_cast<unsigned long long>(record.epoch),
                 record.losses.size()) +
            counts_text(record.validation);
  if (record.folds > 0)
    text += line(", chosen in %llu folds of %llu patients", static_cast<unsigned long long>(record.folds),
                 static_cast<unsigned long long>(record.groups));
  if (record.balanced) text += ", rare labels weighted";
  if (record.with_texts) text += ", together with the labels' texts";
  return text.starts_with(", ") ? text.substr(2) : text;
}

std::string calibration_text(const HeadParts& parts) {
  std::string text = to_string(parts.calibration.kind);
  if (parts.calibration.kind == Calibration::Kind::temperature)
    text += line(" %.3g", static_cast<double>(parts.calibration.temperature));
  return text;
}

}  // namespace

void write_head(const FittedHead& head, const std::filesystem::path& path) {
  const HeadParts& parts = head.parts();
  const size_t labels = parts.labels.size();
  std::vector<SafetensorsWriter::Entry> entries;
  if (parts.coefficients.rows() != 0)
    entries.push_back({kCoefficients, DType::f64, shape_of(labels, head.dim() + 1)});
  if (parts.voters) {
    const size_t n = parts.voters->vectors.rows();
    entries.push_back({kVoters, DType::f32, shape_of(n, head.dim())});
    entries.push_back({kVotersAre, DType::u8, shape_of(n, labels)});
  }
  if (parts.mlp) add_layer_entries(parts.mlp->layers, entries);
  SafetensorsWriter file(path, entries, {{"head", head_json(parts)}, {"card", head_card(parts)}});
  for (size_t k = 0; k < parts.coefficients.rows(); ++k) file.write(std::as_bytes(parts.coefficients.row(k)));
  if (parts.voters) {
    file.write(std::as_bytes(parts.voters->vectors.values()));
    file.write(std::as_bytes(std::span(parts.voters->is)));
  }
  if (parts.mlp) write_layers(parts.mlp->layers, file);
  file.commit();
}

FittedHead read_head(const std::filesystem::path& path) {
  return parse_head(read_file(path, kMaxBytes), path.string());
}

FittedHead parse_head(std::span<const std::byte> bytes, std::string_view name) {
  const Safetensors file = parse_safetensors(bytes, name);
  try {
    return FittedHead(read_parts(file, name));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::corrupt_weights) throw;
    const bool damaged = error.code() == ErrorCode::invalid_argument;
    throw Error(damaged ? ErrorCode::corrupt_weights : error.code(), std::string(name) + ": " + error.what());
  }
}

std::string head_card(const HeadParts& parts) {
  const FitRecord& record = parts.record;
  std::string card = std::string(to_string(parts.kind)) + " head for '" + parts.field + "': ";
  card += parts.answer == Answer::value ? "a value" : std::to_string(parts.labels.size()) + " labels";
  card += "\nResearch use only, not a medical device.\n\n";
  card += "data          " + record.data + "\n";
  card += "fitted on     " + counts_text(record.fit) + "\n";
  if (record.calibration.rows > 0)
    card += "held out      " + counts_text(record.calibration) + ", for calibration and operating points\n";
  if (const std::string how = how_chosen(record); !how.empty())
    card += (parts.kind == Kind::mlp ? "training      " : "penalty       ") + how + "\n";
  if (parts.answer == Answer::value) {
    if (record.calibration.rows > 0)
      card += line("error         %.4g mean absolute, %.4g root mean square, in the images held out\n",
                   record.mean_absolute_error, record.root_mean_square_error);
  } else {
    card += "calibration   " + calibration_text(parts) + "\n";
  }
  const Identity& by = parts.identity;
  card += "vectors       model " + by.weights.substr(0, 16) + ", " + by.precision + ", " + by.preprocessing +
          ", version " + by.version + "\n";
  if (parts.answer != Answer::value)
    card += "\nlabels (images, patients), operating points: sensitivity, specificity\n";
  for (size_t k = 0; parts.answer != Answer::value && k < parts.labels.size(); ++k) {
    card += "  " + parts.labels[k];
    if (k < record.labels.size())
      card += " (" + std::to_string(record.labels[k].rows) + ", " +
              std::to_string(record.labels[k].patients) + ")";
    card += "\n";
    if (parts.points.empty()) continue;
    for (const OperatingPoint& point : parts.points[k])
      card += line("    %-18s from %.4g: ", point.rule.c_str(), static_cast<double>(point.threshold)) +
              rate_text(point.sensitivity()) + ", " + rate_text(point.specificity()) + "\n";
  }
  for (const std::string& warning : record.warnings) card += "\nnote: " + warning;
  return card + (record.warnings.empty() ? "" : "\n");
}

}  // namespace mii::heads
