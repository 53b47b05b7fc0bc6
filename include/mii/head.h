#pragma once

#include <span>
#include <string>
#include <vector>

#include "mii/export.h"
#include "mii/matrix.h"

namespace mii {

/// Turns embeddings into answers. Built once, asked often; const methods may run on several threads.
class MII_API Head {
 public:
  virtual ~Head() = default;

  /// K of them; the columns of score().
  virtual const std::vector<std::string>& labels() const = 0;

  /// Probabilities [n, K] for embeddings [n, D].
  /// Throws Error{invalid_argument} when there are rows and D is not that of the head.
  virtual Matrix score(const Matrix& vectors) const = 0;
};

struct ClassifyOptions {
  /// false: the probabilities of one image sum to 1 (softmax). true: each label alone (sigmoid).
  bool multilabel = false;
  /// The text that stands for each label, where that is not the label itself: as many as there are labels.
  /// None: the labels.
  std::vector<std::string> prompts;
  /// Prompts around the label, each with one "{}" where the label goes. With several, the label's vector is
  /// the mean of the prompts' unit vectors, normalised again. None: the label itself is the prompt.
  std::vector<std::string> templates;
  /// A label given twice is an error unless this is set; then it is scored twice.
  bool allow_duplicate_labels = false;
};

/// Scores by the cosine with the vectors of labels' texts: probabilities are the softmax over the labels, or
/// the sigmoid of each, of logit_scale * cosine. Engine::zero_shot_head makes one.
class MII_API ZeroShotHead final : public Head {
 public:
  /// label_vectors: [K, D], a unit vector for each label.
  ZeroShotHead(std::vector<std::string> labels, Matrix label_vectors, float logit_scale, bool multilabel);

  const std::vector<std::string>& labels() const override { return labels_; }
  Matrix score(const Matrix& vectors) const override;

  /// [K, D]
  const Matrix& label_vectors() const { return label_vectors_; }

 private:
  std::vector<std::string> labels_;
  Matrix label_vectors_;
  float logit_scale_;
  bool multilabel_;
};

/// The texts that a zero-shot head is made of: every label in every template, checked once.
class MII_API LabelPrompts {
 public:
  /// Throws Error{invalid_argument} for no labels, an empty or (unless allowed) repeated one, or a template
  /// without exactly one "{}".
  LabelPrompts(std::span<const std::string> labels, const ClassifyOptions& options);

  /// The first label in each template, the second in each, ...
  const std::vector<std::string>& texts() const { return texts_; }

  /// text_vectors: [texts, D], a unit vector for each of texts().
  ZeroShotHead head(const Matrix& text_vectors, float logit_scale) const;

 private:
  std::vector<std::string> labels_;
  std::vector<std::string> texts_;
  bool multilabel_;
};

}  // namespace mii
