#include "backend/cpu/onednn.h"

#include <algorithm>
#include <compare>
#include <dnnl.hpp>
#include <map>
#include <new>
#include <string_view>

#include "backend/cpu/panels.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/team.h"
#include "mii/error.h"

namespace mii {
namespace {

using dnnl::memory;

// Columns of a panel: with as many rows its sums stay in a core's cache.
constexpr int64_t kPanelColumns = 256;
// Weights are packed for this many rows. oneDNN's choice of layout does not depend on the rows (checked for 1
// to 16384), so kernels for other numbers of rows are created with this layout too.
constexpr int64_t kPackingRows = 1024;
// Panels begin at cache lines.
constexpr size_t kAlignment = 64;

struct Product {
  DType weights;
  int64_t rows;
  int64_t in;
  int64_t columns;
  // NOLINTNEXTLINE(modernize-use-nullptr): = default generates the comparison
  auto operator<=>(const Product&) const = default;
};

struct Types {
  memory::data_type a;
  memory::data_type weights;
  memory::data_type sums;
};

Types types_of(DType weights) {
  using enum memory::data_type;
  switch (weights) {
    case DType::f32:
      return {f32, f32, f32};
    case DType::bf16:
      return {bf16, bf16, f32};
    case DType::i8:
      return {u8, s8, s32};
    default:
      throw Error(ErrorCode::internal, std::string("no products of ") + to_string(weights));
  }
}

memory::desc row_major(int64_t rows, int64_t cols, memory::data_type type) {
  return {{rows, cols}, type, memory::format_tag::ab};
}

dnnl::matmul::primitive_desc describe(const Product& p, const memory::desc& weights,
                                      const dnnl::engine& engine) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // else threads would share it
  const Types types = types_of(p.weights);
  const auto a = row_major(p.rows, p.in, types.a);
  const auto c = row_major(p.rows, p.columns, types.sums);
#if DNNL_VERSION_MAJOR >= 3
  return {engine, a, weights, c, attributes};
#else
  return {dnnl::matmul::desc(a, weights, c), attributes, engine};
#endif
}

// In the layout that suits it best.
dnnl::matmul::primitive_desc describe_any(const Product& p, const dnnl::engine& engine) {
  return describe(p, {{p.in, p.columns}, types_of(p.weights).weights, memory::format_tag::any}, engine);
}

memory::desc packed_layout(DType weights, int64_t in, int64_t columns, const dnnl::engine& engine) {
  const TeamOfOne alone;
  return describe_any({weights, kPackingRows, in, columns}, engine).weights_desc();
}

std::string name_of_kernel(DType weights, const dnnl::engine& engine) {
  const TeamOfOne alone;
  return describe_any({weights, 64, 1024, kPanelColumns}, engine).impl_info_str();
}

// Kernels are named after the instructions that they use: brg:avx512_core_bf16, brg:avx10_1_512_amx, ...
bool has_kernel(DType weights, std::initializer_list<std::string_view> parts) {
  try {
    const std::string name = name_of_kernel(weights, dnnl::engine(dnnl::engine::kind::cpu, 0));
    return std::ranges::any_of(parts, [&](std::string_view p) { return name.find(p) != std::string::npos; });
  } catch (const dnnl::error&) {
    return false;
  }
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

// The columns that lie together where the packed matrix is what pack_panels() writes; else 0.
int64_t columns_together(const memory::desc& packed, int64_t in, int64_t out, size_t value_bytes) {
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

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

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

class OneDnnPanels::Kernel {
 public:
  Kernel(const dnnl::matmul::primitive_desc& of, const dnnl::engine& engine, int threads)
      : desc(of), primitive(of) {
    for (int i = 0; i < threads; ++i)
      of_thread_.push_back({{DNNL_ARG_SRC, memory(desc.src_desc(), engine, nullptr)},
                            {DNNL_ARG_WEIGHTS, memory()},
                            {DNNL_ARG_DST, memory(desc.dst_desc(), engine, nullptr)},
                            {DNNL_ARG_SCRATCHPAD, memory(desc.scratchpad_desc(), engine, nullptr)}});
  }

  // Made once, as making them takes longer than a small product.
  std::unordered_map<int, memory>& arguments() const {
    return of_thread_[static_cast<size_t>(thread_index())];
  }

  dnnl::matmul::primitive_desc desc;
  dnnl::matmul primitive;

 private:
  mutable std::vector<std::unordered_map<int, memory>> of_thread_;
};

struct OneDnnPanels::Impl {
  explicit Impl(int team) : threads(team), engine(dnnl::engine::kind::cpu, 0), stream(engine) {}

  // Copies columns of a stored matrix into the layout of a panel.
  void reorder(const StoredMatrix& from, const Panel& panel) {
    const bool out_in = from.layout == StoredMatrix::Layout::out_in;
    const auto skipped = static_cast<size_t>(panel.first * (out_in ? from.in() : 1));
    const memory::dims strides = out_in ? memory::dims{1, from.in()} : memory::dims{from.out(), 1};
    memory source(view({{from.in(), panel.columns}, types_of(from.values.dtype).weights, strides}, engine,
                       from.values.data + skipped * size_of(from.values.dtype)));
    memory packed = weights_of(panel);
    dnnl::reorder(source, packed).execute(stream, source, packed);
    stream.wait();
  }

  static const memory& weights_of(const Panel& panel) {
    return *static_cast<const memory*>(panel.weights.get());
  }

  int threads;
  dnnl::engine engine;
  dnnl::stream stream;
  std::map<Product, std::shared_ptr<const Kernel>> kernels;
};

OneDnnPanels::OneDnnPanels(int threads) : impl_(guarded([&] { return std::make_unique<Impl>(threads); })) {}
OneDnnPanels::~OneDnnPanels() = default;

bool OneDnnPanels::has_fast_bf16() {
  return has_kernel(DType::bf16, {"_bf16", "amx", "avx10", "avx2_vnni_2"});
}
bool OneDnnPanels::has_fast_bytes() { return has_kernel(DType::i8, {"vnni", "amx"}); }

std::string OneDnnPanels::version() {
  const dnnl_version_t* version = dnnl::version();
  return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

std::string OneDnnPanels::description(DType weights) const {
  return guarded([&] { return name_of_kernel(weights, impl_->engine); });
}

std::function<void()> OneDnnPanels::whole_product(DType type, const ProductShape& shape, const void* a,
                                                  const void* weights, void* sums) {
  return guarded([&] {
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    const auto desc = describe_any({type, shape.rows, shape.in, shape.out}, engine);
    const dnnl::stream stream(engine);
    memory packed(desc.weights_desc(), engine);
    memory from =
        view({{shape.in, shape.out}, types_of(type).weights, memory::format_tag::ba}, engine, weights);
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

PanelMatrix OneDnnPanels::pack(const StoredMatrix& weight) {
  return guarded([&] {
    PanelMatrix matrix{weight.values.dtype, weight.in(), weight.out(), {}, {}};
    const Parts parts{matrix.out, kPanelColumns};
    const int64_t columns = parts.length(0), last_columns = parts.length(parts.count() - 1);
    const memory::desc layout = packed_layout(matrix.type, matrix.in, columns, impl_->engine);
    const memory::desc last_layout =
        last_columns == columns ? layout : packed_layout(matrix.type, matrix.in, last_columns, impl_->engine);
    const size_t stride = aligned(layout.get_size());
    matrix.values =
        AlignedBuffer<std::byte>(stride * static_cast<size_t>(parts.count() - 1) + last_layout.get_size());
    for (int64_t p = 0; p < parts.count(); ++p)
      matrix.panels.push_back(
          {parts.begin(p), parts.length(p),
           std::make_shared<const memory>(p + 1 < parts.count() ? layout : last_layout, impl_->engine,
                                          matrix.values.data() + stride * static_cast<size_t>(p))});

    const size_t value_bytes = size_of(matrix.type);
    const int64_t together = columns_together(layout, matrix.in, columns, value_bytes);
    const bool words = weight.layout == StoredMatrix::Layout::out_in &&
                       reinterpret_cast<uintptr_t>(weight.values.data) % sizeof(uint32_t) == 0;
    if (words && together > 0 &&
        together == columns_together(last_layout, matrix.in, last_columns, value_bytes) &&
        stride == layout.get_size()) {
      // Then the panels lie one behind the other as if they were one.
      pack_panels({reinterpret_cast<const uint32_t*>(weight.values.data), matrix.out,
                   matrix.in * static_cast<int64_t>(value_bytes) / 4},
                  together, reinterpret_cast<uint32_t*>(matrix.values.data()));
      return matrix;
    }
    for (const Panel& panel : matrix.panels) impl_->reorder(weight, panel);
    return matrix;
  });
}

// Kernels take long to make. Texts have any number of tokens: they are kept up to a limit.
std::shared_ptr<const OneDnnPanels::Kernel> OneDnnPanels::kernel(DType weights, int64_t rows, int64_t in,
                                                                 int64_t columns) {
  constexpr size_t kMaxKernels = 512;
  const Product product{weights, rows, in, columns};
  auto& kernels = impl_->kernels;
  if (auto found = kernels.find(product); found != kernels.end()) return found->second;
  return guarded([&] {
    if (kernels.size() >= kMaxKernels) kernels.clear();
    const memory::desc layout = packed_layout(weights, in, columns, impl_->engine);
    const TeamOfOne alone;
    return kernels
        .emplace(product, std::make_shared<const Kernel>(describe(product, layout, impl_->engine),
                                                         impl_->engine, impl_->threads))
        .first->second;
  });
}

size_t OneDnnPanels::scratch(const Kernel& kernel) { return kernel.desc.scratchpad_desc().get_size(); }

void OneDnnPanels::multiply(const Kernel& kernel, const void* a, const Panel& panel, std::byte* scratch,
                            void* sums) const {
  guarded([&] {
    auto& arguments = kernel.arguments();
    arguments[DNNL_ARG_SRC].set_data_handle(const_cast<void*>(a));  // is read alone
    arguments[DNNL_ARG_WEIGHTS] = Impl::weights_of(panel);
    arguments[DNNL_ARG_DST].set_data_handle(sums);
    arguments[DNNL_ARG_SCRATCHPAD].set_data_handle(scratch);
    kernel.primitive.execute(impl_->stream, arguments);
  });
}

}  // namespace mii
