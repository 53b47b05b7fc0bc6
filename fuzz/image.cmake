# One target a codec, and one for the way from any bytes to a resized picture.
foreach(format jpeg png tiff webp bmp pnm)
  mii_fuzzer(fuzz_${format} SOURCE image/decode_fuzz.cpp USES image)
  target_compile_definitions(fuzz_${format} PRIVATE MII_FUZZ_DECODER=decode_${format})
endforeach()
mii_fuzzer(fuzz_decode_resized SOURCE image/decode_resized_fuzz.cpp USES image)
mii_fuzzer(fuzz_tiff_tags SOURCE image/tiff_tags_fuzz.cpp USES image)
