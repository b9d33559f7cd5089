#include "actors/apiserver/conversion.hpp"
#include "actors/apiserver/freshness.hpp"
#include "actors/apiserver/past_view.hpp"
#include "actors/apiserver/read.hpp"
#include "actors/apiserver/selection.hpp"
#include "api/table/table.hpp"
#include "net/tls/jwt.hpp"

#include <charconv>

namespace troupe::apiserver {

std::string page_token::encode() const {
  json::object o;
  o["v"] = "meta.k8s.io/v1";
  o["rv"] = rev;
  o["start"] = ns + '\0' + name;
  return tls::base64url_encode(json::serialize(o));
}

result<page_token> page_token::decode(std::string_view text) {
  const auto bad = [](const char* why) {
    return errors::bad_request(std::string("continue key is not valid: ") + why);
  };
  std::string raw;
  if (!tls::base64url_decode(text, raw)) return bad("illegal base64 data");
  boost::system::error_code ec;
  const auto doc = json::parse(raw, ec);
  if (ec || jq::str(doc, {"v"}) != "meta.k8s.io/v1") return bad("unrecognized encoding");
  page_token t;
  const auto rev = jq::num(doc, {"rv"}, -1);
  const auto start = jq::str(doc, {"start"});
  const auto cut = start.find('\0');
  if (rev < 0 || cut == std::string_view::npos) return bad("incorrect encoded start resourceVersion or key");
  t.rev = static_cast<store::revision>(rev);
  t.ns = start.substr(0, cut);
  t.name = start.substr(cut + 1);
  return t;
}

namespace {

struct list_plan {
  store::view_ptr state;
  std::size_t limit = 0;
  page_token from;
  bool past = false; // `state` is this request's own
};

status list_invalid(const char* path, const char* what) {
  return errors::invalid("ListOptions", "meta.k8s.io", "", {field::forbidden(path, what)});
}

/// Sets the state of exactly that revision: the newest, one kept for pages, or one made from the history.
result<void> state_at(const read_env& e, store::revision rev, list_plan& p) {
  if (rev == e.state->rev()) return {};
  if ((p.state = e.s.pins->find(rev, std::chrono::steady_clock::now()))) return {};
  auto then = view_at(*e.s.options.hub, e.state, e.t.stored->store_key, rev);
  if (!then) return then.error();
  p.state = std::move(*then);
  p.past = true;
  return {};
}

/// Which snapshot answers, by the rules of resourceVersion, resourceVersionMatch and continue.
result<list_plan> choose_state(const read_env& e) {
  list_plan p;
  p.state = e.state;
  const auto rv = e.req.param("resourceVersion"), match = e.req.param("resourceVersionMatch");
  const auto token = e.req.param("continue");
  if (const auto text = e.req.param("limit"); !text.empty()) {
    std::int64_t n = 0;
    const auto r = std::from_chars(text.data(), text.data() + text.size(), n);
    if (r.ec != std::errc{} || r.ptr != text.data() + text.size())
      return errors::bad_request("limit: \"" + std::string(text) + "\" is no number");
    if (n > 0) p.limit = static_cast<std::size_t>(n);
  }
  if (!e.req.param("sendInitialEvents").empty())
    return list_invalid("sendInitialEvents", "sendInitialEvents is forbidden for list");
  if (!match.empty() && match != "Exact" && match != "NotOlderThan")
    return errors::invalid(
        "ListOptions", "meta.k8s.io", "",
        {field::not_supported("resourceVersionMatch", json::value(std::string(match)), {"Exact", "NotOlderThan"})});
  if (!match.empty() && rv.empty())
    return list_invalid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided");
  if (!token.empty()) {
    if (!match.empty())
      return list_invalid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
    if (!rv.empty() && rv != "0")
      return errors::bad_request("specifying resource version is not allowed when using continue");
    auto t = page_token::decode(token);
    if (!t) return t.error();
    p.from = *t;
    if (p.from.rev == 0) return p;
    if (p.from.rev > e.state->rev()) return too_new(p.from.rev, e.state->rev());
    if (auto found = state_at(e, p.from.rev, p); !found) {
      if (found.error().code != 410) return found.error();
      auto s = errors::expired(
          "The provided continue parameter is too old to display a consistent list result. You can start a new list "
          "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
          "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
          "modified, or deleted between the time the first chunk was returned and now may show up in the list.");
      s.continue_token = page_token{0, p.from.ns, p.from.name}.encode();
      return s;
    }
    return p;
  }
  if (rv.empty()) return p;
  auto asked = parse_revision(rv);
  if (!asked) return asked.error();
  if (*asked == 0) {
    if (match == "Exact")
      return list_invalid("resourceVersionMatch",
                          "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    return p;
  }
  if (*asked > e.state->rev()) return too_new(*asked, e.state->rev());
  const bool exact = match == "Exact" || (match.empty() && p.limit > 0);
  if (exact)
    if (auto found = state_at(e, *asked, p); !found) return found.error();
  return p;
}

/// Collects what goes on this page.
struct page {
  std::vector<store::object_ptr> items;
  page_token next;
  bool more = false;
  std::optional<std::int64_t> remaining;
};

page collect(const read_env& e, const list_plan& p, const selection& which) {
  page out;
  const auto& table = e.t.stored->store_key;
  if (const auto name = which.pinned_name(); name && (!e.req.ns.empty() || !e.t.res->namespaced)) {
    if (auto o = p.state->get(table, e.req.ns, *name); o && which.matches(*o)) out.items.push_back(std::move(o));
    return out;
  }
  const bool all = which.everything();
  if (p.limit == 0 && all) out.items.reserve(p.state->count(table, e.req.ns));
  std::int64_t skipped = 0;
  p.state->scan(table, e.req.ns, p.from.ns, p.from.name, [&](const store::object_ptr& o) {
    if (!all && !which.matches(*o)) return true;
    if (p.limit > 0 && out.items.size() == p.limit) {
      out.more = true;
      ++skipped;
      return all; // counts what remains, when that is told at all
    }
    out.items.push_back(o);
    return true;
  });
  if (out.more) {
    const auto& last = *out.items.back();
    out.next = {p.state->rev(), last.ns, last.name};
    if (all) out.remaining = skipped;
  }
  return out;
}

void append_list_head(std::string& out, std::string_view kind, std::string_view api_version,
                      const table::list_meta& m) {
  out.append(R"({"kind":")").append(kind).append(R"(","apiVersion":")").append(api_version);
  out.append(R"(","metadata":{"resourceVersion":")").append(m.resource_version).append("\"");
  if (!m.continue_token.empty()) out.append(R"(,"continue":")").append(m.continue_token).append("\"");
  if (m.remaining) out.append(R"(,"remainingItemCount":)").append(std::to_string(*m.remaining));
  out.append(R"(},"items":[)");
}

std::string plain_list(const read_env& e, const page& p, const table::list_meta& m, const wanted_form& form) {
  const bool partial = form.what == wanted_form::shape::partial;
  std::string out;
  std::size_t size = 256;
  for (const auto& o : p.items)
    size += o->bytes.size() + 1;
  out.reserve(size);
  append_list_head(out, partial ? "PartialObjectMetadataList" : std::string_view(e.t.res->list_kind),
                   partial ? form.meta_version : std::string_view(e.t.res->api_version), m);
  bool first = true;
  for (const auto& o : p.items) {
    if (!first) out.push_back(',');
    first = false;
    if (!partial && e.t.res == e.t.stored) {
      out.append(o->bytes);
      continue;
    }
    auto doc = o->parse();
    if (e.t.res != e.t.stored) from_stored(*e.t.res, doc);
    out.append(json::serialize(partial ? partial_metadata(doc, form.meta_version) : doc));
  }
  out.append("]}\n");
  return out;
}

} // namespace

result<response> read_list(const read_env& e) {
  if (!e.t.res->stored) return read_object(e);
  auto form = negotiate(e.req.accept);
  if (!form) return form.error();
  auto which = selection::read(e.req, *e.t.res, *e.t.stored);
  if (!which) return which.error();
  auto plan = choose_state(e);
  if (!plan) return plan.error();
  const auto p = collect(e, *plan, *which);
  table::list_meta m;
  m.resource_version = std::to_string(plan->state->rev());
  if (p.more) {
    m.continue_token = p.next.encode();
    m.remaining = p.remaining;
    if (!plan->past) e.s.pins->pin(plan->state, std::chrono::steady_clock::now());
  }
  response r;
  if (form->yaml) r.content_type = "application/yaml";
  if (form->what != wanted_form::shape::table) {
    r.body = plain_list(e, p, m, *form);
    return r;
  }
  table::options o;
  o.now = e.now;
  o.api_version = form->meta_version;
  const auto include = table::parse_include_object(e.req.param("includeObject"));
  if (!include) return errors::bad_request("includeObject must be one of None, Metadata, Object");
  o.include = *include;
  table::table_writer w(*e.t.res, o);
  for (const auto& each : p.items) {
    auto doc = each->parse();
    if (e.t.res != e.t.stored) {
      from_stored(*e.t.res, doc);
      w.add(doc);
    } else {
      w.add(doc, each->bytes);
    }
  }
  r.body = w.finish(m) + "\n";
  return r;
}

result<response> read_component_statuses(const read_env& e) {
  const auto fault = group_fault(e.s);
  const auto one = [&](std::string_view name) {
    const bool good = name != "store" || fault.empty();
    json::object c;
    c["type"] = "Healthy";
    c["status"] = good ? "True" : "False";
    c["message"] = good ? std::string("ok") : fault;
    json::object o;
    o["kind"] = "ComponentStatus";
    o["apiVersion"] = "v1";
    json::object meta;
    meta["name"] = json::string(name);
    meta["creationTimestamp"] = nullptr;
    o["metadata"] = std::move(meta);
    json::array list;
    list.push_back(std::move(c));
    o["conditions"] = std::move(list);
    return o;
  };
  // This very answer was made by the api server; the store is well while its group is.
  response r;
  if (!e.req.name.empty()) {
    if (e.req.name != "store" && e.req.name != "apiserver") return errors::not_found(name_of(*e.t.res), e.req.name);
    r.body = json::serialize(one(e.req.name)) + "\n";
    return r;
  }
  json::object list;
  list["kind"] = "ComponentStatusList";
  list["apiVersion"] = "v1";
  list["metadata"] = json::object{};
  json::array items;
  items.push_back(one("apiserver"));
  items.push_back(one("store"));
  list["items"] = std::move(items);
  r.body = json::serialize(list) + "\n";
  return r;
}

} // namespace troupe::apiserver
