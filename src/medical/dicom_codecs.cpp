#include "medical/dicom_codecs.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmjpeg/djdecode.h>

#include "medical/jpeg2000.h"
#include "medical/jpeg_header.h"
#include "medical/jpeg_ls.h"
#include "mii/error.h"

namespace mii::medical {
namespace {

using Bytes = std::span<const std::byte>;

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorCode::invalid_image, what); }

constexpr size_t kJpegLs = 0xF7;  // the marker of its frame header

void register_codecs() {
  static std::once_flag once;
  std::call_once(once, [] { DJDecoderRegistration::registerCodecs(); });
}

// Those that DCMTK does not know yet; PS3.6 annex A.
struct HighThroughputSyntax {
  std::string_view uid;
  const char* name;
};
constexpr std::array kHighThroughput{
    HighThroughputSyntax{"1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 (Lossless only)"},
    HighThroughputSyntax{"1.2.840.10008.1.2.4.202",
                         "High-Throughput JPEG 2000 with RPCL Options (Lossless only)"},
    HighThroughputSyntax{"1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000 (Lossless or Lossy)"}};

const HighThroughputSyntax* high_throughput(std::string_view uid) {
  const auto* found = std::ranges::find(kHighThroughput, uid, &HighThroughputSyntax::uid);
  return found == kHighThroughput.end() ? nullptr : found;
}

// A JFIF file has one colour space for three components, YCbCr, in all that compresses by the DCT. Where the
// data set says RGB, its writer forgot to say what its encoder did: PS3.5 section 8.2.1 has what the
// compressed data say of themselves control the decompression when the data elements disagree. Lossless JPEG
// has no such conversion.
std::string colour_space_of(const JpegHeader& header, const PixelLayout& layout) {
  const bool is_dct = header.marker >= 0xC0 && header.marker <= 0xC2;
  const bool is_ycbcr = header.is_jfif && is_dct && layout.photometric_interpretation == "RGB";
  return is_ycbcr ? "YBR_FULL" : layout.photometric_interpretation;
}

// Lossless JPEG has a bit for each sample; others one for each block of 64; JPEG-LS next to none.
size_t least_jpeg_bytes(const JpegHeader& header) {
  const size_t pixels = header.image.rows * header.image.cols;
  if (header.marker == 0xC3) return pixels * header.image.samples / 8;
  return header.marker == kJpegLs ? 0 : pixels / 64 / 8;
}

std::string described(size_t cols, size_t rows, size_t samples) {
  return std::to_string(cols) + " x " + std::to_string(rows) + " pixels of " + std::to_string(samples) +
         " components";
}

void expect_same(const JpegHeader& header, const PixelLayout& layout) {
  const ExpectedImage& found = header.image;
  if (found.rows != layout.rows || found.cols != layout.cols || found.samples != layout.samples)
    fail("a JPEG of " + described(found.cols, found.rows, found.samples) + ", expected " +
         described(layout.cols, layout.rows, layout.samples));
  if (header.precision < 2 || header.precision > std::max(8, layout.bits_allocated))
    fail("a JPEG of " + std::to_string(header.precision) + " bits, " + std::to_string(layout.bits_allocated) +
         " are allocated");
}

// Each scan of a progressive image is a pass over all of it, however few bytes it has. Encoders write about
// ten; a thousand million samples take half a second. In every other image a component is in one scan.
void expect_few_scans(const JpegHeader& header) {
  constexpr size_t kProgressive = 0xC2, kMostScans = 100, kMostSamples = 1'000'000'000;
  const ExpectedImage& image = header.image;
  const size_t most = header.marker != kProgressive
                          ? image.samples
                          : std::min(kMostScans, kMostSamples / (image.rows * image.cols * image.samples));
  if (header.scans > most)
    fail("a JPEG of " + std::to_string(header.scans) + " scans, expected at most " + std::to_string(most));
}

// The fewest bytes that a format can need for a frame. Fewer mean damage, found before memory is allocated.
void expect_bytes(Bytes frame, size_t least, const char* format) {
  if (frame.size() < least)
    fail(std::string(format) + " ends early: " + std::to_string(frame.size()) + " bytes, at least " +
         std::to_string(least) + " are needed");
}

// Runs of one byte and stretches of different ones; PS3.5 annex G.3.
void unpack_rle(Bytes segment, size_t pixels, size_t step, uint8_t* out) {
  size_t at = 0, i = 0;
  while (i < pixels) {
    if (segment.size() - at < 2)
      fail("RLE ends early: " + std::to_string(i) + " of " + std::to_string(pixels) + " pixels");
    const int byte = std::to_integer<int>(segment[at++]), code = byte < 128 ? byte : byte - 256;
    if (code == -128) continue;
    const size_t count = std::min(static_cast<size_t>(code < 0 ? 1 - code : code + 1), pixels - i);
    const size_t stored = code < 0 ? 1 : count;
    if (segment.size() - at < stored) fail("RLE ends within a stretch of bytes");
    for (size_t k = 0; k < count; ++k)
      out[(i + k) * step] = std::to_integer<uint8_t>(segment[at + (code < 0 ? 0 : k)]);
    at += code < 0 ? 1 : static_cast<size_t>(code + 1);
    at = std::min(at, segment.size());
    i += count;
  }
}

