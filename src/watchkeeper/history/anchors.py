"""Anchors: the newest number and hash of the chain, kept outside the database once a day, so that cutting off its end is noticed.

Each goes into `anchors.jsonl` of the data folder, into the log of the worker, and to `WATCHKEEPER_ANCHOR_URL` when that is set.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from watchkeeper.core.errors import InvalidInput
from watchkeeper.history.models import Seal

FILE = "anchors.jsonl"


@dataclass(frozen=True)
class Anchor:
    """`hash` is that of the record `number`; `at` when it was taken, empty when a person gave it."""

    number: int
    hash: str
    at: str = ""

    def as_json(self) -> dict[str, object]:
        return {"number": self.number, "hash": self.hash, "at": self.at}


def newest_anchor(*, now: datetime) -> Anchor | None:
    """The end of the chain; None while nothing is sealed."""
    last = Seal.objects.order_by("-number").first()
    return Anchor(last.number, last.hash, now.isoformat()) if last else None


def keep_anchor(anchor: Anchor, *, folder: Path) -> None:
    with (folder / FILE).open("a") as file:
        file.write(json.dumps(anchor.as_json()) + "\n")
        file.flush()
        os.fsync(file.fileno())


def kept_anchors(folder: Path) -> list[Anchor]:
    """Every anchor of the folder. A line cut short by a crash is left out."""
    path, found = folder / FILE, []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(Anchor(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found


def parse_anchor(text: str) -> Anchor:
    """`NUMBER:HASH`, as somebody wrote it down."""
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != 64:
        raise InvalidInput(f"{text!r} is not an anchor.", remedy="Write NUMBER:HASH, the hash with its 64 digits.")
    return Anchor(int(number), digest.lower())
