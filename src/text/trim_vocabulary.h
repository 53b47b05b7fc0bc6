#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace mii {

/// Writes tokenizer files that know only the tokens of these texts, all single bytes and the special tokens.
/// The texts keep their tokens; any other text is still encoded, in more and smaller pieces. Returns the
/// number of tokens. Throws Error{invalid_model} for a tokenizer that cannot be read, Error{io}.
int64_t trim_vocabulary(const std::filesystem::path& tokenizer, const std::vector<std::string>& texts,
                        const std::filesystem::path& out);

}  // namespace mii
