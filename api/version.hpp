// version: what this build calls itself; `troupe version` and GET /version both read it here.
// Owner:  -
// Units:  -
// Errors: -
// Source: CHANGELOG.md; Kubernetes API level 1.32.
#pragma once

namespace troupe::version {

inline constexpr const char* troupe = "0.1.0";
inline constexpr const char* kubernetes_major = "1";
inline constexpr const char* kubernetes_minor = "32";
inline constexpr const char* git_version = "v1.32.0+troupe.0.1.0";
inline constexpr const char* build_date = "2026-11-23T00:00:00Z";

} // namespace troupe::version
