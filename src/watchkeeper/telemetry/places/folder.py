"""Folder of Parquet files.

All files below it, in subfolders too. A file whose size or time of writing changed is read again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import pyarrow as pa

from watchkeeper.telemetry.places import Access, CannotWatch, Part, Place, Seen
from watchkeeper.telemetry.places._parquet import (
    allowed_folder,
    files_below,
    folder_path,
    identity_of,
    is_settled,
    path_values,
    read_rows,
    rows_in,
    schema_of,
)

EXAMPLE = "/data/scored"

canonical = folder_path


def open_place(address: str, access: Access) -> Place:
    folder = allowed_folder(address, access.roots)
    if (folder / "_delta_log").is_dir():
        raise CannotWatch(f"{address} is a Delta table.", remedy="Choose the kind delta: files that the table no longer has would be counted too.")
    return Folder(folder, access.roots)


class Folder:
    def __init__(self, folder: Path, roots: Sequence[str]) -> None:
        self.folder, self.roots = folder, roots

    def schema(self) -> pa.Schema:
        """That of the newest file that can be read: a broken one is said when its rows are taken."""
        newest, inside = self._newest()
        extra = [pa.field(name, value.type) for name, value in path_values(newest, self.folder).items() if name not in inside.names]
        return pa.schema([*inside, *extra])

    def count(self) -> int:
        """Of the files that can be read."""
        total = 0
        for path in self._files():
            with suppress(CannotWatch):
                total += rows_in(path)
        return total

    def parts(self, seen: Seen) -> Iterator[Part]:
        for path in self._files():
            name, identity = str(path.relative_to(self.folder)), identity_of(path)
            if seen.parts.get(name) != identity:
                yield Part(name=name, identity=identity, read=partial(self._read, path))

    def mark(self, before: str, *, is_read: bool) -> str:
        return before

    def close(self) -> None:
        pass

    def _newest(self) -> tuple[Path, pa.Schema]:
        files = self._files()
        for path in reversed(files):
            with suppress(CannotWatch):
                return path, schema_of(path)
        return files[-1], schema_of(files[-1])

    def _files(self) -> list[Path]:
        found = files_below(self.folder, self.roots)
        if not found:
            raise CannotWatch(f"{self.folder} has no Parquet files.", remedy="Look whether its name is right: files must end in .parquet.")
        return found

    def _read(self, path: Path, columns: Sequence[str], needed: Collection[str]) -> Iterator[pa.Table]:
        try:
            yield from read_rows(path, columns, needed, {name: value for name, value in path_values(path, self.folder).items() if name in needed})
        except CannotWatch:
            if is_settled(path):
                raise
