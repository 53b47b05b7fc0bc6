#include "medical/secondary_capture.h"

#include <algorithm>
#include <string>

#include <dcmtk/dcmdata/dcostrmb.h>

#include "mii/error.h"

namespace mii {
namespace {

constexpr size_t kMostSide = 65535;  // Rows and Columns are 16 bits

// Of the patient and the study, PS3.3 C.7.1 and C.7.2, as far as they are read; and the text's encoding.
const DcmTagKey kCopied[] = {DCM_SpecificCharacterSet,
                             DCM_StudyDate,
                             DCM_StudyTime,
                             DCM_AccessionNumber,
                             DCM_ReferringPhysicianName,
                             DCM_StudyDescription,
                             DCM_PatientName,
                             DCM_PatientID,
                             DCM_IssuerOfPatientID,
                             DCM_PatientBirthDate,
                             DCM_PatientSex,
                             DCM_PatientAge,
                             DCM_PatientIdentityRemoved,
                             DCM_DeidentificationMethod,
                             DCM_StudyInstanceUID,
                             DCM_StudyID,
                             DCM_BodyPartExamined,
                             DCM_BurnedInAnnotation};
// What a Secondary Capture must have, known or not: type 2.
const DcmTagKey kNeverAbsent[] = {
    DCM_StudyDate,   DCM_StudyTime,         DCM_AccessionNumber,  DCM_ReferringPhysicianName,
    DCM_PatientName, DCM_PatientID,         DCM_PatientBirthDate, DCM_PatientSex,
    DCM_StudyID,     DCM_PatientOrientation};

void expect(const OFCondition& condition) {
  if (condition.bad())
    throw Error(ErrorCode::internal, std::string("a secondary capture cannot be made: ") + condition.text());
}

void put(DcmItem& to, const DcmTagKey& tag, const std::string& value) {
  expect(to.putAndInsertString(tag, value.c_str()));
}

void put(DcmItem& to, const DcmTagKey& tag, size_t value) {
  expect(to.putAndInsertUint16(tag, static_cast<Uint16>(value)));
}

void copy_patient_and_study(DcmDataset& source, DcmDataset& to) {
  for (const DcmTagKey& tag : kNeverAbsent) put(to, tag, std::string());
  for (const DcmTagKey& tag : kCopied) {
    DcmElement* element = nullptr;
    if (source.findAndGetElement(tag, element).good() && element != nullptr)
      expect(source.findAndInsertCopyOfElement(tag, &to));
  }
  if (dicom_text(to, DCM_StudyInstanceUID).empty()) put(to, DCM_StudyInstanceUID, new_dicom_uid());
}

void name_source(DcmDataset& source, size_t frames, const DerivedImage& image, DcmDataset& to) {
  const std::string instance = dicom_text(source, DCM_SOPInstanceUID);
  if (instance.empty()) return;
  DcmItem* item = nullptr;
  expect(to.findOrCreateSequenceItem(DCM_SourceImageSequence, item, 0));
  put(*item, DCM_ReferencedSOPClassUID, dicom_text(source, DCM_SOPClassUID));
  put(*item, DCM_ReferencedSOPInstanceUID, instance);
  if (frames > 1) put(*item, DCM_ReferencedFrameNumber, std::to_string(image.frame + 1));
}

void describe(const DerivedImage& image, DcmDataset& to) {
  OFString date, time;
  DcmDate::getCurrentDate(date);
  DcmTime::getCurrentTime(time);
  put(to, DCM_SOPClassUID, UID_SecondaryCaptureImageStorage);
  put(to, DCM_SOPInstanceUID, new_dicom_uid());
  put(to, DCM_SeriesInstanceUID, image.series_uid);
  put(to, DCM_SeriesNumber, std::string());
  put(to, DCM_InstanceNumber, std::to_string(image.number));
  put(to, DCM_Modality, "OT");
  put(to, DCM_ConversionType, "WSD");
  put(to, DCM_ImageType, "DERIVED\\SECONDARY");
  put(to, DCM_InstanceCreationDate, date.c_str());
  put(to, DCM_InstanceCreationTime, time.c_str());
  put(to, DCM_SeriesDescription, "mii: where scores come from");
  put(to, DCM_SecondaryCaptureDeviceManufacturer, "medimageinsight.cpp");
  put(to, DCM_DerivationDescription, image.description);
}

void put_pixels(const DerivedImage& image, DcmDataset& to) {
  put(to, DCM_SamplesPerPixel, size_t{3});
  put(to, DCM_PhotometricInterpretation, "RGB");
  put(to, DCM_PlanarConfiguration, size_t{0});
  put(to, DCM_Rows, image.height);
  put(to, DCM_Columns, image.width);
  put(to, DCM_BitsAllocated, size_t{8});
  put(to, DCM_BitsStored, size_t{8});
  put(to, DCM_HighBit, size_t{7});
  put(to, DCM_PixelRepresentation, size_t{0});
  expect(to.putAndInsertUint8Array(DCM_PixelData, image.rgb.data(), image.rgb.size()));
}

std::vector<std::byte> bytes_of(DcmFileFormat& file) {
  constexpr E_TransferSyntax kSyntax = EXS_LittleEndianExplicit;
  expect(file.validateMetaInfo(kSyntax));
  std::vector<std::byte> bytes(file.calcElementLength(kSyntax, EET_ExplicitLength) + 4096);
  DcmOutputBufferStream stream(bytes.data(), static_cast<offile_off_t>(bytes.size()));
  file.transferInit();
  expect(file.write(stream, kSyntax, EET_ExplicitLength, nullptr));
  file.transferEnd();
  void* written = nullptr;
  offile_off_t length = 0;
  stream.flushBuffer(written, length);
  bytes.resize(static_cast<size_t>(length));
  return bytes;
}

}  // namespace

std::string new_dicom_uid() {
  char uid[100];
  return dcmGenerateUniqueIdentifier(uid, SITE_INSTANCE_UID_ROOT);
}

std::vector<std::byte> secondary_capture(DcmDataset& source, size_t frames, const DerivedImage& image) {
  const size_t longer = std::max(image.width, image.height);
  if (image.rgb.empty() || longer > kMostSide || image.rgb.size() != image.width * image.height * 3)
    throw Error(ErrorCode::invalid_argument, "an image of " + std::to_string(image.width) + " x " +
                                                 std::to_string(image.height) +
                                                 " pixels cannot be a secondary capture");
  DcmFileFormat file;
  DcmDataset& dataset = *file.getDataset();
  copy_patient_and_study(source, dataset);
  name_source(source, frames, image, dataset);
  describe(image, dataset);
  put_pixels(image, dataset);
  return bytes_of(file);
}

}  // namespace mii
