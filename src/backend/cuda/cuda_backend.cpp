#include "backend/cuda/cuda_backend.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/product.h"
#include "backend/cuda/recorder.h"
#include "backend/cuda/slots.h"
#include "backend/cuda/switch.h"
#include "backend/host_backend.h"
#include "backend/precision.h"
#include "core/aligned_buffer.h"
#include "mii/error.h"

namespace mii::cuda {
namespace {

// Rows of a feed-forward part or of patches at a time: enough to fill every device, and a bound on the memory
// that hidden layers take.
constexpr int64_t kBlockRows = 65536;

Operand operand_of(Precision precision) {
  switch (precision) {
    case Precision::f32:
      return Operand::f32;
    case Precision::bf16:
      return Operand::bf16;
    case Precision::f16:
      return Operand::f16;
    case Precision::fp8:  // of what is no operand of a product with weights
      return Operand::bf16;
    default:
      throw Error(ErrorCode::internal, std::string("CUDA has no ") + to_string(precision));
  }
}

// Numbers on the device: float32, or q|k|v of the operands' type.
class DeviceStorage final : public Storage {
 public:
  DeviceStorage(std::shared_ptr<Device> device, int64_t values)
      : device_(std::move(device)), values_(values), memory_(device_, values * size_of(Operand::f32)) {}

  Values at(int64_t offset) const { return {memory_.as<char>() + offset * size_of(type_), type_}; }
  void set_type(Operand type) { type_ = type; }

  /// A copy in another type, made once: for numbers that stay.
  const void* as(Operand type) const {
    if (type == Operand::f32) return memory_.as();
    if (!copy_) {
      copy_.emplace(device_, values_ * size_of(type));
      convert(*device_, memory_.as<float>(), 1, values_, type, copy_->as(), values_);
    }
    return copy_->as();
  }

 private:
  std::shared_ptr<Device> device_;
  int64_t values_;
  Memory memory_;
  Operand type_ = Operand::f32;
  mutable std::optional<Memory> copy_;
};

Values values_of(const ConstRows& x) { return static_cast<const DeviceStorage*>(x.storage)->at(x.offset); }

const float* read(const ConstRows& x) {
  const Values values = values_of(x);
  if (values.type != Operand::f32) throw Error(ErrorCode::internal, "q|k|v are read as float32");
  return static_cast<const float*>(values.data);
}

// To be overwritten, with numbers of this type.
void* written(const Rows& x, Operand type) {
  auto* storage = static_cast<DeviceStorage*>(x.storage);
  storage->set_type(type);
  return const_cast<void*>(storage->at(x.offset).data);
}
float* written(const Rows& x) { return static_cast<float*>(written(x, Operand::f32)); }

// To be added to.
float* changed(const Rows& x) { return const_cast<float*>(read(x)); }

const float* data_of(const Vector& x) { return x.empty() ? nullptr : read(x.as_row()); }

// Weights [out, in], both filled up with zeros to whole tiles.
class DeviceMatrix final : public PackedMatrix {
 public:
  DeviceMatrix(const std::shared_ptr<Device>& device, const StoredMatrix& from)
      : in_(to_tiles(from.in())), memory_(device, in_ * to_tiles(from.out()) * bytes_of(from)) {
    const AlignedBuffer<std::byte> padded = pad(from);
    device->copy_in(padded.data(), memory_.as(), memory_.bytes());
  }

  /// From float32.
  void round_to_f8(const std::shared_ptr<Device>& device) {
    const Memory floats = std::move(memory_);
    const int64_t out = floats.bytes() / size_of(Operand::f32) / in_;
    memory_ = Memory(device, out * in_);
    factors_ = Memory(device, out * size_of(Operand::f32));
    cuda::round_to_f8(*device, {{floats.as(), Operand::f32}, out, in_}, memory_.as(), factors_.as<float>());
  }

  int64_t padded_in() const { return in_; }
  const void* data() const { return memory_.as(); }
  /// Of f8; else null.
  const float* factors() const { return factors_.as<float>(); }

