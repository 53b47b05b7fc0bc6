#include "bindings.h"
#include "mii/error.h"

namespace mii::python {
namespace {

// The class that medimageinsight.errors has for the code, else that of all errors.
void raise(const Error& error) {
  const nb::module_ classes = nb::module_::import_("medimageinsight.errors");
  const nb::object of_code =
      classes.attr("BY_CODE").attr("get")(to_string(error.code()), classes.attr("Error"));
  // A text with a file's name may be no UTF-8.
  const nb::object text = nb::steal(PyUnicode_DecodeFSDefault(error.what()));
  PyErr_SetObject(of_code.ptr(), text.ptr());
}

}  // namespace

void bind_errors(nb::module_&) {
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      raise(error);
    }
  });
}

}  // namespace mii::python
