mii_fuzzer(fuzz_nifti SOURCE medical/nifti_fuzz.cpp USES medical)
mii_fuzzer(fuzz_dicom SOURCE medical/dicom_fuzz.cpp USES medical)
