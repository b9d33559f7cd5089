// `troupe image`: the images of the node on this machine, running or not (the store on disk is shared by lock).
#include "cli/process.hpp"
#include "cli/verbs.hpp"
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

/// The node whose images are meant: the only one of the data dir, or the one named.
std::string choose_node(const std::string& data_dir, const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  const auto names = nodes_in(data_dir);
  return names.size() == 1 ? names.front() : std::string{};
}

std::string read_auth(const std::string& file) {
  std::ifstream in(file);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

} // namespace

int verb_image(const args& words) {
  std::string data_dir, node, reference, auth_file;
  std::vector<std::string> operands;
  po::options_description desc(usage);
  desc.add_options()("data-dir", po::value(&data_dir)->default_value(default_data_dir()),
                     "where state is kept")("node", po::value(&node), "node, when the data dir has several")(
      "name", po::value(&reference), "import: name to give instead of the archive's own")(
      "authfile", po::value(&auth_file), "pull: registry credentials (containers-auth.json)")("help,h", "this text");
  po::options_description hidden;
  hidden.add_options()("operand", po::value(&operands));
  po::positional_options_description positional;
  positional.add("operand", -1);
  try {
    po::options_description all;
    all.add(desc).add(hidden);
    po::variables_map vm;
    po::store(po::command_line_parser(words).options(all).positional(positional).run(), vm);
    if (vm.count("help")) {
      std::cout << desc;
      return 0;
    }
    po::notify(vm);
  } catch (const po::error& e) {
    return complain(std::string{e.what()} + "; see troupe image --help", 2);
  }
  const auto what = operands.empty() ? std::string{} : operands[0];
  const std::size_t expected = what == "ls" ? 1 : 2;
  if ((what != "import" && what != "pull" && what != "ls" && what != "rm") || operands.size() != expected) {
    std::cerr << desc;
    return 2;
  }
  data_dir = std::filesystem::absolute(data_dir).lexically_normal();
  const auto name = choose_node(data_dir, node);
  if (name.empty())
    return complain("no node in " + data_dir + " (or several: name one with --node); start one with troupe up");
  auto store = runtime::make_image_store(data_dir + "/" + name + "/containers");
  if (!store) return complain("cannot open the images below " + data_dir);
  if (what == "ls") return list(*store);
  if (what == "import") {
    auto made = store->import(std::filesystem::absolute(operands[1]), reference);
    if (!made) return complain(made.error().message);
    for (const auto& i : *made)
      print("imported", i);
    return 0;
  }
  if (what == "pull") {
    auto made = store->pull(operands[1], auth_file.empty() ? std::string{} : read_auth(auth_file));
    if (!made) return complain(made.error().message);
    print("pulled", *made);
    return 0;
  }
  auto gone = store->remove(operands[1]);
  if (!gone) return complain(gone.error().message);
  std::cout << "removed " << operands[1] << "\n";
  return 0;
}

} // namespace troupe::cli
