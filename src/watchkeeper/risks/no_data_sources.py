"""No data sources.

The passport names no table, topic or file that the model is trained on or reads. When a source breaks, nobody will learn that this model
stands on it, and its owner will look for the fault in the wrong place.
It counts the data sources registered for the model; it does not look whether they are alive. The register always knows its sources: this
risk is never unknown.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import Field

from watchkeeper.core.evidence import Passport
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import Defaults, Example, RiskParams

NEEDS = Passport


class Params(RiskParams):
    at_least: int = Field(1, description=N_("How many data sources the model needs."), ge=1)


DEFAULTS = Defaults(schedule={"every": "10m"}, criticality=1, in_base_set=True)

PLAN = (
    N_("Look in the training code which tables, topics and files it reads."),
    N_("Find them among the data sources that other models use already, and add those; register only what is new."),
    N_("Add what the model reads when it predicts, if that is not the same."),
    N_("Name the sources in the training event, so that the next version registers them by itself."),
)

# The register knows its data sources at any time: there is nothing to wait for.
ALWAYS_KNOWN = True


def evaluate(evidence: Passport, params: Params) -> Finding:
    count = len(evidence.data_sources)
    facts: dict[str, Argument] = {"count": count, "limit": params.at_least, "sources": list(evidence.data_sources)}
    if count < params.at_least:
        return Finding.fired(Text(N_("data sources registered: {count:integer}, needed: {limit:integer}"), facts), value=count, limit=params.at_least)
    return Finding.quiet(Text(N_("data sources registered: {sources:list}"), facts), value=count, limit=params.at_least)


_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _passport(*sources: str) -> Passport:
    return Passport(now=_NOW, registered_at=_NOW - timedelta(days=30), kind="model", problem_type="binary", data_sources=sources)


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("two tables are registered"), evidence=_passport("dwh.clients", "dwh.payments"), outcome=Outcome.QUIET),
        Example(title=N_("no data source is registered"), evidence=_passport(), outcome=Outcome.FIRED),
        Example(title=N_("one table, but two are asked for"), evidence=_passport("dwh.clients"), params={"at_least": 2}, outcome=Outcome.FIRED),
    )
