#include "api/patch/patch.hpp"

#include "api/meta/names.hpp"
#include "tests/unit/api_meta/fixture.hpp"

using namespace troupe;

namespace {

json::value random_value(random_source& r, int depth) {
  switch (r.below(depth > 0 ? 6 : 4)) {
  case 0: return static_cast<std::int64_t>(r.below(4));
  case 1: return r.below(2) == 0;
  case 2: return json::string(std::string(1, static_cast<char>('a' + r.below(4))));
  case 3: return "";
  case 4: {
    json::array a;
    for (auto n = r.below(4); n-- > 0;)
      a.push_back(random_value(r, depth - 1));
    return a;
  }
  default: {
    json::object o;
    for (auto n = r.below(4); n-- > 0;)
      o[std::string(1, static_cast<char>('k' + r.below(4)))] = random_value(r, depth - 1);
    return o;
  }
  }
}

json::value random_object(random_source& r) {
  json::object o;
  for (auto n = r.below(5); n-- > 0;)
    o[std::string(1, static_cast<char>('k' + r.below(4)))] = random_value(r, 3);
  return o;
}

std::string json_patch_fault(std::string_view doc, std::string_view p) {
  const auto out = patch::json_patch(json::parse(doc), json::parse(p));
  if (out) return json::serialize(*out);
  return std::to_string(out.error().code) + " " +
         (out.error().causes.empty() ? out.error().message : out.error().causes[0].message);
}

const schema::type& pod_spec() { return *schema::registry::get().find_type("io.k8s.api.core.v1.PodSpec"); }

/// The strategic patch that turns containers `from` into `to`, as kubectl would write it: order, deletions, changes.
json::value list_patch(const json::array& from, const json::array& to) {
  json::array order, changes;
  for (const auto& c : to) {
    json::object key;
    key["name"] = c.at("name");
    order.push_back(key);
    const json::value* same = nullptr;
    for (const auto& f : from)
      if (f.at("name") == c.at("name")) same = &f;
    if (!same) changes.push_back(c);
    if (same && *same != c) {
      auto diff = patch::merge_diff(*same, c).as_object();
      diff["name"] = c.at("name");
      changes.push_back(std::move(diff));
    }
  }
  for (const auto& f : from) {
    bool kept = false;
    for (const auto& c : to)
      kept |= f.at("name") == c.at("name");
    if (kept) continue;
    json::object gone;
    gone["$patch"] = "delete";
    gone["name"] = f.at("name");
    changes.push_back(std::move(gone));
  }
  json::object out;
  if (!changes.empty()) out["containers"] = std::move(changes);
  out["$setElementOrder/containers"] = std::move(order);
  return out;
}

json::array random_containers(random_source& r) {
  json::array out;
  std::vector<std::string> names{"a", "b", "c", "d", "e"};
  while (!names.empty()) {
    const auto at = r.below(names.size());
    if (r.below(3) != 0) {
      json::object c;
      c["name"] = names[at];
      c["image"] = std::string(1, static_cast<char>('x' + r.below(3)));
      if (r.below(2)) c["tty"] = true;
      out.push_back(std::move(c));
    }
    names.erase(names.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return out;
}

} // namespace

TEST_CASE("RFC 7386 examples") {
  const std::tuple<const char*, const char*, const char*> table[] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"a":"foo"})", "null", "null"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"}};
  for (const auto& [doc, p, out] : table) {
    INFO(doc, " + ", p);
    CHECK(patch::merge_patch(json::parse(doc), json::parse(p)) == json::parse(out));
  }
}

TEST_CASE("the merge patch made from two documents turns one into the other") {
  random_source r{1};
  for (int i = 0; i < 3000; ++i) {
    const auto a = random_object(r), b = random_object(r);
    CHECK(patch::merge_patch(a, patch::merge_diff(a, b)) == b);
    CHECK(patch::merge_diff(a, a) == json::value(json::object{}));
    const auto once = patch::merge_patch(a, b);
    CHECK(patch::merge_patch(once, b) == once);
  }
}

TEST_CASE("RFC 6902 operations") {
  CHECK(json_patch_fault(R"({"a":1})", R"([{"op":"add","path":"/b","value":[1]}])") == R"({"a":1,"b":[1]})");
  CHECK(json_patch_fault(R"({"a":[1,3]})",
                         R"([{"op":"add","path":"/a/1","value":2},{"op":"add","path":"/a/-","value":4}])") ==
        R"({"a":[1,2,3,4]})");
  CHECK(json_patch_fault(R"({"a":1,"b":2})", R"([{"op":"remove","path":"/a"}])") == R"({"b":2})");
  CHECK(json_patch_fault(R"({"a":{"b":1}})", R"([{"op":"move","from":"/a/b","path":"/c"}])") == R"({"a":{},"c":1})");
  CHECK(json_patch_fault(R"({"a":{"b":1}})", R"([{"op":"copy","from":"/a","path":"/c"}])") ==
        R"({"a":{"b":1},"c":{"b":1}})");
  CHECK(json_patch_fault(R"({"a/b":1,"m~n":2})",
                         R"([{"op":"replace","path":"/a~1b","value":3},{"op":"remove","path":"/m~0n"}])") ==
        R"({"a/b":3})");
  CHECK(json_patch_fault(R"({"a":1})", R"([{"op":"test","path":"/a","value":1.0}])") == R"({"a":1})");
  CHECK(json_patch_fault(R"({"a":1})", R"([{"op":"replace","path":"","value":{"b":2}}])") == R"({"b":2})");
}

