mii_fuzzer(fuzz_filter SOURCE search/filter_fuzz.cpp USES search)
mii_fuzzer(fuzz_collection SOURCE search/collection_fuzz.cpp USES search)
