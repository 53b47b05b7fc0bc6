find_package(Boost 1.81 REQUIRED COMPONENTS json)
mii_fuzzer(fuzz_http SOURCE serve/request_fuzz.cpp USES serve LINKS Boost::json)
target_include_directories(fuzz_http PRIVATE ${PROJECT_SOURCE_DIR}/tests)
