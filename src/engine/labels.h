#pragma once

#include <span>
#include <string>
#include <vector>

#include "mii/engine.h"

namespace mii {

/// Throws Error{invalid_argument} for no labels, an empty or (unless allowed) repeated one, or a template
/// without exactly one "{}".
void expect_valid_labels(std::span<const std::string> labels, const ClassifyOptions& options);

/// The texts of all labels in all templates: label 0 in each template, label 1 in each, ...
std::vector<std::string> prompts(std::span<const std::string> labels,
                                 const std::vector<std::string>& templates);

/// [K, D]: for each label the mean of its prompts' unit vectors, normalised again. prompt_vectors: [K * n,
/// D].
Matrix mean_of_prompts(const Matrix& prompt_vectors, size_t labels);

/// Probabilities [n, K] of image vectors [n, D] against label vectors [K, D]: softmax over the labels, or a
/// sigmoid of each when multilabel, of logit_scale * cosine.
Matrix probabilities(const Matrix& image_vectors, const Matrix& label_vectors, float logit_scale,
                     bool multilabel);

}  // namespace mii
