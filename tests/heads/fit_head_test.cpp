#include <gmock/gmock.h>

#include <algorithm>
#include <limits>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "heads/made_up.h"
#include "mii/error.h"

namespace mii::heads {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

FittedHead fit(const LabelledVectors& data, const FitOptions& options = {}, const LabelTexts* texts = nullptr,
               const std::optional<Split>& split = {}) {
  return fit_head(data, split, texts, options, some_identity());
}

std::string refusal(const LabelledVectors& data, FitOptions options = {},
                    const std::optional<Split>& split = {}) {
  options.field = "finding";
  try {
    fit(data, options, nullptr, split);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    return e.what();
  }
  return "accepted";
}

const std::vector<std::string>& warnings(const FittedHead& head) { return head.parts().record.warnings; }

TEST(FitHead, EveryKindTellsWellSeparatedLabelsApart) {
  const MadeUp made;
  const LabelledVectors data = made.data();
  const LabelTexts texts = made.texts();
  for (const Kind kind : {Kind::logistic, Kind::knn, Kind::ss_text, Kind::lp_plus_plus, Kind::mlp})
    for (const bool with_texts : {false, true})
      EXPECT_EQ(
          accuracy(fit(data, {.kind = kind, .train_mlp = sums_of_labels, .with_texts = with_texts}, &texts),
                   data),
          1)
          << to_string(kind);
}

// The problem that a trainer is given.
MlpProblem problem_of(const LabelledVectors& data, FitOptions options) {
  MlpProblem given;
  options.kind = Kind::mlp;
  options.train_mlp = [&](const MlpProblem& problem) {
    given = {problem.loss, problem.vectors.clone(), problem.targets.clone(), problem.weights.clone(),
             problem.validate};
    return sums_of_labels(problem);
  };
  const FittedHead head = fit(data, options);
  EXPECT_EQ(head.parts().record.epoch, 2u);
  EXPECT_EQ(head.parts().record.fit.rows, given.vectors.rows());
  EXPECT_EQ(head.parts().record.validation.rows,
            static_cast<uint64_t>(std::ranges::count(given.validate, 1)));
  return given;
}

TEST(FitHead, LayersLearnFromPatientsOtherThanThoseThatTellWhenToStop) {
  const LabelledVectors data = MadeUp().data();
  const MlpProblem problem = problem_of(data, {});
  EXPECT_EQ(problem.vectors.rows(), 96u);  // a fifth of the rows calibrates
  EXPECT_EQ(std::ranges::count(problem.validate, 1), 18);
  const auto patient_of = [&](size_t row) {
    for (size_t i = 0; i < data.vectors.rows(); ++i)
      if (std::ranges::equal(data.vectors.row(i), problem.vectors.row(row))) return data.groups[i];
    return std::string();
  };
  std::set<std::string> learn, validate;
  for (size_t row = 0; row < 96; ++row) (problem.validate[row] ? validate : learn).insert(patient_of(row));
  EXPECT_EQ(learn.size() + validate.size(), 48u);  // none is in both
  for (const float w : problem.weights.values()) EXPECT_EQ(w, 1);
}

TEST(FitHead, LayersAreGivenTheWeightsOfBalancedLabels) {
  LabelledVectors data = MadeUp{.rows = 400, .labels = 2}.data();
  std::vector<size_t> rows;
  for (size_t i = 0; i < 400; ++i)
    if (data.truth.holds(i, 0) || i % 20 < 4) rows.push_back(i);  // 200 of a, 40 of b
  data = data.some_rows(rows);
  for (const bool several : {false, true}) {
    data.truth.several = several;
    const MlpProblem problem = problem_of(data, {.balanced = true});
    EXPECT_EQ(problem.loss, several ? MlpProblem::Loss::sigmoid : MlpProblem::Loss::softmax);
    double a = 0, b = 0, n = 0;
    for (size_t i = 0; i < problem.vectors.rows(); ++i) {
      if (problem.validate[i] != 0) continue;
      ++n;
      a += problem.weights.row(i)[0] * problem.targets.row(i)[0];
      b += problem.weights.row(i)[1] * problem.targets.row(i)[1];
    }
    EXPECT_NEAR(a, n / 2, 1e-4);
    EXPECT_NEAR(b, n / 2, 1e-4);
  }
}

TEST(FitHead, LayersForNumbersAreGivenTheNumbers) {
  const LabelledVectors data = MadeUp().numbers();
  const MlpProblem problem = problem_of(data, {.field = "age"});
  EXPECT_EQ(problem.loss, MlpProblem::Loss::squared);
  EXPECT_EQ(problem.targets.cols(), 1u);
  for (const float value : problem.targets.values()) EXPECT_GT(value, 8);
}

TEST(FitHead, RegressionAnswersTheValueAndItsErrorInRowsThatWereHeldOut) {
  const LabelledVectors data = MadeUp().numbers();
  const FittedHead head = fit(data, {.kind = Kind::ridge, .field = "age"});
  const Matrix values = head.score(data.vectors);
  for (size_t i = 0; i < values.rows(); ++i) EXPECT_NEAR(values.row(i)[0], data.values[i], 0.2);
  EXPECT_THAT(head.labels(), ElementsAre("age"));
  EXPECT_EQ(head.parts().record.fit.patients + head.parts().record.calibration.patients, 60u);
  EXPECT_LT(head.parts().record.mean_absolute_error, 0.1);
  EXPECT_GE(head.parts().record.root_mean_square_error, head.parts().record.mean_absolute_error);
}

TEST(FitHead, EnsembleIsTheGeometricMeanOfBothProbabilities) {
  const MadeUp made{.noise = 1};
  const LabelledVectors data = made.data();
  const LabelTexts texts = made.texts();
  for (const Kind kind : {Kind::logistic, Kind::knn}) {
    FitOptions options{.kind = kind, .c = 1, .calibration = Calibration::Kind::none};
    const Matrix alone = fit(data, options).score(data.vectors);
    options.with_texts = true;
    const Matrix joined = fit(data, options, &texts).score(data.vectors);
    const Matrix zero_shot =
        ZeroShotHead(data.truth.labels, texts.vectors.clone(), static_cast<float>(texts.logit_scale), false)
            .score(data.vectors);
    for (size_t i = 0; i < joined.rows(); ++i) {
      std::vector<double> mean;
      for (size_t k = 0; k < 3; ++k) mean.push_back(std::sqrt(double{alone.row(i)[k]} * zero_shot.row(i)[k]));
      for (size_t k = 0; k < 3; ++k)
        EXPECT_NEAR(joined.row(i)[k], mean[k] / (mean[0] + mean[1] + mean[2]), 2e-6);
    }
  }
}

TEST(FitHead, LabelsOfWhichSeveralHoldAreFittedEachOnItsOwn) {
  LabelledVectors data = MadeUp().data();
  data.truth.several = true;
  for (size_t i = 0; i < data.truth.rows(); i += 2)
    data.truth.is[i * 3] = 1;  // half of the rows also have 'a'
  const FittedHead head = fit(data, {.points = {PointRule::parse("youden")}});
  EXPECT_EQ(head.parts().answer, Answer::several);
  const Matrix p = head.score(data.vectors);
  for (size_t i = 0; i < p.rows(); ++i) EXPECT_EQ(p.row(i)[2] > 0.5f, data.truth.holds(i, 2));
  EXPECT_EQ(head.parts().points.size(), 3u);
}

TEST(FitHead, PatientsStayTogetherAndRowsWithoutOneAreGroupsOfTheirOwn) {
  const LabelledVectors data = MadeUp().data();
  const Groups groups = group_rows(data, 1);
  EXPECT_EQ(groups.count(), 60u);
  std::vector<Split> splits = folds_of(groups, 5);
  splits.push_back(hold_out_fifth(groups));
  for (const Split& split : splits) {
    EXPECT_EQ(split.fit.size() + split.held_out.size(), 120u);
    EXPECT_EQ(split.held_out.size(), 24u);
    std::set<std::string> fitted;
    for (const size_t row : split.fit) fitted.insert(data.groups[row]);
    for (const size_t row : split.held_out) EXPECT_FALSE(fitted.contains(data.groups[row]));
    for (size_t k = 0; k < 3; ++k) EXPECT_EQ(data.truth.some_rows(split.held_out).count(k), 8u);
  }
  EXPECT_EQ(hold_out_fifth(groups).held_out, hold_out_fifth(group_rows(data, 1)).held_out);
  EXPECT_NE(hold_out_fifth(groups).held_out, hold_out_fifth(group_rows(data, 2)).held_out);
  EXPECT_EQ(fit(data).parts().record.groups, 48u);
}

TEST(FitHead, ResultDoesNotDependOnTheNumberOfThreads) {
  const MadeUp made{.rows = 1000, .noise = 1};
  const LabelledVectors data = made.data();
  const FittedHead first = fit(data);
#ifdef _OPENMP
  const int threads = omp_get_max_threads();
  omp_set_num_threads(threads == 1 ? 3 : 1);
#endif
  const FittedHead second = fit(data);
#ifdef _OPENMP
  omp_set_num_threads(threads);
#endif
  EXPECT_TRUE(std::ranges::equal(first.parts().coefficients.values(), second.parts().coefficients.values()));
}

TEST(FitHead, OperatingPointsMakeBands) {
  const LabelledVectors data = MadeUp{.rows = 600, .noise = 1.5}.data();
  const FittedHead head =
      fit(data, {.points = {PointRule::parse("specificity=0.95"), PointRule::parse("sensitivity=0.95")}});
  const auto& points = head.parts().points[0];
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].rule, "sensitivity=0.95");
  EXPECT_GE(points[0].sensitivity().value, 0.95);
  EXPECT_GE(points[1].specificity().value, 0.95);
  EXPECT_LT(points[0].sensitivity().low, points[0].sensitivity().value);
  const float low = points[0].threshold, high = points[1].threshold;
  EXPECT_LT(low, high);
  EXPECT_STREQ(head.band(0, std::nextafter(low, 0.0f))->name, "negative");
  EXPECT_STREQ(head.band(0, low)->name, "possible");
  EXPECT_STREQ(head.band(0, std::nextafter(high, 0.0f))->name, "possible");
  EXPECT_STREQ(head.band(0, high)->name, "positive");
  EXPECT_EQ(head.band(0, 0)->points, "sensitivity=0.95");
  EXPECT_EQ(head.band(0, 1)->points, "specificity=0.95");
  EXPECT_EQ(head.band(0, high * 0.99f)->points, "sensitivity=0.95, specificity=0.95");
  EXPECT_FALSE(fit(data).band(0, 0.5f));
}

