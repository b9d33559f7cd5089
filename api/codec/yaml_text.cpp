#include "api/codec/tree_builder.hpp"
#include "api/codec/yaml_scalar.hpp"
#include "api/schema/scalars.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <sstream>

namespace troupe::codec {

namespace {

struct refused {
  YAML::Mark mark;
  std::string why;
};

struct cost {
  std::size_t values = 0;
  std::size_t bytes = 0;
};

void measure(const json::value& v, cost& c) {
  ++c.values;
  if (const auto* s = v.if_string()) c.bytes += s->size();
  if (const auto* a = v.if_array())
    for (const auto& e : *a)
      measure(e, c);
  if (const auto* o = v.if_object())
    for (const auto& kv : *o) {
      c.bytes += kv.key().size();
      measure(kv.value(), c);
    }
}

std::size_t height(const json::value& v) {
  std::size_t h = 0;
  if (const auto* a = v.if_array())
    for (const auto& e : *a)
      h = std::max(h, height(e));
  if (const auto* o = v.if_object())
    for (const auto& kv : *o)
      h = std::max(h, height(kv.value()));
  return v.is_structured() ? h + 1 : 0;
}

/// Writes a key that is no string as text, as sigs.k8s.io/yaml does; false for null and structures.
bool key_text(const json::value& v, std::string& out) {
  if (const auto* s = v.if_string()) {
    out.assign(s->data(), s->size());
    return true;
  }
  if (!v.is_number() && !v.is_bool()) return false;
  out = v.is_double() ? schema::format_number(v.get_double()) : json::serialize(v);
  return true;
}

/// Events of yaml-cpp to JSON. Aliases are copies of what their anchor holds, within a budget.
class events : public YAML::EventHandler {
public:
  tree_builder tree;
  bool seen = false;

  void OnDocumentStart(const YAML::Mark&) override { seen = true; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { value(mark, anchor, json::value(nullptr)); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) throw refused{mark, "an alias refers to the value it stands in"};
    auto copy = it->second;
    if (merging()) return merge(mark, copy);
    if (tree.depth() + height(copy) > limits::depth_max) throw refused{mark, too_deep};
    value(mark, 0, std::move(copy));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    if (expects_key() && tag == "?" && text == "<<") {
      frames_.back().merge_next = true;
      frames_.back().key_next = false;
      return;
    }
    value(mark, anchor, typed(mark, tag, text));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, anchor, false);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, anchor, true);
  }
  void OnMapEnd() override { close(); }

private:
  static constexpr const char* too_deep = "the document nests too deep";
  struct frame {
    json::value* at = nullptr;
    bool map = false;
    bool key_next = false;
    bool merge_next = false; // the value of `<<` comes now
    bool merge_list = false; // a list of maps to merge
    YAML::anchor_t anchor = 0;
    YAML::Mark mark;
    json::object merged; // keys from `<<`, which explicit keys override
  };

  bool expects_key() const { return !frames_.empty() && frames_.back().map && frames_.back().key_next; }
  bool merging() const { return !frames_.empty() && (frames_.back().merge_next || frames_.back().merge_list); }

  void spend(const YAML::Mark& mark, const json::value& v) {
    measure(v, spent_);
    if (spent_.values > limits::yaml_values_max || spent_.bytes > limits::yaml_bytes_max)
      throw refused{mark, "the document is too large once its aliases are expanded"};
  }

  json::value typed(const YAML::Mark& mark, const std::string& tag, const std::string& text) {
    const auto as_text = [&] { return json::value(json::string_view{text.data(), text.size()}); };
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return as_text();
    if (tag == "tag:yaml.org,2002:binary") {
      if (schema::base64_fault(text) != std::string_view::npos) throw refused{mark, "!!binary value is no base64"};
      return as_text();
    }
    auto v = plain_scalar(text);
    if (!v) throw refused{mark, "JSON has no value for " + text};
    return std::move(*v);
  }

  void value(const YAML::Mark& mark, YAML::anchor_t anchor, json::value v) {
    spend(mark, v);
    if (merging()) throw refused{mark, "map merge requires map or sequence of maps as the value"};
    if (expects_key()) {
      std::string text;
      if (!key_text(v, text)) throw refused{mark, "a key must be a string, number or boolean"};
      if (anchor != 0) anchors_[anchor] = std::move(v);
      tree.key(text);
      frames_.back().key_next = false;
      return;
    }
    if (anchor != 0) anchors_[anchor] = v;
    tree.place(std::move(v));
    after_value();
  }

  void after_value() {
    if (!frames_.empty() && frames_.back().map) frames_.back().key_next = true;
  }

  void open(const YAML::Mark& mark, YAML::anchor_t anchor, bool map) {
    if (expects_key()) throw refused{mark, "a key must be a string, number or boolean"};
    frame f;
    f.map = map;
    f.key_next = map;
    f.anchor = anchor;
    f.mark = mark;
    if (merging()) {
      open_merged(mark, f, map);
      return;
    }
    spend(mark, json::value(nullptr));
    if (!(map ? tree.begin_object() : tree.begin_array())) throw refused{mark, too_deep};
    f.at = tree.innermost();
    frames_.push_back(std::move(f));
  }

  /// `<<: {a: 1}` and `<<: [*x, *y]`: inline maps are read through a builder of their own.
  void open_merged(const YAML::Mark& mark, frame& f, bool map) {
    if (map || frames_.back().merge_list) throw refused{mark, "map merge takes aliases or a list of aliases"};
    f.merge_list = true;
    frames_.push_back(std::move(f));
  }

  void merge(const YAML::Mark& mark, const json::value& v) {
    spend(mark, v);
    const auto* o = v.if_object();
    if (!o) throw refused{mark, "map merge requires map or sequence of maps as the value"};
    auto target = frames_.rbegin();
    if (target->merge_list)
      ++target;
    else
      target->merge_next = false;
    for (const auto& kv : *o)
      target->merged.emplace(kv.key(), kv.value()); // earlier ones win
    if (!frames_.back().merge_list) frames_.back().key_next = true;
  }

  void close() {
    frame f = std::move(frames_.back());
    frames_.pop_back();
    if (f.merge_list) {
      frames_.back().merge_next = false;
      frames_.back().key_next = true;
      return;
    }
    for (auto& kv : f.merged)
      f.at->get_object().emplace(kv.key(), std::move(kv.value()));
    if (f.anchor != 0) {
      spend(f.mark, *f.at);
      anchors_[f.anchor] = *f.at;
    }
    tree.end();
    after_value();
  }

  std::vector<frame> frames_;
  std::map<YAML::anchor_t, json::value> anchors_;
  cost spent_;
};

status at(const YAML::Mark& mark, const std::string& why) {
  return errors::bad_request("error converting YAML to JSON: yaml: line " + std::to_string(mark.line + 1) +
                             ", column " + std::to_string(mark.column + 1) + ": " + why);
}

} // namespace

result<decoded> parse_yaml(std::string_view text) {
  try {
    std::istringstream in{std::string{text}};
    YAML::Parser parser(in);
    events sink;
    parser.HandleNextDocument(sink);
    return decoded{std::move(sink.tree.root()), std::move(sink.tree.duplicates())};
  } catch (const refused& e) {
    return at(e.mark, e.why);
  } catch (const YAML::Exception& e) {
    return at(e.mark, e.msg);
  } catch (const std::exception& e) {
    return errors::bad_request(std::string{"error converting YAML to JSON: yaml: "} + e.what());
  }
}

} // namespace troupe::codec
