// A small server for the script that compares this library's slices with nibabel's. Reads one command a line:
//   info PATH           prints the stored axes' directions, whether they are known, and the spacing in mm
//   PLANE PATH          "axial", "coronal" or "sagittal": prints "SLICES TIMES ROWS COLS" and the SHA-256 of
//   each
//                       slice, time by time
//   PLANE I T PATH      as a line of numbers: all values of one slice
// and "error CODE MESSAGE" where the library throws. Hashed are little-endian doubles of the real values, row
// by row; of a colour slice the RGB bytes.

#include <cstdio>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "mii/error.h"

#include "core/file.h"
#include "image/sha256.h"
#include "medical/nifti.h"

namespace {

using mii::NiftiVolume;
using mii::SlicePlane;

const std::map<std::string, SlicePlane> kPlanes = {
    {"axial", SlicePlane::axial}, {"coronal", SlicePlane::coronal}, {"sagittal", SlicePlane::sagittal}};

std::vector<double> values_of(const mii::GreyFrame& frame) {
  std::vector<double> values = frame.reals;
  for (const int32_t stored : frame.integers) values.push_back(stored * frame.slope + frame.intercept);
  return values;
}

std::vector<double> values_of(const mii::ColourFrame& frame) { return {frame.rgb.begin(), frame.rgb.end()}; }

std::string hash_of(const mii::GreyFrame& frame) {
  const std::vector<double> values = values_of(frame);
  return mii::sha256({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(double)});
}

std::string hash_of(const mii::ColourFrame& frame) { return mii::sha256(frame.rgb); }

std::string describe(const NiftiVolume& volume) {
  std::ostringstream out;
  out.precision(17);
  out << volume.info().orientation << ' ' << volume.info().orientation_known;
  for (const double spacing : volume.info().spacing_mm) out << ' ' << spacing;
  return out.str();
}

std::string hashes(const NiftiVolume& volume, SlicePlane plane) {
  std::ostringstream out;
  const auto size = [](const auto& frame) {
    return std::to_string(frame.rows) + ' ' + std::to_string(frame.cols);
  };
  out << volume.slices(plane) << ' ' << volume.times() << ' ' << std::visit(size, volume.slice(plane, 0));
  for (size_t time = 0; time < volume.times(); ++time) {
    for (size_t i = 0; i < volume.slices(plane); ++i)
      out << ' '
          << std::visit([](const auto& frame) { return hash_of(frame); }, volume.slice(plane, i, time));
  }
  return out.str();
}

std::string numbers(const NiftiVolume& volume, SlicePlane plane, size_t index, size_t time) {
  std::ostringstream out;
  out.precision(17);
  const auto values =
      std::visit([](const auto& frame) { return values_of(frame); }, volume.slice(plane, index, time));
  for (const double value : values) out << value << ' ';
  return out.str();
}

std::string answer(const std::string& line) {
  std::istringstream stream(line);
  const std::vector<std::string> words{std::istream_iterator<std::string>(stream), {}};
  if (words.size() < 2) return "error unknown_command " + line;
  try {
    const mii::MappedFile file = mii::MappedFile::open(words.back());
    const NiftiVolume volume = NiftiVolume::open(file.bytes());
    if (words[0] == "info") return describe(volume);
    const SlicePlane plane = kPlanes.at(words[0]);
    if (words.size() == 2) return hashes(volume, plane);
    return numbers(volume, plane, std::stoul(words.at(1)), std::stoul(words.at(2)));
  } catch (const mii::Error& error) {
    return std::string("error ") + to_string(error.code()) + " " + error.what();
  }
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) std::cout << answer(line) << std::endl;
}
