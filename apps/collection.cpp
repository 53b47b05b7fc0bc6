#include <cstdio>
#include <memory>
#include <unordered_map>

#include "collection_items.h"
#include "commands.h"
#include "core/file.h"
#include "core/json_writer.h"
#include "core/utf8.h"
#include "dataset/table.h"
#include "interrupt.h"
#include "mii/error.h"
#include "outcome.h"
#include "output.h"
#include "pipeline/identity.h"
#include "search/folder_collection.h"
#include "search/open.h"
#include "search/postgres_collection.h"

namespace mii {
namespace {

using search::Access;
using search::Collection;
using search::FolderCollection;
using search::Item;

constexpr size_t kBatch = 4096;         // items of one change
constexpr size_t kTypicalSample = 200;  // items whose nearest others are looked at

struct Flags {
  std::string folder;
  std::string to;  // of export and snapshot
  std::string store = "f32";
  std::string vectors;  // of add
  bool thumbnails = false;
  bool json = false;
  std::vector<std::string> ids;
  std::string ids_from;
  ImageFlags images;
  DecodeFlags decode;  // of rebuild
  ModelFlags model;
};

struct Counts {
  size_t added = 0;
  size_t replaced = 0;
  size_t unchanged = 0;
};

/// Adds items in changes of some size, and leaves out those that are there already.
class Adding {
 public:
  explicit Adding(const Flags& flags)
      : flags_(flags), opened_(search::open_collection(flags.folder, Access::write)), collection_(*opened_) {}

  Collection& collection() { return collection_; }

  void add(std::span<const Item> items, const Matrix& vectors, const Identity& identity) {
    const search::AddCounts counts = collection_.add(items, vectors, identity);
    counts_.added += counts.added;
    counts_.replaced += counts.replaced;
  }

  /// What the item of an image is to be like, when one is there that was computed from the same bytes; its
  /// vector then stays. Nullopt: the image is to be encoded.
  static std::optional<Item> without_encoding(const Item& wanted, const std::optional<Item>& there) {
    if (!there || there->state != wanted.state) return std::nullopt;
    Item item = with_other_columns(wanted, *there);
    item.thumbnail = there->thumbnail;
    return item;
  }

  /// Keeps the vector, and writes the item if it differs.
  void update(Item item, Item there) {
    std::erase_if(item.attributes, [](const search::Attribute& a) { return a.value.empty(); });
    std::ranges::sort(item.attributes);
    std::ranges::sort(there.attributes);
    if (item == there) {
      ++counts_.unchanged;
      return;
    }
    changed_.push_back(std::move(item));
    if (changed_.size() == kBatch) write_changed();
  }

  void write_changed() {
    if (changed_.empty()) return;
    std::vector<std::string> ids;
    for (const Item& item : changed_) ids.push_back(item.id);
    add(changed_, collection_.vectors(ids), collection_.info().identity.value());
    changed_.clear();
  }

  int finish(const std::vector<pipeline::Failure>& failures) {
    write_changed();
    if (counts_.added + counts_.replaced > 0 && !interrupted()) collection_.measure_typical(kTypicalSample);
    const search::CollectionInfo info = collection_.info();
    if (!flags_.model.quiet)
      say(std::to_string(counts_.added) + " added, " + std::to_string(counts_.replaced) + " replaced, " +
          std::to_string(counts_.unchanged) + " unchanged; " + search::shown_name(flags_.folder) + " has " +
          std::to_string(info.items) + " items, version " + std::to_string(info.version));
    if (interrupted()) say("interrupted; the same command continues");
    return report(failures);
  }

