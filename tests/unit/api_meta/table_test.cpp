#include "api/table/table.hpp"

#include "tests/unit/api_meta/fixture.hpp"

using namespace troupe;

namespace {
table::options at_noon() {
  table::options o;
  o.now = test::noon;
  return o;
}
} // namespace

TEST_CASE("every table of the data has as many cells as columns") {
  const auto& data = schema::registry::get().printers();
  const json::value empty = json::object{};
  std::size_t seen = 0;
  for (const auto& t : jq::arr(data, {"tables"})) {
    const auto plural = jq::str(t, {"resource"});
    INFO(jq::str(t, {"group"}), "/", plural);
    std::string text;
    if (plural == "*/scale") {
      text = table::render_scale(empty, at_noon());
    } else if (plural == "*status") {
      text = table::render_status(empty, at_noon());
    } else {
      schema::resource r;
      r.group = jq::str(t, {"group"});
      r.plural = plural;
      text = table::render_row(r, empty, at_noon());
    }
    const auto doc = json::parse(text);
    REQUIRE(jq::arr(doc, {"rows"}).size() == 1);
    CHECK(jq::arr(jq::arr(doc, {"rows"})[0], {"cells"}).size() == jq::arr(t, {"columns"}).size());
    CHECK(jq::arr(doc, {"columnDefinitions"}).size() == jq::arr(t, {"columns"}).size());
    ++seen;
  }
  CHECK(seen >= 55);
}

TEST_CASE("integer columns hold numbers and boolean ones booleans, but for cells that print None") {
  const auto& data = schema::registry::get().printers();
  const json::value empty = json::object{};
  for (const auto& t : jq::arr(data, {"tables"})) {
    const auto plural = jq::str(t, {"resource"});
    if (plural.starts_with('*')) continue;
    schema::resource r;
    r.group = jq::str(t, {"group"});
    r.plural = plural;
    const auto doc = json::parse(table::render_row(r, empty, at_noon()));
    const auto& cells = jq::arr(jq::arr(doc, {"rows"})[0], {"cells"});
    const auto& columns = jq::arr(t, {"columns"});
    for (std::size_t i = 0; i < columns.size(); ++i) {
      INFO(plural, " ", jq::str(columns[i], {"name"}));
      if (jq::str(columns[i], {"type"}) == "integer") CHECK(cells[i].is_number());
    }
  }
}

TEST_CASE("rows carry metadata, the object or nothing, as asked") {
  const auto pod = json::parse(
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n","resourceVersion":"5"},"status":{"phase":"Succeeded"}})");
  auto o = at_noon();
  auto doc = json::parse(table::render_row(test::resource("pods"), pod, o));
  CHECK(jq::str(doc, {"kind"}) == "Table");
  CHECK(jq::str(doc, {"apiVersion"}) == "meta.k8s.io/v1");
  CHECK(jq::str(doc, {"metadata", "resourceVersion"}) == "5");
  const auto& row = jq::arr(doc, {"rows"})[0];
  CHECK(jq::str(row, {"object", "kind"}) == "PartialObjectMetadata");
  CHECK(jq::str(row, {"object", "metadata", "namespace"}) == "n");
  CHECK(jq::str(jq::arr(row, {"conditions"})[0], {"reason"}) == "Succeeded");
  o.include = table::include_object::object;
  doc = json::parse(table::render_row(test::resource("pods"), pod, o));
  CHECK(jq::arr(doc, {"rows"})[0].at("object") == pod);
  doc = json::parse(table::render_row(test::resource("pods"), pod, o, R"({"exact":"bytes"})"));
  CHECK(jq::str(jq::arr(doc, {"rows"})[0], {"object", "exact"}) == "bytes");
  o.include = table::include_object::none;
  o.with_columns = false;
  doc = json::parse(table::render_row(test::resource("pods"), pod, o));
  CHECK(jq::arr(doc, {"rows"})[0].at("object").is_null());
  CHECK(jq::arr(doc, {"columnDefinitions"}).empty());
}

TEST_CASE("a list copies its metadata, and an empty list has its columns") {
  const auto doc = json::parse(table::render_table(test::resource("pods"), {}, at_noon(), {"9", "tok", 3}));
  CHECK(jq::str(doc, {"metadata", "resourceVersion"}) == "9");
  CHECK(jq::str(doc, {"metadata", "continue"}) == "tok");
  CHECK(jq::num(doc, {"metadata", "remainingItemCount"}) == 3);
  CHECK(jq::arr(doc, {"rows"}).empty());
  CHECK_FALSE(jq::arr(doc, {"columnDefinitions"}).empty());
}

TEST_CASE("flow schemas come by precedence, then name") {
  const std::vector<json::value> items{json::parse(R"({"metadata":{"name":"b"},"spec":{"matchingPrecedence":5}})"),
                                       json::parse(R"({"metadata":{"name":"a"},"spec":{"matchingPrecedence":5}})"),
                                       json::parse(R"({"metadata":{"name":"z"},"spec":{"matchingPrecedence":1}})")};
  const auto doc = json::parse(table::render_table(test::resource("flowschemas"), items, at_noon(), {}));
  std::string order;
  for (const auto& r : jq::arr(doc, {"rows"}))
    order += jq::view(jq::arr(r, {"cells"})[0].as_string());
  CHECK(order == "zab");
}

TEST_CASE("a kind without a table shows name and creation, a custom one name and age") {
  schema::resource r;
  r.group = "example.com";
  r.plural = "widgets";
  const auto o = json::parse(R"({"metadata":{"name":"w","creationTimestamp":"2026-11-23T00:00:00Z"}})");
  const auto text = table::to_text(json::parse(table::render_row(r, o, at_noon())), {});
  CHECK(text == "NAME   AGE\nw      12h\n");
  r.group = "";
  r.version = "v1";
  r.plural = "bindings";
  const auto plain = table::to_text(json::parse(table::render_row(r, o, at_noon())), {});
  CHECK(plain == "NAME   CREATED AT\nw      2026-11-23T00:00:00Z\n");
}

TEST_CASE("text aligns columns, hides wide ones, and counts characters") {
  const auto t = json::parse(
      R"({"columnDefinitions":[{"name":"Name","priority":0},{"name":"Ready","priority":0},{"name":"Node","priority":1}],
          "rows":[{"cells":["grün","1/1","n1"],"object":{"metadata":{"namespace":"ns"}}},{"cells":["b\nc",2,"n2"],"object":null}]})");
  CHECK(table::to_text(t, {}) == "NAME   READY\ngrün   1/1\nb\\nc   2\n");
  table::text_options o;
  o.wide = true;
  o.with_namespace = true;
  CHECK(table::to_text(t, o) ==
        "NAMESPACE   NAME   READY   NODE\nns          grün   1/1     n1\n            b\\nc   2       n2\n");
  o = {};
  o.headers = false;
  o.name_prefix = "pod/";
  CHECK(table::to_text(t, o) == "pod/grün   1/1\npod/b\\nc   2\n");
}
