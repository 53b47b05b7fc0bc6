# One target a codec.
foreach(format jpeg png tiff webp bmp pnm)
  mii_fuzzer(fuzz_${format} SOURCE image/decode_fuzz.cpp USES image)
  target_compile_definitions(fuzz_${format} PRIVATE MII_FUZZ_DECODER=decode_${format})
endforeach()
mii_fuzzer(fuzz_tiff_tags SOURCE image/tiff_tags_fuzz.cpp USES image)
