#include "actors/link/mesh_hello.hpp"

#include "actors/link/mesh_limits.hpp"
#include "api/json.hpp"
#include "net/tls/pki.hpp"

#include <algorithm>

namespace troupe {

namespace {

std::string text_at(const json::object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  return v && v->is_string() ? std::string(v->get_string()) : std::string{};
}

bool number_at(const json::object& o, std::string_view key, std::uint64_t& out) {
  const auto* v = o.if_contains(key);
  if (!v || !v->is_number()) return false;
  boost::system::error_code bad;
  out = v->to_number<std::uint64_t>(bad);
  return !bad;
}

json::object to_object(const mesh_hello& h) {
  json::object o;
  o["protocol"] = h.protocol;
  o["version"] = h.version;
  o["cluster"] = h.cluster_id;
  o["name"] = h.name;
  o["member"] = h.member.v;
  o["life"] = h.life;
  o["store"] = h.store;
  return o;
}

bool from_object(const json::object& o, mesh_hello& h) {
  std::uint64_t protocol = 0;
  if (!number_at(o, "protocol", protocol) || protocol > 1'000'000) return false;
  if (!number_at(o, "member", h.member.v) || !number_at(o, "life", h.life)) return false;
  h.protocol = static_cast<int>(protocol);
  h.version = text_at(o, "version");
  h.cluster_id = text_at(o, "cluster");
  h.name = text_at(o, "name");
  h.store = text_at(o, "store");
  return !h.name.empty();
}

bool parse_object(std::string_view bytes, json::object& out) {
  boost::system::error_code bad;
  auto v = json::parse({bytes.data(), bytes.size()}, bad);
  if (bad || !v.is_object()) return false;
  out = std::move(v.get_object());
  return true;
}

/// Of what a stranger sent: short, and nothing that a terminal or a JSON reader could stumble over.
std::string plain_text(std::string_view text, std::size_t bytes_max) {
  std::string out(text.substr(0, bytes_max));
  for (char& c : out)
    if (c < ' ' || c > '~' || c == '"') c = '?';
  return out;
}
std::string in_quotes(std::string_view name) { return "\"" + plain_text(name, 100) + "\""; }
std::string me(const mesh_hello& h) { return "master " + in_quotes(h.name); }
std::string member_text(store::member_id id) { return "member " + std::to_string(id.v); }

/// What must hold between any two masters, whoever dialed.
std::string refuse_stranger(const mesh_hello& mine, const mesh_hello& theirs, const identity* certificate) {
  if (theirs.protocol != mine.protocol)
    return me(theirs) + " (troupe " + plain_text(theirs.version, 40) + ") speaks version " +
           std::to_string(theirs.protocol) + " of the masters' protocol and " + me(mine) + " (troupe " + mine.version +
           ") version " + std::to_string(mine.protocol) + "; run the same release on both";
  if (certificate && !is_master(*certificate, theirs.name))
    return "who calls itself " + me(theirs) + " has a certificate of " + in_quotes(certificate->user) + ", and " +
           me(mine) + " expects one of " + in_quotes(master_user(theirs.name)) +
           "; give that master the certificate made for its name";
  if (theirs.cluster_id != mine.cluster_id)
    return me(theirs) + " belongs to cluster " + in_quotes(theirs.cluster_id) + " and " + me(mine) + " to cluster " +
           in_quotes(mine.cluster_id) + "; one of them has the wrong data directory or the wrong address of a master";
  if (theirs.life == mine.life) return me(mine) + " dialed itself; its own address is given as that of another master";
  if (theirs.name == mine.name || theirs.member == mine.member)
    return me(theirs) + " says that it is " + member_text(theirs.member) + ", and " + me(mine) + " is " +
           member_text(mine.member) + "; each master needs a name and a data directory of its own";
  return {};
}

} // namespace

std::string encode_hello(const mesh_hello& h) { return json::serialize(to_object(h)); }

bool decode_hello(std::string_view bytes, mesh_hello& out) {
  json::object o;
  return parse_object(bytes, o) && from_object(o, out);
}

std::string encode_answer(const mesh_answer& a) {
  json::object o;
  if (!a.refusal.empty()) o["refusal"] = a.refusal;
  o["hello"] = to_object(a.hello);
  o["link"] = a.link;
  return json::serialize(o);
}

bool decode_answer(std::string_view bytes, mesh_answer& out) {
  json::object o;
  if (!parse_object(bytes, o)) return false;
  out.refusal = text_at(o, "refusal");
  const auto* hello = o.if_contains("hello");
  return hello && hello->is_object() && from_object(hello->get_object(), out.hello) && number_at(o, "link", out.link);
}

std::string refuse_hello(const mesh_hello& mine, const std::vector<mesh_peer>& peers, const mesh_hello& theirs,
                         const identity* certificate) {
  if (auto why = refuse_stranger(mine, theirs, certificate); !why.empty()) return why;
  const auto by_id = std::find_if(peers.begin(), peers.end(), [&](const auto& p) { return p.member == theirs.member; });
  if (by_id == peers.end())
    return me(theirs) + " says that it is " + member_text(theirs.member) + ", which " + me(mine) +
           " does not know as a member of the group; add it with 'troupe master add'";
  if (by_id->name != theirs.name)
    return me(theirs) + " says that it is " + member_text(theirs.member) + ", and " + me(mine) + " knows " +
           member_text(theirs.member) + " as " + in_quotes(by_id->name) +
           "; one of them has another's data directory or config";
  return {};
}

std::string refuse_answer(const mesh_hello& mine, const mesh_peer& dialed, const mesh_hello& theirs,
                          const identity* certificate) {
  if (auto why = refuse_stranger(mine, theirs, certificate); !why.empty()) return why;
  if (theirs.name == dialed.name && theirs.member == dialed.member) return {};
  return me(mine) + " dialed " + dialed.address + ":" + std::to_string(dialed.port) + " for " + in_quotes(dialed.name) +
         " (" + member_text(dialed.member) + ") and " + me(theirs) + " (" + member_text(theirs.member) +
         ") answered; correct the address of one of them";
}

std::string refuse_duplicate(const mesh_hello& mine, const mesh_hello& theirs, std::uint64_t linked_life) {
  if (theirs.life == linked_life) return {};
  return "another process that calls itself " + me(theirs) + " (" + member_text(theirs.member) + ") is linked with " +
         me(mine) + " already; two processes must not run with one name: stop one of them";
}

std::string refuse_store(const mesh_hello& mine, const mesh_hello& theirs, const std::string& known_store) {
  if (known_store.empty() || theirs.store.empty() || theirs.store == known_store) return {};
  return me(theirs) + " (" + member_text(theirs.member) + ") comes with the data directory " + in_quotes(theirs.store) +
         ", and " + me(mine) + " knows it with " + in_quotes(known_store) +
         "; a master that lost its data must not vote under its old id: remove it and add it again with 'troupe "
         "master'";
}

std::string master_user(std::string_view name) { return std::string(tls::master_user_prefix) + std::string(name); }

bool is_master(const identity& certificate, std::string_view name) {
  return certificate.user == master_user(name) && certificate.in_group(tls::master_group);
}

} // namespace troupe
