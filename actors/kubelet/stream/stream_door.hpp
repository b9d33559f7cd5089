// stream_door: opens logs, exec, attach and port-forward streams into the pods of this node.
// Owner:  the kubelet actor asks; opening runs on a slow worker, the stream then lives on the io thread.
// Units:  limits::stream_chunk_bytes per chunk.
// Errors: the Status a client sees, with kubectl's expected sentences.
// Source: k8s API section 20; kubelet server.
#pragma once

#include "actors/kubelet/context.hpp"

namespace troupe::kubelet {

/// What the kubelet knows of the pod at this moment; null status: the pod is not on this node.
struct stream_target {
  context_ptr ctx;
  std::shared_ptr<const json::value> pod;
};

/// Blocks shortly (starts a process, opens files); never throws.
stream_opened_ptr open_pod_stream(const stream_target& target, const open_stream& what);

pod_stream_ptr make_log_stream(const context_ptr& ctx, const open_stream& what, const std::string& path,
                               const std::string& container_id);
result<pod_stream_ptr> make_exec_stream(const context_ptr& ctx, const open_stream& what,
                                        const std::string& container_id);
result<pod_stream_ptr> make_forward_stream(const context_ptr& ctx, const std::string& netns_path, std::uint16_t port,
                                           const std::string& pod_title);

} // namespace troupe::kubelet
