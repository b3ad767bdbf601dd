"""One file's rows checked against another's, without a server: schema, drift, nulls, new levels, ranges, units. Stores and prints nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path

import pyarrow as pa

from watchkeeper.analysis.check_report import PROBLEMS, CheckLimits, CheckReport, ColumnReport, Difference
from watchkeeper.analysis.file_bins import file_bins
from watchkeeper.analysis.file_days import NO_DAY, counts_by_day, day_of, rows_by_day
from watchkeeper.analysis.files import CannotCheck, RowSource, has_values, open_rows, rows_of
from watchkeeper.analysis.together import files_apart
from watchkeeper.analysis.windows import Counted, column_reports, rows_report, spread_over
from watchkeeper.telemetry.bins import MOST_COLUMNS

MOST_DAYS = 366


def check_files(
    current: str | Path,
    baseline: str | Path,
    *,
    columns: Collection[str] = (),
    ignore: Collection[str] = (),
    timestamp: str = "",
    limits: CheckLimits | None = None,
    together: bool = False,
) -> CheckReport:
    """Compare the rows of a file with those of a baseline: Parquet, CSV, or a folder of Parquet files.

    All columns are compared, or only `columns`, never those of `ignore`. Without `timestamp` the current rows are one window of which nobody
    knows how much it may differ: only large drift counts. With it each day of the current rows is judged (in UTC), and the days of the
    baseline tell how much days usually differ. Bins are made from 50,000 rows of the baseline; all rows are counted, in batches.
    Vectors are compared by what is measured of them, whole rows by how many of their values are unusual.
    `together` also asks whether a classifier can tell the rows of the two apart, by all columns at once.

    Raises CannotCheck (`detail` says what is wrong, `remedy` what to do) for files that cannot be read, that have no rows or no column in common.

    >>> import tempfile
    >>> import pyarrow.parquet
    >>> folder = Path(tempfile.mkdtemp())
    >>> pyarrow.parquet.write_table(pa.table({"age": [20 + n % 40 for n in range(2000)]}), folder / "train.parquet")
    >>> pyarrow.parquet.write_table(pa.table({"age": [40 + n % 40 for n in range(2000)]}), folder / "today.parquet")
    >>> report = check_files(folder / "today.parquet", folder / "train.parquet")
    >>> report.outcome.value, [difference.problem for difference in report.columns[0].differences]
    ('fired', ['out_of_range', 'feature_drift'])
    """
    return _check(open_rows(current), open_rows(baseline), columns, ignore, timestamp, limits or CheckLimits(), together)


def check_tables(
    current: pa.Table,
    baseline: pa.Table,
    *,
    columns: Collection[str] = (),
    ignore: Collection[str] = (),
    timestamp: str = "",
    limits: CheckLimits | None = None,
    together: bool = False,
) -> CheckReport:
    """The same of Arrow tables at hand: `pa.Table.from_pandas(frame)`, `frame.to_arrow()` of polars."""
    given = rows_of(current, name="current"), rows_of(baseline, name="baseline")
    return _check(*given, columns, ignore, timestamp, limits or CheckLimits(), together)


def _check(
    current: RowSource,
    baseline: RowSource,
    columns: Collection[str],
    ignore: Collection[str],
    timestamp: str,
    limits: CheckLimits,
    together: bool,
) -> CheckReport:
    for rows in (current, baseline):
        if not rows.count:
            raise CannotCheck(f"{rows.name} has no rows.", remedy="Look at what should have written it.")
    days = _days(current, timestamp) if timestamp else []
    before, after = _wanted(current, baseline, {*ignore, timestamp} if timestamp else ignore, columns)
    changed = _schema_differences(current, baseline, before, after)
    kinds = {name: kind for name, kind in before.items() if name not in changed}
    compared = dict(list(kinds.items())[:MOST_COLUMNS])
    counted = _counted(current, baseline, compared, timestamp, days) if compared else None
    reports = [ColumnReport(column=name, kind=before.get(name) or after[name], differences=(found,)) for name, found in changed.items()]
    reports += column_reports(counted, limits, compared) if counted else []
    return CheckReport(
        current=current.name,
        baseline=baseline.name,
        rows=current.count,
        baseline_rows=baseline.count,
        limits=limits,
        columns=tuple(sorted(reports, key=_worst_first)),
        days=counted.days if counted else (),
        rows_without_day=counted.rows_without_day if counted else 0,
        left_out=tuple(kinds)[MOST_COLUMNS:],
        unusual=rows_report(counted, limits) if counted else None,
        together=files_apart(current, baseline, counted.layout) if together and counted else None,
    )


def _wanted(current: RowSource, baseline: RowSource, ignore: Collection[str], columns: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Columns and kinds of both sides, as asked for."""
    known = {**baseline.kinds, **current.kinds}
    if unknown := sorted(set(columns) - known.keys()):
        raise CannotCheck(f"Neither file has a column {', '.join(map(repr, unknown))}.", remedy=f"There are: {_list(known)}.")

    def chosen(kinds: Mapping[str, str]) -> dict[str, str]:
        return {name: kind for name, kind in kinds.items() if name not in ignore and (not columns or name in columns)}

    before, after = chosen(baseline.kinds), chosen(current.kinds)
    if not baseline.kinds.keys() & current.kinds.keys() - set(ignore) or not (before or after):
        raise CannotCheck(
            f"There is no column to compare: {current.name} has {_list(after)}; {baseline.name} has {_list(before)}.",
            remedy="Give two files of the same table, and ignore fewer columns.",
        )
    return before, after