TEST_CASE("operations that cannot be done are 422 with a reason, and nothing is half done") {
  CHECK(json_patch_fault(R"({"a":1})", R"([{"op":"test","path":"/a","value":2}])") ==
        "422 testing value /a failed: test failed");
  CHECK(json_patch_fault(R"({"a":1})", R"([{"op":"replace","path":"/b","value":2}])") ==
        "422 replace operation does not apply: doc is missing key: /b: missing value");
  CHECK(json_patch_fault(R"({"a":1})", R"([{"op":"remove","path":"/b"}])") ==
        "422 remove operation does not apply: doc is missing path: \"/b\": missing value");
  CHECK(json_patch_fault(R"({"a":[1]})", R"([{"op":"add","path":"/a/5","value":1}])") ==
        "422 Unable to access invalid index: 5: invalid index referenced");
  CHECK(json_patch_fault(R"({"a":1})", R"([{"op":"fly","path":"/a"}])") == "422 Unexpected kind: fly");
  CHECK(json_patch_fault(R"({"a":{"b":1}})", R"([{"op":"move","from":"/a","path":"/a/b"}])") ==
        "422 move operation cannot move a value into itself");
  CHECK(json_patch_fault(R"({})", R"({"op":"add"})").starts_with("400"));
  json::array many(patch::json_patch_operations_max + 1, json::parse(R"({"op":"test","path":"/a","value":1})"));
  const auto out = patch::json_patch(json::parse(R"({"a":1})"), many);
  CHECK(out.error().code == 413);
  CHECK(out.error().message == "The allowed maximum operations in a JSON patch is 10000, got 10001");
}

TEST_CASE("any JSON patch either applies or is refused, never crashes") {
  random_source r{2};
  const char* ops[] = {"add", "remove", "replace", "move", "copy", "test"};
  const char* paths[] = {"", "/k", "/l", "/k/0", "/k/-", "/m/k", "/n/1/l", "k", "/~1"};
  for (int i = 0; i < 5000; ++i) {
    json::array p;
    for (auto n = 1 + r.below(4); n-- > 0;) {
      json::object step;
      step["op"] = ops[r.below(6)];
      step["path"] = paths[r.below(9)];
      if (r.below(5)) step["from"] = paths[r.below(9)];
      if (r.below(5)) step["value"] = random_value(r, 2);
      p.push_back(std::move(step));
    }
    const auto out = patch::json_patch(random_object(r), p);
    if (!out) CHECK((out.error().code == 422 || out.error().code == 400));
  }
}

TEST_CASE("a strategic patch as kubectl writes it turns any list of containers into any other") {
  random_source r{3};
  for (int i = 0; i < 3000; ++i) {
    const auto from = random_containers(r), to = random_containers(r);
    json::value doc = json::object{};
    doc.as_object()["containers"] = from;
    const auto p = list_patch(from, to);
    INFO(json::serialize(from), " -> ", json::serialize(to), " by ", json::serialize(p));
    const auto out = patch::strategic_merge_patch(pod_spec(), doc, p);
    REQUIRE(out.has_value());
    CHECK(jq::arr(*out, {"containers"}) == to);
    CHECK(json::serialize(*out).find('$') == std::string::npos);
  }
}

TEST_CASE("a strategic patch never loses what another writer added to a merged list") {
  random_source r{4};
  for (int i = 0; i < 2000; ++i) {
    const auto from = random_containers(r), to = random_containers(r);
    json::value live = json::object{};
    live.as_object()["containers"] = from;
    live.as_object()["containers"].as_array().insert(live.as_object()["containers"].as_array().begin() +
                                                         static_cast<std::ptrdiff_t>(r.below(from.size() + 1)),
                                                     json::parse(R"({"name":"sidecar","image":"s"})"));
    const auto out = patch::strategic_merge_patch(pod_spec(), live, list_patch(from, to));
    REQUIRE(out.has_value());
    json::array mine;
    std::size_t others = 0;
    for (const auto& c : jq::arr(*out, {"containers"}))
      if (c.at("name") == "sidecar")
        ++others;
      else
        mine.push_back(c);
    CHECK(others == 1);
    CHECK(mine == to);
  }
}

TEST_CASE("random strategic patches are applied or refused, never crash") {
  random_source r{8};
  const char* keys[] = {"containers",   "$patch",
                        "$retainKeys",  "$setElementOrder/containers",
                        "volumes",      "$deleteFromPrimitiveList/containers",
                        "nodeSelector", "restartPolicy"};
  const char* words[] = {"delete", "replace", "merge", "name", "x"};
  const auto leaf = [&]() -> json::value {
    if (r.below(2)) return json::value(words[r.below(5)]);
    json::array a;
    for (auto n = r.below(3); n-- > 0;) {
      json::object o;
      if (r.below(4)) o["name"] = words[r.below(5)];
      if (r.below(3) == 0) o["$patch"] = words[r.below(5)];
      a.push_back(r.below(4) ? json::value(std::move(o)) : json::value(words[r.below(5)]));
    }
    return a;
  };
  for (int i = 0; i < 5000; ++i) {
    json::object p, doc;
    for (auto n = r.below(4); n-- > 0;)
      p[keys[r.below(8)]] = leaf();
    doc["containers"] = random_containers(r);
    if (r.below(2)) doc["nodeSelector"] = json::parse(R"({"a":"b"})");
    const auto out = patch::strategic_merge_patch(pod_spec(), doc, p);
    if (!out) CHECK((out.error().code == 422 || out.error().code == 400));
  }
}
