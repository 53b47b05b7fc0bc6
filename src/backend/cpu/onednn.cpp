#include "backend/cpu/onednn.h"

#include <compare>
#include <dnnl.hpp>
#include <map>
#include <new>
#include <string_view>

#include "backend/cpu/panels.h"
#include "backend/cpu/team.h"
#include "backend/host_backend.h"
#include "mii/error.h"

namespace mii {
namespace {

using dnnl::memory;

// Weights are packed for this many rows. oneDNN's choice of layout does not depend on the rows (checked for 1
// to 16384), so kernels for other numbers of rows are created with this layout too.
constexpr int64_t kPackingRows = 1024;

struct Product {
  memory::data_type input;
  int64_t rows;
  int64_t in;
  int64_t out;
  bool bias;
  bool accumulate;
  // NOLINTNEXTLINE(modernize-use-nullptr): = default generates the comparison
  auto operator<=>(const Product&) const = default;
};

memory::data_type type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return memory::data_type::f32;
    case DType::bf16:
      return memory::data_type::bf16;
    default:
      throw Error(ErrorCode::internal, std::string("no products of ") + to_string(dtype));
  }
}

memory::desc row_major(int64_t rows, int64_t cols, memory::data_type type) {
  return {{rows, cols}, type, memory::format_tag::ab};
}

dnnl::matmul::primitive_desc describe(const Product& p, const memory::desc& weights,
                                      const dnnl::engine& engine) {
  dnnl::primitive_attr attributes;
  if (p.accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  const auto a = row_major(p.rows, p.in, p.input);
  const auto bias = p.bias ? row_major(1, p.out, memory::data_type::f32) : memory::desc();
  const auto c = row_major(p.rows, p.out, memory::data_type::f32);
#if DNNL_VERSION_MAJOR >= 3
  if (p.bias) return {engine, a, weights, bias, c, attributes};
  return {engine, a, weights, c, attributes};
#else
  if (p.bias) return {dnnl::matmul::desc(a, weights, bias, c), attributes, engine};
  return {dnnl::matmul::desc(a, weights, c), attributes, engine};
#endif
}

// As many rows as weights are packed for, and the layout that suits them.
dnnl::matmul::primitive_desc describe_any(memory::data_type input, int64_t in, int64_t out,
                                          const dnnl::engine& engine) {
  return describe({input, kPackingRows, in, out, true, false}, {{in, out}, input, memory::format_tag::any},
                  engine);
}

// Reads of weights are const in our interface; oneDNN's memory takes any pointer for inputs and outputs
// alike.
memory view(const memory::desc& desc, const dnnl::engine& engine, const void* data) {
  return {desc, engine, const_cast<void*>(data)};
}

// How oneDNN wants weights [in, out] to lie.
struct Blocking {
  explicit Blocking(const memory::desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
    if (desc.get_format_kind() != memory::format_kind::blocked) return;
    strides = desc.get_strides();
    blocks = desc.get_inner_blks();
    of_dimension = desc.get_inner_idxs();
#else
    if (desc.data.format_kind != dnnl_blocked) return;
    const dnnl_blocking_desc_t& of = desc.data.format_desc.blocking;
    strides.assign(of.strides, of.strides + desc.data.ndims);
    blocks.assign(of.inner_blks, of.inner_blks + of.inner_nblks);
    of_dimension.assign(of.inner_idxs, of.inner_idxs + of.inner_nblks);
#endif
  }
  memory::dims strides;       // of the blocks of each dimension
  memory::dims blocks;        // from the outermost to the innermost
  memory::dims of_dimension;  // each of them
};

// The columns of a panel where the packed matrix is what pack_panels() writes; else 0.
int64_t panel_columns(const memory::desc& packed, int64_t in, int64_t out, size_t value_bytes) {
  const Blocking blocking(packed);
  memory::dims blocks = blocking.blocks, of_dimension = blocking.of_dimension;
  if (value_bytes == 4 && of_dimension == memory::dims{0, 1}) {
    blocks.push_back(1);
    of_dimension.push_back(0);
  }
  if (of_dimension != memory::dims{0, 1, 0}) return 0;
  const int64_t columns = blocks[1], unit = blocks[2];
  const bool whole = packed.get_size() == static_cast<size_t>(in * out) * value_bytes && out % columns == 0;
  const bool units_of_four_bytes = unit * static_cast<int64_t>(value_bytes) == 4 && in % (4 * unit) == 0;
  const bool one_after_another = blocking.strides == memory::dims{blocks[0] * columns * unit, in * columns};
  return whole && units_of_four_bytes && one_after_another && columns % 4 == 0 ? columns : 0;
}

// Copies weights of `layout` at `data` into the layout of `packed`.
void copy_weights(const memory::desc& layout, const void* data, memory& packed, const dnnl::engine& engine,
                  dnnl::stream& stream) {
  memory from = view(layout, engine, data);
  dnnl::reorder(from, packed).execute(stream, from, packed);
  stream.wait();
}

// The same of [out, in] values of so many bytes.
void copy_out_in(const void* data, memory::data_type type, size_t value_bytes, memory& packed,
                 const dnnl::engine& engine, dnnl::stream& stream) {
  const memory::desc layout = packed.get_desc();
#if DNNL_VERSION_MAJOR >= 3
  const memory::dims dims = layout.get_dims();
#else
  const memory::dims dims = layout.dims();
#endif
  const int64_t in = dims[0], out = dims[1];
  const int64_t columns = panel_columns(layout, in, out, value_bytes);
  if (columns == 0 || reinterpret_cast<uintptr_t>(data) % sizeof(uint32_t) != 0)
    return copy_weights({dims, type, memory::format_tag::ba}, data, packed, engine, stream);
  pack_panels({static_cast<const uint32_t*>(data), out, in * static_cast<int64_t>(value_bytes) / 4}, columns,
              static_cast<uint32_t*>(packed.get_data_handle()));
}

class OneDnnMatrix : public PackedMatrix {
 public:
  OneDnnMatrix(DType operands, memory values) : operands_(operands), values_(std::move(values)) {}
  DType operands() const { return operands_; }
  const memory& values() const { return values_; }

 private:
  DType operands_;
  memory values_;
};

// Turns oneDNN's exceptions into ours.
template <typename Call>
auto guarded(Call&& call) {
  try {
    return call();
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_out_of_memory) throw std::bad_alloc();
    throw Error(ErrorCode::internal, std::string("oneDNN: ") + e.what());
  }
}

