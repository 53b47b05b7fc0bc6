find_package(ZLIB REQUIRED)
mii_fuzzer(fuzz_nifti SOURCE medical/nifti_fuzz.cpp USES medical)
mii_fuzzer(fuzz_dicom SOURCE medical/dicom_fuzz.cpp USES medical)
mii_fuzzer(fuzz_nifti_header SOURCE medical/nifti_header_fuzz.cpp USES medical LINKS ZLIB::ZLIB)
