#include "api/request.hpp"

namespace troupe {

std::string_view to_string(verb v) noexcept {
  switch (v) {
  case verb::get: return "get";
  case verb::list: return "list";
  case verb::watch: return "watch";
  case verb::create: return "create";
  case verb::update: return "update";
  case verb::patch: return "patch";
  case verb::delete_: return "delete";
  case verb::deletecollection: return "deletecollection";
  case verb::connect: return "connect";
  }
  return "get";
}

} // namespace troupe
