#include "interrupts.h"

namespace mii::python {
namespace {

// Often enough for a person, and seldom enough for other threads that want the GIL.
constexpr std::chrono::milliseconds kBetween{50};

}  // namespace

void Interrupts::look() {
  try {
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (!progress_.is_none()) progress_(done_, total_);
  } catch (nb::python_error& error) {
    raised_.emplace(std::move(error));
  }
}

bool Interrupts::cancelled() {
  if (raised_) return true;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return false;
  next_ = now + kBetween;
  const nb::gil_scoped_acquire gil;
  look();
  return raised_.has_value();
}

void Interrupts::rethrow() {
  if (!raised_) look();
  if (!raised_) return;
  raised_->restore();
  throw nb::python_error();
}

}  // namespace mii::python
