// The whole way of a DICOM file, from its elements to the grey that the model sees. The mutator knows
// elements: it moves, nests, repeats and damages them, so that inputs stay files that get far. What takes
// more than 2 s or 512 MB is a finding: -timeout=2 -rss_limit_mb=512.

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>

#include "mii/error.h"
#include "mii/profile.h"

#include "dicom_tree.h"
#include "medical/codestreams.h"
#include "medical/dicom_directory.h"
#include "medical/dicom_file.h"
#include "medical/present.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
// Freed memory counts too, as long as AddressSanitizer keeps it.
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=16"; }

namespace mii {
namespace {

// ---- what is fuzzed

template <typename Read>
void expect_error_or_result(const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) std::abort();
  }
}

void show(const DicomFile& file, size_t index, const GreyFrame& grey) {
  const DisplayHints hints = display_hints(file, file.frame_info(index));
  for (const char* name : {"auto", "voi", "stored", "minmax", "percentile:5,95", "ct-lung"})
    expect_error_or_result([&] {
      const auto shown = render(grey, choose_mapping(Profile::parse(name), grey, hints).mapping);
      if (shown.size() != grey.rows * grey.cols) std::abort();
    });
}

void read_frame(const DicomFile& file, size_t index) {
  file.place(index);
  const Frame frame = file.frame(index);
  if (const auto* grey = std::get_if<GreyFrame>(&frame)) {
    if (grey->integers.size() + grey->reals.size() != grey->rows * grey->cols) std::abort();
    show(file, index, *grey);
  } else if (const auto& colour = std::get<ColourFrame>(frame);
             colour.rgb.size() != colour.rows * colour.cols * 3) {
    std::abort();
  }
}

void read_file(std::span<const std::byte> bytes) {
  expect_error_or_result([&] { files_of_dicomdir("/nonexistent/DICOMDIR", bytes); });
  expect_error_or_result([&] {
    const DicomFile file = DicomFile::open(bytes, {.max_pixels = 1 << 12});
    file.identifying_attributes();
    const size_t last = file.info().frames - 1;
    for (const size_t index : std::set{size_t{0}, last / 2, last})
      expect_error_or_result([&] { read_frame(file, index); });
  });
}

// ---- what it starts from

DicomSet telling_set(const DicomForm& form) {
  DicomSet table(form), position(form), orientation(form), window(form), rescale(form), frame(form),
      shared(form);
  table.us(0x00283002, {2, 0, 8}).words(0x00283006, {7, 200});
  position.raw(0x00200032, "DS", "1\\2\\3");
  orientation.raw(0x00200037, "DS", "1\\0\\0\\0\\1\\0");
  window.raw(0x00281050, "DS", "10").raw(0x00281051, "DS", "20").raw(0x00281056, "CS", "SIGMOID");
  rescale.raw(0x00281052, "DS", "-1").raw(0x00281053, "DS", "2.5");
  frame.sequence(0x00209113, {position}, true).sequence(0x00289132, {window}).sequence(0x00289145, {rescale});
  shared.sequence(0x00209116, {orientation});
  DicomSet set = dicom_image(
      {.rows = 4, .cols = 4, .modality = "CT", .frames = 2, .pixels = std::string(64, 'p')}, form);
  set.raw(0x00180015, "CS", "CHEST");
  set.raw(0x00281050, "DS", "40\\50")
      .raw(0x00281051, "DS", "400\\350")
      .us(0x00280120, {9})
      .us(0x00280121, {12});
  set.raw(0x00281052, "DS", "-1024").raw(0x00281053, "DS", "1");
  set.sequence(0x00283010, {table, table}, true);
  return set.sequence(0x52009229, {shared}).sequence(0x52009230, {frame, frame}, true);
}

DicomSet palette_set() {
  DicomSet set =
      dicom_image({.cols = 4, .allocated = 8, .stored = 8, .photometric = "PALETTE COLOR", .pixels = "abcd"});
  for (const uint32_t tag : {0x00281101, 0x00281102, 0x00281103}) set.us(tag, {4, 0, 16});
  for (const uint32_t tag : {0x00281201, 0x00281202, 0x00281203}) set.words(tag, {0, 256, 512, 9000});
  return set;
}

DicomSet directory_set() {
  DicomSet image, study;
  image.us(0x00041400 + 0x10, {0xFFFF}).raw(0x00041430, "CS", "IMAGE").raw(0x00041500, "CS", "A\\B");
  study.raw(0x00041430, "CS", "STUDY");
  return DicomSet().sequence(0x00041220, {study, image, image});
}

