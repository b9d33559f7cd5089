#include "actors/apiserver/conversion.hpp"
#include "actors/apiserver/read.hpp"
#include "actors/apiserver/scale.hpp"
#include "api/table/table.hpp"

#include <charconv>

namespace troupe::apiserver {

result<store::revision> parse_revision(std::string_view text) {
  store::revision rev = 0;
  const auto* end = text.data() + text.size();
  const auto r = std::from_chars(text.data(), end, rev);
  if (r.ec != std::errc{} || r.ptr != end)
    return errors::invalid("ListOptions", "meta.k8s.io", "",
                           {field::invalid("resourceVersion", json::value(std::string(text)), "must be a number")});
  return rev;
}

status too_new(store::revision asked, store::revision now) {
  auto s =
      errors::timeout("Too large resource version: " + std::to_string(asked) + ", current: " + std::to_string(now));
  s.causes.push_back({"ResourceVersionTooLarge", "Too large resource version", ""});
  s.retry_after_s = 1;
  return s;
}

json::value partial_metadata(const json::value& doc, std::string_view meta_version) {
  json::object o;
  o["kind"] = "PartialObjectMetadata";
  o["apiVersion"] = json::string(meta_version);
  const auto* m = jq::find(doc, {"metadata"});
  o["metadata"] = m ? *m : json::value(json::object{});
  return o;
}

namespace {

table::options table_options(const request& req, const wanted_form& form, sys_micros now, result<void>& fault) {
  table::options o;
  o.now = now;
  o.api_version = form.meta_version;
  const auto include = table::parse_include_object(req.param("includeObject"));
  if (!include)
    fault = errors::bad_request("includeObject must be one of None, Metadata, Object");
  else
    o.include = *include;
  return o;
}

} // namespace

result<response> show(const schema::resource& res, const schema::resource& stored, const store::object_ptr& o,
                      const wanted_form& form, const request& req, sys_micros now) {
  response r;
  if (form.yaml) r.content_type = "application/yaml";
  if (form.what == wanted_form::shape::plain && &res == &stored) {
    r.object = o;
    return r;
  }
  auto doc = o->parse();
  if (&res != &stored) from_stored(res, doc);
  if (form.what == wanted_form::shape::table) {
    result<void> fault;
    const auto options = table_options(req, form, now, fault);
    if (!fault) return fault.error();
    r.body = table::render_row(res, doc, options);
  } else if (form.what == wanted_form::shape::partial) {
    r.body = json::serialize(partial_metadata(doc, form.meta_version));
  } else {
    r.body = json::serialize(doc);
  }
  r.body += '\n';
  return r;
}

result<response> read_object(const read_env& e) {
  if (!e.t.res->stored) {
    if (e.t.res->plural == "componentstatuses") return read_component_statuses(e);
    return errors::unavailable("the metrics of this cluster are not available yet");
  }
  auto form = negotiate(e.req.accept);
  if (!form) return form.error();
  if (const auto rv = e.req.param("resourceVersion"); !rv.empty() && rv != "0") {
    auto asked = parse_revision(rv);
    if (!asked) return asked.error();
    if (*asked > e.state->rev()) return too_new(*asked, e.state->rev());
  }
  auto o = e.state->get(e.t.stored->store_key, e.req.ns, e.req.name);
  if (!o) return errors::not_found(name_of(*e.t.res), e.req.name);
  if (e.req.subresource == "scale") {
    response r;
    const auto scale = scale_of(*e.t.res, o->parse());
    if (form->what == wanted_form::shape::table) {
      result<void> fault;
      const auto options = table_options(e.req, *form, e.now, fault);
      if (!fault) return fault.error();
      r.body = table::render_scale(scale, options) + "\n";
    } else {
      r.body = json::serialize(scale) + "\n";
    }
    return r;
  }
  return show(*e.t.res, *e.t.stored, o, *form, e.req, e.now);
}

} // namespace troupe::apiserver
