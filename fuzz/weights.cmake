mii_fuzzer(fuzz_safetensors SOURCE weights/safetensors_fuzz.cpp USES weights)
mii_fuzzer(fuzz_config SOURCE weights/config_fuzz.cpp USES weights)
