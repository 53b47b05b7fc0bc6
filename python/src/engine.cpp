#include "mii/engine.h"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <limits>

#include "arrays.h"
#include "bindings.h"
#include "guarded_engine.h"
#include "inputs.h"
#include "interrupts.h"
#include "labels/reading.h"
#include "pipeline/identity.h"

namespace mii::python {
namespace {

constexpr size_t kTextsAtOnce = 64;

nb::tuple open(const std::filesystem::path& folder, const std::string& precision, const std::string& backend,
               int threads, size_t text_cache) {
  std::vector<std::string> warnings;
  EngineOptions options{.precision = parse_precision(precision),
                        .backend = backend,
                        .threads = threads,
                        .text_cache_entries = text_cache,
                        .warn = [&](std::string_view text) { warnings.emplace_back(text); }};
  std::shared_ptr<Engine> engine;
  {
    const nb::gil_scoped_release released;
    engine = std::make_shared<Engine>(Engine::open(folder, options));
  }
  return nb::make_tuple(std::make_unique<GuardedEngine>("the engine", std::move(engine)), warnings);
}

nb::dict info_of(const GuardedEngine& guarded) {
  const auto engine = guarded.get();
  const ModelInfo& info = engine->info();
  nb::dict dict;
  dict["weights_file"] = info.weights_file;
  dict["weights_bytes"] = info.weights_bytes;
  dict["stored_dtype"] = info.stored_dtype;
  dict["parameters"] = info.parameters;
  dict["image_size"] = nb::make_tuple(info.image_width, info.image_height);
  dict["stage_dims"] = info.stage_dims;
  dict["stage_depths"] = info.stage_depths;
  dict["text_context_length"] = info.text_context_length;
  dict["vocabulary_size"] = info.vocabulary_size;
  dict["embedding_dim"] = info.embedding_dim;
  dict["logit_scale"] = info.logit_scale;
  dict["precision"] = to_string(info.precision);
  dict["backend"] = info.backend;
  dict["threads"] = info.threads;
  return dict;
}

// What becomes of an image that cannot be read.
enum class OnError { raise, nan };

struct Encoding {
  Matrix vectors;
  std::vector<pipeline::Failure> failures;
};

// One image needs no threads beside this one.
void encode_one(const Engine& engine, pipeline::ImageSequence& images, Encoding& encoding) {
  std::optional<Image> image;
  try {
    image = images.read(0);
  } catch (const Error& error) {
    encoding.failures.push_back({images.name(0), error.what()});
    return;
  }
  encoding.vectors = engine.encode_images({&*image, 1});
}

Encoding encode_all(const Engine& engine, GivenImages& given, OnError on_error, Interrupts& interrupts) {
  const size_t dim = engine.info().embedding_dim;
  pipeline::ImageSequence images = given.sequence();
  Encoding encoding{.vectors = Matrix(images.size, dim)};
  std::ranges::fill(encoding.vectors.values(), std::numeric_limits<float>::quiet_NaN());
  if (images.size == 1) {
    encode_one(engine, images, encoding);
    return encoding;
  }
  pipeline::ReadOptions options;
  options.progress = [&](size_t n) { interrupts.advance(n); };
  options.cancelled = [&] {
    return (on_error == OnError::raise && given.first_failure()) || interrupts.cancelled();
  };
  encoding.failures = pipeline::encode_images(
      engine, images, options,
      [&](const std::vector<size_t>& rows, const Matrix& vectors, std::span<const Image>) {
        for (size_t i = 0; i < rows.size(); ++i)
          std::ranges::copy(vectors.row(i), encoding.vectors.row(rows[i]).begin());
      });
  return encoding;
}

nb::tuple encode_images(const GuardedEngine& guarded, const nb::list& list, const DecodeOptions& options,
                        bool nan_on_error, nb::object progress) {
  const auto engine = guarded.get();
  GivenImages given(list, options);
  Interrupts interrupts(std::move(progress), given.size());
  const OnError on_error = nan_on_error ? OnError::nan : OnError::raise;
  Encoding encoding;
  {
    const nb::gil_scoped_release released;
    encoding = encode_all(*engine, given, on_error, interrupts);
  }
  interrupts.rethrow();
  if (const auto failure = given.first_failure(); failure && on_error == OnError::raise)
    std::rethrow_exception(failure->second);
  nb::list failures;
  for (const pipeline::Failure& f : encoding.failures) failures.append(nb::make_tuple(f.input, f.reason));
  return nb::make_tuple(to_numpy(std::move(encoding.vectors)), failures);
}

Array encode_texts(const GuardedEngine& guarded, const std::vector<std::string>& texts, nb::object progress) {
  const auto engine = guarded.get();
  Interrupts interrupts(std::move(progress), texts.size());
  Matrix vectors(texts.size(), engine->info().embedding_dim);
  {
    const nb::gil_scoped_release released;
    for (size_t first = 0; first < texts.size() && !interrupts.cancelled(); first += kTextsAtOnce) {
      const size_t n = std::min(kTextsAtOnce, texts.size() - first);
      const Matrix some = engine->encode_texts(std::span(texts).subspan(first, n));
      std::ranges::copy(some.values(), vectors.row(first).begin());
      interrupts.advance(n);
    }
  }
  interrupts.rethrow();
  return to_numpy(std::move(vectors));
}

Array image_tokens(const GuardedEngine& guarded, const nb::list& list, const DecodeOptions& options) {
  const auto engine = guarded.get();
  const GivenImages given(list, options);
  ImageTokens tokens;
  {
    const nb::gil_scoped_release released;
    tokens = engine->encode_image_tokens(given.image(0));
  }
  const size_t channels = tokens.tokens.cols();
  return to_numpy(std::move(tokens.tokens), {tokens.rows, tokens.cols, channels});
}

// (maps [K, rows, cols], constants [K], scores [K])
nb::tuple explain(const GuardedEngine& guarded, const nb::list& list, const Rows& rows,
                  const DecodeOptions& options, bool gradient) {
  const auto engine = guarded.get();
  const GivenImages given(list, options);
  const Matrix directions = to_matrix(rows);
  TokenMaps maps;
  {
    const nb::gil_scoped_release released;
    const Image image = given.image(0);
    maps = gradient ? engine->gradient_maps(engine->encode_image_tokens(image, TokenStage::before_last),
                                            directions)
                    : std::move(engine->explain({&image, 1}, directions).front());
  }
  const size_t k = maps.maps.rows();
  return nb::make_tuple(to_numpy(std::move(maps.maps), {k, maps.rows, maps.cols}), maps.constants,
                        maps.scores);
}

// The head, and what its labels are scored by, where that is not themselves.
nb::tuple zero_shot_head(const GuardedEngine& guarded, const std::vector<std::string>& labels,
                         bool multilabel, const std::vector<std::string>& templates, bool duplicates,
                         bool as_written) {
  const auto engine = guarded.get();
  std::optional<ZeroShotHead> head;
  labels::Reading reading;
  {
    const nb::gil_scoped_release released;
    if (!as_written) reading = labels::read_labels(labels::Catalogue::built_in(), labels);
    head.emplace(engine->zero_shot_head(labels, {.multilabel = multilabel,
                                                 .prompts = reading.prompts,
                                                 .templates = templates,
                                                 .allow_duplicate_labels = duplicates}));
  }
  return nb::make_tuple(std::move(*head), reading.prompts, reading.warnings);
}

Identity identity(const GuardedEngine& guarded, const std::string& preprocessing) {
  const auto engine = guarded.get();
  Interrupts interrupts(nb::none(), 0);
  std::optional<Identity> found;
  try {
    const nb::gil_scoped_release released;
    found = engine->identity(preprocessing, interrupts.asked());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::cancelled) throw;
  }
  interrupts.rethrow();
  return std::move(*found);
}

}  // namespace

