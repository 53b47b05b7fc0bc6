#include "weights/report_model.h"

#include <gmock/gmock.h>

#include "mii/error.h"
#include "weights/checkpoint.h"

namespace mii {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr ReportDecoderConfig kConfig{.context_length = 128,
                                      .width = 64,
                                      .heads = 4,
                                      .layers = 2,
                                      .image_dim = 96,
                                      .vocabulary = 1000,
                                      .least_support = 0.125f};

TEST(ReportDecoderConfig, IsReadAsItIsWritten) {
  const ReportDecoderConfig read = ReportDecoderConfig::parse(to_yaml(kConfig), "config.yaml");
  EXPECT_EQ(read.context_length, 128);
  EXPECT_EQ(read.width, 64);
  EXPECT_EQ(read.heads, 4);
  EXPECT_EQ(read.layers, 2);
  EXPECT_EQ(read.image_dim, 96);
  EXPECT_EQ(read.vocabulary, 1000);
  EXPECT_EQ(read.least_support, 0.125f);
  ReportDecoderConfig silent = kConfig;
  silent.least_support.reset();
  EXPECT_FALSE(ReportDecoderConfig::parse(to_yaml(silent), "config.yaml").least_support);
}

TEST(ReportDecoderConfig, SaysWhichKeyIsWrong) {
  const auto parsed = [](ReportDecoderConfig config) {
    return ReportDecoderConfig::parse(to_yaml(config), "config.yaml");
  };
  ReportDecoderConfig heads = kConfig, width = kConfig, context = kConfig;
  heads.heads = 5;
  width.width = 1 << 20;
  context.context_length = 1 << 20;
  EXPECT_THAT([&] { parsed(heads); },
              ThrowsMessage<Error>(HasSubstr("REPORT_DECODER.HEADS does not divide")));
  EXPECT_THAT([&] { parsed(width); }, ThrowsMessage<Error>(HasSubstr("REPORT_DECODER.WIDTH is 1048576")));
  EXPECT_THAT([&] { parsed(context); }, ThrowsMessage<Error>(HasSubstr("CONTEXT_LENGTH is 1048576")));
  EXPECT_THAT([&] { ReportDecoderConfig::parse("a: 1", "config.yaml"); },
              ThrowsMessage<Error>(HasSubstr("REPORT_DECODER is missing")));
}

TEST(ReportDecoder, OfAnotherTowerIsRefusedWithBothWidths) {
  EXPECT_NO_THROW(expect_fit(kConfig, 96, 1000));
  EXPECT_THAT([] { expect_fit(kConfig, 384, 1000); },
              ThrowsMessage<Error>(AllOf(HasSubstr("width 96"), HasSubstr("384"))));
  EXPECT_THAT([] { expect_fit(kConfig, 96, 49408); },
              ThrowsMessage<Error>(AllOf(HasSubstr("vocabulary of 1000"), HasSubstr("49408"))));
}

// The paper's decoder has 0.07 B values; one of ten blocks of 512 channels on the published tower has, too.
TEST(ReportDecoder, OfTheDocumentedSizeHasSeventyMillionValues) {
  int64_t values = 0;
  for (const TensorSpec& spec : report_decoder_specs({.context_length = 256,
                                .width = 512,
                                .heads = 8,
                                .layers = 10,
                                .image_dim = 2048,
                                .vocabulary = 49408,
                                .least_support = {}}))
    values += element_count(spec.shape);
  EXPECT_NEAR(static_cast<double>(values), 0.07e9, 0.005e9);
}

}  // namespace
}  // namespace mii
