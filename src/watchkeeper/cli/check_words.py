"""A check of files in words: for terminal and HTML report. English, as the whole command line."""

from __future__ import annotations

from datetime import date
from math import isfinite

from watchkeeper.analysis.check_report import CheckReport, ColumnReport, Difference, Problem
from watchkeeper.core.finding import Outcome
from watchkeeper.core.text import NO_BREAK, number
from watchkeeper.stats.domain_classifier import LEAST_AUC, SURE
from watchkeeper.stats.drift import UNKNOWN_SPREAD, Verdict
from watchkeeper.telemetry.vectors import COSINE, LENGTH, OUTSIDE

KINDS = {"double": "number", "string": "text", "boolean": "true or false", "timestamp": "time", "vector": "list of numbers", "null": "empty"}
RED = ("column_missing", "type_changed", "unit_or_scale_change")  # the model reads something else than it was trained on
SHORT: dict[Problem, str] = {
    "column_missing": "missing",
    "type_changed": "other type",
    "unit_or_scale_change": "other unit or scale",
    "missing_values": "missing values",
    "new_categories": "new categories",
    "out_of_range": "out of range",
    "feature_drift": "drift",
    "vector_drift": "vector drift",
    "column_new": "new",
}
MEASURES = {
    LENGTH: "length",
    COSINE: "similarity to the mean",
    "direction": "place along a principal direction",
    OUTSIDE: "share outside the principal directions",
}
PRELIMINARY = (
    "Preliminary: without twenty days nobody knows how much days usually differ, so drift counts only when it is large (PSI from 0.25, "
    "and five times the noise)."
)
NAME_THE_TIME = "Name the time of the rows with --timestamp, and each day is judged."
LEAST_SHOWN = 0.001
MOST_TELLERS = 5
NOTABLY = 0.05  # fewer nulls are worth a word, and no reason to fire


def headline(report: CheckReport) -> str:
    """What was found, in a few words.

    >>> from watchkeeper.analysis import CheckLimits
    >>> headline(CheckReport(current="a", baseline="b", rows=1, baseline_rows=9, limits=CheckLimits(), columns=()))
    'Not judged: too few rows'
    """
    fired, total = len(report.with_outcome(Outcome.FIRED)), len(report.columns)
    match report.outcome:
        case Outcome.FIRED if not fired:
            return "No column differs by itself, all together do" if report.is_apart else "No column differs by itself, more rows are unusual"
        case Outcome.FIRED:
            return f"{fired} of {total} columns {'differs' if fired == 1 else 'differ'}"
        case Outcome.QUIET:
            return f"Nothing found in {total} {'column' if total == 1 else 'columns'}"
    return f"Not judged: too few rows{', or days that differ too much' if report.days else ''}"


def compared(report: CheckReport) -> str:
    """The two sides with their rows."""
    days = f" on {_days(len(report.days))}" if report.days else ""
    return f"{report.current} ({_rows(report.rows)}{days}) against {report.baseline} ({_rows(report.baseline_rows)})"


def together(report: CheckReport) -> str:
    """How well rows of the two sides are told apart; empty when nobody asked.

    >>> from watchkeeper.analysis import CheckLimits
    >>> from watchkeeper.stats.domain_classifier import Apart
    >>> sides = {"current": "a", "baseline": "b", "rows": 900, "baseline_rows": 900, "limits": CheckLimits(), "columns": ()}
    >>> together(CheckReport(**sides, together=Apart(auc=0.712, error=0.011, features=(("age", 0.2), ("pay", 0.1)))))
    'All columns together: rows of the two are told apart, AUC 0.712 ± 0.033 (0.5 is chance, from 0.55 it counts), mostly by age, pay.'
    """
    found = report.together
    if found is None:
        return ""
    if not isfinite(found.auc):
        return "All columns together: too few rows, or no column with numbers or categories, to tell the two apart."
    auc = f"AUC {found.auc:.3f} ± {SURE * found.error:.3f} (0.5 is chance, from {LEAST_AUC} it counts)"
    if not found.is_apart:
        return f"All columns together: rows of the two cannot be told apart, {auc}."
    by = ", ".join(name for name, _ in found.features[:MOST_TELLERS])
    return f"All columns together: rows of the two are told apart, {auc}{f', mostly by {by}' if by else ''}."


def unusual(report: CheckReport) -> str:
    """How many rows have several unusual values at once, when they are more than usual; else empty.

    >>> from watchkeeper.analysis import CheckLimits
    >>> from watchkeeper.analysis.check_report import UnusualRows
    >>> sides = {"current": "a", "baseline": "b", "rows": 900, "baseline_rows": 900, "limits": CheckLimits(), "columns": ()}
    >>> rows = UnusualRows(share=0.05, usual=0.002, limit=0.012, grown=1, columns=("age", "pay"))
    >>> unusual(CheckReport(**sides, unusual=rows)).replace(NO_BREAK, " ")
    'Whole rows: 5 % have two or more unusual values at once, usual 0.2 %, limit 1.2 %, most often in age, pay.'
    """
    found = report.unusual
    if found is None or not report.has_unusual_rows:
        return ""
    often = f", most often in {', '.join(found.columns)}" if found.columns else ""
    limits = f"usual {share(found.usual)}, limit {share(found.limit)}"
    return f"Whole rows: {share(found.share)} have two or more unusual values at once, {limits}{often}{_on(found.day, found.grown)}."


