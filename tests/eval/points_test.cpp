#include <gmock/gmock.h>

#include "eval/scorers.h"

namespace mii {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Matrix two_labels(const std::vector<float>& first) {
  Matrix m(first.size(), 2);
  for (size_t i = 0; i < first.size(); ++i) {
    m.row(i)[0] = first[i];
    m.row(i)[1] = 1 - first[i];
  }
  return m;
}

class FixedScorer final : public Scorer {
 public:
  explicit FixedScorer(std::vector<float> known, std::optional<PointChoice> own = {})
      : known_(std::move(known)), own_(std::move(own)) {}
  std::string name() const override { return "fixed"; }
  std::optional<Matrix> scores(const Question&, Question::Which) const override { return two_labels(known_); }
  std::optional<PointChoice> point(const Question&, size_t label) const override {
    return label == 0 ? own_ : std::nullopt;
  }

 private:
  std::vector<float> known_;
  std::optional<PointChoice> own_;
};

const EvalTask kTask;

Question question(std::vector<size_t> truth, bool apart) {
  Question made{kTask, {"a", "b"}, {}, {}, apart};
  made.known.truth = std::move(truth);
  return made;
}

TEST(Points, AreYoudensOfTheReferences) {
  std::vector<std::string> notes;
  const auto points =
      choose_points(FixedScorer({0.875f, 0.75f, 0.25f, 0.125f}), question({0, 0, 1, 1}, true), notes);
  EXPECT_EQ(points[0].threshold, 0.75f);
  EXPECT_EQ(points[1].threshold, 0.75f);
  EXPECT_EQ(points[0].rule, "Youden of the references");
  EXPECT_THAT(notes, IsEmpty());
}

TEST(Points, AreAHalfWithoutReferences) {
  std::vector<std::string> notes;
  const auto points = choose_points(FixedScorer({0.875f, 0.125f}), question({0, 1}, false), notes);
  EXPECT_EQ(points[0].threshold, 0.5f);
  EXPECT_THAT(notes, IsEmpty());
}

TEST(Points, AreTheScorersOwnWhereItHasOne) {
  std::vector<std::string> notes;
  const FixedScorer scorer({0.875f, 0.125f}, PointChoice{0.25f, "sensitivity=0.95"});
  const auto points = choose_points(scorer, question({0, 1}, true), notes);
  EXPECT_EQ(points[0].threshold, 0.25f);
  EXPECT_EQ(points[0].rule, "sensitivity=0.95");
  EXPECT_EQ(points[1].rule, "Youden of the references");
}

TEST(Points, SayWhyNoThresholdWasFound) {
  std::vector<std::string> notes;
  choose_points(FixedScorer({0.875f, 0.125f}), question({0, 0}, true), notes);
  EXPECT_THAT(
      notes,
      ElementsAre("fixed: the threshold of 'a' is 0.5, because all images of the references have this label",
                  "fixed: the threshold of 'b' is 0.5, because no image of the references has this label"));
  notes.clear();
  choose_points(FixedScorer({0.125f, 0.875f}), question({0, 1}, true), notes);
  EXPECT_THAT(
      notes,
      ElementsAre("fixed: the threshold of 'a', 'b' is 0.5, because no threshold is better than chance on "
                  "the references"));
}

}  // namespace
}  // namespace mii
