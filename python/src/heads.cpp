#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "heads/fitted_head.h"
#include "heads/head_file.h"
#include "mii/error.h"
#include "mii/head.h"

namespace mii::python {

Matrix to_matrix(const Rows& rows) {
  Matrix matrix(rows.shape(0), rows.shape(1));
  std::copy_n(rows.data(), matrix.values().size(), matrix.values().begin());
  return matrix;
}

namespace {

using heads::FittedHead;
using Coefficients = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

template <typename AnyHead>
Array score(const AnyHead& head, const Rows& vectors) {
  const Matrix given = to_matrix(vectors);
  Matrix scores;
  {
    const nb::gil_scoped_release released;
    scores = head.score(given);
  }
  return to_numpy(std::move(scores));
}

heads::Rows64 rows_of(const Coefficients& given) {
  heads::Rows64 rows(given.shape(0), given.shape(1));
  for (size_t k = 0; k < given.shape(0); ++k)
    std::copy_n(given.data() + k * given.shape(1), given.shape(1), rows.row(k).begin());
  return rows;
}

// What another program fitted: layers of weights [out, in + 1], the bias last, and what each does with its
// products. One layer is a linear head.
FittedHead head_of_layers(const std::string& field, std::vector<std::string> labels, bool several,
                          const std::vector<std::pair<Coefficients, std::string>>& layers,
                          const std::vector<std::pair<float, float>>& platt, const Identity& identity,
                          const std::string& data) {
  heads::HeadParts parts;
  parts.answer = several ? heads::Answer::several : heads::Answer::one;
  parts.field = field;
  parts.labels = std::move(labels);
  if (layers.size() == 1) {
    parts.coefficients = rows_of(layers.front().first);
  } else {
    parts.kind = heads::Kind::mlp;
    parts.mlp.emplace();
    for (const auto& [weights, then] : layers)
      parts.mlp->layers.push_back({.weights = rows_of(weights), .then = heads::parse_then(then)});
  }
  if (!platt.empty()) parts.calibration.kind = heads::Calibration::Kind::platt;
  for (const auto& [slope, offset] : platt) parts.calibration.platt.push_back({slope, offset});
  parts.points.resize(parts.labels.size());
  parts.identity = identity;
  parts.record.data = data;
  parts.record.labels.resize(parts.labels.size());
  return FittedHead(std::move(parts));
}

std::optional<std::pair<std::string, std::string>> band(const FittedHead& head, size_t label,
                                                        float probability) {
  if (label >= head.labels().size()) throw nb::index_error("a head has no such label");
  const auto found = head.band(label, probability);
  if (!found) return std::nullopt;
  return std::pair(std::string(found->name), found->points);
}

}  // namespace

void bind_heads(nb::module_& module) {
  nb::class_<ZeroShotHead>(module, "ZeroShotHead")
      .def_prop_ro("labels", &ZeroShotHead::labels)
      .def("score", &score<ZeroShotHead>, nb::arg("vectors"))
      .def_prop_ro(
          "label_vectors", [](const ZeroShotHead& h) { return to_numpy(h.label_vectors().clone()); },
          nb::rv_policy::move);
  nb::class_<FittedHead>(module, "FittedHead")
      .def_static("read", &heads::read_head, nb::arg("path"), nb::call_guard<nb::gil_scoped_release>())
      .def_static("of_layers", &head_of_layers, nb::arg("field"), nb::arg("labels"), nb::arg("several"),
                  nb::arg("layers"), nb::arg("platt"), nb::arg("identity"), nb::arg("data"))
      .def("write", &heads::write_head, nb::arg("path"), nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("labels", &FittedHead::labels)
      .def_prop_ro("field", [](const FittedHead& h) { return h.parts().field; })
      .def_prop_ro("kind", [](const FittedHead& h) { return heads::to_string(h.parts().kind); })
      .def_prop_ro("dim", &FittedHead::dim)
      .def_prop_ro("identity", [](const FittedHead& h) { return h.parts().identity; })
      .def_prop_ro("answers_value",
                   [](const FittedHead& h) { return h.parts().answer == heads::Answer::value; })
      .def_prop_ro("json", [](const FittedHead& h) { return heads::head_json(h.parts()); })
      .def_prop_ro("card", [](const FittedHead& h) { return heads::head_card(h.parts()); })
      .def("score", &score<FittedHead>, nb::arg("vectors"))
      .def("band", &band, nb::arg("label"), nb::arg("probability"))
      .def("expect_made_alike", &FittedHead::expect_made_alike, nb::arg("identity"));
}

}  // namespace mii::python
