// Changes the directories of a TIFF file tag by tag, classic and BigTIFF, in both byte orders; then decodes
// it.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <span>
#include <vector>

#include "mii/error.h"

#include "image/codec.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using Data = std::vector<uint8_t>;
using Random = std::minstd_rand;

constexpr size_t kMaxTags = 64;

size_t below(Random& random, size_t count) { return random() % count; }

template <class T, size_t N>
T one_of(Random& random, const T (&list)[N]) {
  return list[below(random, N)];
}

/// Where numbers are in the file, and how they are written. Source: TIFF 6.0, section 2; the BigTIFF design.
struct Form {
  bool big_endian;
  bool big_tiff;

  size_t header_bytes() const { return big_tiff ? 16 : 8; }
  size_t first_directory_at() const { return big_tiff ? 8 : 4; }
  size_t offset_bytes() const { return big_tiff ? 8 : 4; }
  size_t tag_count_bytes() const { return big_tiff ? 8 : 2; }

  uint64_t get(std::span<const uint8_t> in) const {
    uint64_t value = 0;
    for (size_t i = 0; i < in.size(); ++i) value = value << 8 | in[big_endian ? i : in.size() - 1 - i];
    return value;
  }

  void put(uint64_t value, std::span<uint8_t> out) const {
    for (size_t i = 0; i < out.size(); ++i, value >>= 8) {
      out[big_endian ? out.size() - 1 - i : i] = static_cast<uint8_t>(value);
    }
  }
};

struct Tag {
  uint16_t number;
  uint16_t type;
  uint64_t count;
  std::array<uint8_t, 8> value;  // as it is stored: the value itself, or the offset of many
};

struct Directory {
  std::vector<Tag> tags;
  uint64_t next = 0;

  size_t bytes(const Form& form) const {
    const size_t tag_bytes = 4 + 2 * form.offset_bytes();
    return form.tag_count_bytes() + tags.size() * tag_bytes + form.offset_bytes();
  }
};

/// A TIFF file whose directories can be taken out and put back.
class TiffBytes {
 public:
  explicit TiffBytes(Data& file) : file_(file), form_{file[0] == 'M', file[file[0] == 'M' ? 3 : 2] == 43} {}

  static bool is_one(const Data& file) {
    return file.size() >= 16 && (file[0] == 'I' || file[0] == 'M') && file[1] == file[0];
  }

  const Form& form() const { return form_; }
  uint64_t size() const { return file_.size(); }

  /// Where the offset of a directory, the first or one that is chained to it, is stored.
  size_t some_link(Random& random) const {
    size_t link = form_.first_directory_at();
    for (size_t steps = below(random, 3); steps > 0; --steps) {
      const uint64_t directory = offset_at(link);
      if (directory == 0 || !is_inside(directory, form_.tag_count_bytes())) break;
      const uint64_t next = directory + read_directory(directory).bytes(form_) - form_.offset_bytes();
      if (!is_inside(next, form_.offset_bytes())) break;
      link = static_cast<size_t>(next);
    }
    return link;
  }

  uint64_t offset_at(size_t link) const {
    return form_.get(std::span(file_).subspan(link, form_.offset_bytes()));
  }
  void set_offset(size_t link, uint64_t offset) {
    form_.put(offset, std::span(file_).subspan(link, form_.offset_bytes()));
  }

  Directory read_directory(uint64_t offset) const {
    Directory directory;
    if (!is_inside(offset, form_.tag_count_bytes())) return directory;
    auto at = std::span<const uint8_t>(file_).subspan(static_cast<size_t>(offset));
    const auto take = [&](size_t bytes) {
      const uint64_t value = form_.get(at.first(bytes));
      at = at.subspan(bytes);
      return value;
    };
    const uint64_t count = std::min<uint64_t>(take(form_.tag_count_bytes()), kMaxTags);
    while (directory.tags.size() < count && at.size() >= 4 + 2 * form_.offset_bytes()) {
      Tag tag{};
      tag.number = static_cast<uint16_t>(take(2));
      tag.type = static_cast<uint16_t>(take(2));
      tag.count = take(form_.offset_bytes());
      std::copy_n(at.begin(), form_.offset_bytes(), tag.value.begin());
      at = at.subspan(form_.offset_bytes());
      directory.tags.push_back(tag);
    }
    if (at.size() >= form_.offset_bytes()) directory.next = take(form_.offset_bytes());
    return directory;
  }

  /// Writes a directory in place of the one that the link leads to, if that is the last thing in the file,
  /// else behind the end.
  void write_directory(size_t link, const Directory& directory) {
    const uint64_t old = offset_at(link);
    const uint64_t old_bytes = read_directory(old).bytes(form_);
    if (old >= form_.header_bytes() && is_inside(old, old_bytes) && old + old_bytes >= file_.size() &&
        link < old) {
      file_.resize(static_cast<size_t>(old));
    }
    file_.resize((file_.size() + 1) / 2 * 2);
    set_offset(link, file_.size());
    append(directory);
  }