struct Matmul {
  explicit Matmul(const dnnl::matmul::primitive_desc& of) : desc(of), primitive(of) {}
  dnnl::matmul::primitive_desc desc;
  dnnl::matmul primitive;
};

// Kernels take long to make. Texts have any number of tokens: they are kept up to a limit.
template <typename Shape, typename Kernel>
class Kernels {
 public:
  // make(): a Kernel.
  template <typename Make>
  std::shared_ptr<const Kernel> get(const Shape& shape, const Make& make) {
    constexpr size_t kMaxKernels = 512;
    if (auto found = kernels_.find(shape); found != kernels_.end()) return found->second;
    if (kernels_.size() >= kMaxKernels) kernels_.clear();
    return kernels_.emplace(shape, std::make_shared<const Kernel>(make())).first->second;
  }

 private:
  std::map<Shape, std::shared_ptr<const Kernel>> kernels_;
};

}  // namespace

struct OneDnnGemm::Impl {
  Impl() : engine(dnnl::engine::kind::cpu, 0), stream(engine) {}

  dnnl::engine engine;
  dnnl::stream stream;
  Kernels<Product, Matmul> kernels;
};

OneDnnGemm::OneDnnGemm() : impl_(guarded([] { return std::make_unique<Impl>(); })) {}
OneDnnGemm::~OneDnnGemm() = default;

