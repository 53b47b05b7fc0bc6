#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "core/aligned_buffer.h"
#include "core/tensor.h"

// What the backends that compute on the host share: their numbers lie in plain memory.

namespace mii {

class HostStorage final : public Storage {
 public:
  explicit HostStorage(int64_t values) : values_(static_cast<size_t>(values)) {}
  float* data() { return values_.data(); }
  const float* data() const { return values_.data(); }

 private:
  AlignedBuffer<float> values_;
};

inline float* row(const Rows& x, int64_t i) {
  return static_cast<HostStorage*>(x.storage)->data() + x.offset + i * x.cols;
}
inline const float* row(const ConstRows& x, int64_t i) {
  return static_cast<const HostStorage*>(x.storage)->data() + x.offset + i * x.cols;
}
/// Null for an empty one.
inline const float* data(const Vector& x) { return x.empty() ? nullptr : row(x.as_row(), 0); }

/// A table that stays where it is; its rows are read when they are needed.
class HostTable final : public PackedMatrix {
 public:
  explicit HostTable(RowTable table) : table_(std::move(table)) {}

  /// to[C] = table[i].
  void copy_row(int64_t i, float* to) const { table_.read(i, to); }

 private:
  RowTable table_;
};

/// Bytes that stay where they are.
class HostImages final : public SentImages {
 public:
  explicit HostImages(std::span<const ImageBytes> images)
      : SentImages(images.size()), images_(images.begin(), images.end()) {}

  std::span<const ImageBytes> images() const { return images_; }

 private:
  std::vector<ImageBytes> images_;
};

class HostBackend : public Backend {
 public:
  std::unique_ptr<SentImages> send_images(std::span<const ImageBytes> images) override {
    return std::make_unique<HostImages>(images);
  }
  void scale_pixels(const SentImages& sent, const PixelScale& scale, Rows y) override {
    const auto images = static_cast<const HostImages&>(sent).images();
    const int64_t each = y.rows / static_cast<int64_t>(images.size());
    for (size_t i = 0; i < images.size(); ++i)
      scale_image(images[i].rgb, scale, y.slice(static_cast<int64_t>(i) * each, each));
  }

  std::unique_ptr<Storage> allocate(int64_t values) override { return std::make_unique<HostStorage>(values); }

  void upload(std::span<const float> from, Rows to) override {
    std::memcpy(row(to, 0), from.data(), from.size_bytes());
  }
  void download(ConstRows from, std::span<float> to) override {
    std::memcpy(to.data(), row(from, 0), to.size_bytes());
  }
  std::unique_ptr<PackedMatrix> pack_table(RowTable table) override {
    return std::make_unique<HostTable>(std::move(table));
  }
  void gather_rows(ConstRows x, std::span<const int64_t> which, Rows y) override {
    for (int64_t i = 0; i < y.rows; ++i)
      std::memcpy(row(y, i), row(x, which[static_cast<size_t>(i)]),
                  static_cast<size_t>(y.cols) * sizeof(float));
  }

 protected:
  /// rgb: [H*W, 3]; y: [H*W, 3].
  virtual void scale_image(std::span<const uint8_t> rgb, const PixelScale& scale, Rows y) const = 0;
};

}  // namespace mii
