#include "backend/cuda/slots.h"

#include <utility>

namespace mii::cuda {

Slots::Slots(std::shared_ptr<Device> device) : device_(std::move(device)) {
  for (size_t i = 0; i < kSlots; ++i)
    free_.push_back(std::make_unique<Slot>(Slot{{}, device_->make_side_stream()}));
}

void Slots::GiveBack::operator()(Slot* slot) const noexcept {
  {
    const std::lock_guard lock(slots->mutex_);
    slots->free_.emplace_back(slot);  // within its first capacity
  }
  slots->given_back_.notify_one();
}

Slots::TakenSlot Slots::take() {
  std::unique_lock lock(mutex_);
  given_back_.wait(lock, [&] { return !free_.empty(); });
  TakenSlot slot(free_.back().release(), GiveBack{shared_from_this()});
  free_.pop_back();
  return slot;
}

std::unique_ptr<SentImages> Slots::send(std::span<const ImageBytes> images) {
  TakenSlot slot = take();
  int64_t bytes = 0;
  for (const ImageBytes& image : images) bytes += static_cast<int64_t>(image.rgb.size());
  slot->memory.reserve(device_, bytes);
  auto* to = slot->memory.as<uint8_t>();
  for (const ImageBytes& image : images) {
    slot->stream->copy_in(image.rgb.data(), to, static_cast<int64_t>(image.rgb.size()));
    to += image.rgb.size();
  }
  return std::make_unique<DeviceImages>(std::move(slot), images.size());
}

void Slots::free_memory() {
  const std::lock_guard lock(mutex_);
  for (const auto& slot : free_) slot->memory = Memory();
}

}  // namespace mii::cuda