 private:
  bool is_inside(uint64_t offset, uint64_t bytes) const {
    return offset <= file_.size() && bytes <= file_.size() - offset;
  }

  void append(const Directory& directory) {
    const auto add = [this](uint64_t value, size_t bytes) {
      file_.resize(file_.size() + bytes);
      form_.put(value, std::span(file_).last(bytes));
    };
    add(directory.tags.size(), form_.tag_count_bytes());
    for (const Tag& tag : directory.tags) {
      add(tag.number, 2);
      add(tag.type, 2);
      add(tag.count, form_.offset_bytes());
      file_.insert(file_.end(), tag.value.begin(),
                   tag.value.begin() + static_cast<ptrdiff_t>(form_.offset_bytes()));
    }
    add(directory.next, form_.offset_bytes());
  }

  Data& file_;
  Form form_;
};

// --- tags
// ------------------------------------------------------------------------------------------------------

struct TagValues {
  uint16_t number;
  uint16_t type;
  std::vector<uint64_t> values;
};

// The tags that libtiff or we look at, with what decides something.
const std::vector<TagValues>& known_tags() {
  static const std::vector<TagValues> tags = {
      {256, 4, {1, 2, 7, 16, 64, 512, 60000}},                                       // width
      {257, 4, {1, 2, 7, 16, 64, 512, 60000}},                                       // height
      {258, 3, {1, 2, 4, 8, 12, 16, 24, 32, 64}},                                    // bits
      {259, 3, {1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34676, 34925, 50000}},  // compression
      {262, 3, {0, 1, 2, 3, 4, 5, 6, 8, 32844, 32845}},                              // photometric
      {266, 3, {1, 2}},                                                              // fill order
      {273, 4, {8, 16, 100}},                                                        // strip offsets
      {274, 3, {0, 1, 3, 5, 6, 8, 9}},                                               // orientation
      {277, 3, {0, 1, 2, 3, 4, 5, 8, 9, 1000}},                                      // samples
      {278, 4, {0, 1, 3, 16, 60000, 0xFFFFFFFF}},                                    // rows a strip
      {279, 4, {0, 1, 64, 0xFFFFFFFF}},                                              // strip byte counts
      {284, 3, {1, 2}},                                                              // planar
      {292, 4, {0, 1, 4, 5}},                                                        // T4 options
      {317, 3, {1, 2, 3}},                                                           // predictor
      {320, 3, {8, 100}},                                                            // colour map
      {322, 4, {16, 32, 64, 60000, 1 << 20}},                                        // tile width
      {323, 4, {16, 32, 64, 60000, 1 << 20}},                                        // tile height
      {324, 4, {8, 16, 100}},                                                        // tile offsets
      {325, 4, {0, 1, 64, 0xFFFFFFFF}},                                              // tile byte counts
      {330, 4, {8, 100}},                                                            // sub-directories
      {338, 3, {0, 1, 2}},                                                           // extra samples
      {339, 3, {1, 2, 3, 4, 5, 6}},                                                  // sample format
      {347, 7, {8, 100}},                                                            // JPEG tables
      {512, 3, {1, 14}},                                                             // old JPEG: process
      {513, 4, {8, 100}},                                                            // old JPEG: offset
      {514, 4, {0, 64, 0xFFFFFFFF}},                                                 // old JPEG: bytes
      {515, 3, {0, 4}},    // old JPEG: restart interval
      {519, 4, {8, 100}},  // old JPEG: tables
      {520, 4, {8, 100}},
      {521, 4, {8, 100}},
      {530, 3, {1, 2, 4, 8}},  // YCbCr subsampling
      {531, 3, {1, 2}},
      {532, 5, {8, 100}},
      {32997, 4, {1, 2, 64}},  // depth
  };
  return tags;
}

uint64_t some_value(Random& random, const TagValues& tag, const TiffBytes& file) {
  switch (below(random, 4)) {
    case 0:
      return below(random, static_cast<size_t>(file.size()) + 16);
    case 1:
      return one_of<uint64_t>(random, {0, 1, 255, 256, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF,
                                       uint64_t{1} << 40, UINT64_MAX});
    default:
      return tag.values[below(random, tag.values.size())];
  }
}

size_t bytes_of_type(uint16_t type) {
  constexpr uint8_t kBytes[] = {1, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 1, 1, 8, 8, 8};
  return type < std::size(kBytes) ? kBytes[type] : 1;
}

// A single value stands at the left of its field, in its type's size.
void set_value(Tag& tag, uint64_t value, const Form& form) {
  tag.value = {};
  const size_t bytes =
      std::min(tag.count > 1 ? form.offset_bytes() : bytes_of_type(tag.type), form.offset_bytes());
  form.put(value, std::span(tag.value).first(bytes));
}

const TagValues& description(uint16_t number) {
  const auto known = std::ranges::find(known_tags(), number, &TagValues::number);
  return known != known_tags().end() ? *known : known_tags().front();
}

