// exact_text: an immutable text in a buffer of its very size: a million objects pay for no zero behind their last byte,
//             which would put those of a round size into the allocator's next class.
// Owner:  whoever holds it; moves, and copies on request only.
// Units:  bytes.
// Errors: -
// Source: ours.
#pragma once

#include <algorithm>
#include <concepts>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <utility>

namespace troupe::store {

class exact_text {
public:
  exact_text() = default;
  exact_text(exact_text&& o) noexcept : data_(std::move(o.data_)), size_(std::exchange(o.size_, 0)) {}
  exact_text(const exact_text& o) : exact_text({o.text()}) {}
  exact_text& operator=(exact_text o) noexcept {
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  template <std::convertible_to<std::string_view> Text>
  exact_text(const Text& text) : exact_text({std::string_view(text)}) {}
  /// All of them, one behind the other.
  exact_text(std::initializer_list<std::string_view> parts) {
    for (auto p : parts)
      size_ += p.size();
    if (size_ == 0) return;
    data_ = std::make_unique_for_overwrite<char[]>(size_);
    auto* to = data_.get();
    for (auto p : parts)
      to = std::copy(p.begin(), p.end(), to);
  }

  std::string_view text() const noexcept { return {data(), size_}; }
  operator std::string_view() const noexcept { return text(); }
  /// Never null, as of a string.
  const char* data() const noexcept { return size_ != 0 ? data_.get() : ""; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  friend bool operator==(const exact_text& a, std::string_view b) { return a.text() == b; }

private:
  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
};

} // namespace troupe::store
