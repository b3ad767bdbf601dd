"""Batches on disk until they are delivered, one file each, oldest first, and the folders of dead processes. Does not send.

```text
    <root>/                        one server and token
        .lock                      held while a folder is made or adopted
        rejected/                  the last batches the server refused
        <pid>-<random>/.lock       held as long as the process lives
        <pid>-<random>/<time>-<n>.<stream>.<rows>.<batch id>.<json|arrow>
```
"""

from __future__ import annotations

import heapq
import itertools
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from watchkeeper.client._batches import Batch
from watchkeeper.client._forks import held_back
from watchkeeper.client._locks import lock, locked
from watchkeeper.client._wire import ARROW_STREAM, JSON, Stream

REJECTED = "rejected"
KEPT_REJECTED = 100
BLOCK = 4096  # what a small file takes on disk: a long outage leaves many of them
_ENDINGS = {JSON: "json", ARROW_STREAM: "arrow"}
_MEDIA_TYPES = {ending: media_type for media_type, ending in _ENDINGS.items()}


@dataclass(frozen=True, order=True)
class Spooled:
    """A batch file; its name says all but its content. Sorts by age."""

    name: str
    footprint: int

    @property
    def stream(self) -> Stream:
        return Stream(self.name.split(".")[1])

    @property
    def rows(self) -> int:
        return int(self.name.split(".")[2])

    @property
    def batch_id(self) -> str:
        return self.name.split(".")[3]

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self.name.split(".")[4]]


