#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "heads/fitted_head.h"

// A head on the disk: one safetensors file.
//   __metadata__   "head": everything but the numbers below as JSON; "card": the same for people
//   coefficients   F64 [K, D + 1], the intercept last
//   voters         F32 [n, D] and voters.is U8 [n, K], of a head whose neighbours vote
//   layers.N       of a head with layers, see mlp_file.h

namespace mii::heads {

/// Throws Error{io}.
void write_head(const FittedHead& head, const std::filesystem::path& path);

/// Throws Error{io} for a file that cannot be read, Error{corrupt_weights} for one that is no head or
/// damaged.
FittedHead read_head(const std::filesystem::path& path);

/// The same of a file's bytes. name: what errors call it.
FittedHead parse_head(std::span<const std::byte> bytes, std::string_view name);

/// What `read_head` knows beside the numbers, as a JSON object.
std::string head_json(const HeadParts& parts);

/// The same for people, in plain lines.
std::string head_card(const HeadParts& parts);

}  // namespace mii::heads