 private:
  static int64_t bytes_of(const StoredMatrix& from) {
    return static_cast<int64_t>(mii::size_of(from.values.dtype));
  }

  AlignedBuffer<std::byte> pad(const StoredMatrix& from) const {
    const auto size = static_cast<size_t>(bytes_of(from));
    const auto stride = static_cast<size_t>(in_) * size;
    AlignedBuffer<std::byte> padded(static_cast<size_t>(memory_.bytes()));
    std::memset(padded.data(), 0, padded.size());
    const auto in = static_cast<size_t>(from.in()), out = static_cast<size_t>(from.out());
    const std::byte* values = from.values.data;
    if (from.layout == StoredMatrix::Layout::out_in) {
      for (size_t o = 0; o < out; ++o)
        std::memcpy(padded.data() + o * stride, values + o * in * size, in * size);
    } else {
      for (size_t i = 0; i < in; ++i)
        for (size_t o = 0; o < out; ++o)
          std::memcpy(padded.data() + o * stride + i * size, values + (i * out + o) * size, size);
    }
    return padded;
  }

  int64_t in_;
  Memory memory_;
  Memory factors_;
};

class CudaBackend final : public Backend {
 public:
  CudaBackend(const BackendOptions& options, std::shared_ptr<Device> device)
      : precision_(options.precision),
        type_(operand_of(options.precision)),
        device_(std::move(device)),
        products_(Products::make(device_, type_)),
        recorder_(*device_),
        slots_(std::make_shared<Slots>(device_)) {}

  std::string description() const override {
    return "cuda (" + device_->description() + ", " + products_->description() + ")";
  }
  Precision precision() const override { return precision_; }
  DType float_operands() const override { return info_of(precision_).weights; }
  int threads() const override { return 1; }
  void attach_thread() override { device_->attach_thread(); }
  int64_t image_rows() const override {
    return std::clamp(device_->total_bytes() / 4 / kBytesOfRow, kImageRows, kMostRows);
  }

  int batches_at_once() const override { return batches_at_once_; }
  bool resizes() const override { return true; }
  std::unique_ptr<SentImages> send_images(std::span<const ImageBytes> images) override {
    return slots_->send(images);
  }

  std::optional<DeviceMemory> device_memory() const override {
    return DeviceMemory{device_->used_bytes(), device_->total_bytes()};
  }

  void repeat(const void* owner, int64_t size, const std::function<void()>& work) override {
    recorder_.repeat(owner, size, work);
  }

  void free_scratch() override {
    for (Memory* memory : {&operand_, &hidden_, &sums_, &weights_, &indices_, &keys_, &rounded_, &factors_,
                           &narrowed_, &resized_})
      *memory = Memory();
    slots_->free_memory();
  }

  std::unique_ptr<Storage> allocate(int64_t values) override {
    return std::make_unique<DeviceStorage>(device_, values);
  }
  void upload(std::span<const float> from, Rows to) override {
    device_->copy_in(from.data(), written(to), static_cast<int64_t>(from.size_bytes()));
  }
  void download(ConstRows from, std::span<float> to) override {
    device_->copy_out(read(from), to.data(), static_cast<int64_t>(to.size_bytes()));
  }

  std::unique_ptr<PackedMatrix> pack(const StoredMatrix& weight) override {
    auto matrix = std::make_unique<DeviceMatrix>(device_, weight);
    if (precision_ == Precision::fp8) matrix->round_to_f8(device_);
    return matrix;
  }
  std::unique_ptr<PackedMatrix> pack_table(RowTable table) override {
    return std::make_unique<HostTable>(std::move(table));
  }

  void scale_pixels(const SentImages& sent, const PixelScale& scale, Rows y) override {
    const auto& images = static_cast<const DeviceImages&>(sent);
    const DeviceImages::Reading reading(images);
    const int64_t each = y.rows / static_cast<int64_t>(images.size());
    float* to = written(y);
    for (const DeviceImage& image : images.images()) {
      cuda::scale_pixels(*device_, resized(image, each), each, scale, to);
      to += each * y.cols;
    }
  }

