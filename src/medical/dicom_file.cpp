#include "medical/dicom_file.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <mutex>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include "core/inflate.h"
#include "medical/dicom_attributes.h"
#include "medical/dicom_codecs.h"
#include "medical/dicom_dataset.h"
#include "medical/dicom_pixels.h"
#include "medical/dicom_structure.h"
#include "medical/palette.h"
#include "medical/secondary_capture.h"
#include "mii/error.h"

namespace mii {
namespace {

using Bytes = std::span<const std::byte>;

constexpr size_t kMaxInflatedBytes = 128u << 20;

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorCode::invalid_image, "DICOM: " + what); }

// A deflated data set; PS3.5 annex A.5. One that ends early gives what is there.
InflatedBytes inflated(Bytes deflated) {
  Inflater inflater(Inflater::Format::raw, deflated, "DICOM: the deflated data");
  InflatedBytes inflated = inflate_up_to(inflater, kMaxInflatedBytes + 1);
  if (inflated.size > kMaxInflatedBytes)
    throw Error(ErrorCode::image_too_large, "DICOM: the deflated data set has more than " +
                                                std::to_string(kMaxInflatedBytes >> 20) + " MiB");
  return inflated;
}

std::string uid_name(const std::string& uid) {
  const char* name = dcmFindNameOfUID(uid.c_str(), nullptr);
  return name != nullptr ? name : uid;
}

VoiFunction function_of(const std::string& name) {
  if (name == "SIGMOID") return VoiFunction::sigmoid;
  return name == "LINEAR_EXACT" ? VoiFunction::linear_exact : VoiFunction::linear;
}

std::vector<VoiWindow> windows_of(DcmItem& item) {
  const auto centers = dicom_numbers(item, DCM_WindowCenter), widths = dicom_numbers(item, DCM_WindowWidth);
  const VoiFunction function = function_of(dicom_text(item, DCM_VOILUTFunction));
  std::vector<VoiWindow> windows;
  for (size_t i = 0; i < std::min(centers.size(), widths.size()); ++i)
    if (widths[i] >= (function == VoiFunction::linear ? 1 : 1e-9))
      windows.push_back({centers[i], widths[i], function});
  return windows;
}

// One when absent or not a number. A value that does not fit the type is more than any file can hold.
size_t number_of_frames(const std::string& text) {
  size_t frames = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), frames);
  if (error == std::errc::result_out_of_range) return SIZE_MAX;
  return std::max<size_t>(frames, 1);
}

// The values in a plane's functional groups, which take precedence over the rest.
void add_place(DcmItem* position_group, DcmItem* orientation_group, DicomPlace& place) {
  if (position_group != nullptr) {
    const auto p = dicom_numbers(*position_group, DCM_ImagePositionPatient);
    place.position_mm.reset();
    if (p.size() == 3) place.position_mm = {p[0], p[1], p[2]};
  }
  if (orientation_group != nullptr) {
    const auto o = dicom_numbers(*orientation_group, DCM_ImageOrientationPatient);
    place.orientation.reset();
    if (o.size() == 6) place.orientation = {o[0], o[1], o[2], o[3], o[4], o[5]};
  }
}

void set_if(std::string& to, DcmItem* item, const DcmTagKey& tag) {
  if (item == nullptr || !to.empty()) return;
  to = dicom_text(*item, tag);
}

}  // namespace

class DicomFile::Impl {
 public:
  Impl(Bytes bytes, const DicomLimits& limits) {
    structure_ = walk_dicom(bytes);
    read_dataset(bytes);
    find_functional_groups();
    fill_info(limits);
  }

  const DicomInfo& info() const { return info_; }
  DicomFrameInfo frame_info(size_t frame) const;
  DicomPlace place(size_t frame) const;
  Frame frame(size_t frame) const;
  std::vector<std::pair<std::string, std::string>> identifying_attributes() const;
  std::vector<std::byte> secondary_capture(const DerivedImage& image) const {
    const std::lock_guard lock(mutex_);
    return mii::secondary_capture(dataset_, info_.frames, image);
  }

