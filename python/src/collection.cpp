#include "search/collection.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "guarded_engine.h"
#include "interrupts.h"
#include "mii/error.h"
#include "pipeline/fill_collection.h"
#include "pipeline/identity.h"
#include "search/evidence.h"
#include "search/open.h"
#include "search/postgres.h"
#include "search/query.h"

namespace mii::python {
namespace {

using search::Collection;
using search::Item;
using GuardedCollection = Guarded<Collection>;

// What a call of the library returns, which may wait for a disk or a server.
template <typename Call>
auto without_gil(const Call& call) {
  const nb::gil_scoped_release released;
  return call();
}

std::unique_ptr<GuardedCollection> open(const std::string& name, bool write) {
  const nb::gil_scoped_release released;
  return std::make_unique<GuardedCollection>(
      "the collection " + search::shown_name(name),
      std::shared_ptr(search::open_collection(name, write ? search::Access::write : search::Access::read)));
}

void create(const std::string& name, const std::string& store) {
  if (store != "f32" && store != "bf16")
    throw Error(ErrorCode::invalid_argument, "store '" + store + "', expected f32 or bf16");
  search::create_collection(name, store == "bf16" ? DType::bf16 : DType::f32);
}

nb::dict info(const GuardedCollection& guarded) {
  const auto collection = guarded.get();
  const search::CollectionInfo found = without_gil([&] { return collection->info(); });
  nb::dict dict;
  dict["items"] = found.items;
  dict["removed"] = found.removed;
  dict["version"] = found.version;
  dict["dim"] = found.dim;
  dict["stored"] = found.precision == DType::f32 ? "f32" : "bf16";
  dict["columns"] = found.columns;
  dict["identity"] = found.identity ? nb::cast(*found.identity) : nb::none();
  return dict;
}

using Attributes = std::vector<std::pair<std::string, std::string>>;

std::pair<size_t, size_t> add(const GuardedCollection& guarded, const std::vector<std::string>& ids,
                              const Rows& rows, const Identity& identity,
                              const std::vector<Attributes>& attributes) {
  const auto collection = guarded.get();
  const Matrix vectors = to_matrix(rows);
  const nb::gil_scoped_release released;
  std::vector<Item> items(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    items[i].id = ids[i];
    for (const auto& [column, value] : attributes[i]) search::set_attribute(items[i], column, value);
  }
  const search::AddCounts counts = collection->add(items, vectors, identity);
  return {counts.added, counts.replaced};
}

// What is added, and what became of it.
struct Filling {
  std::vector<pipeline::ImageItem> items;
  std::vector<pipeline::Failure> failures;
  pipeline::CollectionFiller::Counts counts;
};

void fill(Collection& collection, const Engine& engine, const pipeline::EncodeItems& options,
          Filling& filling) {
  const Identity identity = engine.identity(pipeline::preprocessing_text(options.decode));
  if (const auto expected = collection.info().identity) search::check_identity(identity, *expected);
  pipeline::CollectionFiller filler(collection, options.read.cancelled);
  const auto failed = pipeline::encode_items(
      engine, filler.without_known(std::move(filling.items)), options,
      [&](const std::vector<Item>& items, const Matrix& vectors) { filler.add(items, vectors, identity); });
  filling.failures.insert(filling.failures.end(), failed.begin(), failed.end());
  filling.counts = filler.finish();
}

// {"added", "replaced", "unchanged", "failures"} of what `items` finds.
nb::dict add_images(const GuardedCollection& guarded, const GuardedEngine& guarded_engine,
                    const DecodeOptions& decode, bool thumbnails, nb::object progress,
                    const std::function<void(Filling&)>& find) {
  const auto collection = guarded.get();
  const auto engine = guarded_engine.get();
  Interrupts interrupts(std::move(progress), 0);
  Filling filling;
  {
    const nb::gil_scoped_release released;
    find(filling);
    fill(*collection, *engine,
         {.decode = decode,
          .thumbnails = thumbnails,
          .read = {.progress = [&](size_t n) { interrupts.advance(n); }, .cancelled = interrupts.asked()}},
         filling);
  }
  interrupts.rethrow();
  nb::dict told;
  told["added"] = filling.counts.added;
  told["replaced"] = filling.counts.replaced;
  told["unchanged"] = filling.counts.unchanged;
  nb::list failures;
  for (const pipeline::Failure& f : filling.failures) failures.append(nb::make_tuple(f.input, f.reason));
  told["failures"] = failures;
  return told;
}

nb::dict add_paths(const GuardedCollection& collection, const GuardedEngine& engine,
                   const std::vector<std::string>& paths, const DecodeOptions& decode, bool thumbnails,
                   nb::object progress) {
  return add_images(collection, engine, decode, thumbnails, std::move(progress), [&](Filling& filling) {
    pipeline::FoundImages found = pipeline::find_images(paths);
    filling.failures = std::move(found.failures);
    filling.items = pipeline::items_of(found.inputs);
  });
}

nb::dict add_manifest(const GuardedCollection& collection, const GuardedEngine& engine,
                      const std::string& file, const std::vector<std::string>& where,
                      const DecodeOptions& decode, bool thumbnails, nb::object progress) {
  return add_images(collection, engine, decode, thumbnails, std::move(progress), [&](Filling& filling) {
    filling.items = pipeline::items_of(Manifest::read(file, where), decode, false);
  });
}

nb::dict dict_of(const Item& item) {
  nb::dict attributes;
  for (const search::Attribute& attribute : item.attributes)
    attributes[attribute.column.c_str()] = attribute.value;
  nb::dict dict;
  dict["id"] = item.id;
  dict["attributes"] = attributes;
  return dict;
}

nb::list find(const GuardedCollection& guarded, const std::vector<std::string>& ids) {
  const auto collection = guarded.get();
  nb::list found;
  for (const auto& item : without_gil([&] { return collection->find(ids); }))
    found.append(item ? nb::object(dict_of(*item)) : nb::none());
  return found;
}

nb::list page(const GuardedCollection& guarded, const std::string& after, size_t limit) {
  const auto collection = guarded.get();
  nb::list items;
  for (const Item& item : without_gil([&] { return collection->page(after, limit); }))
    items.append(dict_of(item));
  return items;
}

search::SearchOptions options_of(size_t k, const std::string& filter,
                                 const std::vector<std::string>& leave_out, const std::string& one_per,
                                 std::optional<float> fold, std::optional<uint64_t> version,
                                 const std::string& stage) {
  search::SearchOptions options{.k = k,
                                .leave_out = leave_out,
                                .one_per = one_per,
                                .fold_from = fold,
                                .version = version,
                                .stage = search::parse_stage(stage)};
  if (!filter.empty()) options.filter = search::parse_filter(filter);
  return options;
}

std::string search_one(const GuardedCollection& guarded, const Rows& like, const Rows& unlike,
                       const search::SearchOptions& options, const std::vector<std::string>& votes) {
  const auto collection = guarded.get();
  const Matrix liked = to_matrix(like), unliked = to_matrix(unlike);
  const nb::gil_scoped_release released;
  return to_json(search_with_evidence(*collection, search::query_of(liked, unliked), options, votes));
}

// For each query its hits as (id, similarity).
nb::list search_many(const GuardedCollection& guarded, const Rows& queries,
                     const search::SearchOptions& options) {
  const auto collection = guarded.get();
  const Matrix asked = to_matrix(queries);
  nb::list found;
  for (const search::Answer& answer : without_gil([&] { return collection->search(asked, options); })) {
    nb::list hits;
    for (const search::Hit& hit : answer.hits) hits.append(nb::make_tuple(hit.item.id, hit.similarity));
    found.append(hits);
  }
  return found;
}

}  // namespace

void bind_collection(nb::module_& module) {
  const nb::class_<search::SearchOptions> options(module, "SearchOptions");
  module.def("search_options", &options_of, nb::arg("k"), nb::arg("filter"), nb::arg("leave_out"),
             nb::arg("one_per"), nb::arg("fold").none(), nb::arg("version").none(), nb::arg("stage"));
  nb::class_<GuardedCollection>(module, "Collection")
      .def_static("open", &open, nb::arg("name"), nb::arg("write"))
      .def_static("create", &create, nb::arg("name"), nb::arg("store"),
                  nb::call_guard<nb::gil_scoped_release>())
      .def("info", &info)
      .def("add", &add, nb::arg("ids"), nb::arg("vectors"), nb::arg("identity"), nb::arg("attributes"))
      .def("add_images", &add_paths, nb::arg("engine"), nb::arg("paths"), nb::arg("options"),
           nb::arg("thumbnails"), nb::arg("progress").none())
      .def("add_manifest", &add_manifest, nb::arg("engine"), nb::arg("manifest"), nb::arg("where"),
           nb::arg("options"), nb::arg("thumbnails"), nb::arg("progress").none())
      .def(
          "remove",
          [](const GuardedCollection& c, const std::vector<std::string>& ids) {
            return c.get()->remove(ids);
          },
          nb::arg("ids"), nb::call_guard<nb::gil_scoped_release>())
      .def("find", &find, nb::arg("ids"))
      .def("page", &page, nb::arg("after"), nb::arg("limit"))
      .def(
          "vectors",
          [](const GuardedCollection& c, const std::vector<std::string>& ids) {
            const auto collection = c.get();
            return to_numpy(without_gil([&] { return collection->vectors(ids); }));
          },
          nb::arg("ids"))
      .def("search", &search_one, nb::arg("like"), nb::arg("unlike"), nb::arg("options"), nb::arg("votes"))
      .def("search_many", &search_many, nb::arg("queries"), nb::arg("options"))
      .def(
          "compact", [](const GuardedCollection& c) { c.get()->compact(); },
          nb::call_guard<nb::gil_scoped_release>())
      .def(
          "verify", [](const GuardedCollection& c) { return c.get()->verify(); },
          nb::call_guard<nb::gil_scoped_release>())
      .def(
          "export",
          [](const GuardedCollection& c, const std::string& file) {
            pipeline::export_collection(*c.get(), file);
          },
          nb::arg("file"), nb::call_guard<nb::gil_scoped_release>())
      .def("closed", &GuardedCollection::closed)
      .def("close", &GuardedCollection::close, nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace mii::python
