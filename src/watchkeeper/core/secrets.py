"""Secrets (of channels, of watched databases) are encrypted at rest; keys rotate: the newest encrypts, all decrypt."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from watchkeeper.core.errors import Unavailable
from watchkeeper.core.settings import settings

KEY_FILE = "encryption.keys"


def encrypt(config: dict[str, Any]) -> str:  # Any: JSON
    return _fernet().encrypt(json.dumps(config).encode()).decode()


def decrypt(stored: str) -> dict[str, Any]:  # Any: JSON
    try:
        return dict(json.loads(_fernet().decrypt(stored.encode())))
    except InvalidToken as problem:
        raise Unavailable(
            "A stored secret cannot be decrypted.", remedy="Put the old key back into WATCHKEEPER_ENCRYPTION_KEYS, after the new one."
        ) from problem


def reencrypt(stored: str) -> str:
    """The same secret under the newest key."""
    return _fernet().rotate(stored.encode()).decode()


@cache
def _fernet() -> MultiFernet:
    given = settings().encryption_keys.get_secret_value()
    keys = [key.strip() for key in given.split(",") if key.strip()] or _kept_keys()
    return MultiFernet([Fernet(key) for key in keys])


def _kept_keys() -> list[str]:
    path = settings().data / KEY_FILE
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(Fernet.generate_key().decode())
    except FileExistsError:
        pass
    return path.read_text().split()
