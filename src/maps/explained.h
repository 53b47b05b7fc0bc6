#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/json_writer.h"
#include "maps/overlay.h"
#include "maps/question.h"
#include "mii/explain.h"

namespace mii::maps {

/// What is said of one image: the answers to a question.
class Explained {
 public:
  /// By parts that add up to the scores. maps: in the question's directions(). The question must outlive
  /// this.
  Explained(const Question& question, TokenMaps maps);
  /// By maps that only point at places. maps: in the directions that the question has shown; vector: the
  /// image's.
  Explained(const Question& question, TokenMaps maps, std::span<const float> vector);

  const Question& question() const { return question_; }
  size_t labels() const { return question_.labels.size(); }
  size_t rows() const { return maps_.rows; }
  size_t cols() const { return maps_.cols; }

  double score(size_t k) const { return scores_[k] + question_.intercepts[k]; }
  bool adds_up() const { return adds_up_; }
  // Only where it adds up:
  /// What of the score has no place in the image.
  double constant(size_t k) const { return maps_.constants[k] + question_.intercepts[k]; }
  /// How far constant and parts are from the score.
  double completeness(size_t k) const { return maps_.completeness_error(k); }
  /// What each token adds to the score. [rows * cols]
  std::span<const float> parts(size_t k) const { return maps_.maps.row(k); }
  /// What is shown: the parts after the contrast, less their mean.
  MapGrid map(size_t k) const { return {rows(), cols(), shown_[k]}; }
  /// The token that is highest in the map, counted row by row.
  size_t highest(size_t k) const;

 private:
  const Question& question_;
  TokenMaps maps_;
  bool adds_up_;
  std::vector<double> scores_;
  std::vector<std::vector<float>> shown_;
};

/// Writes members of an object: rows, cols and labels, [{label, score, constant, completeness, highest: {row,
/// col}, map, parts}]; without constant, completeness and parts where these do not add up. overlay, where
/// there is one: a label's PNG in base64, the member of that name.
void write_explained(JsonWriter& json, const Explained& explained,
                     const std::function<std::string(size_t k)>& overlay = {});

/// An object of an image's name, the contrast and these.
std::string explained_json(const std::string& image, const Explained& explained);

}  // namespace mii::maps
