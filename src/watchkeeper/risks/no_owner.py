"""No owner.

Nobody answers for the model: an alert about it would reach the wrong people or nobody.
A business owner decides what the predictions are used for, a technical owner keeps the model running. Only active people count, and a team
counts while it has an active member, so the risk fires when the last owner leaves the company. The register always knows its owners: this
risk is never unknown.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Self

from pydantic import Field, model_validator

from watchkeeper.core.evidence import Passport
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Text
from watchkeeper.risks import Defaults, Example, RiskParams

NEEDS = Passport


class Params(RiskParams):
    require_business: bool = Field(True, description=N_("A business owner must be there."))
    require_technical: bool = Field(True, description=N_("A technical owner must be there."))

    @model_validator(mode="after")
    def _someone_is_required(self) -> Self:
        if not (self.require_business or self.require_technical):
            raise ValueError("require a business owner, a technical owner or both; to switch the risk off, set its criticality to 0")
        return self


DEFAULTS = Defaults(schedule={"every": "10m"}, criticality=2, in_base_set=True)

PLAN = (
    N_("Look in the model's history who owned it last and who changed it last; ask them who took over."),
    N_("If nobody did, ask the head of the owning unit to name somebody."),
    N_("Hand the model over: the new owner confirms, and gets the open incidents with it."),
    N_("If nobody wants it, decide whether the model is still needed, or retire it."),
)

# The register knows its owners at any time: there is nothing to wait for.
ALWAYS_KNOWN = True

_WHO_IS_MISSING = {
    ("business",): N_("no business owner"),
    ("technical",): N_("no technical owner"),
    ("business", "technical"): N_("no business owner and no technical owner"),
}


def evaluate(evidence: Passport, params: Params) -> Finding:
    required = {"business": params.require_business, "technical": params.require_technical}
    owners = {"business": evidence.business_owners, "technical": evidence.technical_owners}
    missing = tuple(role for role in owners if required[role] and not owners[role])
    if missing:
        return Finding.fired(Text(_WHO_IS_MISSING[missing]), parts=missing)
    return Finding.quiet(Text(N_("business owners: {business:integer}, technical owners: {technical:integer}"), owners))


_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _passport(*, business: int, technical: int) -> Passport:
    registered_at = _NOW - timedelta(days=30)
    return Passport(now=_NOW, registered_at=registered_at, kind="model", problem_type="binary", business_owners=business, technical_owners=technical)


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("one business owner and two technical owners"), evidence=_passport(business=1, technical=2), outcome=Outcome.QUIET),
        Example(title=N_("the only technical owner has left the company"), evidence=_passport(business=1, technical=0), outcome=Outcome.FIRED),
        Example(title=N_("registered with a name alone"), evidence=_passport(business=0, technical=0), outcome=Outcome.FIRED),
        Example(
            title=N_("a rule set that only needs a business owner"),
            evidence=_passport(business=1, technical=0),
            params={"require_technical": False},
            outcome=Outcome.QUIET,
        ),
    )
