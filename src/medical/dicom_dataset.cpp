#include "medical/dicom_dataset.h"

#include <algorithm>
#include <exception>
#include <mutex>

#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/oflog/oflog.h>

namespace mii {
namespace {

// DCMTK writes to stderr by default, and would name values.
void silence_dcmtk() {
  static std::once_flag once;
  std::call_once(once, [] { OFLog::configure(OFLogger::OFF_LOG_LEVEL); });
}

}  // namespace

E_TransferSyntax dicom_encoding(const DicomStructure& structure) {
  if (structure.big_endian) return structure.explicit_vr ? EXS_BigEndianExplicit : EXS_BigEndianImplicit;
  return structure.explicit_vr ? EXS_LittleEndianExplicit : EXS_LittleEndianImplicit;
}

void read_dicom_dataset(std::span<const std::byte> bytes, const DicomStructure& structure,
                        DcmDataset& dataset) {
  silence_dcmtk();
  // DCMTK takes memory for whatever length an element announces: it sees none that the file does not have.
  const size_t length = structure.attributes_end - std::min(structure.dataset, structure.attributes_end);
  DcmInputBufferStream stream;
  stream.setBuffer(bytes.data() + structure.dataset, static_cast<offile_off_t>(length));
  stream.setEos();
  dataset.transferInit();
  // What was read before an error is kept: whether it is enough is decided by the attributes.
  try {
    dataset.read(stream, dicom_encoding(structure));
  } catch (const std::exception&) {
    // DCMTK throws none of its own; the standard library may from within it.
  }
  dataset.transferEnd();
}

}  // namespace mii
