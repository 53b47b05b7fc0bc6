#pragma once

#include <boost/json/value.hpp>
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

/// What /predict and /encode take, from whichever kind of body it came.
struct Inputs {
  std::vector<EncodedImage> images;
  std::vector<std::string> texts;      ///< labels of /predict
  std::vector<std::string> templates;  ///< of /predict
  std::string head;                    ///< of /predict: a fitted head's name, in place of labels
  bool multilabel = false;
};

/// Reads JSON, multipart/form-data, or one image as the whole body (texts then come by the query). fields:
/// those of the route; a list of another name than "images" and "templates" fills Inputs::texts, a text
/// Inputs::head. Consumes the request's body. Returns the answer that refuses what is wrong or beyond the
/// limits.
std::variant<Response, Inputs> read_inputs(Request& request, const ApiContext& context,
                                           std::span<const Field> fields);

/// Empty when the counts and lengths are within the limits, else the reason.
std::string beyond_limits(const std::vector<EncodedImage>& images, const std::vector<std::string>& texts,
                          const Limits& limits);

}  // namespace mii::serve
