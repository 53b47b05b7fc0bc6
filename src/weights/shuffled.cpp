#include "weights/shuffled.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <vector>

#include "core/tensor.h"
#include "mii/error.h"
#include "weights/checkpoint.h"
#include "weights/model_folder.h"
#include "weights/safetensors.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

void shuffle(std::span<char> values, size_t size, std::mt19937_64& random) {
  std::vector<char> other(size);
  for (size_t i = values.size() / size; i > 1; --i) {
    char* a = values.data() + (i - 1) * size;
    char* b = values.data() + random() % i * size;
    std::memcpy(other.data(), a, size);
    std::memcpy(a, b, size);
    std::memcpy(b, other.data(), size);
  }
}

void shuffle_tensor(std::fstream& file, const StoredTensor& tensor, std::mt19937_64& random) {
  std::vector<char> values(tensor.bytes);
  const auto at = static_cast<std::streamoff>(tensor.offset),
             bytes = static_cast<std::streamoff>(tensor.bytes);
  size_t elements = 1;
  for (const int64_t side : tensor.shape) elements *= static_cast<size_t>(side);
  file.seekg(at);
  file.read(values.data(), bytes);
  shuffle(values, values.size() / elements, random);
  file.seekp(at);
  file.write(values.data(), bytes);
}

}  // namespace

void write_shuffled_model(const fs::path& folder, const fs::path& to, uint64_t seed) {
  ModelFolder::find(folder);
  try {
    fs::copy(folder, to, fs::copy_options::recursive);
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCode::io, to.string() + ": the model cannot be copied there: " + error.code().message());
  }
  const fs::path weights = ModelFolder::find(to).weights;
  const Safetensors header = read_safetensors_header(WeightsFile::open(weights), weights.string());
  std::mt19937_64 random(seed);
  std::fstream file(weights, std::ios::binary | std::ios::in | std::ios::out);
  for (const auto& [name, tensor] : header.tensors)
    if (published_name(name).starts_with("image_encoder.") && tensor.shape.size() > 1 && tensor.bytes > 0)
      shuffle_tensor(file, tensor, random);
  file.close();
  if (!file) throw Error(ErrorCode::io, weights.string() + ": cannot be written");
}

}  // namespace mii
