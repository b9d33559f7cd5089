#include "tests/faults/power_cut.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <sys/stat.h>

namespace troupe::disk_fault {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t sector = 512;

struct node;
using node_ptr = std::shared_ptr<node>;
using names = std::map<std::string, node_ptr>;

/// A file, or a directory with the names in it: as the process left them, and as they are on the disk for sure.
struct node {
  std::uint64_t file = 0; // its number; 0: a directory
  names now, durable;
};

/// One name in one directory; no node: it is gone.
struct edit {
  node* in;
  std::string name;
  node_ptr to;
  bool same_name(const edit& o) const { return in == o.in && name == o.name; }
};
using change = std::vector<edit>; // whole or not at all

void carry_out(const change& c, names node::*where) {
  for (const auto& e : c)
    if (e.to)
      (e.in->*where)[e.name] = e.to;
    else
      (e.in->*where).erase(e.name);
}

std::string content(const fs::path& p) {
  std::ifstream in(p, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The names of a directory, from the lines of its record.
class history {
public:
  node_ptr top = std::make_shared<node>();
  std::vector<change> pending;

  explicit history(std::istream& in) {
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line) && !in.eof();) // what has no end never began
      if (line == "undone")
        lines.pop_back();
      else
        lines.push_back(line);
    for (const auto& line : lines)
      follow(line);
  }

private:
  void follow(const std::string& line) {
    std::istringstream in(line);
    std::string what, path, to;
    std::uint64_t file = 0;
    in >> what >> file >> path >> to;
    if (what == "synced") return sync(find(path).get());
    auto c = meaning(what, file, path, to);
    carry_out(c, &node::now);
    pending.push_back(std::move(c));
  }

  change meaning(const std::string& what, std::uint64_t file, const std::string& path, const std::string& to) {
    const auto [in, name] = split(path);
    if (what == "create" || what == "mkdir") {
      auto made = std::make_shared<node>();
      all_.push_back(made);
      made->file = what == "create" ? file : 0;
      return {{in, name, made}};
    }
    if (what == "unlink" || what == "rmdir") return {{in, name, nullptr}};
    const auto [to_in, to_name] = split(to);
    const auto moved = find(path);
    if (what == "rename") return {{in, name, nullptr}, {to_in, to_name, moved}};
    if (what == "exchange") return {{in, name, find(to)}, {to_in, to_name, moved}};
    if (what == "link") return {{in, name, moved}, {to_in, to_name, moved}};
    throw std::runtime_error("power_cut: what is \"" + what + "\"?");
  }

  void sync(const node* directory) {
    std::vector<change> rest;
    for (auto& c : pending)
      if (std::any_of(c.begin(), c.end(), [&](const edit& e) { return e.in == directory; }))
        carry_out(c, &node::durable);
      else
        rest.push_back(std::move(c));
    pending = std::move(rest);
  }

  node_ptr find(const std::string& path) {
    auto at = top;
    if (path == ".") return at;
    for (const auto& part : fs::path(path)) {
      const auto found = at->now.find(part);
      if (found == at->now.end()) throw std::runtime_error("power_cut: nothing is known of " + path);
      at = found->second;
    }
    return at;
  }
  std::pair<node*, std::string> split(const std::string& path) {
    const fs::path p(path);
    return {find(p.has_parent_path() ? p.parent_path().string() : ".").get(), p.filename()};
  }

  std::vector<node_ptr> all_; // edits point to those that are gone, too
};

class cutter {
public:
  cutter(std::string directory, std::uint64_t seed)
      : directory_(std::move(directory)), record_(directory_ + ".power"), rng_(seed) {}

  cut_report run() {
    std::ifstream lines(record_ / "names");
    if (!lines && fs::is_empty(directory_)) return {};
    if (!lines) throw std::runtime_error("power_cut: no record of " + directory_);
    history h(lines);
    report_.names_pending = h.pending.size();
    choose(h.pending);
    whole_files_ = rng_() % 4;
    fs::remove_all(fresh_);
    for (const auto* d : {"", "live", "disk"})
      fs::create_directory(fresh_ / d);
    std::ofstream said(fresh_ / "names");
    const auto made = directory_ + ".cut";
    fs::remove_all(made);
    build(*h.top, made, "", said);
    said.close();
    fs::remove_all(directory_);
    fs::rename(made, directory_);
    fs::remove_all(record_);
    fs::rename(fresh_, record_);
    return report_;
  }

private:
  /// Makes durable what the disk happened to do by itself.
  void choose(const std::vector<change>& pending) {
    const auto how = rng_() % 4;
    const auto until = how == 0 ? 0 : how == 1 ? pending.size() : pending.empty() ? 0 : rng_() % pending.size();
    std::vector<edit> missing;
    for (std::size_t i = 0; i < pending.size(); ++i) {
      const auto rests_on = [&](const edit& m) {
        return std::any_of(pending[i].begin(), pending[i].end(), [&](const edit& e) { return e.same_name(m); });
      };
      const bool wanted = how == 3 ? rng_() % 3 != 0 : i < until;
      if (wanted && std::none_of(missing.begin(), missing.end(), rests_on)) {
        carry_out(pending[i], &node::durable);
        continue;
      }
      missing.insert(missing.end(), pending[i].begin(), pending[i].end());
      ++report_.names_lost;
    }
  }

