find_package(Protobuf REQUIRED)
find_package(ONNX REQUIRED)
mii_fuzzer(fuzz_onnx SOURCE onnx/import_fuzz.cpp USES onnx LINKS onnx_proto)
