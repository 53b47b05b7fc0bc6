mii_fuzzer(fuzz_table SOURCE dataset/table_fuzz.cpp USES dataset)
