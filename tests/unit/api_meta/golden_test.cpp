// Golden files: tests/golden/{validation,patch,table}/*.in.yaml hold lists of cases, *.out what comes out.
// UPDATE_GOLDEN=1 writes the .out files anew; read the diff.
#include "api/patch/patch.hpp"
#include "api/table/table.hpp"
#include "tests/unit/api_meta/fixture.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace troupe;
namespace fs = std::filesystem;

namespace {

std::string read(const fs::path& p) {
  std::ifstream in{p, std::ios::binary};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<fs::path> inputs(const char* area) {
  std::vector<fs::path> out;
  for (const auto& e : fs::directory_iterator{fs::path{GOLDEN_DIR} / area})
    if (e.path().string().ends_with(".in.yaml")) out.push_back(e.path());
  std::sort(out.begin(), out.end());
  REQUIRE_FALSE(out.empty());
  return out;
}

void expect(const fs::path& input, const std::string& got) {
  auto text = input.string();
  const fs::path out = text.substr(0, text.size() - std::string_view{".in.yaml"}.size()) + ".out";
  if (std::getenv("UPDATE_GOLDEN")) std::ofstream{out, std::ios::binary} << got;
  CHECK_MESSAGE(read(out) == got, out.string());
}

/// Each case of the file as `# name` and what `run` makes of it.
template <class F>
void play(const char* area, F run) {
  for (const auto& path : inputs(area)) {
    const auto doc = test::yaml(read(path));
    std::string out;
    for (const auto& c : doc.as_array()) {
      INFO(path.string(), ": ", jq::str(c, {"name"}));
      out.append("# ").append(jq::str(c, {"name"})).append("\n").append(run(c)).append("\n");
    }
    expect(path, out);
  }
}

std::string validate(const json::value& c) {
  if (!jq::find(c, {"old"})) {
    auto doc = c.at("object");
    test::normalize(doc);
    random_source random{7};
    kinds::write_context ctx;
    ctx.now = test::noon;
    ctx.random = &random;
    if (const auto ok = kinds::prepare_create(test::resource_of(doc), doc, ctx); !ok) return ok.error().message;
    return test::message_of(doc, test::create_faults(doc));
  }
  auto old = test::created(c.at("old"));
  jq::at(old, {"metadata", "resourceVersion"}) = "1";
  if (const auto* state = jq::find(c, {"status"})) old.as_object()["status"] = *state;
  // `change` is a merge patch on the stored object; `object` a whole new one.
  auto doc = jq::find(c, {"change"}) ? patch::merge_patch(old, c.at("change")) : c.at("object");
  if (const auto ok = test::update(doc, old, jq::str(c, {"subresource"})); !ok) return ok.error().message;
  return test::message_of(doc, test::update_faults(doc, old, jq::str(c, {"subresource"})));
}

std::string apply(const json::value& c) {
  const auto kind = jq::str(c, {"type"});
  const auto& doc = c.at("live");
  const auto& p = c.at("patch");
  result<json::value> out = kind == "json"    ? patch::json_patch(doc, p)
                            : kind == "merge" ? result<json::value>{patch::merge_patch(doc, p)}
                                              : [&]() -> result<json::value> {
    const auto* t = schema::registry::get().find_type(jq::str(c, {"of"}, "io.k8s.api.core.v1.Pod"));
    REQUIRE(t);
    return patch::strategic_merge_patch(*t, doc, p);
  }();
  if (out) return json::serialize(*out);
  auto text = std::to_string(out.error().code) + " " + out.error().message;
  for (const auto& cause : out.error().causes)
    text += " | " + cause.message;
  return text;
}

std::string print(const json::value& c) {
  table::options o;
  o.now = test::noon;
  const auto& items = jq::arr(c, {"items"});
  const std::vector<json::value> list{items.begin(), items.end()};
  const auto doc = json::parse(table::render_table(test::resource(jq::str(c, {"resource"})), list, o, {}));
  table::text_options t;
  t.wide = true;
  auto out = table::to_text(doc, t);
  // Blanks at line ends would be lost in editors.
  std::string shown;
  std::istringstream lines{out};
  for (std::string line; std::getline(lines, line);) {
    while (line.ends_with(' '))
      line.pop_back();
    shown += line + "\n";
  }
  return shown;
}

} // namespace

TEST_CASE("objects are accepted and refused as the golden files say") { play("validation", validate); }
TEST_CASE("patches come out as the golden files say") { play("patch", apply); }
TEST_CASE("tables print as the golden files say") { play("table", print); }
