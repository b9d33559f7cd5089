// authorize: whether an identity may do what it asks: masters, node authorizer, RBAC.
// Owner:  -; called on any thread.
// Units:  -
// Errors: 403 with the sentence kubectl users know.
// Source: k8s API section 22; Kubernetes node authorizer and NodeRestriction, reduced to what a node needs.
#pragma once

#include "actors/apiserver/route.hpp"
#include "actors/apiserver/services.hpp"

namespace troupe::apiserver {

/// The decision alone, with its reason: what access reviews answer.
rbac::decision decide(const services& s, const rbac::attributes& a, const identity& who, const store::view& state,
                      const request* whole = nullptr);

/// 403 when a resource request is not allowed. `verb_word` as from rbac_verb.
result<void> authorize(const services& s, const request& r, std::string_view verb_word, const store::view& state);
result<void> authorize_path(const services& s, const identity& who, std::string_view method, std::string_view path);

/// The identity asked for by Impersonate-* headers, when `who` may impersonate it. `headers` in lower case.
result<std::shared_ptr<const identity>>
impersonate(const services& s, const identity& who,
            const std::vector<std::pair<std::string_view, std::string_view>>& headers, const store::view& state);

rbac::attributes attributes_of(const request& r, std::string_view verb_word);

} // namespace troupe::apiserver
