#include "backend/cpu/onednn.h"

#include <compare>
#include <dnnl.hpp>
#include <map>
#include <new>
#include <string_view>

#include "backend/host_backend.h"
#include "mii/error.h"

namespace mii {
namespace {

using dnnl::memory;

// Weights are packed for this many rows. oneDNN's choice of layout does not depend on the rows (checked for 1
// to 16384), so kernels for other numbers of rows are created with this layout too.
constexpr int64_t kPackingRows = 1024;

struct Product {
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

dnnl::matmul::primitive_desc describe(const Product& p, memory::data_type input, const memory::desc& weights,
                                      const dnnl::engine& engine) {
  dnnl::primitive_attr attributes;
  if (p.accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  const auto a = row_major(p.rows, p.in, input);
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

// Reads of weights are const in our interface; oneDNN's memory takes any pointer for inputs and outputs
// alike.
memory view(const memory::desc& desc, const dnnl::engine& engine, const void* data) {
  return {desc, engine, const_cast<void*>(data)};
}

class OneDnnMatrix : public PackedMatrix {
 public:
  explicit OneDnnMatrix(memory values) : values_(std::move(values)) {}
  const memory& values() const { return values_; }

 private:
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

}  // namespace

struct OneDnnGemm::Impl {
  struct Kernel {
    dnnl::matmul::primitive_desc desc;
    dnnl::matmul primitive;
  };

  explicit Impl(DType dtype) : input(type_of(dtype)), engine(dnnl::engine::kind::cpu, 0), stream(engine) {}

  memory::desc packed_layout(int64_t in, int64_t out) const {
    const memory::desc any({in, out}, input, memory::format_tag::any);
    return describe({kPackingRows, in, out, true, false}, input, any, engine).weights_desc();
  }

  const Kernel& kernel(const Product& product, const memory::desc& weights) {
    // Texts have any number of tokens: kernels are cached, up to a limit.
    constexpr size_t kMaxKernels = 512;
    if (auto found = kernels.find(product); found != kernels.end()) return found->second;
    if (kernels.size() >= kMaxKernels) kernels.clear();
    auto desc = describe(product, input, weights, engine);
    dnnl::matmul primitive(desc);
    return kernels.emplace(product, Kernel{std::move(desc), std::move(primitive)}).first->second;
  }

  memory::data_type input;
  dnnl::engine engine;
  dnnl::stream stream;
  std::map<Product, Kernel> kernels;
};

OneDnnGemm::OneDnnGemm(DType input) : impl_(guarded([&] { return std::make_unique<Impl>(input); })) {}
OneDnnGemm::~OneDnnGemm() = default;

bool OneDnnGemm::has_fast_bf16() {
  try {
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    const memory::desc any({1024, 1024}, memory::data_type::bf16, memory::format_tag::any);
    const auto desc = describe({kPackingRows, 1024, 1024, true, false}, memory::data_type::bf16, any, engine);
    // Kernels are named after the instructions that they use: brg:avx512_core_bf16, brg:avx10_1_512_amx, ...
    const std::string_view name = desc.impl_info_str();
    for (std::string_view part : {"_bf16", "amx", "avx10", "avx2_vnni_2"})
      if (name.find(part) != std::string_view::npos) return true;
    return false;
  } catch (const dnnl::error&) {
    return false;
  }
}

std::string OneDnnGemm::description() const {
  return guarded([&] {
    const memory::desc any({1024, 1024}, impl_->input, memory::format_tag::any);
    const auto desc = describe({kPackingRows, 1024, 1024, true, false}, impl_->input, any, impl_->engine);
    const dnnl_version_t* version = dnnl::version();
    return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch) + ", " + desc.impl_info_str();
  });
}

std::unique_ptr<PackedMatrix> OneDnnGemm::pack(const StoredMatrix& weight) {
  return guarded([&] {
    const bool out_first = weight.layout == StoredMatrix::Layout::out_in;
    const memory::desc stored({weight.in(), weight.out()}, impl_->input,
                              out_first ? memory::format_tag::ba : memory::format_tag::ab);
    memory packed(impl_->packed_layout(weight.in(), weight.out()), impl_->engine);
    memory from = view(stored, impl_->engine, weight.values.data);
    dnnl::reorder(from, packed).execute(impl_->stream, from, packed);
    impl_->stream.wait();
    return std::make_unique<OneDnnMatrix>(std::move(packed));
  });
}

void OneDnnGemm::multiply(const void* a, int64_t rows, const Linear& linear, Options options, float* c) {
  if (rows == 0) return;
  guarded([&] {
    const memory& weights = static_cast<const OneDnnMatrix&>(*linear.weight).values();
    const Product product{rows, linear.in, linear.out, !linear.bias.empty(), options.accumulate};
    const Impl::Kernel& kernel = impl_->kernel(product, weights.get_desc());
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, view(kernel.desc.src_desc(), impl_->engine, a)},
        {DNNL_ARG_WEIGHTS, weights},
        {DNNL_ARG_DST, view(kernel.desc.dst_desc(), impl_->engine, c)},
    };
    if (product.bias)
      arguments.emplace(DNNL_ARG_BIAS, view(row_major(1, linear.out, memory::data_type::f32), impl_->engine,
                                            data(linear.bias)));
    kernel.primitive.execute(impl_->stream, arguments);
    impl_->stream.wait();
  });
}

}  // namespace mii