def _list(names: Collection[str], most: int = 12) -> str:
    shown = ", ".join([*names][:most]) or "none"
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _schema_differences(current: RowSource, baseline: RowSource, before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, Difference]:
    """Columns that are gone, new, or of another kind. A column without a single value may have come as any kind."""
    found = {name: Difference(problem="column_missing") for name in before.keys() - after.keys()}
    found |= {name: Difference(problem="column_new") for name in after.keys() - before.keys()}
    for name in before.keys() & after.keys():
        kinds = before[name], after[name]
        if len({*kinds} - {"null"}) > 1 and has_values(current, name) and has_values(baseline, name):
            found[name] = Difference(problem="type_changed", kinds=kinds)
    return found


def _counted(current: RowSource, baseline: RowSource, kinds: Mapping[str, str], timestamp: str, days: Sequence[int]) -> Counted:
    bins = file_bins(baseline, kinds)
    layout = bins.layout
    if not timestamp:
        counted = counts_by_day(baseline, layout, kinds), counts_by_day(current, layout, kinds)
        return Counted(layout=layout, reference=bins.as_reference(counted[0][NO_DAY]), windows=(counted[1][NO_DAY],))
    usual = spread_over(rows_by_day(baseline, timestamp).keys() - {NO_DAY}) if timestamp in baseline.kinds else []
    found = counts_by_day(baseline, layout, kinds, timestamp=timestamp, days=usual)
    windows = counts_by_day(current, layout, kinds, timestamp=timestamp, days=days)
    return Counted(
        layout=layout,
        reference=bins.as_reference(reduce(add, found.values())),
        usual=tuple(found[day] for day in usual),
        windows=tuple(windows[day] for day in days),
        days=tuple(map(day_of, days)),
        rows_without_day=windows[NO_DAY].rows if NO_DAY in windows else 0,
    )


def _days(current: RowSource, timestamp: str) -> list[int]:
    """Those of the current rows, oldest first."""
    if timestamp not in current.kinds:
        raise CannotCheck(f"{current.name} has no column {timestamp!r}.", remedy=f"Name one of its columns with --timestamp: {_list(current.kinds)}.")
    days = [day for day in rows_by_day(current, timestamp) if day != NO_DAY]
    if len(days) > MOST_DAYS:
        raise CannotCheck(
            f"{current.name} has rows on {len(days):,} days; at most {MOST_DAYS} are judged.", remedy="Give the last days only, or no --timestamp."
        )
    return days


def _worst_first(report: ColumnReport) -> tuple[int, int, float, str]:
    worst = report.differences[0] if report.differences else None
    rank = PROBLEMS.index(worst.problem) if worst else len(PROBLEMS)
    psi = report.test.psi if report.test and report.test.psi == report.test.psi else 0.0
    return rank, 0 if report.judged else -1, -psi, report.column
