#pragma once

#include <boost/json/value.hpp>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "labels/catalogue.h"
#include "serve/head_cache.h"
#include "serve/head_folder.h"
#include "serve/model.h"
#include "serve/options.h"
#include "serve/validation.h"
#include "serve/work.h"

namespace mii::serve {

/// What the routes know in addition to the request.
struct ApiContext {
  const Model& model;
  const Limits& limits;
  const std::string& model_name;
  HeadCache& heads;
  const labels::Catalogue& catalogue;
  std::shared_ptr<const HeadFolder> fitted = {};  ///< null: none
  std::optional<Identity> identity = {};          ///< of what images become; absent while it is not known
};

/// What a request gives for the fields of its route, by their names; what is null or not given is not there.
struct FieldValues {
  template <typename Value>
  using Map = std::map<std::string_view, Value>;

  Map<std::vector<EncodedImage>> images;
  Map<std::vector<std::string>> lists;
  Map<std::string> texts;
  Map<bool> booleans;
  Map<int64_t> integers;
  Map<double> numbers;
  Map<boost::json::value> others;  ///< of type any

  /// Gives a value up; `standard` where there is none.
  template <typename Value>
  static Value take(Map<Value>& map, std::string_view name, Value standard = {}) {
    const auto found = map.find(name);
    return found == map.end() ? std::move(standard) : std::move(found->second);
  }
};

/// Gives a whole number from 1 to `most` up; absent where it is not given. Throws Error{invalid_argument} for
/// another.
std::optional<size_t> take_within(FieldValues& values, std::string_view name, int64_t most);

/// Reads JSON, multipart/form-data, or one image as the whole body (the other fields then come by the query;
/// one of type any is JSON there and in a form). The image becomes the field "images". Consumes the request's
/// body. Returns the answer that refuses what is wrong or beyond the limits.
std::variant<Response, FieldValues> read_fields(Request& request, const Limits& limits,
                                                std::span<const Field> fields);

/// What /predict and /encode take, from whichever kind of body it came.
struct Inputs {
  std::vector<EncodedImage> images;
  std::vector<std::string> texts;      ///< labels of /predict
  std::vector<std::string> templates;  ///< of /predict
  std::string head;                    ///< of /predict: a fitted head's name, in place of labels
  bool multilabel = false;
};

/// As read_fields, of which "labels" or "texts" become Inputs::texts.
std::variant<Response, Inputs> read_inputs(Request& request, const ApiContext& context,
                                           std::span<const Field> fields);

/// A head that may score the vectors of the service's model, or the answer that refuses it: 400, 503.
std::variant<Response, HeadFolder::Shared> usable_head(const std::string& name, const ApiContext& context);

/// 503: by what the model makes vectors is not known yet.
Response identity_not_known_yet();

/// Empty when the counts and lengths are within the limits, else the reason.
std::string beyond_limits(const std::vector<EncodedImage>& images, const std::vector<std::string>& texts,
                          const Limits& limits);

/// Work for images in base64, or for texts. Throws Error{invalid_argument} when they are beyond the limits.
Work image_work(std::vector<std::string> base64, const Limits& limits);
Work text_work(std::vector<std::string> texts, const Limits& limits);

}  // namespace mii::serve
