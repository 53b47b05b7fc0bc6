#include "heads/cholesky.h"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>

#include "mii/error.h"

namespace mii::heads {
namespace {

using Square = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <typename Values>
auto map(Values values, size_t rows, size_t stride) {
  using Element = typename Values::element_type;
  using Mapped = std::conditional_t<std::is_const_v<Element>, const Square, Square>;
  const auto n = static_cast<Eigen::Index>(rows);
  return Eigen::Map<Mapped, 0, Eigen::OuterStride<>>(values.data(), n, n,
                                                     Eigen::OuterStride<>(static_cast<Eigen::Index>(stride)));
}

auto map(const Rows64& matrix) { return map(matrix.values(), matrix.rows(), matrix.stride()); }
auto map(Rows64& matrix) { return map(matrix.values(), matrix.rows(), matrix.stride()); }

Eigen::LLT<Square> factors_of(const Rows64& matrix) {
  Eigen::LLT<Square> factors(map(matrix));
  if (factors.info() != Eigen::Success)
    throw Error(ErrorCode::invalid_argument, "the vectors do not determine the head: no Cholesky factors");
  return factors;
}

}  // namespace

Cholesky cholesky(const Rows64& matrix) {
  const Eigen::LLT<Square> factors = factors_of(matrix);
  const size_t n = matrix.rows();
  Cholesky found{Rows64(n, n), Rows64(n, n)};
  const Square lower = factors.matrixL();
  map(found.lower) = lower;
  map(found.inverse) =
      lower.triangularView<Eigen::Lower>().solve(Square::Identity(lower.rows(), lower.cols()));
  return found;
}

double largest_eigenvalue(const Rows64& matrix) {
  const Eigen::SelfAdjointEigenSolver<Square> solver(map(matrix), Eigen::EigenvaluesOnly);
  return solver.eigenvalues().maxCoeff();
}

std::vector<double> solve(const Rows64& matrix, std::span<const double> right) {
  const auto n = static_cast<Eigen::Index>(right.size());
  const Eigen::VectorXd x = factors_of(matrix).solve(Eigen::Map<const Eigen::VectorXd>(right.data(), n));
  return {x.begin(), x.end()};
}

}  // namespace mii::heads