class Spool:
    """This process's folder. The writer adds, the sender takes; the list of files is kept in memory, as nobody else writes here."""

    def __init__(self, roots: Sequence[Path], max_bytes: int) -> None:
        self.folder: Path | None = None
        self._roots, self._max_bytes = roots, max_bytes
        self._waiting: list[Spooled] = []
        self._in_flight: Spooled | None = None
        self._bytes = self._bytes_of_others = 0
        self._numbers = itertools.count()
        self._handle: int | None = None
        self._lock = threading.RLock()

    @property
    def root(self) -> Path:
        return self.open().parent

    def open(self) -> Path:
        """The folder, made when it is not there (any more), in the first root that can be written."""
        with self._lock:
            if self.folder is not None and self.folder.is_dir():
                return self.folder
            self.close()
            *others, last = self._roots
            for root in others:
                with suppress(OSError):
                    return self._make_folder(root)
            return self._make_folder(last)

    def write(self, batch: Batch) -> int:
        """Durable when this returns; the answer is how many older rows had to go to make room."""
        name = f"{time.time_ns():020d}-{next(self._numbers):06d}.{batch.stream}.{batch.rows}.{batch.id}.{_ENDINGS[batch.media_type]}"
        folder = self.open()
        _write_durably(folder / name, batch.body)
        with self._lock:
            self._add(Spooled(name, _footprint(len(batch.body))))
            return sum(self._drop(oldest) for oldest in self._overflow())

    def take(self) -> Spooled | None:
        """The oldest file, out of the reach of the cap until it is settled by `remove`, `reject` or `give_back`."""
        with self._lock:
            if self._in_flight is None and self._waiting:
                self._in_flight = heapq.heappop(self._waiting)
            return self._in_flight

    def body(self, taken: Spooled) -> bytes:
        return (self.open() / taken.name).read_bytes()

    def give_back(self, taken: Spooled) -> None:
        with self._lock:
            heapq.heappush(self._waiting, taken)
            self._in_flight = None

    def remove(self, taken: Spooled) -> None:
        with self._lock:
            self._drop(taken)
            self._in_flight = None

    def reject(self, taken: Spooled) -> Path:
        """Keep a refused batch aside for whoever looks for the reason."""
        rejected = self.root / REJECTED
        rejected.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            os.replace(self.open() / taken.name, rejected / taken.name)
        for old in sorted(rejected.iterdir())[:-KEPT_REJECTED]:
            old.unlink(missing_ok=True)
        self.remove(taken)
        return rejected / taken.name

    def clear(self) -> int:
        """Give everything up; the answer is how many rows."""
        with self._lock:
            given_up, self._waiting = self._waiting, []
            return sum(self._drop(spooled) for spooled in given_up)

    def has_waiting(self) -> bool:
        return bool(self._waiting)

    def newest(self) -> str:
        """The name of the youngest file that is left; empty when none is."""
        with self._lock:
            return max((spooled.name for spooled in self._left(self._waiting)), default="")

    def is_clear_up_to(self, name: str) -> bool:
        """Whether that file and all older ones are settled."""
        with self._lock:
            return all(spooled.name > name for spooled in self._left(self._waiting[:1]))

    def adopt(self) -> None:
        """Take over the folders of processes that died, and see how much the living ones hold."""
        self.open()
        with held_back(), locked(self.root / ".lock", wait=False) as is_mine:
            if is_mine:
                self._bytes_of_others = sum(self._adopted_or_measured(other) for other in self._other_folders())

    def close(self) -> None:
        """Leave the folder to whoever comes next; an empty one is removed."""
        with self._lock:
            if self._handle is None:
                return
            if self.folder is not None and not self._waiting and not self._in_flight:
                shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self._handle)
            self.folder = self._handle = None
            self._waiting, self._in_flight, self._bytes = [], None, 0

    def abandon(self) -> None:
        """In a forked child: drop the inherited handle without a word; the parent's copy keeps the lock."""
        if self._handle is not None:
            os.close(self._handle)

    def _left(self, waiting: list[Spooled]) -> list[Spooled]:
        return [*waiting, self._in_flight] if self._in_flight else waiting

    def _make_folder(self, root: Path) -> Path:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)  # rows are the caller's data: nobody else's to read
        with held_back(), locked(root / ".lock", wait=True):  # else another process could adopt the folder before it is locked
            folder = root / f"{os.getpid()}-{secrets.token_hex(4)}"
            folder.mkdir(mode=0o700)
            self._handle = lock(folder / ".lock")
        self.folder = folder
        return folder

    def _other_folders(self) -> Iterator[Path]:
        return (path for path in self.root.iterdir() if path.is_dir() and path.name != REJECTED and path != self.folder)

    def _adopted_or_measured(self, other: Path) -> int:
        """The bytes that stay another's. A living process empties and removes its folder while we look."""
        with suppress(FileNotFoundError):
            with locked(other / ".lock", wait=False) as is_orphan:
                if not is_orphan:
                    return sum(_footprint_of(entry) for entry in _batch_files(other))
                for entry in _batch_files(other):
                    footprint = _footprint_of(entry)
                    os.replace(entry.path, self.open() / entry.name)
                    with self._lock:
                        self._add(Spooled(entry.name, footprint))
            shutil.rmtree(other, ignore_errors=True)
        return 0

    def _add(self, spooled: Spooled) -> None:
        heapq.heappush(self._waiting, spooled)
        self._bytes += spooled.footprint

    def _overflow(self) -> Iterator[Spooled]:
        while self._bytes + self._bytes_of_others > self._max_bytes and len(self._waiting) > 1:
            yield heapq.heappop(self._waiting)

    def _drop(self, spooled: Spooled) -> int:
        self._bytes -= spooled.footprint
        if self.folder is not None:
            (self.folder / spooled.name).unlink(missing_ok=True)
        return spooled.rows


def _footprint(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _footprint_of(entry: os.DirEntry[str]) -> int:
    """0 when it is gone."""
    with suppress(FileNotFoundError):
        return _footprint(entry.stat().st_size)
    return 0


def _batch_files(folder: Path) -> list[os.DirEntry[str]]:
    return [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]


def _write_durably(path: Path, body: bytes) -> None:
    """All or nothing: a half-written file never carries the final name."""
    unfinished = path.with_name(f".{path.name}")
    with unfinished.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
