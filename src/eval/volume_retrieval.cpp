#include "eval/volume_retrieval.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "core/temporary_folder.h"
#include "mii/error.h"
#include "search/folder_collection.h"

namespace mii {
namespace {

using stats::Retrieved;

constexpr std::array<std::pair<std::string_view, Pooling>, 4> kPoolings{
    {{"mean", Pooling::mean}, {"median", Pooling::median}, {"max", Pooling::max}, {"std", Pooling::std}}};
constexpr size_t kBatch = 1000;

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

// Volumes as a task asks about them: `items` counts the volumes.
struct Volumes {
  Asked asked;
  std::vector<std::vector<size_t>> slices;  // of each: indices into EncodedRows::rows
  size_t of_several_labels = 0;

  size_t slice_count() const {
    size_t count = 0;
    for (const auto& of_volume : slices) count += of_volume.size();
    return count;
  }
};

// The one group of its slices; where patients are not known, the volume itself.
std::string group_of(const std::string& volume, const std::vector<size_t>& slices, const EncodedRows& data) {
  std::set<std::string> groups;
  for (const size_t item : slices)
    groups.insert(data.manifest.at(data.rows[item], "patient").empty() ? volume : data.groups[item]);
  if (groups.size() > 1) refuse("the slices of volume '" + volume + "' are of several patients");
  return *groups.begin();
}

Volumes volumes_of(const EvalTask& task, const EncodedRows& data, const std::string& column) {
  const Asked images = searched_of(task, data);
  std::map<std::pair<std::string, std::string>, size_t> places;  // by source and value
  Volumes volumes;
  std::vector<std::set<size_t>> labels;
  for (size_t i = 0; i < images.size(); ++i) {
    const size_t row = data.rows[images.items[i]];
    const std::string& value = data.manifest.at(row, column);
    if (value.empty()) continue;
    const auto [place, is_new] =
        places.try_emplace({data.manifest.at(row, "source"), value}, volumes.slices.size());
    if (is_new) {
      volumes.slices.emplace_back();
      labels.emplace_back();
    }
    volumes.slices[place->second].push_back(images.items[i]);
    if (images.truth[i] != stats::kNoClass) labels[place->second].insert(images.truth[i]);
  }
  volumes.asked.groups.resize(places.size());
  for (const auto& [name, volume] : places)
    volumes.asked.groups[volume] = group_of(name.first + "/" + name.second, volumes.slices[volume], data);
  for (size_t volume = 0; volume < labels.size(); ++volume) {
    volumes.asked.items.push_back(volume);
    volumes.asked.truth.push_back(labels[volume].size() == 1 ? *labels[volume].begin() : stats::kNoClass);
    if (labels[volume].size() > 1) ++volumes.of_several_labels;
  }
  return volumes;
}

Volumes with_a_label(const Volumes& volumes) {
  Volumes labelled{.asked = {}, .slices = {}, .of_several_labels = volumes.of_several_labels};
  for (size_t v = 0; v < volumes.slices.size(); ++v) {
    if (volumes.asked.truth[v] == stats::kNoClass) continue;
    labelled.asked.items.push_back(labelled.slices.size());
    labelled.asked.groups.push_back(volumes.asked.groups[v]);
    labelled.asked.truth.push_back(volumes.asked.truth[v]);
    labelled.slices.push_back(volumes.slices[v]);
  }
  return labelled;
}

Matrix pooled(const Volumes& volumes, const Matrix& vectors, Pooling pooling) {
  Matrix all(volumes.slices.size(), vectors.cols());
  for (size_t v = 0; v < volumes.slices.size(); ++v)
    std::ranges::copy(pool_slices(some_rows(vectors, volumes.slices[v]), pooling).row(0), all.row(v).begin());
  return all;
}

std::string padded(size_t number) {
  const std::string digits = std::to_string(number);
  return std::string(10 - digits.size(), '0') + digits;
}

// The slices of an index as a collection, so that what is measured is what is searched. Names are numbers:
// equal scores come in the order of the index.
class SliceCollection {
 public:
  SliceCollection(const Volumes& index, const Matrix& vectors) : collection_(make(folder_.path())) {
    std::vector<search::Item> items;
    std::vector<size_t> rows;
    for (size_t v = 0; v < index.slices.size(); ++v)
      for (const size_t row : index.slices[v]) {
        items.push_back({.id = padded(items.size()),
                         .attributes = {{"series", padded(v)}, {"patient", index.asked.groups[v]}}});
        rows.push_back(row);
      }
    for (size_t first = 0; first < items.size(); first += kBatch) {
      const size_t count = std::min(kBatch, items.size() - first);
      const auto part = std::span(rows).subspan(first, count);
      collection_.add(std::span(items).subspan(first, count), some_rows(vectors, {part.begin(), part.end()}),
                      {});
    }
  }

  /// Volumes of the index, the best first; none of this group.
  std::vector<size_t> ranked(const Matrix& slices, const std::string& group, search::VolumeRank rank,
                             size_t k) {
    const search::VolumeOptions volumes{.rank = rank};
    // Late interaction looks at no more volumes again than it is asked for.
    const size_t wanted = rank == search::VolumeRank::late ? std::max(k, volumes.reranked) : search::kMaxHits;
    const search::SearchOptions options{.k = wanted,
                                        .filter = search::negation(search::equals("patient", group)),
                                        .stage = search::Stage::exact};
    std::vector<size_t> found;
    for (const search::Hit& hit : search_volumes(collection_, slices, options, volumes).hits)
      found.push_back(std::stoul(std::string(hit.item.value("series"))));
    return found;
  }

