#include "pipeline/fill_collection.h"

#include <algorithm>
#include <future>
#include <memory>
#include <utility>

#include "core/file.h"
#include "heads/products.h"
#include "mii/error.h"
#include "pipeline/identity.h"
#include "search/checks.h"
#include "search/codes.h"

namespace mii::pipeline {
namespace {

using search::Item;

constexpr size_t kBatch = 4096;          // items of one change
constexpr size_t kPartBytes = 16 << 20;  // of a file of vectors, read at once
constexpr size_t kTypicalSample = 200;   // items whose nearest others are looked at

// What the item of an image is to be like, when one is there that was computed from the same bytes; its
// vector then stays. Nullopt: the image is to be encoded.
std::optional<Item> without_encoding(const Item& wanted, const std::optional<Item>& there) {
  if (!there || there->state != wanted.state) return std::nullopt;
  Item item = with_other_columns(wanted, *there);
  item.thumbnail = there->thumbnail;
  return item;
}

Item item_of(const VectorSource& source) {
  Item item{.id = source.input, .state = state_text(source.state)};
  if (!source.state) return item;
  const size_t hash = source.input.rfind('#');
  const bool frame = hash != std::string::npos && hash + 1 < source.input.size() &&
                     source.input.find_first_not_of("0123456789", hash + 1) == std::string::npos;
  set_attribute(item, "path", frame ? source.input.substr(0, hash) : source.input);
  if (frame) set_attribute(item, "frame", source.input.substr(hash + 1));
  return item;
}

// Rows in the order that they have; all of them are not copied.
Matrix some_rows(Matrix all, const std::vector<size_t>& rows) {
  return rows.size() == all.rows() ? std::move(all) : heads::some_rows(all, rows);
}

std::string quoted_field(std::string_view text) {
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + "\"";
}

}  // namespace

TableOfVectors::TableOfVectors(const std::filesystem::path& file, const std::vector<std::string>& where)
    : table_(Table::read(file)) {
  for (const std::string& condition : where) table_.keep_where(condition);
  for (size_t row = 0; row < table_.rows(); ++row) {
    const std::string& id = table_.at(row, "id");
    const std::string path = file.parent_path() / table_.at(row, "path");
    if (!rows_.try_emplace(id.empty() ? path : id, row).second)
      throw Error(ErrorCode::invalid_argument,
                  file.string() + ": two rows for '" + (id.empty() ? path : id) + "'");
  }
}

bool TableOfVectors::add_to(Item& item) const {
  const auto row = rows_.find(item.id);
  if (row == rows_.end()) return false;
  for (const std::string& column : table_.columns())
    if (column != "id" && (column != "path" || !table_.at(row->second, "id").empty()))
      set_attribute(item, column, table_.at(row->second, column));
  return true;
}

CollectionFiller::CollectionFiller(search::Collection& collection, std::function<bool()> cancelled)
    : collection_(collection), cancelled_(std::move(cancelled)) {}

void CollectionFiller::add(std::span<const Item> items, const Matrix& vectors, const Identity& identity) {
  const search::AddCounts counts = collection_.add(items, vectors, identity);
  counts_.added += counts.added;
  counts_.replaced += counts.replaced;
}

// Keeps the vector, and writes the item if it differs.
void CollectionFiller::update(Item item, Item there) {
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

void CollectionFiller::write_changed() {
  if (changed_.empty()) return;
  std::vector<std::string> ids;
  for (const Item& item : changed_) ids.push_back(item.id);
  add(changed_, collection_.vectors(ids), collection_.info().identity.value());
  changed_.clear();
}

std::vector<ImageItem> CollectionFiller::without_known(std::vector<ImageItem> images) {
  std::vector<ImageItem> missing;
  for (size_t first = 0; first < images.size(); first += kBatch) {
    const size_t count = std::min(kBatch, images.size() - first);
    std::vector<std::string> ids;
    for (size_t i = first; i < first + count; ++i) ids.push_back(images[i].item.id);
    std::vector<std::optional<Item>> there = collection_.find(ids);
    for (size_t i = 0; i < count; ++i) {
      ImageItem& image = images[first + i];
      auto item = without_encoding(image.item, there[i]);
      if (item && !item->state.empty()) {  // else the file is gone, which is to be said
        update(std::move(*item), std::move(*there[i]));
      } else {
        image.there = std::move(there[i]);
        missing.push_back(std::move(image));
      }
    }
  }
  return missing;
}

void CollectionFiller::add_vectors(VectorReader& vectors, const TableOfVectors* table) {
  if (!vectors.identity())
    throw Error(ErrorCode::invalid_argument, "the vectors do not say by what they were made");
  const size_t row_bytes = std::max<size_t>(vectors.dim(), 1) * sizeof(float);
  const size_t wanted = std::clamp<size_t>(kPartBytes / row_bytes, 1, kBatch);
  // While a part is written, the next is read.
  const auto read = [&] { return std::async(std::launch::async, [&] { return vectors.next(wanted); }); };
  std::future<StoredVectors> next = read();
  for (size_t first = 0; first < vectors.rows() && !cancelled(); first += wanted) {
    StoredVectors part = next.get();
    const size_t last = first + part.sources.size() - 1;
    if (first + wanted < vectors.rows()) next = read();
    try {
      add_part(std::move(part), table);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::invalid_argument) throw;
      throw Error(error.code(), vectors.path().string() + ", rows " + std::to_string(first) + " to " +
                                    std::to_string(last) + ": " + error.what());
    }
  }
}

// Items that say nothing of a file, whose state would tell, have changed when their vectors have.
std::vector<bool> CollectionFiller::changed_without_files(const std::vector<Item>& wanted,
                                                          const std::vector<std::optional<Item>>& there,
                                                          const Matrix& vectors) {
  std::vector<bool> changed(wanted.size(), false);
  std::vector<size_t> places;
  std::vector<Item> items;
  std::vector<std::string> ids;
  for (size_t i = 0; i < wanted.size(); ++i)
    if (there[i] && wanted[i].state.empty() && there[i]->state.empty()) {
      places.push_back(i);
      items.push_back(wanted[i]);
      ids.push_back(wanted[i].id);
    }
  if (places.empty()) return changed;
  const Matrix stored = collection_.vectors(ids);
  const DType precision = collection_.info().precision;
  Matrix units = search::unit_vectors(items, heads::some_rows(vectors, places));
  std::vector<std::byte> bytes(search::stored_bytes(units.cols(), precision));
  for (size_t i = 0; i < places.size(); ++i) {
    search::encode_stored(units.row(i), precision, bytes.data());
    search::decode_stored(bytes.data(), precision, units.row(i));
    changed[places[i]] = !std::ranges::equal(units.row(i), stored.row(i));
  }
  return changed;
}

void CollectionFiller::add_part(StoredVectors part, const TableOfVectors* table) {
  std::vector<Item> wanted;
  std::vector<size_t> rows;
  std::vector<std::string> ids;
  for (size_t r = 0; r < part.sources.size(); ++r) {
    Item item = item_of(part.sources[r]);
    if (table != nullptr && !table->add_to(item)) continue;
    if (table == nullptr && item.state.empty()) set_attribute(item, "text", item.id);
    ids.push_back(item.id);
    wanted.push_back(std::move(item));
    rows.push_back(r);
  }
  std::vector<std::optional<Item>> there = collection_.find(ids);
  Matrix vectors = some_rows(std::move(part.vectors), rows);
  const std::vector<bool> changed = changed_without_files(wanted, there, vectors);
  std::vector<Item> items;
  std::vector<size_t> kept;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (auto item = changed[i] ? std::nullopt : without_encoding(wanted[i], there[i])) {
      update(std::move(*item), std::move(*there[i]));
    } else {
      items.push_back(there[i] ? with_other_columns(std::move(wanted[i]), *there[i]) : std::move(wanted[i]));
      kept.push_back(i);
    }
  }
  add(items, some_rows(std::move(vectors), kept), *part.identity);
}

