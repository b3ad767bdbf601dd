"""The HTML report of a check of files: one file with everything in it, no script. Words are in check_words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files

from django.template import Context, Engine

from watchkeeper.analysis.check_report import CheckLimits, CheckReport, ColumnReport
from watchkeeper.cli import check_words as words
from watchkeeper.core.finding import Outcome
from watchkeeper.core.text import moment, number
from watchkeeper.web import drawing

GROUPS = (
    ("Differ", Outcome.FIRED, "beyond their limit and beyond chance, or another schema"),
    ("Not judged", Outcome.UNKNOWN, "too few rows, or days that differ too much"),
    ("As before", Outcome.QUIET, ""),
)


@dataclass(frozen=True)
class Row:
    """One column as the table shows it: texts and paths only, so that the template needs no settings of Django."""

    name: str
    kind: str
    colour: str
    verdict: str
    details: tuple[str, ...]
    baseline: str
    current: str
    psi: str
    noise: str
    moved: str
    rows: str
    nulls: str
    gauge: dict[str, str] | None


def render(report: CheckReport, *, now: datetime) -> str:
    """The whole page."""
    columns = {outcome: [_row(column) for column in report.with_outcome(outcome)] for _, outcome, _ in GROUPS}
    context = {
        "light": words.light(report),
        "headline": words.headline(report),
        "compared": words.compared(report),
        "reasons": [f"{column.column}: {words.sentence(column.differences[0])}" for column in report.with_outcome(Outcome.FIRED)[:3]],
        "remarks": words.remarks(report),
        "facts": _facts(report),
        "limits": ", ".join(f"{name} {number(getattr(report.limits, name))}" for name in CheckLimits.names()),
        "made": f"{moment(now)} UTC",
        "groups": [(title, str(len(columns[outcome])), note, columns[outcome]) for title, outcome, note in GROUPS if columns[outcome]],
    }
    return _engine().get_template("report.html").render(Context(context))


def _facts(report: CheckReport) -> list[tuple[str, str, str]]:
    sides = [("Current", report.current, f"{report.rows:,} rows"), ("Baseline", report.baseline, f"{report.baseline_rows:,} rows")]
    days = [("Days judged", str(len(report.days)), f"{report.days[0]} – {report.days[-1]}, UTC")] if report.days else []
    return sides + days


def _row(column: ColumnReport) -> Row:
    test, top = column.test, max((*column.baseline_shape, *column.current_shape), default=0.0)
    is_drawn = column.bins is not None and column.bins.kind != "presence"
    return Row(
        name=column.column,
        kind=words.kind(column) + _span(column),
        colour=words.colour(column),
        verdict=words.main_verdict(column),
        details=tuple(words.sentence(difference) for difference in column.differences[1:]),
        baseline=drawing.step_path(column.baseline_shape, top=top, width=132, height=26, base=29, closed=True) if is_drawn else "",
        current=drawing.step_path(column.current_shape, top=top, width=132, height=26, base=29) if is_drawn else "",
        psi=words.index(test.psi) if test else "–",
        noise=words.index(test.noise_floor) if test else "–",
        moved=words.moved(test.distance) if test else "",
        rows=f"{column.rows:,}" if column.bins else "",
        nulls=f"{words.share(column.usual_nulls)} → {words.share(column.nulls)}" if column.bins else "",
        gauge=_gauge(column),
    )


def _span(column: ColumnReport) -> str:
    """Over what the picture of a number reaches."""
    is_number = column.bins is not None and column.bins.kind == "number" and any(column.baseline_shape)
    return f", {number(column.bins.low)} to {number(column.bins.high)}" if is_number and column.bins else ""


def _gauge(column: ColumnReport) -> dict[str, str] | None:
    if column.test is None or column.test.psi != column.test.psi:
        return None
    drawn = drawing.noisy_gauge(column.test.psi, column.psi_limit, column.test.noise_floor)
    return {"limit": f"{drawn.limit_at:.1f}", "value": f"{drawn.value_at:.1f}", "over": f"{drawn.over:.1f}", "noise": f"{drawn.noise:.1f}"}


@cache
def _engine() -> Engine:
    """Django's templates alone, with the looks of the pages put into the page."""
    pages = files("watchkeeper.web")
    looks = (pages / "static/watchkeeper/app.css").read_text(encoding="utf-8")
    symbols = (pages / "templates/includes/symbols.html").read_text(encoding="utf-8")
    page = files("watchkeeper.cli").joinpath("report.html").read_text(encoding="utf-8")
    parts = {"report.html": page, "looks.css": "{% verbatim %}" + looks + "{% endverbatim %}", "symbols.html": symbols}
    return Engine(loaders=[("django.template.loaders.locmem.Loader", parts)])
