#include "actors/controllers/deployment/template_hash.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

namespace troupe::ctl {

namespace {
constexpr std::string_view hash_label = "pod-template-hash";

bool blank(const json::value& v) { return v.is_null() || (v.is_object() && v.get_object().empty()); }

void write(const json::value& v, std::string& out) {
  if (auto o = v.if_object()) {
    std::vector<const json::key_value_pair*> fields;
    for (const auto& f : *o)
      if (!blank(f.value()) && f.key() != hash_label) fields.push_back(&f);
    std::sort(fields.begin(), fields.end(), [](auto* a, auto* b) { return a->key() < b->key(); });
    out += '{';
    for (const auto* f : fields) {
      out.append(f->key().data(), f->key().size()).append(1, ':');
      write(f->value(), out);
      out += ',';
    }
    out += '}';
  } else if (auto a = v.if_array()) {
    out += '[';
    for (const auto& e : *a) {
      write(e, out);
      out += ',';
    }
    out += ']';
  } else {
    out += json::serialize(v);
  }
}
} // namespace

std::string canonical(const json::value& v) {
  std::string out;
  write(v, out);
  return out;
}

bool same_template(const json::value& a, const json::value& b) { return canonical(a) == canonical(b); }

std::string template_hash(const json::value& pod_template, std::optional<std::int64_t> collisions) {
  auto text = canonical(pod_template);
  if (collisions) text += std::to_string(*collisions);
  std::uint32_t h = 2166136261u;
  for (unsigned char c : text)
    h = (h ^ c) * 16777619u;
  // No vowels and no look-alikes: names never spell words.
  constexpr std::string_view letters = "bcdfghjklmnpqrstvwxz2456789";
  auto digits = std::to_string(h);
  for (auto& c : digits)
    c = letters[static_cast<unsigned char>(c) % letters.size()];
  return digits;
}

} // namespace troupe::ctl
