// Prints what a DICOM file holds, for scripts that compare it with another decoder:
//   dicom_probe FILE OUT
// writes the first, the middle and the last frame to OUT: grey as float64 real values, colour as RGB bytes.
// Prints "grey|colour ROWS COLS FRAMES INDEX...", or "error CODE MESSAGE".
#include <cstdio>
#include <fstream>
#include <iostream>
#include <set>

#include "core/file.h"
#include "medical/dicom_file.h"
#include "mii/error.h"

namespace {

template <typename T>
void write(std::ofstream& out, const std::vector<T>& values) {
  out.write(reinterpret_cast<const char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(T)));
}

void write_frame(std::ofstream& out, const mii::Frame& frame) {
  if (const auto* colour = std::get_if<mii::ColourFrame>(&frame)) return write(out, colour->rgb);
  const auto& grey = std::get<mii::GreyFrame>(frame);
  std::vector<double> values = grey.reals;
  for (const int32_t stored : grey.integers) values.push_back(grey.slope * stored + grey.intercept);
  write(out, values);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    const auto bytes = mii::read_file(argv[1], 1u << 30);
    const mii::DicomFile file = mii::DicomFile::open(bytes);
    const size_t frames = file.info().frames;
    std::ofstream out(argv[2], std::ios::binary);
    std::string indices;
    bool colour = false;
    for (const size_t i : std::set<size_t>{0, frames / 2, frames - 1}) {
      const mii::Frame frame = file.frame(i);
      colour = std::holds_alternative<mii::ColourFrame>(frame);
      write_frame(out, frame);
      indices += " " + std::to_string(i);
    }
    std::cout << (colour ? "colour " : "grey ") << file.info().rows << " " << file.info().cols << " "
              << frames << indices << std::endl;
  } catch (const mii::Error& error) {
    std::cout << "error " << mii::to_string(error.code()) << " " << error.what() << std::endl;
  }
}