CollectionFiller::Counts CollectionFiller::finish() {
  write_changed();
  if (counts_.added + counts_.replaced > 0 && !cancelled()) collection_.measure_typical(kTypicalSample);
  return counts_;
}

Rebuilt rebuild_collection(search::Collection& collection, const Engine& engine, const EncodeItems& options) {
  const Identity identity = engine.identity(preprocessing_text(options.decode));
  const auto cancelled = [&] { return options.read.cancelled && options.read.cancelled(); };
  const std::unique_ptr<search::Rebuild> next = collection.rebuild();
  Rebuilt rebuilt;
  std::string after;
  while (!cancelled()) {
    const std::vector<Item> page = collection.page(after, kBatch);
    if (page.empty()) break;
    after = page.back().id;
    std::vector<ImageItem> images;
    for (const Item& item : page) {
      if (const auto input = input_of(item))
        images.push_back({*input, item});
      else
        rebuilt.failures.push_back({item.id, "has no path"});
    }
    const auto take = [&](const std::vector<Item>& items, const Matrix& vectors) {
      next->add(items, vectors, identity);
    };
    const std::vector<Failure> failed = encode_items(engine, images, options, take);
    rebuilt.failures.insert(rebuilt.failures.end(), failed.begin(), failed.end());
  }
  if (cancelled() || !rebuilt.failures.empty()) return rebuilt;
  next->finish();
  collection.measure_typical(kTypicalSample);
  rebuilt.swapped = true;
  return rebuilt;
}

void export_collection(search::Collection& collection, const std::filesystem::path& file) {
  const search::CollectionInfo info = collection.info();
  if (!info.identity) throw Error(ErrorCode::invalid_argument, "the collection is empty");
  check_vector_extension(file);
  std::vector<VectorSource> sources;
  AtomicFile table(file.string() + ".items.csv");
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
  write_vectors(file, sources, info.dim, *info.identity, [&](size_t row) {
    const Matrix vector = collection.vectors({&sources[row].input, 1});
    return std::vector<float>(vector.row(0).begin(), vector.row(0).end());
  });
  table.commit();
}

}  // namespace mii::pipeline