  void embed_tokens(std::span<const int32_t> ids, std::span<const int32_t> places,
                    const TokenEmbedding& embedding, Rows y) override {
    const auto& tokens = static_cast<const HostTable&>(*embedding.tokens);
    rows_.resize(static_cast<size_t>(y.elements()));
    for (size_t r = 0; r < ids.size(); ++r)
      tokens.copy_row(ids[r], rows_.data() + r * static_cast<size_t>(y.cols));
    upload(rows_, y);
    add_places(*device_, from_host(indices_, places), y.rows, y.cols, data_of(embedding.places), changed(y));
  }

  void gather_rows(ConstRows x, std::span<const int64_t> which, Rows y) override {
    cuda::gather_rows(*device_, read(x), from_host(indices_, which), y.rows, y.cols, written(y));
  }

  void patch_conv(ConstRows x, const TokenGrid& grid, const PatchConv& conv, Rows y) override {
    float* to = written(y);
    const PatchPlaces places{grid.height,
                             grid.width,
                             patches_along(grid.height, conv),
                             patches_along(grid.width, conv),
                             static_cast<int>(conv.size),
                             static_cast<int>(conv.stride),
                             static_cast<int>(conv.padding)};
    for (int64_t first = 0; first < y.rows; first += kBlockRows) {
      const int64_t rows = std::min(kBlockRows, y.rows - first);
      void* patches = operand(operand_, rows, conv.linear.in);
      cut_patches(*device_, {read(x), x.cols, places, first, rows}, type_, patches);
      multiply(patches, rows, conv.linear, {to + first * y.cols, y.cols, Operand::f32, false});
    }
  }

  void layer_norm(ConstRows x, const LayerNorm& norm, Rows y) override {
    cuda::layer_norm(*device_, norm_rows(x, norm, 0, x.rows), Operand::f32, written(y), y.cols);
  }

  void depthwise_conv_add(ConstRows x, const TokenGrid& grid, const DepthwiseConv& conv, Rows y) override {
    cuda::depthwise_conv_add(*device_, {read(x), grid, x.cols, data_of(conv.weight), data_of(conv.bias)},
                             written(y));
  }

  void norm_linear(ConstRows x, const LayerNorm& norm, const Linear& linear, Rows y) override {
    norm_linear_to(x, norm, linear, {written(y), y.cols, Operand::f32, false});
  }
  void norm_qkv(ConstRows x, const LayerNorm& norm, const Linear& linear, Rows y) override {
    norm_linear_to(x, norm, linear, {written(y, type_), y.cols, type_, false});
  }

  void window_attention_add(ConstRows qkv, const WindowAttention& attention, const Linear& proj,
                            Rows x) override {
    const auto& [grid, heads, window, padding] = attention;
    const WindowLists lists{grid.height, grid.width, static_cast<int>(window)};
    void* attended = operand(operand_, x.rows, x.cols);
    attend(*device_,
           {values_of(qkv), grid.batch * lists.each_image(), heads, x.cols / heads, false, read(padding),
            attention_room(*device_, lists.most_keys(), x.cols / heads, type_)},
           lists, type_, attended);
    add_projected(attended, proj, x);
  }

  void text_attention_add(ConstRows qkv, const TextAttention& attention, const Linear& proj,
                          Rows x) override {
    int64_t longest = 1;
    for (size_t t = 0; t + 1 < attention.offsets.size(); ++t)
      longest = std::max(longest, attention.offsets[t + 1] - attention.offsets[t]);
    const TextLists lists{from_host(indices_, attention.offsets)};
    const int64_t dim = x.cols / attention.heads;
    void* attended = operand(operand_, x.rows, x.cols);
    attend(*device_,
           {values_of(qkv), static_cast<int64_t>(attention.offsets.size()) - 1, attention.heads, dim,
            attention.causal, nullptr, attention_room(*device_, longest, dim, type_)},
           lists, type_, attended);
    add_projected(attended, proj, x);
  }

