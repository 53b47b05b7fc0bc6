#include "heads/stored_matrix.h"

#include "mii/error.h"

namespace mii::heads {

StoredMatrix stored_matrix(const Safetensors& file, const std::string& tensor, const char* dtype,
                           std::string_view name) {
  const auto found = file.tensors.find(tensor);
  if (found == file.tensors.end() || found->second.dtype != dtype || found->second.shape.size() != 2)
    throw Error(ErrorCode::corrupt_weights, std::string(name) + ": no matrix '" + tensor + "' of " + dtype);
  const Shape& shape = found->second.shape;
  return {static_cast<size_t>(shape[0]), static_cast<size_t>(shape[1]), found->second.data};
}

}  // namespace mii::heads
