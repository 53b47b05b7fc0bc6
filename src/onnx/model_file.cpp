#include "onnx/model_file.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <array>
#include <limits>
#include <optional>

#include "core/aligned_buffer.h"
#include "core/file.h"
#include "mii/error.h"
#include "onnx/export.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kIrVersion = 8;                                        // the one of opset 17
constexpr uint64_t kMaxFileBytes = std::numeric_limits<int32_t>::max();  // of a file of protobuf
constexpr uint64_t kPage = 4096;  // where external tensors begin, so that they can be mapped

uint64_t bytes_of(const GraphWeight& weight, const Checkpoint& checkpoint) {
  return static_cast<uint64_t>(element_count(checkpoint.shape(weight.name))) * size_of(weight.dtype);
}

// The weights of one graph, one after the other in a file of their own.
class ExternalData {
 public:
  explicit ExternalData(const fs::path& path) : name_(path.filename().string()), file_(path) {}

  void add(const Checkpoint& checkpoint, const GraphWeight& weight, onnx::TensorProto& tensor) {
    static constexpr std::array<std::byte, kPage> kZeros{};
    file_.write(std::span(kZeros).first((kPage - offset_ % kPage) % kPage));
    offset_ += (kPage - offset_ % kPage) % kPage;
    AlignedBuffer<std::byte> values(bytes_of(weight, checkpoint));
    checkpoint.copy_as(weight.dtype, weight.name, values.data());
    file_.write(values.span());
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    const auto set = [&](const char* key, const std::string& value) {
      onnx::StringStringEntryProto& entry = *tensor.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    };
    set("location", name_);
    set("offset", std::to_string(offset_));
    set("length", std::to_string(values.size()));
    offset_ += values.size();
  }

  uint64_t commit() {
    file_.commit();
    return offset_;
  }

 private:
  const std::string name_;
  AtomicFile file_;
  uint64_t offset_ = 0;
};

// Where protobuf writes: AtomicFile reports by exceptions, which must not pass through protobuf.
class FileStream final : public google::protobuf::io::CopyingOutputStream {
 public:
  explicit FileStream(AtomicFile& file) : file_(file) {}
  bool Write(const void* data, int size) override {
    try {
      file_.write({static_cast<const std::byte*>(data), static_cast<size_t>(size)});
      return true;
    } catch (const Error& error) {
      error_ = error;
      return false;
    }
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  AtomicFile& file_;
  std::optional<Error> error_;
};

void write_model(const onnx::ModelProto& model, const fs::path& path) {
  AtomicFile file(path);
  FileStream stream(file);
  constexpr int kBlock = 1 << 20;
  google::protobuf::io::CopyingOutputStreamAdaptor blocks(&stream, kBlock);
  const bool written = model.SerializeToZeroCopyStream(&blocks) && blocks.Flush();
  if (stream.error()) throw Error(*stream.error());
  if (!written) throw Error(ErrorCode::internal, path.string() + ": protobuf cannot write the graph");
  file.commit();
}

onnx::ModelProto model_around(onnx::GraphProto graph, const std::map<std::string, std::string>& metadata) {
  onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name("medimageinsight.cpp");
  model.set_producer_version(MII_VERSION);
  model.add_opset_import()->set_version(kOpset);
  for (const auto& [key, value] : metadata) {
    onnx::StringStringEntryProto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  *model.mutable_graph() = std::move(graph);
  return model;
}

// Without its values.
onnx::TensorProto& add_tensor(onnx::GraphProto& graph, const GraphWeight& weight,
                              const Checkpoint& checkpoint) {
  onnx::TensorProto& tensor = *graph.add_initializer();
  tensor.set_name(weight.name);
  tensor.set_data_type(onnx_type(weight.dtype));
  for (const int64_t side : checkpoint.shape(weight.name)) tensor.add_dims(side);
  return tensor;
}

void add_inside(const Checkpoint& checkpoint, const GraphWeight& weight, onnx::TensorProto& tensor) {
  std::string& values = *tensor.mutable_raw_data();
  values.resize(bytes_of(weight, checkpoint));
  checkpoint.copy_as(weight.dtype, weight.name, reinterpret_cast<std::byte*>(values.data()));
}

}  // namespace

uint64_t write_graph(GraphBuilder builder, const Checkpoint& checkpoint, const fs::path& file,
                     const GraphFileOptions& options) {
  const std::vector<GraphWeight> weights = builder.weights();
  onnx::ModelProto model = model_around(builder.take(), options.metadata);
  uint64_t bytes = model.ByteSizeLong();
  for (const GraphWeight& weight : weights) bytes += bytes_of(weight, checkpoint) + kPage;

  const fs::path data_path = file.string() + ".data";
  std::optional<ExternalData> data;
  if (options.external_data || bytes > kMaxFileBytes) data.emplace(data_path);
  for (const GraphWeight& weight : weights) {
    onnx::TensorProto& tensor = add_tensor(*model.mutable_graph(), weight, checkpoint);
    if (data)
      data->add(checkpoint, weight, tensor);
    else
      add_inside(checkpoint, weight, tensor);
    if (options.wrote_tensor) options.wrote_tensor();
  }
  const uint64_t outside = data ? data->commit() : 0;
  write_model(model, file);
  if (!data) {  // what an earlier export left beside it
    std::error_code none;
    fs::remove(data_path, none);
  }
  return outside + model.ByteSizeLong();
}

}  // namespace mii
