#include "runtime/engine.hpp"

#include <doctest/doctest.h>

using troupe::runtime::normalise_reference;

TEST_CASE("short image names get Docker's registry, library and latest") {
  CHECK(*normalise_reference("busybox") == "docker.io/library/busybox:latest");
  CHECK(*normalise_reference("busybox:1.36") == "docker.io/library/busybox:1.36");
  CHECK(*normalise_reference("troupe/demo:1") == "docker.io/troupe/demo:1");
  CHECK(*normalise_reference("docker.io/busybox") == "docker.io/library/busybox:latest");
  CHECK(*normalise_reference("index.docker.io/library/busybox") == "docker.io/library/busybox:latest");
}

TEST_CASE("a first part that looks like a host is a registry") {
  CHECK(*normalise_reference("localhost/a") == "localhost/a:latest");
  CHECK(*normalise_reference("localhost:5000/a:b") == "localhost:5000/a:b");
  CHECK(*normalise_reference("registry.k8s.io/pause:3.9") == "registry.k8s.io/pause:3.9");
  CHECK(*normalise_reference("Registry.Example/a") == "Registry.Example/a:latest");
}

TEST_CASE("a digest replaces the tag") {
  const std::string digest = "sha256:" + std::string(64, 'a');
  CHECK(*normalise_reference("a/b@" + digest) == "docker.io/a/b@" + digest);
  CHECK(*normalise_reference("a/b:tag@" + digest) == "docker.io/a/b@" + digest);
  CHECK_FALSE(normalise_reference("a@sha256:abc").has_value());
  CHECK_FALSE(normalise_reference("a@md5:" + std::string(64, 'a')).has_value());
  CHECK_FALSE(normalise_reference("a@sha256:" + std::string(64, 'A')).has_value());
}

TEST_CASE("malformed names are refused with a reason") {
  for (const auto* bad : {"",
                          ":",
                          "/",
                          "a//b",
                          "A",
                          "a/B",
                          "a..b",
                          "a___b",
                          "-a",
                          "a-",
                          "a:",
                          "a:b:c",
                          "a b",
                          "a/",
                          "host:port/a",
                          "host:123456/a",
                          "a:"
                          "-tag",
                          "../a",
                          "a/../b",
                          "a\n",
                          "@",
                          "a@"})
    CHECK_MESSAGE(!normalise_reference(bad).has_value(), std::string(bad));
  CHECK_FALSE(normalise_reference(std::string(600, 'a')).has_value());
  CHECK_FALSE(normalise_reference("a:" + std::string(129, 't')).has_value());
}
