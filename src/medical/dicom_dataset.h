#pragma once

#include "medical/dicom_attributes.h"
#include "medical/dicom_structure.h"

namespace mii {

/// Parses the attributes of a structure with DCMTK, which stays silent.
void read_dicom_dataset(const DicomStructure& structure, DcmDataset& dataset);

/// How the data set is encoded.
E_TransferSyntax dicom_encoding(const DicomStructure& structure);

}  // namespace mii
