#include "bindings.h"

NB_MODULE(_core, module) {
  using namespace mii::python;
  if (PyInterpreterState_Get() != PyInterpreterState_Main())
    throw nb::import_error("medimageinsight: works in the main interpreter only, not in a subinterpreter");
  module.attr("version") = MII_VERSION;
  bind_errors(module);
  bind_decode_options(module);
  bind_identity(module);
  bind_images(module);
  bind_heads(module);
  bind_engine(module);
  bind_series(module);
  bind_collection(module);
  bind_evaluation(module);
  bind_verification(module);
}
