#include "search/evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>

#include <unistd.h>

#include "mii/error.h"
#include "search/duplicates.h"
#include "search/folder_collection.h"
#include "search/query.h"
#include "vectors.h"

namespace mii::search {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Matrix matrix(std::initializer_list<std::initializer_list<float>> rows) {
  Matrix result(rows.size(), rows.begin()->size());
  size_t r = 0;
  for (const auto& row : rows) std::ranges::copy(row, result.row(r++).begin());
  return result;
}

std::string error_of(const Matrix& like, const Matrix& unlike) {
  try {
    query_of(like, unlike);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Query, IsTheSumOfUnitVectorsMinusThoseThatHitsAreNotToBeLike) {
  const Matrix one = query_of(matrix({{0, 5}}), {});
  EXPECT_THAT(std::vector(one.row(0).begin(), one.row(0).end()), ElementsAre(0, 1));
  // (1, 0) + (0, 1) - (0, -1) = (1, 2)
  const Matrix three = query_of(matrix({{2, 0}, {0, 3}}), matrix({{0, -7}}));
  EXPECT_FLOAT_EQ(three.row(0)[0], 1 / std::sqrt(5.0f));
  EXPECT_FLOAT_EQ(three.row(0)[1], 2 / std::sqrt(5.0f));
}

TEST(Query, RefusesWhatLeavesNothingToLookFor) {
  EXPECT_THAT(error_of({}, {}), HasSubstr("needs something to be like"));
  EXPECT_THAT(error_of(matrix({{1, 2}}), matrix({{2, 4}})), HasSubstr("cancel out"));
  EXPECT_THAT(error_of(matrix({{1, 2}}), matrix({{1, 2, 3}})), HasSubstr("of 2 and of 3 values"));
  EXPECT_THAT(error_of(matrix({{0, 0}}), {}), HasSubstr("zero"));
  EXPECT_THAT(error_of(matrix({{NAN, 0}}), {}), HasSubstr("not finite"));
}

TEST(Query, PatientsAreLeftOutBesideTheFilter) {
  SearchOptions options{.filter = parse_filter("age < 4")};
  leave_out_patients({"P'1"}, options);
  EXPECT_EQ(*options.filter, parse_filter("age < 4 and not patient = 'P''1'"));
  EXPECT_THROW(leave_out_patients({}, options), Error);
}

Answer answer_of(std::vector<std::pair<std::string, float>> findings) {
  Answer answer{.version = 7, .searched = 100, .stage = Stage::int8};
  for (size_t i = 0; i < findings.size(); ++i) {
    Item item{.id = "id" + std::to_string(i)};
    if (!findings[i].first.empty()) item.attributes = {{"finding", findings[i].first}, {"path", "<p>&"}};
    answer.hits.push_back({item, findings[i].second, i == 0 ? size_t{2} : 0});
  }
  return answer;
}

TEST(Evidence, VotesOfHitsWithAValueHaveWilsonsInterval) {
  const Votes votes =
      votes_of(answer_of({{"b", 0.9f}, {"a", 0.8f}, {"", 0.7f}, {"a", 0.6f}, {"c", 0.5f}}), "finding");
  EXPECT_EQ(votes.voters, size_t{4});
  ASSERT_EQ(votes.votes.size(), size_t{3});
  EXPECT_EQ(votes.votes[0].value, "a");
  EXPECT_EQ(votes.votes[0].hits, size_t{2});
  EXPECT_EQ(votes.votes[1].value, "b");
  // statsmodels.stats.proportion.proportion_confint(2, 4, method="wilson")
  EXPECT_NEAR(votes.votes[0].share.low, 0.15003898915214947, 1e-12);
  EXPECT_NEAR(votes.votes[0].share.high, 0.8499610108478506, 1e-12);
  EXPECT_THAT(votes_of(answer_of({}), "finding").votes, IsEmpty());
}

TEST(Evidence, TypicalityIsTheShareOfSampledItemsWhoseNearestIsFarther) {
  const Typical typical{.version = 5, .nearest = {0.5f, 0.6f, 0.7f, 0.8f}};
  const auto t = typicality_of(answer_of({{"a", 0.7f}}), typical);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->share_below, 0.5);
  EXPECT_EQ(t->sample, size_t{4});
  EXPECT_EQ(t->version, uint64_t{5});
  EXPECT_FALSE(typicality_of(answer_of({}), typical));
  EXPECT_FALSE(typicality_of(answer_of({{"a", 0.7f}}), std::nullopt));
}

TEST(Evidence, IsOneJsonObject) {
  Evidence evidence{.answer = answer_of({{"a\"\n", 0.75f}})};
  evidence.votes.push_back(votes_of(evidence.answer, "finding"));
  const auto object = boost::json::parse(to_json(evidence)).as_object();
  const auto& hit = object.at("hits").as_array().at(0).as_object();
  EXPECT_EQ(hit.at("id").as_string(), "id0");
  EXPECT_EQ(hit.at("path").as_string(), "<p>&");
  EXPECT_EQ(hit.at("similarity").as_double(), 0.75);
  EXPECT_EQ(hit.at("near_duplicates").as_int64(), 2);
  EXPECT_EQ(hit.at("attributes").as_object().at("finding").as_string(), "a\"\n");
  const auto& shown = object.at("evidence").as_object();
  EXPECT_EQ(shown.at("stage").as_string(), "int8");
  EXPECT_TRUE(shown.at("exact").as_bool());
  EXPECT_EQ(shown.at("version").as_int64(), 7);
  EXPECT_TRUE(shown.at("typical").is_null());
  EXPECT_TRUE(object.at("identity").is_null());
}

TEST(Evidence, IsTheSameObjectInSteps) {
  for (const auto& findings : {std::vector<std::pair<std::string, float>>{}, {{"a", 0.75f}, {"b", 0.5f}}}) {
    const Evidence evidence{.answer = answer_of(findings), .warnings = {"a warning"}};
    JsonWriter json(JsonWriter::Style::spaced);
    EvidenceWriter step(evidence);
    size_t steps = 1;
    while (step(json)) ++steps;
    EXPECT_EQ(steps, findings.size() + 1);
    EXPECT_EQ(json.finish(), to_json(evidence));
    EXPECT_THAT(to_json(evidence), HasSubstr("\"warnings\": [\"a warning\"]"));
  }
}

TEST(Evidence, ThePageShowsValuesAsTextAndThumbnails) {
  Evidence evidence{.answer = answer_of({{"<script>", 0.5f}})};
  evidence.answer.hits[0].item.thumbnail = {std::byte{0xFF}};
  const std::string page = to_html(evidence, "a & b");
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(page, HasSubstr("<h1>a &amp; b</h1>"));
  EXPECT_THAT(page, HasSubstr("data:image/jpeg;base64,/w=="));
  EXPECT_THAT(page, Not(HasSubstr("<script>")));
}

class InFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-evidence-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    FolderCollection::create(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(InFolder, DuplicatesAreGroupsOfItemsThatReachEachOther) {
  FolderCollection collection(folder_, FolderCollection::Access::write);
  const double step = 0.1;  // neighbours on a circle; cos 0.1 = 0.995, cos 0.2 = 0.980
  std::vector<Item> items;
  std::vector<double> angles{0, step, 2 * step, 1, 1 + step, 2};
  Matrix vectors(angles.size() + 40, 2);
  for (size_t i = 0; i < vectors.rows(); ++i) {
    const double angle =
        i < angles.size() ? angles[i] : 3;  // and 40 that are equal: more than the first hits
    items.push_back({.id = std::string(i < 10 ? "0" : "").append(std::to_string(i))});
    vectors.row(i)[0] = static_cast<float>(std::cos(angle));
    vectors.row(i)[1] = static_cast<float>(std::sin(angle));
  }
  collection.add(items, vectors, {});
  const auto groups = find_duplicates(collection, {.at_least = 0.99f});
  ASSERT_EQ(groups.size(), size_t{3});
  ASSERT_EQ(groups[0].members.size(), size_t{3});
  EXPECT_EQ(groups[0].members[0].id, "00");
  EXPECT_EQ(groups[0].members[2].id, "02");
  EXPECT_NEAR(groups[0].members[0].similarity, std::cos(step), 1e-6);
  EXPECT_EQ(groups[1].members.size(), size_t{2});
  EXPECT_EQ(groups[2].members.size(), size_t{40});
}

}  // namespace
}  // namespace mii::search
