// Small volumes whose every voxel is known, read back; and files that are no volume.

#include <ctime>
#include <cmath>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "mii/error.h"

#include "medical/nifti.h"
#include "medical/nifti_writer.h"

namespace mii {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string error_of(const Data& data, const NiftiLimits& limits = {}) {
  try {
    NiftiVolume::open(data, limits);
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "no error";
}

std::string error_of(const NiftiWriter& file, const NiftiLimits& limits = {}) {
  return error_of(file.bytes(), limits);
}

GreyFrame grey(const NiftiVolume& volume, SlicePlane plane, size_t index, size_t time = 0) {
  return std::get<GreyFrame>(volume.slice(plane, index, time));
}

GreyFrame first_axial(const Data& data) { return grey(NiftiVolume::open(data), SlicePlane::axial, 0); }

Data joined(Data a, const Data& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// --- types -------------------------------------------------------------------------------------------------

// The ways that the same voxels can be stored in.
struct Form {
  int version;
  bool big;
  bool compressed;
};

constexpr Form kForms[] = {{1, false, false}, {1, true, false}, {2, false, false}, {2, true, false},
                           {1, false, true},  {1, true, true},  {2, false, true},  {2, true, true}};

// A row of voxels along j, which an axial slice shows from top to bottom with the last voxel first.
template <class T>
Data row(const Form& form, int64_t datatype, int64_t bitpix, const std::vector<T>& values,
         int64_t numbers_per_voxel = 1) {
  NiftiWriter file{.version = form.version, .big = form.big, .datatype = datatype, .bitpix = bitpix};
  file.dim = {3, 1, static_cast<int64_t>(values.size()) / numbers_per_voxel, 1};
  file.voxels = numbers(values, form.big);
  return form.compressed ? gzipped(file.bytes()) : file.bytes();
}

template <class T>
void expect_integers(int64_t datatype, int bits, bool is_signed, T low, T high) {
  for (const Form& form : kForms) {
    const GreyFrame frame = first_axial(row<T>(form, datatype, bits, {low, T{1}, T{99}, high}));
    EXPECT_THAT(frame.integers, ElementsAre(high, 99, 1, low)) << datatype;
    EXPECT_TRUE(frame.reals.empty());
    EXPECT_EQ(frame.bits_stored, bits);
    EXPECT_EQ(frame.is_signed, is_signed);
  }
}

TEST(NiftiTypes, SmallIntegersStayIntegers) {
  expect_integers<uint8_t>(2, 8, false, 0, 255);
  expect_integers<int8_t>(256, 8, true, -128, 127);
  expect_integers<int16_t>(4, 16, true, -32768, 32767);
  expect_integers<uint16_t>(512, 16, false, 0, 65535);
  expect_integers<int32_t>(8, 32, true, INT32_MIN, INT32_MAX);
}

template <class T>
void expect_reals(int64_t datatype, std::vector<T> values) {
  std::vector<double> expected(values.rbegin(), values.rend());
  for (const Form& form : kForms) {
    const GreyFrame frame = first_axial(row<T>(form, datatype, 8 * sizeof(T), values));
    EXPECT_EQ(frame.reals, expected) << datatype;
    EXPECT_TRUE(frame.integers.empty());
  }
}

TEST(NiftiTypes, LargeIntegersAndFractionsBecomeReals) {
  expect_reals<uint32_t>(768, {0, 4'000'000'000});
  expect_reals<int64_t>(1024, {-(int64_t{1} << 40), 7});
  expect_reals<uint64_t>(1280, {uint64_t{1} << 63, 7});
  expect_reals<float>(16, {-1.5f, 3.4e38f, -std::numeric_limits<float>::infinity()});
  expect_reals<double>(64, {-1.5, 1e300, 0.1});
}

TEST(NiftiTypes, NotANumberStays) {
  const GreyFrame frame = first_axial(row<float>(kForms[0], 16, 32, {std::nanf(""), 1}));
  EXPECT_EQ(frame.reals[0], 1);
  EXPECT_TRUE(std::isnan(frame.reals[1]));
}

// Bit patterns of IEEE 754 binary128, high half first. A value of 1 + 2^-53 lies halfway between two doubles.
TEST(NiftiTypes, QuadruplePrecisionIsRoundedOnce) {
  const std::vector<std::pair<std::array<uint64_t, 2>, double>> cases = {
      {{0x3FFF'0000'0000'0000, 0}, 1},
      {{0xC000'4000'0000'0000, 0}, -2.5},
      {{0x4000'921F'B544'42D1, 0x8469'898C'C517'01B8}, 3.14159265358979323846},
      {{0x3FFF'0000'0000'0000, 0x0800'0000'0000'0000}, 1},
      {{0x3FFF'0000'0000'0000, 0x0800'0000'0000'0001}, 1 + std::ldexp(1, -52)},
      {{0x3BCD'0000'0000'0000, 0}, std::ldexp(1, -1074)},
      {{0x0000'0000'0000'0000, 1}, 0},
      {{0x7FFE'0000'0000'0000, 0}, kInfinity},  // far beyond double's range
      {{0xFFFF'0000'0000'0000, 0}, -kInfinity}};
  for (const auto& [halves, value] : cases) {
    for (const Form& form : kForms) {
      const std::vector<uint64_t> stored = form.big ? std::vector<uint64_t>{halves[0], halves[1]}
                                                    : std::vector<uint64_t>{halves[1], halves[0]};
      EXPECT_THAT(first_axial(row(form, 1536, 128, stored, 2)).reals, ElementsAre(value)) << value;
    }
  }
  EXPECT_TRUE(
      std::isnan(first_axial(row<uint64_t>(kForms[0], 1536, 128, {0, 0x7FFF'8000'0000'0000}, 2)).reals[0]));
}

TEST(NiftiTypes, ComplexNumbersBecomeMagnitudes) {
  for (const Form& form : kForms) {
    EXPECT_THAT(first_axial(row<float>(form, 32, 64, {3, 4, -5, 12}, 2)).reals, ElementsAre(13, 5));
    EXPECT_THAT(first_axial(row<double>(form, 1792, 128, {3, 4, -5, 12}, 2)).reals, ElementsAre(13, 5));
  }
  const uint64_t three = 0x4000'8000'0000'0000, four = 0x4001'0000'0000'0000;
  EXPECT_THAT(first_axial(row<uint64_t>(kForms[1], 2048, 256, {three, 0, four, 0}, 4)).reals, ElementsAre(5));
  EXPECT_THAT(first_axial(row<uint64_t>(kForms[0], 2048, 256, {0, three, 0, four}, 4)).reals, ElementsAre(5));
}

TEST(NiftiTypes, ColoursLoseTheirAlpha) {
  for (const Form& form : kForms) {
    const auto colours = [](const Data& data) {
      return std::get<ColourFrame>(NiftiVolume::open(data).slice(SlicePlane::axial, 0));
    };
    const ColourFrame rgb = colours(row<uint8_t>(form, 128, 24, {1, 2, 3, 4, 5, 6}, 3));
    EXPECT_THAT(rgb.rgb, ElementsAre(4, 5, 6, 1, 2, 3));
    EXPECT_EQ(rgb.rows, 2u);
    EXPECT_EQ(rgb.cols, 1u);
    EXPECT_THAT(colours(row<uint8_t>(form, 2304, 32, {1, 2, 3, 77, 4, 5, 6, 88}, 4)).rgb,
                ElementsAre(4, 5, 6, 1, 2, 3));
  }
}

TEST(NiftiTypes, BinaryVoxelsArePackedFromTheLowestBit) {
  NiftiWriter file{.datatype = 1, .bitpix = 1, .dim = {3, 3, 3, 1}, .voxels = "\x81\x01"};
  const GreyFrame frame = first_axial(file.bytes());
  EXPECT_THAT(frame.integers, ElementsAre(1, 1, 0, 0, 0, 0, 0, 0, 1));
  EXPECT_EQ(frame.bits_stored, 1);
  file.voxels.pop_back();
  EXPECT_THAT(error_of(file), HasSubstr("invalid_image"));
}

// --- scaling -----------------------------------------------------------------------------------------------

NiftiWriter scaled(double slope, double intercept) {
  return {.slope = slope, .intercept = intercept, .voxels = numbers<int16_t>({10})};
}

TEST(NiftiScaling, IntegersKeepSlopeAndIntercept) {
  const GreyFrame frame = first_axial(scaled(0.5, -1024).bytes());
  EXPECT_THAT(frame.integers, ElementsAre(10));
  EXPECT_EQ(frame.slope, 0.5);
  EXPECT_EQ(frame.intercept, -1024);
}

TEST(NiftiScaling, SlopeOfZeroOrNotFiniteIsNoScaling) {
  for (const double slope : {0.0, kNaN, kInfinity, -kInfinity}) {
    for (const double intercept : {3.0, kNaN}) {
      const GreyFrame frame = first_axial(scaled(slope, intercept).bytes());
      EXPECT_EQ(frame.slope, 1);
      EXPECT_EQ(frame.intercept, 0);
    }
  }
}

TEST(NiftiScaling, GoodSlopeNeedsAFiniteIntercept) {
  EXPECT_THAT(error_of(scaled(1, kNaN)), HasSubstr("invalid_image: NIfTI: scl_inter"));
  EXPECT_THAT(error_of(scaled(1, kInfinity)), HasSubstr("invalid_image: NIfTI: scl_inter"));
}

TEST(NiftiScaling, RealsAndBothPartsOfComplexNumbersAreScaled) {
  NiftiWriter file{
      .datatype = 64, .bitpix = 64, .slope = 2, .intercept = 1, .voxels = numbers<double>({1.25})};
  const GreyFrame frame = first_axial(file.bytes());
  EXPECT_THAT(frame.reals, ElementsAre(3.5));
  EXPECT_EQ(frame.slope, 1);
  EXPECT_EQ(frame.intercept, 0);
  file.datatype = 1792;
  file.bitpix = 128;
  file.voxels = numbers<double>({1, 1.5});  // becomes (3, 4)
  EXPECT_THAT(first_axial(file.bytes()).reals, ElementsAre(5));
}

// --- orientation -------------------------------------------------------------------------------------------

// 2 x 3 x 4 voxels; voxel (i, j, k) is 100 i + 10 j + k.
NiftiWriter marked() {
  std::vector<int16_t> values;
  for (int k = 0; k < 4; ++k) {
    for (int j = 0; j < 3; ++j) {
      for (int i = 0; i < 2; ++i) values.push_back(static_cast<int16_t>(100 * i + 10 * j + k));
    }
  }
  return {.dim = {3, 2, 3, 4}, .voxels = numbers(values)};
}

NiftiWriter marked(const std::array<std::array<double, 4>, 3>& srow) {
  NiftiWriter file = marked();
  file.sform_code = 1;
  file.srow = srow;
  return file;
}

// Top left, top right, bottom left, bottom right.
std::vector<int> corners(const NiftiVolume& volume, SlicePlane plane, size_t index) {
  const GreyFrame frame = grey(volume, plane, index);
  const auto& v = frame.integers;
  return {v[0], v[frame.cols - 1], v[v.size() - frame.cols], v[v.size() - 1]};
}

constexpr auto kAxial = SlicePlane::axial;
constexpr auto kCoronal = SlicePlane::coronal;
constexpr auto kSagittal = SlicePlane::sagittal;

void expect_ras(const NiftiVolume& volume) {
  EXPECT_EQ(volume.info().orientation, "RAS");
  EXPECT_THAT(corners(volume, kAxial, 0), ElementsAre(120, 20, 100, 0));
  EXPECT_THAT(corners(volume, kAxial, 3), ElementsAre(123, 23, 103, 3));
  EXPECT_THAT(corners(volume, kCoronal, 0), ElementsAre(103, 3, 100, 0));
  EXPECT_THAT(corners(volume, kCoronal, 2), ElementsAre(123, 23, 120, 20));
  EXPECT_THAT(corners(volume, kSagittal, 0), ElementsAre(123, 103, 120, 100));
  EXPECT_THAT(corners(volume, kSagittal, 1), ElementsAre(23, 3, 20, 0));
}

void expect_lps(const NiftiVolume& volume) {
  EXPECT_EQ(volume.info().orientation, "LPS");
  EXPECT_THAT(corners(volume, kAxial, 0), ElementsAre(0, 100, 20, 120));
  EXPECT_THAT(corners(volume, kCoronal, 0), ElementsAre(23, 123, 20, 120));
  EXPECT_THAT(corners(volume, kSagittal, 0), ElementsAre(3, 23, 0, 20));
}

TEST(NiftiOrientation, SlicesOfRightAnteriorSuperior) {
  const Data data = marked({{{2, 0, 0, 5}, {0, 3, 0, 6}, {0, 0, 4, 7}}}).bytes();
  const NiftiVolume volume = NiftiVolume::open(data);
  expect_ras(volume);
  EXPECT_TRUE(volume.info().orientation_known);
  EXPECT_THAT(volume.info().spacing_mm, ElementsAre(2, 3, 4));
  EXPECT_EQ(volume.slices(kAxial), 4u);
  EXPECT_EQ(volume.slices(kCoronal), 3u);
  EXPECT_EQ(volume.slices(kSagittal), 2u);
  const GreyFrame coronal = grey(volume, kCoronal, 0);
  EXPECT_EQ(coronal.rows, 4u);
  EXPECT_EQ(coronal.cols, 2u);
  EXPECT_THAT(grey(volume, kAxial, 1).integers, ElementsAre(121, 21, 111, 11, 101, 1));
}

TEST(NiftiOrientation, SlicesOfLeftPosteriorSuperior) {
  const Data data = marked({{{-1, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, 1, 0}}}).bytes();
  expect_lps(NiftiVolume::open(data));
}

TEST(NiftiOrientation, SlicesOfPermutedAxes) {
  const Data data = marked({{{0, 0, 4, 0}, {-2, 0, 0, 0}, {0, 3, 0, 0}}}).bytes();
  const NiftiVolume volume = NiftiVolume::open(data);
  EXPECT_EQ(volume.info().orientation, "PSR");
  EXPECT_THAT(volume.info().spacing_mm, ElementsAre(4, 2, 3));
  EXPECT_EQ(volume.slices(kAxial), 3u);
  EXPECT_EQ(volume.slices(kCoronal), 2u);
  EXPECT_EQ(volume.slices(kSagittal), 4u);
  EXPECT_THAT(corners(volume, kAxial, 0), ElementsAre(3, 0, 103, 100));
  EXPECT_THAT(corners(volume, kCoronal, 0), ElementsAre(123, 120, 103, 100));
  EXPECT_THAT(corners(volume, kSagittal, 0), ElementsAre(23, 123, 3, 103));
}

TEST(NiftiOrientation, ObliqueAxesCountAsTheClosest) {
  const double c = std::cos(0.6), s = std::sin(0.6);  // 34 degrees about the long axis of the body
  expect_ras(NiftiVolume::open(marked({{{c, -s, 0, 0}, {s, c, 0, 0}, {0, 0, 1, 0}}}).bytes()));
}

TEST(NiftiOrientation, QuaternionCountsWithoutSform) {
  NiftiWriter file = marked();
  file.qform_code = 1;
  file.quaternion = {0, 0, 1};  // half a turn about the long axis of the body
  file.pixdim = {1, 2, 3, 4, 1, 1, 1, 1};
  const Data turned = file.bytes();
  expect_lps(NiftiVolume::open(turned));
  EXPECT_THAT(NiftiVolume::open(turned).info().spacing_mm, ElementsAre(2, 3, 4));
  file.quaternion = {0, 0, 0};
  file.pixdim[0] = -1;
  const Data mirrored = file.bytes();
  EXPECT_EQ(NiftiVolume::open(mirrored).info().orientation, "RAI");
}

TEST(NiftiOrientation, SformCountsBeforeQform) {
  NiftiWriter file = marked({{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}});
  file.qform_code = 1;
  file.quaternion = {0, 0, 1};
  const Data both = file.bytes();
  expect_ras(NiftiVolume::open(both));
  file.sform_code = 0;
  const Data one = file.bytes();
  expect_lps(NiftiVolume::open(one));
}

TEST(NiftiOrientation, VoxelSizeAloneMeansNoRotation) {
  NiftiWriter file = marked();
  file.pixdim = {-1, -2, 0, kNaN, 1, 1, 1, 1};
  const Data data = file.bytes();
  const NiftiVolume volume = NiftiVolume::open(data);
  expect_ras(volume);
  EXPECT_FALSE(volume.info().orientation_known);
  EXPECT_THAT(volume.info().spacing_mm, ElementsAre(2, 1, 1));
}

TEST(NiftiOrientation, FlatFormsArePassedOver) {
  NiftiWriter file = marked({{{1, 2, 0, 0}, {2, 4, 0, 0}, {0, 0, 1, 0}}});
  file.qform_code = 1;
  file.quaternion = {0, 0, 1};
  const Data flat = file.bytes();
  expect_lps(NiftiVolume::open(flat));
  file.srow = {{{kNaN, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
  file.quaternion = {kInfinity, 0, 0};
  const Data bad = file.bytes();
  expect_ras(NiftiVolume::open(bad));
  EXPECT_FALSE(NiftiVolume::open(bad).info().orientation_known);
}

TEST(NiftiOrientation, PlanarFilesAreShownAsStored) {
  const NiftiWriter file{.dim = {2, 3, 2}, .sform_code = 1, .voxels = numbers<int16_t>({1, 2, 3, 4, 5, 6})};
  const Data data = file.bytes();
  const NiftiVolume volume = NiftiVolume::open(data);
  for (const SlicePlane plane : {kAxial, kCoronal, kSagittal}) {
    EXPECT_EQ(volume.slices(plane), 1u);
    EXPECT_THAT(grey(volume, plane, 0).integers, ElementsAre(1, 2, 3, 4, 5, 6));
    EXPECT_EQ(grey(volume, plane, 0).rows, 2u);
  }
  EXPECT_EQ(volume.info().orientation, "stored");
  EXPECT_FALSE(volume.info().orientation_known);
}

TEST(NiftiOrientation, HigherDimensionsAreTimes) {
  NiftiWriter file{.dim = {5, 1, 1, 2, 2, 3},
                   .voxels = numbers<int16_t>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})};
  const Data data = file.bytes();
  const NiftiVolume volume = NiftiVolume::open(data);
  EXPECT_EQ(volume.times(), 6u);
  EXPECT_THAT(grey(volume, kAxial, 1, 0).integers, ElementsAre(1));
  EXPECT_THAT(grey(volume, kAxial, 0, 5).integers, ElementsAre(10));
  EXPECT_THAT(grey(volume, kCoronal, 0, 4).integers, ElementsAre(9, 8));
}

TEST(NiftiOrientation, IndicesBeyondTheEndAreRefused) {
  const Data data = marked().bytes();
  const NiftiVolume volume = NiftiVolume::open(data);
  const auto code = [&](SlicePlane plane, size_t index, size_t time) {
    try {
      volume.slice(plane, index, time);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::internal;
  };
  EXPECT_EQ(code(kAxial, 4, 0), ErrorCode::invalid_argument);
  EXPECT_EQ(code(kCoronal, 3, 0), ErrorCode::invalid_argument);
  EXPECT_EQ(code(kSagittal, 2, 0), ErrorCode::invalid_argument);
  EXPECT_EQ(code(kAxial, 0, 1), ErrorCode::invalid_argument);
  EXPECT_EQ(code(kAxial, SIZE_MAX, 0), ErrorCode::invalid_argument);
}

// --- what the file says of itself
// ----------------------------------------------------------------------------

TEST(NiftiInfo, TellsWhatTheFileIs) {
  for (const Form& form : kForms) {
    const Data plain = row<int16_t>(form, 4, 16, {1, 2, 3});
    const NiftiInfo info = NiftiVolume::open(plain).info();
    EXPECT_EQ(info.version, form.version);
    EXPECT_EQ(info.compressed, form.compressed);
    EXPECT_EQ(info.byte_order, form.big ? std::endian::big : std::endian::little);
    EXPECT_THAT(info.dims, ElementsAre(1, 3, 1));
    EXPECT_EQ(info.datatype, "INT16");
    EXPECT_EQ(info.space_units, "mm");
    EXPECT_EQ(info.time_units, "unknown");
  }
}

TEST(NiftiInfo, SpacingIsInMillimetres) {
  NiftiWriter file = marked();
  file.units = 1 + 8;  // metres, seconds
  const Data metres = file.bytes();
  EXPECT_THAT(NiftiVolume::open(metres).info().spacing_mm, ElementsAre(1000, 1000, 1000));
  EXPECT_EQ(NiftiVolume::open(metres).info().time_units, "s");
  file.units = 3;  // micrometres
  const Data microns = file.bytes();
  EXPECT_THAT(NiftiVolume::open(microns).info().spacing_mm, ElementsAre(0.001, 0.001, 0.001));
}

TEST(NiftiSniff, KnowsBothVersionsPlainAndCompressed) {
  for (const Form& form : kForms) EXPECT_TRUE(looks_like_nifti(row<int16_t>(form, 4, 16, {1})));
  for (const int version : {1, 2}) {
    const NiftiWriter pair{.version = version, .magic = version == 1 ? "ni1" : "ni2"};
    EXPECT_TRUE(looks_like_nifti(pair.bytes()));
  }
  EXPECT_FALSE(looks_like_nifti({}));
  EXPECT_FALSE(looks_like_nifti(Data(1000)));
  EXPECT_FALSE(looks_like_nifti(gzipped(Data(1000))));
  Data damaged = gzipped(marked().bytes());
  std::fill(damaged.begin() + 10, damaged.end(), std::byte{0xFF});
  EXPECT_FALSE(looks_like_nifti(damaged));
}

// --- damage ------------------------------------------------------------------------------------------------

TEST(NiftiDamage, OtherFilesAreNamed) {
  EXPECT_THAT(error_of(Data{}), HasSubstr("expected \"n+1\" or \"n+2\""));
  EXPECT_THAT(error_of(Data(1000)), HasSubstr("invalid_image: NIfTI: magic"));
  EXPECT_THAT(error_of({.magic = "ni1"}), HasSubstr("the .hdr half of a .hdr/.img pair"));
  EXPECT_THAT(error_of({.version = 2, .magic = "ni2"}), HasSubstr("the .hdr half of a .hdr/.img pair"));
  for (const bool big : {false, true}) {
    EXPECT_THAT(error_of({.big = big, .magic = std::string(4, '\0')}), HasSubstr("an ANALYZE 7.5 header"));
  }
  EXPECT_THAT(error_of({.version = 2, .intent = 3001}), HasSubstr("CIFTI-2"));
  EXPECT_THAT(error_of({.version = 2, .magic = std::string("n+2\0\n\x1A\n\n", 8)}),
              HasSubstr("transferred as a text"));
}

TEST(NiftiDamage, TruncatedFilesAreRefusedAtEveryByte) {
  for (const Form& form : kForms) {
    const Data whole = row<int16_t>(form, 4, 16, {1, 2, 3});
    ASSERT_EQ(error_of(whole), "no error");
    for (size_t size = 0; size < whole.size(); ++size) {
      const Data part(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_THAT(error_of(part), StartsWith("invalid_image: NIfTI: ")) << size;
    }
  }
}

TEST(NiftiDamage, WrongHeaderNumbersAreNamed) {
  for (const int version : {1, 2}) {
    const auto with = [version](auto change) {
      NiftiWriter file = marked();
      file.version = version;
      change(file);
      return error_of(file);
    };
    EXPECT_EQ(with([](NiftiWriter&) {}), "no error");
    EXPECT_THAT(with([](auto& f) { f.dim[0] = 0; }), HasSubstr("invalid_image: NIfTI: dim[0]"));
    EXPECT_THAT(with([](auto& f) { f.dim[0] = 8; }), HasSubstr("invalid_image: NIfTI: dim[0]"));
    EXPECT_THAT(with([](auto& f) { f.dim[0] = -3; }), HasSubstr("invalid_image: NIfTI: dim[0]"));
    EXPECT_THAT(with([](auto& f) { f.dim[1] = -2; }),
                HasSubstr("dim[1]: expected a positive size, found -2"));
    EXPECT_THAT(with([](auto& f) { f.dim[3] = 0; }), HasSubstr("dim[3]: expected a positive size, found 0"));
    EXPECT_THAT(with([](auto& f) { f.datatype = 3; }), HasSubstr("invalid_image: NIfTI: datatype"));
    EXPECT_THAT(with([](auto& f) { f.datatype = 0; }), HasSubstr("invalid_image: NIfTI: datatype"));
    EXPECT_THAT(with([](auto& f) { f.datatype = -1; }), HasSubstr("invalid_image: NIfTI: datatype"));
    EXPECT_THAT(with([](auto& f) { f.bitpix = 8; }),
                HasSubstr("bitpix of datatype INT16: expected 16, found 8"));
    EXPECT_THAT(with([](auto& f) { f.vox_offset = 0; }), HasSubstr("invalid_image: NIfTI: vox_offset"));
    EXPECT_THAT(with([](auto& f) { f.vox_offset = -1e9; }), HasSubstr("invalid_image: NIfTI: vox_offset"));
    EXPECT_THAT(with([](auto& f) { f.vox_offset = 2e6; }),
                HasSubstr("invalid_image: NIfTI: the voxels end early"));
    EXPECT_THAT(with([](auto& f) { f.vox_offset = 1e12; }), HasSubstr("image_too_large: NIfTI: vox_offset"));
    EXPECT_THAT(with([](auto& f) { f.voxels.pop_back(); }), HasSubstr("the voxels end early"));
  }
  NiftiWriter file = marked();
  file.vox_offset = kNaN;
  EXPECT_THAT(error_of(file), HasSubstr("invalid_image: NIfTI: vox_offset"));
  file.vox_offset = kInfinity;
  EXPECT_THAT(error_of(file), HasSubstr("invalid_image: NIfTI: vox_offset"));
}

TEST(NiftiDamage, WrongHeaderSizeIsNamed) {
  Data data = marked().bytes();
  data[0] = std::byte{0};
  EXPECT_THAT(error_of(data), HasSubstr("invalid_image: NIfTI: sizeof_hdr: expected 348, found 256"));
}

TEST(NiftiDamage, HugeDimensionsAreTooLargeAndDoNotOverflow) {
  EXPECT_THAT(error_of({.dim = {3, 32767, 32767, 32767}}), StartsWith("image_too_large: NIfTI: the volume"));
  const int64_t most = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(error_of({.version = 2, .dim = {3, most, most, most}}), StartsWith("image_too_large"));
  const int64_t half = int64_t{1} << 32;  // whose square is 0 in 64 bits
  EXPECT_THAT(error_of({.version = 2, .dim = {4, half, half, 1, 1}}), StartsWith("image_too_large"));
  EXPECT_THAT(error_of({.version = 2, .datatype = 1, .bitpix = 1, .dim = {1, most}}),
              StartsWith("image_too_large"));
  EXPECT_THAT(error_of({.dim = {7, 4, 4, 4, 32767, 32767, 32767, 32767}}), StartsWith("image_too_large"));
}

TEST(NiftiDamage, LimitsAreKept) {
  EXPECT_EQ(error_of(marked(), {.max_volume_bytes = 48}), "no error");
  EXPECT_THAT(error_of(marked(), {.max_volume_bytes = 47}), StartsWith("image_too_large"));
  const Data data = marked().bytes();
  const NiftiVolume volume = NiftiVolume::open(data, {.max_slice_pixels = 6});
  EXPECT_EQ(grey(volume, kAxial, 0).integers.size(), 6u);
  EXPECT_THROW(volume.slice(kCoronal, 0), Error);
}

TEST(NiftiDamage, WhatFollowsTheVoxelsIsIgnored) {
  const Data garbage = gzipped(Data(100, std::byte{7}));
  EXPECT_EQ(error_of(joined(marked().bytes(), garbage)), "no error");
  EXPECT_EQ(error_of(joined(gzipped(marked().bytes()), Data(100, std::byte{7}))), "no error");
  EXPECT_EQ(error_of(gzipped(joined(marked().bytes(), Data(100'000)))), "no error");
  NiftiWriter extended = marked();
  extended.vox_offset = 5000;
  EXPECT_EQ(error_of(extended), "no error");
  EXPECT_EQ(error_of(gzipped(extended.bytes())), "no error");
}

TEST(NiftiDamage, SeveralGzipMembersAreOneFile) {
  const Data whole = marked().bytes();
  Data members;
  for (size_t at = 0; at < whole.size(); at += 100)
    members =
        joined(members, gzipped(std::span(whole).subspan(at, std::min<size_t>(100, whole.size() - at))));
  expect_ras(NiftiVolume::open(members));
}

TEST(NiftiDamage, GzipChecksumCounts) {
  Data data = gzipped(marked().bytes());
  data[data.size() - 8] ^= std::byte{1};
  EXPECT_THAT(error_of(data),
              HasSubstr("invalid_image: NIfTI: the gzip data are damaged: incorrect data check"));
}

TEST(NiftiDamage, ChangedBytesThrowOrReadButNeverCrash) {
  std::mt19937 random(1);
  for (const Form& form : kForms) {
    const Data whole = row<int16_t>(form, 4, 16, {1, 2, 3, 4, 5, 6});
    for (int round = 0; round < 2000; ++round) {
      Data data = whole;
      for (int i = 0; i < 3; ++i) data[random() % data.size()] = std::byte(random());
      error_of(data, {.max_volume_bytes = 1 << 20});
    }
  }
}

// --- bombs -------------------------------------------------------------------------------------------------

long peak_memory_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// In less than two seconds of processor time and 64 MiB of memory.
std::string quick_error(const Data& data) {
  const long before = peak_memory_kib();
  const std::clock_t start = std::clock();
  std::string error = error_of(data);
  EXPECT_LT(std::clock() - start, 2 * CLOCKS_PER_SEC);
  EXPECT_LT(peak_memory_kib() - before, 64 * 1024);
  return error;
}

// 10 GiB of zeros in 10 MiB.
Data zeros() {
  const Data member = gzipped(Data(size_t{64} << 20));
  Data all;
  for (int i = 0; i < 160; ++i) all = joined(std::move(all), member);
  return all;
}

TEST(NiftiBombs, FailAtOnce) {
  const Data endless = zeros();
  EXPECT_THAT(quick_error(endless), HasSubstr("invalid_image: NIfTI: magic"));
  EXPECT_FALSE(looks_like_nifti(endless));

  const Data large = gzipped(NiftiWriter{.dim = {4, 2000, 2000, 2000, 10}}.bytes());
  EXPECT_THAT(quick_error(joined(large, endless)), StartsWith("image_too_large"));

  const Data far = gzipped(NiftiWriter{.version = 2, .vox_offset = 1e18}.bytes());
  EXPECT_THAT(quick_error(joined(far, endless)), StartsWith("image_too_large"));

  // What a header claims takes no memory before it arrives.
  const Data claimed = gzipped(NiftiWriter{.dim = {3, 500, 500, 500}, .voxels = "few"}.bytes());
  EXPECT_THAT(quick_error(claimed), HasSubstr("invalid_image: NIfTI: the gzip data end early"));

  const Data empty = gzipped(NiftiWriter{.dim = {3, 1000, 1000, 1000}}.bytes());
  EXPECT_THAT(quick_error(joined(empty, gzipped(Data(size_t{64} << 20)))),
              HasSubstr("bytes of gzip data claim to hold a volume of 2000000000 bytes"));

  const Data small = gzipped(marked().bytes());
  EXPECT_EQ(quick_error(joined(small, endless)), "no error");
}

}  // namespace
}  // namespace mii
