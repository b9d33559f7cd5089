// authenticate: who asks, from a client certificate, a service account token, or nothing.
// Owner:  -; called on any thread.
// Units:  -
// Errors: 401 for credentials that are there and wrong; no reason is told to the client.
// Source: k8s API section 21.
#pragma once

#include "actors/apiserver/services.hpp"

namespace troupe::apiserver {

using identity_ptr = std::shared_ptr<const identity>;

/// `certificate` is the connection's identity or null; `authorization` the header or empty.
result<identity_ptr> authenticate(const services& s, const identity_ptr& certificate, std::string_view authorization,
                                  const store::view& state, std::chrono::system_clock::time_point now);

/// The identity a token stands for, when its objects still exist.
result<identity_ptr> identity_of_token(const services& s, std::string_view token, const store::view& state,
                                       std::chrono::system_clock::time_point now,
                                       std::vector<std::string>* audiences = nullptr);

/// Audience every token of this API carries.
inline constexpr std::string_view api_audience = "https://kubernetes.default.svc.cluster.local";

} // namespace troupe::apiserver
