// member_answers: how orders about the masters are answered.
// Owner:  free functions; pure.
// Units:  -
// Errors: Status bodies as everywhere.
// Source: ours.
#pragma once

#include "actors/node/member_planner.hpp"
#include "api/request.hpp"

namespace troupe::node {

response_ptr answer_with(int code, const json::value& body);
response_ptr refused(status s);
/// It is as the order wants it.
response_ptr done_answer(const member_order& o, const store::view& state, const group_report& g);
/// 202: it will be, without the one who asked.
response_ptr goes_on(const member_order& o);
/// 202: it will be when the master answers where it was said to be, which it did not.
response_ptr goes_on_unheard(const member_order& o);

} // namespace troupe::node
