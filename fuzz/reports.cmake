mii_fuzzer(fuzz_report SOURCE reports/report_fuzz.cpp USES reports)
