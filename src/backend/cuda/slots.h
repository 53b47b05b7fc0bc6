#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"

namespace mii::cuda {

/// An image's bytes on the device, and how they are resized; an axis without outputs has its size.
struct DeviceImage {
  const uint8_t* rgb = nullptr;
  int64_t bytes = 0;
  DeviceAxis across;
  DeviceAxis down;
};

/// Memory of a device for the bytes of a few batches of images, into which they go up on any thread while the
/// device computes.
class Slots : public std::enable_shared_from_this<Slots> {
 public:
  static constexpr size_t kSlots = 2;  ///< one is read, the next is filled

  explicit Slots(std::shared_ptr<Device> device);

  /// Waits until a slot is free, and copies the images into it.
  std::unique_ptr<SentImages> send(std::span<const ImageBytes> images);

  /// Gives back the memory of the slots that are free.
  void free_memory();

 private:
  friend class DeviceImages;
  struct Slot {
    Memory memory;
    std::unique_ptr<SideStream> stream;
  };
  struct GiveBack {
    std::shared_ptr<Slots> slots;
    void operator()(Slot* slot) const noexcept;
  };
  using TakenSlot = std::unique_ptr<Slot, GiveBack>;

  TakenSlot take();

  std::shared_ptr<Device> device_;
  std::mutex mutex_;
  std::condition_variable given_back_;
  // Guarded by mutex_. The last is taken first: who sends one batch after another needs the memory of one.
  std::vector<std::unique_ptr<Slot>> free_;
};

/// Images in a slot, which is theirs until they are destroyed.
class DeviceImages final : public SentImages {
 public:
  DeviceImages(Slots::TakenSlot slot, std::vector<DeviceImage> images)
      : SentImages(images.size()), slot_(std::move(slot)), images_(std::move(images)) {}

  /// While it lives, what comes into the device's stream may read the images.
  class Reading {
   public:
    explicit Reading(const DeviceImages& images) : stream_(*images.slot_->stream) { stream_.hand_over(); }
    ~Reading() { stream_.take_back(); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    SideStream& stream_;
  };

  const std::vector<DeviceImage>& images() const { return images_; }

 private:
  Slots::TakenSlot slot_;
  std::vector<DeviceImage> images_;
};

}  // namespace mii::cuda
