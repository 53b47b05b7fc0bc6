# The flags that all of our own code is built with, and the three kinds of target that the tree is made of.

add_library(mii_options INTERFACE)
target_compile_features(mii_options INTERFACE cxx_std_20)
target_compile_options(mii_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
  -Wno-missing-field-initializers  # options structs are filled by name, the rest keeps its default
  -fvisibility=hidden -fvisibility-inlines-hidden
  # Rounding must not depend on what the compiler fuses: fused multiply-adds are written out where they are meant.
  -ffp-contract=off)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  target_compile_options(mii_options INTERFACE -march=x86-64-v2)
endif()
if(MII_SANITIZE)
  target_compile_options(mii_options INTERFACE -fsanitize=${MII_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(mii_options INTERFACE -fsanitize=${MII_SANITIZE})
  if(MII_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(mii_options INTERFACE -Wno-tsan)  # fences of Asio that the sanitizer does not see
  endif()
endif()

# mii_component(NAME SOURCES ... [USES component ...] [LINKS library ...])
# One layer of the library: static target mii_NAME (alias mii::NAME). USES names the components below it.
function(mii_component name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LINKS" ${ARGN})
  add_library(mii_${name} STATIC ${ARG_SOURCES})
  add_library(mii::${name} ALIAS mii_${name})
  target_include_directories(mii_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  list(TRANSFORM ARG_USES PREPEND mii::)
  target_link_libraries(mii_${name} PUBLIC ${ARG_USES} PRIVATE $<BUILD_INTERFACE:mii_options> ${ARG_LINKS})
endfunction()

add_custom_target(component_tests)
add_custom_target(fuzzers)

# mii_test(NAME [OF_PROGRAM] SOURCES ... [USES component ...] [LINKS library ...]): a GoogleTest program, one ctest entry a test case.
# OF_PROGRAM: it runs mii, so that it is not one of the target component_tests, which needs no apps/.
function(mii_test name)
  cmake_parse_arguments(ARG "OF_PROGRAM" "" "SOURCES;USES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  list(TRANSFORM ARG_USES PREPEND mii::)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE MII_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
  target_link_libraries(${name} PRIVATE mii_options ${ARG_USES} ${ARG_LINKS} GTest::gmock GTest::gtest_main)
  if(NOT ARG_OF_PROGRAM)
    add_dependencies(component_tests ${name})
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 600)
endfunction()

# mii_fuzzer(NAME SOURCE file [USES component ...]): a libFuzzer program.
function(mii_fuzzer name)
  cmake_parse_arguments(ARG "" "SOURCE" "USES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCE})
  add_dependencies(fuzzers ${name})
  list(TRANSFORM ARG_USES PREPEND mii::)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE mii_options ${ARG_USES} ${ARG_LINKS})
endfunction()
