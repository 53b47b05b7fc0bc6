#pragma once

// Values of a parsed data set; anything wrong or absent becomes a default.

#include <optional>
#include <string>
#include <vector>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

namespace mii {

/// The text of an element, trimmed; empty when absent.
std::string dicom_text(DcmItem& item, const DcmTagKey& tag);
/// Binary or decimal text; only the first value.
std::optional<double> dicom_number(DcmItem& item, const DcmTagKey& tag);
std::vector<double> dicom_numbers(DcmItem& item, const DcmTagKey& tag);
int dicom_integer(DcmItem& item, const DcmTagKey& tag, int otherwise);
/// Towards zero; numbers beyond two thousand million become that.
int whole_number(double number);
/// Item `index` of a sequence; null when absent.
DcmItem* dicom_item(DcmItem& item, const DcmTagKey& sequence, size_t index = 0);

}  // namespace mii
