#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "stats/bootstrap.h"
#include "stats/estimate.h"
#include "stats/groups.h"

namespace mii::stats {

/// Of an item whose class is not known: it is never relevant, and has no vote.
constexpr size_t kNoClass = static_cast<size_t>(-1);

/// How an index answered a query. An item is relevant where it has the query's class.
struct Retrieved {
  size_t truth = 0;             ///< the query's class
  std::vector<size_t> classes;  ///< of the first items, the best first
  size_t relevant = 0;          ///< relevant items in the index
  size_t first = 0;  ///< rank of the best relevant item in the whole ranking, from 1; 0: it is not in it
};

/// Hits: the relevant ones of the first k items. All figures are NaN where there is nothing to find.

double precision_at(const Retrieved& query, size_t k);  ///< hits / k
/// hits / min(k, relevant): 1 where nothing better was possible. Source: Denner et al., Comput Biol Med 196
/// (2025) 110640, by the code of their evaluation.
double capped_precision_at(const Retrieved& query, size_t k);
double recall_at(const Retrieved& query, size_t k);  ///< hits / relevant
/// The sum over the hits of the precision at their ranks, / min(k, relevant).
double average_precision_at(const Retrieved& query, size_t k);
/// 1 where most of the first k items have the query's class, else 0. Of classes with as many, that of the
/// better item wins.
double majority_at(const Retrieved& query, size_t k);
double reciprocal_rank(const Retrieved& query);  ///< 1 / first; 0 where there is none

/// A figure of queries averaged: over the queries (micro), and over the classes of each class's mean (macro).
/// Queries for which it is NaN are left out, and so are classes without others.
struct Averaged {
  Estimate micro;
  Estimate macro;
};

struct RetrievalFigures {
  struct AtK {
    size_t k = 0;
    Averaged precision;
    Averaged capped_precision;
    Averaged recall;
    Averaged average_precision;  ///< mAP@k
    Averaged majority;
  };
  std::vector<AtK> at;
  Averaged reciprocal_rank;  ///< MRR
};

/// All figures, with intervals by bootstrap over the groups of the queries. classes: how many there are; a
/// query's truth is below. Throws Error{invalid_argument} for a k of 0 and sizes that differ.
RetrievalFigures retrieval_figures(std::span<const Retrieved> queries, size_t classes, const Groups& groups,
                                   std::span<const size_t> ks, const BootstrapOptions& options);

}  // namespace mii::stats
