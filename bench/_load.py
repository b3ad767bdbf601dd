"""A cheap load generator: one thread, one selector, raw keep-alive connections, requests put together from prepared bytes.

Runs as a program of its own (`python -m bench._load ORDER`, ORDER as JSON) and prints one JSON line; a generator inside the benchmark would
share its interpreter. Each connection has one request on its way at a time.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

DIGITS = 12
MARK = b"#" * DIGITS


@dataclass(frozen=True)
class Load:
    """What came back: seconds measured, latencies in milliseconds of the answers of that time, and how many answers of each status."""

    seconds: float
    latencies: list[float]
    statuses: dict[str, int]

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds


def put_under_load(port: int, requests: Sequence[bytes], *, connections: int, warm_up: float, seconds: float) -> Load:
    """Send the requests in turn over all connections; `#…` in them becomes a number that no other request has."""
    order = {
        "port": port,
        "requests": [request.decode() for request in requests],
        "connections": connections,
        "warm_up": warm_up,
        "seconds": seconds,
    }
    command = [sys.executable, "-m", "bench._load"]
    done = subprocess.run(command, input=json.dumps(order), capture_output=True, text=True, check=True, timeout=warm_up + seconds + 30)  # noqa: S603 - ourselves
    return Load(**json.loads(done.stdout))


@dataclass
class Line:
    """One connection: its socket, the request it repeats, and when it last asked."""

    socket: socket.socket
    before: bytes
    after: bytes
    asked_at: float = 0.0
    answer: bytes = field(default=b"")

    def ask(self, number: int) -> None:
        self.answer, self.asked_at = b"", perf_counter()
        self.socket.sendall(b"%b%0*d%b" % (self.before, DIGITS, number, self.after))

    def has_answer(self) -> bool:
        received = self.socket.recv(65536)
        if not received:
            raise ConnectionError("The server closed a connection.")
        self.answer += received
        head, separator, body = self.answer.partition(b"\r\n\r\n")
        return bool(separator) and len(body) >= _length(head)


def _length(head: bytes) -> int:
    start = head.lower().index(b"content-length:") + 15
    return int(head[start : start + 12].partition(b"\r\n")[0])


def _main(order: dict[str, object]) -> Load:
    port, connections, requests = int(str(order["port"])), int(str(order["connections"])), [str(text).encode() for text in order["requests"]]  # type: ignore[attr-defined] # a list
    warm_up, seconds = float(str(order["warm_up"])), float(str(order["seconds"]))
    lines = [_connect(port, requests[index % len(requests)]) for index in range(connections)]
    with selectors.DefaultSelector() as selector:
        for number, line in enumerate(lines):
            selector.register(line.socket, selectors.EVENT_READ, line)
            line.ask(number)
        return _measure(selector, first=len(lines), warm_up=warm_up, seconds=seconds)


def _connect(port: int, request: bytes) -> Line:
    before, _, after = request.partition(MARK)
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Line(connection, before, after)


def _measure(selector: selectors.BaseSelector, *, first: int, warm_up: float, seconds: float) -> Load:
    number, start = first, perf_counter() + warm_up
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    while (now := perf_counter()) < start + seconds:
        for key, _ in selector.select(timeout=1):
            line: Line = key.data
            if line.has_answer():
                if now >= start:
                    latencies.append((perf_counter() - line.asked_at) * 1000)
                    statuses[line.answer[9:12].decode()] += 1
                line.ask(number)
                number += 1
    return Load(seconds, latencies, dict(statuses))


if __name__ == "__main__":
    load = _main(json.load(sys.stdin))
    sys.stdout.write(json.dumps({"seconds": load.seconds, "latencies": load.latencies, "statuses": load.statuses}))