std::vector<Data> samples() {
  DicomSet table;
  table.us(0x00283002, {3, 0, 16}).words(0x00283006, {7, 200, 4000});
  DicomSet tables = dicom_image({.cols = 4, .allocated = 8, .stored = 8, .pixels = "abcd"});
  tables.sequence(0x00283000, {table});
  const std::string rle = rle_frame(numbers<uint16_t>({1, 1, 300}), 1, 2);
  DicomSet compressed = dicom_image({.cols = 3, .frames = 2});
  compressed.encapsulated({rle, rle}, numbers<uint32_t>({0, 78}));
  DicomSet real = dicom_image({.cols = 2, .allocated = 32, .stored = 32});
  real.raw(0x7FE00008, "OF", numbers<float>({1.5f, -2}));
  DicomSet colour = dicom_image({.cols = 4,
                                 .samples = 3,
                                 .allocated = 8,
                                 .stored = 8,
                                 .photometric = "YBR_FULL",
                                 .pixels = "abcdefghijkl"});
  std::vector<Data> all{dicom_file(palette_set()),
                        dicom_file(tables),
                        part10(kRle, compressed.bytes()),
                        dicom_file(real),
                        dicom_file(colour),
                        dicom_file(directory_set()),
                        data_of(telling_set({}).bytes())};
  for (const DicomForm& form : {DicomForm{}, kImplicit, kBig}) all.push_back(dicom_file(telling_set(form)));
  DicomSet ramp = dicom_image({.rows = 16, .cols = 16});
  all.push_back(part10(kHtj2k, ramp.encapsulated({bytes_of_hex(kHtj2k16Bits)}).bytes()));
  return all;
}

// ---- how it is changed

struct Known {
  uint32_t tag;
  const char* vr;
};

constexpr Known kKnown[]{
    {0x00041220, "SQ"}, {0x00041430, "CS"}, {0x00041500, "CS"}, {0x00080005, "CS"}, {0x00080016, "UI"},
    {0x00080060, "CS"}, {0x00080104, "LO"}, {0x00082218, "SQ"}, {0x00100010, "PN"}, {0x00180015, "CS"},
    {0x00200013, "IS"}, {0x00200032, "DS"}, {0x00200037, "DS"}, {0x00209071, "SQ"}, {0x00209113, "SQ"},
    {0x00209116, "SQ"}, {0x00280002, "US"}, {0x00280004, "CS"}, {0x00280006, "US"}, {0x00280008, "IS"},
    {0x00280010, "US"}, {0x00280011, "US"}, {0x00280100, "US"}, {0x00280101, "US"}, {0x00280102, "US"},
    {0x00280103, "US"}, {0x00280120, "SS"}, {0x00280121, "US"}, {0x00281050, "DS"}, {0x00281051, "DS"},
    {0x00281052, "DS"}, {0x00281053, "DS"}, {0x00281056, "CS"}, {0x00281101, "US"}, {0x00281102, "US"},
    {0x00281103, "US"}, {0x00281201, "OW"}, {0x00281202, "OW"}, {0x00281203, "OW"}, {0x00281221, "OW"},
    {0x00281222, "OW"}, {0x00281223, "OW"}, {0x00283000, "SQ"}, {0x00283002, "SS"}, {0x00283006, "OW"},
    {0x00283010, "SQ"}, {0x00289132, "SQ"}, {0x00289145, "SQ"}, {0x52009229, "SQ"}, {0x52009230, "SQ"},
    {0x60003000, "OW"}, {0x7FE00008, "OF"}, {0x7FE00009, "OD"}, {0x7FE00010, "OW"}, {0xFFFCFFFC, "OB"},
    {0xFFFEE000, ""},   {0xFFFEE00D, ""},   {0xFFFEE0DD, ""}};

