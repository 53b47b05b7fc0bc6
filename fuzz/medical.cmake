mii_fuzzer(fuzz_nifti SOURCE medical/nifti_fuzz.cpp USES medical)
