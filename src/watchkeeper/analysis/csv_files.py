"""CSV files: their separator, types that hold in the whole file, batches. Does not know what the columns mean.

pyarrow guesses types from the first block. A later cell that does not fit widens its column's type, and the file is read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

ENDINGS = (".csv", ".tsv", ".txt")
SEPARATORS = ",;\t|"


def is_csv(path: Path) -> bool:
    """Whether its name says so.

    >>> is_csv(Path("rows.csv.gz")), is_csv(Path("rows.parquet"))
    (True, False)
    """
    return path.name.casefold().removesuffix(".gz").endswith(ENDINGS)


def schema_of(path: Path) -> tuple[pa.Schema, int]:
    """Types that every row of the file fits, and the number of rows."""
    with _open(path, {}) as reader:
        schema = reader.schema
    if len(set(schema.names)) < len(schema.names):
        return schema, 0  # types are told by name
    wider: dict[str, pa.DataType] = {}
    while True:
        try:
            with _open(path, wider) as reader:
                return reader.schema, sum(batch.num_rows for batch in reader)
        except pa.ArrowInvalid as problem:
            place = re.search(r"In CSV column #(\d+)", str(problem))
            if place is None:
                raise
            name = schema.names[int(place[1])]
            if pa.types.is_string(wider.get(name, pa.null())):
                raise
            wider[name] = _wider(wider.get(name, schema.field(name).type))


def read_csv(path: Path, schema: pa.Schema, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The columns asked for, block by block."""
    with _open(path, {field.name: field.type for field in schema}, columns) as reader:
        for batch in reader:
            yield pa.table([batch.column(name) for name in columns], names=list(columns))


def _open(path: Path, types: Mapping[str, pa.DataType], columns: Sequence[str] | None = None) -> csv.CSVStreamingReader:
    return csv.open_csv(
        str(path),
        parse_options=csv.ParseOptions(delimiter=_separator(path), newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=dict(types), strings_can_be_null=True, include_columns=columns),
    )


def _separator(path: Path) -> str:
    """The one of the usual ones that the first line has most of."""
    with pa.input_stream(str(path), compression="detect") as file:
        line = file.read(65_536).split(b"\n", 1)[0].decode(errors="replace")
    return max(SEPARATORS, key=line.count)


def _wider(given: pa.DataType) -> pa.DataType:
    """The next type to try: numbers, then times, then text."""
    if pa.types.is_null(given) or pa.types.is_integer(given):
        return pa.float64()
    is_rough_time = pa.types.is_date(given) or (pa.types.is_timestamp(given) and given.unit != "ns")
    return pa.timestamp("ns") if pa.types.is_floating(given) or is_rough_time else pa.string()
