#include <array>
#include <cstdio>
#include <memory>

#include "commands.h"
#include "core/json_writer.h"
#include "dataset/manifest.h"
#include "image_flags.h"
#include "interrupt.h"
#include "mii/error.h"
#include "model_flags.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/fill_collection.h"
#include "pipeline/identity.h"
#include "search/collection_map.h"
#include "search/folder_collection.h"
#include "search/open.h"
#include "search/postgres_collection.h"

namespace mii {
namespace {

using search::Access;
using search::Collection;
using search::FolderCollection;
using search::Item;

struct Flags {
  std::string folder;
  std::string to;  // of export and snapshot
  std::string store = "f32";
  std::string vectors;  // of add
  bool thumbnails = false;
  bool json = false;
  std::vector<std::string> ids;
  std::string ids_from;
  std::string filter;  // of map
  std::string column;
  ImageFlags images;
  DecodeFlags decode;  // of rebuild
  ModelFlags model;
};

std::vector<pipeline::ImageItem> image_items(const ImageFlags& flags,
                                             std::vector<pipeline::Failure>& failures) {
  if (flags.manifest.empty()) {
    pipeline::FoundImages found = flags.find();
    failures = std::move(found.failures);
    return pipeline::items_of(found.inputs);
  }
  const Manifest manifest = Manifest::read(flags.manifest, flags.where);
  return pipeline::items_of(manifest, flags.decode.options(), flags.decode.all_frames());
}

int finish(const Flags& flags, Collection& collection, pipeline::CollectionFiller& filler,
           const std::vector<pipeline::Failure>& failures) {
  const auto counts = filler.finish();
  const search::CollectionInfo info = collection.info();
  if (!flags.model.quiet)
    say(std::to_string(counts.added) + " added, " + std::to_string(counts.replaced) + " replaced, " +
        std::to_string(counts.unchanged) + " unchanged; " + search::shown_name(flags.folder) + " has " +
        std::to_string(info.items) + " items, version " + std::to_string(info.version));
  if (interrupted()) say("interrupted; the same command continues");
  return report(failures);
}

int add_images(const Flags& flags) {
  std::vector<pipeline::Failure> failures;
  std::vector<pipeline::ImageItem> images = image_items(flags.images, failures);
  const auto collection = search::open_collection(flags.folder, Access::write);
  const DecodeOptions decode = flags.images.decode.options();
  const std::string preprocessing = pipeline::preprocessing_text(decode);
  const std::optional<Identity> expected = collection->info().identity;
  if (expected) {
    Identity as_asked = *expected;  // of the model nothing is known yet
    as_asked.preprocessing = preprocessing;
    search::check_identity(as_asked, *expected);
  }
  pipeline::CollectionFiller filler(*collection, interrupted);
  images = filler.without_known(std::move(images));
  if (!images.empty()) {
    const Engine engine = flags.model.open_for(expected, preprocessing);
    const Identity identity = engine.identity(preprocessing);
    Progress progress(images.size(), "images", flags.model.quiet);
    const auto failed = encode_items(
        engine, images, {decode, flags.thumbnails, read_options(progress)},
        [&](const std::vector<Item>& items, const Matrix& vectors) { filler.add(items, vectors, identity); });
    failures.insert(failures.end(), failed.begin(), failed.end());
  }
  return finish(flags, *collection, filler, failures);
}

int add_vectors(const Flags& flags) {
  pipeline::VectorReader vectors(flags.vectors);
  if (!vectors.identity())
    throw Error(ErrorCode::invalid_argument, flags.vectors + ": does not say by what it was made");
  std::optional<pipeline::TableOfVectors> table;
  if (!flags.images.manifest.empty()) table.emplace(flags.images.manifest, flags.images.where);
  const auto collection = search::open_collection(flags.folder, Access::write);
  if (const auto identity = collection->info().identity)
    if (const std::string warning = search::check_identity(*vectors.identity(), *identity); !warning.empty())
      say("warning: " + warning);
  pipeline::CollectionFiller filler(*collection, interrupted);
  filler.add_vectors(vectors, table ? &*table : nullptr);
  return finish(flags, *collection, filler, {});
}

int create(const Flags& flags) {
  search::create_collection(flags.folder, flags.store == "bf16" ? DType::bf16 : DType::f32);
  return kOk;
}

int remove_items(const Flags& flags) {
  const auto opened = search::open_collection(flags.folder, Access::write);
  Collection& collection = *opened;
  std::vector<std::string> ids = flags.ids;
  if (!flags.ids_from.empty()) ids = pipeline::read_lines(flags.ids_from);
  const size_t removed = collection.remove(ids);
  say(std::to_string(removed) + " of " + std::to_string(ids.size()) + " removed; " +
      search::shown_name(flags.folder) + " has " + std::to_string(collection.info().items) + " items");
  return removed == ids.size() ? kOk : kSomeInputsFailed;
}

int compact(const Flags& flags) {
  search::open_collection(flags.folder, Access::write)->compact();
  return kOk;
}

int print_info(const Flags& flags) {
  const search::CollectionInfo info = search::open_collection(flags.folder)->info();
  const std::string precision = info.precision == DType::f32 ? "f32" : "bf16";
  if (flags.json) {
    JsonWriter json(JsonWriter::Style::spaced);
    json.begin_object().member("items", info.items).member("removed", info.removed);
    json.member("version", info.version).member("dim", info.dim).member("stored", precision);
    json.member("columns", info.columns).key("identity");
    if (info.identity)
      json.value(RawJson{info.identity->json()});
    else
      json.value(nullptr);
    print_line(json.end_object().finish());
    return kOk;
  }
  print_line("items     " + std::to_string(info.items) +
             (info.removed > 0 ? ", and " + std::to_string(info.removed) + " removed" : ""));
  print_line("version   " + std::to_string(info.version));
  if (info.dim > 0) print_line("vectors   " + std::to_string(info.dim) + " values, " + precision);
  if (info.identity)
    print_line("identity  " + info.identity->fingerprint() + ", " + info.identity->precision + ", " +
               info.identity->preprocessing);
  std::string columns;
  for (const std::string& column : info.columns) columns += (columns.empty() ? "" : ", ") + column;
  if (!columns.empty()) print_line("columns   " + columns);
  return kOk;
}

int verify(const Flags& flags) {
  const std::vector<std::string> faults = search::open_collection(flags.folder)->verify();
  for (const std::string& fault : faults) say(fault);
  if (faults.empty()) print_line(search::shown_name(flags.folder) + ": no fault found");
  return faults.empty() ? kOk : kFailed;
}

int export_items(const Flags& flags) {
  const auto collection = search::open_collection(flags.folder);
  if (!collection->info().identity)
    throw Error(ErrorCode::invalid_argument, search::shown_name(flags.folder) + ": is empty");
  pipeline::export_collection(*collection, flags.to);
  return kOk;
}

int print_map(const Flags& flags) {
  const auto collection = search::open_collection(flags.folder);
  search::MapOptions options{.column = flags.column, .cancelled = interrupted};
  if (!flags.filter.empty()) options.filter = search::parse_filter(flags.filter);
  const search::MapView view = search::CollectionMap(*collection).look(options);
  const auto& [version, items, ids, values] = view.selection;
  if (flags.json) {
    JsonWriter json(JsonWriter::Style::spaced);
    json.begin_object().member("version", version).member("items", items).member("share", view.share);
    json.key("points").begin_array();
    for (size_t i = 0; i < ids.size(); ++i) {
      json.begin_object().member("id", ids[i]).member("place", view.places.row(i));
      if (!values.empty()) json.member("value", values[i]);
      json.end_object();
    }
    print_line(json.end_array().end_object().finish());
    return kOk;
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    std::array<char, 64> place;
    std::snprintf(place.data(), place.size(), "%9.5f %9.5f  ", double{view.places.row(i)[0]},
                  double{view.places.row(i)[1]});
    print_line(place.data() + ids[i] + (values.empty() || values[i].empty() ? "" : "  " + values[i]));
  }
  std::array<char, 64> shares;
  std::snprintf(shares.data(), shares.size(), "%.1f %% and %.1f %% of the variance", 100 * view.share[0],
                100 * view.share[1]);
  say(std::to_string(ids.size()) + " of " + std::to_string(items) + " items; the axes show " + shares.data());
  return kOk;
}

int make_index(const Flags& flags) {
  if (!search::is_postgres(flags.folder))
    throw Error(ErrorCode::unsupported, flags.folder + ": a folder needs no index");
  search::PostgresCollection(flags.folder, Access::write).create_index();
  return kOk;
}

int snapshot(const Flags& flags) {
  if (search::is_postgres(flags.folder))
    throw Error(ErrorCode::unsupported,
                search::shown_name(flags.folder) +
                    ": a snapshot is for folders; pg_dump copies one version of a database while it is used");
  FolderCollection(flags.folder).snapshot(flags.to);
  return kOk;
}

int rebuild(const Flags& flags) {
  const auto collection = search::open_collection(flags.folder, Access::write);
  const Engine engine = flags.model.open();
  Progress progress(collection->info().items, "images", flags.model.quiet);
  const pipeline::Rebuilt rebuilt = pipeline::rebuild_collection(
      *collection, engine, {.decode = flags.decode.options(), .read = read_options(progress)});
  if (rebuilt.swapped) return kOk;
  const int status = report(rebuilt.failures);
  say(search::shown_name(flags.folder) + " stays as it was");
  return interrupted() ? status : kFailed;
}

CLI::App* add_command(CLI::App& parent, const char* name, const char* help,
                      const std::shared_ptr<Flags>& flags) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->add_option("folder", flags->folder, "Folder of the collection, or postgresql://...")->required();
  return command;
}

void add_add(CLI::App& parent, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = add_command(
      parent, "add", "Add images or vectors; what is there and has not changed is passed over", flags);
  flags->images.add_to(*command, "--images");
  command->add_option(
      "--vectors", flags->vectors,
      "File that `mii embed` or `mii collection export` wrote; with --manifest, its rows give the "
      "columns, by id or path, and vectors without a row are left out");
  command->add_flag("--thumbnails", flags->thumbnails, "Keep a small JPEG of each image");
  flags->model.add_to(*command);
  command->callback([flags, &chosen] {
    if (flags->vectors.empty()) flags->images.expect_any();
    if (!flags->vectors.empty() && (!flags->images.paths.empty() || !flags->images.images_from.empty()))
      throw CLI::ExcludesError("--vectors", "--images and --images-from");
    chosen = [flags] { return flags->vectors.empty() ? add_images(*flags) : add_vectors(*flags); };
  });
}

}  // namespace

