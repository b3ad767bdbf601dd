"""E-mail against a real SMTP server: what arrives, what never gets in, and what is made of every answer."""

from __future__ import annotations

import asyncio
import email
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.channels.conftest import RawServer, free_port
from tests.patience import PROMPT
from watchkeeper import channels
from watchkeeper.channels import Outgoing, OutgoingPolicy, Receipt, Result
from watchkeeper.core.errors import InvalidInput

KIND = channels.get("email")


@dataclass
class Mailbox:
    """A mail server that keeps what it was sent and answers as told, by command or by recipient."""

    port: int = 0
    answers: dict[str, str] = field(default_factory=dict)
    envelopes: list[Envelope] = field(default_factory=list)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        await asyncio.sleep(0)
        return self.answers.get("DATA", "250 OK")

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return self.answers.get("QUIT", "221 Bye")

    def received(self) -> EmailMessage:
        content = self.envelopes[-1].content
        assert isinstance(content, bytes)
        parsed = email.message_from_bytes(content, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


def _check_password(server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any) -> AuthResult:  # Any: by mechanism
    return AuthResult(success=(login.login, login.password) == (b"watchkeeper", b"right"), handled=False)


def _serve(mailbox: Mailbox, **options: Any) -> Controller:  # Any: of aiosmtpd
    mailbox.port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, **options)
    controller.start()
    return controller


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    kept = Mailbox()
    controller = _serve(kept)
    yield kept
    controller.stop()


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def secure_mailbox(certificate: Path) -> Iterator[Mailbox]:
    """Wants STARTTLS and a password."""
    kept = Mailbox()
    controller = _serve(kept, tls_context=_context(certificate), require_starttls=True, authenticator=_check_password, auth_required=True)
    yield kept
    controller.stop()


def send(message: Outgoing, port: int, policy: OutgoingPolicy, **settings: object) -> Receipt:
    plain = {"host": "127.0.0.1", "port": port, "security": "none", "from_address": "watchkeeper@example.com", "to": ["team@example.com"]}
    return KIND.send(message, KIND.parse_config(plain | settings), policy)