def remarks(report: CheckReport) -> list[str]:
    """What a reader must know to trust the verdicts."""
    unknown = report.with_outcome(Outcome.UNKNOWN)
    said = [text for text in (together(report), unusual(report)) if text]
    if unknown and report.outcome is not Outcome.UNKNOWN:
        said.append(f"{len(unknown)} of {len(report.columns)} columns could not be judged.")
    if report.rows_without_day:
        said.append(f"{_rows(report.rows_without_day)} without a time between 1970 and 2149 belong to no day and are not judged.")
    if report.left_out:
        said.append(f"{len(report.left_out)} columns beyond the first 500 were not compared: name the important ones with --columns.")
    if any(column.test and column.test.verdict in (Verdict.PRELIMINARY, Verdict.PRELIMINARY_DRIFT) for column in report.columns):
        said.append(PRELIMINARY if report.days else f"{PRELIMINARY} {NAME_THE_TIME}")
    if any(column.kind == "timestamp" for column in report.columns):
        said.append("Columns of times are compared only for being filled.")
    return said


def colour(column: ColumnReport) -> str:
    """Of the light in front of a column."""
    if column.differences:
        return "red" if any(difference.problem in RED for difference in column.differences) else "yellow"
    return "green" if column.judged else "grey"


def light(report: CheckReport) -> str:
    """That of the worst column; grey when nothing could be judged."""
    colours = {colour(column) for column in report.columns}
    if report.outcome is Outcome.UNKNOWN:
        return "grey"
    if (report.is_apart or report.has_unusual_rows) and "red" not in colours:
        return "yellow"
    return next(one for one in ("red", "yellow", "green") if one in colours)


def kind(column: ColumnReport) -> str:
    if column.bins and column.bins.kind == "category":
        count = len(column.bins.levels)
        return f"category, {count}{'+' if column.bins.has_rest else ''} {'value' if count == 1 else 'values'}"
    if column.bins and column.bins.kind == "number":
        return "number"
    return KINDS.get(column.kind, column.kind)


def verdict(column: ColumnReport) -> str:
    """What was found of a column, the worst with its numbers; or why nothing was."""
    others = ", ".join(SHORT[other.problem] for other in column.differences[1:])
    return f"{main_verdict(column)}; also {others}" if others else main_verdict(column)


def main_verdict(column: ColumnReport) -> str:
    """The worst of it alone. Without the PSI, which stands beside it."""
    if column.differences:
        worst = column.differences[0]
        return "drift" + _when(worst) if worst.problem == "feature_drift" and worst.value >= worst.limit else sentence(worst)
    if not column.judged:
        differ = column.test is not None and column.test.phi > UNKNOWN_SPREAD.phi
        return "not judged: too few rows, or days differ too much" if differ else f"not judged: too few rows ({number(column.rows)})"
    if column.test is None:
        return "filled more often" if column.nulls < column.usual_nulls - NOTABLY else "filled as before"
    return "nothing large" if column.test.verdict is Verdict.PRELIMINARY else "steady"


def sentence(difference: Difference) -> str:
    """One thing that was found.

    >>> sentence(Difference(problem="missing_values", value=0.31, usual=0.02, limit=0.07)).replace(NO_BREAK, " ")
    'missing values: 31 % of rows, usual 2 %'
    """
    return _what(difference) + _when(difference)


def index(psi: float) -> str:
    """A stability index as short as it can be compared."""
    if not isfinite(psi):
        return "–"
    return f"<{NO_BREAK}{LEAST_SHOWN}" if psi < LEAST_SHOWN else number(round(psi, 3 if psi < 1 else 2))


def moved(distance: float) -> str:
    return number(round(distance, 2)) if isfinite(distance) else "–"


def share(part: float) -> str:
    return f"{number(float(f'{100 * part:.3g}'))}{NO_BREAK}%" if isfinite(part) else "–"


def _what(difference: Difference) -> str:
    shares = f"{share(difference.value)} of rows, usual {share(difference.usual)}"
    match difference.problem:
        case "column_missing":
            return "column is missing"
        case "column_new":
            return "column is new"
        case "type_changed":
            before, after = (KINDS.get(one, one) for one in difference.kinds)
            return f"other type: {before} → {after}"
        case "unit_or_scale_change":
            return f"other unit or scale, {difference.change}: mean {number(difference.value)}, usual {number(difference.usual)}"
        case "missing_values":
            return f"missing values: {shares}"
        case "new_categories":
            return f"new categories: {shares}"
        case "out_of_range":
            return f"out of range: {shares}"
    if difference.problem == "vector_drift":
        return _of_vectors(difference)
    if difference.value < difference.limit:
        return f"drift: rows moved by {moved(difference.distance)} standard deviations"
    return f"drift: PSI {index(difference.value)}, chance gives {index(difference.usual)}"


def _of_vectors(difference: Difference) -> str:
    moved_most = f"PSI {index(difference.value)}, chance gives {index(difference.usual)}"
    if difference.value < difference.limit:
        moved_most = f"moved by {moved(difference.distance)} standard deviations"
    missing = ""
    if difference.missing > difference.usually_missing:
        missing = f"; {share(difference.missing)} cannot be measured, usual {share(difference.usually_missing)}"
    return f"vectors, {MEASURES[difference.measure.partition(' ')[0]]}: {moved_most}{missing}"


def _when(difference: Difference) -> str:
    return _on(difference.day, difference.days)


def _on(day: date | None, days: int) -> str:
    if day is None:
        return ""
    others = days - 1
    return f", {day}" + (f" and {others} other {'day' if others == 1 else 'days'}" if others else "")


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"