TEST(FitHead, SaysWhenNothingThatWasHeldOutIsHardEnough) {
  const char* sentence = "all 24 images held out are answered rightly";
  EXPECT_THAT(warnings(fit(MadeUp().data())), Contains(HasSubstr(sentence)));
  EXPECT_THAT(warnings(fit(MadeUp{.noise = 1.5}.data())), testing::Not(Contains(HasSubstr(sentence))));
}

TEST(FitHead, CalibrationMakesProbabilitiesOfRowsThatTheFitDidNotSeeLikelier) {
  const LabelledVectors data = MadeUp{.rows = 3000, .noise = 2}.data();
  const Split split = hold_out_fifth(group_rows(data, 7));
  const LabelledVectors unseen = data.some_rows(split.held_out), seen = data.some_rows(split.fit);
  LabelTexts texts = MadeUp().texts();
  texts.logit_scale = 200;  // far too sure
  const auto loss = [&](Calibration::Kind kind) {
    const Matrix p = fit(seen, {.kind = Kind::ss_text, .calibration = kind}, &texts).score(unseen.vectors);
    double sum = 0;
    for (size_t i = 0; i < p.rows(); ++i)
      sum -= std::log(std::max(p.row(i)[unseen.truth.label_of(i)], 1e-3f));
    return sum / static_cast<double>(p.rows());
  };
  const double raw = loss(Calibration::Kind::none);
  for (const auto kind :
       {Calibration::Kind::temperature, Calibration::Kind::platt, Calibration::Kind::isotonic})
    EXPECT_LT(loss(kind), raw) << to_string(kind);
}

