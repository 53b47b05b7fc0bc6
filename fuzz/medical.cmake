mii_fuzzer(fuzz_nifti SOURCE medical/nifti_fuzz.cpp USES medical)
mii_fuzzer(fuzz_dicom SOURCE medical/dicom_fuzz.cpp USES medical)
find_package(ZLIB REQUIRED)
mii_fuzzer(fuzz_frame SOURCE medical/frame_fuzz.cpp USES medical LINKS ZLIB::ZLIB)
# It makes its files with the tests' writer.
target_include_directories(fuzz_frame PRIVATE ${PROJECT_SOURCE_DIR}/tests)
