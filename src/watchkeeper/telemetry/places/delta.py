"""Delta table.

What its commits add is read once; what they only move, as a compaction does, is not read again. Rows that a commit removes stay counted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from watchkeeper.telemetry.places import Access, CannotWatch, Part, Place, Seen
from watchkeeper.telemetry.places._parquet import allowed_folder, folder_path, lies_below, read_rows, schema_of

EXAMPLE = "/data/lake/scored"
READABLE = frozenset({"timestampNtz", "vacuumProtocolCheck", "v2Checkpoint"})
_REMEDIES = {
    "deletionVectors": "In Spark: set delta.enableDeletionVectors to false, REORG TABLE … APPLY (PURGE), ALTER TABLE … DROP FEATURE deletionVectors.",
    "columnMapping": "In Spark: ALTER TABLE … DROP FEATURE columnMapping, or write a copy of the table without it.",
}
_UNREAD = "?"  # after a version whose files were not all read
_COLUMN_MAPPING = 2  # the reader version that means column mapping

Added = tuple[str, str, Mapping[str, Any]]  # path, size, values of the partition columns (Any: as their types are)

canonical = folder_path


def open_place(address: str, access: Access) -> Place:
    folder = allowed_folder(address, access.roots)
    if not (folder / "_delta_log").is_dir():
        raise CannotWatch(
            f"{address} is not a Delta table: it has no _delta_log.", remedy="Choose the kind folder, or the folder of the table itself."
        )
    _refuse_features(_features_in_commits(folder))
    try:
        table = DeltaTable(str(folder))
        _refuse_features(set(table.protocol().reader_features or ()))
        return Delta(folder, table, access.roots)
    except (DeltaError, OSError) as problem:
        raise CannotWatch(
            f"{address} cannot be opened: {str(problem).partition(chr(10))[0][:200]}.", remedy="Look at the table with its own tools."
        ) from problem


class Delta:
    def __init__(self, folder: Path, table: DeltaTable, roots: Sequence[str]) -> None:
        self.folder, self.table, self.roots = folder, table, roots

    def schema(self) -> pa.Schema:
        return pa.schema(self.table.schema().to_arrow())

    def count(self) -> int:
        return int(self.table.count())

    def parts(self, seen: Seen) -> Iterator[Part]:
        """The files of the first look, then those that later commits added with new rows, also when a compaction took them away since."""
        version = int(seen.mark.removesuffix(_UNREAD))
        first = self._files_at(version) if seen.mark.endswith(_UNREAD) else []
        for path, identity, values in (*first, *self._added_after(version)):
            if path not in seen.parts:
                yield Part(name=path, identity=identity, read=partial(self._read, path, values))

    def mark(self, before: str, *, is_read: bool) -> str:
        """The version up to which all was read; that of the first look while its files are not."""
        if is_read:
            return str(self.table.version())
        return before or f"{self.table.version()}{_UNREAD}"

    def close(self) -> None:
        pass

    def _files_at(self, version: int) -> list[Added]:
        """The files of a version, in the order in which they were added."""
        table = DeltaTable(str(self.folder), version=version)
        actions = sorted(pa.table(table.get_add_actions()).to_pylist(), key=lambda action: (action["modification_time"], action["path"]))
        return [(unquote(action["path"]), str(action["size_bytes"]), action.get("partition") or {}) for action in actions]

    def _added_after(self, version: int) -> Iterator[Added]:
        """A commit that changed no data only holds rows of others."""
        commits = [commit for commit in _commits(self.folder) if version < int(commit.stem) <= self.table.version()]
        if len(commits) < self.table.version() - version:
            raise CannotWatch(
                f"Commits after version {version} were cleaned up before they were read.",
                remedy="Stop watching the table and register it again: it is read anew.",
            )
        schema = self.schema()
        for commit in commits:
            for action in _actions(commit):
                add = action.get("add")
                if add and add.get("dataChange", True):
                    values = {name: _typed(value, schema.field(name).type) for name, value in add["partitionValues"].items()}
                    yield unquote(add["path"]), str(add["size"]), values

    def _read(
        self, path: str, values: Mapping[str, Any], columns: Sequence[str], needed: Collection[str]
    ) -> Iterator[pa.Table]:  # Any: values of partition columns
        schema = self.schema()
        file = self.folder / path
        if not lies_below(file.resolve(), self.roots):
            raise CannotWatch(f"The table's file {path} is not below a folder that may be watched.", remedy="Write a copy of the table there.")
        inside = set(schema_of(file).names)  # a column that was added later is null in the files before
        outside = {field.name: pa.scalar(values.get(field.name), field.type) for field in schema if field.name not in inside}
        yield from read_rows(file, columns, needed, outside)


def _features_in_commits(folder: Path) -> set[str]:
    """What a reader of the newest version must know; told by the commits, since deltalake may refuse to open the table without naming it."""
    features: set[str] = set()
    for commit in _commits(folder):
        for action in _actions(commit):
            if protocol := action.get("protocol"):
                features = set(protocol.get("readerFeatures") or ())
                if protocol.get("minReaderVersion") == _COLUMN_MAPPING:
                    features = {"columnMapping"}
    return features


def _refuse_features(features: set[str]) -> None:
    if unknown := sorted(features - READABLE):
        remedy = " ".join(_REMEDIES.get(name, f"Ask for {name}, or write a copy of the table without it.") for name in unknown)
        raise CannotWatch(f"The Delta table uses {', '.join(unknown)}, which cannot be read here.", remedy=remedy)


def _commits(folder: Path) -> list[Path]:
    """Those that were not cleaned up, oldest first."""
    return sorted(commit for commit in (folder / "_delta_log").glob("*.json") if commit.stem.isdigit())


def _actions(commit: Path) -> Iterator[dict[str, Any]]:  # Any: JSON
    return (json.loads(line) for line in commit.read_text().splitlines() if line.strip())


def _typed(value: str | None, kind: pa.DataType) -> Any:  # Any: value of a partition column, which a commit holds as text
    return pa.scalar(value or None, pa.string()).cast(kind).as_py()
