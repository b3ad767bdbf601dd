"""Quarantine growing.

Watchkeeper refuses more of the model's rows than is normal: they came with wrong types, impossible dates or missing fields. What is refused is
counted nowhere, so charts and metrics show only the part of the truth that fitted.
It looks at the share of refused rows among all rows of the last hours and at the most frequent reasons. A few refused rows among many are
normal; it needs a share above `max_share` and at least `min_rows` refused rows.
It is unknown while no rows came, and when the share is too high but too few rows were refused to judge.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import Field

from watchkeeper.core.evidence import Quarantine
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import Defaults, Example, RiskParams

NEEDS = Quarantine

MEASURES = "share"


class Params(RiskParams):
    max_share: float = Field(0.01, description=N_("Fires above this share of refused rows."), ge=0, lt=1)
    min_rows: int = Field(20, description=N_("With fewer refused rows than this it does not fire."), ge=1)


DEFAULTS = Defaults(schedule={"every": "1h"}, criticality=2)

PLAN = (
    N_("Open the quarantine and read the most frequent reason and one of its rows."),
    N_("Look what changed at the sender: a new version of the service, of the client, of a source."),
    N_("Correct the sender, then send the refused rows again under new batch ids."),
    N_("Until then read the charts with care: they show only the rows that were accepted."),
)


def evaluate(evidence: Quarantine, params: Params) -> Finding:
    rows = evidence.rejected + evidence.accepted
    if not rows:
        return Finding.unknown(Text(N_("no rows came in the last {window:duration}"), {"window": evidence.hours * 3600}))
    share = evidence.rejected / rows
    facts: dict[str, Argument] = {
        "rejected": evidence.rejected,
        "rows": rows,
        "window": evidence.hours * 3600,
        "share": share,
        "limit": params.max_share,
        "needed": params.min_rows,
        "reasons": list(evidence.reasons) or None,
    }
    if share <= params.max_share:
        text = Text(N_("{rejected:integer} of {rows:integer} rows refused in the last {window:duration} ({share:share}, limit {limit:share})"), facts)
        return Finding.quiet(text, value=share, limit=params.max_share)
    if evidence.rejected < params.min_rows:
        return Finding.unknown(Text(N_("refused {rejected:integer} of {rows:integer} rows, too few to judge; needed: {needed:integer}"), facts))
    template = N_(
        "{rejected:integer} of {rows:integer} rows refused in the last {window:duration} ({share:share}, limit {limit:share}): {reasons:list}"
    )
    return Finding.fired(Text(template, facts), value=share, limit=params.max_share, parts=evidence.reasons)


_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def examples() -> tuple[Example, ...]:
    return (
        Example(
            title=N_("three of ten thousand rows were refused"),
            evidence=Quarantine(now=_NOW, rejected=3, accepted=9997, reasons=("timestamp is outside the years 1970-2149",)),
            outcome=Outcome.QUIET,
        ),
        Example(
            title=N_("every tenth row was refused, for its amount is text now"),
            evidence=Quarantine(now=_NOW, rejected=1000, accepted=9000, reasons=("amount was a number and is text",)),
            outcome=Outcome.FIRED,
        ),
        Example(title=N_("five rows came, all were refused"), evidence=Quarantine(now=_NOW, rejected=5), outcome=Outcome.UNKNOWN),
        Example(title=N_("no rows came"), evidence=Quarantine(now=_NOW), outcome=Outcome.UNKNOWN),
    )
