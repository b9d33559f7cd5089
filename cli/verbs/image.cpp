// `troupe image`: the images of the workers on this machine, running or not (the store on disk is shared by lock).
#include "cli/data_dir.hpp"
#include "cli/process.hpp"
#include "cli/verb_options.hpp"
#include "runtime/engine.hpp"

#include <boost/program_options.hpp>

#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <sstream>

namespace troupe::cli {

namespace po = boost::program_options;

namespace {

constexpr const char* usage = "usage: troupe image import FILE | pull REF | ls | rm REF  [--data-dir DIR]\noptions";

void print(const char* what, const runtime::image_info& i) {
  for (const auto& ref : i.references)
    std::cout << what << " " << ref << "\n";
  if (i.references.empty()) std::cout << what << " " << i.id << "\n";
}

int list(runtime::image_store& store) {
  std::cout << std::left << std::setw(48) << "IMAGE" << std::setw(16) << "ID"
            << "SIZE\n";
  for (const auto& i : store.list()) {
    const auto hex = i.id.substr(i.id.find(':') == std::string::npos ? 0 : i.id.find(':') + 1, 12);
    auto names = i.references;
    if (names.empty()) names.push_back("<none>");
    for (const auto& name : names)
      std::cout << std::setw(48) << name << std::setw(16) << hex << (i.bytes + 1023) / 1024 << " KiB\n";
  }
  return 0;
}

std::string read_auth(const std::string& file) {
  std::ifstream in(file);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

struct image_order {
  std::string what, operand, reference, auth;
};

int carry_out(const image_order& o, runtime::image_store& store) {
  if (o.what == "ls") return list(store);
  if (o.what == "import") {
    auto made = store.import(std::filesystem::absolute(o.operand), o.reference);
    if (!made) return complain(made.error().message);
    for (const auto& i : *made)
      print("imported", i);
    return 0;
  }
  if (o.what == "pull") {
    auto made = store.pull(o.operand, o.auth);
    if (!made) return complain(made.error().message);
    print("pulled", *made);
    return 0;
  }
  auto gone = store.remove(o.operand);
  if (!gone) return complain(gone.error().message);
  std::cout << "removed " << o.operand << "\n";
  return 0;
}

} // namespace

int verb_image(const args& words) {
  std::string data_dir, node, auth_file;
  image_order order;
  std::vector<std::string> operands;
  po::options_description desc(usage);
  desc.add_options()("data-dir", po::value(&data_dir)->default_value(default_data_dir()), "where state is kept")(
      "node", po::value(&node), "this node only; otherwise every worker of the data dir")(
      "name", po::value(&order.reference), "import: name to give instead of the archive's own")(
      "authfile", po::value(&auth_file), "pull: registry credentials (containers-auth.json)");
  if (auto code = parse_words("image", words, desc, &operands)) return *code;
  order.what = operands.empty() ? std::string{} : operands[0];
  const std::size_t expected = order.what == "ls" ? 1 : 2;
  const bool known = order.what == "import" || order.what == "pull" || order.what == "ls" || order.what == "rm";
  if (!known || operands.size() != expected) {
    std::cerr << desc;
    return 2;
  }
  if (expected == 2) order.operand = operands[1];
  if (!auth_file.empty()) order.auth = read_auth(auth_file);
  data_dir = absolute_dir(data_dir);
  auto nodes = workers_in(data_dir);
  if (!node.empty()) std::erase_if(nodes, [&](const auto& n) { return n != node; });
  if (nodes.empty())
    return complain((node.empty() ? "no worker" : "no worker named " + node) + " has state in " + data_dir +
                    "; start one with troupe up");
  int worst = 0;
  for (const auto& name : nodes) {
    if (nodes.size() > 1) std::cout << name << ":\n";
    auto store = runtime::make_image_store(data_dir + "/" + name + "/containers");
    worst = std::max(worst, store ? carry_out(order, *store) : complain("cannot open the images of node " + name));
  }
  return worst;
}

} // namespace troupe::cli