// A segment for each byte of a sample, the highest first, of one sample after another; PS3.5 annex G.
RawFrame by_rle(Bytes frame, const PixelLayout& layout) {
  constexpr size_t kHeaderBytes = 64, kMaxSegments = 15;
  const size_t bytes = static_cast<size_t>(layout.bits_allocated) / 8, segments = layout.samples * bytes;
  if (layout.bits_allocated % 8 != 0 || bytes > 4 || segments > kMaxSegments)
    fail("RLE of " + std::to_string(layout.samples) + " samples of " + std::to_string(layout.bits_allocated) +
         " bits");
  expect_bytes(frame, kHeaderBytes + layout.pixels() * segments / 64, "RLE");  // 128 bytes from two
  std::array<uint32_t, kHeaderBytes / 4> header;
  std::memcpy(header.data(), frame.data(), kHeaderBytes);
  if (header[0] != segments)
    fail("RLE of " + std::to_string(header[0]) + " segments, expected " + std::to_string(segments));
  RawFrame raw;
  const size_t size = layout.pixels() * segments;
  raw.owned = std::make_unique_for_overwrite<uint8_t[]>(size);
  raw.bytes = {raw.owned.get(), size};
  raw.bytes_per_sample = static_cast<int>(bytes);
  raw.planar = true;
  raw.bits_stored = layout.bits_stored;
  raw.high_bit = layout.high_bit;
  raw.is_signed = layout.is_signed;
  raw.photometric_interpretation = layout.photometric_interpretation;
  for (size_t s = 0; s < segments; ++s) {
    const size_t begin = header[1 + s], end = s + 1 < segments ? header[2 + s] : frame.size();
    if (begin < kHeaderBytes || begin > end || end > frame.size())
      fail("segment " + std::to_string(s + 1) + " of the RLE lies at byte " + std::to_string(begin));
    const size_t sample = s / bytes, byte = bytes - 1 - s % bytes;
    unpack_rle(frame.subspan(begin, end - begin), layout.pixels(), bytes,
               raw.owned.get() + sample * layout.pixels() * bytes + byte);
  }
  return raw;
}

// A data set with this one frame, as the decoders need it.
void describe(const PixelLayout& layout, int bits_allocated, DcmDataset& dataset) {
  dataset.putAndInsertUint16(DCM_SamplesPerPixel, static_cast<Uint16>(layout.samples));
  dataset.putAndInsertString(DCM_PhotometricInterpretation, layout.photometric_interpretation.c_str());
  if (layout.samples > 1) dataset.putAndInsertUint16(DCM_PlanarConfiguration, 0);
  dataset.putAndInsertUint16(DCM_Rows, static_cast<Uint16>(layout.rows));
  dataset.putAndInsertUint16(DCM_Columns, static_cast<Uint16>(layout.cols));
  dataset.putAndInsertUint16(DCM_BitsAllocated, static_cast<Uint16>(bits_allocated));
  dataset.putAndInsertUint16(DCM_BitsStored,
                             static_cast<Uint16>(std::min(layout.bits_stored, bits_allocated)));
  dataset.putAndInsertUint16(DCM_HighBit, static_cast<Uint16>(std::min(layout.high_bit, bits_allocated - 1)));
  dataset.putAndInsertUint16(DCM_PixelRepresentation, layout.is_signed ? 1 : 0);
}

RawFrame by_dcmtk(E_TransferSyntax syntax, const std::vector<std::byte>& frame, const PixelLayout& layout,
                  int bits_allocated) {
  register_codecs();
  DcmDataset dataset;
  describe(layout, bits_allocated, dataset);
  auto sequence = std::make_unique<DcmPixelSequence>(DcmTag(DCM_PixelData, EVR_OB));
  sequence->insert(new DcmPixelItem(DcmTag(DCM_PixelItemTag, EVR_OB)));
  auto item = std::make_unique<DcmPixelItem>(DcmTag(DCM_PixelItemTag, EVR_OB));
  // DCMTK needs an even length, so an odd one is padded.
  std::vector<Uint8> even(frame.size() + frame.size() % 2);
  std::memcpy(even.data(), frame.data(), frame.size());
  item->putUint8Array(even.data(), static_cast<unsigned long>(even.size()));
  sequence->insert(item.release());
  DcmPixelData pixels(DcmTag(DCM_PixelData, EVR_OB));
  pixels.putOriginalRepresentation(syntax, nullptr, sequence.release());

  RawFrame raw;
  raw.bytes_per_sample = bits_allocated / 8;
  const size_t size = layout.pixels() * layout.samples * static_cast<size_t>(raw.bytes_per_sample);
  const size_t even_size = size + size % 2;
  raw.owned = std::make_unique_for_overwrite<uint8_t[]>(even_size);
  raw.bytes = {raw.owned.get(), size};
  Uint32 start = 0;
  OFString colour_model;
  const OFCondition result = pixels.getUncompressedFrame(&dataset, 0, start, raw.owned.get(),
                                                         static_cast<Uint32>(even_size), colour_model);
  if (result.bad()) fail(std::string("cannot be decoded: ") + result.text());
  raw.photometric_interpretation.assign(colour_model.c_str(), colour_model.length());
  raw.bits_stored = std::min(layout.bits_stored, bits_allocated);
  raw.high_bit = std::min(layout.high_bit, bits_allocated - 1);
  raw.is_signed = layout.is_signed;
  return raw;
}

