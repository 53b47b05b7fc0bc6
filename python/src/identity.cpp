#include "mii/identity.h"

#include <nanobind/operators.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "bindings.h"

namespace mii::python {

void bind_identity(nb::module_& module) {
  nb::class_<Identity>(module, "Identity",
                       "By what vectors were made. Vectors of different identities are not to be compared.")
      .def_ro("weights", &Identity::weights, "SHA-256 of the weights' file.")
      .def_ro("config", &Identity::config, "SHA-256 of config.yaml.")
      .def_ro("tokenizer", &Identity::tokenizer, "SHA-256 of the tokenizer's files.")
      .def_ro("precision", &Identity::precision)
      .def_ro("preprocessing", &Identity::preprocessing)
      .def_ro("version", &Identity::version)
      .def_prop_ro("fingerprint", &Identity::fingerprint, "16 hexadecimal digits.")
      .def("json", &Identity::json)
      .def_static("parse", &Identity::parse, nb::arg("json"))
      .def("differences_from", &Identity::differences_from, nb::arg("expected"), "A sentence for each part.")
      .def(nb::self == nb::self, nb::sig("def __eq__(self, arg: object, /) -> bool"))
      .def("__hash__", [](const Identity& i) { return std::hash<std::string>()(i.fingerprint()); })
      .def("__repr__", [](const Identity& i) {
        return "Identity(" + i.fingerprint() + ", " + i.precision + ", " + i.preprocessing + ")";
      });
}

}  // namespace mii::python
