"""HTTP to addresses that people typed: one door with a checked address, one deadline and a short answer. Follows no redirect, uses no proxy.

The connection is made by us (`_addresses`), so the name is looked up once; httpx above it cannot tell the difference.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from socket import socket
from typing import Any

import httpcore
import httpx

from watchkeeper import __version__
from watchkeeper.channels._addresses import BlockedAddress, OutgoingPolicy, excerpt, explain, open_socket, seconds_left, tls_context
from watchkeeper.core.text import N_, Text

LONGEST_ANSWER = 64 * 1024

# identity: we read little of the answer, and a compressed little can be much
_HEADERS = {"User-Agent": f"watchkeeper/{__version__}", "Accept-Encoding": "identity"}


def outgoing_client(policy: OutgoingPolicy) -> httpx.Client:
    """A client for one conversation. Raises `BlockedAddress` beside httpx's own errors; each request has `policy.http_seconds` in all."""
    return httpx.Client(transport=_Transport(policy), headers=_HEADERS, timeout=policy.http_seconds, trust_env=False, follow_redirects=False)


@dataclass(frozen=True)
class LinkCheck:
    """Whether a link leads somewhere. `is_blocked`: we were not allowed to look, so nothing is known about it."""

    ok: bool
    detail: Text
    is_blocked: bool = False


def check_link(url: str, policy: OutgoingPolicy) -> LinkCheck:
    """Asks with HEAD, and with GET where HEAD is not answered well. A page that wants a sign-in or redirects is there."""
    try:
        with outgoing_client(policy) as client:
            status = _status(client, "HEAD", url)
            if _is_dead(status):
                status = _status(client, "GET", url)
    except BlockedAddress as problem:
        return LinkCheck(False, problem.text, is_blocked=True)
    except httpx.UnsupportedProtocol:
        return LinkCheck(False, Text(N_("the link must begin with http:// or https://")))
    except (httpx.InvalidURL, UnicodeError) as problem:  # UnicodeError: a host name that is no IDNA
        return LinkCheck(False, Text(N_("this is not a link: {reason}"), {"reason": excerpt(str(problem))}))
    except httpx.HTTPError as problem:
        return LinkCheck(False, explain(problem))
    return LinkCheck(not _is_dead(status), Text(N_("answers {status}"), {"status": status}))


def _status(client: httpx.Client, method: str, url: str) -> int:
    with client.stream(method, url) as response:
        return response.status_code


def _is_dead(status: int) -> bool:
    return status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE) or status >= HTTPStatus.INTERNAL_SERVER_ERROR


class _Transport(httpx.HTTPTransport):
    def __init__(self, policy: OutgoingPolicy) -> None:
        context = tls_context("http")
        super().__init__(verify=context, trust_env=False)
        # httpx has no public door for a network backend; the canary tests fail if this one closes
        self._pool = httpcore.ConnectionPool(ssl_context=context, max_keepalive_connections=0, network_backend=_Backend(policy))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.headers.pop("Content-Encoding", None)  # not asked for: left as it came, never unpacked
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _ShortStream(response.stream)
        return response


class _ShortStream(httpx.SyncByteStream):
    """The beginning of an answer; the rest is not read."""

    def __init__(self, whole: httpx.SyncByteStream) -> None:
        self._whole = whole

    def __iter__(self) -> Iterator[bytes]:
        left = LONGEST_ANSWER
        for part in self._whole:
            yield part[:left]
            left -= len(part)
            if left <= 0:
                return

    def close(self) -> None:
        self._whole.close()


class _Backend(httpcore.NetworkBackend):
    def __init__(self, policy: OutgoingPolicy) -> None:
        self._policy = policy

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,  # Any: httpcore's own union, which it does not export
    ) -> httpcore.NetworkStream:
        ends_at = time.monotonic() + self._policy.http_seconds
        with _as_httpcore(httpcore.ConnectError, httpcore.ConnectTimeout):
            return _Stream(open_socket(host, port, policy=self._policy, ends_at=ends_at), ends_at)


class _Stream(httpcore.NetworkStream):
    """A socket whose calls share one deadline: a receiver that drips a byte at a time gains nothing by it."""

    def __init__(self, connected: socket, ends_at: float) -> None:
        self._socket, self._ends_at = connected, ends_at

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _as_httpcore(httpcore.ReadError, httpcore.ReadTimeout):
            self._socket.settimeout(seconds_left(self._ends_at))
            return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _as_httpcore(httpcore.WriteError, httpcore.WriteTimeout):
            while buffer:  # not sendall: over TLS it grants its time-out to each record anew
                self._socket.settimeout(seconds_left(self._ends_at))
                buffer = buffer[self._socket.send(buffer) :]

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        with _as_httpcore(httpcore.ConnectError, httpcore.ConnectTimeout):
            self._socket.settimeout(seconds_left(self._ends_at))
            self._socket = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
            return self

    def close(self) -> None:
        self._socket.close()


@contextmanager
def _as_httpcore(error: type[Exception], timeout: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as problem:
        raise timeout(problem) from problem
    except (OSError, ValueError) as problem:  # ValueError: a host name TLS cannot take
        raise error(problem) from problem