 private:
  void read_dataset(Bytes bytes);
  void find_functional_groups();
  void fill_info(const DicomLimits& limits);
  void fill_layout();
  void expect_image(const DicomLimits& limits) const;
  void expect_frame(size_t frame) const;
  DcmItem* functional_group(size_t frame, const DcmTagKey& group) const;
  GreyFrame grey(const medical::RawFrame& raw, const DicomFrameInfo& shown) const;
  void mark_padding(GreyFrame& grey) const;
  GreyFrame real_frame(size_t frame) const;

  InflatedBytes inflated_;  // when the data set was deflated
  DicomStructure structure_;
  // DCMTK's accessors are not const, and searching moves cursors inside of its lists.
  mutable std::mutex mutex_;
  mutable DcmDataset dataset_;          // guarded by mutex_
  std::vector<DcmItem*> frame_groups_;  // of each frame, in dataset_
  DcmItem* shared_groups_ = nullptr;
  DicomPlace shared_place_;  // of frames that say nothing else
  DicomInfo info_;
  medical::PixelLayout layout_;
};

void DicomFile::Impl::read_dataset(Bytes bytes) {
  const std::string& syntax = structure_.transfer_syntax;
  if (syntax == kDeflatedTransferSyntax) {
    inflated_ = inflated(bytes.subspan(structure_.dataset));
    structure_ = walk_dicom_dataset({inflated_.bytes.get(), inflated_.size}, true, false);
    structure_.transfer_syntax = kDeflatedTransferSyntax;
  }
  read_dicom_dataset(structure_, dataset_);
}

// PS3.3 C.7.6.16.
void DicomFile::Impl::find_functional_groups() {
  shared_groups_ = dicom_item(dataset_, DCM_SharedFunctionalGroupsSequence);
  DcmSequenceOfItems* frames = nullptr;
  if (dataset_.findAndGetSequence(DCM_PerFrameFunctionalGroupsSequence, frames).good() && frames != nullptr)
    for (DcmObject* item = frames->nextInContainer(nullptr); item != nullptr;
         item = frames->nextInContainer(item))
      frame_groups_.push_back(static_cast<DcmItem*>(item));
  add_place(&dataset_, &dataset_, shared_place_);
  if (shared_groups_ != nullptr)
    add_place(dicom_item(*shared_groups_, DCM_PlanePositionSequence),
              dicom_item(*shared_groups_, DCM_PlaneOrientationSequence), shared_place_);
}