  void key_attention_add(ConstRows q, ConstRows kv, const KeyAttention& attention, const Linear& proj,
                         Rows x) override {
    int64_t most = 0;
    for (size_t r = 0; r + 1 < attention.offsets.size(); ++r)
      most = std::max(most, attention.offsets[r + 1] - attention.offsets[r]);
    void* attended = operand(operand_, x.rows, x.cols);
    attend_to_keys(*device_,
                   {read(q), x.rows, q.cols, read(kv), kv.cols, from_host(indices_, attention.offsets),
                    from_host(keys_, attention.rows), most, attention.heads, x.cols / attention.heads},
                   type_, attended);
    add_projected(attended, proj, x);
  }

  void channel_attention_add(ConstRows qkv, const ChannelAttention& attention, const Linear& proj,
                             Rows x) override {
    const TokenGrid& grid = attention.grid;
    const ChannelProducts products{
        values_of(qkv), grid.batch,
        channel_room(*device_, grid.tokens(), attention.groups, x.cols / attention.groups, type_)};
    const ChannelRoom& room = products.room;
    const int64_t squares = grid.batch * attention.groups;
    sums_.reserve(device_, squares * room.parts() * room.square() * size_of(Operand::f32));
    weights_.reserve(device_, squares * room.square() * size_of(type_));
    void* mixed = operand(operand_, x.rows, x.cols);
    channel_products(*device_, products, type_, sums_.as<float>());
    channel_softmax(*device_, products, attention.scale, sums_.as<float>(), type_, weights_.as());
    channel_mix(*device_, products, type_, weights_.as(), mixed);
    add_projected(mixed, proj, x);
  }

  void feed_forward_add(const FeedForward& ff, Rows x) override {
    for (int64_t first = 0; first < x.rows; first += kBlockRows) {
      const int64_t rows = std::min(kBlockRows, x.rows - first);
      void* normed = operand(operand_, rows, x.cols);
      void* hidden = operand(hidden_, rows, ff.fc1.out);
      const int64_t stride = to_tiles(ff.fc1.out);
      cuda::layer_norm(*device_, norm_rows(x, ff.norm, first, rows), type_, normed, to_tiles(x.cols));
      multiply(normed, rows, ff.fc1, {hidden, stride, type_, false});
      activate(*device_, ff.activation, type_, hidden, rows * stride);
      multiply(hidden, rows, ff.fc2, {changed(x.slice(first, rows)), x.cols, Operand::f32, true});
    }
  }

  void mean_tokens(ConstRows x, Rows y) override {
    cuda::mean_tokens(*device_, read(x), y.rows, x.rows / y.rows, x.cols, written(y));
  }
  void l2_normalise(Rows x) override { cuda::l2_normalise(*device_, changed(x), x.rows, x.cols); }

 private:
  // About what a row of the published model's first stage takes, and a bound beyond which batches bring no
  // more speed.
  static constexpr int64_t kBytesOfRow = 8192;
  static constexpr int64_t kMostRows = 64 * 14400;

  // The bytes of `pixels` pixels.
  const uint8_t* resized(const DeviceImage& image, int64_t pixels) {
    constexpr int64_t kChannels = 3;
    const uint8_t* rgb = image.rgb;
    const auto resize_to = [&](Memory& memory, int64_t bytes, const Resizing& resizing) {
      memory.reserve(device_, bytes);
      resize(*device_, resizing, memory.as<uint8_t>());
      rgb = memory.as<uint8_t>();
    };
    const int64_t rows = image.across.out == 0 ? 0 : image.bytes / kChannels / image.across.in;
    if (rows > 0)
      resize_to(narrowed_, rows * image.across.out * kChannels, {rgb, rows, kChannels, image.across});
    if (image.down.out > 0)
      resize_to(resized_, pixels * kChannels, {rgb, 1, pixels / image.down.out * kChannels, image.down});
    return rgb;
  }

