// A small server for scripts that compare this library's images with another's. Reads one command a line:
//   decode PATH            prints "WIDTH HEIGHT SHA256" of the RGB bytes
//   grey PATH              the same with Grey16::high_byte
//   write OUT PATH         the same, and writes the RGB bytes to the file OUT
//   resize W H PATH        the same of the decoded and resized image
//   time W H PATH          reads, decodes, resizes, normalises; prints "SECONDS SHA256", the hash of the
// and "error CODE MESSAGE" where the library throws.

#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "mii/error.h"

#include "backend/cpu/cpu_backend.h"
#include "core/file.h"
#include "image/preprocess.h"
#include "image/sha256.h"

namespace {

using mii::Image;

constexpr mii::PixelScale kImageNet{.mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}};

struct Request {
  size_t width = 0;
  size_t height = 0;
  std::string out;
  std::string path;
};

std::string describe(const Image& image) {
  return std::to_string(image.width()) + " " + std::to_string(image.height()) + " " +
         mii::sha256(image.pixels());
}

std::string timed(const Request& request,
                  const std::function<Image(const std::vector<std::byte>&)>& prepare) {
  static const auto backend = mii::cpu_backend().make({});
  const auto start = std::chrono::steady_clock::now();
  const std::vector<std::byte> bytes = mii::read_file(request.path, 1u << 30);
  const Image image = prepare(bytes);
  const auto count = static_cast<int64_t>(image.pixels().size());
  const auto values = backend->allocate(count);
  const mii::ImageBytes pixels{image.pixels()};
  backend->scale_pixels(*backend->send_images({&pixels, 1}), kImageNet, {values.get(), 0, count / 3, 3});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return std::to_string(seconds.count()) + " " + mii::sha256(image.pixels());
}

const std::map<std::string, std::function<std::string(const Request&)>> kCommands = {
    {"decode", [](const Request& r) { return describe(Image::read(r.path)); }},
    {"grey",
     [](const Request& r) {
       return describe(Image::read(r.path, {.limits = {}, .grey16 = mii::Grey16::high_byte}));
     }},
    {"write",
     [](const Request& r) {
       const Image image = Image::read(r.path);
       std::ofstream(r.out, std::ios::binary)
           .write(reinterpret_cast<const char*>(image.pixels().data()),
                  static_cast<std::streamsize>(image.pixels().size()));
       return describe(image);
     }},
    {"resize",
     [](const Request& r) { return describe(mii::resize_bicubic(Image::read(r.path), r.width, r.height)); }},
    {"time",
     [](const Request& r) {
       return timed(r, [&r](const auto& bytes) {
         return mii::resize_bicubic(Image::decode(bytes), r.width, r.height);
       });
     }},
};

Request parse(const std::string& command, std::istringstream& words) {
  Request request;
  if (command == "write") words >> request.out;
  if (command == "resize" || command.starts_with("time")) words >> request.width >> request.height;
  std::getline(words >> std::ws, request.path);
  return request;
}

std::string answer(const std::string& line) {
  std::istringstream words(line);
  std::string command;
  words >> command;
  const auto known = kCommands.find(command);
  if (known == kCommands.end()) return "error unknown_command " + command;
  try {
    return known->second(parse(command, words));
  } catch (const mii::Error& error) {
    return std::string("error ") + to_string(error.code()) + " " + error.what();
  }
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) std::cout << answer(line) << std::endl;
}
