#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "maps/overlay.h"

// The measures themselves, which know no model: of a map, what it says of places that are known.

namespace mii {

/// Parts of an image, numbered: rows * cols cells of equal size, or the part inside a mask (1) and outside
/// (0).
using PartOf = std::function<size_t(double y, double x)>;  ///< of a place, from 0 to 1 each way

/// Cells from left to right, then from top to bottom.
PartOf grid_parts(size_t rows, size_t cols);

/// The share of what is above zero in the map that lies in this part, by the middles of its tokens; 0 where
/// nothing is above zero.
double energy_in(const maps::MapGrid& map, const PartOf& part_of, size_t part);

/// The part in which the highest token's middle lies.
size_t highest_part(const maps::MapGrid& map, const PartOf& part_of);

/// Places of a side x side grid from the highest of the map, read between its tokens, to the lowest; equal
/// ones in their order. [side * side]
std::vector<size_t> places_by_height(const maps::MapGrid& map, size_t side);

/// The area below a curve of values at equal distances, over its width. At least two.
double area_below(std::span<const double> curve);

}  // namespace mii
