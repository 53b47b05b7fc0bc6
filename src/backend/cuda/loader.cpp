#include "backend/cuda/loader.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "backend/cuda/module.h"
#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLibrary = "libmii_cuda.so";

struct Loaded {
  const BackendEntry* entry = nullptr;
  std::string obstacle;
  bool installed = false;
};

// The library's path; its bare name, for the system to look for, when it is in none of our folders.
std::string find_library() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  const char* named = std::getenv("MII_CUDA_LIBRARY");
  for (const fs::path& folder : {fs::path(named == nullptr ? "" : named), program, program / "../lib/mii"})
    if (!folder.empty() && fs::exists(folder / kLibrary, error)) return (folder / kLibrary).string();
  return kLibrary;
}

// Never unloaded: objects of it may live until the program ends.
Loaded load() {
  const std::string path = find_library();
  const bool found = path != kLibrary;
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    if (!found) return {nullptr, std::string("it needs ") + kLibrary + ", which is not installed", false};
    const char* reason = dlerror();
    return {nullptr, reason == nullptr ? path : reason, true};
  }
  const auto module = reinterpret_cast<cuda::Module>(dlsym(library, cuda::kModuleSymbol));
  const BackendEntry* entry = module == nullptr ? nullptr : module(cuda::kModuleVersion);
  if (entry == nullptr) return {nullptr, path + " belongs to another version of this program", true};
  return {entry, entry->obstacle(), true};
}

const Loaded& library() {
  static const Loaded loaded = load();
  return loaded;
}

const BackendEntry& entry() {
  if (!library().obstacle.empty()) throw Error(ErrorCode::unsupported, library().obstacle);
  return *library().entry;
}

}  // namespace

BackendEntry cuda_backend() {
  return {
      .name = "cuda",
      .description = "an NVIDIA device",
      .obstacle = [] { return library().obstacle; },
      .precisions = [] { return entry().precisions(); },
      .make = [](const BackendOptions& options) { return entry().make(options); },
      .product_seconds = [](const BackendOptions& options,
                            const ProductShape& shape) { return entry().product_seconds(options, shape); },
      .devices = [] { return entry().devices(); },
      .wanted = [] { return library().installed; }};
}

}  // namespace mii