void sort_tags(Directory& directory) { std::ranges::stable_sort(directory.tags, {}, &Tag::number); }

void insert_tag(Directory& directory, Random& random, const TiffBytes& file) {
  if (directory.tags.size() >= kMaxTags) return;
  const TagValues& chosen = known_tags()[below(random, known_tags().size())];
  Tag tag{chosen.number, chosen.type, 1, {}};
  set_value(tag, some_value(random, chosen, file), file.form());
  directory.tags.push_back(tag);
  sort_tags(directory);
}

void erase_tag(Directory& directory, Random& random, const TiffBytes&) {
  if (directory.tags.empty()) return;
  directory.tags.erase(directory.tags.begin() + static_cast<ptrdiff_t>(below(random, directory.tags.size())));
}

void repeat_tag(Directory& directory, Random& random, const TiffBytes&) {
  if (directory.tags.empty() || directory.tags.size() >= kMaxTags) return;
  directory.tags.push_back(directory.tags[below(random, directory.tags.size())]);
  if (below(random, 4) != 0) sort_tags(directory);
}

void change_value(Directory& directory, Random& random, const TiffBytes& file) {
  if (directory.tags.empty()) return;
  Tag& tag = directory.tags[below(random, directory.tags.size())];
  set_value(tag, some_value(random, description(tag.number), file), file.form());
}

void change_type(Directory& directory, Random& random, const TiffBytes&) {
  if (directory.tags.empty()) return;
  directory.tags[below(random, directory.tags.size())].type = static_cast<uint16_t>(below(random, 20));
}

void change_count(Directory& directory, Random& random, const TiffBytes&) {
  if (directory.tags.empty()) return;
  directory.tags[below(random, directory.tags.size())].count = one_of<uint64_t>(
      random, {0, 1, 2, 3, 4, 16, 256, 768, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF, UINT64_MAX});
}

void change_number(Directory& directory, Random& random, const TiffBytes&) {
  if (directory.tags.empty()) return;
  directory.tags[below(random, directory.tags.size())].number =
      known_tags()[below(random, known_tags().size())].number;
  sort_tags(directory);
}

void change_next(Directory& directory, Random& random, const TiffBytes& file) {
  const uint64_t somewhere = below(random, static_cast<size_t>(file.size()) + 16);
  directory.next = one_of<uint64_t>(random, {0, 8, 16, somewhere, 0xFFFFFFFF});
}

void change_tags(TiffBytes& file, Random& random) {
  constexpr void (*kChanges[])(Directory&, Random&, const TiffBytes&) = {
      insert_tag,   insert_tag,  erase_tag,    repeat_tag,    change_value, change_value,
      change_value, change_type, change_count, change_number, change_next};
  const size_t link = file.some_link(random);
  Directory directory = file.read_directory(file.offset_at(link));
  for (size_t i = below(random, 3) + 1; i > 0; --i) {
    kChanges[below(random, std::size(kChanges))](directory, random, file);
  }
  file.write_directory(link, directory);
}

// Makes a directory the first, or chains a copy of it behind itself.
void chain_directories(TiffBytes& file, Random& random) {
  const size_t first = file.form().first_directory_at();
  const size_t link = file.some_link(random);
  if (below(random, 2) == 0) return file.set_offset(first, file.offset_at(link));
  Directory copy = file.read_directory(file.offset_at(link));
  copy.next = file.offset_at(link);
  file.write_directory(first, copy);
}

// The bytes of the pixels, in front of the directories that our seeds have at their end.
void change_pixels(Data& data, const TiffBytes& file) {
  const size_t start = file.form().header_bytes();
  const uint64_t directory = file.offset_at(file.form().first_directory_at());
  const size_t end = static_cast<size_t>(std::min<uint64_t>(directory, data.size()));
  if (end <= start) return;
  LLVMFuzzerMutate(data.data() + start, end - start, end - start);
}

void change_file(Data& data, Random& random) {
  TiffBytes file(data);
  switch (below(random, 8)) {
    case 0:
      return change_pixels(data, file);
    case 1:
      return chain_directories(file, random);
    default:
      return change_tags(file, random);
  }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Random random(seed);
  Data file(data, data + size);
  if (!TiffBytes::is_one(file) || below(random, 16) == 0) return LLVMFuzzerMutate(data, size, max_size);
  change_file(file, random);
  if (file.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::ranges::copy(file, data);
  return file.size();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const mii::DecodeOptions options{.limits = {.max_pixels = 1 << 16, .max_file_bytes = 1 << 20}};
  mii::Canvas canvas(options.limits);
  try {
    mii::image::decode_tiff(std::as_bytes(std::span(data, size)), options, canvas);
  } catch (const mii::Error& error) {
    if (error.code() == mii::ErrorCode::internal) __builtin_trap();
    return 0;
  }
  return canvas.take().pixels().empty() ? -1 : 0;
}
