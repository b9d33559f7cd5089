#include "store/tree.hpp"

#include <algorithm>

namespace troupe::store {

namespace {

using node = tree::node;
using inner = tree::inner;
using node_ptr = tree::node_ptr;
constexpr unsigned width = node::width;

const inner& as_inner(const node& n) { return static_cast<const inner&>(n); }
inner& as_inner(node& n) { return static_cast<inner&>(n); }

/// The node itself when this batch owns it, else a copy that it owns.
node_ptr editable(const node_ptr& n, tree::stamp now) {
  if (n->edit == now) return n;
  node_ptr copy = n->leaf ? std::make_shared<node>(*n) : std::make_shared<inner>(as_inner(*n));
  copy->edit = now;
  return copy;
}

void open_slot(node& at, unsigned i) {
  std::move_backward(at.keys.begin() + i, at.keys.begin() + at.n, at.keys.begin() + at.n + 1);
  if (!at.leaf) {
    auto& kids = as_inner(at).kids;
    std::move_backward(kids.begin() + i, kids.begin() + at.n, kids.begin() + at.n + 1);
  }
  ++at.n;
}

void close_slot(node& at, unsigned i) {
  std::move(at.keys.begin() + i + 1, at.keys.begin() + at.n, at.keys.begin() + i);
  at.keys[at.n - 1].reset();
  if (!at.leaf) {
    auto& kids = as_inner(at).kids;
    std::move(kids.begin() + i + 1, kids.begin() + at.n, kids.begin() + i);
    kids[at.n - 1].reset();
  }
  --at.n;
}

std::size_t total_of(const node& at) {
  if (at.leaf) return at.n;
  std::size_t sum = 0;
  for (unsigned i = 0; i < at.n; ++i)
    sum += as_inner(at).kids[i]->total;
  return sum;
}

/// Moves the upper part of a full node to a new right sibling. Appending workloads keep the left node nearly full.
node_ptr split(node& at, tree::stamp now, bool at_end) {
  const unsigned keep = at_end ? width - 2 : width / 2;
  node_ptr right = at.leaf ? std::make_shared<node>() : std::make_shared<inner>();
  right->edit = now;
  right->n = at.n - keep;
  for (unsigned i = keep; i < at.n; ++i) {
    right->keys[i - keep] = std::move(at.keys[i]);
    if (!at.leaf) as_inner(*right).kids[i - keep] = std::move(as_inner(at).kids[i]);
  }
  at.n = keep;
  at.total = total_of(at);
  right->total = total_of(*right);
  return right;
}

unsigned lower(const node& at, std::string_view ns, std::string_view name) {
  unsigned lo = 0, hi = at.n;
  while (lo < hi) {
    const unsigned mid = (lo + hi) / 2;
    if (tree::compare(*at.keys[mid], ns, name) < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

/// The child that holds (ns, name) if any does.
unsigned child_slot(const node& at, std::string_view ns, std::string_view name) {
  const unsigned i = lower(at, ns, name);
  if (i < at.n && tree::compare(*at.keys[i], ns, name) == 0) return i;
  return i == 0 ? 0 : i - 1;
}

struct placed {
  node_ptr self;
  node_ptr right; // not null when the node was split
  object_ptr before;
};

placed put_at(const node_ptr& at, object_ptr&& o, tree::stamp now) {
  placed out{editable(at, now), nullptr, nullptr};
  node& self = *out.self;
  if (self.leaf) {
    const unsigned i = lower(self, o->ns, o->name);
    if (i < self.n && tree::compare(*self.keys[i], o->ns, o->name) == 0) {
      out.before = std::exchange(self.keys[i], std::move(o));
      return out;
    }
    node* into = &self;
    unsigned slot = i;
    if (self.n == width) {
      out.right = split(self, now, i == width);
      if (i > self.n) into = out.right.get(), slot = i - self.n;
    }
    open_slot(*into, slot);
    into->keys[slot] = std::move(o);
    ++into->total;
    return out;
  }
  const unsigned c = child_slot(self, o->ns, o->name);
  auto below = put_at(as_inner(self).kids[c], std::move(o), now);
  out.before = std::move(below.before);
  self.keys[c] = below.self->keys[0];
  as_inner(self).kids[c] = std::move(below.self);
  if (!out.before) ++self.total;
  if (!below.right) return out;
  node* into = &self;
  unsigned slot = c + 1;
  if (self.n == width) {
    out.right = split(self, now, slot == width);
    if (slot > self.n) into = out.right.get(), slot -= self.n;
  }
  open_slot(*into, slot);
  into->keys[slot] = below.right->keys[0];
  as_inner(*into).kids[slot] = std::move(below.right);
  self.total = total_of(self);
  if (out.right) out.right->total = total_of(*out.right);
  return out;
}

/// Joins child i with its right neighbour when both fit into one node with room to spare.
void join_with_next(inner& self, unsigned i, tree::stamp now) {
  if (i + 1 >= self.n) return;
  const unsigned both = self.kids[i]->n + self.kids[i + 1]->n;
  if (both > width / 2) return;
  auto left = editable(self.kids[i], now);
  const node& right = *self.kids[i + 1];
  for (unsigned k = 0; k < right.n; ++k) {
    left->keys[left->n + k] = right.keys[k];
    if (!left->leaf) as_inner(*left).kids[left->n + k] = as_inner(right).kids[k];
  }
  left->n = both;
  left->total += right.total;
  self.kids[i] = std::move(left);
  close_slot(self, i + 1);
}

/// The key is known to be present. Returns the edited node, null when it became empty.
node_ptr erase_at(const node_ptr& at, std::string_view ns, std::string_view name, tree::stamp now) {
  auto out = editable(at, now);
  node& self = *out;
  if (self.leaf) {
    close_slot(self, lower(self, ns, name));
    --self.total;
    return self.n == 0 ? nullptr : out;
  }
  auto& me = as_inner(self);
  const unsigned c = child_slot(self, ns, name);
  auto below = erase_at(me.kids[c], ns, name, now);
  --self.total;
  if (!below) {
    close_slot(self, c);
    return self.n == 0 ? nullptr : out;
  }
  self.keys[c] = below->keys[0];
  me.kids[c] = std::move(below);
  join_with_next(me, c, now);
  if (c > 0) join_with_next(me, c - 1, now);
  return out;
}

bool intact_at(const node& at, const object*& last, int depth, int& leaf_depth) {
  if (at.n == 0 || at.n > width || total_of(at) != at.total) return false;
  if (at.leaf) {
    if (leaf_depth < 0) leaf_depth = depth;
    if (leaf_depth != depth) return false;
    for (unsigned i = 0; i < at.n; ++i) {
      if (last && tree::compare(*last, at.keys[i]->ns, at.keys[i]->name) >= 0) return false;
      last = at.keys[i].get();
    }
    return true;
  }
  for (unsigned i = 0; i < at.n; ++i) {
    if (at.keys[i] != as_inner(at).kids[i]->keys[0]) return false;
    if (!intact_at(*as_inner(at).kids[i], last, depth + 1, leaf_depth)) return false;
  }
  return true;
}

} // namespace

unsigned tree::first_not_before(const node& at, std::string_view ns, std::string_view name, bool behind) {
  unsigned i = lower(at, ns, name);
  if (behind && i < at.n && compare(*at.keys[i], ns, name) == 0) ++i;
  return i;
}

unsigned tree::child_of(const node& at, std::string_view ns, std::string_view name) { return child_slot(at, ns, name); }

object_ptr tree::get(std::string_view ns, std::string_view name) const {
  const node* at = root_.get();
  while (at && !at->leaf)
    at = as_inner(*at).kids[child_slot(*at, ns, name)].get();
  if (!at) return nullptr;
  const unsigned i = lower(*at, ns, name);
  return i < at->n && compare(*at->keys[i], ns, name) == 0 ? at->keys[i] : nullptr;
}

tree tree::of_sorted(std::vector<object_ptr> objects, stamp now) {
  constexpr std::size_t fill = width - 2; // room for a few insertions before the first split
  std::vector<node_ptr> level;
  for (std::size_t i = 0; i < objects.size();) {
    auto leaf = std::make_shared<node>();
    leaf->edit = now;
    for (; leaf->n < fill && i < objects.size(); ++i)
      leaf->keys[leaf->n++] = std::move(objects[i]);
    leaf->total = leaf->n;
    level.push_back(std::move(leaf));
  }
  while (level.size() > 1) {
    std::vector<node_ptr> above;
    for (std::size_t i = 0; i < level.size();) {
      auto up = std::make_shared<inner>();
      up->edit = now;
      for (; up->n < fill && i < level.size(); ++i) {
        up->keys[up->n] = level[i]->keys[0];
        up->total += level[i]->total;
        up->kids[up->n++] = std::move(level[i]);
      }
      above.push_back(std::move(up));
    }
    level = std::move(above);
  }
  tree out;
  if (!level.empty()) out.root_ = std::move(level.front());
  return out;
}

object_ptr tree::put(object_ptr o, stamp now) {
  if (!root_) {
    root_ = std::make_shared<node>();
    root_->edit = now;
  }
  auto done = put_at(root_, std::move(o), now);
  root_ = std::move(done.self);
  if (done.right) {
    auto top = std::make_shared<inner>();
    top->edit = now;
    top->n = 2;
    top->total = root_->total + done.right->total;
    top->keys[0] = root_->keys[0];
    top->keys[1] = done.right->keys[0];
    top->kids[0] = std::move(root_);
    top->kids[1] = std::move(done.right);
    root_ = std::move(top);
  }
  return std::move(done.before);
}

object_ptr tree::erase(std::string_view ns, std::string_view name, stamp now) {
  auto before = get(ns, name);
  if (!before) return nullptr;
  root_ = erase_at(root_, ns, name, now);
  while (root_ && !root_->leaf && root_->n == 1)
    root_ = node_ptr(as_inner(*root_).kids[0]);
  return before;
}

std::size_t tree::rank(std::string_view ns, std::string_view name) const {
  std::size_t before = 0;
  const node* at = root_.get();
  while (at && !at->leaf) {
    const unsigned c = child_slot(*at, ns, name);
    for (unsigned i = 0; i < c; ++i)
      before += as_inner(*at).kids[i]->total;
    at = as_inner(*at).kids[c].get();
  }
  return at ? before + lower(*at, ns, name) : 0;
}

bool tree::intact() const {
  const object* last = nullptr;
  int leaf_depth = -1;
  return !root_ || intact_at(*root_, last, 0, leaf_depth);
}

} // namespace troupe::store
