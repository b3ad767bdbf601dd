"""No metrics.

The passport names no metric, so nobody has said what "the model works well" means, and no limit can watch over it.
It counts the metrics registered for the model, not the values sent; values that stop coming are the matter of "Metrics not refreshed".
With `kind` it can ask for a certain kind, for example at least one business metric. The register always knows its metrics: this risk is
never unknown.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import Field

from watchkeeper.core.evidence import DeclaredMetric, Passport
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import Defaults, Example, RiskParams

NEEDS = Passport


class Params(RiskParams):
    at_least: int = Field(1, description=N_("How many metrics the model needs."), ge=1)
    kind: Literal["any", "technical", "proxy", "business"] = Field("any", description=N_("Only metrics of this kind count."))


DEFAULTS = Defaults(schedule={"every": "10m"}, criticality=1, in_base_set=True)

PLAN = (
    N_("Ask the business owner which number gets worse when the model is wrong: that is the business metric."),
    N_("Register the technical metric the model was accepted with, and its direction."),
    N_("If labels come late, add a proxy metric that is known sooner."),
    N_("Send the first value and set bounds on it."),
)

# The register knows its metrics at any time: there is nothing to wait for.
ALWAYS_KNOWN = True

_KINDS = {"any": N_("any kind"), "technical": N_("technical"), "proxy": N_("proxy"), "business": N_("business")}


def evaluate(evidence: Passport, params: Params) -> Finding:
    count = sum(params.kind in ("any", metric.kind) for metric in evidence.metrics)
    facts: dict[str, Argument] = {"kind": _KINDS[params.kind], "count": count, "limit": params.at_least}
    text = Text(N_("metrics registered ({kind:word}): {count:integer}, needed: {limit:integer}"), facts)
    if count < params.at_least:
        return Finding.fired(text, value=count, limit=params.at_least)
    return Finding.quiet(text, value=count, limit=params.at_least)


_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _passport(*metrics: DeclaredMetric) -> Passport:
    return Passport(now=_NOW, registered_at=_NOW - timedelta(days=30), kind="model", problem_type="binary", metrics=metrics)


_ROC_AUC = DeclaredMetric(name="roc_auc", kind="technical", direction="higher")


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("ROC-AUC is registered"), evidence=_passport(_ROC_AUC), outcome=Outcome.QUIET),
        Example(title=N_("no metric is registered"), evidence=_passport(), outcome=Outcome.FIRED),
        Example(
            title=N_("a technical metric is registered, a business metric is asked for"),
            evidence=_passport(_ROC_AUC),
            params={"kind": "business"},
            outcome=Outcome.FIRED,
        ),
    )
