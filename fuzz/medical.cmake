find_package(ZLIB REQUIRED)

mii_fuzzer(fuzz_nifti SOURCE medical/nifti_fuzz.cpp USES medical)
mii_fuzzer(fuzz_dicom SOURCE medical/dicom_fuzz.cpp USES medical)
# Its inputs are written by what writes the tests' files.
mii_fuzzer(fuzz_dicom_elements SOURCE medical/dicom_elements_fuzz.cpp USES medical LINKS ZLIB::ZLIB)
target_include_directories(fuzz_dicom_elements PRIVATE ${PROJECT_SOURCE_DIR}/tests)
