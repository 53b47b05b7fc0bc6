// Boost's own parser with a handler that keeps nothing.
#include <boost/json/basic_parser_impl.hpp>

#include "serve/json.h"

namespace mii::serve {
namespace {

namespace bj = boost::json;

class Counter {
 public:
  static constexpr size_t max_object_size = SIZE_MAX, max_array_size = SIZE_MAX, max_key_size = SIZE_MAX,
                          max_string_size = SIZE_MAX;
  using Text = bj::string_view;
  using Code = bj::error_code;

  explicit Counter(size_t values) : left_(values) {}

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code& error) { return one_more(error); }
  bool on_object_end(size_t, Code&) { return true; }
  bool on_array_begin(Code& error) { return one_more(error); }
  bool on_array_end(size_t, Code&) { return true; }
  bool on_key_part(Text, size_t, Code&) { return true; }
  bool on_key(Text, size_t, Code& error) { return one_more(error); }
  bool on_string_part(Text, size_t, Code&) { return true; }
  bool on_string(Text, size_t, Code& error) { return one_more(error); }
  bool on_number_part(Text, Code&) { return true; }
  bool on_int64(int64_t, Text, Code& error) { return one_more(error); }
  bool on_uint64(uint64_t, Text, Code& error) { return one_more(error); }
  bool on_double(double, Text, Code& error) { return one_more(error); }
  bool on_bool(bool, Code& error) { return one_more(error); }
  bool on_null(Code& error) { return one_more(error); }
  bool on_comment_part(Text, Code&) { return true; }
  bool on_comment(Text, Code&) { return true; }

 private:
  bool one_more(Code& error) {
    if (left_ == 0) error = bj::error::array_too_large;
    return left_-- > 0;
  }

  size_t left_;
};

}  // namespace

JsonVerdict check_json(std::string_view text, const JsonBounds& bounds) {
  bj::parse_options options;
  options.max_depth = bounds.depth;
  bj::basic_parser<Counter> parser(options, bounds.values);
  bj::error_code error;
  const size_t bytes = parser.write_some(false, text.data(), text.size(), error);
  if (error == bj::error::too_deep) return JsonVerdict::too_deep;
  if (error == bj::error::array_too_large) return JsonVerdict::too_many_values;
  return error || bytes != text.size() ? JsonVerdict::malformed : JsonVerdict::well_formed;
}

}  // namespace mii::serve
