mii_fuzzer(fuzz_table SOURCE dataset/table_fuzz.cpp USES dataset)
mii_fuzzer(fuzz_report_problem SOURCE dataset/report_problem_fuzz.cpp USES dataset)