constexpr const char* kVrs[]{"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT",
                             "OB", "OD", "OF", "OL", "OV", "OW", "PN", "SH", "SL", "SQ", "SS", "ST",
                             "SV", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT", "UV", "??", "ox"};

constexpr uint32_t kNumbers[]{
    0,    1,     2,     3,     4,     7,     8,      9,          12,         15,         16,        17,
    24,   31,    32,    33,    63,    64,    65,     127,        128,        255,        256,       257,
    1000, 32767, 32768, 65534, 65535, 65536, 100000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF};

constexpr const char* kTexts[]{
    "0",     "1",      "2",   "3",   "-1",    "16",         "0.5",         "1e-308",
    "1e308", "-1e308", "nan", "inf", "65536", "2147483648", "-2147483649", "99999999999999999999",
    "",      "\\",     "x"};

constexpr const char* kCodes[]{"MONOCHROME1",
                               "MONOCHROME2",
                               "RGB",
                               "PALETTE COLOR",
                               "YBR_FULL",
                               "YBR_FULL_422",
                               "YBR_PARTIAL_422",
                               "YBR_ICT",
                               "YBR_RCT",
                               "CT",
                               "MR",
                               "US",
                               "MG",
                               "SIGMOID",
                               "LINEAR_EXACT",
                               "LINEAR",
                               "CHEST",
                               "IMAGE",
                               "STUDY",
                               "ISO_IR 192",
                               "A\\B"};

constexpr const char* kSyntaxes[]{kImplicitLittle,
                                  kExplicitLittle,
                                  kExplicitBig,
                                  kRle,
                                  kJpegBaseline,
                                  kJpegExtended,
                                  kJpegLossless,
                                  kJpegLs,
                                  kJpeg2000,
                                  kHtj2k,
                                  "1.2.840.10008.1.2.4.100",
                                  ""};

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  void change(DicomTree& tree) {
    tree_ = &tree;
    if (below(16) == 0) return change_file();
    change_nodes(below(12) == 0 ? tree.meta : tree.dataset);
  }

  // Puts a piece of another file into this one.
  void splice(DicomTree& tree, DicomTree& other) {
    DicomNodes& to = any_list(tree.dataset);
    const DicomNodes& from = any_list(other.dataset);
    if (!from.empty()) insert(to, from[below(from.size())]);
  }

  size_t below(size_t n) { return random_() % n; }

 private:
  template <typename T, size_t N>
  const T& one_of(const T (&all)[N]) {
    return all[below(N)];
  }

  static void collect(DicomNodes& nodes, std::vector<DicomNodes*>& lists) {
    lists.push_back(&nodes);
    for (DicomNode& node : nodes)
      if (node.is_parent) collect(node.children, lists);
  }
  // The top level half of the time.
  DicomNodes& any_list(DicomNodes& top) {
    if (below(2) == 0) return top;
    std::vector<DicomNodes*> lists;
    collect(top, lists);
    return *lists[below(lists.size())];
  }

  void insert(DicomNodes& nodes, DicomNode node, size_t count = 1) {
    const size_t at = below(nodes.size() + 1);
    nodes.insert(nodes.begin() + static_cast<std::ptrdiff_t>(at), count, std::move(node));
  }

  std::string value_for(std::string_view vr) {
    const DicomForm& form = tree_->form;
    std::string value;
    const size_t count = 1 + (below(2) ? 0 : below(6));
    for (size_t i = 0; i < count; ++i) {
      if (vr == "US" || vr == "SS")
        value += number(static_cast<uint16_t>(one_of(kNumbers)), form.big);
      else if (vr == "UL" || vr == "SL" || vr == "OW" || vr == "OB" || vr == "OF")
        value += number(one_of(kNumbers), form.big);
      else if (vr == "IS" || vr == "DS")
        value += std::string(i ? "\\" : "") + one_of(kTexts);
      else
        value += one_of(kCodes);
    }
    return value;
  }

  DicomNode known_node(size_t depth = 0) {
    const Known& known = one_of(kKnown);
    if (std::string_view(known.vr) != "SQ")
      return {.tag = known.tag, .vr = known.vr, .value = value_for(known.vr)};
    DicomNodes items;
    for (size_t n = below(3); n > 0 && depth < 3; --n)
      items.push_back(DicomNode::item({known_node(depth + 1)}));
    return DicomNode::sequence(known.tag, items);
  }

  static DicomNode nested(DicomNode node, size_t levels, bool undefined) {
    for (; levels > 0; --levels) {
      const uint32_t tag = node.tag;
      DicomNode item = DicomNode::item({std::move(node)});
      item.undefined_length = undefined;
      node = DicomNode::sequence(tag, {std::move(item)});
      node.undefined_length = undefined;
    }
    return node;
  }

  void mutate_bytes(std::string& bytes) {
    const size_t size = bytes.size();
    bytes.resize(size + 64);
    bytes.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(bytes.data()), size, bytes.size()));
  }

  void change_file() {
    DicomTree& tree = *tree_;
    switch (below(5)) {
      case 0:
        return set_syntax(one_of(kSyntaxes));
      case 1:
        tree.form = {.explicit_vr = below(2) == 0, .big = below(2) == 0};
        return;
      case 2:
        tree.meta.clear();
        tree.preamble.clear();
        return;
      case 3:
        mutate_bytes(tree.tail);
        return;
      default:
        std::ranges::stable_sort(tree.dataset, {}, &DicomNode::tag);
    }
  }
  void set_syntax(const char* uid) {
    for (DicomNode& node : tree_->meta)
      if (node.tag == 0x00020010) node.value = uid;
  }

  void change_nodes(DicomNodes& top) {
    DicomNodes& nodes = any_list(top);
    if (nodes.empty() || below(6) == 0) return insert(nodes, known_node());
    const size_t i = below(nodes.size());
    DicomNode& node = nodes[i];
    switch (below(14)) {
      case 0:
        nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(i));
        return;
      case 1:
        return insert(nodes, DicomNode(node), below(8) ? 1 : below(2 + 4096 / bytes_of({node}, {}).size()));
      case 2:
        return std::swap(node, nodes[below(nodes.size())]);
      case 3:
        return move(top, nodes, i);
      case 4:
        node.tag = below(4) ? one_of(kKnown).tag : node.tag + one_of(kNumbers);
        return;
      case 5:
        node.vr = one_of(kVrs);
        return;
      case 6:
        return tell_length(node);
      case 7:
        node.undefined_length = !node.undefined_length && node.is_parent;
        return;
      case 8:
        node = nested(DicomNode(node), 1 + below(below(8) ? 3 : 70), below(2) == 0);
        return;
      case 9:
        node.value.resize(below(2) ? below(node.value.size() + 1) : below(4096));
        return;
      case 10:
        node.is_parent = !node.is_parent;
        return;
      case 11:
        return mutate_bytes(node.value);
      default:
        node.value = value_for(node.vr.empty() ? vr_of(node.tag) : node.vr);
    }
  }

  // Not into itself: it is taken out first.
  void move(DicomNodes& top, DicomNodes& nodes, size_t i) {
    const DicomNode node = std::move(nodes[i]);
    nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(i));
    insert(any_list(top), node);
  }

  void tell_length(DicomNode& node) {
    if (node.told_length) return node.told_length.reset();
    const auto size = static_cast<uint32_t>(node.value.size());
    node.told_length = below(2) ? size + static_cast<uint32_t>(below(5)) - 2 : one_of(kNumbers);
  }

  static const char* vr_of(uint32_t tag) {
    const auto* found = std::ranges::find(kKnown, tag, &Known::tag);
    return found == std::end(kKnown) ? "UN" : found->vr;
  }

  std::minstd_rand random_;
  DicomTree* tree_ = nullptr;
};

