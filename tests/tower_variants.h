#pragma once

#include <ostream>
#include <string>

#include "procedural_model.h"

namespace mii {

/// A tiny model, and what is changed in its configuration, so that each part of a stage is there and is not.
struct TowerVariant {
  std::string name;
  std::string model;
  ConfigEdits edits;
};
inline std::ostream& operator<<(std::ostream& out, const TowerVariant& variant) {
  return out << variant.name;
}

inline std::vector<TowerVariant> tower_variants() {
  const std::pair<std::string, std::string> norm_after{"    - true\n    DIM_EMBED",
                                                       "    - false\n    DIM_EMBED"};
  const auto with = [](const std::string& key) {
    return std::pair<std::string, std::string>{"    WINDOW_SIZE:",
                                               "    " + key + ": false\n    WINDOW_SIZE:"};
  };
  return {{"TinyA", "tiny-a", {}},
          {"TinyB", "tiny-b", {}},
          {"NormAfterPatches", "tiny-a", {norm_after}},
          {"NormAfterPatchesOfTinyB", "tiny-b", {norm_after}},
          {"NoConvolutions", "tiny-b", {with("CONV_AT_ATTN"), with("CONV_AT_FFN")}},
          {"FixedScale", "tiny-a", {with("DYNAMIC_SCALE")}},
          {"TwoPairsAndWindowsThatFit",
           "tiny-a",
           {{"    - 2\n    - 1\n", "    - 2\n    - 2\n"}, {"WINDOW_SIZE: 4", "WINDOW_SIZE: 3"}}}};
}

}  // namespace mii
