"""`watchkeeper check`: a verdict on one file against another, in the terminal, as JSON and as HTML. Needs neither database nor settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from watchkeeper.analysis import CannotCheck, CheckLimits, CheckReport, check_files
from watchkeeper.analysis.check_report import ColumnReport
from watchkeeper.cli import check_words as words
from watchkeeper.core.finding import Outcome
from watchkeeper.core.text import NO_BREAK

EXIT_CODES = {Outcome.QUIET: 0, Outcome.FIRED: 1, Outcome.UNKNOWN: 2}
CANNOT = EXIT_CODES[Outcome.UNKNOWN]
SHOWN = 40
WIDTH = 160  # of a log, which has no edge


def run_check(
    out: Console,
    err: Console,
    *,
    current: Path,
    baseline: Path,
    html: Path | None,
    as_json: bool,
    columns: str,
    ignore: str,
    timestamp: str,
    limits: Sequence[str],
    together: bool = False,
) -> int:
    """Check, print, write the report; the exit code."""
    try:
        chosen = read_limits(limits)
        if html:
            _check_place(html, (current, baseline))
        wanted = {"columns": _names(columns), "ignore": _names(ignore)}
        report = check_files(current, baseline, **wanted, timestamp=timestamp, limits=chosen, together=together)
        if html:
            _write(html, report)
    except CannotCheck as problem:
        err.print(Text(printable(f"{problem.detail} {problem.remedy}".strip())))
        return CANNOT
    if as_json:
        print(json.dumps({"exit_code": EXIT_CODES[report.outcome]} | report.as_json(), indent=2, ensure_ascii=False))  # noqa: T201 - programs read it
    else:
        show(out, report)
        if html:
            out.print(Text(printable(f"Report: {html}")))
    return EXIT_CODES[report.outcome]


def read_limits(given: Sequence[str]) -> CheckLimits:
    """Limits as they are typed.

    >>> read_limits(["psi=0.2"]).psi
    0.2
    """
    limits = CheckLimits()
    for text in given:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if name not in CheckLimits.names() or not 0 < number < float("inf"):
            raise CannotCheck(f"--limit {text} is not a limit.", remedy=f"Write NAME=NUMBER, above 0; names are {', '.join(CheckLimits.names())}.")
        limits = replace(limits, **{name: number})
    return limits


def show(out: Console, report: CheckReport) -> None:
    """The verdict first, then the columns, worst first."""
    if not out.is_terminal:
        out.width = max(out.width, WIDTH)
    out.print(Text.assemble((words.headline(report), "bold"), printable(f": {words.compared(report)}.")))
    for remark in words.remarks(report):
        out.print(Text(printable(remark)))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("Column", "Kind", "Verdict"):
        table.add_column(head, overflow="fold")
    for head in ("PSI", "noise", "W1/SD", "rows"):
        table.add_column(head, justify="right", no_wrap=True)
    differing = report.with_outcome(Outcome.FIRED)
    shown = report.columns[: max(SHOWN, len(differing))]
    for column in shown:
        table.add_row(*_cells(column))
    out.print()
    out.print(table)
    if len(shown) < len(report.columns):
        out.print(f"{len(report.columns) - len(shown)} more columns that do not differ: --json and --html list all.")


def _cells(column: ColumnReport) -> tuple[Text, ...]:
    test = column.test
    numbers = (words.index(test.psi), words.index(test.noise_floor), words.moved(test.distance)) if test else ("–", "–", "–")
    colours = {"red": "bold red", "yellow": "bold yellow", "green": "", "grey": "dim"}
    return (
        Text(printable(column.column)),
        Text(printable(words.kind(column))),
        Text(printable(words.verdict(column)), style=colours[words.colour(column)]),
        *map(Text, numbers),
        Text(f"{column.rows:,}" if column.bins else "–"),
    )


def printable(text: str) -> str:
    """A text with names from a file, without what could command a terminal.

    >>> printable("\\x1b[2J")
    '\\\\x1b[2J'
    """
    return "".join(letter if letter.isprintable() or letter == NO_BREAK else repr(letter)[1:-1] for letter in text)


def _names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


def _check_place(html: Path, inputs: Sequence[Path]) -> None:
    """Before any work: a report that cannot be written, or that would replace what is checked."""
    if html.is_dir() or not html.absolute().parent.is_dir():
        raise CannotCheck(f"The report cannot be written to {html}.", remedy="Name a file in a folder that exists.")
    if html.exists() and any(path.exists() and html.samefile(path) for path in inputs):
        raise CannotCheck(f"The report would replace {html}, which is to be checked.", remedy="Name another file with --html.")


def _write(html: Path, report: CheckReport) -> None:
    from watchkeeper.cli.report import render  # Django's templates are loaded only when they are wanted

    try:
        html.write_text(render(report, now=datetime.now(UTC)), encoding="utf-8")
    except OSError as problem:
        raise CannotCheck(f"The report cannot be written: {problem}.", remedy="Look at who may write there.") from problem
