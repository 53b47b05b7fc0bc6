mii_fuzzer(fuzz_head SOURCE heads/head_fuzz.cpp USES heads)
