#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mii::search {

/// A set of rows 0 .. size - 1.
class Bitmap {
 public:
  Bitmap() = default;
  explicit Bitmap(size_t size, bool value = false)
      : size_(size), words_((size + 63) / 64, value ? ~uint64_t{0} : 0) {
    clear_beyond_end();
  }

  size_t size() const { return size_; }
  bool test(size_t row) const { return (words_[row / 64] >> (row % 64) & 1) != 0; }
  void set(size_t row) { words_[row / 64] |= uint64_t{1} << (row % 64); }
  void reset(size_t row) { words_[row / 64] &= ~(uint64_t{1} << (row % 64)); }
  /// Rows that are new are in the set where value says so.
  void resize(size_t size, bool value) {
    const size_t old = size_;
    size_ = size;
    words_.resize((size + 63) / 64, 0);
    for (size_t row = old; value && row < size; ++row) set(row);
    clear_beyond_end();
  }

  size_t count() const {
    size_t total = 0;
    for (const uint64_t word : words_) total += static_cast<size_t>(std::popcount(word));
    return total;
  }

  Bitmap& operator&=(const Bitmap& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
    return *this;
  }
  Bitmap& operator|=(const Bitmap& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
    return *this;
  }
  void flip() {
    for (uint64_t& word : words_) word = ~word;
    clear_beyond_end();
  }

  /// The rows from first (a multiple of 64) to first + count - 1, as 0 .. count - 1.
  Bitmap part(size_t first, size_t count) const {
    Bitmap part(count);
    std::copy_n(words_.begin() + static_cast<std::ptrdiff_t>(first / 64), part.words_.size(),
                part.words_.begin());
    part.clear_beyond_end();
    return part;
  }

  /// Appends the rows of the set from first (a multiple of 64) to first + count - 1.
  void append_rows(size_t first, size_t count, std::vector<uint32_t>& rows) const {
    const size_t end = first + count < size_ ? first + count : size_;
    for (size_t begin = first; begin < end; begin += 64)
      for (uint64_t word = words_[begin / 64]; word != 0; word &= word - 1)
        if (const size_t row = begin + static_cast<size_t>(std::countr_zero(word)); row < end)
          rows.push_back(static_cast<uint32_t>(row));
  }

 private:
  void clear_beyond_end() {
    if (size_ % 64 != 0) words_.back() &= (uint64_t{1} << (size_ % 64)) - 1;
  }

  size_t size_ = 0;
  std::vector<uint64_t> words_;
};

}  // namespace mii::search
