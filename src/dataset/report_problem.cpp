#include "dataset/report_problem.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <string>
#include <system_error>

#include "mii/error.h"
#include "weights/report_model.h"

namespace mii {
namespace {

[[noreturn]] void damaged(std::string_view file, const std::string& what) {
  throw Error(ErrorCode::corrupt_weights, std::string(file) + ": no problem of a report decoder: " + what);
}

std::map<std::string, std::string> metadata_of(const ReportDecoderConfig& config) {
  std::map<std::string, std::string> metadata;
  for (const ReportDecoderNumber& number : report_decoder_numbers())
    metadata.emplace(number.key, std::to_string(config.*number.member));
  return metadata;
}

int64_t parse_number(const std::string& text, const ReportDecoderNumber& number, std::string_view file) {
  int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value < number.least || value > number.most)
    damaged(file, std::string(number.key) + " is '" + text.substr(0, 40) + "', expected " +
                      std::to_string(number.least) + " to " + std::to_string(number.most));
  return value;
}

ReportDecoderConfig config_of(const Safetensors& file, std::string_view file_name) {
  ReportDecoderConfig config;
  for (const ReportDecoderNumber& number : report_decoder_numbers()) {
    const auto found = file.metadata.find(number.key);
    if (found == file.metadata.end())
      damaged(file_name, std::string("no ") + number.key + " in its metadata");
    config.*number.member = parse_number(found->second, number, file_name);
  }
  if (config.width % config.heads != 0)
    damaged(file_name,
            std::to_string(config.heads) + " heads do not divide a width of " + std::to_string(config.width));
  return config;
}

std::vector<SafetensorsWriter::Entry> entries_of(const ReportProblem& problem) {
  int64_t ids = 0;
  for (const ReportText& text : problem.texts) ids += static_cast<int64_t>(text.ids.size());
  const auto texts = static_cast<int64_t>(problem.texts.size());
  return {{"tokens", DType::bf16, {problem.images, problem.image_tokens, problem.config.image_dim}},
          {"ids", DType::i32, {ids}},
          {"texts", DType::i64, {texts, 4}},
          {"use", DType::u8, {texts, 1}}};
}

// The file's tensor of this name, type and number of dimensions.
struct Wanted {
  const char* name;
  const char* dtype;
  size_t rank;
};
const StoredTensor& find(const Safetensors& file, const Wanted& wanted, std::string_view file_name) {
  const auto found = file.tensors.find(wanted.name);
  if (found == file.tensors.end() || found->second.dtype != wanted.dtype ||
      found->second.shape.size() != wanted.rank)
    damaged(file_name, std::string("no tensor '") + wanted.name + "' of type " + wanted.dtype + " and " +
                           std::to_string(wanted.rank) + " dimensions");
  return found->second;
}

// The bytes of a file lie at any address.
template <typename T>
std::vector<T> values(const StoredTensor& tensor) {
  std::vector<T> copy(tensor.data.size() / sizeof(T));
  std::ranges::copy(tensor.data, std::as_writable_bytes(std::span(copy)).begin());
  return copy;
}

}  // namespace

ReportProblemWriter::ReportProblemWriter(const ReportProblem& problem, const std::filesystem::path& path)
    : file_(path, entries_of(problem), metadata_of(problem.config)) {}

void ReportProblemWriter::add_image(std::span<const float> tokens) {
  std::vector<BFloat16> rounded(tokens.size());
  std::ranges::transform(tokens, rounded.begin(), [](float v) { return to_bfloat16(v); });
  file_.write(std::as_bytes(std::span(rounded)));
}

void ReportProblemWriter::commit(const ReportProblem& problem) {
  std::vector<int64_t> texts;
  std::vector<uint8_t> use;
  int64_t begin = 0;
  for (const ReportText& text : problem.texts) {
    const int64_t end = begin + static_cast<int64_t>(text.ids.size());
    file_.write(std::as_bytes(std::span(text.ids)));
    texts.insert(texts.end(), {begin, end, text.report, text.image});
    use.push_back(static_cast<uint8_t>(text.use));
    begin = end;
  }
  file_.write(std::as_bytes(std::span(texts)));
  file_.write(std::as_bytes(std::span(use)));
  file_.commit();
}

ReportProblemView ReportProblemView::parse(std::span<const std::byte> bytes, std::string_view file_name) {
  const Safetensors file = parse_safetensors(bytes, file_name);
  ReportProblemView view;
  ReportProblem& problem = view.problem_;
  problem.config = config_of(file, file_name);
  const StoredTensor& tokens = find(file, {"tokens", "BF16", 3}, file_name);
  problem.images = tokens.shape[0];
  problem.image_tokens = tokens.shape[1];
  if (problem.image_tokens < 1 || tokens.shape[2] != problem.config.image_dim)
    damaged(file_name, std::to_string(problem.image_tokens) + " tokens of width " +
                           std::to_string(tokens.shape[2]) + ", expected some of width " +
                           std::to_string(problem.config.image_dim));
  view.tokens_ = tokens.data;

  const auto ids = values<int32_t>(find(file, {"ids", "I32", 1}, file_name));
  const auto texts = values<int64_t>(find(file, {"texts", "I64", 2}, file_name));
  const auto use = values<uint8_t>(find(file, {"use", "U8", 2}, file_name));
  if (texts.size() != 4 * use.size())
    damaged(file_name, std::to_string(use.size()) + " texts with " + std::to_string(texts.size()) +
                           " numbers, expected four of each");
  for (const int32_t id : ids)
    if (id < 0 || id >= problem.config.vocabulary)
      damaged(file_name, "token " + std::to_string(id) + " of a vocabulary of " +
                             std::to_string(problem.config.vocabulary));
  for (size_t t = 0; t < use.size(); ++t) {
    if (use[t] == static_cast<uint8_t>(ReportText::Use::leave_out)) continue;
    const int64_t begin = texts[4 * t], end = texts[4 * t + 1], report = texts[4 * t + 2];
    const int64_t image = texts[4 * t + 3];
    if (begin < 0 || begin >= end || end > static_cast<int64_t>(ids.size()) || report < 1 ||
        report >= end - begin || end - begin > problem.config.context_length || image < 0 ||
        image >= problem.images || use[t] > 2)
      damaged(file_name, "text " + std::to_string(t) + " is not where it should be");
    problem.texts.push_back(
        {{ids.begin() + begin, ids.begin() + end}, report, image, static_cast<ReportText::Use>(use[t])});
  }
  return view;
}

void ReportProblemView::read_tokens(int64_t image, std::span<float> to) const {
  const std::byte* from = tokens_.data() + static_cast<size_t>(image) * to.size() * sizeof(BFloat16);
  for (float& value : to) {
    BFloat16 stored;
    std::memcpy(&stored, from, sizeof stored);
    value = to_float(stored);
    from += sizeof stored;
  }
}

}  // namespace mii
