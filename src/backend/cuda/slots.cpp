#include "backend/cuda/slots.h"

#include <map>
#include <utility>

namespace mii::cuda {
namespace {

template <typename T>
int64_t bytes_of(std::span<const T> values) {
  return static_cast<int64_t>(values.size_bytes());
}
int64_t bytes_of(const std::shared_ptr<const ResizeAxis>& axis) {
  return axis == nullptr ? 0 : bytes_of(std::span(axis->first)) + bytes_of(std::span(axis->weights));
}

}  // namespace

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
  // The axes first: their numbers are wider than bytes.
  std::map<std::shared_ptr<const ResizeAxis>, DeviceAxis> axes;
  for (const ImageBytes& image : images)
    for (const auto& axis : {image.across, image.down}) axes.try_emplace(axis);
  int64_t bytes = 0;
  for (const auto& [axis, on_device] : axes) bytes += bytes_of(axis);
  for (const ImageBytes& image : images) bytes += bytes_of(image.rgb);

  TakenSlot slot = take();
  slot->memory.reserve(device_, bytes);
  auto* to = slot->memory.as<std::byte>();
  const auto copy = [&](auto values) {
    const auto* at = to;
    slot->stream->copy_in(values.data(), to, bytes_of(values));
    to += bytes_of(values);
    return reinterpret_cast<decltype(values.data())>(at);
  };
  for (auto& [axis, on_device] : axes)
    if (axis != nullptr)
      on_device = {axis->in, axis->out, axis->taps, copy(std::span(axis->first)),
                   copy(std::span(axis->weights))};
  std::vector<DeviceImage> sent;
  for (const ImageBytes& image : images)
    sent.push_back({copy(image.rgb), bytes_of(image.rgb), axes.at(image.across), axes.at(image.down)});
  return std::make_unique<DeviceImages>(std::move(slot), std::move(sent));
}

void Slots::free_memory() {
  const std::lock_guard lock(mutex_);
  for (const auto& slot : free_) slot->memory = Memory();
}

}  // namespace mii::cuda
