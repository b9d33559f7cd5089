// json: the JSON value type of the whole project and small helpers to walk it.
// Owner:  nobody; plain values, safe to use on any thread.
// Units:  none; nesting depth is bounded by the decoder (codec/json_decode.hpp), not here.
// Errors: helpers return null / empty instead of throwing.
// Source: ours; Boost.JSON underneath.
#pragma once

#include <boost/json.hpp>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

namespace json = boost::json;

namespace jq {

/// Walks object keys; nullptr when a step is missing or not an object.
const json::value* find(const json::value& v, std::initializer_list<std::string_view> path) noexcept;
json::value* find(json::value& v, std::initializer_list<std::string_view> path) noexcept;

/// The string at the path, or `otherwise` when absent or of another type. The view lives as long as `v`.
std::string_view str(const json::value& v, std::initializer_list<std::string_view> path,
                     std::string_view otherwise = {}) noexcept;
/// The integer at the path (int64, uint64 or integral double), or `otherwise`.
std::int64_t num(const json::value& v, std::initializer_list<std::string_view> path, std::int64_t otherwise = 0) noexcept;
std::optional<std::int64_t> maybe_num(const json::value& v, std::initializer_list<std::string_view> path) noexcept;
bool flag(const json::value& v, std::initializer_list<std::string_view> path, bool otherwise = false) noexcept;
/// The array / object at the path, or an empty one.
const json::array& arr(const json::value& v, std::initializer_list<std::string_view> path) noexcept;
const json::object& obj(const json::value& v, std::initializer_list<std::string_view> path) noexcept;
/// Creates objects on the way and returns a reference to the (possibly new, null) value at the path.
json::value& at(json::value& v, std::initializer_list<std::string_view> path);
/// Removes the last key of the path when present; true when something was removed.
bool erase(json::value& v, std::initializer_list<std::string_view> path) noexcept;
inline std::string_view view(const json::string& s) noexcept { return {s.data(), s.size()}; }
inline std::string_view view(json::string_view s) noexcept { return {s.data(), s.size()}; }

} // namespace jq
} // namespace troupe
