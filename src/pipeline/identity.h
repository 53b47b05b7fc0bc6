#pragma once

#include <string>

#include "mii/image.h"

namespace mii::pipeline {

/// The options that decide what an image looks like to the model, for Identity::preprocessing: "profile
/// auto", and after it what is not as usual ("; plane coronal").
std::string preprocessing_text(const DecodeOptions& options);

}  // namespace mii::pipeline