def test_a_cyrillic_message_arrives_as_text_and_html(mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receipt = send(message, mailbox.port, loopback)

    text, html = mailbox.received().get_body(("plain",)), mailbox.received().get_body(("html",))
    assert receipt.result is Result.DELIVERED
    assert mailbox.received()["Subject"] == message.subject
    assert text is not None
    assert text.get_content().strip() == message.text
    assert html is not None
    assert html.get_content().strip() == message.html


def test_the_headers_say_who_when_and_that_it_is_automatic(mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    send(message, mailbox.port, loopback)

    headers = mailbox.received()
    assert headers["Message-ID"] == "<0197-a1@watchkeeper.example.com>"
    assert headers["From"] == "Watchkeeper <watchkeeper@example.com>"
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["Date"].datetime == message.sent_at


def test_a_repeat_sends_the_same_bytes(mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    for _ in range(2):
        send(message, mailbox.port, loopback)

    first, second = mailbox.envelopes
    assert first.content == second.content


def test_a_person_is_written_to_alone(mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    send(replace(message, to="owner@example.com"), mailbox.port, loopback)

    assert mailbox.envelopes[0].rcpt_tos == ["owner@example.com"]
    assert mailbox.received()["To"] == "owner@example.com"


@pytest.mark.parametrize("line", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x00"])
def test_a_subject_cannot_add_a_header(line: str, mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    send(replace(message, subject=f"silent{line}Bcc: thief@example.com"), mailbox.port, loopback)

    assert mailbox.received()["Subject"] == "silent Bcc: thief@example.com"
    assert mailbox.received()["Bcc"] is None
    assert mailbox.envelopes[0].rcpt_tos == ["team@example.com"]


def test_a_text_cannot_end_the_message_early(mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    hostile = "before\r\n.\r\nMAIL FROM:<thief@example.com>\r\n"

    send(replace(message, text=hostile, html=None), mailbox.port, loopback)

    assert len(mailbox.envelopes) == 1
    assert "MAIL FROM:<thief@example.com>" in mailbox.received().get_content()


@pytest.mark.parametrize(
    "address", ["a@b\r\nBcc: c@d", "a@b, c@d", "<a@b>", "a", "@b", "a@", "a b@c", "владелец@example.com", "a@b>\r\nDATA", "a..b@c"]
)
def test_what_is_no_address_is_refused(address: str, mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receipt = send(replace(message, to=address), mailbox.port, loopback)

    assert receipt.result is Result.REFUSED
    assert not mailbox.envelopes
    for settings in ({"from_address": address}, {"to": [address]}):
        with pytest.raises(InvalidInput):
            send(message, mailbox.port, loopback, **settings)


def test_a_message_to_nobody_is_refused(mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    assert "nobody to write to" in send(message, mailbox.port, loopback, to=[]).detail.render()


@pytest.mark.parametrize(
    ("step", "answer", "expected"),
    [
        ("team@example.com", "450 mailbox busy", Result.RETRY),
        ("team@example.com", "550 no such user", Result.REFUSED),
        ("DATA", "451 later", Result.RETRY),
        ("DATA", "554 looks like spam", Result.REFUSED),
        ("QUIT", "500 never", Result.DELIVERED),
    ],
)
def test_every_answer_has_its_result(step: str, answer: str, expected: Result, mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    mailbox.answers = {step: answer}

    receipt = send(message, mailbox.port, loopback)

    assert receipt.result is expected
    assert expected is Result.DELIVERED or answer in receipt.detail.render()


def test_an_address_that_was_not_accepted_is_named(mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    mailbox.answers = {"left@example.com": "550 no such user"}

    receipt = send(message, mailbox.port, loopback, to=["team@example.com", "left@example.com"])

    assert receipt.result is Result.DELIVERED
    assert "left@example.com: 550 no such user" in receipt.detail.render()


def test_a_password_goes_over_starttls(trusted: Path, secure_mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receipt = send(message, secure_mailbox.port, loopback, security="starttls", username="watchkeeper", password="right")

    assert receipt.result is Result.DELIVERED


def test_a_wrong_password_is_refused_and_not_repeated(trusted: Path, secure_mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receipt = send(message, secure_mailbox.port, loopback, security="starttls", username="watchkeeper", password="wrong")

    assert receipt.result is Result.REFUSED
    assert "535" in receipt.detail.render()
    assert "wrong" not in receipt.detail.render()


def test_an_untrusted_certificate_is_refused(secure_mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receipt = send(message, secure_mailbox.port, loopback, security="starttls")

    assert receipt.result is Result.REFUSED
    assert "certificate is not trusted" in receipt.detail.render()


def test_a_server_without_starttls_gets_nothing(mailbox: Mailbox, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receipt = send(message, mailbox.port, loopback, security="starttls", username="watchkeeper", password="right")

    assert receipt.result is Result.REFUSED
    assert not mailbox.envelopes


def test_encryption_from_the_start_works(trusted: Path, message: Outgoing, loopback: OutgoingPolicy, raw_server: RawServer) -> None:
    heard: list[bytes] = []

    def behave(connected: socket.socket) -> None:
        with _context(trusted).wrap_socket(connected, server_side=True) as secure:
            secure.sendall(b"554 closed today\r\n")
            heard.append(secure.recv(100))

    receipt = send(message, raw_server(behave), loopback, security="tls")

    assert receipt.detail.render() == "the mail server says: 554 closed today"


def test_a_password_is_not_configured_without_encryption() -> None:
    with pytest.raises(InvalidInput, match="not sent in clear"):
        KIND.parse_config({"host": "mail.example", "security": "none", "username": "wk", "password": "x", "from_address": "wk@example.com"})


def _endless_greeting(connected: socket.socket) -> None:
    while True:
        connected.sendall(b"220-welcome\r\n" * 100)


def _drip(connected: socket.socket) -> None:
    while True:
        connected.sendall(b"2")
        time.sleep(0.05)


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(lambda connected: time.sleep(3 * PROMPT), id="silent"),
        pytest.param(lambda connected: None, id="hangs up"),
        pytest.param(lambda connected: connected.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), id="speaks something else"),
        pytest.param(lambda connected: connected.sendall(b"421 busy\r\n"), id="busy"),
        pytest.param(_drip, id="drips"),
        pytest.param(_endless_greeting, id="endless greeting"),
    ],
)
def test_no_understandable_answer_in_time_is_tried_again(
    behave: Callable[[socket.socket], None], raw_server: RawServer, message: Outgoing, loopback: OutgoingPolicy
) -> None:
    started = time.monotonic()

    receipt = send(message, raw_server(behave), loopback)

    assert receipt.result is Result.RETRY
    assert time.monotonic() - started < PROMPT


def test_a_dead_server_is_tried_again(dead_port: int, message: Outgoing, loopback: OutgoingPolicy) -> None:
    assert send(message, dead_port, loopback).result is Result.RETRY
