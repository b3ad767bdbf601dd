"""E-mail.

Sends through a mail server (SMTP) of yours: text and HTML in one message, marked as automatic, so that no holiday reply comes back. A person's
channel goes to that person; a channel of a model or a unit goes to the addresses in `to`.

| the mail server says | then |
|---|---|
| accepted | delivered; addresses of `to` that it did not accept are named in the delivery log |
| 4xx, nothing at all | sent again with the same Message-ID and the same bytes, by which mail programs tell copies |
| 5xx, a wrong password, a certificate that is not trusted | refused; the administrator sees it |

A mail server inside the company needs its host in `WATCHKEEPER_OUTGOING_ALLOW`. A password is sent only over TLS.
"""

from __future__ import annotations

import io
import re
import smtplib
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from email import policy as email_policy
from email.headerregistry import Address
from email.message import EmailMessage
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from watchkeeper.channels import ChannelConfig, Example, Outgoing, OutgoingPolicy, Receipt
from watchkeeper.channels._addresses import BlockedAddress, excerpt, explain, is_distrusted, open_socket, seconds_left, tls_context
from watchkeeper.core.text import N_, Text

IS_FOR_PEOPLE = True
SENDER = "Watchkeeper"
LONGEST_DIALOGUE = 64 * 1024

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_MAILBOX = re.compile(rf"(?=.{{3,254}}$){_ATOM}(\.{_ATOM})*@[A-Za-z0-9-]{{1,63}}(\.[A-Za-z0-9-]{{1,63}})*")
_FORMAT = email_policy.SMTP.clone(cte_type="7bit")  # no server needs an extension to pass it on unchanged

Refusals = Mapping[str, tuple[int, bytes]]


def _check_mailbox(address: str) -> str:
    if not _MAILBOX.fullmatch(address):
        raise ValueError("must be an address like name@example.com, the domain in its ASCII (xn--) form")
    return address


