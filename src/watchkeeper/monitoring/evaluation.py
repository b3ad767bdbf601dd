"""Evaluate due bindings: claim, load evidence in bulk, evaluate, store. The transaction around `store` belongs to the caller.

Several workers never evaluate one binding twice: a claim is a compare-and-set with a lease. A worker that was frozen and wakes up finds its
claim gone and stores nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.db import DatabaseError, connection
from django.db.models import Q

from watchkeeper import risks
from watchkeeper.core.evidence import Evidence
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.settings import settings
from watchkeeper.core.text import N_, Text
from watchkeeper.monitoring.conditions import Condition, Rule, Step, fail, step
from watchkeeper.monitoring.effective import effective_of
from watchkeeper.monitoring.evidence import load_evidence
from watchkeeper.monitoring.models import ConditionRow, FindingCount, FiredFinding, RiskBinding
from watchkeeper.monitoring.rows import condition_of, row_of
from watchkeeper.monitoring.schedules import missed_since, next_due

log = structlog.get_logger()
AT_ONCE = 100
_PLAIN = frozenset({"CharField", "TextField", "FloatField", "BooleanField", "PositiveIntegerField", "BigAutoField"})
VANISHED = Finding.unknown(Text(N_("this segment sent nothing")))


@dataclass(frozen=True)
class Evaluation:
    """One evaluated binding: its findings by segment, or the error that stopped it."""

    binding: RiskBinding
    findings: tuple[Finding, ...]
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Transition:
    """A step of one condition, for the layers above. `at` is when it became true, not when the worker got there."""

    binding: RiskBinding
    segment: str
    step: Step
    condition: Condition
    before: Condition
    explanation: Text
    at: datetime
    is_new: bool = False

    @property
    def is_flapping_start(self) -> bool:
        return self.condition.is_flapping and not self.before.is_flapping

    @property
    def is_flapping_stop(self) -> bool:
        return self.before.is_flapping and not self.condition.is_flapping

    @property
    def moves_light(self) -> bool:
        """Whether the light may be another one: what it is made of differs."""
        return self.is_new or (self.before.state, self.before.data) != (self.condition.state, self.condition.data)


def claim_due(*, now: datetime, limit: int = AT_ONCE) -> str:
    """Claim due bindings for the time of a lease; returns the claim, under which `claimed` finds them."""
    claim = uuid4().hex
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    due = RiskBinding.objects.filter(free, next_due_at__lte=now).order_by("next_due_at").values("id")[:limit]
    RiskBinding.objects.filter(free, next_due_at__lte=now, id__in=list(due.values_list("id", flat=True))).update(
        claim=claim, claimed_until=now + timedelta(seconds=settings().lease_seconds)
    )
    return claim


def claimed(claim: str) -> list[RiskBinding]:
    """The bindings held under a claim."""
    return list(RiskBinding.objects.filter(claim=claim).select_related("policy_version__policy").order_by("id"))


def still_claimed(claim: str) -> dict[UUID, datetime | None]:
    """Bindings still held under a claim, and so until the transaction ends, with their due times as they are now."""
    return dict(RiskBinding.objects.select_for_update().filter(claim=claim).order_by("id").values_list("id", "next_due_at"))


def evaluate(bindings: Sequence[RiskBinding], *, now: datetime) -> list[Evaluation]:
    """Evaluate, reading evidence once per kind. One failing evaluator does not hold up the rest."""
    evidence: dict[type[Evidence], Mapping[UUID, Evidence]] = {}
    for kind, models in _models_by_evidence(bindings).items():
        evidence[kind] = _load(kind, models, now)
    return [_evaluate_one(binding, evidence) for binding in bindings]


def _load(kind: type[Evidence], models: Collection[UUID], now: datetime) -> Mapping[UUID, Evidence]:
    """Evidence of many models at once; when that fails, of each by itself, so that one broken model does not hold up the rest."""
    try:
        return load_evidence(kind, models, now=now)
    except DatabaseError:
        raise
    except Exception:  # stored text of one model, such as a timetable, may be anything
        log.exception("evidence failed", kind=kind.__name__)
        if len(models) == 1:
            return {}
        return {model: evidence for model in models for evidence in _load(kind, [model], now).values()}


def _models_by_evidence(bindings: Iterable[RiskBinding]) -> dict[type[Evidence], set[UUID]]:
    needed: dict[type[Evidence], set[UUID]] = defaultdict(set)
    for binding in bindings:
        kind = risks.catalogue().get(binding.type)
        if kind:
            needed[kind.needs].add(binding.model_id)
    return needed


def _evaluate_one(binding: RiskBinding, evidence: Mapping[type[Evidence], Mapping[UUID, Evidence]]) -> Evaluation:
    start = perf_counter()
    try:
        kind = risks.get(binding.type)
        if binding.model_id not in evidence[kind.needs]:
            raise LookupError(f"the evidence {kind.needs.__name__} of this model cannot be read")
        findings = kind.findings(evidence[kind.needs][binding.model_id], effective_of(binding).params)
    except Exception as problem:  # a plugin may raise anything; it must not stop the others
        log.exception("evaluation failed", risk=binding.type, binding=str(binding.id), model=str(binding.model_id))
        return Evaluation(binding, (), f"{type(problem).__name__}: {problem}", perf_counter() - start)
    return Evaluation(binding, findings, seconds=perf_counter() - start)


def store(evaluations: Sequence[Evaluation], *, now: datetime, due: Mapping[UUID, datetime | None]) -> list[Transition]:
    """Write conditions, findings and next due times of bindings whose claim the caller holds. Returns what happened.

    `due` are the due times as they are now: one that moved since the claim asks for another evaluation.
    """
    rows: dict[UUID, dict[str, ConditionRow]] = defaultdict(dict)
    for row in ConditionRow.objects.filter(binding__in=[e.binding for e in evaluations]):
        rows[row.binding_id][row.segment] = row
    transitions: list[Transition] = []
    changed: list[ConditionRow] = []
    gone: list[ConditionRow] = []
    for evaluation in evaluations:
        due_at = min(evaluation.binding.next_due_at or now, now)
        known = rows[evaluation.binding.id]
        for segment, finding in _by_segment(evaluation, known):
            existing = known.get(segment)
            transition, after = _advance(evaluation, existing, segment, finding, _became_true(finding, due_at, now))
            transitions.append(transition)
            if existing and finding is VANISHED and not after.past:  # a place kept by failed evaluations before any segment was known
                gone.append(existing)
                continue
            changed.append(row_of(after, evaluation.binding.id, segment, explanation=transition.explanation, evaluated_at=now, existing=existing))
    _save_conditions(changed)
    ConditionRow.objects.filter(pk__in=[row.pk for row in gone]).delete()
    _save_findings(evaluations, now)
    _schedule_next(evaluations, now, due)
    return transitions


def _by_segment(evaluation: Evaluation, known: Collection[str]) -> list[tuple[str, Finding | None]]:
    """Each finding, and None for a failed evaluation in every segment known so far. A segment that vanished is unknown, not ok."""
    if evaluation.error:
        return [(segment, None) for segment in (known or [""])]
    found = {finding.segment: finding for finding in evaluation.findings}
    return [*found.items(), *((segment, VANISHED) for segment in known if segment not in found)]


def _became_true(finding: Finding | None, due_at: datetime, now: datetime) -> datetime:
    """The due time, not when the worker got there; later than that only when the evidence says that it became true in between."""
    return min(max(due_at, finding.since), now) if finding and finding.since else due_at


def _advance(evaluation: Evaluation, row: ConditionRow | None, segment: str, finding: Finding | None, at: datetime) -> tuple[Transition, Condition]:
    before = condition_of(row) if row else Condition()
    binding = evaluation.binding
    if finding is None:
        after, done = fail(before, at=at)
        explanation = Text(N_("the evaluation failed: {error}"), {"error": evaluation.error})
    else:
        rule = Rule(for_=binding.pending_for, n=binding.n, m=binding.m, hold=binding.hold)
        after, done = step(before, finding, rule, at=at)
        explanation = finding.explanation
    return Transition(binding, segment, done, after, before, explanation, at, is_new=row is None), after


def _save_conditions(rows: Sequence[ConditionRow]) -> None:
    new = [row for row in rows if row.pk is None]
    old = [row for row in rows if row.pk is not None]
    if new:
        ConditionRow.objects.bulk_create(new)
    if old:
        _executemany(
            ConditionRow, old, [field.attname for field in ConditionRow._meta.concrete_fields if field.attname not in ("id", "binding_id", "segment")]
        )


def _executemany(model: type[Any], rows: Sequence[Any], names: Sequence[str]) -> None:  # Any: rows of any table
    """UPDATE by primary key, one prepared statement. bulk_update builds one CASE per column and row: 20 times slower (`make bench`)."""
    fields = [model._meta.get_field(name) for name in names]
    sets = ", ".join(f'"{field.column}" = %s' for field in fields)
    sql = f'UPDATE "{model._meta.db_table}" SET {sets} WHERE "{model._meta.pk.column}" = %s'  # noqa: S608 names of our own columns
    columns = [_column(field, rows) for field in (*fields, model._meta.pk)]
    with connection.cursor() as cursor:
        cursor.executemany(sql, list(zip(*columns, strict=True)))


def _column(field: Any, rows: Sequence[Any]) -> list[Any]:  # Any: values of any field
    """The values of one column as the driver takes them. Plain ones go as they are: asking the field for each costs more than the statement."""
    values = [getattr(row, field.attname) for row in rows]
    if field.get_internal_type() in _PLAIN:
        return values
    return [None if value is None else field.get_db_prep_save(value, connection) for value in values]


def _save_findings(evaluations: Sequence[Evaluation], now: datetime) -> None:
    FiredFinding.objects.bulk_create(
        FiredFinding(
            binding=evaluation.binding,
            segment=finding.segment,
            at=now,
            value=finding.value,
            limit=finding.limit,
            explanation=finding.explanation.as_json(),
        )
        for evaluation in evaluations
        for finding in evaluation.findings
        if finding.outcome is Outcome.FIRED
    )
    table, prepare = FindingCount._meta.db_table, RiskBinding._meta.pk.get_db_prep_save
    sql = (
        f'INSERT INTO "{table}" (binding_id, day, quiet, fired, unknown, failed) VALUES (%s, %s, %s, %s, %s, %s) '  # noqa: S608 our own table
        "ON CONFLICT (binding_id, day) DO UPDATE SET quiet = {t}.quiet + excluded.quiet, fired = {t}.fired + excluded.fired, "
        "unknown = {t}.unknown + excluded.unknown, failed = {t}.failed + excluded.failed".format(t=f'"{table}"')
    )
    day = connection.ops.adapt_datefield_value(now.date())
    with connection.cursor() as cursor:
        cursor.executemany(sql, [(prepare(e.binding.id, connection), day, *_tally(e)) for e in evaluations])


def _tally(evaluation: Evaluation) -> tuple[int, int, int, int]:
    outcomes = [finding.outcome for finding in evaluation.findings]
    return (outcomes.count(Outcome.QUIET), outcomes.count(Outcome.FIRED), outcomes.count(Outcome.UNKNOWN), int(bool(evaluation.error)))


def _schedule_next(evaluations: Sequence[Evaluation], now: datetime, due: Mapping[UUID, datetime | None]) -> None:
    for evaluation in evaluations:
        binding = evaluation.binding
        was_due, is_due = binding.next_due_at or now, due[binding.id]
        binding.missed += missed_since(binding.schedule, due=was_due, now=now, spread_by=binding.model_id) if binding.evaluated_at else 0
        binding.next_due_at = is_due if is_due != binding.next_due_at else _next_due(evaluation, now)
        binding.evaluated_at, binding.claim, binding.claimed_until = now, "", None
    _executemany(RiskBinding, [e.binding for e in evaluations], ["next_due_at", "claim", "claimed_until", "evaluated_at", "missed"])


def _next_due(evaluation: Evaluation, now: datetime) -> datetime | None:
    """The schedule's next moment, or earlier when a finding asks for a known moment."""
    planned = next_due(evaluation.binding.schedule, after=now, spread_by=evaluation.binding.model_id)
    asked = [finding.recheck_at for finding in evaluation.findings if finding.recheck_at and finding.recheck_at > now]
    if evaluation.error and planned is None:
        return now + timedelta(minutes=5)
    return min([*asked, *([planned] if planned else [])], default=None)


def models_to_light(transitions: Collection[Transition]) -> set[UUID]:
    """Models whose light may have changed."""
    return {transition.binding.model_id for transition in transitions if transition.moves_light}


def dry_run(binding: RiskBinding, *, now: datetime) -> Evaluation:
    """Evaluate and explain, write nothing."""
    return evaluate([binding], now=now)[0]
