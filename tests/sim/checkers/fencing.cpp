#include "tests/sim/checkers/checkers.hpp"

#include <map>

namespace troupe::sim {

namespace {

class fencing_checker final : public checker {
public:
  fencing_checker() : checker("fencing") {}

  void take(const state_adopted& a) override { revs_[a.member] = a.rev; }
  void take(const applied_entry& a) override {
    auto& rev = revs_[a.member];
    if (a.fence != 0 && a.fence != a.term.v && a.rev != rev)
      wrong("entry " + text(a.index, a.term) + " was fenced for term " + text(a.fence) + ", yet " + text(a.member) +
            " applied it as revision " + text(a.rev) + " at " + text(a.when));
    rev = a.rev;
  }

private:
  std::map<member_id, revision> revs_;
};

} // namespace

std::unique_ptr<checker> fencing() { return std::make_unique<fencing_checker>(); }

} // namespace troupe::sim