 private:
  const Flags& flags_;
  std::unique_ptr<Collection> opened_;
  Collection& collection_;
  Counts counts_;
  std::vector<Item> changed_;
};

int add_images(const Flags& flags) {
  ImageItems found = image_items(flags.images);
  Adding adding(flags);
  const std::string preprocessing = pipeline::preprocessing_text(flags.images.decode.options());
  if (const auto identity = adding.collection().info().identity) {
    Identity as_asked = *identity;  // of the model nothing is known yet
    as_asked.preprocessing = preprocessing;
    search::check_identity(as_asked, *identity);
  }
  std::vector<ImageItem> missing;
  for (size_t first = 0; first < found.items.size(); first += kBatch) {
    const size_t count = std::min(kBatch, found.items.size() - first);
    std::vector<std::string> ids;
    for (size_t i = first; i < first + count; ++i) ids.push_back(found.items[i].item.id);
    std::vector<std::optional<Item>> there = adding.collection().find(ids);
    for (size_t i = 0; i < count; ++i) {
      ImageItem& image = found.items[first + i];
      auto item = Adding::without_encoding(image.item, there[i]);
      if (item && !item->state.empty())  // else the file is gone, which is to be said
        adding.update(std::move(*item), std::move(*there[i]));
      else {
        image.there = std::move(there[i]);
        missing.push_back(std::move(image));
      }
    }
  }
  if (!missing.empty()) {
    const Engine engine = open_for(flags.model, adding.collection().info().identity, preprocessing);
    const Identity identity = engine.identity(preprocessing);
    auto failures = encode_items(
        engine, missing, flags.images.decode, {flags.thumbnails, flags.model.quiet},
        [&](const std::vector<Item>& items, const Matrix& vectors) { adding.add(items, vectors, identity); });
    found.failures.insert(found.failures.end(), failures.begin(), failures.end());
  }
  return adding.finish(found.failures);
}

/// The rows of a table that say more of vectors: by id, else by path.
class TableOfVectors {
 public:
  TableOfVectors(const std::string& file, const std::vector<std::string>& where) {
    if (file.empty()) return;
    table_ = Table::read(file);
    for (const std::string& condition : where) table_->keep_where(condition);
    for (size_t row = 0; row < table_->rows(); ++row) {
      const std::string& id = table_->at(row, "id");
      const auto path = std::filesystem::path(file).parent_path() / table_->at(row, "path");
      if (!rows_.try_emplace(id.empty() ? path.string() : id, row).second)
        throw Error(ErrorCode::invalid_argument,
                    file + ": two rows for '" + (id.empty() ? path.string() : id) + "'");
    }
  }

  /// False: the vector has no row, and is not to be added.
  bool add_to(Item& item) const {
    if (!table_) return true;
    const auto row = rows_.find(item.id);
    if (row == rows_.end()) return false;
    for (const std::string& column : table_->columns())
      if (column != "id" && (column != "path" || !table_->at(row->second, "id").empty()))
        set_attribute(item, column, table_->at(row->second, column));
    return true;
  }

