#include "search/principal_axes.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

#include "mii/error.h"

namespace mii::search {
namespace {

heads::Rows64 differences(const Matrix& vectors, const std::vector<double>& from) {
  heads::Rows64 rows(vectors.rows(), vectors.cols());
  for (size_t i = 0; i < vectors.rows(); ++i)
    for (size_t d = 0; d < vectors.cols(); ++d) rows.row(i)[d] = double{vectors.row(i)[d]} - from[d];
  return rows;
}

}  // namespace

Matrix PrincipalAxes::project(const Matrix& vectors) const {
  const heads::Rows64 along = heads::product(differences(vectors, mean), axes);
  Matrix places(vectors.rows(), 2);
  for (size_t i = 0; i < vectors.rows(); ++i)
    for (size_t a = 0; a < 2; ++a) places.row(i)[a] = static_cast<float>(along.row(i)[a]);
  return places;
}

Covariance::Covariance(size_t dim) : dim_(dim) {
  if (dim > kMaxDim)
    throw Error(ErrorCode::unsupported, "vectors of " + std::to_string(dim) +
                                            " values; their two main axes are found of at most " +
                                            std::to_string(kMaxDim));
  sum_.resize(dim);
  products_ = heads::Rows64(dim, dim);
}

void Covariance::add(const Matrix& vectors) {
  if (vectors.rows() == 0) return;
  if (count_ == 0) first_.assign(vectors.row(0).begin(), vectors.row(0).end());
  const heads::Rows64 rows = differences(vectors, first_);
  for (size_t i = 0; i < rows.rows(); ++i)
    for (size_t d = 0; d < dim_; ++d) sum_[d] += rows.row(i)[d];
  heads::add_gram(rows, products_);
  count_ += vectors.rows();
}

PrincipalAxes Covariance::axes() const {
  PrincipalAxes found{std::vector<double>(dim_), heads::Rows64(dim_, 2)};
  if (count_ == 0 || dim_ == 0) return found;
  const auto n = static_cast<double>(count_);
  for (size_t d = 0; d < dim_; ++d) found.mean[d] = first_[d] + sum_[d] / n;
  // Eigen reads the lower triangle, by columns: that is the upper one by rows.
  const auto size = static_cast<Eigen::Index>(dim_);
  Eigen::MatrixXd covariance(size, size);
  double variance = 0;
  for (size_t i = 0; i < dim_; ++i) {
    for (size_t j = i; j < dim_; ++j)
      covariance(static_cast<Eigen::Index>(j), static_cast<Eigen::Index>(i)) =
          products_.row(i)[j] / n - sum_[i] / n * (sum_[j] / n);
    variance += covariance(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(i));
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
  const Eigen::VectorXd& values = solver.eigenvalues();  // ascending
  // Below, a value is the rounding of the largest one, and its direction means nothing.
  const double least = static_cast<double>(dim_) * std::numeric_limits<double>::epsilon() * values[size - 1];
  for (size_t a = 0; a < std::min<size_t>(2, dim_); ++a) {
    const Eigen::Index at = size - 1 - static_cast<Eigen::Index>(a);
    if (!(values[at] > least)) break;
    const auto axis = solver.eigenvectors().col(at);
    Eigen::Index largest = 0;
    axis.cwiseAbs().maxCoeff(&largest);
    const double sign = axis[largest] < 0 ? -1 : 1;
    for (size_t d = 0; d < dim_; ++d) found.axes.row(d)[a] = sign * axis[static_cast<Eigen::Index>(d)];
    found.share[a] = values[at] / variance;
  }
  return found;
}

}  // namespace mii::search
