"""Parquet files as a table in DuckDB's SQL. Does not choose the files."""

from __future__ import annotations

from collections.abc import Sequence


def parquet(files: Sequence[str]) -> str:
    """The files in one `read_parquet`, whatever columns each has.

    >>> parquet(["/data/it's.parquet"])
    "read_parquet(['/data/it''s.parquet'], union_by_name = true, can_have_nan = true, hive_partitioning = true)"
    """
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in files)
    # can_have_nan: by default DuckDB believes the Parquet statistics, which leave NaN out, and finds none
    return f"read_parquet([{names}], union_by_name = true, can_have_nan = true, hive_partitioning = true)"