 private:
  std::optional<Table> table_;
  std::unordered_map<std::string, size_t> rows_;
};

Item item_of(const pipeline::VectorSource& source) {
  Item item{.id = source.input, .state = state_text(source.state)};
  if (!source.state) {
    set_attribute(item, "text", source.input);
    return item;
  }
  const size_t hash = source.input.rfind('#');
  const bool frame = hash != std::string::npos && hash + 1 < source.input.size() &&
                     source.input.find_first_not_of("0123456789", hash + 1) == std::string::npos;
  set_attribute(item, "path", frame ? source.input.substr(0, hash) : source.input);
  if (frame) set_attribute(item, "frame", source.input.substr(hash + 1));
  return item;
}

int add_vectors(const Flags& flags) {
  const pipeline::StoredVectors stored = pipeline::read_vectors(flags.vectors);
  if (!stored.identity)
    throw Error(ErrorCode::invalid_argument, flags.vectors + ": does not say by what it was made");
  const TableOfVectors table(flags.images.manifest, flags.images.where);
  Adding adding(flags);
  if (const auto identity = adding.collection().info().identity)
    if (const std::string warning = search::check_identity(*stored.identity, *identity); !warning.empty())
      say("warning: " + warning);
  for (size_t first = 0; first < stored.sources.size() && !interrupted(); first += kBatch) {
    const size_t count = std::min(kBatch, stored.sources.size() - first);
    std::vector<Item> wanted;
    std::vector<size_t> rows;
    std::vector<std::string> ids;
    for (size_t r = first; r < first + count; ++r) {
      Item item = item_of(stored.sources[r]);
      if (!table.add_to(item)) continue;
      ids.push_back(item.id);
      wanted.push_back(std::move(item));
      rows.push_back(r);
    }
    std::vector<std::optional<Item>> there = adding.collection().find(ids);
    std::vector<Item> items;
    std::vector<size_t> kept;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (auto item = Adding::without_encoding(wanted[i], there[i])) {
        adding.update(std::move(*item), std::move(*there[i]));
      } else {
        items.push_back(there[i] ? with_other_columns(std::move(wanted[i]), *there[i])
                                 : std::move(wanted[i]));
        kept.push_back(rows[i]);
      }
    }
    Matrix vectors(kept.size(), stored.vectors.cols());
    for (size_t i = 0; i < kept.size(); ++i)
      std::ranges::copy(stored.vectors.row(kept[i]), vectors.row(i).begin());
    adding.add(items, vectors, *stored.identity);
  }
  return adding.finish({});
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

std::string quoted_field(std::string_view text) {
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + "\"";
}

int export_items(const Flags& flags) {
  const auto opened = search::open_collection(flags.folder);
  Collection& collection = *opened;
  const search::CollectionInfo info = collection.info();
  if (!info.identity)
    throw Error(ErrorCode::invalid_argument, search::shown_name(flags.folder) + ": is empty");
  pipeline::check_vector_extension(flags.to);
  std::vector<pipeline::VectorSource> sources;
  AtomicFile table(flags.to + ".items.csv");
  std::string header = "id";
  for (const std::string& column : info.columns) header.append(",").append(quoted_field(column));
  table.write(header + "\n");
  for (std::vector<Item> page = collection.page("", kBatch); !page.empty();
       page = collection.page(sources.back().input, kBatch))
    for (const Item& item : page) {
      sources.push_back({item.id, parse_state(item.state)});
      std::string line = quoted_field(item.id);
      for (const std::string& column : info.columns)
        line.append(",").append(quoted_field(item.value(column)));
      table.write(line + "\n");
    }
  write_vectors(flags.to, sources, info.dim, *info.identity, [&](size_t row) {
    const Matrix vector = collection.vectors({&sources[row].input, 1});
    return std::vector<float>(vector.row(0).begin(), vector.row(0).end());
  });
  table.commit();
  return kOk;
}

void expect_folder(const Flags& flags, const char* instead) {
  if (search::is_postgres(flags.folder))
    throw Error(ErrorCode::unsupported,
                search::shown_name(flags.folder) + ": this is for folders; " + instead);
}

int make_index(const Flags& flags) {
  if (!search::is_postgres(flags.folder))
    throw Error(ErrorCode::unsupported, flags.folder + ": a folder needs no index");
  search::PostgresCollection(flags.folder, Access::write).create_index();
  return kOk;
}

int snapshot(const Flags& flags) {
  expect_folder(flags, "pg_dump copies one version of a database");
  FolderCollection(flags.folder).snapshot(flags.to);
  return kOk;
}

int rebuild(const Flags& flags) {
  expect_folder(flags, "add the images to another schema of the database");
  FolderCollection collection(flags.folder, Access::write);
  const std::string preprocessing = pipeline::preprocessing_text(flags.decode.options());
  const Engine engine = flags.model.open();
  const Identity identity = engine.identity(preprocessing);
  FolderCollection::Rebuild next = collection.rebuild();
  std::vector<pipeline::Failure> failures;
  std::string after;
  for (;;) {
    std::vector<ImageItem> images;
    const std::vector<Item> page = collection.page(after, kBatch);
    if (page.empty() || interrupted()) break;
    after = page.back().id;
    for (const Item& item : page) {
      if (const auto input = input_of(item))
        images.push_back({*input, item});
      else
        failures.push_back({item.id, "has no path"});
    }
    auto failed = encode_items(
        engine, images, flags.decode, {.quiet = flags.model.quiet},
        [&](const std::vector<Item>& items, const Matrix& vectors) { next.add(items, vectors, identity); });
    failures.insert(failures.end(), failed.begin(), failed.end());
  }
  if (interrupted() || !failures.empty()) {
    const int status = report(failures);
    say(flags.folder + " stays as it was");
    return interrupted() ? status : kFailed;
  }
  next.finish();
  collection.measure_typical(kTypicalSample);
  return kOk;
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
