"""Signed webhook.

One POST of JSON per message, signed by the Standard Webhooks scheme, so that receivers have a library for it in their language
(https://www.standardwebhooks.com). The receiver checks `webhook-signature` with the secret, and answers 2xx when it has taken the message over.

| the receiver answers | then |
|---|---|
| 2xx | delivered |
| 408, 425, 429, 5xx, nothing at all | sent again with the same `webhook-id` and the same bytes; `Retry-After` is honoured |
| a redirect | refused: write the final address into `url` |
| 410 and any other 4xx | refused; the administrator sees it |

A receiver may get a message twice, when its answer was lost: it is the same message if its `webhook-id` is the same. `webhook-timestamp` is the
time of the attempt, so that the receiver can refuse old copies.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Annotated, ClassVar

import httpx
from pydantic import AfterValidator, Field, SecretStr
from standardwebhooks import Webhook

from watchkeeper.channels import ChannelConfig, Example, Outgoing, OutgoingPolicy, Receipt, outgoing_client
from watchkeeper.channels._addresses import BlockedAddress, excerpt, explain, is_distrusted
from watchkeeper.core.text import N_, Text

IS_FOR_PEOPLE = False
LONGEST_WAIT = timedelta(days=1)  # the outbox gives up after a day

_PREFIX = "whsec_"
_OURS = {"host", "connection", "content-length", "content-type", "transfer-encoding"}
_RETRIED = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


def new_secret() -> str:
    """A signing secret of 192 random bits, in the form the receivers' libraries read."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def _check_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as problem:
        raise ValueError(f"not an address: {problem}") from problem
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("must begin with https:// (or http://) and a host")
    if parsed.userinfo:
        raise ValueError("must not carry a user or password: put them into `headers`, where they are kept secret")
    return url


def _check_secret(secret: SecretStr) -> SecretStr:
    prefix, _, key = secret.get_secret_value().partition("_")
    try:
        size = len(base64.b64decode(key, validate=True))
    except binascii.Error:
        size = 0
    if f"{prefix}_" != _PREFIX or not 24 <= size <= 64:
        raise ValueError("must be whsec_ and 24 to 64 bytes in base64; leave it out to have one made")
    return secret


def _check_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value.get_secret_value()):
            raise ValueError(f"{name!r} is not a header: names are letters, digits and '-', values printable ASCII on one line")
        if name.lower() in _OURS or name.lower().startswith("webhook-"):
            raise ValueError(f"{name} is set by Watchkeeper")
    return headers


class Config(ChannelConfig):
    DESTINATION: ClassVar[tuple[str, ...]] = ("url",)

    url: Annotated[str, AfterValidator(_check_url)] = Field(description=N_("Where to POST. Its final address: redirects are not followed."))
    secret: Annotated[SecretStr, AfterValidator(_check_secret)] = Field(
        default_factory=lambda: SecretStr(new_secret()),
        description=N_("Key of the signature, whsec_ and base64. Made when left out; give it to the receiver."),
    )
    headers: Annotated[dict[str, SecretStr], AfterValidator(_check_headers)] = Field(
        default_factory=dict, description=N_("Headers to add, e.g. Authorization. Their values are kept secret.")
    )


EXAMPLES = (
    Example(title=N_("the secret is made by Watchkeeper"), config={"url": "https://hooks.example.com/watchkeeper"}),
    Example(
        title=N_("behind a gateway that wants a token"),
        config={
            "url": "https://gateway.example.com/alerts",
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "headers": {"Authorization": "Bearer 1f0e"},
        },
    ),
)


def send(outgoing: Outgoing, config: Config, policy: OutgoingPolicy) -> Receipt:
    now = datetime.now(UTC)  # of the attempt, and the real time even in a demo whose clock is moved: the receiver compares it with its own
    headers = {name: value.get_secret_value() for name, value in config.headers.items()} | _signed(outgoing, config.secret, now)
    try:
        with outgoing_client(policy) as client, client.stream("POST", config.url, content=outgoing.body, headers=headers) as response:
            return _judge(response.status_code, response.headers, now=now)
    except (BlockedAddress, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as problem:
        return Receipt.refused(explain(problem))
    except httpx.HTTPError as problem:
        return Receipt.refused(explain(problem)) if is_distrusted(problem) else Receipt.retry(explain(problem))


def _signed(outgoing: Outgoing, secret: SecretStr, now: datetime) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "webhook-id": outgoing.key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret.get_secret_value()).sign(outgoing.key, now, outgoing.body.decode()),
    }


def _judge(status: int, headers: Mapping[str, str], *, now: datetime) -> Receipt:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Receipt.delivered(Text(N_("the receiver answered {status}"), {"status": status}))
    if status in _RETRIED or not HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Receipt.retry(Text(N_("the receiver answered {status}"), {"status": status}), _retry_after(headers.get("Retry-After", ""), now))
    if status < HTTPStatus.BAD_REQUEST:
        where = excerpt(headers.get("Location", "")) or "–"
        return Receipt.refused(Text(N_("the receiver answered with a redirect to {where}; configure the final address"), {"where": where}))
    if status == HTTPStatus.GONE:
        return Receipt.refused(Text(N_("the receiver is gone (410); remove the channel or give its new address")))
    return Receipt.refused(Text(N_("the receiver answered {status}; it will not take this message"), {"status": status}))


def _retry_after(header: str, now: datetime) -> timedelta | None:
    """The wait asked for, as seconds or as a date; None when it cannot be read."""
    if re.fullmatch(r"[0-9]{1,9}", header):
        return min(timedelta(seconds=int(header)), LONGEST_WAIT)
    try:
        wanted = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return max(timedelta(0), min(wanted.replace(tzinfo=wanted.tzinfo or UTC) - now, LONGEST_WAIT))
