#include "search/query.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "mii/error.h"

namespace mii::search {
namespace {

double length_of(std::span<const double> vector) {
  double squares = 0;
  for (const double value : vector) squares += value * value;
  return std::sqrt(squares);
}

void add_units(const Matrix& vectors, double sign, std::vector<double>& sum) {
  for (size_t r = 0; r < vectors.rows(); ++r) {
    const std::vector<double> vector(vectors.row(r).begin(), vectors.row(r).end());
    const double length = length_of(vector);
    if (!std::isfinite(length) || length == 0)
      throw Error(ErrorCode::invalid_argument,
                  std::string("a query's vector is ") + (length == 0 ? "zero" : "not finite"));
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += sign * vector[i] / length;
  }
}

void expect_length(size_t expected, size_t found) {
  if (expected != found)
    throw Error(ErrorCode::invalid_argument, "a query of vectors of " + std::to_string(expected) +
                                                 " and of " + std::to_string(found) + " values");
}

}  // namespace

Matrix query_of(const Matrix& like, const Matrix& unlike) {
  if (like.rows() == 0) throw Error(ErrorCode::invalid_argument, "a query needs something to be like");
  if (unlike.rows() > 0) expect_length(like.cols(), unlike.cols());
  std::vector<double> sum(like.cols());
  add_units(like, 1, sum);
  add_units(unlike, -1, sum);
  const double length = length_of(sum);
  // Of float32 values, no more than their rounding is left.
  constexpr double kNothingLeft = 1e-5;
  if (length < kNothingLeft)
    throw Error(ErrorCode::invalid_argument, "the query's examples cancel out: nothing is left to look for");
  Matrix query(1, like.cols());
  for (size_t i = 0; i < sum.size(); ++i) query.row(0)[i] = static_cast<float>(sum[i] / length);
  return query;
}

Matrix stacked(const std::vector<std::span<const float>>& vectors) {
  if (vectors.empty()) return {};
  Matrix rows(vectors.size(), vectors.front().size());
  for (size_t r = 0; r < vectors.size(); ++r) {
    expect_length(rows.cols(), vectors[r].size());
    std::ranges::copy(vectors[r], rows.row(r).begin());
  }
  return rows;
}

void leave_out_patients(const std::set<std::string>& patients, SearchOptions& options) {
  if (patients.empty())
    throw Error(ErrorCode::invalid_argument, "the query's patient is not known: none can be left out");
  std::vector<Filter> all;
  if (options.filter) all.push_back(std::move(*options.filter));
  for (const std::string& patient : patients) all.push_back(negation(equals("patient", patient)));
  options.filter = all_of(std::move(all));
}

}  // namespace mii::search
