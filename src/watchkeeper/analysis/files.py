"""Rows of Parquet and CSV files, read in batches: what kinds their columns are, and their cells. Does not compare anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watchkeeper.analysis import csv_files
from watchkeeper.core.errors import WatchkeeperError
from watchkeeper.telemetry.arrow import ArrowCells, kind_of

BINNED = ("double", "string", "boolean", "vector")
CELLS_AT_ONCE = 2_000_000
PARQUET = b"PAR1"
FORMATS = "Give a Parquet file, a CSV file (.csv, .tsv, .txt, also .gz) or a folder of Parquet files."
OF_PANDAS = "__index_level_"  # what pandas calls an index that it writes to Parquet; in CSV it has no name


class CannotCheck(WatchkeeperError):
    """Nothing can be judged: what was wrong with what was given, and what to do."""

    status = 422
    title = "Cannot be checked"


@dataclass(frozen=True, kw_only=True, eq=False)
class RowSource:
    """Rows that can be read again and again, in batches.

    `kinds` has each column's kind: double, string, boolean, timestamp, vector, null (no value has a type), or the name of another Arrow type.
    `read` yields tables of the columns asked for, which must be among `kinds`.
    """

    name: str
    kinds: Mapping[str, str]
    count: int
    read: Callable[[Sequence[str]], Iterator[pa.Table]]


def open_rows(path: str | Path) -> RowSource:
    """The rows of a Parquet file, of a folder of Parquet files, or of a CSV file. Raises CannotCheck when there are none to be read."""
    path = Path(path)
    if not path.exists():
        raise CannotCheck(f"{path} does not exist.", remedy=f"Look at the path; here is {Path.cwd()}.")
    if path.is_dir():
        return _folder(path)
    with _told(path, "a file"), path.open("rb") as file:
        head = file.read(4)
    if not head:
        raise CannotCheck(f"{path} is empty: it has no bytes.", remedy="Look at what should have written it.")
    if head == PARQUET:
        return _parquet(path, [path])
    if csv_files.is_csv(path):
        return _csv(path)
    raise CannotCheck(f"{path} is not Parquet: it does not begin with PAR1.", remedy=FORMATS)


def rows_of(table: pa.Table, *, name: str) -> RowSource:
    """The rows of a table at hand."""
    kinds = _kinds(name, table.schema)
    return RowSource(name=name, kinds=kinds, count=len(table), read=lambda columns: _slices(table.select(columns)))


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    cells = table.nbytes / 8
    return map(pa.Table.from_batches, ([batch] for batch in table.to_batches(_rows_at_once(cells / max(1, len(table))))))


def _rows_at_once(cells_a_row: float) -> int:
    return max(1000, int(CELLS_AT_ONCE / max(1.0, cells_a_row)))


def comparable(table: pa.Table, kinds: Mapping[str, str]) -> pa.Table:
    """Cells as bins take them, by the kinds they are to have: numbers, categories, vectors; of anything else only whether it is filled.

    >>> comparable(pa.table({"a": [1, None], "b": [[1.0], None]}), {"a": "double", "b": "filled"}).to_pydict()
    {'a': [1.0, None], 'b': [b'', None]}
    """
    return pa.table({name: _cells(table[name].combine_chunks(), kind) for name, kind in kinds.items()})


def sample(rows: RowSource, kinds: Mapping[str, str], *, limit: int) -> pa.Table:
    """At most `limit` rows, chosen by chance over all of them; the same ones each time."""
    chosen = np.arange(rows.count)
    if rows.count > limit:
        chosen = np.sort(np.random.default_rng(0).choice(rows.count, limit, replace=False, shuffle=False))
    parts, start = [], 0
    for table in rows.read(list(kinds)):
        first, end = np.searchsorted(chosen, (start, start + len(table)))
        parts.append(comparable(table.take(pa.array(chosen[first:end] - start)), kinds))
        start += len(table)
    return pa.concat_tables(parts)


def has_values(rows: RowSource, column: str) -> bool:
    """Whether any cell of a column is filled."""
    return any(table[column].null_count < len(table) for table in rows.read([column]))


def _cells(cells: pa.Array, kind: str) -> pa.Array:
    plain = cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells
    if kind in BINNED:
        return ArrowCells(plain, UTC).read(kind).array
    return pc.if_else(pc.is_valid(plain), pa.scalar(b"", pa.binary()), None)


def _folder(path: Path) -> RowSource:
    if (path / "_delta_log").exists():
        raise CannotCheck(f"{path} is a Delta table: its folder keeps rows that were replaced too.", remedy="Export its rows to Parquet first.")
    found = sorted(file for file in path.rglob("*.parquet") if not any(part[0] in "_." for part in file.relative_to(path).parts))
    if not found:
        raise CannotCheck(f"{path} has no Parquet file: none ends in .parquet.", remedy=FORMATS)
    return _parquet(path, found)


def _parquet(path: Path, files: Sequence[Path]) -> RowSource:
    kinds: dict[str, str] = {}
    count = 0
    for file in files:
        with _told(file, "Parquet"), pq.ParquetFile(file) as opened:
            count += opened.metadata.num_rows
            schema = opened.schema_arrow
        for name, kind in _kinds(file, schema).items():
            if kinds.get(name, "null") not in ("null", kind) and kind != "null":
                raise CannotCheck(f"Column {name!r} of {path} is {kinds[name]} in some files, {kind} in {file.name}.", remedy="Write it as one type.")
            kinds[name] = kind if kinds.get(name, "null") == "null" else kinds[name]

    def read(columns: Sequence[str]) -> Iterator[pa.Table]:
        for file in files:
            with _told(file, "Parquet"), pq.ParquetFile(file, pre_buffer=False) as opened:  # with it the whole file would stay in memory
                there = [name for name in columns if name in opened.schema_arrow.names]
                for batch in opened.iter_batches(_rows_at_once(_cells_a_row(opened.metadata, columns)), columns=there):
                    yield _completed(batch, columns)

    return RowSource(name=str(path), kinds=kinds, count=count, read=read)


def _cells_a_row(metadata: pq.FileMetaData, columns: Sequence[str]) -> float:
    """Of these columns, those that the file lacks too; each element of a list is a cell."""
    wanted, found = set(columns), 0.0
    for place in range(metadata.num_row_groups):
        group = metadata.row_group(place)
        leaves = [group.column(index) for index in range(group.num_columns)]
        found += sum(leaf.num_values for leaf in leaves if leaf.path_in_schema.partition(".")[0] in wanted)
    return max(float(len(columns)), found / max(1, int(metadata.num_rows)))


def _completed(batch: pa.RecordBatch, columns: Iterable[str]) -> pa.Table:
    """What another file of the folder has and this one lacks is null."""
    names = batch.schema.names
    return pa.table({name: batch.column(name) if name in names else pa.nulls(batch.num_rows) for name in columns})


def _csv(path: Path) -> RowSource:
    with _told(path, "CSV"):
        schema, count = csv_files.schema_of(path)

    def read(columns: Sequence[str]) -> Iterator[pa.Table]:
        with _told(path, "CSV"):
            yield from csv_files.read_csv(path, schema, columns)

    return RowSource(name=str(path), kinds=_kinds(path, schema), count=count, read=read)


def _kinds(path: str | Path, schema: pa.Schema) -> dict[str, str]:
    names = [name for name in schema.names if name and not name.startswith(OF_PANDAS)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CannotCheck(f"{path} has more than one column {', '.join(map(repr, twice))}.", remedy="Give each its own name.")
    return {name: _kind(schema.field(name).type) for name in names}


def _kind(given: pa.DataType) -> str:
    plain = given.value_type if pa.types.is_dictionary(given) else given
    return kind_of(plain) or str(plain)


@contextmanager
def _told(path: Path, format: str) -> Iterator[None]:
    """What goes wrong while reading, as a sentence."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:
        what = (str(problem).splitlines() or [type(problem).__name__])[0][:300].rstrip(".")
        raise CannotCheck(f"{path} cannot be read as {format}: {what}.", remedy="Write the file again, or look at who may read it.") from problem
