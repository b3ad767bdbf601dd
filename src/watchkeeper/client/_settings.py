"""Where to send, and how much to keep: arguments first, then the environment, then defaults."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

GIGABYTE = 1024**3


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`spools` are candidates: the first folder that can be written is used."""

    url: str
    token: str = field(repr=False)
    spools: tuple[Path, ...]
    spool_bytes: int = GIGABYTE
    memory_calls: int = 100_000
    memory_bytes: int = GIGABYTE // 4


def read_settings(url: str | None, token: str | None, spool: str | os.PathLike[str] | None, spool_bytes: int | None) -> Settings:
    """ValueError, with a sentence for the person who sets the model up, when there is nowhere to send to."""
    address = (url or os.environ.get("WATCHKEEPER_URL", "")).strip().rstrip("/")
    secret = (token or os.environ.get("WATCHKEEPER_TOKEN", "")).strip()  # secrets mounted as files often end with a newline
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"No address starting with http:// or https:// ({'WATCHKEEPER_URL is empty' if not address else 'another one is given'}).")
    if not secret or not secret.isascii() or not secret.isprintable():
        raise ValueError("No usable integration token: set WATCHKEEPER_TOKEN to the token shown when the model was registered.")
    folder = spool or os.environ.get("WATCHKEEPER_SPOOL")
    return Settings(
        url=address,
        token=secret,
        spools=tuple(base / _spool_name(address, secret) for base in ([Path(folder)] if folder else _default_folders())),
        spool_bytes=spool_bytes or int(os.environ.get("WATCHKEEPER_SPOOL_BYTES", GIGABYTE)),
    )


def _spool_name(url: str, token: str) -> str:
    """One folder per server and token, so that models that share a disk never send each other's rows. Does not reveal the secret part."""
    parts = token.split("_")
    token_id = parts[1] if len(parts) > 2 and parts[0] == "wk" else token
    return hashlib.sha256(f"{url}\n{token_id}".encode()).hexdigest()[:16]


def _default_folders() -> list[Path]:
    """The user's cache folder; the temporary folder for containers whose home cannot be written."""
    owner = os.getuid() if sys.platform != "win32" else "user"
    return [_cache_folder() / "watchkeeper", Path(tempfile.gettempdir()) / f"watchkeeper-{owner}"]


def _cache_folder() -> Path:
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
