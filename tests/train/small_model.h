#pragma once

namespace mii {

// A model of two stages for images of 32 pixels.
inline constexpr const char* kSmallConfig =
    "IMAGE_ENCODER:\n  IMAGE_SIZE: [32, 32]\n  IMAGE_MEAN: [0.485, 0.456, 0.406]\n  IMAGE_STD: [0.229, "
    "0.224, 0.225]\n"
    "  SPEC:\n    PATCH_SIZE: [7, 3]\n    PATCH_STRIDE: [4, 2]\n    PATCH_PADDING: [3, 1]\n    "
    "PATCH_PRENORM: [false, true]\n"
    "    DIM_EMBED: [16, 32]\n    NUM_HEADS: [1, 2]\n    NUM_GROUPS: [1, 2]\n    DEPTHS: [1, 1]\n    "
    "WINDOW_SIZE: 4\n"
    "LANG_ENCODER:\n  TOKENIZER: clip\n  CONTEXT_LENGTH: 77\n  WIDTH: 32\n  HEADS: 2\n  LAYERS: 1\n  "
    "AUTOGRESSIVE: false\n"
    "UNICL_MODEL:\n  DIM_PROJECTION: 16\nAUG:\n  INTERPOLATION: bicubic\nTEST:\n  CENTER_CROP: false\n";

}  // namespace mii