bool OneDnnGemm::has_fast_bf16() {
  try {
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    // Kernels are named after the instructions that they use: brg:avx512_core_bf16, brg:avx10_1_512_amx, ...
    const std::string_view name = describe_any(memory::data_type::bf16, 1024, 1024, engine).impl_info_str();
    for (std::string_view part : {"_bf16", "amx", "avx10", "avx2_vnni_2"})
      if (name.find(part) != std::string_view::npos) return true;
    return false;
  } catch (const dnnl::error&) {
    return false;
  }
}

std::string OneDnnGemm::version() {
  const dnnl_version_t* version = dnnl::version();
  return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

std::string OneDnnGemm::description(DType operands) const {
  return guarded([&] { return describe_any(type_of(operands), 1024, 1024, impl_->engine).impl_info_str(); });
}

DType OneDnnGemm::operands(const PackedMatrix& weight) {
  return static_cast<const OneDnnMatrix&>(weight).operands();
}

std::unique_ptr<PackedMatrix> OneDnnGemm::pack(const StoredMatrix& weight) {
  return guarded([&] {
    const memory::data_type type = type_of(weight.values.dtype);
    memory packed(describe_any(type, weight.in(), weight.out(), impl_->engine).weights_desc(), impl_->engine);
    if (weight.layout == StoredMatrix::Layout::out_in)
      copy_out_in(weight.values.data, type, size_of(weight.values.dtype), packed, impl_->engine,
                  impl_->stream);
    else
      copy_weights({{weight.in(), weight.out()}, type, memory::format_tag::ab}, weight.values.data, packed,
                   impl_->engine, impl_->stream);
    return std::make_unique<OneDnnMatrix>(weight.values.dtype, std::move(packed));
  });
}

void OneDnnGemm::multiply(const void* a, int64_t rows, const Linear& linear, Options options, float* c) {
  if (rows == 0) return;
  guarded([&] {
    const memory& weights = static_cast<const OneDnnMatrix&>(*linear.weight).values();
    const Product product{type_of(operands(*linear.weight)),
                          rows,
                          linear.in,
                          linear.out,
                          !linear.bias.empty(),
                          options.accumulate};
    const auto kernel = impl_->kernels.get(
        product, [&] { return Matmul(describe(product, weights.get_desc(), impl_->engine)); });
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, view(kernel->desc.src_desc(), impl_->engine, a)},
        {DNNL_ARG_WEIGHTS, weights},
        {DNNL_ARG_DST, view(kernel->desc.dst_desc(), impl_->engine, c)},
    };
    if (product.bias)
      arguments.emplace(DNNL_ARG_BIAS, view(row_major(1, linear.out, memory::data_type::f32), impl_->engine,
                                            data(linear.bias)));
    kernel->primitive.execute(impl_->stream, arguments);
    impl_->stream.wait();
  });
}

namespace {

dnnl::matmul::primitive_desc describe_bytes(int64_t rows, int64_t in, int64_t columns,
                                            const memory::desc& weights, const dnnl::engine& engine) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // else threads would share it
  const auto a = row_major(rows, in, memory::data_type::u8);
  const auto c = row_major(rows, columns, memory::data_type::s32);
#if DNNL_VERSION_MAJOR >= 3
  return {engine, a, weights, c, attributes};
#else
  return {dnnl::matmul::desc(a, weights, c), attributes, engine};
#endif
}

memory::desc any_bytes(int64_t in, int64_t columns) {
  return {{in, columns}, memory::data_type::s8, memory::format_tag::any};
}

std::string name_of_byte_kernel(const dnnl::engine& engine) {
  const TeamOfOne alone;
  return describe_bytes(64, 1024, 256, any_bytes(1024, 256), engine).impl_info_str();
}

class BytePanel : public OneDnnBytes::Panel {
 public:
  explicit BytePanel(memory values) : values_(std::move(values)) {}
  const memory& values() const { return values_; }

 private:
  memory values_;
};

struct ByteProduct {
  int64_t rows;
  int64_t in;
  int64_t columns;
  // NOLINTNEXTLINE(modernize-use-nullptr): = default generates the comparison
  auto operator<=>(const ByteProduct&) const = default;
};

}  // namespace

