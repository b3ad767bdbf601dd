"""Parquet files of a folder that an administrator allowed: which there are, their columns, their rows in batches."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from watchkeeper.telemetry.places import ROWS_AT_ONCE, CannotWatch

SETTLED_SECONDS = 60  # a file younger than this may still be written
SETTING = "WATCHKEEPER_WATCH_ROOTS"


def folder_path(given: str) -> str:
    """The folder in one spelling; a path of this machine."""
    text = given.strip().removeprefix("file://")
    if not text.startswith("/") or "\0" in text:
        raise CannotWatch(f"{given!r} is not a folder of this machine.", remedy="Write its whole path, e.g. /data/scored.")
    return "/" + text.strip("/")


def allowed_folder(given: str, roots: Sequence[str]) -> Path:
    """The folder, when it lies below one of the roots with every link followed. What lies elsewhere is refused before it is looked at."""
    if not roots:
        raise CannotWatch("Folders may not be watched here.", remedy=f"Ask the administrator to set {SETTING} to the folders that models may read.")
    path = Path(folder_path(given)).resolve()
    if not lies_below(path, roots):
        raise CannotWatch(f"{given} is not below a folder that may be watched.", remedy=f"Ask the administrator to add it to {SETTING}.")
    if not path.is_dir():
        raise CannotWatch(f"The folder {given} is not there.", remedy="Look at its name, and whether it is mounted on the worker's machine too.")
    return path


def files_below(folder: Path, roots: Sequence[str]) -> list[Path]:
    """Parquet files, oldest first. What begins with a dot or an underscore belongs to the tools that write; links that lead out are left out."""
    found = [path for path in folder.rglob("*.parquet") if not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)]
    return sorted((path for path in found if lies_below(path.resolve(), roots)), key=lambda path: (_written(path), path))


def identity_of(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def is_settled(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > SETTLED_SECONDS


def schema_of(path: Path) -> pa.Schema:
    return _opened(path).schema_arrow


def rows_in(path: Path) -> int:
    return int(_opened(path).metadata.num_rows)


def read_rows(path: Path, columns: Sequence[str], needed: Collection[str], constants: Mapping[str, pa.Scalar]) -> Iterator[pa.Table]:
    """`constants` are columns that do not stand in the file."""
    file = _opened(path)
    present = [name for name in columns if name in constants or name in file.schema_arrow.names]
    inside = [name for name in present if name not in constants]
    if missing := sorted(set(needed) - set(present)):
        raise CannotWatch(
            f"{path.name} has no column {', '.join(missing)}.", remedy="Write the column again, or register the place with other columns."
        )
    try:
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=inside):
            table = pa.Table.from_batches([batch])
            yield pa.table({name: pa.repeat(constants[name], len(table)) if name in constants else table[name] for name in present})
    except (pa.ArrowException, OSError) as problem:
        raise CannotWatch(f"{path.name} is damaged: {_first_line(problem)}.", remedy="Write the file again.") from problem


def path_values(path: Path, folder: Path) -> dict[str, pa.Scalar]:
    """Columns that stand in the path, as text: `day=2026-11-22/part.parquet`."""
    pairs = (part.partition("=") for part in path.relative_to(folder).parts[:-1])
    return {name: pa.scalar(value, pa.string()) for name, sign, value in pairs if sign and name}


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as problem:
        raise CannotWatch(
            f"{path.name} cannot be read as Parquet: {_first_line(problem)}.", remedy="Write the file again, or take it away."
        ) from problem


def lies_below(path: Path, roots: Sequence[str]) -> bool:
    return any(path.is_relative_to(Path(root).resolve()) for root in roots)


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0][:200].rstrip(".")