  void build(const node& from, const fs::path& to, const std::string& inside, std::ostream& said) {
    fs::create_directory(to);
    for (const auto& [name, n] : from.durable) {
      const auto path = inside + name;
      if (n->file == 0) {
        said << "mkdir 0 " << path << "\n";
        build(*n, to / name, path + "/", said);
      } else {
        build_file(n->file, to / name, path, said);
      }
    }
    said << "synced 0 " << (inside.empty() ? "." : inside.substr(0, inside.size() - 1)) << "\n";
  }

  void build_file(std::uint64_t file, const fs::path& to, const std::string& path, std::ostream& said) {
    if (const auto before = built_.find(file); before != built_.end()) {
      fs::create_hard_link(before->second.first, to);
      said << "link 0 " << before->second.second << " " << path << "\n";
      return;
    }
    const auto number = std::to_string(file);
    if (!fs::exists(record_ / "live" / number)) throw std::runtime_error("power_cut: lost track of " + path);
    const auto live = content(record_ / "live" / number), disk = content(record_ / "disk" / number);
    const auto left = survivor(live, disk);
    report_.files_changed += left != live;
    std::ofstream(to, std::ios::binary) << left;
    struct stat was {
    }, st{};
    ::stat((record_ / "live" / number).c_str(), &was);
    ::chmod(to.c_str(), was.st_mode & 07777);
    if (::stat(to.c_str(), &st) != 0) throw std::runtime_error("power_cut: cannot make " + to.string());
    const auto now = std::to_string(st.st_ino);
    fs::create_hard_link(to, fresh_ / "live" / now);
    fs::copy_file(to, fresh_ / "disk" / now);
    said << "create " << now << " " << path << "\n";
    built_.emplace(file, std::pair(to, path));
  }

  std::string survivor(const std::string& live, const std::string& disk) {
    if (live == disk) return live;
    const auto fate = whole_files_ < 2 ? whole_files_ : rng_() % 4;
    return fate == 0 ? disk : fate == 1 ? live : torn(live, disk);
  }

  std::size_t size_between(std::size_t a, std::size_t b) {
    if (a > b) std::swap(a, b);
    const auto how = rng_() % 3;
    return how == 0 ? a : how == 1 ? b : std::max(a, (a + rng_() % (b - a + 1)) / sector * sector);
  }

  /// The first of the sectors that differ, or any of them.
  std::string torn(const std::string& live, const std::string& disk) {
    std::string out(size_between(live.size(), disk.size()), '\0');
    const auto part = [&](const std::string& s, std::size_t at) {
      return at < s.size() ? std::string_view(s).substr(at, std::min(sector, out.size() - at)) : std::string_view();
    };
    std::size_t differ = 0;
    for (std::size_t at = 0; at < out.size(); at += sector)
      differ += part(live, at) != part(disk, at);
    const bool in_order = rng_() % 2 == 0;
    auto left = rng_() % (differ + 1);
    for (std::size_t at = 0; at < out.size(); at += sector) {
      const bool same = part(live, at) == part(disk, at);
      const bool reached = same || (in_order ? left > 0 : rng_() % 2 == 0);
      if (!same && left > 0) --left;
      std::ranges::copy(part(reached ? live : disk, at), out.begin() + static_cast<std::ptrdiff_t>(at));
    }
    return out;
  }

  std::string directory_;
  fs::path record_, fresh_ = fs::path(directory_ + ".power.new");
  std::mt19937_64 rng_;
  std::uint64_t whole_files_ = 0; // 0: none of what was not synced is there, 1: all, else: each by itself
  std::map<std::uint64_t, std::pair<fs::path, std::string>> built_;
  cut_report report_;
};

} // namespace

cut_report cut_power(const std::string& directory, std::uint64_t seed) { return cutter(directory, seed).run(); }

} // namespace troupe::disk_fault
