#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mii {

/// Deflated Explicit VR Little Endian: the data set must be inflated before it can be walked.
inline constexpr const char* kDeflatedTransferSyntax = "1.2.840.10008.1.2.1.99";

/// Where the parts of a DICOM file lie. Offsets count from the start of the file.
struct DicomStructure {
  std::string transfer_syntax;  ///< UID of the meta header; empty without one
  size_t dataset = 0;           ///< where the data set begins
  /// The attributes before the pixel data that the program asks for, written anew: explicit VR, in the byte
  /// order of the file, and nothing that is not whole. What parses them meets no length that lies.
  std::vector<std::byte> attributes;
  bool explicit_vr = true;  ///< of the data set, as its first element shows
  bool big_endian = false;

  /// The first pixel data element of the top level: Pixel Data, Float or Double Float Pixel Data.
  struct PixelData {
    uint32_t tag = 0;    ///< 0x7FE00010, 0x7FE00008 or 0x7FE00009; 0: there is none
    size_t element = 0;  ///< where its tag lies
    bool words = false;  ///< OW: bytes of big-endian data come in swapped pairs
    bool encapsulated = false;
    std::span<const std::byte> value;                   ///< native; what the file has of it
    std::vector<std::span<const std::byte>> fragments;  ///< encapsulated, without the offset table
    std::span<const std::byte> offset_table;            ///< encapsulated: Basic Offset Table
    bool cut_off = false;  ///< encapsulated: the file ends within the last fragment
  } pixels;
};

/// Whether bytes are a DICOM file: "DICM" after a preamble, or, without one, a data set that begins with the
/// elements that a DICOM object begins with.
bool looks_like_dicom(std::span<const std::byte> bytes);

/// Walks a file without recursion; copies only the attributes. Source: DICOM PS3.5 section 7, PS3.10
/// section 7. Throws Error{invalid_image} for a file that nests deeper, has more elements or more of them out
/// of order than any real one, so none of these can exhaust the memory or time of the parser that follows. Of
/// a deflated data set only the start is found.
DicomStructure walk_dicom(std::span<const std::byte> bytes);

/// The same for a data set without a meta header.
DicomStructure walk_dicom_dataset(std::span<const std::byte> bytes, bool explicit_vr, bool big_endian);

}  // namespace mii