void bind_engine(nb::module_& module) {
  nb::class_<GuardedEngine>(module, "Engine")
      .def_static("open", &open, nb::arg("folder"), nb::arg("precision"), nb::arg("backend"),
                  nb::arg("threads"), nb::arg("text_cache"))
      .def("info", &info_of)
      .def("encode_images", &encode_images, nb::arg("images"), nb::arg("options"), nb::arg("nan_on_error"),
           nb::arg("progress").none())
      .def("encode_texts", &encode_texts, nb::arg("texts"), nb::arg("progress").none())
      .def("image_tokens", &image_tokens, nb::arg("images"), nb::arg("options"))
      .def("explain", &explain, nb::arg("images"), nb::arg("directions"), nb::arg("options"),
           nb::arg("gradient"))
      .def("zero_shot_head", &zero_shot_head, nb::arg("labels"), nb::arg("multilabel"), nb::arg("templates"),
           nb::arg("duplicates"), nb::arg("as_written"))
      .def("identity", &identity, nb::arg("preprocessing"))
      .def("count_tokens",
           [](const GuardedEngine& e, const std::string& text) { return e.get()->count_tokens(text); })
      .def("image_batch", [](const GuardedEngine& e) { return e.get()->image_batch(); })
      .def("closed", &GuardedEngine::closed)
      .def("close", &GuardedEngine::close, nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace mii::python
