// stream_bridge: carries a pod's stream to an HTTP body or a WebSocket and back.
// Owner:  the connection's io thread; callbacks of the pod's stream arrive on any thread and are posted.
// Units:  one chunk is asked for at a time: that is the credit. Full sockets stop the asking, full pods the reading.
// Errors: the pod's end or failure becomes the Status on channel 3; a lost client closes the stream.
// Source: k8s API section 20, v4 and v5 channel protocols.
#pragma once

#include "actors/protocol.hpp"
#include "net/http/server.hpp"

#include <caf/fwd.hpp>

namespace troupe::apiserver {

void bridge_log(http::body_stream_ptr out, pod_stream_ptr in);
void bridge_channels(http::web_socket_ptr ws, pod_stream_ptr stream, const open_stream& shape, bool v5);
/// Ports named in the query over one WebSocket (v4.channel.k8s.io): channel 2i data, 2i+1 error of port i.
void forward_ports(caf::actor_system& sys, kubelet_actor door, const std::string& node, const open_stream& base,
                   const request& r, http::exchange& x, const std::string& protocol);

} // namespace troupe::apiserver