TEST(FitHead, RefusesDataThatNoHeadCanBeFittedTo) {
  const LabelledVectors data = MadeUp().data();
  LabelledVectors one_label = MadeUp().data();
  one_label.truth = {false, {"a"}, std::vector<uint8_t>(120, 1)};
  EXPECT_THAT(refusal(one_label), HasSubstr("field 'finding' has one label only, 'a'"));

  LabelledVectors not_finite = MadeUp().data();
  not_finite.vectors.row(4)[2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal(not_finite), HasSubstr("vector 5 holds a value that is not finite"));

  LabelledVectors constant{Matrix(120, 8), data.groups, data.truth, {}};
  EXPECT_THAT(refusal(constant), HasSubstr("all 120 vectors are equal"));

  EXPECT_THAT(refusal({}), HasSubstr("fewer than two images"));
  EXPECT_THAT(refusal(data, {.c = 0}), HasSubstr("C must be above 0"));
  EXPECT_THAT(refusal(data, {.kind = Kind::ridge}), HasSubstr("for a field of numbers, not of labels"));
  EXPECT_THAT(refusal(MadeUp().numbers()), HasSubstr("for a field of labels, not of numbers"));

  LabelledVectors one_patient = data.some_rows(std::vector<size_t>{0, 1, 2, 3});
  one_patient.truth = one_patient.truth.some_labels(std::vector<size_t>{0, 1});
  std::ranges::fill(one_patient.groups, "same");
  EXPECT_THAT(refusal(one_patient), HasSubstr("all images are of one patient"));
  EXPECT_THAT(refusal(one_patient, {.kind = Kind::mlp, .train_mlp = sums_of_labels}),
              HasSubstr("no patient can be held out, so that nothing tells when to stop"));
}

