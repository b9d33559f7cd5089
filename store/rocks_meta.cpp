#include "store/rocks_meta.hpp"

#include "store/rocks_backend.hpp"

namespace troupe::store {

status damaged(const std::string& where, std::string_view what) {
  return {500, std::string(damage_reason),
          "the store is damaged: " + where + ": " + std::string(what) +
              "; restore this member from a backup or from its peers"};
}

status not_ours(std::string message) { return {409, "Conflict", std::move(message)}; }

std::string encode_mark(const applied_mark& m) {
  std::string s;
  put_varint(s, m.at.index.v);
  put_varint(s, m.at.term.v);
  put_varint(s, m.rev);
  put_text(s, encode_config(m.config));
  return s;
}
bool decode_mark(std::string_view s, applied_mark& m) {
  byte_reader in(s);
  m.at.index = log_index{in.varint()};
  m.at.term = log_term{in.varint()};
  m.rev = in.varint();
  const auto config = in.text();
  return in.done() && decode_config(config, m.config);
}

std::string encode_position(const log_position& p) {
  std::string s;
  put_varint(s, p.index.v);
  put_varint(s, p.term.v);
  return s;
}
bool decode_position(std::string_view s, log_position& p) {
  byte_reader in(s);
  p.index = log_index{in.varint()};
  p.term = log_term{in.varint()};
  return in.done();
}

std::string encode_hard(const hard_state& h) {
  std::string s;
  put_varint(s, h.term.v);
  put_varint(s, h.vote.v);
  put_varint(s, h.commit.v);
  return s;
}
bool decode_hard(std::string_view s, hard_state& h) {
  byte_reader in(s);
  h.term = log_term{in.varint()};
  h.vote = member_id{in.varint()};
  h.commit = log_index{in.varint()};
  return in.done();
}

std::string encode_config(const group_config& c) {
  std::string s;
  for (const auto* list : {&c.voters, &c.outgoing, &c.learners, &c.learners_next}) {
    put_varint(s, list->size());
    for (auto id : *list)
      put_varint(s, id.v);
  }
  s.push_back(c.auto_leave ? 1 : 0);
  return s;
}

bool decode_config(std::string_view bytes, group_config& out) {
  byte_reader in(bytes);
  for (auto* list : {&out.voters, &out.outgoing, &out.learners, &out.learners_next}) {
    list->clear();
    for (auto n = in.varint(); n > 0 && !in.bad(); --n)
      list->push_back(member_id{in.varint()});
  }
  out.auto_leave = in.byte() != 0;
  return in.done();
}

} // namespace troupe::store
