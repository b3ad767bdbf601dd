"""Back up and restore a data folder. PostgreSQL and object storage have tools of their own: docs/guide/operations.md names them."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from watchkeeper.core.errors import Conflict, InvalidInput
from watchkeeper.core.settings import settings

KEPT = ("secret.key", "encryption.keys", "watchkeeper.toml", "anchors.jsonl")
FOLDERS = ("payloads", "baselines", "telemetry")
DATABASE = "watchkeeper.sqlite3"
LISTS = "_delta_log"


def back_up(to: Path) -> Path:
    """What points before what it points to: the anchors, the database, each log's list of files, the files. One too many does no harm."""
    if settings().postgres_url or settings().telemetry:
        raise InvalidInput(
            "This installation keeps its data elsewhere.", remedy="Use pg_dump and the object storage's own versions; see docs/guide/operations.md."
        )
    if to.exists() and any(to.iterdir()):
        raise Conflict(f"{to} is not empty.", remedy="Choose a new folder.")
    to.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (settings().data / name).exists():
            shutil.copy2(settings().data / name, to / name)
    source = sqlite3.connect(settings().data / DATABASE)
    copy = sqlite3.connect(to / DATABASE)
    with source, copy:
        source.backup(copy)
    copy.close()
    source.close()
    for listing in (settings().data / "telemetry").glob(f"**/{LISTS}"):
        shutil.copytree(listing, to / listing.relative_to(settings().data))
    for name in FOLDERS:
        if (settings().data / name).exists():
            shutil.copytree(settings().data / name, to / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns(LISTS))
    return to


def restore(source: Path, to: Path) -> None:
    if not (source / DATABASE).exists():
        raise InvalidInput(f"{source} is no backup: it holds no {DATABASE}.", remedy="Give the folder that `watchkeeper backup` wrote.")
    if to.exists() and any(to.iterdir()):
        raise Conflict(f"{to} is not empty.", remedy="Restore into a new folder, then start with --data.")
    shutil.copytree(source, to, dirs_exist_ok=True)
