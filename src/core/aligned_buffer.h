#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace mii {

/// A block of n values of a trivial type, aligned to a cache line, not initialised. Move-only.
/// A large one is a mapping of its own: on the heap, what is freed between two that stay would stay as well.
template <typename T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t n) : size_(n), data_(allocate(n)) {}

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }
  std::span<T> span() { return {data(), size_}; }
  std::span<const T> span() const { return {data(), size_}; }

  /// Makes room for at least n values; what was in it is lost when it grows.
  void reserve_discarding(size_t n) {
    if (n > size_) {
      data_.reset();
      size_ = 0;
      data_ = allocate(n);
      size_ = n;
    }
  }

 private:
  static constexpr size_t kAlignment = 64;
  static constexpr size_t kMapped = size_t{1} << 20;

  struct Free {
    void operator()(T* p) const {
      if (bytes >= kMapped)
        munmap(p, bytes);
      else
        std::free(p);
    }
    size_t bytes = 0;
  };
  using Values = std::unique_ptr<T[], Free>;

  static Values allocate(size_t n) {
    if (n > (SIZE_MAX - kAlignment) / sizeof(T)) throw std::bad_alloc();
    const size_t bytes = (n * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    if (bytes < kMapped) {
      void* p = std::aligned_alloc(kAlignment, bytes == 0 ? kAlignment : bytes);
      if (p == nullptr) throw std::bad_alloc();
      return Values(static_cast<T*>(p), {bytes});
    }
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    return Values(static_cast<T*>(p), {bytes});
  }

  size_t size_ = 0;
  Values data_;
};

}  // namespace mii
