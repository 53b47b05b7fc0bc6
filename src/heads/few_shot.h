#pragma once

#include "heads/labelled.h"
#include "heads/products.h"

namespace mii::heads {

/// The labels' texts as the model sees them.
struct LabelTexts {
  Matrix vectors;          ///< [K, D], a unit vector for each label
  double logit_scale = 0;  ///< the model's factor on the cosine: 1 / temperature
};

/// The zero-shot head: coefficients [K, D + 1] of logit_scale * cosine, the intercept 0.
Rows64 zero_shot_coefficients(const LabelTexts& texts);

/// SS-Text: a text's vector moved towards the mean of its label's rows, in closed form,
///   w_k = t_k + 1/N * 1/lambda_k * sum over the rows i of label k of f_i / tau,  lambda_k = 1/n_k, at least
///   1e-3
/// and scored as texts are, logit_scale * cosine. balanced: lambda_k = 1/N, so that each label's rows move
/// its text as far as there are rows of it. Source: Silva-Rodriguez et al., arXiv 2506.17500;
/// solvers/sstext.py of github.com/jusiro/SS-Text.
Rows64 fit_ss_text(const Matrix& vectors, const Truth& truth, const LabelTexts& texts, bool balanced);

/// LP++: logits f * (w_k + alpha_k t_k) + b_k by gradient descent whose steps come from Lipschitz constants,
/// so that no row is kept for validation: w_k begins as the sum of its label's rows, alpha as 250 times the
/// mean over the labels of their rows' cosines with the texts; 300 steps of 4N / largest eigenvalue of F^T F
/// with momentum 0.9, every tenth also one of alpha.
/// Source: Huang et al., CVPR 2024, arXiv 2404.02285;
/// github.com/FereshteShakeri/FewShot-CLIP-Strong-Baseline. Returns the coefficients [K, D + 1] of w_k +
/// alpha_k t_k and b_k. truth: one label for each row.
Rows64 fit_lp_plus_plus(const Matrix& vectors, const Truth& truth, const LabelTexts& texts);

}  // namespace mii::heads
