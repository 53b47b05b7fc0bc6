# One shared library of all components, the headers, the program and a CMake package: find_package(mii), mii::mii.
include(CMakePackageConfigHelpers)

add_library(mii SHARED ${PROJECT_SOURCE_DIR}/cmake/empty.cpp)
add_library(mii::mii ALIAS mii)
# Whole, because nothing inside the library calls the functions that it is there for.
target_link_libraries(mii PRIVATE
  -Wl,--whole-archive $<TARGET_FILE:mii_core> $<TARGET_FILE:mii_medical> $<TARGET_FILE:mii_image> $<TARGET_FILE:mii_engine>
  $<TARGET_FILE:mii_pipeline> -Wl,--no-whole-archive mii_pipeline)
add_dependencies(mii mii_core mii_medical mii_image mii_engine mii_pipeline)
target_compile_features(mii INTERFACE cxx_std_20)
target_include_directories(mii INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
set_target_properties(mii PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)

install(TARGETS mii EXPORT mii-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS mii-cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(EXISTS ${PROJECT_SOURCE_DIR}/models/starter/config.yaml)
  install(DIRECTORY models/starter DESTINATION ${CMAKE_INSTALL_DATADIR}/mii/models)
endif()
install(DIRECTORY training DESTINATION ${CMAKE_INSTALL_DATADIR}/mii)
# The scripts of /docs and /redoc, where scripts/fetch-docs-assets has fetched them.
install(DIRECTORY build/docs-assets/ DESTINATION ${CMAKE_INSTALL_DATADIR}/mii/docs OPTIONAL)
if(TARGET mii_cuda)
  install(TARGETS mii_cuda LIBRARY DESTINATION lib/mii)  # where the program looks
endif()
if(TARGET mii-train)
  install(TARGETS mii-train RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY include/mii DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT mii-targets NAMESPACE mii:: FILE miiConfig.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mii)
write_basic_package_version_file(miiConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/miiConfigVersion.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mii)
