// reference: image names in their long form.
#include "runtime/engine.hpp"

#include <algorithm>
#include <cctype>

namespace troupe::runtime {
namespace {

status malformed(std::string_view reference, std::string_view why) {
  return errors::bad_request("invalid image reference \"" + std::string(reference) + "\": " + std::string(why));
}

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// One path component: alphanumerics separated by one period, one or two underscores, or dashes.
bool component_ok(std::string_view s) {
  if (s.empty() || !lower_or_digit(s.front()) || !lower_or_digit(s.back())) return false;
  for (std::size_t i = 0; i < s.size();) {
    if (lower_or_digit(s[i])) {
      ++i;
      continue;
    }
    const char separator = s[i];
    std::size_t run = 0;
    while (i < s.size() && s[i] == separator)
      ++i, ++run;
    const bool ok = separator == '-' || (separator == '.' && run == 1) || (separator == '_' && run <= 2);
    if (!ok || !lower_or_digit(s[i])) return false;
  }
  return true;
}

bool path_ok(std::string_view path) {
  while (true) {
    const auto slash = path.find('/');
    if (!component_ok(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool domain_ok(std::string_view domain) {
  const auto colon = domain.rfind(':');
  if (colon != std::string_view::npos && domain.find(']', colon) == std::string_view::npos) {
    const auto port = domain.substr(colon + 1);
    if (port.empty() || port.size() > 5 ||
        !std::all_of(port.begin(), port.end(), [](unsigned char c) { return std::isdigit(c); }))
      return false;
    domain = domain.substr(0, colon);
  }
  const auto edge = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '[' || c == ']'; };
  if (domain.empty() || !edge(domain.front()) || !edge(domain.back()) || domain.find("..") != std::string_view::npos)
    return false;
  return std::all_of(domain.begin(), domain.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '[' || c == ']' || c == ':';
  });
}

bool tag_ok(std::string_view tag) {
  const auto word = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
  return !tag.empty() && tag.size() <= 128 && word(static_cast<unsigned char>(tag[0])) &&
         std::all_of(tag.begin(), tag.end(), [&](unsigned char c) { return word(c) || c == '.' || c == '-'; });
}

bool digest_ok(std::string_view digest) {
  return digest.size() == 71 && digest.substr(0, 7) == "sha256:" &&
         std::all_of(digest.begin() + 7, digest.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// Splits `docker.io/library/x` into domain and path; the first part is a domain only if it looks like a host.
std::pair<std::string, std::string> split_domain(std::string_view name) {
  const auto slash = name.find('/');
  const auto first = name.substr(0, slash);
  const bool host =
      slash != std::string_view::npos && (first.find_first_of(".:") != std::string_view::npos || first == "localhost");
  std::string domain = host ? std::string(first) : "docker.io";
  std::string path(host ? name.substr(slash + 1) : name);
  if (domain == "index.docker.io") domain = "docker.io";
  if (domain == "docker.io" && path.find('/') == std::string::npos) path = "library/" + path;
  return {std::move(domain), std::move(path)};
}

} // namespace

result<std::string> normalise_reference(std::string_view reference) {
  if (reference.empty()) return malformed(reference, "it is empty");
  if (reference.size() > 512) return malformed(reference.substr(0, 64), "it is longer than 512 characters");
  std::string_view rest = reference, digest, tag;
  if (const auto at = rest.find('@'); at != std::string_view::npos) {
    digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (!digest_ok(digest))
      return malformed(reference, "the digest must be sha256: and 64 lower-case hexadecimal digits");
  }
  if (const auto colon = rest.rfind(':');
      colon != std::string_view::npos && rest.find('/', colon) == std::string_view::npos) {
    tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!tag_ok(tag)) return malformed(reference, "the tag must be 1 to 128 letters, digits, '_', '.' or '-'");
  }
  auto [domain, path] = split_domain(rest);
  if (!domain_ok(domain)) return malformed(reference, "\"" + domain + "\" is no registry host");
  if (!path_ok(path) || path.size() > 255)
    return malformed(reference,
                     "repository names are lower-case letters and digits, separated by '/', '.', '_' or '-'");
  std::string out = domain + "/" + path;
  // A digest fixes the content, so a tag beside it says nothing.
  out += digest.empty() ? ":" + std::string(tag.empty() ? "latest" : tag) : "@" + std::string(digest);
  return out;
}

} // namespace troupe::runtime
