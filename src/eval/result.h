#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stats/binary.h"
#include "stats/calibration.h"
#include "stats/decision_curve.h"
#include "stats/delong.h"
#include "stats/estimate.h"
#include "stats/regression.h"
#include "stats/retrieval.h"

namespace mii {

using stats::Estimate;

/// A threshold on the probability of a label, and how it was chosen.
struct PointChoice {
  float threshold = 0.5f;
  std::string rule;  ///< "youden of the references", "0.5", a rule of the head's
};

/// What a label's threshold does to the images.
struct PointResult {
  PointChoice choice;
  Estimate sensitivity;  ///< Wilson's interval
  Estimate specificity;  ///< Wilson's interval
  double prevalence =
      0;  ///< that the predictive values are for: the one that was asked for, else the images' own
  double ppv = 0;
  double npv = 0;
};

/// One label against all others, by one scorer.
struct LabelFigures {
  double recall = 0;  ///< share of the label's images for which it is the answer
  Estimate auc;       ///< DeLong's interval
  double average_precision = 0;
  double brier = 0;
  double calibration_error = 0;
  PointResult point;
  std::vector<stats::Cut> curve;  ///< where the ROC curve turns
  std::vector<stats::ReliabilityBin> reliability;
  std::vector<stats::NetBenefit>
      net_benefit;  ///< at the prevalence of `point`; none where there is one class
};

/// What a scorer's answers are worth.
struct ScorerResult {
  std::string name;
  Estimate top1;
  Estimate top5;
  Estimate macro_auc;
  // The rest is not there for means and baselines.
  double calibration_error = 0;                    ///< of the probability of the answer
  double brier = 0;                                ///< of the same
  std::vector<stats::ReliabilityBin> reliability;  ///< of the same
  std::vector<LabelFigures> labels;
  std::vector<size_t> confusion;  ///< [truth * labels + answer]
};

/// The first scorer less the second, on the same bootstrap draws. An interval that excludes 0 says that they
/// differ, even where their own intervals overlap.
struct ComparisonResult {
  std::string first;
  std::string second;
  Estimate top1;
  Estimate macro_auc;
  bool replaces = false;                  ///< whether the first may take the second's place is the question
  double agreement = 0;                   ///< share of images with the same answer
  std::vector<stats::DelongTest> labels;  ///< none for means
};

/// A label in a subgroup.
struct SubgroupLabel {
  size_t images = 0;
  Estimate auc;          ///< DeLong's interval
  Estimate sensitivity;  ///< at the label's point; Wilson's interval
  Estimate specificity;
  Estimate sensitivity_difference;  ///< less that of the images outside of the subgroup
  Estimate specificity_difference;
};

/// A scorer in a subgroup.
struct SubgroupFigures {
  std::string scorer;
  Estimate top1;
  Estimate macro_auc;
  Estimate top1_difference;  ///< less that of the images outside of the subgroup
  Estimate macro_auc_difference;
  std::vector<SubgroupLabel> labels;
};

/// The images whose column has a value, or a number within a band.
struct SubgroupResult {
  std::string column;
  std::string value;
  size_t images = 0;
  size_t groups = 0;
  std::vector<SubgroupFigures> scorers;  ///< none where there are no images
};

/// How far a scorer's numbers are from the truth.
struct ValueFigures {
  std::string name;
  Estimate mae;
  Estimate rmse;
  Estimate r2;
  Estimate bias;
  double limit_low = 0;  ///< Bland and Altman's limits of agreement
  double limit_high = 0;
  std::vector<std::pair<float, float>> points;  ///< (mean of prediction and truth, their difference)
};

/// The first scorer's mean absolute error less the second's.
struct ValueComparison {
  std::string first;
  std::string second;
  Estimate mae;
};

struct ValueSubgroup {
  std::string column;
  std::string value;
  size_t images = 0;
  size_t groups = 0;
  struct Figures {
    std::string scorer;
    Estimate mae;
    Estimate bias;
    Estimate mae_difference;  ///< less that of the images outside of the subgroup
  };
  std::vector<Figures> scorers;
};

/// An example image to look at.
struct Example {
  std::string truth;
  std::string predicted;
  double probability = 0;
  std::vector<std::byte> jpeg;
};

struct CorruptionResult {
  std::string name;
  size_t images = 0;     ///< images that have such a copy
  double accuracy = 0;   ///< top-1 of the altered images
  double agreement = 0;  ///< share with the same answer as for the unaltered image
};

/// The shots of a head that is fitted to all images.
constexpr size_t kAllShots = static_cast<size_t>(-1);

struct FewShotFigures {
  double top1 = 0;
  double macro_auc = 0;
};

/// Heads of a kind that were fitted to few images of each label.
struct FewShotHead {
  std::string name;
  std::vector<std::vector<FewShotFigures>> runs;  ///< [shots][draws]
};

/// Heads fitted to few images, beside zero-shot.
struct FewShotResult {
  std::vector<size_t> shots;  ///< images of each label, or kAllShots
  FewShotFigures zero_shot;
  std::vector<FewShotHead> heads;
};

/// How well images find those with the same label by some vectors.
struct SearchFigures {
  std::string name;  ///< of the vectors
  stats::RetrievalFigures all;
  std::vector<stats::RetrievalFigures> labels;  ///< of the queries with each label
};

struct VolumeSlices {
  size_t asked = 0;    ///< of the volumes that are queries
  size_t indexed = 0;  ///< of those in the index
};

/// Images of a task as queries of an index, or volumes.
struct RetrievalResult {
  size_t indexed = 0;  ///< images in the index, or volumes
  std::vector<size_t> indexed_of_label;
  std::vector<SearchFigures> searches;  ///< by the model's vectors first
  std::optional<VolumeSlices> slices;   ///< of volumes
};

/// The results of a task, or the mean of several; a mean has no labels, subgroups or examples.
struct TaskResult {
  std::string name;
  size_t images = 0;                                   ///< of a search of volumes: volumes
  size_t groups = 0;                                   ///< patients; images where patients are unknown
  std::vector<std::pair<std::string, size_t>> labels;  ///< with their images; none for a task about a number
  std::vector<ScorerResult> scorers;                   ///< zero-shot first
  std::vector<ComparisonResult> comparisons;
  std::vector<SubgroupResult> subgroups;
  std::vector<ValueFigures> values;  ///< of a task about a number
  std::vector<ValueComparison> value_comparisons;
  std::vector<ValueSubgroup> value_subgroups;
  std::optional<FewShotResult> few_shot;
  std::optional<RetrievalResult> retrieval;  ///< where search was asked about, in place of scorers
  std::vector<CorruptionResult> corruptions;
  std::vector<Example> examples;
  std::vector<std::string> notes;  ///< sentences: what could not be computed, and why
};

/// How near the vectors of two models are to each other, image by image.
struct VectorAgreement {
  size_t images = 0;
  double mean_cosine = 0;
  double low_cosine = 0;  ///< of one image in a hundred it is lower
  double least_cosine = 0;
};

/// Another model that was asked the same.
struct OtherModel {
  std::string name;
  std::vector<std::string> differences;    ///< of the identities, a sentence each
  std::optional<VectorAgreement> vectors;  ///< none where the vectors have another length
};

struct EvalReport {
  std::string model;
  std::string data;
  double margin = 0.02;  ///< of top-1, within which a model counts as not worse
  std::optional<OtherModel> other;
  std::vector<TaskResult> tasks;
};

}  // namespace mii
