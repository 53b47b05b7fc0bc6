mii_fuzzer(fuzz_base64 SOURCE core/base64_fuzz.cpp USES core)
