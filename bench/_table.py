"""One figure with its goal, and how figures are printed: as rows of a Markdown table, so that docs/guide/speed.md can take them as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

WIDTHS = (62, 34, 14, 4)
HEAD = ("what", "figure", "goal", "met?")


@dataclass(frozen=True)
class Row:
    """`met` is None where no goal is set."""

    what: str
    figure: str
    goal: str = ""
    met: bool | None = None

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def at_least(what: str, value: float, goal: float, *, unit: str, also: str = "") -> Row:
    return Row(what, f"{value:,.0f} {unit}{also}", f">= {goal:,.0f} {unit}", value >= goal)


def at_most(what: str, value: float, goal: float, *, unit: str, also: str = "") -> Row:
    return Row(what, f"{value:,.1f} {unit}{also}", f"< {goal:,.0f} {unit}", value < goal)


def percentiles(values: Sequence[float], *shares: float) -> list[float]:
    return [float(value) for value in np.percentile(values, shares)]


def line(row: Row) -> str:
    return _line(row.what, row.figure, row.goal, "" if row.met is None else "yes" if row.met else "no")


def head() -> str:
    return f"{_line(*HEAD)}\n|{'|'.join('-' * (width + 2) for width in WIDTHS)}|"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)) + " |"
