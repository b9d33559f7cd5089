// tree_builder: events of a text decoder to one JSON document, with duplicate keys noted by path.
// Owner:  one decoder run.
// Units:  nesting at most limits::depth_max.
// Errors: push() answers false when the document nests too deep.
// Source: ours. Building in place makes a duplicate show itself at the insertion, without a second look-up.
#pragma once

#include "api/codec/json_decode.hpp"
#include "api/codec/limits.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::codec {

class tree_builder {
public:
  void key(std::string_view k) { key_.assign(k); }
  template <class T>
  void scalar(T&& v) {
    place(json::value(std::forward<T>(v)));
  }
  void text(std::string_view s) { place(json::value(json::string_view{s.data(), s.size()})); }
  bool begin_object() { return push(place(json::object())); }
  bool begin_array() { return push(place(json::array())); }
  void end() { open_.pop_back(); }
  std::size_t depth() const noexcept { return open_.size(); }
  /// The container that is open now; only while depth() > 0.
  json::value* innermost() noexcept { return open_.back(); }
  json::value& root() noexcept { return root_; }
  std::vector<std::string>& duplicates() noexcept { return duplicates_; }
  json::value* place(json::value v) {
    if (open_.empty()) {
      root_ = std::move(v);
      return &root_;
    }
    json::value& parent = *open_.back();
    if (auto* a = parent.if_array()) {
      a->push_back(std::move(v));
      return &a->back();
    }
    auto [it, added] = parent.get_object().emplace(json::string_view{key_.data(), key_.size()}, std::move(v));
    if (!added) {
      note_duplicate();
      it->value() = std::move(v); // the last one wins, as in Go
    }
    return &it->value();
  }

private:
  bool push(json::value* v) {
    if (open_.size() >= limits::depth_max) return false;
    open_.push_back(v);
    return true;
  }
  /// Parents do not grow while a child is open, so the pointers hold and a child is found by its address.
  void note_duplicate() {
    if (duplicates_.size() >= limits::duplicates_max) return;
    std::string path;
    for (std::size_t i = 1; i < open_.size(); ++i) {
      if (const auto* a = open_[i - 1]->if_array()) {
        path.append("[").append(std::to_string(a->size() - 1)).append("]");
        continue;
      }
      for (const auto& kv : open_[i - 1]->get_object())
        if (&kv.value() == open_[i]) path.append(path.empty() ? "" : ".").append(jq::view(kv.key()));
    }
    if (!path.empty()) path += '.';
    path += key_;
    for (const auto& seen : duplicates_)
      if (seen == path) return;
    duplicates_.push_back(std::move(path));
  }

  json::value root_;
  std::vector<json::value*> open_;
  std::string key_;
  std::vector<std::string> duplicates_;
};

} // namespace troupe::codec
