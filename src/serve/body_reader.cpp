#include "serve/body_reader.h"

#include <utility>

namespace mii::serve {
namespace {

// Other fields that forms have.
constexpr size_t kOtherParts = 8;

}  // namespace

BodyReader::BodyReader(const Request& request, bool takes_files, const Limits& limits) {
  if (!takes_files || request.media_type() != "multipart/form-data") return;
  form_.emplace(multipart_boundary(request.header("content-type")),
                limits.images + 2 * limits.texts + kOtherParts);
}

void BodyReader::take(std::string_view piece) {
  bytes_ += piece.size();
  if (form_)
    form_->take(piece);
  else
    body_ += piece;
}

void BodyReader::finish(Request& request) {
  request.body = std::move(body_);
  if (form_ && bytes_ > 0) request.form = form_->finish();
}

}  // namespace mii::serve
