#include "store/exact_text.hpp"

#include <doctest/doctest.h>

#include <string>

using troupe::store::exact_text;

TEST_CASE("an exact text is what it was made of, also of nothing") {
  CHECK(exact_text{"ab", "", "c"} == "abc");
  CHECK(exact_text(std::string(1024, 'x')).size() == 1024);
  const exact_text nothing;
  CHECK(nothing.empty());
  CHECK(nothing == "");
  CHECK(nothing.data() != nullptr); // memcpy must not be given null, not even with nothing to copy
  CHECK(exact_text("").data() != nullptr);
}

TEST_CASE("a copy has a buffer of its own, and what was moved away is empty") {
  exact_text a("one");
  exact_text b = a;
  CHECK(b == "one");
  CHECK(b.data() != a.data());
  exact_text c = std::move(a);
  CHECK(c == "one");
  CHECK(a.empty());
  b = std::string_view("two");
  CHECK(b == "two");
  b = std::move(c);
  CHECK(b == "one");
  CHECK(c.data() != nullptr);
}
