// limits: named bounds of the api server and what happens beyond them.
// Owner:  -
// Units:  stated per name.
// Errors: -
// Source: ours; Kubernetes where a client can see the figure.
#pragma once

#include <chrono>
#include <cstddef>

namespace troupe::limits {

/// Attempts of one write whose compares keep failing; then 409.
inline constexpr int write_attempts_max = 16;
/// Writes of one api actor that wait for the log; more: 429 with Retry-After.
inline constexpr std::size_t pending_writes_max = 8192;
/// A write whose fate is unknown after this: 504.
inline constexpr std::chrono::seconds write_timeout_max{20};
/// Reads of one master that wait until its state is fresh enough; more: 429 with Retry-After.
inline constexpr std::size_t waiting_reads_max = 16384;
/// A master that has known no leader for longer is not ready; elections are over sooner.
inline constexpr std::chrono::milliseconds leaderless_max{1500};
/// A master that its leader has not heard of for longer is no endpoint of default/kubernetes.
inline constexpr std::chrono::milliseconds master_contact_max{5000};
/// How often the leader of several masters looks whom it has heard of.
inline constexpr std::chrono::milliseconds master_contact_period{1000};
/// Snapshots kept so that pages of one list agree; the oldest go first, their tokens go on from the history.
inline constexpr std::size_t pinned_views_max = 64;
inline constexpr std::chrono::minutes pinned_view_age_max{5};
/// Events a watch takes from the hub at once.
inline constexpr std::size_t watch_batch = 512;
/// A bookmark to each watch that asked for them.
inline constexpr std::chrono::seconds bookmark_period{60};
/// Length of a watch that names no timeout: from this, plus up to as much again.
inline constexpr std::chrono::seconds watch_timeout_min{1800};
/// Names tried for one generateName.
inline constexpr int generated_names_max = 8;
/// Objects one deletecollection request removes in one transaction.
inline constexpr std::size_t delete_batch = 256;
inline constexpr std::size_t object_bytes_max = 1536 * 1024; // 413
/// Lifetime of service account tokens that ask for less or more.
inline constexpr std::chrono::seconds token_lifetime_min{600};
inline constexpr std::chrono::seconds token_lifetime_max{1LL << 32};

} // namespace troupe::limits
