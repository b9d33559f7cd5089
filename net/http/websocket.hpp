// websocket: Beast's WebSocket over our socket, as a web_socket.
// Owner:  one reactor; kept alive by its pending operations.
// Units:  limits::ws_message_bytes_max, limits::stream_buffer_bytes_max.
// Errors: a failed handshake closes the connection; later errors reach on_closed.
// Source: RFC 6455.
#pragma once

#include "net/http/reactor.hpp"
#include "net/http/socket.hpp"

namespace troupe::http {

void open_websocket(reactor& home, socket sock, const request_view& request, std::string subprotocol,
                    std::function<void(web_socket_ptr)> opened);
void cut(websocket_session& s);

} // namespace troupe::http
