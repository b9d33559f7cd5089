#!/usr/bin/env python3
"""House rules that a machine checks cheaply: include direction, what cores may not use, header keys, words that must
not be committed. Prints one line per finding: file:line: what, and what to do instead."""
import os
import re
import subprocess
import sys

ROOT = sys.argv[1]
ROOMS = ("api", "store", "runtime", "net", "actors", "cli")
MAY_INCLUDE = {
    "api": {"api"},
    "store": {"api", "store"},
    "runtime": {"api", "runtime"},
    "net": {"api", "net"},
    "actors": {"api", "store", "runtime", "net", "actors"},
    "cli": {"api", "store", "runtime", "net", "actors", "cli"},
}
# Third-party headers that stay in their room.
KEPT_IN = [
    (re.compile(r"<caf/"), ("actors/", "cli/", "tests/"), "CAF belongs to actors/"),
    (re.compile(r"<rocksdb/"), ("store/", "tests/"), "RocksDB belongs to store/"),
    (re.compile(r"<boost/(asio|beast)/"), ("net/", "actors/", "cli/", "tests/"), "sockets belong to net/"),
    (re.compile(r"<archive(_entry)?\.h>"), ("runtime/", "tests/"), "libarchive belongs to runtime/image"),
]
PURE = re.compile(r"_(core|planner)\.(cpp|hpp)$")
IMPURE = re.compile(r"(_clock::now|std::random_device|std::thread|std::mutex|spdlog|std::this_thread|\bfopen\b|ofstream"
                    r"|ifstream|<caf/)")
KEYS = ("// Owner:", "// Units:", "// Errors:", "// Source:")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
SLEEP = re.compile(r"(sleep_for|\busleep\(|[^_.\w]sleep\()")
MACHINE = re.compile(r"/wo" r"rk/(main|shared)")
LINES_MAX = 800

found = []


def tell(path, line, what):
    found.append("%s:%d: %s" % (path, line, what))


def room_of(path):
    first = path.split("/", 1)[0]
    return first if first in ROOMS else None


def check_includes(path, number, text):
    room = room_of(path)
    own = re.match(r'\s*#include "([^"]+)"', text)
    if own and room:
        target = room_of(own.group(1))
        if target and target not in MAY_INCLUDE[room]:
            tell(path, number, "%s/ may not include %s/" % (room, target))
    if re.match(r"\s*#include <", text) and room:
        for pattern, allowed, why in KEPT_IN:
            if pattern.search(text) and not path.startswith(allowed):
                tell(path, number, why)


def check_file(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        lines = f.read().split("\n")
    if len(lines) > LINES_MAX:
        tell(path, LINES_MAX, "longer than %d lines; it holds more than one idea" % LINES_MAX)
    if path.endswith(".hpp") and room_of(path) and "/pch/" not in path:
        head = "\n".join(lines[:14])
        for key in KEYS:
            if key not in head:
                tell(path, 1, "header comment lacks \"%s\"" % key)
    for number, text in enumerate(lines, 1):
        check_includes(path, number, text)
        if PURE.search(path) and room_of(path) and IMPURE.search(text.split("//")[0]):
            tell(path, number, "a core decides only: move clocks, threads, logs and files to the shell")
        if UNFINISHED.search(text):
            tell(path, number, "finish it, or name it in an issue")
        if path.startswith("tests/unit") and SLEEP.search(text):
            tell(path, number, "wait for the event, not for the clock")
        if MACHINE.search(text):
            tell(path, number, "a path of one machine")


def main():
    listed = subprocess.run(["git", "ls-files", "*.cpp", "*.hpp"], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                            check=True).stdout.split()
    for path in listed:
        if os.path.exists(os.path.join(ROOT, path)):
            check_file(path)
    print("\n".join(found) if found else "tidy: %d files, nothing found" % len(listed))
    return 1 if found else 0


sys.exit(main())
