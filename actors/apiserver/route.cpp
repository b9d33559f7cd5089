#include "actors/apiserver/route.hpp"

#include "net/http/server.hpp"

#include <array>

namespace troupe::apiserver {

namespace {

struct parts {
  std::array<std::string, 16> at;
  std::size_t n = 0;
  std::string tail; // beyond what fits, joined again
};

parts split(std::string_view path) {
  parts out;
  while (!path.empty()) {
    if (path.front() == '/') {
      path.remove_prefix(1);
      continue;
    }
    const auto end = path.find('/');
    const auto piece = path.substr(0, end);
    if (out.n == out.at.size()) {
      out.tail = path;
      return out;
    }
    if (piece.find('%') == std::string_view::npos)
      out.at[out.n] = piece;
    else if (!http::url_decode(piece, out.at[out.n], false))
      out.at[out.n] = piece;
    ++out.n;
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end);
  }
  return out;
}

verb verb_of(std::string_view method, bool named) {
  if (method == "POST") return verb::create;
  if (method == "PUT") return verb::update;
  if (method == "PATCH") return verb::patch;
  if (method == "DELETE") return named ? verb::delete_ : verb::deletecollection;
  return named ? verb::get : verb::list;
}

} // namespace

route parse_route(std::string_view method, std::string_view path) {
  route r;
  auto p = split(path);
  std::size_t i = 0;
  if (p.n >= 2 && p.at[0] == "api") {
    r.version = p.at[1];
    i = 2;
  } else if (p.n >= 3 && p.at[0] == "apis") {
    r.group = p.at[1];
    r.version = p.at[2];
    i = 3;
  } else {
    return r;
  }
  if (p.n == i) return r; // discovery of the group version
  r.resource = true;
  if (p.at[i] == "watch") {
    r.old_watch = true;
    ++i;
  }
  if (p.n > i && p.at[i] == "namespaces") {
    const std::size_t rest = p.n - i; // namespaces, NAME, ...
    const bool own = rest <= 2 || (rest == 3 && (p.at[i + 2] == "status" || p.at[i + 2] == "finalize"));
    if (!own) {
      r.ns = p.at[i + 1];
      i += 2;
    }
  }
  if (i < p.n) r.plural = p.at[i++];
  if (i < p.n) r.name = p.at[i++];
  if (i < p.n) r.subresource = p.at[i++];
  for (; i < p.n; ++i)
    r.tail.append("/").append(p.at[i]);
  if (!p.tail.empty()) r.tail.append("/").append(p.tail);
  r.what = verb_of(method, !r.name.empty());
  if (r.old_watch && method == "GET") r.what = verb::watch;
  return r;
}

std::string_view rbac_verb(const request& r, std::string_view method) noexcept {
  if (r.what != verb::connect) return to_string(r.what);
  if (method == "POST") return "create";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return "delete";
  return "get";
}

result<target> resolve(const request& r) {
  const auto& reg = schema::registry::get();
  target t;
  if (r.version.empty()) {
    for (const auto& res : reg.resources())
      if (res.group == r.group && res.plural == r.plural) {
        t.res = &res;
        break;
      }
  } else {
    t.res = reg.find(r.group, r.version, r.plural);
  }
  status unknown = errors::not_found({}, {});
  unknown.message = "the server could not find the requested resource";
  if (!t.res) return unknown;
  t.stored = t.res;
  if (t.res->stored)
    if (const auto* s = reg.find(t.res->storage_group, t.res->storage_version, t.res->plural)) t.stored = s;
  if (!r.subresource.empty()) {
    t.sub = t.res->sub(r.subresource);
    if (!t.sub) return unknown;
  }
  if (t.res->namespaced && r.ns.empty() && (!r.name.empty() || r.what == verb::create)) {
    if (r.what == verb::create && t.res->stored)
      return errors::bad_request("an empty namespace may not be set during creation");
    if (!r.name.empty()) return unknown;
  }
  if (!t.res->namespaced && !r.ns.empty()) return unknown;
  const auto wanted = to_string(r.what);
  bool known = false;
  if (r.what == verb::connect)
    known = t.sub && t.sub->connect;
  else if (!t.sub)
    known = t.res->allows(wanted) || (r.what == verb::get && !t.res->stored && t.res->allows("get"));
  else
    for (const auto& v : t.sub->verbs)
      known = known || v == wanted;
  // A name makes no create, and no name makes no update: the method does not fit the path.
  const bool shape = t.sub != nullptr || ((r.what != verb::create || r.name.empty()) &&
                                          (!r.name.empty() || (r.what != verb::update && r.what != verb::patch)));
  if (!known || !shape) return errors::method_not_allowed(wanted, name_of(*t.res));
  return t;
}

} // namespace troupe::apiserver