void add_collection(CLI::App& app, Command& chosen) {
  CLI::App* parent = app.add_subcommand("collection", "Make and keep collections, for `mii search`");
  parent->require_subcommand(1);
  const auto simple = [&](const char* name, const char* help, int (*run)(const Flags&),
                          const std::function<void(CLI::App&, Flags&)>& more = {}) {
    auto flags = std::make_shared<Flags>();
    CLI::App* command = add_command(*parent, name, help, flags);
    if (more) more(*command, *flags);
    command->callback([flags, run, &chosen] { chosen = [flags, run] { return run(*flags); }; });
  };
  simple("create", "Make an empty collection", create, [](CLI::App& command, Flags& flags) {
    command.add_option("--store", flags.store, "Precision of the stored vectors; of a database f32")
        ->check(CLI::IsMember({"f32", "bf16"}))
        ->capture_default_str();
  });
  add_add(*parent, chosen);
  simple("remove", "Remove items by id", remove_items, [](CLI::App& command, Flags& flags) {
    auto* ids = command.add_option("ids", flags.ids, "Ids");
    command.add_option("--ids-from", flags.ids_from, "File with ids, one a line; -: standard input")
        ->excludes(ids);
  });
  simple("compact", "Write everything anew without what was removed, and swap at once", compact);
  simple("index", "Make the index of a database: approximate searches, faster from some 20 000 items on",
         make_index);
  simple("info", "What is in it", print_info,
         [](CLI::App& command, Flags& flags) { command.add_flag("--json", flags.json, "One JSON object"); });
  simple("verify", "Read everything and look for damage", verify);
  simple("export", "Write the vectors as `mii embed` does, and the items as FILE.items.csv", export_items,
         [](CLI::App& command, Flags& flags) {
           command.add_option("file", flags.to, "FILE.npy, FILE.safetensors or FILE.jsonl")->required();
         });
  simple("map", "Items as points of a plane, along the two axes in which their vectors differ most",
         print_map, [](CLI::App& command, Flags& flags) {
           command.add_option("--filter", flags.filter,
                              "Items that meet this: \"age < 40\"; the others stay where they are");
           command.add_option("--column", flags.column, "Also print this column");
           command.add_flag("--json", flags.json, "One JSON object");
         });
  simple("snapshot", "Copy one consistent version, also while it is used", snapshot,
         [](CLI::App& command, Flags& flags) {
           command.add_option("to", flags.to, "Folder to make")->required();
         });
  simple("rebuild", "Compute all vectors again, beside the old ones, and swap at once", rebuild,
         [](CLI::App& command, Flags& flags) {
           flags.decode.add_to(command);
           flags.model.add_to(command);
         });
}

}  // namespace mii