TEST(FitHead, RefusesASplitThatSharesPatientsUnlessTold) {
  const LabelledVectors data = MadeUp().data();
  Split split;
  for (size_t row = 0; row < 120; ++row) (row < 61 ? split.fit : split.held_out).push_back(row);
  EXPECT_THAT(refusal(data, {}, split), HasSubstr("1 patient has images in both parts"));
  const FittedHead head = fit(data, {.allow_shared_patients = true}, nullptr, split);
  EXPECT_THAT(warnings(head), Contains(HasSubstr("1 patient has images in both parts")));
}

TEST(FitHead, LabelsThatAreMissingFromAPartOfTheSplitAreNamed) {
  const LabelledVectors data = MadeUp().data();
  Split without_b;
  for (size_t row = 0; row < 120; ++row)
    (data.truth.holds(row, 1) || row < 12 ? without_b.held_out : without_b.fit).push_back(row);
  EXPECT_THAT(refusal(data, {}, without_b), HasSubstr("label 'b' has no row to fit"));
  Split held_out_without_b;
  for (size_t row = 0; row < 120; ++row)
    (data.truth.holds(row, 1) || row > 25 ? held_out_without_b.fit : held_out_without_b.held_out)
        .push_back(row);
  const FittedHead head = fit(data, {.points = {PointRule::parse("youden")}}, nullptr, held_out_without_b);
  EXPECT_THAT(warnings(head),
              Contains(AllOf(HasSubstr("label 'b' holds for none"), HasSubstr("no operating points"))));
  EXPECT_TRUE(head.parts().points[1].empty());
  EXPECT_FALSE(head.parts().points[0].empty());
}

TEST(FitHead, LabelOfOnePatientIsFittedAndNamed) {
  LabelledVectors data = MadeUp().data();
  data.truth.labels.push_back("rare");
  std::vector<uint8_t> is;
  for (size_t row = 0; row < 120; ++row)
    for (size_t k = 0; k < 4; ++k) is.push_back(row < 2 ? k == 3 : k < 3 && data.truth.is[row * 3 + k]);
  data.truth.is = is;
  const FittedHead head = fit(data);
  EXPECT_THAT(warnings(head), Contains(HasSubstr("label 'rare' has one patient only")));
  EXPECT_EQ(head.parts().record.labels[3].rows, 2u);
}

TEST(FitHead, ThresholdsThatReachNothingAreNamed) {
  LabelledVectors data = MadeUp().data();
  std::mt19937 random(3);
  for (float& v : data.vectors.values()) v = static_cast<float>(random() % 1000) / 1000;  // tells nothing
  const FittedHead head =
      fit(data, {.kind = Kind::knn, .k = 1, .points = {PointRule::parse("sensitivity=1")}});
  EXPECT_THAT(warnings(head),
              Contains(HasSubstr("no threshold reaches sensitivity=1 in the 24 images held out")));
}

TEST(PointRule, IsWrittenAsItIsReadAndRefusesTheRest) {
  for (const char* rule : {"youden", "f1", "sensitivity=0.95", "specificity=0.9", "cost=5"})
    EXPECT_EQ(PointRule::parse(rule).name, rule);
  for (const char* rule : {"", "youden=1", "sensitivity", "sensitivity=0", "sensitivity=1.01",
                           "sensitivity=nan", "specificity=-1", "cost=0", "cost=x", "accuracy"})
    EXPECT_THROW(PointRule::parse(rule), Error) << rule;
}

TEST(ReadCells, CellsBecomeLabelsListsAndNumbers) {
  const std::vector<std::string> cells{" b", "", "a;b", "a"};
  EXPECT_THAT(read_labels(cells).truth.labels, ElementsAre("a", "a;b", "b"));
  EXPECT_THAT(read_labels(cells).rows, ElementsAre(0, 2, 3));
  const ReadCells lists = read_label_lists(cells);
  EXPECT_THAT(lists.truth.labels, ElementsAre("a", "b"));
  EXPECT_THAT(lists.truth.is, ElementsAre(0, 1, 1, 1, 1, 0));
  EXPECT_TRUE(lists.truth.several);
  EXPECT_THAT(read_numbers(std::vector<std::string>{"1.5", "", " -2 "}).values, ElementsAre(1.5, -2));
  for (const char* cell : {"x", "1,5", "1 2", "nan", "inf", "1e999"})
    EXPECT_THROW(read_numbers(std::vector<std::string>{cell}), Error) << cell;
}

}  // namespace
}  // namespace mii::heads
