#include "serve/openapi.h"

#include <boost/json.hpp>

#include "serve/json.h"

namespace mii::serve {

namespace bj = boost::json;

namespace {

bj::value parsed(std::string_view json) { return bj::parse(json); }

bj::value reference(const char* schema) { return {{"$ref", std::string("#/components/schemas/") + schema}}; }

bj::object content(std::string_view media_type, bj::value schema) {
  bj::object inner{{"schema", std::move(schema)}};
  return {{media_type, std::move(inner)}};
}

bj::object response(std::string_view description, bj::object content = {}) {
  bj::object result{{"description", description}};
  if (!content.empty()) result["content"] = std::move(content);
  return result;
}

// Of a field that is one text or number, else null.
const char* plain_type(Field::Type type) {
  switch (type) {
    case Field::Type::text:
      return "string";
    case Field::Type::integer:
      return "integer";
    case Field::Type::number:
      return "number";
    default:
      return nullptr;
  }
}

bj::value field_schema(const Field& field, const ServeOptions& options) {
  bj::object schema;
  if (field.type == Field::Type::any) {
    schema = parsed(field.schema).as_object();
  } else if (field.type == Field::Type::boolean) {
    schema["anyOf"] = parsed(R"([{"type":"boolean"},
      {"enum":[0,1,"0","1","on","off","true","false","t","f","y","n","yes","no"]}])");
  } else if (const char* type = plain_type(field.type)) {
    if (field.nullable)
      schema["type"] = {type, "null"};
    else
      schema["type"] = type;
  } else {
    const bool images = field.type == Field::Type::image_list;
    if (field.nullable)
      schema["type"] = {"array", "null"};
    else
      schema["type"] = "array";
    schema["items"] = {{"type", "string"}};
    if (images) schema["items"].as_object()["contentEncoding"] = "base64";
    if (field.required) schema["minItems"] = 1;
    schema["maxItems"] = images ? options.limits.images : options.limits.texts;
  }
  if (!field.description.empty()) schema["description"] = field.description;
  if (!field.default_json.empty()) schema["default"] = parsed(field.default_json);
  return schema;
}

bj::object json_schema(const Route& route, const ServeOptions& options) {
  bj::object properties;
  bj::array required;
  for (const Field& field : route.fields) {
    properties[field.name] = field_schema(field, options);
    if (field.required && field.unless.empty()) required.push_back(bj::string(field.name));
  }
  bj::object schema{{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

// A value for each field that has one, so that a page can send the request as it stands.
bj::object example(const Route& route, const ServeOptions& options) {
  bj::object value;
  for (const Field& field : route.fields) {
    if (!field.example.empty()) value[field.name] = parsed(field.example);
    if (field.name == "model") value[field.name] = options.model_name;
  }
  return value;
}

// The same fields as a form: images are files.
bj::object form_schema(const Route& route, const ServeOptions& options) {
  bj::object schema = json_schema(route, options);
  // A form's values are texts, whatever they look like, and one that comes once is a list of one.
  for (const Field& field : route.fields) {
    bj::object& property = schema["properties"].as_object()[field.name].as_object();
    if (field.type == Field::Type::image_list) {
      property["type"] = "array";
      property["items"] = {{"type", "string"}, {"format", "binary"}};
      property["description"] = "Files of images";
      continue;
    }
    for (const char* keyword : {"type", "items", "minItems", "maxItems", "anyOf", "default"})
      property.erase(keyword);
  }
  return schema;
}

bj::object request_body(const Route& route, const ServeOptions& options) {
  bj::object json = content("application/json", json_schema(route, options));
  json["application/json"].as_object()["example"] = example(route, options);
  if (route.takes_files) json["multipart/form-data"] = {{"schema", form_schema(route, options)}};
  return {{"required", true}, {"content", std::move(json)}};
}

bj::object responses(const Route& route) {
  const bool own_words = route.api->error_schema() != std::string_view("Error");
  const auto error = [&](const char* description) {
    return response(description, content("application/json", reference(route.api->error_schema())));
  };
  bj::object all;
  all["200"] = route.response_schema.empty()
                   ? response("OK", content(route.content_type, {{"type", "string"}}))
                   : response("OK", content(route.content_type, parsed(route.response_schema)));
  if (route.needs_key) all["401"] = error("A key is needed");
  if (!route.query.empty()) all["400"] = error("A parameter has a value that is none");
  if (!route.fields.empty()) {
    all["400"] = error("The request cannot be carried out as it stands");
    all["403"] = error("Pages of another origin may not call");
    all["413"] = error("The body is larger than this service takes");
    all["421"] = error("This service does not answer to that Host");
    all["429"] = error("The queue is full: try again after Retry-After seconds");
    all["500"] = error("The service failed");
    all["504"] = error("The deadline passed");
    if (own_words) {
      all["404"] = error("Another model is asked for");
    } else {
      all["415"] = error("Another kind of body is expected");
      all["422"] =
          response("The body does not fit", content("application/json", reference("ValidationErrors")));
    }
  }
  if (route.writes) {
    all["403"] = error("The key or the service may not write, or a page of another origin calls");
    all["409"] = error("Another process is writing");
  }
  if (route.path.find('{') != std::string_view::npos) all["404"] = error("There is none of this name");
  if (route.computes) all["503"] = error("The model is not ready");
  if (route.path == "/health" || route.path == "/readyz")
    all["503"] = response("Not now", content("application/json", parsed(route.response_schema)));
  return all;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c | 0x20);
  return lower;
}

// "/docs/{file}" of "/docs/{file...}".
std::string documented_path(const Route& route) {
  std::string path(route.path);
  if (const size_t rest = path.find("...}"); rest != std::string::npos) path.erase(rest, 3);
  return path;
}

// "v1_models" for /v1/models; for further methods of a path with the method: "delete_collections_name".
std::string operation_id(const Route& route, bool first_of_path) {
  std::string id = lower_case(route.method);
  if (first_of_path) id.clear();
  id.append(id.empty() ? "" : "_").append(documented_path(route).substr(1));
  std::erase_if(id, [](char c) { return c == '{' || c == '}'; });
  for (char& c : id)
    if (c == '/' || c == '.') c = '_';
  return id;
}

// Of the path's "{name}"s.
bj::array path_parameters(std::string_view path) {
  bj::array parameters;
  for (size_t begin = path.find('{'); begin != std::string_view::npos; begin = path.find('{', begin + 1))
    parameters.push_back({{"name", path.substr(begin + 1, path.find('}', begin) - begin - 1)},
                          {"in", "path"},
                          {"required", true},
                          {"schema", {{"type", "string"}}}});
  return parameters;
}

void add_query_parameters(const Route& route, bj::array& parameters) {
  for (const Field& field : route.query)
    parameters.push_back({{"name", field.name},
                          {"in", "query"},
                          {"required", field.required},
                          {"description", field.description},
                          {"schema", parsed(field.schema)}});
}

bj::object operation(const Route& route, const ServeOptions& options, bool with_keys, bool first_of_path) {
  bj::object result{{"summary", route.summary}, {"operationId", operation_id(route, first_of_path)}};
  bj::array parameters = path_parameters(documented_path(route));
  add_query_parameters(route, parameters);
  if (!parameters.empty()) result["parameters"] = std::move(parameters);
  if (!route.fields.empty()) result["requestBody"] = request_body(route, options);
  result["responses"] = responses(route);
  if (with_keys && route.needs_key) result["security"] = {bj::object{{"bearer", bj::array{}}}};
  return result;
}

bj::object components(bool with_keys) {
  bj::object result;
  result["schemas"] = parsed(R"({
    "Error":{"type":"object","required":["detail"],"properties":{"detail":{"type":"string"}}},
    "ValidationErrors":{"type":"object","required":["detail"],"properties":{"detail":{"type":"array","items":{
      "type":"object","required":["type","loc","msg"],"properties":{"type":{"type":"string"},
      "loc":{"type":"array","items":{"type":["string","integer"]}},"msg":{"type":"string"},"input":{},
      "ctx":{"type":"object"}}}}}},
    "OpenAIError":{"type":"object","required":["error"],"properties":{"error":{"type":"object",
      "required":["message","type","param","code"],"properties":{"message":{"type":"string"},
      "type":{"type":"string"},"param":{"type":["string","null"]},"code":{"type":["string","null"]}}}}},
    "CohereError":{"type":"object","required":["message"],"properties":{"message":{"type":"string"}}}})");
  if (with_keys) result["securitySchemes"] = {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}};
  return result;
}

}  // namespace

std::string openapi_document(std::span<const Route> routes, const ServeOptions& options, bool with_keys) {
  bj::object paths;
  for (const Route& route : routes) {
    if (!route.documented) continue;
    const std::string path = documented_path(route);
    const bool first = !paths.contains(path);
    if (first) paths[path] = bj::object();
    paths[path].as_object()[lower_case(route.method)] = operation(route, options, with_keys, first);
  }
  return to_json(
      bj::object{{"openapi", "3.1.0"},
                 {"info",
                  {{"title", "medimageinsight.cpp"},
                   {"version", "1"},
                   {"x-max-body-bytes", options.limits.body_bytes},
                   {"description", "Embeddings of medical images. For research; not a medical device."}}},
                 {"paths", std::move(paths)},
                 {"components", components(with_keys)}});
}

}  // namespace mii::serve
