#include "cli/verb_options.hpp"

#include <boost/program_options.hpp>

#include <iostream>

namespace troupe::cli {

namespace po = boost::program_options;

std::optional<int> parse_words(const std::string& verb, const args& words, po::options_description& shown,
                               std::vector<std::string>* operands) {
  shown.add_options()("help,h", "this text");
  po::options_description all;
  all.add(shown);
  po::positional_options_description positional;
  if (operands) {
    all.add_options()("operand", po::value(operands));
    positional.add("operand", -1);
  }
  try {
    po::variables_map vm;
    po::store(po::command_line_parser(words).options(all).positional(positional).run(), vm);
    if (vm.count("help")) {
      std::cout << shown;
      return 0;
    }
    po::notify(vm);
  } catch (const po::error& e) {
    return complain(std::string{e.what()} + "; see troupe " + verb + " --help", 2);
  }
  return std::nullopt;
}

} // namespace troupe::cli
