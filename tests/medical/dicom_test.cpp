// Small DICOM objects whose every pixel is known, read back; and objects that are no image.

#include <cmath>
#include <filesystem>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "mii/error.h"

#include "medical/codestreams.h"
#include "medical/dicom_file.h"
#include "medical/dicom_structure.h"
#include "medical/dicom_writer.h"
#include "medical/jpeg_writer.h"

namespace mii {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

GreyFrame grey(const Data& data, size_t frame = 0) {
  return std::get<GreyFrame>(DicomFile::open(data).frame(frame));
}

std::vector<int32_t> stored(const Data& data, size_t frame = 0) { return grey(data, frame).integers; }
std::vector<int32_t> stored(const DicomSet& set, size_t frame = 0) { return stored(dicom_file(set), frame); }

std::vector<uint8_t> rgb(const Data& data, size_t frame = 0) {
  return std::get<ColourFrame>(DicomFile::open(data).frame(frame)).rgb;
}
std::vector<uint8_t> rgb(const DicomSet& set, size_t frame = 0) { return rgb(dicom_file(set), frame); }

// "invalid_image: DICOM: ...", of opening a file and reading a frame.
std::string error_of(const Data& data, size_t frame = 0) {
  try {
    DicomFile::open(data).frame(frame);
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "no error";
}
std::string error_of(const DicomSet& set, size_t frame = 0) { return error_of(dicom_file(set), frame); }

std::string bytes_of(const std::vector<int>& values) {
  std::string text;
  for (const int value : values) text += static_cast<char>(value);
  return text;
}

// --- encodings ---------------------------------------------------------------------------------------------

constexpr DicomForm kForms[] = {{}, kImplicit, kBig};

template <class T>
DicomPixels row_of(const std::vector<T>& values, const DicomForm& form) {
  return {.cols = static_cast<uint16_t>(values.size()),
          .allocated = 8 * sizeof(T),
          .stored = 8 * sizeof(T),
          .is_signed = std::is_signed_v<T>,
          .pixels = numbers(values, form.big)};
}

template <class T>
void expect_values(const std::vector<T>& values) {
  for (const DicomForm& form : kForms) {
    const std::vector<int32_t> found = stored(dicom_image(row_of(values, form), form));
    EXPECT_EQ(found, std::vector<int32_t>(values.begin(), values.end())) << sizeof(T) << form.big;
  }
}

TEST(DicomBits, EverySizeAndSignInEveryByteOrder) {
  expect_values<uint8_t>({0, 1, 127, 128, 255, 7});
  expect_values<int8_t>({0, 1, 127, -128, -1, 7});
  expect_values<uint16_t>({0, 1, 32768, 65535});
  expect_values<int16_t>({0, 1, -32768, 32767, -1});
  expect_values<int32_t>({0, 1, INT32_MIN, INT32_MAX, -1});
}

TEST(DicomBits, ThirtyTwoUnsignedBitsBecomeReals) {
  for (const DicomForm& form : kForms) {
    const GreyFrame frame =
        grey(dicom_file(dicom_image(row_of<uint32_t>({0, 1, 4'000'000'000}, form), form)));
    EXPECT_THAT(frame.reals, ElementsAre(0, 1, 4e9));
    EXPECT_THAT(frame.integers, IsEmpty());
  }
}

// PS3.5 8.1.1 and annex A.3: the pixels' bytes fill words from the low byte; the words are swapped.
TEST(DicomBits, BigEndianWordsHoldPairsOfBytes) {
  DicomSet set = dicom_image({.rows = 2, .cols = 3, .allocated = 8, .stored = 8}, kBig);
  set.raw(0x7FE00010, "OW", bytes_of({2, 1, 4, 3, 6, 5}));
  EXPECT_THAT(stored(set), ElementsAre(1, 2, 3, 4, 5, 6));
  set.raw(0x7FE00010, "OB", bytes_of({1, 2, 3, 4, 5, 6}));
  EXPECT_THAT(stored(set), ElementsAre(1, 2, 3, 4, 5, 6));
  // Frames of three bytes begin in the middle of a word.
  DicomSet frames = dicom_image({.cols = 3, .allocated = 8, .stored = 8, .frames = 2}, kBig);
  frames.raw(0x7FE00010, "OW", bytes_of({2, 1, 4, 3, 6, 5}));
  EXPECT_THAT(stored(frames, 0), ElementsAre(1, 2, 3));
  EXPECT_THAT(stored(frames, 1), ElementsAre(4, 5, 6));
}

TEST(DicomBits, SingleBitsFillBytesFromTheLowestAndFramesFollowWithoutAGap) {
  for (const bool big : {false, true}) {
    const DicomForm form{.big = big};
    DicomSet set = dicom_image({.cols = 5, .allocated = 1, .stored = 1, .frames = 3}, form);
    // 10110 01001 11011, lowest bit first: 1011 0010 0111 011 -> 0x4D 0x6E.
    set.raw(0x7FE00010, "OB", bytes_of({0x4D, 0x6E}));
    EXPECT_THAT(stored(set, 0), ElementsAre(1, 0, 1, 1, 0)) << big;
    EXPECT_THAT(stored(set, 1), ElementsAre(0, 1, 0, 0, 1)) << big;
    EXPECT_THAT(stored(set, 2), ElementsAre(1, 1, 0, 1, 1)) << big;
    set.raw(0x7FE00010, "OW", big ? bytes_of({0x6E, 0x4D}) : bytes_of({0x4D, 0x6E}));
    EXPECT_THAT(stored(set, 1), ElementsAre(0, 1, 0, 0, 1)) << big;
  }
}

TEST(DicomBits, WhatLiesBesideTheStoredBitsIsLeftOut) {
  const auto twelve = [](int high_bit, bool is_signed, const std::vector<uint16_t>& words) {
    return stored(dicom_image({.cols = static_cast<uint16_t>(words.size()),
                               .stored = 12,
                               .high_bit = high_bit,
                               .is_signed = is_signed,
                               .pixels = numbers(words)}));
  };
  EXPECT_THAT(twelve(11, false, {0xF123, 0x0FFF, 0xF000}), ElementsAre(0x123, 0xFFF, 0));
  EXPECT_THAT(twelve(11, true, {0xF123, 0x0FFF, 0xF800}), ElementsAre(0x123, -1, -2048));
  EXPECT_THAT(twelve(15, false, {0x123F, 0xFFF0, 0x000F}), ElementsAre(0x123, 0xFFF, 0));
  EXPECT_THAT(twelve(15, true, {0x123F, 0xFFF0, 0x800F}), ElementsAre(0x123, -1, -2048));
  EXPECT_THAT(twelve(13, false, {0xC48F}), ElementsAre(0x123));
}

TEST(DicomBits, WrongOnesAreNamed) {
  const auto wrong = [](uint16_t allocated, uint16_t bits, int high_bit) {
    return error_of(
        dicom_image({.allocated = allocated, .stored = bits, .high_bit = high_bit, .pixels = "abcd"}));
  };
  EXPECT_THAT(wrong(12, 12, 11),
              HasSubstr("invalid_image: DICOM: 12 bits allocated, expected 1, 8, 16, 32 or 64"));
  EXPECT_THAT(wrong(16, 0, 0), HasSubstr("bits stored 0 with high bit 0"));
  EXPECT_THAT(wrong(16, 17, 16), HasSubstr("bits stored 17"));
  EXPECT_THAT(wrong(16, 12, 10), HasSubstr("high bit 10"));
  EXPECT_THAT(wrong(16, 12, 16), HasSubstr("high bit 16"));
  EXPECT_THAT(wrong(16, 12, 65535), HasSubstr("high bit 65535"));
}

// --- files -------------------------------------------------------------------------------------------------

TEST(DicomFiles, BareDataSetsAreRead) {
  for (const DicomForm& form : kForms) {
    DicomSet set = dicom_image(row_of<uint16_t>({1, 2, 3}, form), form);
    set.raw(0x00080005, "CS", "ISO_IR 100");
    const Data data = data_of(set.bytes());
    EXPECT_TRUE(looks_like_dicom(data));
    EXPECT_THAT(stored(data), ElementsAre(1, 2, 3)) << form.explicit_vr << form.big;
    EXPECT_THAT(DicomFile::open(data).info().transfer_syntax,
                HasSubstr(form.big           ? "Big Endian Explicit"
                          : form.explicit_vr ? "Little Endian Explicit"
                                             : "Little Endian Implicit"));
  }
}

TEST(DicomFiles, AMetaHeaderWithoutAPreambleIsRead) {
  Data data = dicom_file(dicom_image(row_of<uint16_t>({1, 2, 3}, {})));
  data.erase(data.begin(), data.begin() + 132);
  EXPECT_TRUE(looks_like_dicom(data));
  EXPECT_THAT(stored(data), ElementsAre(1, 2, 3));
}

TEST(DicomFiles, ADeflatedDataSetIsRead) {
  const std::string plain = dicom_image(row_of<uint16_t>({1, 2, 3}, {})).bytes();
  const Data data = part10(kDeflated, deflated(plain));
  EXPECT_THAT(stored(data), ElementsAre(1, 2, 3));
  EXPECT_THAT(DicomFile::open(data).info().transfer_syntax, HasSubstr("Deflated"));
}

// What a file says of its encoding may be wrong; what its first element shows counts.
TEST(DicomFiles, AWrongTransferSyntaxUidDoesNotHideTheEncoding) {
  const DicomSet implicit = dicom_image(row_of<uint16_t>({1, 2, 3}, kImplicit), kImplicit);
  EXPECT_THAT(stored(part10(kExplicitLittle, implicit.bytes())), ElementsAre(1, 2, 3));
}

TEST(DicomFiles, SequencesOfEveryFormAreWalkedThrough) {
  for (const DicomForm& form : kForms) {
    for (const bool undefined : {false, true}) {
      DicomSet inner(form);
      inner.raw(0x00080100, "SH", "CODE");
      DicomSet outer(form);
      outer.sequence(0x00082228, {inner, inner}, undefined);
      // Icons have pixel data of their own, which is not the image's.
      outer.raw(0x7FE00010, "OW", "icon");
      DicomSet set = dicom_image(row_of<uint16_t>({1, 2, 3}, form), form);
      set.sequence(0x00081115, {outer}, undefined);
      set.sequence(0x00880200, {outer}, undefined);
      set.sequence(0x00081110, {}, undefined);
      EXPECT_THAT(stored(set), ElementsAre(1, 2, 3)) << form.explicit_vr << form.big << undefined;
    }
  }
}

TEST(DicomFiles, IconsCompressedWithinItemsArePassedOver) {
  for (const uint32_t sequence : {0x00880200u, 0x07A310CEu}) {
    for (const bool undefined : {false, true}) {
      DicomSet icon;
      icon.encapsulated({"\xFF\xD8\xFF\xC3 no elements", std::string("\xFE\xFF\xDD\xE0\0\0\0\0", 8)});
      icon.bytes_at(0x7FE10010, dicom_element({}, 0x7FE10010, "LO", "after it"));
      DicomSet set = dicom_image(row_of<uint16_t>({1, 2, 3}, {}));
      set.sequence(sequence, {icon, icon}, undefined).raw(0x00281053, "DS", "7");
      EXPECT_THAT(stored(set), ElementsAre(1, 2, 3)) << sequence << undefined;
      EXPECT_EQ(grey(dicom_file(set)).slope, 7) << sequence << undefined;
    }
  }
}

// Such as those of one vendor: in explicit VR within a data set in implicit VR.
TEST(DicomFiles, WhatPrivateSequencesOfKnownLengthHoldIsNoMatter) {
  for (const DicomForm& form : kForms) {
    const std::string other = DicomSet({.explicit_vr = !form.explicit_vr}).us(0x00280010, {77}).bytes();
    for (const std::string& value : {dicom_element(form, 0xFFFEE000, "", other, kUndefinedLength) +
                                         dicom_element(form, 0xFFFEE00D, "", ""),
                                     dicom_element(form, 0xFFFEE000, "", other), std::string("no items")}) {
      DicomSet set = dicom_image(row_of<uint16_t>({1, 2, 3}, form), form);
      set.bytes_at(0x2005140F, dicom_element(form, 0x2005140F, "SQ", value));
      EXPECT_THAT(stored(set), ElementsAre(1, 2, 3)) << form.explicit_vr << form.big << value.size();
    }
  }
}

TEST(DicomFiles, SequencesOfVrUnAreInImplicitVrLittleEndianWhateverIsAroundThem) {
  for (const DicomForm& form : {DicomForm{}, kBig}) {
    const std::string items =
        dicom_element(kImplicit, 0xFFFEE000, "", DicomSet(kImplicit).us(1, {7}).bytes()) +
        dicom_element(kImplicit, 0xFFFEE0DD, "", "");
    DicomSet set = dicom_image(row_of<uint16_t>({1, 2, 3}, form), form);
    set.bytes_at(0x00082112, dicom_element(form, 0x00082112, "UN", items, kUndefinedLength));
    EXPECT_THAT(stored(set), ElementsAre(1, 2, 3)) << form.big;
  }
}

// Behind sequences that say they are empty, and without any.
TEST(DicomFiles, ItemsOutsideOfASequenceArePassedOver) {
  for (const DicomForm& form : kForms) {
    DicomSet other(form);
    const std::string elements = other.us(0x00280010, {77}).bytes();
    const auto item = [&](const std::string& bytes, size_t length) {
      return dicom_element(form, 0xFFFEE000, "", bytes, length);
    };
    const std::string item_end = dicom_element(form, 0xFFFEE00D, "", ""),
                      sequence_end = dicom_element(form, 0xFFFEE0DD, "", "");
    for (const std::string& stray :
         {item("", 0), item(elements, elements.size()), item(elements, kUndefinedLength) + item_end,
          item(elements, elements.size()) + item_end + sequence_end, sequence_end, item_end}) {
      DicomSet set = dicom_image(row_of<uint16_t>({1, 2, 3}, form), form);
      set.bytes_at(0x00081115, dicom_element(form, 0x00081115, "SQ", "") + stray);
      set.raw(0x00281053, "DS", "7");
      EXPECT_THAT(stored(set), ElementsAre(1, 2, 3)) << form.explicit_vr << form.big << stray.size();
      EXPECT_EQ(grey(dicom_file(set)).slope, 7) << form.explicit_vr << form.big << stray.size();
    }
  }
}

// They have the VR of the dictionary; what a sequence of VR UN holds has none.
TEST(DicomFiles, AttributesOfUnknownVrAreRead) {
  DicomSet set = dicom_image(row_of<uint16_t>({1, 2, 3}, {}));
  DicomSet window(kImplicit);
  window.raw(0x00281050, "DS", "40").raw(0x00281051, "DS", "400");
  set.bytes_at(0x00281053, dicom_element({}, 0x00281053, "UN", "7 "));
  set.bytes_at(0x00281052, dicom_element({}, 0x00281052, "ZZ", std::string("\4\0\0\0", 4) + "-5.5", 0));
  set.raw(
      0x52009229, "UN",
      dicom_element(kImplicit, 0xFFFEE000, "", DicomSet(kImplicit).sequence(0x00289132, {window}).bytes()));
  const Data data = dicom_file(set);
  EXPECT_EQ(grey(data).slope, 7);
  EXPECT_EQ(grey(data).intercept, -5.5);
  ASSERT_EQ(DicomFile::open(data).frame_info(0).windows.size(), 1u);
  EXPECT_EQ(DicomFile::open(data).frame_info(0).windows[0].width, 400);
}

TEST(DicomFiles, NativePixelsOfUnevenLengthArePadded) {
  EXPECT_THAT(stored(dicom_image({.cols = 3, .allocated = 8, .stored = 8, .pixels = "abc"})),
              ElementsAre('a', 'b', 'c'));
}

TEST(DicomFiles, SayWhatTheyAre) {
  DicomSet set =
      dicom_image({.rows = 2, .cols = 3, .stored = 12, .modality = "CT", .pixels = std::string(12, 'x')});
  set.raw(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2");
  set.raw(0x00180015, "CS", "Chest ");
  set.raw(0x00280301, "CS", "YES");
  set.raw(0x00282110, "CS", "01");
  set.raw(0x00200011, "IS", " 4");
  set.raw(0x00200013, "IS", "17");
  set.raw(0x0020000D, "UI", "1.2.3");
  set.raw(0x0020000E, "UI", "1.2.3.4");
  const DicomFile file = DicomFile::open(dicom_file(set));
  const DicomInfo info = file.info();
  EXPECT_EQ(info.sop_class, "CTImageStorage");
  EXPECT_EQ(info.modality, "CT");
  EXPECT_EQ(info.body_part, "CHEST");
  EXPECT_EQ(info.rows, 2u);
  EXPECT_EQ(info.cols, 3u);
  EXPECT_EQ(info.bits_allocated, 16);
  EXPECT_EQ(info.bits_stored, 12);
  EXPECT_TRUE(info.burned_in_annotation);
  EXPECT_TRUE(info.lossy);
  EXPECT_EQ(info.series_number, 4);
  EXPECT_EQ(info.instance_number, 17);
  EXPECT_EQ(info.study_instance_uid, "1.2.3");
  EXPECT_EQ(info.series_instance_uid, "1.2.3.4");
}

TEST(DicomFiles, IdentifyingAttributesComeOnlyWhenAskedFor) {
  DicomSet set = dicom_image(row_of<uint16_t>({1}, {}));
  set.raw(0x00100010, "PN", "Doe^Jane");
  set.raw(0x00100020, "LO", "ID-7");
  const auto found = DicomFile::open(dicom_file(set)).identifying_attributes();
  EXPECT_THAT(found,
              ElementsAre(testing::Pair("PatientName", "Doe^Jane"), testing::Pair("PatientID", "ID-7")));
}

// --- colour ------------------------------------------------------------------------------------------------

DicomSet colour_row(const std::string& photometric, const std::vector<int>& bytes, uint16_t cols = 2) {
  return dicom_image({.cols = cols,
                      .samples = 3,
                      .allocated = 8,
                      .stored = 8,
                      .photometric = photometric,
                      .pixels = bytes_of(bytes)});
}

TEST(DicomColour, ByPixelAndByPlane) {
  DicomSet set = colour_row("RGB", {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(rgb(set), ElementsAre(1, 2, 3, 4, 5, 6));
  set.us(0x00280006, {1});
  EXPECT_THAT(rgb(set), ElementsAre(1, 3, 5, 2, 4, 6));
}

TEST(DicomColour, HighByteOfSixteenBits) {
  const DicomSet set = dicom_image(
      {.samples = 3, .photometric = "RGB", .pixels = numbers<uint16_t>({0x12FF, 0xFF00, 0x00FF})});
  EXPECT_THAT(rgb(set), ElementsAre(0x12, 0xFF, 0));
}

// PS3.3 C.7.6.3.1.2: Y = .299 R + .587 G + .114 B, and so on. Red is 76 85 255, grey has Cb = Cr = 128.
// (76, 85, 255): R = 76 + 1.402 * 127 = 254.05, G = 76 + .344136 * 43 - .714136 * 127 = .10, B = 76 - 1.772 *
// 43 < 0.
TEST(DicomColour, YbrFullBecomesRgb) {
  EXPECT_THAT(rgb(colour_row("YBR_FULL", {76, 85, 255, 200, 128, 128})),
              ElementsAre(254, 0, 0, 200, 200, 200));
}

// Two pixels of brightness 76 and 200 share red's colour: 200 + 178.05 is beyond white, 200 - 75.9 = 124.1,
// 200 - 76.196 = 123.8.
TEST(DicomColour, YbrFull422SharesColourBetweenPairs) {
  EXPECT_THAT(rgb(colour_row("YBR_FULL_422", {76, 200, 85, 255})), ElementsAre(254, 0, 0, 255, 124, 124));
  EXPECT_THAT(error_of(colour_row("YBR_FULL_422", {1, 2, 3, 4, 5, 6}, 3)), HasSubstr("odd number of pixels"));
}

DicomSet palette_row(const std::vector<int>& indices, const std::vector<uint16_t>& descriptor) {
  DicomSet set = dicom_image({.cols = static_cast<uint16_t>(indices.size()),
                              .allocated = 8,
                              .stored = 8,
                              .photometric = "PALETTE COLOR",
                              .pixels = bytes_of(indices)});
  for (const uint32_t tag : {0x00281101, 0x00281102, 0x00281103}) set.us(tag, descriptor);
  return set;
}

TEST(DicomPalette, SixteenBitEntriesKeepTheirHighByte) {
  DicomSet set = palette_row({0, 1, 2, 9}, {3, 1, 16});
  set.words(0x00281201, {0x1000, 0x2000, 0x30FF});
  set.words(0x00281202, {0x4000, 0x5000, 0x60FF});
  set.words(0x00281203, {0x7000, 0x8000, 0x90FF});
  // The first entry stands for index 1 and all below, the last for all beyond.
  EXPECT_THAT(rgb(set), ElementsAre(0x10, 0x40, 0x70, 0x10, 0x40, 0x70, 0x20, 0x50, 0x80, 0x30, 0x60, 0x90));
}

TEST(DicomPalette, EightBitEntriesMayLieTwoInAWord) {
  DicomSet set = palette_row({0, 1, 2, 3}, {4, 0, 8});
  set.words(0x00281201, {0x0201, 0x0403});
  set.words(0x00281202, {0x0605, 0x0807});
  set.words(0x00281203, {9, 10, 11, 12});  // one in a word
  EXPECT_THAT(rgb(set), ElementsAre(1, 5, 9, 2, 6, 10, 3, 7, 11, 4, 8, 12));
}

// PS3.3 C.7.9.2: discrete (0), linear (1) and indirect (2) segments.
TEST(DicomPalette, SegmentsAreUnfolded) {
  DicomSet set = palette_row({0, 1, 2, 3, 4, 5, 6, 7}, {8, 0, 16});
  // 0x0100 0x0200; up to 0x0600 in four steps; two entries more.
  set.words(0x00281221, {0, 2, 0x0100, 0x0200, 1, 4, 0x0600, 0, 2, 0x0700, 0x0800});
  // The first segment, at byte 0, repeated by an indirect one, three times in all.
  set.words(0x00281222, {0, 2, 0x0A00, 0x0B00, 2, 1, 0, 0, 0, 4, 0x0C00, 0x0D00, 0x0E00, 0x0F00});
  set.words(0x00281223, {0, 1, 0x0900, 1, 7, 0x1000});
  EXPECT_THAT(rgb(set), ElementsAre(1, 10, 9, 2, 11, 10, 3, 10, 11, 4, 11, 12, 5, 12, 13, 6, 13, 14, 7, 14,
                                    15, 8, 15, 16));
}

TEST(DicomPalette, DamagedOnesAreErrors) {
  EXPECT_THAT(error_of(palette_row({0}, {3, 0, 16})), HasSubstr("has no entries"));
  DicomSet none = palette_row({0}, {3, 0, 16});
  EXPECT_THAT(error_of(none.without(0x00281102)), HasSubstr("palette has no"));
  const auto segmented = [](const std::vector<uint16_t>& words) {
    DicomSet set = palette_row({0}, {300, 0, 16});
    for (const uint32_t tag : {0x00281221, 0x00281222, 0x00281223}) set.words(tag, words);
    return error_of(set);
  };
  EXPECT_THAT(segmented({0, 9, 1}), HasSubstr("ends within a segment"));
  EXPECT_THAT(segmented({1, 9, 1}), HasSubstr("begins with a linear segment"));
  EXPECT_THAT(segmented({7, 9, 1}), HasSubstr("unknown kind"));
  EXPECT_THAT(segmented({2, 1, 0, 0}), HasSubstr("unknown kind")) << "a segment that repeats itself";
  EXPECT_THAT(segmented({0, 1, 5, 2, 1, 0xFFFF, 0xFFFF}), HasSubstr("ends within a segment"));
}

// --- grey values -------------------------------------------------------------------------------------------

TEST(DicomGrey, Monochrome1IsMarkedInverted) {
  DicomPixels pixels = row_of<uint16_t>({1, 2}, {});
  EXPECT_FALSE(grey(dicom_file(dicom_image(pixels))).inverted);
  pixels.photometric = "MONOCHROME1";
  EXPECT_TRUE(grey(dicom_file(dicom_image(pixels))).inverted);
}

TEST(DicomGrey, RescaleGivesSlopeAndIntercept) {
  DicomSet set = dicom_image(row_of<uint16_t>({1, 2}, {}));
  set.raw(0x00281052, "DS", "-1024.5");
  set.raw(0x00281053, "DS", "2.5");
  const GreyFrame frame = grey(dicom_file(set));
  EXPECT_EQ(frame.slope, 2.5);
  EXPECT_EQ(frame.intercept, -1024.5);
  EXPECT_THAT(frame.integers, ElementsAre(1, 2));
}

TEST(DicomGrey, ModalityTableReplacesTheStoredValues) {
  DicomSet table;
  table.us(0x00283002, {3, 10, 16}).us(0x00283006, {100, 2000, 30000});
  DicomSet set = dicom_image(row_of<uint16_t>({0, 10, 11, 12, 99}, {}));
  set.sequence(0x00283000, {table});
  set.raw(0x00281053, "DS", "7");  // a file has one or the other
  set.us(0x00280120, {99});
  const GreyFrame frame = grey(dicom_file(set));
  EXPECT_EQ(frame.slope, 1);
  EXPECT_THAT(frame.integers, ElementsAre(100, 100, 2000, 30000, -1)) << "and padding stays padding";
  EXPECT_TRUE(frame.is_padding(-1));
}

TEST(DicomGrey, PaddingIsAValueOrARange) {
  const auto padding = [](bool is_signed, const DicomSet& extra_like, auto set_padding) {
    DicomSet set = extra_like;
    set_padding(set);
    return grey(dicom_file(set)).padding;
    (void)is_signed;
  };
  const DicomSet plain = dicom_image(row_of<uint16_t>({1, 2}, {}));
  const DicomSet with_sign = dicom_image(row_of<int16_t>({1, 2}, {}));
  EXPECT_EQ(padding(false, plain, [](DicomSet&) {}), std::nullopt);
  EXPECT_EQ(padding(false, plain, [](DicomSet& s) { s.us(0x00280120, {65535}); }), std::pair(65535, 65535));
  EXPECT_EQ(padding(true, with_sign, [](DicomSet& s) { s.ss(0x00280120, {-2000}); }),
            std::pair(-2000, -2000));
  EXPECT_EQ(padding(true, with_sign, [](DicomSet& s) { s.us(0x00280120, {63536}); }), std::pair(-2000, -2000))
      << "written unsigned";
  EXPECT_EQ(padding(false, plain, [](DicomSet& s) { s.us(0x00280120, {9}).us(0x00280121, {5}); }),
            std::pair(5, 9));
}

TEST(DicomGrey, NumbersBeyondThirtyTwoBitsAreNoMatter) {
  DicomSet table, set = dicom_image(row_of<int16_t>({-2, 0, 5}, {}));
  table.raw(0x00283002, "DS", "1e300\\-1e300\\16").words(0x00283006, {7, 200});
  set.raw(0x00280120, "DS", "1e300").sequence(0x00283000, {table});
  EXPECT_THAT(stored(set), ElementsAre(-2, 0, 5)) << "no table";
}

TEST(DicomGrey, WindowsAndTablesOfTheVoi) {
  DicomSet table;
  table.us(0x00283002, {2, 5, 8}).us(0x00283006, {7, 200});
  DicomSet set = dicom_image(row_of<uint16_t>({1, 2}, {}));
  set.raw(0x00281050, "DS", "40\\-600.5\\1").raw(0x00281051, "DS", "400\\1500\\0");
  set.sequence(0x00283010, {table});
  DicomFrameInfo info = DicomFile::open(dicom_file(set)).frame_info(0);
  ASSERT_EQ(info.windows.size(), 2u) << "a width of 0 is none";
  EXPECT_EQ(info.windows[0].center, 40);
  EXPECT_EQ(info.windows[0].width, 400);
  EXPECT_EQ(info.windows[1].center, -600.5);
  EXPECT_EQ(info.windows[1].function, VoiFunction::linear);
  ASSERT_EQ(info.voi_tables.size(), 1u);
  EXPECT_EQ(info.voi_tables[0].first, 5);
  EXPECT_THAT(info.voi_tables[0].entries, ElementsAre(7, 200));
  EXPECT_EQ(info.voi_tables[0].bits, 8);
  set.raw(0x00281056, "CS", "SIGMOID");
  EXPECT_EQ(DicomFile::open(dicom_file(set)).frame_info(0).windows[0].function, VoiFunction::sigmoid);
  set.raw(0x00281056, "CS", "LINEAR_EXACT");
  EXPECT_EQ(DicomFile::open(dicom_file(set)).frame_info(0).windows[0].function, VoiFunction::linear_exact);
}

TEST(DicomGrey, FloatPixelDataAreReals) {
  for (const DicomForm& form : {DicomForm{}, kImplicit}) {
    DicomSet set = dicom_image({.cols = 3, .allocated = 32, .stored = 32}, form);
    set.raw(0x7FE00008, "OF", numbers<float>({-1.5f, 0, 3e38f}));
    EXPECT_THAT(grey(dicom_file(set)).reals, ElementsAre(-1.5, 0, static_cast<double>(3e38f)));
    DicomSet twice = dicom_image({.cols = 2, .allocated = 64, .stored = 64, .frames = 2}, form);
    twice.raw(0x7FE00009, "OD", numbers<double>({-1.5, 1e300, 0.1, 7}));
    EXPECT_THAT(grey(dicom_file(twice), 0).reals, ElementsAre(-1.5, 1e300));
    EXPECT_THAT(grey(dicom_file(twice), 1).reals, ElementsAre(0.1, 7));
  }
}

// --- frames ------------------------------------------------------------------------------------------------

TEST(DicomFrames, FollowOneAnother) {
  DicomPixels pixels = row_of<uint16_t>({1, 2, 3, 4, 5, 6}, {});
  pixels.cols = 2;
  pixels.frames = 3;
  const Data data = dicom_file(dicom_image(pixels));
  EXPECT_EQ(DicomFile::open(data).info().frames, 3u);
  EXPECT_THAT(stored(data, 0), ElementsAre(1, 2));
  EXPECT_THAT(stored(data, 2), ElementsAre(5, 6));
  EXPECT_THAT(error_of(data, 3), StartsWith("invalid_argument: frame 4 of a DICOM object with 3 frames"));
}

TEST(DicomFrames, MissingOnesAreNamedAndTheOthersRead) {
  DicomPixels pixels = row_of<uint16_t>({1, 2, 3}, {});
  pixels.cols = 2;
  pixels.frames = 2;
  const Data data = dicom_file(dicom_image(pixels));
  EXPECT_THAT(stored(data, 0), ElementsAre(1, 2));
  EXPECT_THAT(error_of(data, 1), HasSubstr("frame 2 of 2 ends early: 6 bytes of pixel data, expected 8"));
}

DicomSet rle_image(const std::vector<std::string>& fragments, const std::string& offsets, uint32_t frames) {
  DicomSet set = dicom_image({.cols = 3, .frames = frames});
  set.encapsulated(fragments, offsets);
  return set;
}

const std::string kFirst = rle_frame(numbers<uint16_t>({1, 1, 300}), 1, 2);
const std::string kSecond = rle_frame(numbers<uint16_t>({4, 5, 65535}), 1, 2);

TEST(DicomFrames, AFragmentEachNeedsNoOffsets) {
  const Data data = part10(kRle, rle_image({kFirst, kSecond}, "", 2).bytes());
  EXPECT_THAT(stored(data, 0), ElementsAre(1, 1, 300));
  EXPECT_THAT(stored(data, 1), ElementsAre(4, 5, 65535));
}

TEST(DicomFrames, OffsetsTellWhichFragmentsAreWhose) {
  const std::string half = kFirst.substr(0, 64), rest = kFirst.substr(64);
  const auto second = static_cast<uint32_t>(8 + half.size() + 8 + rest.size());
  const Data data = part10(kRle, rle_image({half, rest, kSecond}, numbers<uint32_t>({0, second}), 2).bytes());
  EXPECT_THAT(stored(data, 0), ElementsAre(1, 1, 300));
  EXPECT_THAT(stored(data, 1), ElementsAre(4, 5, 65535));
}

TEST(DicomFrames, OneFramesFragmentsAreJoined) {
  const Data data = part10(kRle, rle_image({kFirst.substr(0, 64), kFirst.substr(64)}, "", 1).bytes());
  EXPECT_THAT(stored(data), ElementsAre(1, 1, 300));
}

TEST(DicomFrames, WrongOffsetsAreErrors) {
  const auto with = [](const std::vector<uint32_t>& offsets) {
    return error_of(part10(kRle, rle_image({"ab", "cd", "ef"}, numbers(offsets), 2).bytes()), 1);
  };
  EXPECT_THAT(with({0, 1000}), HasSubstr("frame 2 of 2 is missing"));
  EXPECT_THAT(with({0, 0xFFFFFFFF}), HasSubstr("frame 2 of 2 is missing"));
  EXPECT_THAT(error_of(part10(kRle, rle_image({}, "", 1).bytes())), HasSubstr("missing"));
}

// --- enhanced objects --------------------------------------------------------------------------------------

DicomSet with(DicomSet set, uint32_t group, const DicomSet& item) { return set.sequence(group, {item}); }

// Two frames; slope, window and position differ, the orientation is shared.
DicomSet enhanced() {
  DicomPixels pixels = row_of<uint16_t>({1, 2, 3, 4}, {});
  pixels.cols = 2;
  pixels.frames = 2;
  pixels.modality = "CT";
  DicomSet set = dicom_image(pixels);
  set.raw(0x00281050, "DS", "1").raw(0x00281051, "DS", "2");
  std::vector<DicomSet> frames;
  for (const char n : {'1', '2'}) {
    const auto text = [n](const char* before, const char* after) { return std::string(before) + n + after; };
    const DicomSet rescale =
        DicomSet().raw(0x00281052, "DS", text("-", "")).raw(0x00281053, "DS", text("", ".5"));
    const DicomSet voi =
        DicomSet().raw(0x00281050, "DS", text("", "0")).raw(0x00281051, "DS", text("", "00"));
    const DicomSet position = DicomSet().raw(0x00200032, "DS", text("0\\0\\", ".25"));
    DicomSet groups;
    groups.sequence(0x00289145, {rescale}).sequence(0x00289132, {voi}).sequence(0x00209113, {position});
    frames.push_back(groups);
  }
  set.sequence(0x52009230, frames);
  const DicomSet orientation = DicomSet().raw(0x00200037, "DS", "1\\0\\0\\0\\1\\0");
  set.sequence(0x52009229, {with(DicomSet(), 0x00209116, orientation)});
  return set;
}

TEST(DicomEnhanced, EachFrameHasItsOwnGroups) {
  const Data data = dicom_file(enhanced());
  const DicomFile file = DicomFile::open(data);
  for (const size_t frame : {size_t{0}, size_t{1}}) {
    const double n = static_cast<double>(frame + 1);
    const DicomFrameInfo info = file.frame_info(frame);
    EXPECT_EQ(info.rescale, std::pair(n + 0.5, -n));
    ASSERT_EQ(info.windows.size(), 1u);
    EXPECT_EQ(info.windows[0].center, 10 * n);
    EXPECT_EQ(info.windows[0].width, 100 * n);
    EXPECT_EQ(info.position_mm, (std::array<double, 3>{0, 0, n + 0.25}));
    EXPECT_EQ(info.orientation, (std::array<double, 6>{1, 0, 0, 0, 1, 0}));
    EXPECT_EQ(std::get<GreyFrame>(file.frame(frame)).slope, n + 0.5);
  }
}

TEST(DicomEnhanced, FramesWithoutGroupsTakeWhatTheObjectSays) {
  DicomSet set = enhanced();
  set.sequence(0x52009230, {DicomSet()});
  const Data data = dicom_file(set);
  const DicomFile file = DicomFile::open(data);
  for (const size_t frame : {size_t{0}, size_t{1}}) {
    EXPECT_EQ(file.frame_info(frame).windows.at(0).center, 1);
    EXPECT_EQ(file.frame_info(frame).position_mm, std::nullopt);
    EXPECT_TRUE(file.frame_info(frame).orientation.has_value());
  }
}

// --- compressed pixels -------------------------------------------------------------------------------------

TEST(DicomRle, EverySizeOfSample) {
  const auto compressed = [](DicomPixels pixels, const std::string& plain, size_t bytes) {
    pixels.allocated = pixels.stored = static_cast<uint16_t>(8 * bytes);
    return part10(kRle, dicom_image(pixels).encapsulated({rle_frame(plain, pixels.samples, bytes)}).bytes());
  };
  EXPECT_THAT(stored(compressed({.cols = 5}, bytes_of({1, 1, 1, 9, 255}), 1)), ElementsAre(1, 1, 1, 9, 255));
  EXPECT_THAT(stored(compressed({.cols = 3, .is_signed = true}, numbers<int16_t>({-2, -2, 500}), 2)),
              ElementsAre(-2, -2, 500));
  EXPECT_THAT(stored(compressed({.cols = 3, .is_signed = true}, numbers<int32_t>({-2, 70000, 500}), 4)),
              ElementsAre(-2, 70000, 500));
  EXPECT_THAT(
      rgb(compressed({.cols = 2, .samples = 3, .photometric = "RGB"}, bytes_of({1, 2, 3, 4, 5, 6}), 1)),
      ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(DicomRle, DamageIsAnError) {
  const auto image = [](const std::string& frame) {
    return error_of(part10(kRle, dicom_image({.cols = 300}).encapsulated({frame}).bytes()));
  };
  EXPECT_THAT(image(""), StartsWith("invalid_image: DICOM: the pixel data"));
  EXPECT_THAT(image("short"), StartsWith("invalid_image: DICOM: the pixel data"));
  EXPECT_THAT(image(kFirst), StartsWith("invalid_image: DICOM: the pixel data")) << "too few pixels";
  std::string far = kFirst;
  far.replace(8, 4, number(uint32_t{0x7FFFFFFF}));
  EXPECT_THAT(image(far), StartsWith("invalid_image: DICOM: the pixel data"));
}

TEST(DicomJpeg, LosslessWithEveryPredictor) {
  std::vector<int> values;
  for (int i = 0; i < 7 * 9; ++i) values.push_back(i * i * 131 % 4096);
  for (int predictor = 1; predictor <= 7; ++predictor) {
    DicomSet set = dicom_image({.rows = 7, .cols = 9, .stored = 12});
    set.encapsulated({LosslessJpegWriter(7, 9, 12, predictor).write(values)});
    const char* syntax = predictor == 1 ? kJpegLossless : "1.2.840.10008.1.2.4.57";
    EXPECT_EQ(stored(part10(syntax, set.bytes())), values) << predictor;
  }
}

TEST(DicomJpeg, LosslessOfSixteenSignedBits) {
  std::vector<int> values;
  for (int i = 0; i < 12; ++i) values.push_back((i * 5471) % 65536);
  DicomSet set = dicom_image({.rows = 3, .cols = 4, .is_signed = true});
  set.encapsulated({LosslessJpegWriter(3, 4, 16, 1).write(values)});
  const std::vector<int32_t> found = stored(part10(kJpegLossless, set.bytes()));
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(found[i], static_cast<int16_t>(values[i])) << i;
}

DicomSet jpeg_ls(uint16_t bits, std::string_view hex) {
  DicomSet set = dicom_image({.rows = 6, .cols = 8, .allocated = 8, .stored = bits});
  return set.encapsulated({bytes_of_hex(hex)});
}

// The thresholds that a codestream leaves out depend on the bits.
TEST(DicomJpegLs, FewerThanEightBits) {
  const std::vector<int32_t> lossless = stored(part10(kJpegLs, jpeg_ls(7, kJpegLs7Bits).bytes()));
  const std::vector<int32_t> near =
      stored(part10("1.2.840.10008.1.2.4.81", jpeg_ls(6, kJpegLs6Bits).bytes()));
  ASSERT_EQ(lossless.size(), 48u);
  ASSERT_EQ(near.size(), 48u);
  for (int i = 0; i < 48; ++i) {
    EXPECT_EQ(lossless[static_cast<size_t>(i)], 37 * i % 128) << i;
    EXPECT_NEAR(near[static_cast<size_t>(i)], 11 * i % 64, 1) << i;
  }
}

DicomSet jpeg_of_red(const std::string& photometric, const std::string& codestream) {
  DicomSet set = dicom_image(
      {.rows = 8, .cols = 8, .samples = 3, .allocated = 8, .stored = 8, .photometric = photometric});
  return set.encapsulated({codestream});
}

TEST(DicomJpeg, AJfifMarkerMeansYcbcrWhateverTheDataSetSays) {
  const std::string jfif = bytes_of_hex(kJfifRed);
  const std::string without = jfif.substr(0, 2) + jfif.substr(20);
  const auto first_pixel = [](const DicomSet& set) {
    std::vector<uint8_t> pixels = rgb(part10(kJpegBaseline, set.bytes()));
    pixels.resize(3);
    return pixels;
  };
  // As in YbrFullBecomesRgb.
  EXPECT_THAT(first_pixel(jpeg_of_red("YBR_FULL", jfif)), ElementsAre(254, 0, 0));
  EXPECT_THAT(first_pixel(jpeg_of_red("RGB", jfif)), ElementsAre(254, 0, 0));
  EXPECT_THAT(first_pixel(jpeg_of_red("RGB", without)), ElementsAre(76, 85, 255));
}

TEST(DicomJpeg, HeadersThatDisagreeWithTheDataSetAreNamed) {
  const std::string jpeg = LosslessJpegWriter(3, 4, 12, 1).write(std::vector<int>(12, 5));
  const auto in = [&](DicomPixels pixels) {
    return error_of(part10(kJpegLossless, dicom_image(pixels).encapsulated({jpeg}).bytes()));
  };
  EXPECT_EQ(in({.rows = 3, .cols = 4}), "no error");
  EXPECT_THAT(in({.rows = 4, .cols = 4}), HasSubstr("4 x 3 pixels of 1 components, expected 4 x 4"));
  EXPECT_THAT(in({.rows = 3, .cols = 4, .samples = 3, .photometric = "RGB"}),
              HasSubstr("expected 4 x 3 pixels of 3"));
  EXPECT_THAT(in({.rows = 3, .cols = 4, .allocated = 8, .stored = 8}),
              HasSubstr("a JPEG of 12 bits, 8 are allocated"));
}

// The image and the codestream of ITU-T T.87 annex H.3.
TEST(DicomJpegLs, TheStandardsExample) {
  const std::string frame =
      bytes_of({0xFF, 0xD8, 0xFF, 0xF7, 0x00, 0x0B, 0x08, 0x00, 0x04, 0x00, 0x04, 0x01, 0x01, 0x11, 0x00,
                0xFF, 0xDA, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0xC0, 0x00, 0x00, 0x6C, 0x80,
                0x20, 0x8E, 0x01, 0xC0, 0x00, 0x00, 0x57, 0x40, 0x00, 0x00, 0x6E, 0xE6, 0x00, 0x00, 0x01,
                0xBC, 0x18, 0x00, 0x00, 0x05, 0xD8, 0x00, 0x00, 0x91, 0x60, 0xFF, 0xD9});
  DicomSet set = dicom_image({.rows = 4, .cols = 4, .allocated = 8, .stored = 8});
  EXPECT_THAT(stored(part10(kJpegLs, set.encapsulated({frame}).bytes())),
              ElementsAre(0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145));
}

// Codestreams by CharLS, of values that a formula gives; the first byte tells the fuzz target their size.
std::string charls_codestream(const std::string& name) {
  const Data data =
      read_file(std::filesystem::path(MII_TEST_DATA) / "../../fuzz/seeds/fuzz_frame" / name, 1 << 20);
  return std::string(reinterpret_cast<const char*>(data.data()) + 1, data.size() - 1);
}

int ramp(size_t x, size_t y) { return static_cast<int>((x * 7 + y * 13) % 256); }

TEST(DicomJpegLs, GreyOfEightAndSixteenBits) {
  DicomSet eight = dicom_image({.rows = 17, .cols = 33, .allocated = 8, .stored = 8});
  const auto found = stored(part10(kJpegLs, eight.encapsulated({charls_codestream("jls-17x33")}).bytes()));
  for (size_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i], ramp(i % 33, i / 33)) << i;
  DicomSet sixteen = dicom_image({.rows = 8, .cols = 8});
  const auto wide =
      stored(part10(kJpegLs, sixteen.encapsulated({charls_codestream("jls-8x8-16-lse")}).bytes()));
  for (int i = 0; i < 64; ++i)
    ASSERT_EQ(wide[static_cast<size_t>(i)], 2 * i * 31 % 256 + ((2 * i + 1) * 31 % 256 << 8)) << i;
}

TEST(DicomJpegLs, ColourByLineAndNearColourByPixel) {
  for (const auto& [name, near] :
       {std::pair("jls-16x16-rgb-line", 0), std::pair("jls-16x16-rgb-sample-near", 3)}) {
    DicomSet set = dicom_image(
        {.rows = 16, .cols = 16, .samples = 3, .allocated = 8, .stored = 8, .photometric = "RGB"});
    const auto found = rgb(part10(kJpegLs, set.encapsulated({charls_codestream(name)}).bytes()));
    ASSERT_EQ(found.size(), 16u * 16 * 3);
    for (size_t i = 0; i < 256; ++i) {
      const int v = ramp(i % 16, i / 16);
      ASSERT_NEAR(found[3 * i], v, near) << i;
      ASSERT_NEAR(found[3 * i + 1], 3 * v % 256, near) << i;
      ASSERT_NEAR(found[3 * i + 2], 255 - v, near) << i;
    }
  }
}

TEST(DicomJpeg2000, GreySignedAndColour) {
  std::vector<int> values;
  for (int i = 0; i < 20 * 30; ++i) values.push_back(i * 977 % 4096);
  DicomSet set = dicom_image({.rows = 20, .cols = 30, .stored = 12});
  set.encapsulated({jpeg2000_codestream(20, 30, 1, 12, false, values)});
  EXPECT_EQ(stored(part10(kJpeg2000, set.bytes())), values);

  for (int& value : values) value -= 2048;
  set = dicom_image({.rows = 20, .cols = 30, .stored = 12, .is_signed = true});
  set.encapsulated({jpeg2000_codestream(20, 30, 1, 12, true, values)});
  EXPECT_EQ(stored(part10(kJpeg2000, set.bytes())), values);

  for (int& value : values) value &= 255;
  for (const char* photometric : {"RGB", "YBR_RCT"}) {
    set = dicom_image(
        {.rows = 20, .cols = 10, .samples = 3, .allocated = 8, .stored = 8, .photometric = photometric});
    set.encapsulated({jpeg2000_codestream(20, 10, 3, 8, false, values)});
    EXPECT_EQ(rgb(part10(kJpeg2000, set.bytes())), std::vector<uint8_t>(values.begin(), values.end()));
  }
}

TEST(DicomJpeg2000, HighThroughputCodestreams) {
  const auto image = [](const DicomPixels& pixels, std::string_view hex) {
    return dicom_image(pixels).encapsulated({bytes_of_hex(hex)}).bytes();
  };
  const DicomPixels grey_pixels{.rows = 16, .cols = 16, .allocated = 8, .stored = 8};
  DicomPixels deep = grey_pixels, colour = grey_pixels;
  deep.allocated = deep.stored = 16;
  colour.samples = 3;
  colour.photometric = "YBR_RCT";
  const auto ramp = stored(part10(kHtj2k, image(deep, kHtj2k16Bits)));
  const auto colours = rgb(part10("1.2.840.10008.1.2.4.202", image(colour, kHtj2kRgb)));
  const auto lossy = stored(part10("1.2.840.10008.1.2.4.203", image(grey_pixels, kHtj2kLossy)));
  for (size_t i = 0; i < 256; ++i) {
    EXPECT_EQ(ramp[i], static_cast<int32_t>(257 * i));
    EXPECT_EQ(colours[3 * i], i);
    EXPECT_EQ(colours[3 * i + 1], 255 - i);
    EXPECT_EQ(colours[3 * i + 2], 16 * (i % 16) + i / 16);
    EXPECT_NEAR(lossy[i], static_cast<int32_t>(i), 1);
  }
  const Data data = part10("1.2.840.10008.1.2.4.203", image(grey_pixels, kHtj2kLossy));
  EXPECT_EQ(DicomFile::open(data).info().transfer_syntax, "High-Throughput JPEG 2000 (Lossless or Lossy)");
}

// What is left of a codestream is an error or an image, and nothing worse.
TEST(DicomJpeg2000, DamagedHighThroughputCodestreams) {
  const std::string whole = bytes_of_hex(kHtj2k16Bits);
  DicomSet set = dicom_image({.rows = 16, .cols = 16});
  for (size_t n = 0; n < whole.size(); ++n)
    EXPECT_THAT(error_of(part10(kHtj2k, set.encapsulated({whole.substr(0, n)}).bytes())),
                AnyOf(StartsWith("invalid_image"), "no error"))
        << n;
}

TEST(DicomJpeg2000, DamageAndOtherSizesAreErrors) {
  const std::vector<int> values(20 * 30, 77);
  const std::string whole = jpeg2000_codestream(20, 30, 1, 12, false, values);
  const auto in = [](DicomPixels pixels, const std::string& codestream) {
    return error_of(part10(kJpeg2000, dicom_image(pixels).encapsulated({codestream}).bytes()));
  };
  EXPECT_THAT(in({.rows = 20, .cols = 31}, whole),
              HasSubstr("30 x 20 pixels of 1 components, expected 31 x 20"));
  EXPECT_THAT(in({.rows = 20, .cols = 30}, whole.substr(0, 40)), HasSubstr("JPEG 2000: damaged header"));
  EXPECT_THAT(in({.rows = 20, .cols = 30}, "no codestream"), HasSubstr("JPEG 2000: damaged header"));
}

// --- what is no image ------------------------------------------------------------------------------------

TEST(DicomObjects, WithoutPixelsAreNamed) {
  const std::vector<std::array<const char*, 3>> objects = {
      {"1.2.840.10008.5.1.4.1.1.88.11", "SR", "BasicTextSR"},
      {"1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", "RTStructureSetStorage"},
      {"1.2.840.10008.5.1.4.1.1.9.1.1", "ECG", "TwelveLeadECGWaveformStorage"},
      {"1.2.840.10008.5.1.4.1.1.104.1", "DOC", "EncapsulatedPDFStorage"},
      {"1.2.840.10008.5.1.4.1.1.11.1", "PR", "GrayscaleSoftcopyPresentationStateStorage"}};
  for (const auto& [sop_class, modality, name] : objects) {
    DicomSet set;
    set.raw(0x00080016, "UI", sop_class).raw(0x00080060, "CS", modality).raw(0x00100010, "PN", "Doe^Jane");
    const std::string error = error_of(set);
    EXPECT_THAT(error, StartsWith("invalid_image: DICOM: holds no image: it is "));
    EXPECT_THAT(error, HasSubstr(name));
    EXPECT_THAT(error, HasSubstr(std::string("(modality ") + modality + ")"));
    EXPECT_THAT(error, testing::Not(HasSubstr("Jane")));
  }
}

TEST(DicomObjects, ImagesWithoutPixelsAreDamaged) {
  EXPECT_THAT(error_of(dicom_image({})), HasSubstr("has no pixel data"));
  EXPECT_THAT(error_of(dicom_image({.rows = 0, .cols = 3, .pixels = "ab"})), HasSubstr("3 x 0 pixels"));
  EXPECT_THAT(error_of(dicom_image({.cols = 2, .samples = 2, .pixels = "ab"})),
              HasSubstr("2 samples a pixel"));
}

TEST(DicomObjects, TransferSyntaxesThatCannotBeDecodedAreUnsupported) {
  const DicomSet set = dicom_image({.cols = 2}).encapsulated({"video of some kind"});
  EXPECT_THAT(error_of(part10("1.2.840.10008.1.2.4.100", set.bytes())),
              StartsWith("unsupported: DICOM: pixels compressed as MPEG2"));
  EXPECT_THAT(error_of(part10("1.2.840.10008.1.2.4.102", set.bytes())), StartsWith("unsupported: "));
  EXPECT_THAT(error_of(part10("1.2.840.10008.1.2.4.107", set.bytes())), StartsWith("unsupported: "));
  EXPECT_THAT(error_of(part10("1.2.3.4", set.bytes())),
              StartsWith("unsupported: DICOM: unknown transfer syntax 1.2.3.4"));
}

TEST(DicomObjects, OtherFilesAreNotTakenForDicom) {
  for (const std::string text :
       {"", "DICM", "hello, this is some text of a few lines", "\x89PNG\r\n\x1A\n and so on and on"})
    EXPECT_FALSE(looks_like_dicom(data_of(text))) << text;
  EXPECT_FALSE(looks_like_dicom(Data(1000)));
  EXPECT_TRUE(looks_like_dicom(data_of(std::string(128, '\0') + "DICM")));
}

}  // namespace
}  // namespace mii
