#pragma once

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace mii::python {

// Each binds one class and what belongs to it.
void bind_errors(nb::module_& module);
void bind_decode_options(nb::module_& module);
void bind_identity(nb::module_& module);
void bind_images(nb::module_& module);
void bind_heads(nb::module_& module);
void bind_engine(nb::module_& module);
void bind_series(nb::module_& module);
void bind_collection(nb::module_& module);
void bind_evaluation(nb::module_& module);
void bind_verification(nb::module_& module);

}  // namespace mii::python
