#include "api/meta/selector.hpp"

#include "api/meta/names.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

using namespace troupe;

namespace {
std::string fault(std::string_view s) {
  const auto r = label_selector::parse(s);
  return r ? "ok: " + r->to_string() : r.error().message;
}
std::vector<label_selector::pair> labels(std::initializer_list<label_selector::pair> l) {
  std::vector<label_selector::pair> v{l};
  std::sort(v.begin(), v.end());
  return v;
}
bool matches(std::string_view s, const std::vector<label_selector::pair>& l) {
  const auto r = label_selector::parse(s);
  REQUIRE_MESSAGE(r.has_value(), s);
  json::object o;
  for (const auto& [k, v] : l)
    o[k] = v;
  CHECK(r->matches(l) == r->matches(o));
  return r->matches(l);
}
} // namespace

TEST_CASE("selectors of a query are read and written") {
  CHECK(fault("") == "ok: ");
  CHECK(fault("b=c,a==d") == "ok: a==d,b=c");
  CHECK(fault("x in (c,a,b)") == "ok: x in (a,b,c)");
  CHECK(fault("x notin (a)") == "ok: x notin (a)");
  CHECK(fault(" x , !y ") == "ok: x,!y");
  CHECK(fault("x!=1") == "ok: x!=1");
  CHECK(fault("x=") == "ok: x=");
  CHECK(fault("x>5,y<3") == "ok: x>5,y<3");
  CHECK(fault("in in (in,notin)") == "ok: in in (in,notin)");
  CHECK(fault("x in ()") == "ok: x in ()");
  CHECK(fault("x in (,)") == "ok: x in ()");
}

TEST_CASE("a selector out of form is refused with the parser's words") {
  CHECK(fault("a,") == "found '', expected: identifier after ','");
  CHECK(fault(",") == "found ',', expected: !, identifier, or 'end of string'");
  CHECK(fault("a b") == "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt");
  CHECK(fault("x in a") == "unable to parse requirement: found 'a' expected: '('");
  CHECK(fault("x in (a") == "unable to parse requirement: found '', expected: ',' or ')'");
  CHECK(fault("a=b=c") == "found '=', expected: ',' or 'end of string'");
  CHECK(fault("!") == "unable to parse requirement: found '', expected: identifier");
  CHECK(fault("a=$").starts_with(
      "unable to parse requirement: values[0][a]: Invalid value: \"$\": a valid label must be"));
  CHECK(fault("a$=b").starts_with("unable to parse requirement: <nil>: Invalid value: \"a$\": name part must consist"));
  CHECK(fault("x>y") == "unable to parse requirement: values[0]: Invalid value: \"y\": for 'Gt', 'Lt' operators, the "
                        "value must be an integer");
}

TEST_CASE("selectors match labels") {
  const auto l = labels({{"app", "web"}, {"tier", "front"}, {"n", "5"}});
  CHECK(matches("", l));
  CHECK(matches("app=web,tier", l));
  CHECK_FALSE(matches("app=db", l));
  CHECK(matches("app!=db", l));
  CHECK(matches("other!=x", l));
  CHECK(matches("app in (web,db)", l));
  CHECK_FALSE(matches("other in (x)", l));
  CHECK(matches("other notin (x)", l));
  CHECK(matches("!other", l));
  CHECK_FALSE(matches("!app", l));
  CHECK(matches("n>4,n<6", l));
  CHECK_FALSE(matches("app>4", l));
}

TEST_CASE("the object form: null selects nothing, empty selects everything") {
  CHECK_FALSE(label_selector::from_object(nullptr)->matches(labels({})));
  const json::value empty = json::object{};
  CHECK(label_selector::from_object(&empty)->matches(labels({{"a", "b"}})));
  const auto full = json::parse(
      R"({"matchLabels":{"b":"1"},"matchExpressions":[{"key":"a","operator":"In","values":["y","x"]},{"key":"c","operator":"DoesNotExist"}]})");
  const auto s = label_selector::from_object(&full);
  REQUIRE(s.has_value());
  CHECK(s->to_string() == "a in (x,y),b=1,!c");
  CHECK(s->matches(labels({{"a", "x"}, {"b", "1"}})));
  const auto bad = json::parse(R"({"matchExpressions":[{"key":"a","operator":"Is"}]})");
  CHECK(label_selector::from_object(&bad).error().message == "\"Is\" is not a valid label selector operator");
}

TEST_CASE("what a selector prints selects the same, for random selectors and labels") {
  random_source r{5};
  const std::string keys[] = {"a", "b", "example.com/c"}, values[] = {"", "1", "2", "x"};
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (std::uint64_t n = r.below(4); n-- > 0;) {
      const auto& k = keys[r.below(3)];
      const auto& v = values[r.below(4)];
      const auto& w = values[r.below(4)];
      const std::string forms[] = {
          k, "!" + k, k + "=" + v, k + "!=" + v, k + " in (" + v + "," + w + ")", k + " notin (" + v + ")"};
      text += (text.empty() ? "" : ",") + forms[r.below(6)];
    }
    const auto a = label_selector::parse(text);
    REQUIRE_MESSAGE(a.has_value(), text);
    const auto b = label_selector::parse(a->to_string());
    REQUIRE_MESSAGE(b.has_value(), a->to_string());
    std::map<std::string, std::string> m;
    for (const auto& k : keys)
      if (r.below(2)) m[k] = values[r.below(4)];
    const std::vector<label_selector::pair> l{m.begin(), m.end()};
    CHECK(a->matches(l) == b->matches(l));
    CHECK(a->to_string() == b->to_string());
  }
}

TEST_CASE("any bytes are either a selector or an error, never a crash") {
  random_source r{6};
  const std::string_view alphabet = "ab=!(),<> inot\\.";
  for (int i = 0; i < 20000; ++i) {
    std::string s;
    for (auto n = r.below(12); n-- > 0;)
      s += alphabet[r.below(alphabet.size())];
    (void)label_selector::parse(s).has_value();
    (void)field_selector::parse(s).has_value();
  }
  CHECK(true);
}

TEST_CASE("field selectors name a field and a value, with escapes") {
  const auto s = field_selector::parse("metadata.name=a,status.phase!=Running,x==1\\,2");
  REQUIRE(s.has_value());
  CHECK(s->requirements().size() == 3);
  CHECK(*s->pinned("metadata.name") == "a");
  CHECK_FALSE(s->pinned("status.phase").has_value());
  CHECK(s->requirements()[2].value == "1,2");
  CHECK(s->to_string() == "metadata.name=a,status.phase!=Running,x=1\\,2");
  CHECK(field_selector::parse("abc").error().message == "invalid selector: 'abc'; can't understand 'abc'");
  const auto o = json::parse(R"({"metadata":{"name":"a"},"status":{"phase":"Pending"},"x":"1,2"})");
  CHECK(s->matches(o));
  const auto* pods = schema::registry::get().find("", "v1", "pods");
  CHECK(s->check(*pods).error().message == "field label not supported: x");
}

TEST_CASE("fields that are not paths have the value that clients mean") {
  const auto event = json::parse(R"({"source":{"component":"kubelet"},"involvedObject":{"name":"p"}})");
  CHECK(selectable_field(event, "source") == "kubelet");
  CHECK(selectable_field(event, "regarding.name") == "p");
  CHECK(selectable_field(json::parse(R"({"spec":{}})"), "spec.unschedulable") == "false");
  CHECK(selectable_field(json::parse(R"({"status":{"succeeded":2}})"), "status.successful") == "2");
}
