#include "actors/apiserver/negotiate.hpp"

namespace troupe::apiserver {

namespace {

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t'))
    s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t'))
    s.remove_suffix(1);
  return s;
}

std::string_view next(std::string_view& rest, char by) {
  const auto end = rest.find(by);
  auto out = trim(rest.substr(0, end));
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return out;
}

bool read_clause(std::string_view clause, bool tables, wanted_form& out) {
  const auto type = next(clause, ';');
  if (type == "application/yaml")
    out.yaml = true;
  else if (type != "application/json" && type != "*/*" && type != "application/*")
    return false;
  std::string_view as, group, version;
  while (!clause.empty()) {
    auto param = next(clause, ';');
    const auto key = next(param, '=');
    if (key == "as")
      as = param;
    else if (key == "g")
      group = param;
    else if (key == "v")
      version = param;
  }
  if (as.empty()) return true;
  if (group != "meta.k8s.io" || (version != "v1" && version != "v1beta1")) return false;
  out.meta_version = version == "v1" ? "meta.k8s.io/v1" : "meta.k8s.io/v1beta1";
  if (as == "Table" && tables)
    out.what = wanted_form::shape::table;
  else if (as == "PartialObjectMetadata" || as == "PartialObjectMetadataList")
    out.what = wanted_form::shape::partial;
  else
    return false;
  return true;
}

} // namespace

result<wanted_form> negotiate(std::string_view accept, bool tables) {
  if (accept.empty() || accept == "application/json" || accept == "*/*") return wanted_form{};
  while (!accept.empty()) {
    wanted_form out;
    if (read_clause(next(accept, ','), tables, out)) return out;
  }
  return errors::not_acceptable("application/json, application/yaml, application/vnd.kubernetes.protobuf");
}

} // namespace troupe::apiserver