class OneDnnBytes::Kernel : public Matmul {
 public:
  using Matmul::Matmul;
};

struct OneDnnBytes::Impl {
  Impl() : engine(dnnl::engine::kind::cpu, 0), stream(engine) {}

  memory::desc packed_layout(int64_t in, int64_t columns) const {
    const TeamOfOne alone;
    return describe_bytes(kPackingRows, in, columns, any_bytes(in, columns), engine).weights_desc();
  }

  dnnl::engine engine;
  dnnl::stream stream;
  Kernels<ByteProduct, Kernel> kernels;
};

OneDnnBytes::OneDnnBytes() : impl_(guarded([] { return std::make_unique<Impl>(); })) {}
OneDnnBytes::~OneDnnBytes() = default;

bool OneDnnBytes::is_fast() {
  try {
    const std::string name = name_of_byte_kernel(dnnl::engine(dnnl::engine::kind::cpu, 0));
    return name.find("vnni") != std::string::npos || name.find("amx") != std::string::npos;
  } catch (const dnnl::error&) {
    return false;
  }
}

std::string OneDnnBytes::description() const {
  return guarded([&] { return name_of_byte_kernel(impl_->engine); });
}

std::function<void()> OneDnnBytes::whole_product(const ProductShape& shape, const void* a,
                                                 const void* weights, void* sums) {
  return guarded([&] {
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    const auto desc = describe_bytes(shape.rows, shape.in, shape.out, any_bytes(shape.in, shape.out), engine);
    const dnnl::stream stream(engine);
    memory packed(desc.weights_desc(), engine);
    memory from =
        view({{shape.in, shape.out}, memory::data_type::s8, memory::format_tag::ba}, engine, weights);
    dnnl::reorder(from, packed).execute(stream, from, packed);
    const std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, view(desc.src_desc(), engine, a)},
        {DNNL_ARG_WEIGHTS, packed},
        {DNNL_ARG_DST, view(desc.dst_desc(), engine, sums)},
        {DNNL_ARG_SCRATCHPAD, memory(desc.scratchpad_desc(), engine)},
    };
    return [stream, arguments, primitive = dnnl::matmul(desc)] { primitive.execute(stream, arguments); };
  });
}

std::unique_ptr<OneDnnBytes::Panel> OneDnnBytes::pack(const int8_t* weight, int64_t columns, int64_t in) {
  return guarded([&] {
    memory packed(impl_->packed_layout(in, columns), impl_->engine);
    copy_out_in(weight, memory::data_type::s8, sizeof(int8_t), packed, impl_->engine, impl_->stream);
    return std::make_unique<BytePanel>(std::move(packed));
  });
}

std::shared_ptr<const OneDnnBytes::Kernel> OneDnnBytes::kernel(int64_t rows, int64_t in, int64_t columns) {
  return guarded([&] {
    return impl_->kernels.get(ByteProduct{rows, in, columns}, [&] {
      const TeamOfOne alone;
      const memory::desc weights = impl_->packed_layout(in, columns);
      return Kernel(describe_bytes(rows, in, columns, weights, impl_->engine));
    });
  });
}

size_t OneDnnBytes::scratch(const Kernel& kernel) { return kernel.desc.scratchpad_desc().get_size(); }

void OneDnnBytes::multiply(const Kernel& kernel, const uint8_t* a, const Panel& panel, std::byte* scratch,
                           int32_t* sums) const {
  guarded([&] {
    kernel.primitive.execute(
        impl_->stream, {{DNNL_ARG_SRC, view(kernel.desc.src_desc(), impl_->engine, a)},
                        {DNNL_ARG_WEIGHTS, static_cast<const BytePanel&>(panel).values()},
                        {DNNL_ARG_DST, view(kernel.desc.dst_desc(), impl_->engine, sums)},
                        {DNNL_ARG_SCRATCHPAD, view(kernel.desc.scratchpad_desc(), impl_->engine, scratch)}});
  });
}

}  // namespace mii
