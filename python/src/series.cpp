#include "mii/series.h"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "guarded_engine.h"
#include "interrupts.h"
#include "mii/error.h"
#include "pipeline/provenance.h"
#include "pipeline/series_reader.h"

namespace mii::python {
namespace {

Pooling parse_pooling(const std::string& name) {
  if (name == "mean") return Pooling::mean;
  if (name == "median") return Pooling::median;
  if (name == "max") return Pooling::max;
  if (name == "std") return Pooling::std;
  throw Error(ErrorCode::invalid_argument, "pooling '" + name + "', expected mean, median, max or std");
}

std::string repr(const Series& series) {
  return "Series(" + series.modality + ", " + std::to_string(series.slices.size()) + " slices)";
}

// (vectors [n, D], the slices that they are of, failures, provenance of the first as JSON or None)
nb::tuple encode(const GuardedEngine& guarded, const Series& series, const DecodeOptions& options,
                 nb::object progress) {
  const auto engine = guarded.get();
  Interrupts interrupts(std::move(progress), series.slices.size());
  pipeline::EncodedSeries encoded;
  {
    const nb::gil_scoped_release released;
    encoded = pipeline::encode_series(
        *engine, series.slices, options,
        {.progress = [&](size_t n) { interrupts.advance(n); }, .cancelled = interrupts.asked()});
  }
  interrupts.rethrow();
  nb::list failures;
  for (const pipeline::Failure& f : encoded.failures) failures.append(nb::make_tuple(f.input, f.reason));
  nb::object provenance = nb::none();
  if (encoded.provenance) provenance = nb::cast(pipeline::provenance_json(*encoded.provenance));
  return nb::make_tuple(to_numpy(std::move(encoded.vectors)), encoded.rows, failures, provenance);
}

}  // namespace

void bind_series(nb::module_& module) {
  nb::class_<Slice>(module, "Slice", "One image of a series: a frame of a file.")
      .def_ro("file", &Slice::file)
      .def_ro("frame", &Slice::frame, "Counted from 0.")
      .def_ro("position_mm", &Slice::position_mm, "Along the normal of the slices, where it is known.")
      .def("__repr__", [](const Slice& s) { return "Slice('" + pipeline::name_of(s) + "')"; });
  nb::class_<Series>(module, "Series", "Images that belong together, in their order in space.")
      .def_ro("modality", &Series::modality, "DICOM's code, or 'NIfTI'.")
      .def_ro("body_part", &Series::body_part)
      .def_ro("number", &Series::number)
      .def_ro("rows", &Series::rows)
      .def_ro("cols", &Series::cols)
      .def_ro("slices", &Series::slices)
      .def_ro("warnings", &Series::warnings, "Gaps, duplicates, mixed orientation, no positions.")
      .def_ro("study_instance_uid", &Series::study_instance_uid)
      .def_ro("series_instance_uid", &Series::series_instance_uid)
      .def("__len__", [](const Series& s) { return s.slices.size(); })
      .def("__repr__", &repr);
  module.def(
      "find_series",
      [](const std::vector<std::filesystem::path>& paths, const DecodeOptions& options) {
        SeriesScan scan;
        {
          const nb::gil_scoped_release released;
          scan = find_series(paths, options.plane);
        }
        nb::list skipped;
        for (const SkippedFile& file : scan.skipped)
          skipped.append(nb::make_tuple(file.file.string(), file.reason));
        return nb::make_tuple(std::move(scan.series), skipped);
      },
      nb::arg("paths"), nb::arg("options"));
  module.def("encode_series", &encode, nb::arg("engine"), nb::arg("series"), nb::arg("options"),
             nb::arg("progress").none());
  module.def(
      "pool_slices",
      [](const Rows& slices, const std::string& pooling) {
        return to_numpy(mii::pool_slices(to_matrix(slices), parse_pooling(pooling)));
      },
      nb::arg("slices"), nb::arg("pooling"));
}

}  // namespace mii::python
