"""Secrets that we hand out: made once, shown once, kept as a keyed hash. Used for API keys (`wkk_`) and integration tokens (`wk_`).

Form: `<prefix>_<id>_<secret><checksum>`; a wrong checksum (a token copied without its last characters) never reaches the database.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass
from functools import cache

from django.conf import settings

_FORM = re.compile(r"(wkk|wk)_([0-9a-f]{12})_([A-Za-z0-9]{32,64})([0-9a-f]{8})\Z")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class Token:
    """The parts of a well-formed token. `text` is the secret itself: show it once, store `digest`."""

    prefix: str
    id: str
    text: str

    @property
    def digest(self) -> str:
        return keyed_hash(self.text)

    def __repr__(self) -> str:
        return f"Token({self.prefix}_{self.id}_…)"


def make_token(prefix: str) -> Token:
    """A new token with 190 random bits (32 characters of 62)."""
    id = secrets.token_hex(6)
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(32))
    body = f"{prefix}_{id}_{secret}"
    return Token(prefix, id, body + _checksum(body))


def read_token(text: str) -> Token | None:
    """The token, or None when its form or checksum is wrong."""
    match = _FORM.match(text)
    if not match or _checksum(text[:-8]) != match[4]:
        return None
    return Token(match[1], match[2], text)


def same_digest(token: Token, digest: str) -> bool:
    return hmac.compare_digest(token.digest, digest)


def keyed_hash(text: str) -> str:
    """HMAC-SHA-256 under a pepper of its own, derived from the installation's secret."""
    return hmac.new(_pepper(), text.encode(), hashlib.sha256).hexdigest()


@cache
def _pepper() -> bytes:
    return hashlib.sha256(b"watchkeeper token pepper\0" + settings.SECRET_KEY.encode()).digest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
