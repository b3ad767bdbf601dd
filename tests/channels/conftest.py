"""Receivers on loopback: real sockets, one that behaves, some that do not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from watchkeeper.channels import Outgoing, OutgoingPolicy
from watchkeeper.channels._addresses import tls_context


@pytest.fixture
def loopback() -> OutgoingPolicy:
    """The policy of an administrator who allowed 127.0.0.1, with little patience."""
    return OutgoingPolicy(frozenset({"127.0.0.1"}), http_seconds=0.7, smtp_seconds=0.7)


@pytest.fixture
def message() -> Outgoing:
    return Outgoing(
        key="0197-a1",
        subject="Спрос на хлеб: модель молчит 3 ч",
        text="Модель молчит 3 ч, предел 30 мин.",
        html="<p>Модель молчит 3 ч, предел 30 мин.</p>",
        body='{"type": "incident.opened", "model": "Спрос на хлеб"}'.encode(),
        sent_at=datetime(2026, 11, 22, 14, 32, tzinfo=UTC),
    )


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP receiver that keeps what it was sent and answers as told; `answers` by method come first."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Answer(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept.requests.append(Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(kept.answers.get(self.command, kept.status))
            for name, value in kept.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_POST = answer

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    kept.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    server.server_close()


RawServer = Callable[[Callable[[socket.socket], None]], int]


@pytest.fixture
def raw_server() -> Iterator[RawServer]:
    """Starts a receiver that does with each connection what it is told; gives its port."""
    listeners: list[socket.socket] = []

    def start(behave: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=_accept, args=(listener, behave), daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.close()


def _accept(listener: socket.socket, behave: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            connected, _ = listener.accept()
            with suppress(OSError), connected:
                behave(connected)


@dataclass
class Canary:
    port: int
    visits: list[str] = field(default_factory=list)


@pytest.fixture
def canary() -> Iterator[Canary]:
    """Listens on every loopback address, IPv4 and IPv6, and keeps by which one it was visited; nobody may ever connect without leave."""
    if socket.has_dualstack_ipv6():
        listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    else:
        listener = socket.create_server(("", 0))
    kept = Canary(listener.getsockname()[1])

    def watch() -> None:
        with suppress(OSError):
            while True:
                connected, _ = listener.accept()
                kept.visits.append(connected.getsockname()[0].removeprefix("::ffff:"))
                connected.close()

    threading.Thread(target=watch, daemon=True).start()
    yield kept
    listener.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def dead_port() -> int:
    """A port nobody listens on."""
    return free_port()


@dataclass
class Names:
    """A name server: what it answers for a name, in turn."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    fake, real = Names(), socket.getaddrinfo

    def look_up(host: str, *rest: object, **options: object) -> object:
        if host not in fake.answers:
            return real(host, *rest, **options)  # type: ignore[arg-type]  # passed on as it came
        fake.asked.append(host)
        answers = fake.answers[host]
        return real(answers.pop(0) if len(answers) > 1 else answers[0], *rest, **options)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return fake


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "receiver.pem"
    path.write_bytes(pem)
    return path


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same certificate, installed among the authorities of the system."""
    tls_context.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    yield certificate
    tls_context.cache_clear()