  // Where a product's result goes.
  struct Result {
    void* c;
    int64_t stride;
    Operand type;
    bool accumulate;
  };

  void multiply(const void* a, int64_t rows, const Linear& linear, const Result& result) {
    const auto& weight = static_cast<const DeviceMatrix&>(*linear.weight);
    const auto* bias = static_cast<const DeviceStorage*>(linear.bias.storage.get());
    const bool biased = !linear.bias.empty();
    Product product{.a = a,
                    .rows = rows,
                    .in = weight.padded_in(),
                    .weight = weight.data(),
                    .out = linear.out,
                    .bias = data_of(linear.bias),
                    .typed_bias = biased ? bias->as(result.type) : nullptr,
                    .c = result.c,
                    .c_stride = result.stride,
                    .accumulate = result.accumulate};
    if (precision_ == Precision::fp8) round_operands(product, weight, result.type);
    products_->multiply(product, result.type);
  }

  // To f8. The bias of a float32 result is added before it.
  void round_operands(Product& product, const DeviceMatrix& weight, Operand result) {
    rounded_.reserve(device_, to_tiles(product.rows) * product.in);
    factors_.reserve(device_, to_tiles(product.rows) * size_of(Operand::f32));
    round_to_f8(*device_, {{product.a, type_}, product.rows, product.in}, rounded_.as(),
                factors_.as<float>());
    product.a = rounded_.as();
    product.a_factors = factors_.as<float>();
    product.weight_factors = weight.factors();
    if (product.bias == nullptr || result != Operand::f32) return;
    add_bias(*device_, {product.bias, product.rows, product.out, product.c_stride, product.accumulate},
             static_cast<float*>(product.c));
    product.bias = nullptr;
    product.typed_bias = nullptr;
    product.accumulate = true;
  }

  void norm_linear_to(ConstRows x, const LayerNorm& norm, const Linear& linear, const Result& result) {
    void* normed = operand(operand_, x.rows, x.cols);
    cuda::layer_norm(*device_, norm_rows(x, norm, 0, x.rows), type_, normed, to_tiles(x.cols));
    multiply(normed, x.rows, linear, result);
  }

  void add_projected(const void* a, const Linear& proj, Rows x) {
    multiply(a, x.rows, proj, {changed(x), x.cols, Operand::f32, true});
  }

  static NormRows norm_rows(const ConstRows& x, const LayerNorm& norm, int64_t first, int64_t rows) {
    return {read(x) + first * x.cols, rows, x.cols, data_of(norm.weight), data_of(norm.bias), norm.epsilon};
  }

  // Room for the left side of a product. What fills up its rows is zero.
  void* operand(Memory& memory, int64_t rows, int64_t cols) {
    const int64_t bytes = to_tiles(rows) * to_tiles(cols) * size_of(type_);
    memory.reserve(device_, bytes);
    if (cols % kTile != 0) device_->zero(memory.as(), bytes);
    return memory.as();
  }

  // Copies numbers of the host to where only the next kernel reads them.
  template <typename T>
  const T* from_host(Memory& memory, std::span<const T> values) {
    memory.reserve(device_, static_cast<int64_t>(values.size_bytes()));
    device_->copy_in(values.data(), memory.as(), static_cast<int64_t>(values.size_bytes()));
    return memory.as<T>();
  }

