#include "actors/node/member_answers.hpp"

namespace troupe::node {

response_ptr answer_with(int code, const json::value& body) {
  auto r = std::make_shared<response>();
  r->code = code;
  r->body = json::serialize(body) + "\n";
  return r;
}

response_ptr refused(status s) {
  auto r = std::make_shared<response>();
  r->code = s.code;
  if (s.retry_after_s > 0) r->headers.emplace_back("Retry-After", std::to_string(s.retry_after_s));
  r->error = std::make_shared<const status>(std::move(s));
  return r;
}

response_ptr done_answer(const member_order& o, const store::view& state, const group_report& g) {
  if (o.what == member_order::op::list) return answer_with(200, member_list(state, g));
  static constexpr const char* words[] = {"", " belongs to the group", " no longer belongs to the group", " votes",
                                          " leads"};
  json::object body{{"message", o.row.name + words[static_cast<std::size_t>(o.what)]}};
  if (o.what == member_order::op::add && o.learner) body["message"] = o.row.name + " is a learner of the group";
  if (const auto row = find_master(state, o.row.name)) body["member"] = to_json(*row);
  if (const auto warning = even_warning(g.voters()); !warning.empty()) body["warning"] = warning;
  return answer_with(200, body);
}

response_ptr goes_on(const member_order& o) {
  const char* what = o.what == member_order::op::remove ? " is being removed" : " is being taken in";
  return answer_with(202, json::object{{"message", o.row.name + what +
                                                       "; it takes longer than this call waits and goes on by itself: "
                                                       "`troupe master ls` shows how far it is"}});
}

response_ptr goes_on_unheard(const member_order& o) {
  const auto& r = o.row;
  return answer_with(
      202, json::object{{"message", r.name + " does not answer at " + r.address + ":" + std::to_string(r.actors_port) +
                                        "; it is taken in when it does. Is `troupe up` running there, "
                                        "and is that its address? To give up: `troupe master remove " +
                                        r.name + "`"}});
}

} // namespace troupe::node
