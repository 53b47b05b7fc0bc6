#include "image/sniff.h"

#include <cctype>
#include <string_view>

#include "medical/dicom_structure.h"
#include "medical/nifti.h"

namespace mii {
namespace {

using namespace std::string_view_literals;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool has_at(std::string_view text, size_t offset, std::string_view mark) {
  return text.size() >= offset + mark.size() && text.substr(offset, mark.size()) == mark;
}

bool is_tiff(std::string_view text) {
  return text.starts_with("II*\0"sv) || text.starts_with("MM\0*"sv) || text.starts_with("II+\0"sv) ||
         text.starts_with("MM\0+"sv);
}

bool is_pnm(std::string_view text) {
  return text.size() > 2 && text[0] == 'P' && text[1] >= '1' && text[1] <= '6' &&
         std::isspace(static_cast<unsigned char>(text[2]));
}

struct Mark {
  size_t offset;
  std::string_view bytes;
  const char* name;
};

constexpr Mark kUnreadable[] = {
    {0, "GIF8"sv, "a GIF image"},
    {4, "ftypheic"sv, "a HEIC image"},
    {4, "ftypheix"sv, "a HEIC image"},
    {4, "ftypmif1"sv, "a HEIF image"},
    {4, "ftypavif"sv, "an AVIF image"},
    {0, "\0\0\0\x0CjP  \r\n\x87\n"sv, "a JPEG 2000 image"},
    {0, "\xFF\x4F\xFF\x51"sv, "a JPEG 2000 codestream"},
    {0, "\0\0\0\x0CJXL "sv, "a JPEG XL image"},
    {0, "\xFF\x0A"sv, "a JPEG XL image"},
    {0, "%PDF"sv, "a PDF document"},
    {0, "PK\3\4"sv, "a ZIP archive"},
    {0, "\x1F\x8B"sv, "gzip-compressed data"},
    {0, "8BPS"sv, "a Photoshop document"},
    {0, "<!DOCTYPE"sv, "an HTML page"},
    {0, "<!doctype"sv, "an HTML page"},
    {0, "<html"sv, "an HTML page"},
    {0, "<svg"sv, "an SVG drawing"},
    {0, "<?xml"sv, "an XML document"},
};

}  // namespace

ImageFormat sniff(std::span<const std::byte> bytes) {
  const std::string_view text = as_text(bytes);
  // First: the 128 bytes before may be the start of a TIFF file, for programs that know no DICOM.
  if (has_at(text, 128, "DICM"sv)) return ImageFormat::dicom;
  if (text.starts_with("\xFF\xD8\xFF"sv)) return ImageFormat::jpeg;
  if (text.starts_with("\x89PNG\r\n\x1A\n"sv)) return ImageFormat::png;
  if (is_tiff(text)) return ImageFormat::tiff;
  if (text.starts_with("RIFF"sv) && has_at(text, 8, "WEBP"sv)) return ImageFormat::webp;
  if (text.starts_with("BM"sv)) return ImageFormat::bmp;
  if (is_pnm(text)) return ImageFormat::pnm;
  if (looks_like_nifti(bytes)) return ImageFormat::nifti;
  if (looks_like_dicom(bytes)) return ImageFormat::dicom;
  return ImageFormat::unknown;
}

const char* to_string(ImageFormat format) {
  switch (format) {
    case ImageFormat::jpeg:
      return "JPEG";
    case ImageFormat::png:
      return "PNG";
    case ImageFormat::tiff:
      return "TIFF";
    case ImageFormat::webp:
      return "WebP";
    case ImageFormat::bmp:
      return "BMP";
    case ImageFormat::pnm:
      return "PNM";
    case ImageFormat::dicom:
      return "DICOM";
    case ImageFormat::nifti:
      return "NIfTI";
    case ImageFormat::unknown:
      break;
  }
  return "unknown";
}

std::string describe_unknown(std::span<const std::byte> bytes) {
  const std::string expected = "expected a JPEG, PNG, TIFF, WebP, BMP, PNM, DICOM or NIfTI image, found ";
  if (bytes.empty()) return expected + "nothing: 0 bytes";
  for (const Mark& mark : kUnreadable) {
    if (has_at(as_text(bytes), mark.offset, mark.bytes)) return expected + "what seems to be " + mark.name;
  }
  return expected + std::to_string(bytes.size()) + " bytes of no known format";
}

}  // namespace mii
