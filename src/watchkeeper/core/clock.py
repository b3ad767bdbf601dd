"""The time of the platform. Real by default; a data folder made by the demo carries a clock file that moves it; tests hold it still."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

CLOCK_FILE = "clock.json"


class Clock(Protocol):
    def now(self) -> datetime: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that moves when told to: whole months of the platform's life run in seconds."""

    def __init__(self, start: datetime) -> None:
        self.at = start

    def now(self) -> datetime:
        return self.at

    def advance(self, step: timedelta) -> datetime:
        self.at += step
        return self.at


class FileClock:
    """Follows a file: `{"now": ISO time}` stands still, `{"offset_seconds": x}` runs. A change of the file is seen at the next look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._fixed: datetime | None = None
        self._offset = timedelta(0)

    def now(self) -> datetime:
        file = self.path.stat()
        if self._seen != (file.st_ino, file.st_mtime_ns):
            self._read()
            self._seen = (file.st_ino, file.st_mtime_ns)
        return self._fixed or datetime.now(UTC) + self._offset

    def _read(self) -> None:
        setting = json.loads(self.path.read_text())
        self._fixed = datetime.fromisoformat(setting["now"]) if "now" in setting else None
        self._offset = timedelta(seconds=setting.get("offset_seconds", 0))


def write_clock(folder: Path, *, now: datetime | None = None, offset_seconds: float = 0) -> None:
    """Set the clock of a demo folder, atomically: a reader sees the old or the new time, never half a file."""
    setting = {"now": now.isoformat()} if now else {"offset_seconds": offset_seconds}
    draft = folder / f".{CLOCK_FILE}.{os.getpid()}"
    draft.write_text(json.dumps(setting))
    draft.replace(folder / CLOCK_FILE)


def clock_of(folder: Path, *, is_demo: bool) -> Clock:
    """The clock a data folder asks for. Only a demo folder may carry a clock file: anywhere else it would falsify records."""
    path = folder / CLOCK_FILE
    if not path.exists():
        return SystemClock()
    if not is_demo:
        raise ValueError(f"{path} moves the clock, which only a demo folder may do. Delete the file, or start with `watchkeeper demo`.")
    return FileClock(path)
