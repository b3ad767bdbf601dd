"""The starter set of a model: the risks that can judge what it sends and are not bound yet, each with limits from its own past.

Which risks those are is said nowhere: a risk whose past can be replayed, that found something to judge of late and needs no answer from a person, is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core import signing
from django.db import transaction

from watchkeeper import risks
from watchkeeper.core.errors import Conflict, InvalidInput
from watchkeeper.core.evidence import Evidence
from watchkeeper.core.finding import Outcome
from watchkeeper.core.text import Text
from watchkeeper.history.actors import Actor
from watchkeeper.incidents.queries import troubles
from watchkeeper.incidents.rehearsing import DAYS, RECEIPT_LASTS, check_days, due_as, stored_past
from watchkeeper.monitoring.models import RiskBinding
from watchkeeper.monitoring.rehearsal import Rehearsal, rehearse
from watchkeeper.monitoring.replay import Pace, Past
from watchkeeper.monitoring.services import Binding, bind_risk
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.risks import RiskType

PACE = Pace(least=timedelta(days=1), seconds=3.0)  # many risks are rehearsed at once
FACTORS = (2.0, 5.0)
_SALT = "starter set"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A risk with parameters; only those that differ from its defaults."""

    kind: RiskType
    params: Mapping[str, Any]  # Any: JSON of the parameters
    rehearsal: Rehearsal
    receipt: str

    @property
    def is_recommended(self) -> bool:
        """It would have been quiet enough: at most one alarm a quarter without an incident."""
        return not self.rehearsal.is_too_loud


def starter_set(model: RegisteredModel, *, now: datetime, days: int = DAYS) -> list[Proposal]:
    check_days(days)
    bound = set(model.bindings.filter(removed_at=None).values_list("type", flat=True))
    pasts: dict[type[Evidence], Past | None] = {}
    found: list[Proposal] = []
    for kind in risks.catalogue().values():
        if kind.key in bound or kind.defaults.in_base_set or not kind.fits(kind=model.kind, problem_type=model.problem_type):
            continue
        if kind.needs not in pasts:
            pasts[kind.needs] = stored_past(kind.needs, model, now=now, days=days)
        past = pasts[kind.needs]
        found += _proposals(model, kind, past) if past else ()
    return sorted(found, key=lambda proposal: (not proposal.is_recommended, -proposal.kind.defaults.criticality, proposal.kind.key))


def _proposals(model: RegisteredModel, kind: RiskType, past: Past) -> Iterator[Proposal]:
    for params in kind.starters(past.evidence):
        due = due_as(model, Binding(type=kind.key, params=params))
        found = rehearse(due, past, troubles(model.id, since=past.start), factors=FACTORS, pace=PACE)
        if not _finds_something(found):
            continue
        if found.suggested:
            params, found = {**params, **found.suggested.params}, found.suggested.rehearsal
        yield Proposal(kind=kind, params=params, rehearsal=found, receipt=_receipt(model, kind, params, found))


def _finds_something(found: Rehearsal) -> bool:
    """Something could be judged in the last third of the time."""
    moments = found.replay.moments
    return any(moment.outcome is not Outcome.UNKNOWN for moment in moments[2 * len(moments) // 3 :])


@transaction.atomic
def apply_starter_set(model: RegisteredModel, *, receipts: Sequence[str], actor: Actor, now: datetime) -> list[RiskBinding]:
    """Bind what was proposed and chosen. Raises InvalidInput for what was not proposed, Conflict for what somebody bound meanwhile."""
    chosen = [_read(receipt, model) for receipt in receipts]
    bound = set(model.bindings.filter(removed_at=None).values_list("type", flat=True))
    if taken := sorted({entry["type"] for entry in chosen} & bound):
        raise Conflict(f"Bound already: {', '.join(taken)}.", remedy="Ask for the starter set again: it offers what is left.")
    return [
        bind_risk(
            model,
            wanted=Binding(type=entry["type"], params=entry["params"]),
            actor=actor,
            now=now,
            rehearsed=Text.from_json(entry["summary"]),
        )
        for entry in chosen
    ]


def _receipt(model: RegisteredModel, kind: RiskType, params: Mapping[str, Any], found: Rehearsal) -> str:  # Any: JSON of the parameters
    said = {"model": str(model.id), "type": kind.key, "params": dict(params), "summary": found.summary.as_json()}
    return signing.dumps(said, salt=_SALT, compress=True)


def _read(receipt: str, model: RegisteredModel) -> Any:  # Any: what `_receipt` was given
    try:
        said = signing.loads(receipt, salt=_SALT, max_age=RECEIPT_LASTS)
    except signing.BadSignature:
        said = {}
    if said.get("model") != str(model.id):
        raise InvalidInput("This is no proposal for this model, or it is older than four hours.", remedy="Ask for the starter set again.")
    return said
