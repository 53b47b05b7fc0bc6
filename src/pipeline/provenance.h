#pragma once

#include <string>

#include "mii/provenance.h"

namespace mii::pipeline {

/// How an image was made, as a JSON object. Frames are counted from 1, as DICOM does.
std::string provenance_json(const Provenance& provenance);
/// The same in words: "window 40/400".
std::string mapping_text(const Provenance& provenance);

/// Six digits, for people.
std::string short_number(double value);

}  // namespace mii::pipeline