 private:
  static search::FolderCollection make(const std::filesystem::path& folder) {
    search::FolderCollection::create(folder);
    return search::FolderCollection(folder, search::Access::write);
  }

  TemporaryFolder folder_;
  search::FolderCollection collection_;
};

Retrieved answer_of(const std::vector<size_t>& ranking, const Volumes& index, size_t truth,
                    const std::string& group, size_t k) {
  Retrieved answer{.truth = truth};
  for (size_t v = 0; v < index.slices.size(); ++v)
    if (index.asked.truth[v] == truth && index.asked.groups[v] != group) ++answer.relevant;
  for (size_t i = 0; i < ranking.size(); ++i) {
    const size_t found = index.asked.truth[ranking[i]];
    if (i < k) answer.classes.push_back(found);
    if (found == truth && answer.first == 0) answer.first = i + 1;
  }
  return answer;
}

// Answers to the volumes of a task by one model's vectors.
class VolumeSearch {
 public:
  VolumeSearch(const Volumes& queries, const Volumes& index, size_t k)
      : queries_(queries), index_(index), k_(k) {}

  std::vector<Retrieved> by_votes(const Matrix& query_vectors, SliceCollection& slices,
                                  search::VolumeRank rank) const {
    std::vector<Retrieved> answers;
    for (size_t q = 0; q < queries_.slices.size(); ++q) {
      const std::string& group = queries_.asked.groups[q];
      answers.push_back(
          answer_of(slices.ranked(some_rows(query_vectors, queries_.slices[q]), group, rank, k_), index_,
                    queries_.asked.truth[q], group, k_));
    }
    return answers;
  }

  std::vector<Retrieved> by_pooled(const Matrix& query_vectors, const Matrix& index_vectors,
                                   Pooling pooling) const {
    std::vector<Retrieved> answers(queries_.slices.size());
    for_each_query(pooled(index_, index_vectors, pooling), index_.asked.groups,
                   pooled(queries_, query_vectors, pooling), queries_.asked.groups,
                   [&](size_t q, std::vector<Distance>& distances) {
                     answers[q] = retrieved(distances, index_.asked.truth, queries_.asked.truth[q], k_);
                   });
    return answers;
  }

 private:
  const Volumes& queries_;
  const Volumes& index_;
  size_t k_;
};

}  // namespace

std::vector<std::string_view> volume_ranking_names() {
  std::vector<std::string_view> names;
  for (const auto rank : {search::VolumeRank::frequency, search::VolumeRank::maximum, search::VolumeRank::sum,
                          search::VolumeRank::late})
    names.push_back(to_string(rank));
  for (const auto& [name, pooling] : kPoolings) names.push_back(name);
  return names;
}

VolumeRanking parse_volume_ranking(std::string_view name) {
  for (const auto& [known, pooling] : kPoolings)
    if (known == name) return pooling;
  return search::parse_volume_rank(name);
}

std::optional<TaskResult> measure_volume_retrieval(EvalTask task, std::span<const EncodedModel> models,
                                                   const VolumeRetrievalOptions& options) {
  const EncodedModel& first = models.front();
  expect_labels(task);
  use_values_as_labels(task, std::array{&first.data, &index_of(first)});
  const Volumes queries = with_a_label(volumes_of(task, first.data, options.column));
  const Volumes index = volumes_of(task, index_of(first), options.column);
  if (queries.slices.empty()) return std::nullopt;

  TaskResult result = begin_retrieval_result(task, queries.asked, index.asked);
  result.retrieval->slices = VolumeSlices{queries.slice_count(), index.slice_count()};
  if (queries.of_several_labels > 0)
    result.notes.push_back(std::to_string(queries.of_several_labels) +
                           " volumes are left out: their slices have several labels");
  const VolumeSearch search(queries, index, options.retrieval.ks.back());
  const auto add = [&](const std::string& name, const std::vector<Retrieved>& answers) {
    if (result.retrieval->searches.empty()) note_what_cannot_be_found(answers, result);
    result.retrieval->searches.push_back(
        search_figures(name, answers, queries.asked.groups, task.labels.size(), options.retrieval));
  };
  for (const EncodedModel& model : models) {
    const Matrix &asked = model.data.vectors, &indexed = index_of(model).vectors;
    std::optional<SliceCollection> slices;
    for (const std::string_view name : options.rankings) {
      const VolumeRanking ranking = parse_volume_ranking(name);
      const std::string full = std::string(name).append(model.suffix);
      if (const auto* pooling = std::get_if<Pooling>(&ranking)) {
        add(full, search.by_pooled(asked, indexed, *pooling));
        continue;
      }
      if (!slices) slices.emplace(index, indexed);
      add(full, search.by_votes(asked, *slices, std::get<search::VolumeRank>(ranking)));
    }
  }
  add("mean, 32x32 pixels", search.by_pooled(first.data.pixels, index_of(first).pixels, Pooling::mean));
  return result;
}

}  // namespace mii
