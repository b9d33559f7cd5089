#include "api/kinds/rules.hpp"

#include "api/meta/quantity.hpp"

#include <algorithm>
#include <set>

namespace troupe::kinds {

namespace {

bool relative_and_inside(std::string_view s) {
  return !s.starts_with('/') && s != ".." && !s.starts_with("../") && s.find("/../") == s.npos && !s.ends_with("/..");
}

void check_items(field_errors& e, const json::value& source, const std::string& path) {
  const auto& items = jq::arr(source, {"items"});
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto p = jq::str(items[i], {"path"});
    const auto here = index(path + ".items", i) + ".path";
    if (p.starts_with('/'))
      e.push_back(field::invalid(here, text(p), "must be a relative path"));
    else if (!relative_and_inside(p))
      e.push_back(field::invalid(here, text(p), "must not contain '..'"));
    else if (p.starts_with(".."))
      e.push_back(field::invalid(here, text(p), "must not start with '..'"));
    if (const auto mode = jq::maybe_num(items[i], {"mode"}); mode && (*mode < 0 || *mode > 0777))
      e.push_back(field::invalid(index(path + ".items", i) + ".mode", *mode,
                                 "must be a number between 0 and 0777 (octal), both inclusive"));
  }
}

void check_mode(field_errors& e, const json::value& source, const std::string& path) {
  if (const auto mode = jq::maybe_num(source, {"defaultMode"}); mode && (*mode < 0 || *mode > 0777))
    e.push_back(
        field::invalid(path + ".defaultMode", *mode, "must be a number between 0 and 0777 (octal), both inclusive"));
}

void require(field_errors& e, const json::value& source, std::string_view member, const std::string& path) {
  if (jq::str(source, {member}).empty()) e.push_back(field::required(path + "." + std::string{member}));
}

void check_host_path(field_errors& e, const json::value& source, const std::string& path) {
  const auto p = jq::str(source, {"path"});
  const std::string padded = "/" + std::string{p} + "/";
  if (padded.find("/../") != padded.npos) e.push_back(field::invalid(path + ".path", text(p), "must not contain '..'"));
  static const std::vector<std::string> types{"",     "BlockDevice",  "CharDevice", "Directory", "DirectoryOrCreate",
                                              "File", "FileOrCreate", "Socket"};
  const auto t = jq::str(source, {"type"});
  if (std::find(types.begin(), types.end(), t) == types.end())
    e.push_back(field::not_supported(path + ".type", text(t), types));
}

void check_projected(field_errors& e, const json::value& source, const std::string& path) {
  check_mode(e, source, path);
  const auto& list = jq::arr(source, {"sources"});
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto here = index(path + ".sources", i);
    std::size_t n = 0;
    for (auto kind : {"secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"}) {
      const auto* s = jq::find(list[i], {kind});
      if (!s || s->is_null()) continue;
      const auto member = here + "." + kind;
      if (++n > 1) e.push_back(field::forbidden(here, "may not specify more than 1 volume type per source"));
      if (std::string_view{kind} == "secret" || std::string_view{kind} == "configMap") require(e, *s, "name", member);
      if (std::string_view{kind} == "serviceAccountToken") {
        constexpr std::int64_t seconds_min = 600, seconds_max = std::int64_t{1} << 32;
        const auto life = jq::num(*s, {"expirationSeconds"}, 3600);
        if (life < seconds_min)
          e.push_back(
              field::invalid(member + ".expirationSeconds", life, "may not specify a duration less than 10 minutes"));
        if (life > seconds_max)
          e.push_back(field::invalid(member + ".expirationSeconds", life,
                                     "may not specify a duration larger than 2^32 seconds"));
      }
      check_items(e, *s, member);
    }
  }
}

void check_source(field_errors& e, std::string_view kind, const json::value& s, const std::string& path) {
  if (kind == "hostPath") check_host_path(e, s, path);
  if (kind == "emptyDir") {
    const auto q = jq::find(s, {"sizeLimit"}) ? quantity::parse(at(s, {"sizeLimit"})) : quantity{};
    if (q && q->sign() < 0)
      e.push_back(field::forbidden(path + ".sizeLimit", "SizeLimit field must be a valid resource quantity"));
  }
  if (kind == "configMap") require(e, s, "name", path);
  if (kind == "secret") require(e, s, "secretName", path);
  if (kind == "configMap" || kind == "secret" || kind == "downwardAPI") {
    check_mode(e, s, path);
    check_items(e, s, path);
  }
  if (kind == "projected") check_projected(e, s, path);
  if (kind == "nfs" && !jq::str(s, {"path"}).empty() && !jq::str(s, {"path"}).starts_with('/'))
    e.push_back(field::invalid(path + ".path", at(s, {"path"}), "must be an absolute path"));
  if (kind == "ephemeral" && !jq::find(s, {"volumeClaimTemplate"}))
    e.push_back(field::required(path + ".volumeClaimTemplate"));
}

} // namespace

void check_volumes(field_errors& e, const json::value& spec, const std::string& path) {
  std::set<std::string_view> seen;
  const auto& volumes = jq::arr(spec, {"volumes"});
  for (std::size_t i = 0; i < volumes.size(); ++i) {
    const auto here = index(path + ".volumes", i);
    const auto* o = volumes[i].if_object();
    if (!o) continue;
    std::size_t sources = 0;
    for (const auto& [k, v] : *o) {
      if (k == "name" || v.is_null()) continue;
      const auto member = here + "." + std::string{jq::view(k)};
      if (++sources > 1)
        e.push_back(field::forbidden(member, "may not specify more than 1 volume type"));
      else
        check_source(e, jq::view(k), v, member);
    }
    if (sources == 0) e.push_back(field::required(here, "must specify a volume type"));
    const auto name = jq::str(volumes[i], {"name"});
    if (name.empty()) continue;
    if (!names::is_dns1123_label(name)) check_name(e, here + ".name", name, names::dns1123_label(name));
    if (!seen.insert(name).second) e.push_back(field::duplicate(here + ".name", text(name)));
  }
}

} // namespace troupe::kinds