RawFrame by_jpeg_ls(const std::vector<std::byte>& frame, const JpegHeader& header,
                    const PixelLayout& layout) {
  RawFrame raw;
  raw.bytes_per_sample = header.precision > 8 ? 2 : 1;
  const int bits = 8 * raw.bytes_per_sample;
  const size_t size = layout.pixels() * layout.samples * static_cast<size_t>(raw.bytes_per_sample);
  raw.owned = std::make_unique_for_overwrite<uint8_t[]>(size);
  raw.bytes = {raw.owned.get(), size};
  decode_jpeg_ls(frame, header, raw.owned.get());
  raw.bits_stored = std::min(layout.bits_stored, bits);
  raw.high_bit = std::min(layout.high_bit, bits - 1);
  raw.is_signed = layout.is_signed;
  raw.photometric_interpretation = layout.photometric_interpretation;
  return raw;
}

RawFrame by_openjpeg(const std::vector<std::byte>& frame, const PixelLayout& layout) {
  const Jpeg2000Image image = decode_jpeg2000(frame, {layout.rows, layout.cols, layout.samples});
  RawFrame raw;
  raw.bytes_per_sample = 4;
  const size_t size = image.values.size() * 4;
  raw.owned = std::make_unique_for_overwrite<uint8_t[]>(size);
  raw.bytes = {raw.owned.get(), size};
  std::memcpy(raw.owned.get(), image.values.data(), size);
  // Where data set and codestream disagree on the sign, the data set counts.
  raw.bits_stored = image.precision;
  raw.high_bit = image.precision - 1;
  raw.is_signed = layout.is_signed;
  const bool transformed = layout.photometric_interpretation.starts_with("YBR_ICT") ||
                           layout.photometric_interpretation.starts_with("YBR_RCT");
  raw.photometric_interpretation = transformed ? "RGB" : layout.photometric_interpretation;
  return raw;
}

}  // namespace

std::string transfer_syntax_name(std::string_view uid) {
  if (const auto* syntax = high_throughput(uid)) return syntax->name;
  const DcmXfer known(std::string(uid).c_str());
  return known.getXfer() == EXS_Unknown ? "" : known.getXferName();
}

RawFrame decode_encapsulated(const std::string& transfer_syntax, const std::vector<std::byte>& frame,
                             const PixelLayout& layout) {
  if (high_throughput(transfer_syntax) != nullptr) return by_openjpeg(frame, layout);
  const E_TransferSyntax syntax = DcmXfer(transfer_syntax.c_str()).getXfer();
  const auto jpeg = [&] {
    const JpegHeader header = read_jpeg_header(frame);
    expect_same(header, layout);
    expect_few_scans(header);
    expect_bytes(frame, least_jpeg_bytes(header), "JPEG");
    if (syntax == EXS_JPEGLSLossless || syntax == EXS_JPEGLSLossy) return by_jpeg_ls(frame, header, layout);
    PixelLayout encoded = layout;
    encoded.photometric_interpretation = colour_space_of(header, layout);
    return by_dcmtk(syntax, frame, encoded, header.precision > 8 ? 16 : 8);
  };
  switch (syntax) {
    case EXS_RLELossless:
      return by_rle(frame, layout);
    case EXS_JPEGProcess1:
    case EXS_JPEGProcess2_4:
    case EXS_JPEGProcess3_5:
    case EXS_JPEGProcess6_8:
    case EXS_JPEGProcess7_9:
    case EXS_JPEGProcess10_12:
    case EXS_JPEGProcess11_13:
    case EXS_JPEGProcess14:
    case EXS_JPEGProcess15:
    case EXS_JPEGProcess14SV1:
    case EXS_JPEGLSLossless:
    case EXS_JPEGLSLossy:
      return jpeg();
    case EXS_JPEG2000LosslessOnly:
    case EXS_JPEG2000:
    case EXS_JPEG2000MulticomponentLosslessOnly:
    case EXS_JPEG2000Multicomponent:
      return by_openjpeg(frame, layout);
    default:
      throw Error(
          ErrorCode::unsupported,
          "DICOM: pixels compressed as " + std::string(DcmXfer(syntax).getXferName()) + " cannot be decoded");
  }
}

}  // namespace mii::medical
