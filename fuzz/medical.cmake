find_package(ZLIB REQUIRED)

mii_fuzzer(fuzz_nifti SOURCE medical/nifti_fuzz.cpp USES medical)
mii_fuzzer(fuzz_dicom SOURCE medical/dicom_fuzz.cpp USES medical)
mii_fuzzer(fuzz_nifti_header SOURCE medical/nifti_header_fuzz.cpp USES medical LINKS ZLIB::ZLIB)
# These make their files with the tests' writer.
foreach(part frame dicom_elements)
  mii_fuzzer(fuzz_${part} SOURCE medical/${part}_fuzz.cpp USES medical LINKS ZLIB::ZLIB)
  target_include_directories(fuzz_${part} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
endforeach()
