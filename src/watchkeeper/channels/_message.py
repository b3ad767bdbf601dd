"""What goes into a channel and what comes back: a sealed message, and a receipt from a closed set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from watchkeeper.core.text import Text

_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A message rendered once: a repeat sends the same bytes under the same key.

    `key` becomes Message-ID, webhook-id or deduplication key. People get `subject`, `text` and `html`; machines get `body`, JSON in UTF-8.
    `to` is the person's address in channels for people; without it the message goes where the configuration says.
    """

    key: str
    subject: str
    text: str
    body: bytes
    sent_at: datetime
    html: str | None = None
    to: str | None = None

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"{self.key!r} is no message key. It goes into protocol headers: 1 to 128 letters, digits, '-' and '_'.")
        if self.sent_at.tzinfo is None:
            raise ValueError(f"sent_at {self.sent_at} has no time zone. Give an aware time.")


class Result(StrEnum):
    DELIVERED = "delivered"  # the receiver has taken it over
    RETRY = "retry"  # it has not, or nobody knows: send the same again
    REFUSED = "refused"  # sending it again will not help: dead letters


@dataclass(frozen=True)
class Receipt:
    """What became of one attempt. `after` is the wait the receiver asked for."""

    result: Result
    detail: Text
    after: timedelta | None = None

    @classmethod
    def delivered(cls, detail: Text) -> Receipt:
        return cls(Result.DELIVERED, detail)

    @classmethod
    def retry(cls, detail: Text, after: timedelta | None = None) -> Receipt:
        return cls(Result.RETRY, detail, after)

    @classmethod
    def refused(cls, detail: Text) -> Receipt:
        return cls(Result.REFUSED, detail)
