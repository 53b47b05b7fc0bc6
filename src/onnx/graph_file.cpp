#include "onnx/graph_file.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "mii/error.h"
#include "weights/weights_file.h"

namespace mii {
namespace {

namespace pb = google::protobuf;
using pb::io::CodedInputStream;

constexpr uint64_t kMaxFileBytes = std::numeric_limits<int32_t>::max();  // of a file of protobuf
// Far beyond the towers, whose graphs have some 100 000 fields; in memory a field takes 200 bytes at the
// most.
constexpr uint64_t kMaxFields = 5'000'000;
constexpr int kMaxDepth = 32;  // a tensor in an attribute of an operator is 4 deep

[[noreturn]] void refuse(const std::string& file_name, const std::string& what) {
  throw Error(ErrorCode::corrupt_weights, file_name + ": " + what);
}

// Goes through a file without keeping it, so that what it announces is known before memory is taken.
class FieldCounter {
 public:
  FieldCounter(CodedInputStream& in, const std::string& file_name) : in_(in), file_name_(file_name) {}

  // The fields of a message of this type, which ends where the stream does.
  void count(const pb::Descriptor& type, int depth = 0) {
    if (depth > kMaxDepth) refuse(file_name_, "is nested deeper than a model's graph");
    for (uint32_t tag = in_.ReadTag(); tag != 0; tag = in_.ReadTag()) {
      if (++fields_ > kMaxFields)
        refuse(file_name_, "has more than " + std::to_string(kMaxFields) + " parts, which no model has");
      skip_value(type.FindFieldByNumber(static_cast<int>(tag >> 3)), tag & 7, depth);
    }
    if (!in_.ConsumedEntireMessage()) damaged();
  }

 private:
  enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

  [[noreturn]] void damaged() const {
    refuse(file_name_, "is no ONNX file, or damaged at byte " + std::to_string(in_.CurrentPosition()));
  }

  void skip(int bytes) {
    if (!in_.Skip(bytes)) damaged();
  }

  void skip_value(const pb::FieldDescriptor* field, uint32_t wire_type, int depth) {
    uint64_t number = 0;
    switch (wire_type) {
      case kVarint:
        if (!in_.ReadVarint64(&number)) damaged();
        return;
      case kFixed64:
        return skip(8);
      case kFixed32:
        return skip(4);
      case kLengthDelimited:
        return skip_bytes(field, depth);
      default:
        damaged();
    }
  }

  void skip_bytes(const pb::FieldDescriptor* field, int depth) {
    uint32_t length = 0;
    if (!in_.ReadVarint32(&length) || length > kMaxFileBytes) damaged();
    if (field == nullptr || field->type() != pb::FieldDescriptor::TYPE_MESSAGE)
      return skip(static_cast<int>(length));
    const int end = in_.CurrentPosition() +
                    static_cast<int>(std::min<uint64_t>(length, kMaxFileBytes - in_.CurrentPosition()));
    const auto outer = in_.PushLimit(static_cast<int>(length));
    count(*field->message_type(), depth + 1);
    if (in_.CurrentPosition() != end) damaged();
    in_.PopLimit(outer);
  }

  CodedInputStream& in_;
  const std::string& file_name_;
  uint64_t fields_ = 0;
};

// Where protobuf reads: WeightsFile reports by exceptions, which must not pass through protobuf.
class FileStream final : public pb::io::CopyingInputStream {
 public:
  explicit FileStream(const WeightsFile& file) : file_(file) {}
  int Read(void* buffer, int size) override {
    const auto n =
        static_cast<size_t>(std::min<uint64_t>(static_cast<uint64_t>(size), file_.bytes() - offset_));
    try {
      file_.read(offset_, {static_cast<std::byte*>(buffer), n});
    } catch (const Error& error) {
      error_ = error;
      return -1;
    }
    offset_ += n;
    return static_cast<int>(n);
  }
  int Skip(int count) override {
    const uint64_t n = std::min<uint64_t>(static_cast<uint64_t>(count), file_.bytes() - offset_);
    offset_ += n;
    return static_cast<int>(n);
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  const WeightsFile& file_;
  uint64_t offset_ = 0;
  std::optional<Error> error_;
};

void count_fields(pb::io::ZeroCopyInputStream& stream, const std::string& file_name) {
  CodedInputStream in(&stream);
  FieldCounter(in, file_name).count(*onnx::ModelProto::descriptor());
}

onnx::ModelProto parse(pb::io::ZeroCopyInputStream& stream, const std::string& file_name) {
  onnx::ModelProto model;
  if (!model.ParseFromZeroCopyStream(&stream)) refuse(file_name, "is no ONNX file, or damaged");
  if (!model.has_graph() || model.graph().node_size() == 0)
    refuse(file_name, "is no ONNX file, or one without a graph");
  return model;
}

// Calls use with a stream of the file from its beginning.
template <typename Use>
auto with_stream(const WeightsFile& file, const Use& use) {
  FileStream bytes(file);
  constexpr int kBlock = 1 << 20;
  pb::io::CopyingInputStreamAdaptor stream(&bytes, kBlock);
  try {
    return use(stream);
  } catch (const Error&) {
    if (bytes.error()) throw Error(*bytes.error());
    throw;
  }
}

}  // namespace

onnx::ModelProto read_graph_file(const std::filesystem::path& path) {
  const WeightsFile file = WeightsFile::open(path);
  const std::string name = path.string();
  if (file.bytes() > kMaxFileBytes)
    refuse(name, "has " + std::to_string(file.bytes()) + " bytes, an ONNX file has " +
                     std::to_string(kMaxFileBytes) +
                     " at the most: larger models have their weights in a file beside it");
  with_stream(file, [&](auto& stream) { count_fields(stream, name); });
  return with_stream(file, [&](auto& stream) { return parse(stream, name); });
}

onnx::ModelProto parse_graph(std::span<const std::byte> bytes, const std::string& file_name) {
  if (bytes.size() > kMaxFileBytes) refuse(file_name, "is larger than an ONNX file can be");
  const int size = static_cast<int>(bytes.size());
  pb::io::ArrayInputStream counted(bytes.data(), size), parsed(bytes.data(), size);
  count_fields(counted, file_name);
  return parse(parsed, file_name);
}

}  // namespace mii
