mii_fuzzer(fuzz_text SOURCE text/text_fuzz.cpp USES text)
target_compile_definitions(fuzz_text PRIVATE
  MII_TOKENIZER="${PROJECT_SOURCE_DIR}/tests/data/golden/tiny-a/language_model/clip_tokenizer_4.16.2")
mii_fuzzer(fuzz_tokenizer_files SOURCE text/tokenizer_files_fuzz.cpp USES text)