std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

size_t copy(const void* from, size_t size, uint8_t* to) {
  std::memcpy(to, from, size);
  return size;
}

}  // namespace
}  // namespace mii

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mii::read_file(std::as_bytes(std::span(data, size)));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  mii::Mutator mutator(seed);
  if (size < 8 || mutator.below(500) == 0) {
    static const std::vector<mii::Data> samples = mii::samples();
    const mii::Data& sample = samples[mutator.below(samples.size())];
    if (sample.size() <= max_size) return mii::copy(sample.data(), sample.size(), data);
  }
  if (mutator.below(10) != 0) {
    mii::DicomTree tree = mii::parse_dicom_tree(mii::text_of(data, size));
    for (size_t n = 1 + mutator.below(4); n > 0; --n) mutator.change(tree);
    const std::string changed = mii::bytes_of(tree);
    if (changed.size() <= max_size) return mii::copy(changed.data(), changed.size(), data);
  }
  return LLVMFuzzerMutate(data, size, max_size);
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* data, size_t size, const uint8_t* other,
                                            size_t other_size, uint8_t* out, size_t max_size, unsigned seed) {
  mii::DicomTree tree = mii::parse_dicom_tree(mii::text_of(data, size));
  mii::DicomTree second = mii::parse_dicom_tree(mii::text_of(other, other_size));
  mii::Mutator(seed).splice(tree, second);
  const std::string spliced = mii::bytes_of(tree);
  return spliced.size() <= max_size ? mii::copy(spliced.data(), spliced.size(), out)
                                    : mii::copy(data, std::min(size, max_size), out);
}