void DicomFile::Impl::fill_info(const DicomLimits& limits) {
  const std::string& syntax = structure_.transfer_syntax;
  info_.transfer_syntax = syntax.empty() ? DcmXfer(dicom_encoding(structure_)).getXferName()
                                         : medical::transfer_syntax_name(syntax);
  if (info_.transfer_syntax.empty()) info_.transfer_syntax = syntax;
  info_.sop_instance_uid = dicom_text(dataset_, DCM_SOPInstanceUID);
  info_.patient_id = dicom_text(dataset_, DCM_PatientID);
  info_.study_instance_uid = dicom_text(dataset_, DCM_StudyInstanceUID);
  info_.series_instance_uid = dicom_text(dataset_, DCM_SeriesInstanceUID);
  const std::string sop_class = dicom_text(dataset_, DCM_SOPClassUID);
  info_.sop_class = sop_class.empty() ? "" : uid_name(sop_class);
  info_.modality = dicom_text(dataset_, DCM_Modality);
  info_.body_part = dicom_text(dataset_, DCM_BodyPartExamined);
  if (DcmItem* anatomy = functional_group(0, DCM_FrameAnatomySequence);
      info_.body_part.empty() && anatomy != nullptr)
    if (DcmItem* region = dicom_item(*anatomy, DCM_AnatomicRegionSequence))
      set_if(info_.body_part, region, DCM_CodeMeaning);
  std::ranges::transform(info_.body_part, info_.body_part.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  info_.burned_in_annotation = dicom_text(dataset_, DCM_BurnedInAnnotation) == "YES";
  info_.lossy = dicom_text(dataset_, DCM_LossyImageCompression) == "01";
  info_.series_number = dicom_integer(dataset_, DCM_SeriesNumber, 0);
  info_.instance_number = dicom_integer(dataset_, DCM_InstanceNumber, 0);
  fill_layout();
  expect_image(limits);
}

void DicomFile::Impl::fill_layout() {
  const auto size = [&](const DcmTagKey& tag) {
    return static_cast<size_t>(std::max(0, dicom_integer(dataset_, tag, 0)));
  };
  layout_.rows = info_.rows = size(DCM_Rows);
  layout_.cols = info_.cols = size(DCM_Columns);
  layout_.samples = std::max<size_t>(1, size(DCM_SamplesPerPixel));
  layout_.frames = info_.frames = number_of_frames(dicom_text(dataset_, DCM_NumberOfFrames));
  info_.samples = static_cast<int>(layout_.samples);
  const bool real = structure_.pixels.tag == 0x7FE00008 || structure_.pixels.tag == 0x7FE00009;
  const int bits = structure_.pixels.tag == 0x7FE00008 ? 32 : 64;
  layout_.bits_allocated = info_.bits_allocated = real ? bits : dicom_integer(dataset_, DCM_BitsAllocated, 0);
  layout_.bits_stored = info_.bits_stored =
      real ? bits : dicom_integer(dataset_, DCM_BitsStored, layout_.bits_allocated);
  layout_.high_bit = real ? bits - 1 : dicom_integer(dataset_, DCM_HighBit, layout_.bits_stored - 1);
  layout_.is_signed = info_.is_signed = dicom_integer(dataset_, DCM_PixelRepresentation, 0) == 1;
  layout_.planar = dicom_integer(dataset_, DCM_PlanarConfiguration, 0) == 1;
  layout_.photometric_interpretation = dicom_text(dataset_, DCM_PhotometricInterpretation);
  if (layout_.photometric_interpretation.empty())
    layout_.photometric_interpretation = layout_.samples == 1 ? "MONOCHROME2" : "RGB";
  info_.photometric_interpretation = layout_.photometric_interpretation;
}

void DicomFile::Impl::expect_image(const DicomLimits& limits) const {
  if (structure_.pixels.tag == 0 && layout_.rows == 0) {
    if (info_.sop_class.empty() && info_.modality.empty())
      fail("no attributes of an image, a damaged or foreign file");
    if (info_.sop_class.find("ImageStorage") != std::string::npos) fail("has no pixel data");
    std::string what = info_.sop_class.empty() ? "an object" : info_.sop_class;
    if (!info_.modality.empty()) what += " (modality " + info_.modality + ")";
    fail("holds no image: it is " + what);
  }
  if (structure_.pixels.tag == 0) fail("has no pixel data");
  if (layout_.rows == 0 || layout_.cols == 0)
    fail("an image of " + std::to_string(layout_.cols) + " x " + std::to_string(layout_.rows) + " pixels");
  if (layout_.cols > limits.max_pixels / layout_.rows)
    throw Error(ErrorCode::image_too_large, "DICOM: a frame of " + std::to_string(layout_.cols) + " x " +
                                                std::to_string(layout_.rows) + " pixels, at most " +
                                                std::to_string(limits.max_pixels) + " are decoded");
  const bool whole_bytes = layout_.bits_allocated == 1 || layout_.bits_allocated == 8 ||
                           layout_.bits_allocated == 16 || layout_.bits_allocated == 32 ||
                           layout_.bits_allocated == 64;
  if (!whole_bytes)
    fail(std::to_string(layout_.bits_allocated) + " bits allocated, expected 1, 8, 16, 32 or 64");
  if (layout_.bits_stored < 1 || layout_.bits_stored > layout_.bits_allocated ||
      layout_.high_bit < layout_.bits_stored - 1 || layout_.high_bit >= layout_.bits_allocated)
    fail("bits stored " + std::to_string(layout_.bits_stored) + " with high bit " +
         std::to_string(layout_.high_bit) + " do not fit " + std::to_string(layout_.bits_allocated) +
         " bits allocated");
  if (layout_.samples != 1 && layout_.samples != 3 && layout_.samples != 4)
    fail(std::to_string(layout_.samples) + " samples a pixel, expected 1, 3 or 4");
  // A frame has a bit at the least, or a fragment.
  const auto& pixels = structure_.pixels;
  const size_t most = pixels.encapsulated ? pixels.fragments.size() : pixels.value.size() * 8;
  if (layout_.frames > 1 && layout_.frames > most)
    fail(std::to_string(layout_.frames) + " frames, the pixel data hold " + std::to_string(most) +
         " at the most");
  const std::string& syntax = structure_.transfer_syntax;
  if (!syntax.empty() && medical::transfer_syntax_name(syntax).empty())
    throw Error(ErrorCode::unsupported, "DICOM: unknown transfer syntax " + syntax);
}

void DicomFile::Impl::expect_frame(size_t frame) const {
  if (frame >= info_.frames)
    throw Error(ErrorCode::invalid_argument, "frame " + std::to_string(frame + 1) +
                                                 " of a DICOM object with " + std::to_string(info_.frames) +
                                                 " frames");
}

// The group of the frame, else the one that all frames share, else null; PS3.3 C.7.6.16.
DcmItem* DicomFile::Impl::functional_group(size_t frame, const DcmTagKey& group) const {
  for (DcmItem* groups : {frame < frame_groups_.size() ? frame_groups_[frame] : nullptr, shared_groups_})
    if (groups != nullptr)
      if (DcmItem* found = dicom_item(*groups, group)) return found;
  return nullptr;
}

DicomPlace DicomFile::Impl::place(size_t frame) const {
  expect_frame(frame);
  DicomPlace place = shared_place_;
  if (frame >= frame_groups_.size()) return place;
  const std::lock_guard lock(mutex_);
  add_place(dicom_item(*frame_groups_[frame], DCM_PlanePositionSequence),
            dicom_item(*frame_groups_[frame], DCM_PlaneOrientationSequence), place);
  return place;
}

DicomFrameInfo DicomFile::Impl::frame_info(size_t frame) const {
  DicomFrameInfo shown{place(frame)};
  const std::lock_guard lock(mutex_);
  DcmItem* voi = functional_group(frame, DCM_FrameVOILUTSequence);
  DcmItem* values = functional_group(frame, DCM_PixelValueTransformationSequence);
  shown.windows = windows_of(voi != nullptr ? *voi : dataset_);
  for (size_t i = 0; i < 16; ++i) {
    DcmItem* table = dicom_item(voi != nullptr ? *voi : dataset_, DCM_VOILUTSequence, i);
    if (table == nullptr) break;
    if (auto read = medical::read_lookup_table(*table, layout_.is_signed))
      shown.voi_tables.push_back(std::move(*read));
  }
  DcmItem& rescaled = values != nullptr ? *values : dataset_;
  const auto slope = dicom_number(rescaled, DCM_RescaleSlope),
             intercept = dicom_number(rescaled, DCM_RescaleIntercept);
  if (slope || intercept) shown.rescale = {slope.value_or(1), intercept.value_or(0)};
  if (shown.rescale && shown.rescale->first == 0) shown.rescale->first = 1;
  shown.has_modality_table = dicom_item(dataset_, DCM_ModalityLUTSequence) != nullptr;
  return shown;
}

void DicomFile::Impl::mark_padding(GreyFrame& grey) const {
  const std::lock_guard lock(mutex_);
  const auto value = dicom_number(dataset_, DCM_PixelPaddingValue);
  if (!value) return;
  // Stored as US or SS; some writers use the wrong one.
  const auto as_stored = [&](double v) {
    const int32_t whole = whole_number(v);
    if (layout_.is_signed && whole > 32767) return whole - 65536;
    if (!layout_.is_signed && whole < 0) return whole + 65536;
    return whole;
  };
  const int32_t first = as_stored(*value);
  const auto limit = dicom_number(dataset_, DCM_PixelPaddingRangeLimit);
  const int32_t last = limit ? as_stored(*limit) : first;
  grey.padding = std::minmax(first, last);
}

GreyFrame DicomFile::Impl::grey(const medical::RawFrame& raw, const DicomFrameInfo& shown) const {
  GreyFrame grey;
  grey.rows = layout_.rows;
  grey.cols = layout_.cols;
  grey.bits_stored = raw.bits_stored;
  grey.is_signed = raw.is_signed;
  grey.inverted = layout_.photometric_interpretation == "MONOCHROME1";
  const size_t pixels = layout_.pixels();
  if (raw.bits_stored - (raw.is_signed ? 1 : 0) > 31) {
    const auto [slope, intercept] = shown.rescale.value_or(std::pair(1.0, 0.0));
    const medical::SampleReader sample(raw);
    grey.reals.resize(pixels);
    for (size_t i = 0; i < pixels; ++i) grey.reals[i] = slope * static_cast<double>(sample(i)) + intercept;
    return grey;
  }
  grey.integers.resize(pixels);
  medical::read_integers(raw, grey.integers);
  mark_padding(grey);
  const std::lock_guard lock(mutex_);
  DcmItem* modality = dicom_item(dataset_, DCM_ModalityLUTSequence);
  const auto table =
      modality != nullptr ? medical::read_lookup_table(*modality, layout_.is_signed) : std::nullopt;
  if (table) {
    medical::apply_modality_table(*table, grey);
  } else if (shown.rescale) {
    grey.slope = shown.rescale->first;
    grey.intercept = shown.rescale->second;
  }
  return grey;
}

// Float Pixel Data and Double Float Pixel Data; PS3.3 C.7.6.24.
GreyFrame DicomFile::Impl::real_frame(size_t frame) const {
  const medical::RawFrame raw = medical::read_frame(structure_, layout_, frame);
  GreyFrame grey{.rows = layout_.rows, .cols = layout_.cols};
  grey.reals.resize(layout_.pixels());
  for (size_t i = 0; i < grey.reals.size(); ++i) {
    if (layout_.bits_allocated == 32) {
      float value = 0;
      std::memcpy(&value, raw.bytes.data() + 4 * i, 4);
      grey.reals[i] = value;
    } else {
      std::memcpy(&grey.reals[i], raw.bytes.data() + 8 * i, 8);
    }
  }
  return grey;
}

Frame DicomFile::Impl::frame(size_t frame) const {
  const DicomFrameInfo shown = frame_info(frame);
  if (structure_.pixels.tag != 0x7FE00010) return real_frame(frame);
  const medical::RawFrame raw = medical::read_frame(structure_, layout_, frame);
  if (layout_.photometric_interpretation == "PALETTE COLOR") {
    const std::lock_guard lock(mutex_);
    return medical::apply_palette(dataset_, raw, layout_);
  }
  if (layout_.samples == 1) return grey(raw, shown);
  return medical::to_colour(raw, layout_);
}

std::vector<std::pair<std::string, std::string>> DicomFile::Impl::identifying_attributes() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, std::string>> found;
  for (const DcmTagKey& tag :
       {DCM_PatientName, DCM_PatientID, DCM_PatientBirthDate, DCM_PatientSex, DCM_PatientAge, DCM_StudyDate,
        DCM_StudyTime, DCM_AccessionNumber, DCM_InstitutionName, DCM_ReferringPhysicianName,
        DCM_StudyDescription, DCM_SeriesDescription, DCM_StudyInstanceUID, DCM_SeriesInstanceUID,
        DCM_SOPInstanceUID}) {
    const std::string value = dicom_text(dataset_, tag);
    if (!value.empty()) found.emplace_back(DcmTag(tag).getTagName(), value);
  }
  return found;
}

DicomFile::DicomFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DicomFile::DicomFile(DicomFile&&) noexcept = default;
DicomFile::~DicomFile() = default;

DicomFile DicomFile::open(Bytes bytes, const DicomLimits& limits) {
  try {
    return DicomFile(std::make_unique<Impl>(bytes, limits));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::image_too_large, "DICOM: not enough memory for this object");
  }
}

const DicomInfo& DicomFile::info() const { return impl_->info(); }
DicomFrameInfo DicomFile::frame_info(size_t frame) const { return impl_->frame_info(frame); }
DicomPlace DicomFile::place(size_t frame) const { return impl_->place(frame); }
Frame DicomFile::frame(size_t frame) const { return impl_->frame(frame); }
std::vector<std::pair<std::string, std::string>> DicomFile::identifying_attributes() const {
  return impl_->identifying_attributes();
}

std::vector<std::byte> DicomFile::secondary_capture(const DerivedImage& image) const {
  return impl_->secondary_capture(image);
}

}  // namespace mii
