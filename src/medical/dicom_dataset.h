#pragma once

#include <cstddef>
#include <span>

#include "medical/dicom_attributes.h"
#include "medical/dicom_structure.h"

namespace mii {

/// Parses the attributes before the pixel data with DCMTK, which stays silent. bytes: those that the
/// structure was found in. What comes before a damaged place is kept. Precondition: not deflated.
void read_dicom_dataset(std::span<const std::byte> bytes, const DicomStructure& structure,
                        DcmDataset& dataset);

/// How the data set is encoded.
E_TransferSyntax dicom_encoding(const DicomStructure& structure);

}  // namespace mii
