#include "actors/support/calls.hpp"

namespace troupe::calls {

namespace {
std::shared_ptr<request> blank(const component_env& env, verb what, resource_ref ref) {
  auto r = std::make_shared<request>();
  r->who = env.who;
  r->what = what;
  r->group = ref.group;
  r->version = ref.version;
  r->plural = ref.plural;
  r->accept = "application/json";
  r->user_agent = env.who.user;
  r->fence_term = env.fence_term;
  return r;
}

request_ptr patch(const component_env& env, resource_ref ref, std::string ns, std::string name, json::value doc,
                  std::string subresource, std::string_view type) {
  auto r = blank(env, verb::patch, ref);
  r->ns = std::move(ns);
  r->name = std::move(name);
  r->subresource = std::move(subresource);
  r->content_type = type;
  r->body = std::make_shared<const json::value>(std::move(doc));
  return r;
}
} // namespace

request_ptr get(const component_env& env, resource_ref ref, std::string ns, std::string name, std::string subresource) {
  auto r = blank(env, verb::get, ref);
  r->ns = std::move(ns);
  r->name = std::move(name);
  r->subresource = std::move(subresource);
  return r;
}

request_ptr create(const component_env& env, resource_ref ref, std::string ns, json::value doc, std::string name,
                   std::string subresource) {
  auto r = blank(env, verb::create, ref);
  r->ns = std::move(ns);
  r->name = std::move(name);
  r->subresource = std::move(subresource);
  r->content_type = "application/json";
  r->body = std::make_shared<const json::value>(std::move(doc));
  return r;
}

request_ptr update(const component_env& env, resource_ref ref, json::value doc, std::string subresource) {
  auto r = blank(env, verb::update, ref);
  r->ns = jq::str(doc, {"metadata", "namespace"});
  r->name = jq::str(doc, {"metadata", "name"});
  r->subresource = std::move(subresource);
  r->content_type = "application/json";
  r->body = std::make_shared<const json::value>(std::move(doc));
  return r;
}

request_ptr merge_patch(const component_env& env, resource_ref ref, std::string ns, std::string name, json::value doc,
                        std::string subresource) {
  return patch(env, ref, std::move(ns), std::move(name), std::move(doc), std::move(subresource),
               "application/merge-patch+json");
}

request_ptr strategic_patch(const component_env& env, resource_ref ref, std::string ns, std::string name,
                            json::value doc, std::string subresource) {
  return patch(env, ref, std::move(ns), std::move(name), std::move(doc), std::move(subresource),
               "application/strategic-merge-patch+json");
}

request_ptr json_patch(const component_env& env, resource_ref ref, std::string ns, std::string name, json::value doc,
                       std::string subresource) {
  return patch(env, ref, std::move(ns), std::move(name), std::move(doc), std::move(subresource),
               "application/json-patch+json");
}

request_ptr remove(const component_env& env, resource_ref ref, std::string ns, std::string name, json::value options) {
  auto r = blank(env, verb::delete_, ref);
  r->ns = std::move(ns);
  r->name = std::move(name);
  if (!options.is_null()) {
    r->content_type = "application/json";
    r->body = std::make_shared<const json::value>(std::move(options));
  }
  return r;
}

} // namespace troupe::calls
