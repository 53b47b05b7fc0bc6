#pragma once

// A DICOM file as a tree of its elements, which can be changed and written again.

#include <optional>
#include <span>

#include "medical/dicom_writer.h"

namespace mii {

/// An element, or an item of a sequence or of encapsulated pixel data.
struct DicomNode {
  uint32_t tag = 0;
  std::string vr;                       ///< empty in implicit VR and of items
  std::string value;                    ///< of a leaf
  std::vector<DicomNode> children;      ///< the items of a sequence, the elements of an item
  bool is_parent = false;               ///< has children, perhaps none, instead of a value
  bool undefined_length = false;        ///< of a parent: a delimiter ends it
  std::optional<uint32_t> told_length;  ///< written instead of the true one

  static DicomNode item(std::vector<DicomNode> children) {
    return {.tag = 0xFFFEE000, .children = std::move(children), .is_parent = true};
  }
  static DicomNode sequence(uint32_t tag, std::vector<DicomNode> items) {
    return {.tag = tag, .vr = "SQ", .children = std::move(items), .is_parent = true};
  }
};

using DicomNodes = std::vector<DicomNode>;

struct DicomTree {
  std::string preamble;  ///< with "DICM", or empty
  DicomNodes meta;       ///< group 0002
  DicomNodes dataset;
  DicomForm form;    ///< of the data set
  std::string tail;  ///< what could not be parsed
};

/// Reads elements until what follows is none. What reaches beyond its parent is cut off there, with
/// told_length set, so that the file is written as it was.
class DicomTreeReader {
 public:
  DicomTreeReader(std::string_view bytes, DicomForm form, size_t at) : bytes_(bytes), form_(form), at_(at) {}

  size_t at() const { return at_; }
  DicomNodes group_0002() {
    DicomNodes nodes;
    while (bytes_.size() - at_ >= 8 && bytes_.substr(at_, 2) == std::string_view("\2\0", 2))
      if (!read(nodes, bytes_.size())) break;
    return nodes;
  }
  DicomNodes dataset() { return children_until(bytes_.size(), 0); }

 private:
  static constexpr size_t kMaxDepth = 100;

  template <typename Number>
  Number number_at(size_t at) const {
    Number value = 0;
    for (size_t i = 0; i < sizeof value; ++i)
      value = static_cast<Number>(
          value | Number{static_cast<uint8_t>(bytes_[at + (form_.big ? sizeof value - 1 - i : i)])} << 8 * i);
    return value;
  }
  uint32_t tag_at(size_t at) const {
    return uint32_t{number_at<uint16_t>(at)} << 16 | number_at<uint16_t>(at + 2);
  }

  DicomNodes children_until(size_t end, uint32_t parent) {
    DicomNodes nodes;
    while (at_ < end && read(nodes, end, parent)) {
    }
    return nodes;
  }

  // Appends the node that begins here; false when none does, or a delimiter.
  bool read(DicomNodes& nodes, size_t end, uint32_t parent = 0) {
    if (end - at_ < 8) return false;
    DicomNode node{.tag = tag_at(at_)};
    const bool is_item = node.tag >> 16 == 0xFFFE;
    if (is_item && node.tag != 0xFFFEE000) return false;
    const size_t begin = at_;
    uint32_t length = number_at<uint32_t>(at_ + 4);
    size_t header = 8;
    if (form_.explicit_vr && !is_item) {
      node.vr = bytes_.substr(at_ + 4, 2);
      if (has_long_length(node.vr)) {
        header = 12;
        if (end - at_ < header) return false;
        length = number_at<uint32_t>(at_ + 8);
      } else {
        length = number_at<uint16_t>(at_ + 6);
      }
    }
    at_ = begin + header;
    const size_t rest = end - at_;
    node.undefined_length = length == kUndefinedLength;
    if (!node.undefined_length && length > rest) node.told_length = length;
    const size_t value_end = at_ + std::min<size_t>(length, rest);
    node.is_parent = node.undefined_length || node.vr == "SQ" || (is_item && parent != 0x7FE00010);
    if (!node.is_parent || depth_ == kMaxDepth) {
      node.is_parent = node.undefined_length = false;
      node.value = bytes_.substr(at_, value_end - at_);
      at_ = value_end;
    } else {
      ++depth_;
      node.children = children_until(value_end, node.tag);
      --depth_;
      if (!node.undefined_length)
        at_ = value_end;
      else if (end - at_ >= 8 && tag_at(at_) == (is_item ? 0xFFFEE00D : 0xFFFEE0DD))
        at_ += 8;
    }
    nodes.push_back(std::move(node));
    return true;
  }

  std::string_view bytes_;
  DicomForm form_;
  size_t at_;
  size_t depth_ = 0;
};

inline DicomTree parse_dicom_tree(std::string_view bytes) {
  DicomTree tree;
  if (bytes.size() >= 132 && bytes.substr(128, 4) == "DICM") tree.preamble = bytes.substr(0, 132);
  DicomTreeReader meta(bytes, {}, tree.preamble.size());
  tree.meta = meta.group_0002();
  const size_t at = meta.at();
  if (bytes.size() - at >= 8) {
    const auto is_letter = [&](size_t i) { return bytes[at + i] >= 'A' && bytes[at + i] <= 'Z'; };
    tree.form = {.explicit_vr = is_letter(4) && is_letter(5), .big = bytes[at] == 0 && bytes[at + 1] != 0};
  }
  DicomTreeReader dataset(bytes, tree.form, at);
  tree.dataset = dataset.dataset();
  tree.tail = bytes.substr(dataset.at());
  return tree;
}

inline std::string bytes_of(const DicomNodes& nodes, const DicomForm& form) {
  std::string bytes;
  for (const DicomNode& node : nodes) {
    std::string value = node.is_parent ? bytes_of(node.children, form) : node.value;
    const size_t length = node.undefined_length ? kUndefinedLength : value.size();
    if (node.undefined_length)
      value += dicom_element(form, node.tag == 0xFFFEE000 ? 0xFFFEE00D : 0xFFFEE0DD, "", "");
    bytes += dicom_element(form, node.tag, node.vr.size() == 2 ? node.vr : "UN", value,
                           node.told_length.value_or(static_cast<uint32_t>(length)));
  }
  return bytes;
}

inline std::string bytes_of(const DicomTree& tree) {
  return tree.preamble + bytes_of(tree.meta, {}) + bytes_of(tree.dataset, tree.form) + tree.tail;
}

}  // namespace mii