def _check_ascii(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must be printable ASCII: mail servers take no other")
    return text


def _check_secret(secret: SecretStr) -> SecretStr:
    _check_ascii(secret.get_secret_value())
    return secret


Mailbox = Annotated[str, AfterValidator(_check_mailbox)]


class Config(ChannelConfig):
    DESTINATION: ClassVar[tuple[str, ...]] = ("host", "port", "security")

    host: str = Field(description=N_("Name or address of the mail server."), pattern=r"^[A-Za-z0-9.:_-]{1,253}$")
    port: int = Field(587, description=N_("Port: usually 587 with starttls, 465 with tls, 25 with none."), ge=1, le=65535)
    security: Literal["none", "starttls", "tls"] = Field(
        "starttls", description=N_("How the connection is encrypted: not at all, after a greeting, or from the start.")
    )
    username: Annotated[str, AfterValidator(_check_ascii)] = Field("", description=N_("User name at the mail server; empty: no sign-in."))
    password: Annotated[SecretStr, AfterValidator(_check_secret)] = Field(SecretStr(""), description=N_("Password at the mail server."))
    from_address: Mailbox = Field(description=N_("Address the messages come from."))
    to: tuple[Mailbox, ...] = Field((), description=N_("Where messages go that are not for one person, e.g. the address of a team."))

    @model_validator(mode="after")
    def _password_needs_tls(self) -> Self:
        if self.username and self.security == "none":
            raise ValueError("a password is not sent in clear: choose security starttls or tls, or leave username empty")
        return self


EXAMPLES = (
    Example(
        title=N_("to people, through the company's server"),
        config={"host": "smtp.example.com", "username": "watchkeeper", "password": "correct horse", "from_address": "watchkeeper@example.com"},
    ),
    Example(
        title=N_("to a team, through a relay that asks no password"),
        config={
            "host": "relay.corp.example",
            "port": 25,
            "security": "none",
            "from_address": "ml@corp.example",
            "to": ["fresh-demand@corp.example"],
        },
    ),
)


def send(outgoing: Outgoing, config: Config, policy: OutgoingPolicy) -> Receipt:
    recipients = (outgoing.to,) if outgoing.to else config.to
    if not recipients:
        return Receipt.refused(Text(N_("nobody to write to: the person has no address and the channel has no `to`")))
    wrong = [excerpt(address) for address in recipients if not _MAILBOX.fullmatch(address)]
    if wrong:
        return Receipt.refused(Text(N_("not an e-mail address: {wrong:list}"), {"wrong": wrong}))
    try:
        refusals = _hand_over(message_bytes(outgoing, config, recipients), config, recipients, policy)
    except (OSError, BlockedAddress) as problem:  # every SMTPException is an OSError
        return _judge(problem)
    if refusals:
        return Receipt.delivered(Text(N_("accepted by {host}, but {refusals:list}"), {"host": config.host, "refusals": _sentences(refusals)}))
    return Receipt.delivered(Text(N_("accepted by {host}"), {"host": config.host}))


def message_bytes(outgoing: Outgoing, config: Config, recipients: tuple[str, ...]) -> bytes:
    """The message as it goes over the wire: the same for the same arguments, however often it is made."""
    message = EmailMessage(policy=_FORMAT)
    message["Subject"] = " ".join("".join(char if char.isprintable() else " " for char in outgoing.subject).split())
    message["From"] = Address(SENDER, addr_spec=config.from_address)
    message["To"] = [Address(addr_spec=address) for address in recipients]
    message["Date"] = outgoing.sent_at
    message["Message-ID"] = f"<{outgoing.key}@watchkeeper.{config.from_address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(outgoing.text)
    if outgoing.html is not None:
        message.add_alternative(outgoing.html, subtype="html")
        # the library would draw it at random; "=_" cannot occur in a line of base64 or quoted-printable
        message.set_boundary("=_" + sha256(outgoing.key.encode()).hexdigest()[:32])
    return message.as_bytes()


def _hand_over(message: bytes, config: Config, recipients: tuple[str, ...], policy: OutgoingPolicy) -> Refusals:
    """Addresses the server did not accept; an error when it accepted none."""
    server = _Server(config, policy)
    try:
        if config.security == "starttls":
            server.starttls(context=tls_context("smtp"))
        if config.username:
            server.login(config.username, config.password.get_secret_value())
        refusals = server.sendmail(config.from_address, recipients, message)
        with suppress(OSError):  # the message is handed over, however the farewell goes
            server.quit()
        return refusals
    finally:
        server.close()


def _judge(problem: OSError | BlockedAddress) -> Receipt:
    match problem:
        case smtplib.SMTPRecipientsRefused():
            is_final = all(code >= 500 for code, _ in problem.recipients.values())
            detail = Text(N_("the mail server says: {refusals:list}"), {"refusals": _sentences(problem.recipients)})
        case smtplib.SMTPResponseException():
            is_final = problem.smtp_code >= 500
            detail = Text(N_("the mail server says: {answer}"), {"answer": _sentence(problem.smtp_code, problem.smtp_error)})
        case smtplib.SMTPServerDisconnected():
            is_final, detail = False, explain(problem)
        case smtplib.SMTPException():
            is_final, detail = True, Text(N_("the mail server cannot do it: {reason}"), {"reason": excerpt(str(problem))})
        case _:
            is_final, detail = isinstance(problem, BlockedAddress) or is_distrusted(problem), explain(problem)
    return Receipt.refused(detail) if is_final else Receipt.retry(detail)


def _sentences(refusals: Refusals) -> list[str]:
    return [f"{address}: {_sentence(code, answer)}" for address, (code, answer) in refusals.items()]


def _sentence(code: int, answer: bytes | str) -> str:
    return excerpt(f"{code} {answer if isinstance(answer, str) else answer.decode('utf-8', 'replace')}")


class _Server(smtplib.SMTP):
    """A connection to a checked address, whose whole dialogue has one deadline and one size."""

    def __init__(self, config: Config, policy: OutgoingPolicy) -> None:
        self._config, self._policy, self._ends_at = config, policy, time.monotonic() + policy.smtp_seconds
        super().__init__(config.host, config.port, timeout=policy.smtp_seconds)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connected = open_socket(host, port, policy=self._policy, ends_at=self._ends_at)
        connected.settimeout(seconds_left(self._ends_at))
        if self._config.security == "tls":
            return tls_context("smtp").wrap_socket(connected, server_hostname=host)
        return connected

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock:
            self.file = io.BufferedReader(_Replies(self.sock, self._ends_at))
        return super().getreply()


class _Replies(io.RawIOBase):
    def __init__(self, connected: socket.socket, ends_at: float) -> None:
        self._socket, self._ends_at, self._left = connected, ends_at, LONGEST_DIALOGUE

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # Any: typeshed's WriteableBuffer exists for the type checker only
        if self._left <= 0:
            raise OSError("the answer is too long")
        self._socket.settimeout(seconds_left(self._ends_at))
        read = self._socket.recv_into(buffer)
        self._left -= read
        return read
