"""Whom we may call: public addresses, and what the administrator allowed. Resolves, checks and connects; speaks no protocol."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from functools import cache, cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import certifi

from watchkeeper.core.errors import InvalidInput, NotAllowed
from watchkeeper.core.text import N_, Text

CONNECT_SECONDS = 5.0
LONGEST_EXCERPT = 200

_INTERNET_V6 = IPv6Network("2000::/3")  # the only part of IPv6 that is routed on the internet
_NAT64 = IPv6Network("64:ff9b::/96")
_PROTOCOLS_V4 = IPv4Network("192.0.0.0/24")  # special, but global to the `ipaddress` of Python 3.11


class BlockedAddress(NotAllowed):
    """The host has no address we may call. Names the host and not its address: the answer must not map the company's network."""

    def __init__(self, host: str) -> None:
        self.text = Text(N_("{host} is not on the internet. Ask the administrator to add it to WATCHKEEPER_OUTGOING_ALLOW."), {"host": host})
        super().__init__(f"{host} is not on the internet.", remedy="Ask the administrator to add it to WATCHKEEPER_OUTGOING_ALLOW.")


@dataclass(frozen=True)
class OutgoingPolicy:
    """What outgoing calls may do. `allow` lists hosts, host:port, addresses or networks (10.2.0.0/16) that need not be public."""

    allow: frozenset[str] = frozenset()
    http_seconds: float = 10.0
    smtp_seconds: float = 20.0

    @classmethod
    def parse(cls, setting: str) -> OutgoingPolicy:
        """The policy from the setting WATCHKEEPER_OUTGOING_ALLOW, a list separated by commas.

        >>> sorted(OutgoingPolicy.parse("Git.corp.example, 10.2.0.0/16").allow)
        ['10.2.0.0/16', 'git.corp.example']
        """
        entries = frozenset(entry.strip().lower() for entry in setting.split(",") if entry.strip())
        wrong = sorted(entry for entry in entries if _network(entry) is None and set("/*@ ") & set(entry))
        if wrong:
            raise InvalidInput(
                f"WATCHKEEPER_OUTGOING_ALLOW: not understood: {', '.join(wrong)}.",
                remedy="Write hosts (git.corp.example), host:port, addresses or networks (10.2.0.0/16), separated by commas.",
            )
        return cls(entries)

    def permits(self, host: str, port: int, address: str) -> bool:
        name = host.lower().rstrip(".")
        reached = _reached(ip_address(address))
        return (
            _is_public(reached)
            or not self.allow.isdisjoint({name, f"[{name}]:{port}" if ":" in name else f"{name}:{port}"})
            or any(reached in network for network in self._networks)
        )

    @cached_property
    def _networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(network for entry in self.allow if (network := _network(entry)))


def open_socket(host: str, port: int, *, policy: OutgoingPolicy, ends_at: float) -> socket.socket:
    """A connection to the first permitted address that answers. The address checked is the address connected: no second look-up to rebind."""
    failure: OSError | None = None
    for address in permitted_addresses(host, port, policy):
        try:
            return socket.create_connection((address, port), timeout=min(CONNECT_SECONDS, seconds_left(ends_at)))
        except OSError as problem:
            failure = problem
    raise failure or BlockedAddress(host)


def seconds_left(ends_at: float) -> float:
    """Time until a moment of the monotonic clock, for the next socket call; past it, the time-out is now."""
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


@cache
def tls_context(protocol: str) -> ssl.SSLContext:
    """Trusts the system's authorities (a company installs its own there) and certifi's. One per protocol: httpcore writes HTTP's ALPN into its."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def explain(problem: BaseException) -> Text:
    """Why a call got no answer, from the first cause."""
    if isinstance(problem, BlockedAddress):
        return problem.text
    cause = first_cause(problem)
    if isinstance(cause, TimeoutError):
        return Text(N_("no answer in time"))
    if isinstance(cause, socket.gaierror):
        return Text(N_("the name of the host is not known"))
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Text(N_("the certificate is not trusted: {reason}"), {"reason": excerpt(cause.verify_message)})
    return Text(N_("the connection failed: {reason}"), {"reason": excerpt(str(cause)) or type(cause).__name__})


def is_distrusted(problem: BaseException) -> bool:
    """Whether the certificate was the reason: repeating will not make it valid, and another channel is faster than its owner."""
    return isinstance(first_cause(problem), ssl.SSLCertVerificationError)


def first_cause(problem: BaseException) -> BaseException:
    """The error all began with; httpcore's pool cuts the chain, so we hand it the cause as an argument as well."""
    cause = problem.__cause__ or next(iter(problem.args), None)
    return first_cause(cause) if isinstance(cause, BaseException) else problem


def excerpt(foreign: str) -> str:
    """The beginning of a text from outside, on one line.

    >>> excerpt("450 try\\r\\n later\\x00")
    '450 try later'
    """
    return " ".join("".join(char if char.isprintable() else " " for char in foreign[: 2 * LONGEST_EXCERPT]).split())[:LONGEST_EXCERPT]


def permitted_addresses(host: str, port: int, policy: OutgoingPolicy) -> list[str]:
    """The addresses of a host that we may call, none when it has no such. Raises OSError for a host that is not known."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label too long or empty
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    addresses = dict.fromkeys(str(where[0]) for *_, where in found)
    return [address for address in addresses if policy.permits(host, port, address)]


def _reached(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Where packets to the address end: an IPv6 address may carry an IPv4 one (mapped, 6to4, NAT64)."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        return address in _INTERNET_V6 and address.is_global
    return address.is_global and not address.is_multicast and address not in _PROTOCOLS_V4


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None
