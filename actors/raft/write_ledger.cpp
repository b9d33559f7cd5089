#include "actors/raft/write_ledger.hpp"

#include "store/bytes.hpp"
#include "store/txn_codec.hpp"

#include <algorithm>
#include <set>

namespace troupe::raft {

std::string frame_write(write_id id, std::string_view txn) {
  std::string out;
  out.reserve(txn.size() + 19);
  out.push_back(store::write_frame_mark);
  store::put_be64(out, id.life);
  store::put_varint(out, id.number);
  out.append(txn);
  return out;
}

bool split_write(std::string_view payload, write_id& id, std::string_view& txn) {
  store::byte_reader in(payload);
  if (in.byte() != static_cast<std::uint8_t>(store::write_frame_mark)) return false;
  id.life = store::get_be64(in.take(8));
  id.number = in.varint();
  txn = in.rest();
  return !in.bad();
}

write_id write_ledger::add(std::string_view txn, instant now) {
  const write_id id{life_, next_++};
  open_.emplace(id.number, entry{std::make_shared<const std::string>(frame_write(id, txn)), now, {}});
  ready_.push_back(id.number);
  return id;
}

std::vector<bytes_ptr> write_ledger::take_ready(log_term term, std::uint64_t batch, std::size_t count_max,
                                                std::size_t bytes_max) {
  std::vector<bytes_ptr> out;
  std::size_t bytes = 0;
  while (!ready_.empty() && out.size() < count_max && bytes < bytes_max) {
    auto it = open_.find(ready_.front());
    ready_.pop_front();
    if (it == open_.end() || it->second.sent) continue;
    it->second.sent = term;
    it->second.batch = batch;
    bytes += it->second.payload->size();
    out.push_back(it->second.payload);
  }
  return out;
}

std::optional<std::uint64_t> write_ledger::applied(write_id id) {
  if (id.life != life_ || open_.erase(id.number) == 0) return std::nullopt;
  return id.number;
}

std::vector<std::uint64_t> write_ledger::wait_again(const std::function<bool(std::uint64_t, const entry&)>& which) {
  std::vector<std::uint64_t> back;
  for (auto& [number, e] : open_) {
    if (!e.sent || !which(number, e)) continue;
    e.sent = {};
    back.push_back(number);
  }
  ready_.insert(ready_.begin(), back.begin(), back.end()); // older than what waits already
  return back;
}

void write_ledger::term_applied(log_term term) {
  if (term <= applied_term_) return;
  applied_term_ = term;
  wait_again([&](std::uint64_t, const entry& e) { return e.sent < term; });
}

std::vector<std::uint64_t> write_ledger::refused(const std::vector<write_id>& ids, log_term term, std::uint64_t batch) {
  std::set<std::uint64_t> mine;
  for (const auto& id : ids)
    if (id.life == life_) mine.insert(id.number);
  return wait_again([&](std::uint64_t number, const entry& e) {
    return e.sent == term && e.batch == batch && mine.contains(number);
  });
}

std::vector<std::uint64_t> write_ledger::sent_up_to(log_term term) const {
  std::vector<std::uint64_t> out;
  for (const auto& [number, e] : open_)
    if (e.sent && e.sent <= term) out.push_back(number);
  return out;
}

void write_ledger::drop(std::uint64_t number) { open_.erase(number); }

std::vector<write_ledger::late> write_ledger::overdue(instant ready_since, instant sent_since) const {
  std::vector<late> out;
  for (const auto& [number, e] : open_) {
    const bool sent = static_cast<bool>(e.sent);
    if (e.since <= (sent ? sent_since : ready_since)) out.push_back({number, sent});
  }
  return out;
}

bool met_batches::first(write_id batch) {
  auto [it, fresh] = lives_.try_emplace(batch.life);
  auto& l = it->second;
  l.used = ++clock_;
  if (fresh) {
    l.upto = batch.number - 1;
    if (lives_.size() > lives_max)
      lives_.erase(std::min_element(lives_.begin(), lives_.end(),
                                    [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
  }
  if (batch.number <= l.upto || !l.beyond.insert(batch.number).second) return false;
  while (!l.beyond.empty() && (*l.beyond.begin() == l.upto + 1 || l.beyond.size() > numbers_max)) {
    l.upto = *l.beyond.begin();
    l.beyond.erase(l.beyond.begin());
  }
  return true;
}

} // namespace troupe::raft
