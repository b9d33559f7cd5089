#!/usr/bin/env python3
"""relay: passes TCP connections on, later. Runs inside one master's network namespace; nftables redirects that master's
outgoing links to it. (The kernel here has no netem.) The real destination is what the connection was redirected from;
its own connections carry a mark, so that they are not redirected again.

usage: relay.py PORT MARK     commands on standard input: "delay MILLISECONDS JITTER"; end of input ends it
"""
import asyncio
import os
import random
import socket
import struct
import sys
import time

SO_ORIGINAL_DST = 80
SO_MARK = 36
delay = [0.0, 0.0]
links = set()


async def pump(reader, writer):
    """Each piece leaves `delay` after it came; order stays."""
    pieces = asyncio.Queue()

    async def take():
        due = 0.0
        while True:
            try:
                data = await reader.read(65536)
            except OSError:
                data = b""
            due = max(due, time.monotonic() + delay[0] + random.random() * delay[1])
            await pieces.put((due, data))
            if not data:
                return

    taking = asyncio.ensure_future(take())
    try:
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # a link that was cut ends like one that was closed
    finally:
        taking.cancel()
        writer.close()


def accept(reader, writer, mark):
    task = asyncio.ensure_future(serve(reader, writer, mark))
    links.add(task)  # the loop itself holds tasks weakly
    task.add_done_callback(links.discard)


async def serve(reader, writer, mark):
    raw = writer.get_extra_info("socket").getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
    port, address = struct.unpack("!2xH4s8x", raw)
    out = socket.socket()
    out.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
    out.setblocking(False)
    try:
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(out, (socket.inet_ntoa(address), port)), 2)
        other_reader, other_writer = await asyncio.open_connection(sock=out)
    except (OSError, asyncio.TimeoutError):
        out.close()
        writer.close()
        return
    for w in (writer, other_writer):
        w.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await asyncio.gather(pump(reader, other_writer), pump(other_reader, writer), return_exceptions=True)


async def main():
    port, mark = int(sys.argv[1]), int(sys.argv[2])
    await asyncio.start_server(lambda r, w: accept(r, w, mark), "127.0.0.1", port)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print("ready", flush=True)
    while True:
        line = await commands.readline()
        if not line:
            os._exit(0)  # with all its connections: their ends are no news
        words = line.split()
        if words and words[0] == b"delay":
            delay[0], delay[1] = float(words[1]) / 1000, float(words[2]) / 1000


asyncio.run(main())
