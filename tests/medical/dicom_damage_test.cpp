// Damaged and hostile DICOM files: each gives an error in little time and memory, none a crash.

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"
#include "mii/error.h"

#include "medical/dicom_directory.h"
#include "medical/dicom_file.h"
#include "medical/dicom_structure.h"
#include "medical/dicom_writer.h"
#include "medical/jpeg_writer.h"

namespace mii {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // takes several times the memory and the time
#else
constexpr bool kSanitized = false;
#endif

// "invalid_image: ...", or "no error": everything that is done with a file.
std::string result_of(const Data& data) {
  try {
    files_of_dicomdir("/nonexistent/DICOMDIR", data);
    const DicomFile file = DicomFile::open(data);
    file.identifying_attributes();
    const size_t middle = file.info().frames / 2;
    file.frame_info(middle);
    file.frame(middle);
    return "no error";
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
}

// What a child process says of the file. It must have said it within 2 s and 512 MB of memory in all.
std::string bounded_result_of(const Data& data) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    // What never ends is ended by a signal.
    const rlimit seconds{kSanitized ? 60u : 5u, kSanitized ? 60u : 5u};
    setrlimit(RLIMIT_CPU, &seconds);
    const std::string result = result_of(data);
    const auto written = write(ends[1], result.data(), result.size());
    _exit(written == static_cast<ssize_t>(result.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string result(1000, '\0');
  const ssize_t n = read(ends[0], result.data(), result.size());
  result.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
  close(ends[0]);
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  // Of the processor: other programs may run beside.
  const auto seconds_of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  const double seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "signal " << WTERMSIG(status);
  if (!kSanitized) {
    EXPECT_LT(seconds, 2) << result;
    EXPECT_LT(usage.ru_maxrss, 512'000'000 / 1024) << result;
  }
  if (std::getenv("MII_SHOW_COST") != nullptr)
    std::printf("%6.3f s %4ld MB  %s\n", seconds, usage.ru_maxrss * 1024 / 1'000'000, result.c_str());
  return result;
}

std::string bounded_result_of(const DicomSet& set) { return bounded_result_of(dicom_file(set)); }

DicomSet huge(uint16_t side, uint16_t samples = 1, uint16_t bits = 8) {
  return dicom_image({.rows = side,
                      .cols = side,
                      .samples = samples,
                      .allocated = bits,
                      .stored = bits,
                      .photometric = samples == 1 ? "MONOCHROME2" : "RGB",
                      .pixels = std::string(1000, 'x')});
}

// --- sizes -------------------------------------------------------------------------------------------------

TEST(DicomBomb, HugeFramesInSmallFiles) {
  EXPECT_THAT(bounded_result_of(huge(65535)), StartsWith("image_too_large: DICOM: a frame of 65535 x 65535"));
  EXPECT_THAT(bounded_result_of(huge(10000)), HasSubstr("1000 bytes of pixel data, expected 100000000"));
  EXPECT_THAT(bounded_result_of(huge(10000, 3)), HasSubstr("1000 bytes of pixel data, expected 300000000"));
  EXPECT_THAT(bounded_result_of(huge(10000, 3, 64)), HasSubstr("1000 bytes of pixel data"));
}

TEST(DicomBomb, HugeFramesInShortRle) {
  for (const auto& [samples, bits] : {std::pair(1, 8), std::pair(3, 8), std::pair(1, 32), std::pair(3, 32)}) {
    const size_t bytes = static_cast<size_t>(bits) / 8;
    DicomSet set = huge(10000, static_cast<uint16_t>(samples), static_cast<uint16_t>(bits));
    set.encapsulated({rle_frame(std::string(1200, 'x'), static_cast<size_t>(samples), bytes)});
    EXPECT_THAT(bounded_result_of(part10(kRle, set.bytes())),
                StartsWith("invalid_image: DICOM: the pixel data"));
  }
}

// A JPEG's header with another size.
std::string resized_jpeg(std::string jpeg, uint16_t side) {
  for (size_t at = 2; at + 9 < jpeg.size();) {
    const int marker = static_cast<uint8_t>(jpeg[at + 1]);
    if (marker >= 0xC0 && marker <= 0xC3) {
      const std::string size = number(side, true);
      return jpeg.replace(at + 5, 4, size + size);
    }
    at += 2 +
          (static_cast<size_t>(static_cast<uint8_t>(jpeg[at + 2])) << 8 | static_cast<uint8_t>(jpeg[at + 3]));
  }
  return jpeg;
}

TEST(DicomBomb, HugeFramesInShortJpeg) {
  const auto picture = [](const char* name) {
    const Data data =
        read_file(std::filesystem::path(MII_TEST_DATA) / "golden" / "synthetic" / name, 1 << 24);
    return std::string(reinterpret_cast<const char*>(data.data()), data.size());
  };
  for (const char* name : {"grey.jpg", "baseline.jpg", "progressive.jpg"}) {
    const bool is_grey = std::string(name) == "grey.jpg";
    DicomSet set = huge(10000, is_grey ? 1 : 3);
    set.encapsulated({resized_jpeg(picture(name), 10000)});
    EXPECT_THAT(bounded_result_of(part10(kJpegBaseline, set.bytes())),
                StartsWith("invalid_image: DICOM: the pixel data"))
        << name;
  }
  DicomSet set = huge(10000, 1, 16);
  set.encapsulated({resized_jpeg(LosslessJpegWriter(9, 9, 16, 1).write(std::vector<int>(81, 5)), 10000)});
  EXPECT_THAT(bounded_result_of(part10(kJpegLossless, set.bytes())),
              StartsWith("invalid_image: DICOM: the pixel data"));
}

// SOI, SOF55 of 8 bits and one component, SOS, codes.
std::string jpeg_ls(uint16_t rows, uint16_t cols, const std::string& codes) {
  return std::string("\xFF\xD8\xFF\xF7\x00\x0B\x08", 7) + number(rows, true) + number(cols, true) +
         std::string("\x01\x01\x11\x00\xFF\xDA\x00\x08\x01\x01\x00\x00\x00\x00", 14) + codes + "\xFF\xD9";
}

TEST(DicomBomb, HugeFramesInShortJpegLs) {
  DicomSet set = huge(10000);
  set.encapsulated({jpeg_ls(10000, 10000, std::string(100, '\x55'))});
  EXPECT_THAT(bounded_result_of(part10(kJpegLs, set.bytes())),
              StartsWith("invalid_image: DICOM: the pixel data"));
}

// A codestream with another size, of one tile, and with blocks of 4 x 4 samples when asked for.
std::string resized_jpeg2000(std::string codestream, uint32_t side, bool tiny_blocks) {
  const std::string size = number(side, true);
  codestream.replace(8, 8, size + size);   // Xsiz, Ysiz
  codestream.replace(24, 8, size + size);  // XTsiz, YTsiz
  const size_t cod = codestream.find("\xFF\x52");
  if (tiny_blocks) codestream.replace(cod + 10, 2, std::string(2, '\0'));  // after Scod, SGcod and levels
  return codestream;
}

TEST(DicomBomb, HugeFramesInShortJpeg2000) {
  for (const uint16_t samples : {uint16_t{1}, uint16_t{3}}) {
    const std::string small =
        jpeg2000_codestream(16, 16, samples, 8, false, std::vector<int>(256u * samples, 9));
    for (const uint16_t side : {uint16_t{4000}, uint16_t{10000}}) {
      for (const bool tiny_blocks : {false, true}) {
        DicomSet set = huge(side, samples);
        set.encapsulated({resized_jpeg2000(small, side, tiny_blocks)});
        EXPECT_THAT(bounded_result_of(part10(kJpeg2000, set.bytes())), HasSubstr("JPEG 2000"))
            << samples << " " << side << tiny_blocks;
      }
    }
  }
}

// --- markers within a frame
// ---------------------------------------------------------------------------------

std::string jpeg_segment(int marker, const std::string& payload) {
  return std::string("\xFF") + static_cast<char>(marker) +
         number(static_cast<uint16_t>(payload.size() + 2), true) + payload;
}

std::string lossless_jpeg() { return LosslessJpegWriter(9, 9, 8, 1).write(std::vector<int>(81, 5)); }

DicomSet small_frame(const std::string& frame, uint16_t side = 9) {
  DicomSet set = dicom_image({.rows = side, .cols = side, .allocated = 8, .stored = 8});
  return set.encapsulated({frame});
}

std::string result_of_jpeg(const std::string& frame) {
  return bounded_result_of(part10(kJpegLossless, small_frame(frame).bytes()));
}

TEST(DicomFrame, AMarkerOutOfPlaceInAJpegIsDamage) {
  const std::string jpeg = lossless_jpeg();
  const size_t scan = jpeg.find("\xFF\xDA");
  for (const int marker :
       {0x01, 0x02, 0xBF, 0xC5, 0xC8, 0xC9, 0xCC, 0xCF, 0xD0, 0xD7, 0xD8, 0xD9, 0xDC, 0xF0}) {
    const std::string alone = std::string("\xFF") + static_cast<char>(marker);
    for (const size_t at : {size_t{2}, scan})
      EXPECT_THAT(result_of_jpeg(std::string(jpeg).insert(at, alone)), HasSubstr("out of place"))
          << marker << " at " << at;
  }
}

// The walk took the bytes behind RST0 for its length and found a small image where libjpeg sees a comment.
TEST(DicomFrame, ADecoyFrameHeaderIsNotFound) {
  std::string jpeg = lossless_jpeg();
  const std::string decoy = jpeg.substr(jpeg.find("\xFF\xC3"), 13);
  jpeg = resized_jpeg(jpeg, 65500).insert(2, "\xFF\xD0");
  jpeg.resize(4 + 0xFFC4);
  EXPECT_THAT(result_of_jpeg(jpeg + decoy), HasSubstr("out of place"));
}

TEST(DicomFrame, SegmentsOfAJpegAreWhole) {
  const std::string jpeg = lossless_jpeg(), header = jpeg.substr(jpeg.find("\xFF\xC3"), 13);
  const size_t scan = jpeg.find("\xFF\xDA");
  for (const char* length : {"\0\0", "\0\1", "\xFF\xFF"}) {
    const std::string segment = std::string("\xFF\xFE") + std::string(length, 2);
    EXPECT_THAT(result_of_jpeg(std::string(jpeg).insert(2, segment)),
                HasSubstr("damaged JPEG: a segment of"));
  }
  EXPECT_THAT(result_of_jpeg(std::string(jpeg).insert(2, std::string(3, '\0'))),
              HasSubstr("no marker at byte 2"));
  EXPECT_THAT(result_of_jpeg(std::string(jpeg).insert(scan, header)), HasSubstr("a second frame header"));
  EXPECT_THAT(result_of_jpeg(std::string(jpeg).insert(jpeg.size() - 2, header)),
              HasSubstr("a second frame header"));
  EXPECT_THAT(result_of_jpeg(jpeg.substr(0, 2) + jpeg.substr(scan)),
              HasSubstr("a scan before the frame header"));
  EXPECT_THAT(result_of_jpeg(jpeg.substr(1)), HasSubstr("start marker"));
}

TEST(DicomFrame, FillBytesBeforeAMarkerAreLegal) {
  std::string jpeg = lossless_jpeg();
  for (const char* marker : {"\xFF\xC4", "\xFF\xC3", "\xFF\xDA"}) jpeg.insert(jpeg.find(marker), 3, '\xFF');
  jpeg.insert(jpeg.size() - 2, 3, '\xFF');
  EXPECT_EQ(result_of_jpeg(jpeg), "no error");
}

// Scans that change nothing: of the first coefficient, then empty ones of the others.
std::string many_scans(uint16_t side, int frame_marker, int scans) {
  const std::string one_code = std::string(1, '\1') + std::string(16, '\0');  // of one bit, for zero
  const std::string sides = number(side, true) + number(side, true);
  std::string jpeg = "\xFF\xD8" + jpeg_segment(0xDB, std::string(1, '\0') + std::string(64, '\1')) +
                     jpeg_segment(frame_marker, "\x08" + sides + std::string("\x01\x01\x11\x00", 4)) +
                     jpeg_segment(0xC4, std::string(1, '\x00') + one_code) +
                     jpeg_segment(0xC4, std::string(1, '\x10') + one_code);
  const bool progressive = frame_marker == 0xC2;
  const size_t blocks = ((side + 7u) / 8) * ((side + 7u) / 8);
  for (int scan = 0; scan < scans; ++scan) {
    const std::string band = !progressive ? std::string("\0\x3F", 2)
                             : scan == 0  ? std::string(2, '\0')
                                          : std::string("\x01\x05", 2);
    jpeg += jpeg_segment(0xDA, std::string("\x01\x01\x00", 3) + band + std::string(1, '\0'));
    jpeg.append(scan == 0 ? blocks / 4 + 1 : 4, '\0');
  }
  return jpeg + "\xFF\xD9";
}

TEST(DicomFrame, AsManyScansAsAnImageNeeds) {
  const auto result = [](uint16_t side, int frame_marker, int scans) {
    const DicomSet set = small_frame(many_scans(side, frame_marker, scans), side);
    return bounded_result_of(part10(kJpegBaseline, set.bytes()));
  };
  EXPECT_EQ(result(64, 0xC2, 10), "no error");
  EXPECT_EQ(result(2000, 0xC2, 20), "no error");
  EXPECT_THAT(result(4000, 0xC2, 1003), HasSubstr("a JPEG of 1003 scans, expected at most 62"));
  EXPECT_THAT(result(8, 0xC2, 101), HasSubstr("101 scans"));
  EXPECT_EQ(result(64, 0xC0, 1), "no error");
  EXPECT_THAT(result(64, 0xC0, 2), HasSubstr("a JPEG of 2 scans, expected at most 1"));
}

std::string grey_jpeg2000(uint32_t side = 16) {
  return jpeg2000_codestream(side, side, 1, 8, false, std::vector<int>(side * side, 9));
}

std::string result_of_jpeg2000(const std::string& frame, uint16_t side = 16) {
  return bounded_result_of(part10(kJpeg2000, small_frame(frame, side).bytes()));
}

// The tile ends before its data begin, and the header that follows its end leads to the data again.
TEST(DicomFrame, AJpeg2000HeaderNeverLeadsBack) {
  std::string frame = grey_jpeg2000();
  const size_t tile = frame.find("\xFF\x90"), data = tile + 14 + 0xFF64;
  frame.replace(tile + 6, 4, number(uint32_t{14}, true));
  frame.resize(tile + 12);
  frame += std::string("\xFF\x64\xFF\x64") + number(static_cast<uint16_t>(data - tile - 16), true);
  frame.resize(data);
  EXPECT_THAT(result_of_jpeg2000(frame + "\xFF\x93" + std::string(100, '\0')),
              HasSubstr("JPEG 2000: damaged header"));
}

TEST(DicomFrame, MarkersOutOfPlaceInAJpeg2000AreDamage) {
  const std::string frame = grey_jpeg2000();
  const size_t coding = frame.find("\xFF\x52"), tile = frame.find("\xFF\x90"), data = frame.find("\xFF\x93");
  EXPECT_EQ(result_of_jpeg2000(frame), "no error");
  // Behind an end or a marker that it does not know OpenJPEG looks for one that it knows.
  for (const char* marker : {"\xFF\xD9", "\xFF\x30", "\xFF\x93", "\xFF\x4F"}) {
    EXPECT_THAT(result_of_jpeg2000(std::string(frame).insert(coding, marker)), HasSubstr("JPEG 2000: da"));
  }
  EXPECT_THAT(result_of_jpeg2000(std::string(frame).insert(coding, frame.substr(2, 43))),
              HasSubstr("a second size"));
  EXPECT_THAT(result_of_jpeg2000(std::string(frame).insert(data, frame.substr(tile, 12))),
              HasSubstr("a tile within a tile"));
  for (const uint32_t length : {1u, 12u, 13u})
    EXPECT_THAT(result_of_jpeg2000(std::string(frame).replace(tile + 6, 4, number(length, true))),
                HasSubstr("damaged tile"));
  // The last tile may leave its length open.
  EXPECT_EQ(result_of_jpeg2000(std::string(frame).replace(tile + 6, 4, std::string(4, '\0'))), "no error");
}

TEST(DicomFrame, WhatAJpeg2000AnnouncesIsBounded) {
  const std::string frame = grey_jpeg2000(250);
  const size_t coding = frame.find("\xFF\x52");
  const std::string one = number(uint32_t{1}, true);
  EXPECT_THAT(result_of_jpeg2000(std::string(frame).replace(24, 8, one + one), 250),
              HasSubstr("62500 tiles, at most 8192"));
  EXPECT_THAT(result_of_jpeg2000(std::string(frame).replace(24, 8, std::string(8, '\0')), 250),
              HasSubstr("damaged header"));
  EXPECT_THAT(result_of_jpeg2000(std::string(frame).replace(40, 2, "\x40\x00", 2), 250),
              HasSubstr("16384 components"));
  EXPECT_THAT(result_of_jpeg2000(std::string(frame).replace(coding + 9, 1, "\x21"), 250),
              HasSubstr("33 levels"));
  // The tenth of a megapixel in 65535 layers.
  const std::string layers = std::string(frame).replace(coding + 6, 2, "\xFF\xFF");
  EXPECT_EQ(result_of_jpeg2000(layers, 250), "no error");
  const std::string levels = std::string(layers).replace(coding + 9, 1, "\x20");
  EXPECT_THAT(result_of_jpeg2000(levels, 250), HasSubstr("2162655 packets"));
}

// Each line has a code for the end of a run that is longer than all before, until the length of one
// overflows.
TEST(DicomFrame, JpegLsCodesThatGrowWithoutEndAreDamage) {
  const std::string hex =
      "000003800001000000fc1f000001ff000001ff6000007ffc00000fff7000003fff7000003fff7800001fff7f000003ff"
      "7ff000003fff7f800001ff7ffe000007ff7ffc00000fff7ffc00000fff7ffe000007ff7fff400000ff7fff7c00000fff"
      "7fff6000007fff7fff000001ff7fff7f000003ff7fff7f000003ff7fff7f000003ff7fff7f800001ff7fff7fe000007f"
      "ff7fff780000";
  std::string codes;
  for (size_t at = 0; at < hex.size(); at += 2)
    codes += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
  const std::string frame = jpeg_ls(60, 60, codes);
  EXPECT_THAT(bounded_result_of(part10(kJpegLs, small_frame(frame, 60).bytes())),
              HasSubstr("JPEG-LS: an error beyond the range"));
}

TEST(DicomFrame, JpegLsParametersAreInTheirRange) {
  const auto result = [](const std::string& parameters) {
    const std::string frame =
        jpeg_ls(9, 9, std::string(400, '\x55')).insert(2, jpeg_segment(0xF8, parameters));
    return bounded_result_of(part10(kJpegLs, small_frame(frame).bytes()));
  };
  const auto preset = [](std::vector<uint16_t> values) {
    return std::string(1, '\1') + numbers(values, true);
  };
  EXPECT_EQ(result(preset({0, 0, 0, 0, 0})), "no error");
  EXPECT_EQ(result(preset({255, 3, 7, 21, 64})), "no error");
  for (const std::vector<uint16_t>& values : {std::vector<uint16_t>{256, 0, 0, 0, 0},
                                              {255, 8, 7, 21, 64},
                                              {255, 3, 7, 256, 64},
                                              {255, 3, 7, 21, 2},
                                              {255, 3, 7, 21, 256},
                                              {255, 3, 7, 21, 65535}})
    EXPECT_THAT(result(preset(values)), HasSubstr("parameters out of range"))
        << values[0] << " " << values[4];
  // Tables that values are mapped by, and another size of the image.
  for (const char kind : {'\0', '\2', '\3', '\4'})
    EXPECT_THAT(result(std::string(1, kind) + std::string(10, '\1')), HasSubstr("of an unknown kind"));
}

TEST(DicomFrame, JpegLsScansHoldEachComponentOnce) {
  const std::string frame = jpeg_ls(9, 9, std::string(400, '\x55'));
  const size_t scan = frame.find("\xFF\xDA");
  const auto result = [](const std::string& changed) {
    return bounded_result_of(part10(kJpegLs, small_frame(changed).bytes()));
  };
  EXPECT_EQ(result(frame), "no error");
  for (const auto& [at, value] : {std::pair(4, '\0'), std::pair(4, '\2'), std::pair(8, '\1'),
                                  std::pair(8, '\3'), std::pair(9, '\1'), std::pair(3, '\7')})
    EXPECT_THAT(result(std::string(frame).replace(scan + static_cast<size_t>(at), 1, 1, value)),
                HasSubstr("scan"))
        << at;
  EXPECT_THAT(result(frame.substr(0, frame.size() - 2) + frame.substr(scan)), HasSubstr("2 scans"));
  EXPECT_THAT(result(frame.substr(0, scan + 12)), HasSubstr("ends early"));
}

TEST(DicomBomb, EmptySegmentsOfAPalette) {
  DicomSet set =
      dicom_image({.cols = 4, .allocated = 8, .stored = 8, .photometric = "PALETTE COLOR", .pixels = "abcd"});
  // As many empty ones as an indirect segment can repeat, and many of those.
  std::vector<uint16_t> words(2 * 65535);
  for (int i = 0; i < 30'000; ++i) words.insert(words.end(), {2, 65535, 0, 0});
  for (const uint32_t tag : {0x00281101, 0x00281102, 0x00281103}) set.us(tag, {256, 0, 16});
  for (const uint32_t tag : {0x00281221, 0x00281222, 0x00281223}) set.words(tag, words);
  EXPECT_THAT(bounded_result_of(set), HasSubstr("the colour palette has an empty segment"));
}

// The undefined behaviour sanitizer sees a number that does not fit its type.
TEST(DicomDamage, NumbersBeyondTheirTypesAreTakenAsTheLargestOrRefused) {
  for (const char* padding : {"1e300", "-1e300", "2147483647", "-2147483648"}) {
    DicomSet set = dicom_image({.cols = 2, .pixels = "abcd"});
    set.raw(0x00280120, "DS", padding).raw(0x00280121, "DS", padding);
    EXPECT_EQ(result_of(dicom_file(set)), "no error") << padding;
  }
  for (const char* descriptor : {"4\\1e300\\8", "1e300\\-1e300\\1e300", "4\\1\\8"}) {
    DicomSet set = dicom_image({.cols = 2,
                                .allocated = 64,
                                .stored = 64,
                                .is_signed = true,
                                .photometric = "PALETTE COLOR",
                                .pixels = numbers<int64_t>({INT64_MIN, INT64_MAX})});
    for (const uint32_t tag : {0x00281101, 0x00281102, 0x00281103}) set.raw(tag, "DS", descriptor);
    for (const uint32_t tag : {0x00281201, 0x00281202, 0x00281203}) set.words(tag, {1, 2, 3, 4});
    const std::string result = result_of(dicom_file(set));
    EXPECT_EQ(result, descriptor == std::string("4\\1\\8")
                          ? "no error"
                          : "invalid_image: DICOM: the colour palette has no descriptor")
        << descriptor;
  }
}

TEST(DicomBomb, MoreFramesThanThePixelsCanHold) {
  for (const char* frames : {"2147483647", "1000000", "4294967297", "100000"}) {
    DicomSet set = dicom_image({.rows = 10, .cols = 10, .pixels = std::string(1000, 'x')});
    set.raw(0x00280008, "IS", frames);
    EXPECT_THAT(bounded_result_of(set), StartsWith("invalid_image: DICOM: ")) << frames;
    set.encapsulated({"one", "two"});
    EXPECT_THAT(bounded_result_of(part10(kRle, set.bytes())), StartsWith("invalid_image: DICOM: ")) << frames;
  }
}

TEST(DicomBomb, DeflatedZeros) {
  const DicomSet set = dicom_image({.rows = 10, .cols = 10});
  const std::string head = set.bytes() + dicom_element({}, 0x7FE00010, "OW", "", 1'000'000'000);
  // A gigabyte of zeros, deflated piece by piece.
  std::string out;
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string chunk = head;
  std::vector<Bytef> buffer(1 << 20);
  for (int i = 0; i <= 1000; ++i) {
    stream.next_in = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_in = static_cast<uInt>(chunk.size());
    do {
      stream.next_out = buffer.data();
      stream.avail_out = static_cast<uInt>(buffer.size());
      deflate(&stream, i == 1000 ? Z_FINISH : Z_NO_FLUSH);
      out.append(reinterpret_cast<char*>(buffer.data()), buffer.size() - stream.avail_out);
    } while (stream.avail_out == 0);
    if (i == 0) chunk.assign(1'000'000, '\0');
  }
  deflateEnd(&stream);
  EXPECT_THAT(bounded_result_of(part10(kDeflated, out)),
              StartsWith("image_too_large: DICOM: the deflated data set has more than"));
}

// --- structures --------------------------------------------------------------------------------------------

std::string undefined(uint32_t tag, const DicomForm& form = {}) {
  return dicom_element(form, tag, "SQ", "", kUndefinedLength);
}

TEST(DicomBomb, SequencesWithoutAnEnd) {
  for (const DicomForm& form : {DicomForm{}, kImplicit}) {
    std::string nested;
    const std::string level = undefined(0x00081115, form) + undefined(0xFFFEE000, form);
    for (int i = 0; i < 1'000'000; ++i) nested += level;
    EXPECT_THAT(bounded_result_of(data_of(dicom_image({}, form).bytes() + nested)), HasSubstr("nested"));
    std::string beside;
    for (int i = 0; i < 1'000'000; ++i) beside += undefined(0xFFFEE000, form);
    EXPECT_THAT(
        bounded_result_of(data_of(dicom_image({}, form).bytes() + undefined(0x7F000001, form) + beside)),
        StartsWith("invalid_image"));
  }
}

TEST(DicomBomb, AMillionItems) {
  std::string items;
  const std::string item = dicom_element({}, 0xFFFEE000, "", dicom_element({}, 0x00080005, "CS", ""));
  for (int i = 0; i < 1'000'000; ++i) items += item;
  const auto image_with = [&](uint32_t tag) {
    return dicom_image({.pixels = "xy"}).bytes_at(tag, dicom_element({}, tag, "SQ", items));
  };
  EXPECT_THAT(bounded_result_of(image_with(0x52009230)), HasSubstr("more than one million elements"));
  EXPECT_EQ(bounded_result_of(image_with(0x00081115)), "no error") << "which nothing asks for";
}

TEST(DicomBomb, AMillionElementsInWhateverOrder) {
  std::string ascending, descending, jumping;
  const std::string value;
  for (uint32_t i = 0; i < 1'000'000; ++i) {
    ascending += dicom_element({}, 0x60110000 + i, "CS", "");
    descending += dicom_element({}, 0x00110000 + 1'000'000 - i, "CS", "");
  }
  // High tags first; then low ones, which ascend but belong before all of the others.
  for (uint32_t i = 0; i < 45'000; ++i) jumping += dicom_element({}, 0x60110000 + i, "CS", "");
  for (uint32_t i = 0; i < 45'000; ++i) jumping += dicom_element({}, 0x00110000 + i, "CS", "");
  const std::string head = dicom_image({}).bytes();
  EXPECT_THAT(bounded_result_of(part10(kExplicitLittle, head + ascending)), HasSubstr("elements in one set"));
  EXPECT_THAT(bounded_result_of(part10(kExplicitLittle, head + descending)), HasSubstr("out of order"));
  EXPECT_THAT(bounded_result_of(part10(kExplicitLittle, head + jumping)), HasSubstr("out of order"));
  std::string repeated;
  for (uint32_t i = 0; i < 1'000'000; ++i) repeated += dicom_element({}, 0x00110001, "CS", "");
  EXPECT_THAT(bounded_result_of(part10(kExplicitLittle, head + repeated)), StartsWith("invalid_image: "));
}

// As many as are taken at the most: in sets of ninety thousand, and in the order of their tags.
TEST(DicomBomb, AsManyElementsAsAreTaken) {
  std::string items;
  for (int item = 0; item < 11; ++item) {
    std::string elements;
    for (uint32_t i = 0; i < 90'000; ++i) elements += dicom_element({}, 0x60110000 + i, "CS", "");
    items += dicom_element({}, 0xFFFEE000, "", elements);
  }
  EXPECT_EQ(
      bounded_result_of(
          dicom_image({.pixels = "xy"}).bytes_at(0x00081115, dicom_element({}, 0x00081115, "SQ", items))),
      "no error");
  std::string top;
  for (uint32_t i = 0; i < 90'000; ++i) top += dicom_element({}, 0x60110000 + i, "CS", "");
  EXPECT_EQ(bounded_result_of(dicom_image({.pixels = "xy"}).bytes_at(0x60110000, top)), "no error");
}

TEST(DicomBomb, LengthsBeyondTheFile) {
  const DicomSet image = dicom_image({.pixels = "xy"});
  for (const uint32_t length : {0x7FFFFFFEu, 0xFFFFFFFEu, 100'000u}) {
    const std::string leaf = dicom_element({}, 0x00081199, "UN", "abc", length);
    EXPECT_THAT(bounded_result_of(data_of(image.bytes() + leaf)), StartsWith("no error"))
        << "after the pixels";
    EXPECT_THAT(bounded_result_of(part10(kExplicitLittle, leaf + image.bytes())),
                StartsWith("invalid_image"));
    std::string nested = leaf;
    for (int level = 0; level < 10; ++level) {
      nested = dicom_element({}, 0x00081115, "SQ", dicom_element({}, 0xFFFEE000, "", nested, length), length);
      EXPECT_THAT(bounded_result_of(part10(kExplicitLittle, nested + image.bytes())),
                  StartsWith("invalid_image"));
    }
    DicomSet pixels = image;
    pixels.bytes_at(0x7FE00010, dicom_element({}, 0x7FE00010, "OW", "x", length));
    EXPECT_THAT(bounded_result_of(pixels), HasSubstr("1 bytes of pixel data, expected 2"));
    pixels.bytes_at(
        0x7FE00010,
        dicom_element({}, 0x7FE00010, "OB", dicom_element({}, 0xFFFEE000, "", "", length), kUndefinedLength));
    EXPECT_THAT(bounded_result_of(part10(kRle, pixels.bytes())), HasSubstr("missing"));
  }
}

// Its value would be read as items by a parser that knows the tag: the length in it is more than there is.
TEST(DicomDamage, ASequenceWithoutItemsIsPassedOver) {
  DicomSet set = dicom_image({.pixels = "xy"}, kImplicit);
  const std::string value = dicom_element(kImplicit, 0xFFFEE0DD, "", "", 34) + "USMONOCHROME2MRYBR_ICT";
  set.bytes_at(0x00081115, dicom_element(kImplicit, 0x00041220, "", value));
  set.raw(0x00281053, "DS", "7");
  EXPECT_EQ(DicomFile::open(dicom_file(set)).frame_info(0).rescale, std::pair(7.0, 0.0));
}

TEST(DicomBomb, MetaHeadersThatLie) {
  const std::string dataset = dicom_image({.pixels = "xy"}).bytes();
  for (const uint32_t length : {0u, 1u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    const std::string meta = dicom_element({}, 0x00020000, "UL", number(length)) +
                             dicom_element({}, 0x00020010, "UI", "1.2.840.10008.1.2.1\0");
    EXPECT_THAT(bounded_result_of(data_of(std::string(128, '\0') + "DICM" + meta + dataset)),
                StartsWith("no error"));
  }
  EXPECT_THAT(bounded_result_of(data_of(std::string(128, '\0') + "DICM")),
              StartsWith("invalid_image: DICOM: "));
  EXPECT_THAT(bounded_result_of(data_of(std::string(128, '\0') + "DICM" +
                                        dicom_element({}, 0x00020010, "UI", "1.2", 60000))),
              StartsWith("invalid_image: DICOM: "));
}

TEST(DicomDamage, ADirectoryRecordOfADamagedTypeIsListed) {
  for (const std::string& type : {std::string("IMA\0E ", 6), std::string(38, 'x')}) {
    DicomSet directory;
    directory.sequence(0x00041220, {DicomSet().raw(0x00041430, "CS", type).raw(0x00041500, "CS", "A\\B")});
    const auto files = files_of_dicomdir("/nonexistent/DICOMDIR", dicom_file(directory));
    ASSERT_TRUE(files.has_value());
    EXPECT_THAT(*files, testing::ElementsAre("/nonexistent/A/B"));
  }
}

// --- damage ------------------------------------------------------------------------------------------------

// One small file of each kind.
std::vector<Data> files() {
  std::vector<Data> all;
  DicomSet palette =
      dicom_image({.cols = 4, .allocated = 8, .stored = 8, .photometric = "PALETTE COLOR", .pixels = "abcd"});
  for (const uint32_t tag : {0x00281101, 0x00281102, 0x00281103}) palette.us(tag, {4, 0, 16});
  for (const uint32_t tag : {0x00281221, 0x00281222, 0x00281223})
    palette.words(tag, {0, 2, 256, 512, 1, 2, 9000});
  all.push_back(dicom_file(palette));
  for (const DicomForm& form : {DicomForm{}, kImplicit, kBig}) {
    DicomSet table(form);
    table.us(0x00283002, {2, 0, 8}).words(0x00283006, {7, 200});
    DicomSet set = dicom_image({.cols = 2, .frames = 2, .pixels = "abcdefgh"}, form);
    set.raw(0x00281050, "DS", "40").raw(0x00281051, "DS", "400").us(0x00280120, {9});
    set.sequence(0x00283000, {table}).sequence(0x00283010, {table}, true);
    DicomSet position(form), groups(form);
    position.raw(0x00200032, "DS", "1\\2\\3");
    groups.sequence(0x00209113, {position}, true);
    set.sequence(0x52009230, {groups, groups});
    all.push_back(dicom_file(set));
  }
  all.push_back(part10(kDeflated, deflated(dicom_image({.cols = 4, .pixels = "abcdefgh"}).bytes())));
  const std::string rle = rle_frame(numbers<uint16_t>({1, 1, 300}), 1, 2);
  all.push_back(part10(
      kRle,
      dicom_image({.cols = 3, .frames = 2}).encapsulated({rle, rle}, numbers<uint32_t>({0, 78})).bytes()));
  all.push_back(part10(kJpegLossless,
                       dicom_image({.rows = 3, .cols = 4, .stored = 12})
                           .encapsulated({LosslessJpegWriter(3, 4, 12, 1).write(std::vector<int>(12, 5))})
                           .bytes()));
  std::vector<int> values(64 * 3);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int>(i * 37 % 256);
  all.push_back(part10(
      kJpeg2000,
      dicom_image({.rows = 8, .cols = 8, .samples = 3, .allocated = 8, .stored = 8, .photometric = "YBR_RCT"})
          .encapsulated({jpeg2000_codestream(8, 8, 3, 8, false, values)})
          .bytes()));
  return all;
}

TEST(DicomDamage, EveryFileIsWholeBeforehand) {
  for (const Data& data : files()) EXPECT_EQ(result_of(data), "no error");
}

TEST(DicomDamage, ATruncatedFileGivesAnErrorOrTheImage) {
  for (const Data& whole : files()) {
    for (size_t n = 0; n < whole.size(); ++n) {
      const std::string result =
          result_of(Data(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)));
      EXPECT_THAT(result, testing::Not(StartsWith("internal"))) << n;
    }
  }
}

TEST(DicomDamage, ChangedBytesGiveAnErrorOrAnImage) {
  std::mt19937 random(20240117);
  const std::vector<Data> wholes = files();
  for (int i = 0; i < 8000; ++i) {
    Data data = wholes[static_cast<size_t>(i) % wholes.size()];
    for (size_t n = 1 + random() % 4; n > 0; --n) {
      const size_t at = 132 + random() % (data.size() - 132);
      data[at] = random() % 2 ? static_cast<std::byte>(random())
                              : data[at] ^ static_cast<std::byte>(1 << random() % 8);
    }
    EXPECT_THAT(result_of(data), testing::Not(StartsWith("internal"))) << i;
  }
}

}  // namespace
}  // namespace mii
