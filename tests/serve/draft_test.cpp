// Drafts over HTTP.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>

#include "running_server.h"
#include "search/audit.h"
#include "search/folder_collection.h"

namespace mii::serve {
namespace {

namespace fs = std::filesystem;
namespace bj = boost::json;
using search::FolderCollection;
using testing::AllOf;
using testing::HasSubstr;

// The fake model's vectors are an image's width and height.
const Identity kIdentity{"weights", "config", "tokenizer", "f32", "profile auto", "1"};

class ServeDraft : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-serve-draft-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    FolderCollection::create(folder_ / "chest");
    FolderCollection writer(folder_ / "chest", FolderCollection::Access::write);
    Matrix vectors(4, 2);
    const float values[] = {1, 0, 0.8f, 0.6f, 0.6f, 0.8f, 0, 1};
    std::ranges::copy(values, vectors.values().begin());
    const std::vector<search::Item> items{{"a", {{"text", "No effusion. The heart is enlarged."}}},
                                          {"b", {{"text", "There is no pleural effusion."}}},
                                          {"c", {{"text", "Without effusion, compared to 3/4/2020."}}},
                                          {"d", {{"note", "not a report"}}}};
    writer.add(items, vectors, kIdentity);
    options_.collections_folder = folder_;
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Until the model's digest is known, the answer is 503.
  static Reply draft(RunningServer& server, const std::string& more) {
    Reply reply;
    EXPECT_TRUE(eventually([&] {
      std::string body = images_body({{3, 1}});
      body.insert(body.rfind('}'), more);
      reply = Client(server.port()).post("/draft", body);
      return reply.status != 503;
    }));
    return reply;
  }

  fs::path folder_;
  ServeOptions options_;
};

TEST_F(ServeDraft, QuotesReportsOfSimilarImages) {
  RunningServer server(options_);
  const Reply reply = draft(server, R"(,"collection":"chest","least_support":0.6)");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const bj::value draft = bj::parse(reply.body);
  ASSERT_EQ(draft.at("sentences").as_array().size(), 1u) << reply.body;
  EXPECT_EQ(draft.at("sentences").at(0).at("text").as_string(), "No effusion.");
  EXPECT_EQ(draft.at("sentences").at(0).at("sources").at(1).at("id").as_string(), "b");
  EXPECT_EQ(draft.at("reports").as_int64(), 3);
  EXPECT_EQ(draft.at("held_back").as_int64(), 1);
  EXPECT_THAT(std::string(draft.at("notice").as_string()), HasSubstr("not for diagnosis"));
}

TEST_F(ServeDraft, IsRecordedWhereSearchesAre) {
  options_.audit = true;
  RunningServer server(options_);
  ASSERT_EQ(draft(server, R"(,"collection":"chest","k":2,"filter":"text != ''")").status, 200);
  const auto entries = search::AuditLog(folder_ / "chest").entries();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].ids.size(), 2u);
}

TEST_F(ServeDraft, TooFewReportsAreNotEnoughEvidence) {
  RunningServer server(options_);
  const Reply reply = draft(server, R"(,"collection":"chest","k":2)");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_THAT(reply.body, HasSubstr("not enough evidence: 2 similar images have a text, 3 are needed"));
}

TEST_F(ServeDraft, WhatMakesNoSenseIsRefused) {
  RunningServer server(options_);
  const auto refused = [&](const std::string& more) {
    const Reply reply = draft(server, more);
    return std::to_string(reply.status) + " " + reply.body;
  };
  EXPECT_THAT(refused(R"(,"collection":"nowhere")"),
              HasSubstr("400 {\"detail\":\"there is no collection 'nowhere'"));
  EXPECT_THAT(refused(""), HasSubstr("422"));
  EXPECT_THAT(refused(R"(,"collection":"chest","text_column":"findings")"),
              HasSubstr("no column 'findings'"));
  EXPECT_THAT(refused(R"(,"collection":"chest","k":0)"), HasSubstr("k is 0, expected 1 to 1000"));
  EXPECT_THAT(refused(R"(,"collection":"chest","least_support":0)"), HasSubstr("expected a share"));
  EXPECT_THAT(refused(R"(,"collection":"chest","filter":"text =")"),
              AllOf(HasSubstr("400"), HasSubstr("filter")));
}

TEST_F(ServeDraft, ADraftIsOfOneImage) {
  RunningServer server(options_);
  std::string body = images_body({{3, 1}, {1, 1}});
  body.insert(body.rfind('}'), R"(,"collection":"chest")");
  const Reply reply = Client(server.port()).post("/draft", body);
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("2 images, a draft is of one"));
}

}  // namespace
}  // namespace mii::serve
