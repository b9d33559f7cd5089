// ConfigMap, Secret, ServiceAccount.
#include "api/kinds/rules.hpp"

#include <openssl/evp.h>

namespace troupe::kinds {

namespace {

constexpr std::size_t data_bytes_max = 1048576;

std::string encode_base64(std::string_view s) {
  std::string out(4 * ((s.size() + 2) / 3) + 1, '\0');
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(s.data()), static_cast<int>(s.size()));
  out.resize(static_cast<std::size_t>(n));
  return out;
}

std::string decode_base64(std::string_view s) {
  std::string out(s.size() / 4 * 3 + 3, '\0');
  const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(s.data()), static_cast<int>(s.size()));
  if (n < 0) return {};
  auto size = static_cast<std::size_t>(n);
  if (s.ends_with("==") && size >= 2)
    size -= 2;
  else if (s.ends_with("=") && size >= 1)
    size -= 1;
  out.resize(size);
  return out;
}

/// Bytes that a base64 text stands for.
std::size_t decoded_size(std::string_view s) {
  if (s.size() < 4) return 0;
  return s.size() / 4 * 3 - (s.ends_with("==") ? 2 : s.ends_with("=") ? 1 : 0);
}

std::size_t check_keys(field_errors& e, const json::object& data, std::string_view path, bool base64) {
  std::size_t bytes = 0;
  for (const auto& [k, v] : data) {
    const auto key = jq::view(k);
    const auto value = v.is_string() ? jq::view(v.get_string()) : std::string_view{};
    bytes += base64 ? decoded_size(value) : value.size();
    if (auto f = names::config_map_key(key); !f.empty())
      check_name(e, std::string{path} + "[" + std::string{key} + "]", key, std::move(f));
  }
  return bytes;
}

void check_config_map(field_errors& e, const json::value& obj) {
  const auto& data = jq::obj(obj, {"data"});
  const auto& binary = jq::obj(obj, {"binaryData"});
  const auto bytes = check_keys(e, data, "data", false) + check_keys(e, binary, "binaryData", true);
  for (const auto& [k, v] : binary)
    if (data.contains(k)) {
      const auto key = std::string{jq::view(k)};
      e.push_back(field::invalid("data[" + key + "]", text(key), "duplicate of key present in binaryData"));
    }
  if (bytes > data_bytes_max) e.push_back(field::too_long("", data_bytes_max));
}

/// Once immutable, always immutable, and with it the data.
void check_frozen(field_errors& e, const json::value& obj, const json::value& old,
                  std::initializer_list<std::string_view> members) {
  if (!jq::flag(old, {"immutable"})) return;
  constexpr std::string_view detail = "field is immutable when `immutable` is set";
  if (!jq::flag(obj, {"immutable"})) e.push_back(field::forbidden("immutable", detail));
  for (auto m : members)
    if (jq::obj(obj, {m}) != jq::obj(old, {m})) e.push_back(field::forbidden(std::string{m}, detail));
}

void check_config_map_update(field_errors& e, const json::value& obj, const json::value& old) {
  check_frozen(e, obj, old, {"data", "binaryData"});
}

/// stringData is a way to write: it lands in data and is never read back.
void merge_string_data(json::value& obj) {
  const auto* given = jq::find(obj, {"stringData"});
  if (!given) return;
  if (const auto* members = given->if_object(); members && !members->empty()) {
    const json::object copy = *members;
    auto& data = jq::at(obj, {"data"});
    if (!data.is_object()) data.emplace_object();
    for (const auto& [k, v] : copy)
      if (const auto* s = v.if_string()) data.as_object()[k] = encode_base64(jq::view(*s));
  }
  jq::erase(obj, {"stringData"});
}

void secret_on_create(json::value& obj, const write_context&) { merge_string_data(obj); }
void secret_on_update(json::value& obj, const json::value& old, const write_context&) {
  merge_string_data(obj);
  if (jq::str(obj, {"type"}).empty() && jq::find(old, {"type"})) obj.as_object()["type"] = old.at("type");
}

bool is_json(std::string_view s) {
  boost::system::error_code ec;
  json::parse(s, ec);
  return !ec;
}

void check_secret_type(field_errors& e, const json::value& obj) {
  const auto type = jq::str(obj, {"type"});
  const auto value = [&](std::string_view key) { return jq::find(obj, {"data", key}); };
  const auto need = [&](std::string_view key) {
    if (!value(key)) e.push_back(field::required("data[" + std::string{key} + "]"));
  };
  const auto need_json = [&](std::string_view key) {
    const auto* v = value(key);
    if (!v || !v->is_string())
      e.push_back(field::required("data[" + std::string{key} + "]"));
    else if (!is_json(decode_base64(jq::view(v->get_string()))))
      // The contents are a secret: never part of the message.
      e.push_back(field::invalid("data[" + std::string{key} + "]", "<secret contents redacted>", "not valid JSON"));
  };
  if (type == "kubernetes.io/service-account-token") {
    constexpr std::string_view account = "kubernetes.io/service-account.name";
    if (meta::annotation(obj, account).empty())
      e.push_back(field::required("metadata.annotations[" + std::string{account} + "]"));
  } else if (type == "kubernetes.io/dockercfg") {
    need_json(".dockercfg");
  } else if (type == "kubernetes.io/dockerconfigjson") {
    need_json(".dockerconfigjson");
  } else if (type == "kubernetes.io/basic-auth") {
    if (!value("username") && !value("password")) {
      need("username");
      need("password");
    }
  } else if (type == "kubernetes.io/ssh-auth") {
    const auto* v = value("ssh-privatekey");
    if (!v || !v->is_string() || v->get_string().empty()) e.push_back(field::required("data[ssh-privatekey]"));
  } else if (type == "kubernetes.io/tls") {
    need("tls.crt");
    need("tls.key");
  }
}

void check_secret(field_errors& e, const json::value& obj) {
  const auto bytes = check_keys(e, jq::obj(obj, {"data"}), "data", true);
  if (bytes > data_bytes_max) e.push_back(field::too_long("data", data_bytes_max));
  check_secret_type(e, obj);
}

void check_secret_update(field_errors& e, const json::value& obj, const json::value& old) {
  check_frozen(e, obj, old, {"data"});
}

constexpr kind_rule rules[] = {
    {"", "ConfigMap", nullptr, nullptr, check_config_map, check_config_map_update},
    {"", "Secret", secret_on_create, secret_on_update, check_secret, check_secret_update},
};

} // namespace

std::span<const kind_rule> config_kinds() { return rules; }

} // namespace troupe::kinds
