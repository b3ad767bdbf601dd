"""Metadata unreachable.

A link in the model's passport (its repository or its documentation) is dead: who has to repair the model at night will find nothing there.
Watchkeeper opens the links from time to time; a link counts as dead when it has been failing for longer than the grace, so a restart of the
wiki raises nothing. It is unknown while no link is registered, while a link was never checked, and when the last check is too old to trust.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from pydantic import Field

from watchkeeper.core.durations import Duration
from watchkeeper.core.evidence import Link, Passport
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import Defaults, Example, RiskParams

NEEDS = Passport

MEASURES = "duration"


class Params(RiskParams):
    grace: Duration = Field(timedelta(hours=1), description=N_("How long a link may fail before it counts as dead."), ge=timedelta(0))
    max_age: Duration = Field(timedelta(days=7), description=N_("A check older than this says nothing any more."), gt=timedelta(0))


DEFAULTS = Defaults(schedule={"every": "1h"}, criticality=1, in_base_set=True)

PLAN = (
    N_("Open the link: has the page moved, was it deleted, or is it only closed to Watchkeeper?"),
    N_("If it moved, write the new address into the model's passport."),
    N_("If it is gone, restore it from the repository's history or ask the previous owner."),
    N_("If it lies in an internal network, ask the administrator to allow the address for link checks."),
)


def evaluate(evidence: Passport, params: Params) -> Finding:
    if not evidence.links:
        return Finding.unknown(Text(N_("no link is registered")))
    checked = [link for link in evidence.links if link.checked_at and evidence.now - link.checked_at <= params.max_age]
    failing = {link: link.failing_since for link in checked if link.failing_since}
    dead = {link: since for link, since in failing.items() if evidence.now - since >= params.grace}
    if dead:
        return _fired(evidence.now, params, dead)
    if len(checked) < len(evidence.links):
        return _unchecked(tuple(link for link in evidence.links if link not in checked))
    if failing:
        facts: dict[str, Argument] = {"links": _names(failing), "grace": params.grace.total_seconds()}
        deadline = min(failing.values()) + params.grace
        return Finding.quiet(Text(N_("failing for less than {grace:duration}: {links:list}"), facts), recheck_at=deadline)
    return Finding.quiet(Text(N_("all links answer: {links:list}"), {"links": _names(checked)}))


def _fired(now: datetime, params: Params, dead: dict[Link, datetime]) -> Finding:
    since = min(dead.values())
    failing, grace = (now - since).total_seconds(), params.grace.total_seconds()
    links = [f"{link.name} {link.url} ({link.failure})" if link.failure else f"{link.name} {link.url}" for link in dead]
    text = Text(N_("dead for {failing:duration}, limit {grace:duration}: {links:list}"), {"failing": failing, "grace": grace, "links": links})
    return Finding.fired(text, value=failing, limit=grace, since=since + params.grace, parts=tuple(_names(dead)))


def _unchecked(links: tuple[Link, ...]) -> Finding:
    if any(link.checked_at for link in links):
        return Finding.unknown(Text(N_("the last check is too old: {links:list}"), {"links": _names(links)}), data=DataState.STALE)
    return Finding.unknown(Text(N_("not checked yet: {links:list}"), {"links": _names(links)}))


def _names(links: Iterable[Link]) -> list[str]:
    return [link.name for link in links]


_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
_HOUR_AGO, _DAYS_AGO = _NOW - timedelta(hours=1), _NOW - timedelta(days=3)


def _passport(*links: Link) -> Passport:
    return Passport(now=_NOW, registered_at=_NOW - timedelta(days=30), kind="model", problem_type="binary", links=links)


_REPOSITORY = Link(name="repository", url="https://git.example/churn", checked_at=_HOUR_AGO)
_LOST_PAGE = Link(name="documentation", url="https://wiki.example/churn", checked_at=_HOUR_AGO, failing_since=_DAYS_AGO, failure="404 Not Found")


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("the repository answers"), evidence=_passport(_REPOSITORY), outcome=Outcome.QUIET),
        Example(title=N_("the documentation was deleted three days ago"), evidence=_passport(_REPOSITORY, _LOST_PAGE), outcome=Outcome.FIRED),
        Example(title=N_("no link is registered"), evidence=_passport(), outcome=Outcome.UNKNOWN),
        Example(
            title=N_("a link was registered a moment ago"),
            evidence=_passport(Link(name="repository", url="https://git.example/churn")),
            outcome=Outcome.UNKNOWN,
        ),
    )