  Precision precision_;
  Operand type_;
  std::shared_ptr<Device> device_;
  std::unique_ptr<Products> products_;
  Recorder recorder_;
  std::shared_ptr<Slots> slots_;
  const int batches_at_once_ = is_on("MII_CUDA_OVERLAP") ? static_cast<int>(Slots::kSlots) : 1;
  Memory operand_;
  Memory hidden_;
  Memory sums_;
  Memory weights_;
  Memory indices_;
  Memory keys_;
  Memory rounded_;
  Memory factors_;
  Memory narrowed_;
  Memory resized_;
  std::vector<float> rows_;
};

std::vector<Precision> precisions_here() {
  std::vector<Precision> here{Precision::bf16, Precision::f16, Precision::f32};
  if (Device::multiplies_f8(0)) here.insert(here.begin(), Precision::fp8);
  return here;
}

std::unique_ptr<Backend> make(const BackendOptions& options) {
  auto device = Device::open(options.device);
  if (options.precision == Precision::fp8 && !Device::multiplies_f8(options.device))
    throw Error(ErrorCode::unsupported,
                device->description() + " has no products in fp8 with factors on rows");
  return std::make_unique<CudaBackend>(options, std::move(device));
}

// A matrix of random numbers: zeros would be multiplied faster. The first rows come again and again.
Memory random_operand(const std::shared_ptr<Device>& device, int64_t rows, int64_t cols, Operand type) {
  constexpr int64_t kRandomRows = 256;
  const int64_t drawn = std::min(rows, kRandomRows);
  std::minstd_rand engine(1);
  std::normal_distribution<float> distribution;
  std::vector<float> values(static_cast<size_t>(drawn * cols));
  for (float& v : values) v = distribution(engine);
  const Memory as_float(device, drawn * cols * size_of(Operand::f32));
  device->copy_in(values.data(), as_float.as(), as_float.bytes());
  Memory operand(device, rows * cols * size_of(type));
  for (int64_t first = 0; first < rows; first += drawn)
    convert(*device, as_float.as<float>(), std::min(drawn, rows - first), cols, type,
            operand.as<std::byte>() + first * cols * size_of(type), cols);
  return operand;
}

struct RandomOperand {
  RandomOperand(const std::shared_ptr<Device>& device, int64_t rows, int64_t cols, Precision precision)
      : values(random_operand(device, rows, cols, operand_of(precision))) {
    if (precision != Precision::fp8) return;
    const Memory wide = std::move(values);
    values = Memory(device, rows * cols);
    factors = Memory(device, rows * size_of(Operand::f32));
    round_to_f8(*device, {{wide.as(), operand_of(precision)}, rows, cols}, values.as(), factors.as<float>());
  }
  Memory values;
  Memory factors;  // of f8
};

double product_seconds(const BackendOptions& options, const ProductShape& shape) {
  constexpr int kRounds = 5, kProducts = 20;
  using Clock = std::chrono::steady_clock;
  const auto device = Device::open(options.device);
  const Operand type = operand_of(options.precision);
  const auto products = Products::make(device, type);
  const int64_t in = to_tiles(shape.in);
  const RandomOperand a(device, to_tiles(shape.rows), in, options.precision);
  const RandomOperand weight(device, to_tiles(shape.out), in, options.precision);
  const Memory c(device, shape.rows * shape.out * size_of(type));
  float waited_for = 0;
  std::array<double, kRounds> seconds;
  for (int round = -1; round < kRounds; ++round) {  // one to warm up
    const auto start = Clock::now();
    for (int i = 0; i < kProducts; ++i)
      products->multiply({a.values.as(), shape.rows, in, weight.values.as(), shape.out, nullptr, nullptr,
                          c.as(), shape.out, false, a.factors.as<float>(), weight.factors.as<float>()},
                         type);
    device->copy_out(c.as(), &waited_for, sizeof(waited_for));
    if (round >= 0)
      seconds[static_cast<size_t>(round)] =
          std::chrono::duration<double>(Clock::now() - start).count() / kProducts;
  }
  std::ranges::sort(seconds);
  return seconds[kRounds / 2];
}

}  // namespace

BackendEntry device_backend() {
  return {.name = "cuda",
          .description = "an NVIDIA device",
          .obstacle = Device::obstacle,
          .precisions = precisions_here,
          .make = make,
          .product_seconds = product_seconds,
          .devices = Device::count};
}

}  // namespace mii::cuda
