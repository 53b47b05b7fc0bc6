mii_fuzzer(fuzz_vectors SOURCE pipeline/vectors_fuzz.cpp USES pipeline)
