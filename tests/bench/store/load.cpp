#include "tests/bench/store/load.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace troupe::bench {

using std::chrono::duration;
using micros_double = duration<double, std::micro>;

namespace {

bench_clock::duration seconds_of(double s) {
  return std::chrono::duration_cast<bench_clock::duration>(duration<double>(s));
}

/// Book-keeping of one run.
class run {
public:
  run(target& t, const load_shape& s) : target_(t), shape_(s), value_(value_of(s.value_bytes, 7)), since_(s.clients) {}

  void begin(std::size_t slot, bench_clock::time_point due) {
    since_[slot] = due;
    ++outstanding_;
    const auto key = key_of(next_++ * 7919 % shape_.keys);
    if (shape_.what == load_shape::op::get) {
      target_.get(slot, key);
    } else {
      std::vector<pair_to_put> one(1);
      one[0].key = key;
      one[0].value = value_;
      target_.put(slot, std::move(one));
    }
  }
  const std::vector<completion>& wait(bench_clock::time_point until) {
    done_.clear();
    target_.wait(done_, until);
    const auto now = bench_clock::now();
    for (const auto& c : done_) {
      --outstanding_;
      if (c.error.empty()) {
        out_.micros.push_back(micros_double(now - since_[c.slot]).count());
        continue;
      }
      if (out_.failed++ == 0) out_.first_error = c.error;
    }
    return done_;
  }
  load_result finish() {
    const auto by = bench_clock::now() + std::chrono::seconds(15);
    while (outstanding_ > 0 && bench_clock::now() < by)
      wait(by);
    out_.failed += outstanding_;
    if (outstanding_ > 0 && out_.first_error.empty()) out_.first_error = "not answered within 15 s";
    std::sort(out_.micros.begin(), out_.micros.end());
    return std::move(out_);
  }
  load_result& out() { return out_; }

private:
  target& target_;
  const load_shape& shape_;
  std::string value_;
  std::vector<bench_clock::time_point> since_;
  std::vector<completion> done_;
  std::size_t outstanding_ = 0, next_ = 0;
  load_result out_;
};

void closed_loop(run& r, const load_shape& shape, const std::function<bool()>& over) {
  for (std::size_t slot = 0; slot < shape.clients; ++slot)
    r.begin(slot, bench_clock::now());
  while (!over())
    for (const auto& c : r.wait(bench_clock::now() + std::chrono::milliseconds(100)))
      r.begin(c.slot, bench_clock::now());
}

void paced(run& r, const load_shape& shape, const std::function<bool()>& over) {
  const auto period = seconds_of(1 / shape.rate);
  std::vector<std::size_t> idle(shape.clients);
  for (std::size_t i = 0; i < idle.size(); ++i)
    idle[i] = i;
  auto due = bench_clock::now();
  while (!over()) {
    for (; due <= bench_clock::now() && !idle.empty(); due += period) {
      r.begin(idle.back(), due);
      idle.pop_back();
    }
    for (const auto& c : r.wait(due))
      idle.push_back(c.slot);
  }
}

} // namespace

std::string key_of(std::size_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "/bench/key-%09zu", number);
  return text;
}

std::string value_of(std::size_t bytes, std::uint64_t seed) {
  std::string out(bytes, 0);
  std::uint64_t x = seed * 0x9e3779b97f4a7c15ULL + 1;
  for (auto& c : out) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    c = static_cast<char>('0' + x % 75);
  }
  return out;
}

double load_result::per_second() const { return seconds > 0 ? static_cast<double>(micros.size()) / seconds : 0; }

double load_result::quantile(double q) const {
  if (micros.empty()) return 0;
  const auto at = static_cast<std::size_t>(q * static_cast<double>(micros.size()));
  return micros[std::min(at, micros.size() - 1)];
}

load_result run_load(target& t, const load_shape& shape, const std::function<bool()>& enough) {
  run r(t, shape);
  const auto begun = bench_clock::now(), until = begun + seconds_of(shape.seconds);
  const auto over = [&] { return enough ? enough() : bench_clock::now() >= until; };
  if (shape.rate > 0)
    paced(r, shape, over);
  else
    closed_loop(r, shape, over);
  auto out = r.finish();
  out.seconds = duration<double>(bench_clock::now() - begun).count();
  return out;
}

load_result fill(target& t, const load_shape& shape, std::size_t per_txn) {
  load_result out;
  const auto begun = bench_clock::now();
  std::size_t next = 0, outstanding = 0;
  std::vector<std::size_t> idle(shape.clients);
  for (std::size_t i = 0; i < idle.size(); ++i)
    idle[i] = i;
  std::vector<completion> done;
  while (next < shape.keys || outstanding > 0) {
    for (; next < shape.keys && !idle.empty(); idle.pop_back(), ++outstanding) {
      std::vector<pair_to_put> pairs;
      for (; pairs.size() < per_txn && next < shape.keys; ++next)
        pairs.push_back({key_of(next), value_of(shape.value_bytes, next)});
      t.put(idle.back(), std::move(pairs));
    }
    done.clear();
    t.wait(done, bench_clock::now() + std::chrono::seconds(1));
    for (const auto& c : done) {
      --outstanding;
      idle.push_back(c.slot);
      if (!c.error.empty() && out.failed++ == 0) out.first_error = c.error;
    }
    if (out.failed > 0) break;
  }
  out.seconds = duration<double>(bench_clock::now() - begun).count();
  return out;
}

void keep_putting(target& t, const load_shape& shape, const std::function<void()>& done) {
  const auto until = bench_clock::now() + seconds_of(shape.seconds);
  const auto value = value_of(shape.value_bytes, 7);
  std::size_t next = 0;
  auto begin = [&](std::size_t slot) { t.put(slot, {{key_of(next++ % shape.keys), value}}); };
  for (std::size_t slot = 0; slot < shape.clients; ++slot)
    begin(slot);
  std::vector<completion> got;
  std::vector<std::pair<bench_clock::time_point, std::size_t>>
      later; // an endpoint that refuses at once is not hammered
  while (bench_clock::now() < until) {
    got.clear();
    t.wait(got, bench_clock::now() + std::chrono::milliseconds(5));
    for (const auto& c : got) {
      if (c.error.empty()) {
        done();
        begin(c.slot);
      } else {
        t.move_on(c.slot);
        later.emplace_back(bench_clock::now() + std::chrono::milliseconds(5), c.slot);
      }
    }
    std::erase_if(later, [&](const auto& x) {
      if (x.first > bench_clock::now()) return false;
      begin(x.second);
      return true;
    });
  }
}

} // namespace troupe::bench
