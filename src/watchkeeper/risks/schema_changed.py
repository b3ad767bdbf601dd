"""Schema changed.

The columns the model gets today are not those it was trained on: a column is missing, a new one came, or one has another type. The source
was rebuilt or renamed; the model goes on predicting, only worse.
It compares the columns of the last training with the features of the predictions logged in the last day. New columns can be allowed with
`allow_new`; columns that only one side has by nature, such as the target, are left out with `ignore`.
It is unknown while no training with a schema was logged, while no predictions with features arrived, and when the last ones are too old.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import Field

from watchkeeper.core.durations import Duration
from watchkeeper.core.evidence import Schemas
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import PREDICTING_KINDS, Defaults, Example, RiskParams

NEEDS = Schemas


class Params(RiskParams):
    allow_new: bool = Field(False, description=N_("New columns are no reason to fire."))
    ignore: tuple[str, ...] = Field((), description=N_("Columns that may change as they like."))
    max_age: Duration = Field(timedelta(days=7), description=N_("Columns seen longer ago than this say nothing any more."), gt=timedelta(0))


DEFAULTS = Defaults(schedule={"every": "1h"}, criticality=2, in_base_set=True)

PLAN = (
    N_("Ask the owner of the data source what was changed, and whether it will be changed back."),
    N_("Look at the code between source and model: was a missing column filled with a constant on the way?"),
    N_("Compare the predictions before and after the change; if they moved, warn the business owner."),
    N_("Have the old columns restored, or train a version on the new ones."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: Schemas, params: Params) -> Finding:
    if not evidence.trained:
        return Finding.unknown(Text(N_("no training with its columns was logged, so there is nothing to compare with")))
    if not evidence.seen:
        return Finding.unknown(Text(N_("no predictions with features arrived")))
    if evidence.seen_at and evidence.now - evidence.seen_at > params.max_age:
        text = Text(N_("the last features came {at:time}; that is too long ago"), {"at": evidence.seen_at.isoformat()})
        return Finding.unknown(text, data=DataState.STALE)
    trained, seen = evidence.trained.keys() - params.ignore, evidence.seen.keys() - params.ignore
    missing = sorted(trained - seen)
    new = [] if params.allow_new else sorted(seen - trained)
    retyped = sorted(name for name in trained & seen if evidence.trained[name] != evidence.seen[name])
    changed = tuple(sorted([*missing, *new, *retyped]))
    if not changed:
        return Finding.quiet(Text(N_("{columns:integer} columns as trained"), {"columns": len(trained & seen)}), value=0, limit=0)
    types = [f"{name} ({evidence.trained[name]} → {evidence.seen[name]})" for name in retyped]
    # None is shown as a dash: one sentence serves all seven combinations.
    facts: dict[str, Argument] = {"missing": missing or None, "new": new or None, "types": types or None}
    text = Text(N_("columns changed since training: missing {missing:list}; new {new:list}; other type {types:list}"), facts)
    return Finding.fired(text, value=len(changed), limit=0, parts=changed)


_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
_TRAINED = {"age": "double", "amount": "double", "region": "string"}


def examples() -> tuple[Example, ...]:
    return (
        Example(
            title=N_("the columns are those of the training"),
            evidence=Schemas(now=_NOW, trained=_TRAINED, seen=_TRAINED, seen_at=_NOW),
            outcome=Outcome.QUIET,
        ),
        Example(
            title=N_("the age is gone, a channel came, the amount became text"),
            evidence=Schemas(now=_NOW, trained=_TRAINED, seen={"amount": "string", "region": "string", "channel": "string"}, seen_at=_NOW),
            outcome=Outcome.FIRED,
        ),
        Example(
            title=N_("a new column where new columns are allowed"),
            evidence=Schemas(now=_NOW, trained=_TRAINED, seen={**_TRAINED, "channel": "string"}, seen_at=_NOW),
            params={"allow_new": True},
            outcome=Outcome.QUIET,
        ),
        Example(title=N_("no training was logged"), evidence=Schemas(now=_NOW, seen=_TRAINED, seen_at=_NOW), outcome=Outcome.UNKNOWN),
    )
