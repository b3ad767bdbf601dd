"""The signed webhook against real receivers: what it sends, and what it makes of every answer."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.channels.conftest import RawServer, Receiver
from tests.patience import PROMPT
from watchkeeper import channels
from watchkeeper.channels import Outgoing, OutgoingPolicy, Receipt, Result
from watchkeeper.channels.webhook import new_secret
from watchkeeper.core.errors import InvalidInput

KIND = channels.get("webhook")


def send(message: Outgoing, url: str, policy: OutgoingPolicy, **settings: object) -> Receipt:
    return KIND.send(message, KIND.parse_config({"url": url, **settings}), policy)


def test_the_receiver_verifies_the_signature_with_its_library(receiver: Receiver, message: Outgoing, loopback: OutgoingPolicy) -> None:
    secret = new_secret()

    receipt = send(message, receiver.url, loopback, secret=secret)

    request = receiver.requests[0]
    assert receipt.result is Result.DELIVERED
    assert Webhook(secret).verify(request.body, request.headers) == {"type": "incident.opened", "model": "Спрос на хлеб"}
    assert (request.headers["webhook-id"], request.headers["content-type"]) == (message.key, "application/json")
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(request.body, request.headers)


def test_a_repeat_sends_the_same_bytes_under_the_same_key(receiver: Receiver, message: Outgoing, loopback: OutgoingPolicy) -> None:
    for _ in range(2):
        send(message, receiver.url, loopback)

    first, second = receiver.requests
    assert first.body == second.body == message.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_added_headers_are_sent(receiver: Receiver, message: Outgoing, loopback: OutgoingPolicy) -> None:
    send(message, receiver.url, loopback, headers={"Authorization": "Bearer 1f0e"})

    assert receiver.requests[0].headers["authorization"] == "Bearer 1f0e"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *[(status, Result.DELIVERED) for status in (200, 201, 202, 204)],
        *[(status, Result.REFUSED) for status in (301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 409, 410, 413, 422, 451)],
        *[(status, Result.RETRY) for status in (408, 425, 429, 500, 501, 502, 503, 504, 599, 999)],
    ],
)
def test_every_answer_has_its_result(status: int, expected: Result, receiver: Receiver, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receiver.status = status

    receipt = send(message, receiver.url, loopback)

    assert receipt.result is expected
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", timedelta(minutes=2)),
        ("0", timedelta(0)),
        ("999999999", timedelta(days=1)),
        ("Wed, 21 Oct 2015 07:28:00 GMT", timedelta(0)),
        ("9" * 5000, None),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_the_wait_asked_for_is_read(header: str, expected: timedelta | None, receiver: Receiver, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receiver.status, receiver.headers = 503, {"Retry-After": header}

    assert send(message, receiver.url, loopback).after == expected


def test_the_wait_asked_for_may_be_a_date(receiver: Receiver, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receiver.status, receiver.headers = 429, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)}

    after = send(message, receiver.url, loopback).after

    assert after is not None
    assert timedelta(minutes=4, seconds=50) < after <= timedelta(minutes=5)


def test_a_redirect_is_named_and_not_followed(receiver: Receiver, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receiver.status, receiver.headers = 307, {"Location": f"{receiver.url}/elsewhere"}

    receipt = send(message, receiver.url, loopback)

    assert f"redirect to {receiver.url}/elsewhere; configure the final address" in receipt.detail.render()
    assert [request.path for request in receiver.requests] == ["/hook"]


def test_a_dead_receiver_is_tried_again(dead_port: int, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receipt = send(message, f"http://127.0.0.1:{dead_port}", loopback)

    assert receipt.result is Result.RETRY
    assert "refused" in receipt.detail.render()


def test_an_unknown_name_is_tried_again(message: Outgoing, loopback: OutgoingPolicy) -> None:
    assert send(message, "http://nowhere.invalid", loopback).result is Result.RETRY


def _drip(connected: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
        connected.sendall(bytes([byte]))
        time.sleep(0.05)


def _endless_headers(connected: socket.socket) -> None:
    connected.recv(65536)
    connected.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connected.sendall(b"X-Much: " + b"a" * 8000 + b"\r\n")


def _endless_promises(connected: socket.socket) -> None:
    connected.recv(65536)
    while True:
        connected.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(lambda connected: time.sleep(3 * PROMPT), id="silent"),
        pytest.param(lambda connected: None, id="hangs up"),
        pytest.param(lambda connected: connected.sendall(b"220 mail.example ESMTP\r\n"), id="speaks something else"),
        pytest.param(_drip, id="drips"),
        pytest.param(_endless_headers, id="endless headers"),
        pytest.param(_endless_promises, id="endless promises"),
    ],
)
def test_no_understandable_answer_in_time_is_tried_again(
    behave: Callable[[socket.socket], None], raw_server: RawServer, message: Outgoing, loopback: OutgoingPolicy
) -> None:
    started = time.monotonic()

    receipt = send(message, f"http://127.0.0.1:{raw_server(behave)}", loopback)

    assert receipt.result is Result.RETRY
    assert time.monotonic() - started < PROMPT


def test_an_endless_answer_is_not_waited_for(raw_server: RawServer, message: Outgoing, loopback: OutgoingPolicy) -> None:
    def behave(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connected.sendall(b"a" * 65536)

    started = time.monotonic()

    receipt = send(message, f"http://127.0.0.1:{raw_server(behave)}", loopback)

    assert receipt.result is Result.DELIVERED
    assert time.monotonic() - started < PROMPT


def test_an_answer_is_cut_and_never_unpacked(raw_server: RawServer, loopback: OutgoingPolicy) -> None:
    bomb = gzip.compress(bytes(100_000_000), compresslevel=9)

    def behave(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)

    with channels.outgoing_client(loopback) as client:
        answer = client.get(f"http://127.0.0.1:{raw_server(behave)}")

    assert answer.content == bomb[: 64 * 1024]


def test_a_receiver_that_reads_slowly_does_not_hold_us(raw_server: RawServer, message: Outgoing, loopback: OutgoingPolicy) -> None:
    def behave(connected: socket.socket) -> None:
        while connected.recv(1000):
            time.sleep(0.05)

    large = Outgoing(key="large", subject="", text="", body=b'"' + b"a" * 20_000_000 + b'"', sent_at=message.sent_at)
    started = time.monotonic()

    receipt = send(large, f"http://127.0.0.1:{raw_server(behave)}", loopback)

    assert receipt.result is Result.RETRY
    assert time.monotonic() - started < PROMPT


def _read_request(connected: socket.socket) -> None:
    """To the last byte of the body: closing with something unread would reset the connection and take the answer with it."""
    with connected.makefile("rb") as stream:
        length = 0
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        stream.read(length)


def _over_tls(certificate: Path) -> Callable[[socket.socket], None]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def behave(connected: socket.socket) -> None:
        with context.wrap_socket(connected, server_side=True) as secure:
            _read_request(secure)
            secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    return behave


def test_an_untrusted_certificate_is_refused(raw_server: RawServer, certificate: Path, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receipt = send(message, f"https://127.0.0.1:{raw_server(_over_tls(certificate))}", loopback)

    assert receipt.result is Result.REFUSED
    assert "certificate is not trusted" in receipt.detail.render()


def test_an_authority_of_the_system_is_trusted(raw_server: RawServer, trusted: Path, message: Outgoing, loopback: OutgoingPolicy) -> None:
    patient = replace(loopback, http_seconds=10.0)  # a handshake takes its time on a busy machine

    assert send(message, f"https://127.0.0.1:{raw_server(_over_tls(trusted))}", patient).result is Result.DELIVERED


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "example.com/hook"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "https://xn--"}, "url"),
        ({"url": "https://user:password@example.com"}, "url"),
        ({"url": "https://example.com/\r\nX: y"}, "url"),
        ({"secret": "whsec_c2hvcnQ="}, "secret"),
        ({"secret": "plain"}, "secret"),
        ({"headers": {"X": "a\r\nY: b"}}, "headers"),
        ({"headers": {"X Y": "a"}}, "headers"),
        ({"headers": {"Host": "internal"}}, "headers"),
        ({"headers": {"Webhook-Id": "mine"}}, "headers"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_kept_secret(settings: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        KIND.parse_config({"url": "https://example.com", **settings})

    assert [field] == list(caught.value.fields)
    assert "plain" not in str(caught.value.__cause__)


def test_a_key_that_breaks_headers_is_no_key(message: Outgoing) -> None:
    with pytest.raises(ValueError, match="no message key"):
        Outgoing(key="a\r\nX: y", subject="", text="", body=b"", sent_at=message.sent_at)
