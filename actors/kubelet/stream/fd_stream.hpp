// fd_stream: a pod_stream over descriptors: what a process or a socket says comes out, what a client says goes in.
// Owner:  the descriptors; lives on the io thread, its handle on any thread.
// Units:  reads only while a `next` is outstanding (plus one chunk per descriptor), holds at most
//         limits::stream_write_bytes_max of input.
// Errors: a broken pipe on input ends the input only; the end comes when the outputs end.
// Source: ours; Boost.Asio.
#pragma once

#include "actors/kubelet/context.hpp"

namespace troupe::kubelet {

struct fd_stream_setup {
  int in = -1, out = -1, err = -1; // owned from here on; -1: absent
  bool in_is_socket = false;       // end of input is a shutdown, not a close
  /// All outputs ended: makes the last chunk. Runs on a slow worker: it may block.
  std::function<stream_chunk()> end;
  /// The client went away before the end. Runs on a slow worker.
  std::function<void()> abandon;
  /// Terminal size changed. Runs on a slow worker.
  std::function<void(std::uint16_t width, std::uint16_t height)> resize;
};

pod_stream_ptr make_fd_stream(const context_ptr& ctx, fd_stream_setup setup);

} // namespace troupe::kubelet
