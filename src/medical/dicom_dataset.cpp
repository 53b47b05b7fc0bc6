#include "medical/dicom_dataset.h"

#include <exception>
#include <mutex>

#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/oflog/oflog.h>

namespace mii {
namespace {

// By default DCMTK writes to stderr, and its messages contain values.
void silence_dcmtk() {
  static std::once_flag once;
  std::call_once(once, [] { OFLog::configure(OFLogger::OFF_LOG_LEVEL); });
}

}  // namespace

E_TransferSyntax dicom_encoding(const DicomStructure& structure) {
  if (structure.big_endian) return structure.explicit_vr ? EXS_BigEndianExplicit : EXS_BigEndianImplicit;
  return structure.explicit_vr ? EXS_LittleEndianExplicit : EXS_LittleEndianImplicit;
}

void read_dicom_dataset(const DicomStructure& structure, DcmDataset& dataset) {
  silence_dcmtk();
  DcmInputBufferStream stream;
  stream.setBuffer(structure.attributes.data(), static_cast<offile_off_t>(structure.attributes.size()));
  stream.setEos();
  dataset.transferInit();
  // What was read before an error is kept: whether it is enough is decided by the attributes.
  try {
    dataset.read(stream, structure.big_endian ? EXS_BigEndianExplicit : EXS_LittleEndianExplicit);
  } catch (const std::exception&) {
    // DCMTK throws none of its own; the standard library may from within it.
  }
  dataset.transferEnd();
}

}  // namespace mii
