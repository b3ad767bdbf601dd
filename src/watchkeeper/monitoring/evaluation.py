"""Evaluate due bindings: claim, load evidence in bulk, evaluate, store. The transaction around `store` belongs to the caller.

Several workers never evaluate one binding twice: a claim is a compare-and-set with a lease. A worker that was frozen and wakes up finds its
claim gone and stores nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from time import perf_counter
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import structlog
from django.db import DatabaseError
from django.db.models import Q, QuerySet

from watchkeeper import risks
from watchkeeper.core.evidence import Evidence
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.settings import settings
from watchkeeper.core.text import N_, Text
from watchkeeper.history.bulk import execute_many, insert_values, prepared, update_rows
from watchkeeper.monitoring.conditions import Condition, Step, fail, step
from watchkeeper.monitoring.due import Claim, Due, due_of
from watchkeeper.monitoring.evidence import load_evidence
from watchkeeper.monitoring.models import ConditionRow, FindingCount, FiredFinding, RiskBinding
from watchkeeper.monitoring.rows import Reached, save_conditions, stored_conditions
from watchkeeper.monitoring.schedules import missed_since, next_due

log = structlog.get_logger()
AT_ONCE = 500
LARGE_AT_ONCE = 20  # models
VANISHED = Finding.unknown(Text(N_("this segment sent nothing")))


class Evaluation(NamedTuple):
    """One evaluated binding: its findings by segment, or the error that stopped it."""

    binding: Due
    findings: tuple[Finding, ...]
    error: str = ""
    seconds: float = 0.0
    next_at: datetime | None = None


class Transition(NamedTuple):
    """A step of one condition, for the layers above. `at` is when it became true, not when the worker got there."""

    binding: Due
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
    def is_needless(self) -> bool:
        """A place kept by failures before any segment was known."""
        return self.explanation is VANISHED.explanation and not self.condition.past

    @property
    def moves_light(self) -> bool:
        """Whether the light may be another one: what it is made of differs."""
        return self.is_new or (self.before.state, self.before.data) != (self.condition.state, self.condition.data)


def claim_due(*, now: datetime) -> Claim | None:
    """Claim due bindings for the time of a lease; None when none is due. Others may have been faster: `claimed` reads what is ours."""
    due = [id for (id,) in _due(now)]
    if not due:
        return None
    claim = Claim(uuid4().hex, due)
    _free(now).filter(id__among=due).update(claim=claim.key, claimed_until=now + timedelta(seconds=settings().lease_seconds))
    return claim


@prepared
def _due(now: datetime) -> QuerySet[RiskBinding, Any]:  # Any: values of columns
    return _free(now).order_by("next_due_at").values_list("id")[:AT_ONCE]


def _free(now: datetime) -> QuerySet[RiskBinding]:
    """Due, and claimed by nobody."""
    return RiskBinding.objects.filter(Q(claimed_until=None) | Q(claimed_until__until=now), next_due_at__until=now)


def still_claimed(claim: Claim, bindings: Collection[UUID]) -> dict[UUID, datetime | None]:
    """Those still held under the claim, and so until the transaction ends, with their due times as they are now."""
    return dict(_held(bindings, claim.key))


@prepared
def _held(bindings: Collection[UUID], claim: str) -> QuerySet[RiskBinding, Any]:  # Any: values of columns
    return RiskBinding.objects.select_for_update().filter(id__among=bindings, claim=claim).order_by("id").values_list("id", "next_due_at")


def evaluate(bindings: Sequence[Due], *, now: datetime) -> Iterator[Evaluation]:
    """Evaluate one after the other, reading evidence once per kind; what is large, of a few models at a time. Not in order.

    One failing evaluator does not hold up the rest.
    """
    for together in _read_together(bindings):
        yield from _evaluated(together, now)


def _evaluated(bindings: Collection[Due], now: datetime) -> Iterator[Evaluation]:
    evidence = read_evidence(_models_by_evidence(bindings), now=now)
    for binding in bindings:
        yield evaluate_one(binding, evidence)


def _read_together(bindings: Iterable[Due]) -> Iterator[list[Due]]:
    small: list[Due] = []
    large: dict[UUID, list[Due]] = defaultdict(list)
    for binding in bindings:
        kind = risks.catalogue().get(binding.type)
        (large[binding.model_id] if kind and kind.needs.is_large else small).append(binding)
    if small:
        yield small
    models = iter(large.values())
    while some := list(chain.from_iterable(islice(models, LARGE_AT_ONCE))):
        yield some


def read_evidence(needed: Mapping[type[Evidence], Collection[UUID]], *, now: datetime) -> dict[type[Evidence], Mapping[UUID, Evidence]]:
    """Each kind for the models that need it. What another kind extends is read with that one, once."""
    found: dict[type[Evidence], Mapping[UUID, Evidence]] = {}
    for kind in sorted(needed, key=lambda kind: -len(kind.__mro__)):
        known = {id: read for other in found if issubclass(other, kind) for id, read in found[other].items() if id in needed[kind]}
        rest = [id for id in needed[kind] if id not in known]
        found[kind] = {**(_load(kind, rest, now) if rest else {}), **known}
    return found


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


def _models_by_evidence(bindings: Iterable[Due]) -> dict[type[Evidence], set[UUID]]:
    needed: dict[type[Evidence], set[UUID]] = defaultdict(set)
    for binding in bindings:
        kind = risks.catalogue().get(binding.type)
        if kind:
            needed[kind.needs].add(binding.model_id)
    return needed


def evaluate_one(binding: Due, evidence: Mapping[type[Evidence], Mapping[UUID, Evidence]]) -> Evaluation:
    start = perf_counter()
    try:
        kind = risks.get(binding.type)
        if binding.model_id not in evidence[kind.needs]:
            raise LookupError(f"the evidence {kind.needs.__name__} of this model cannot be read")
        found = evidence[kind.needs][binding.model_id]
        findings = kind.findings(found, binding.params)
    except DatabaseError:  # evidence reads what is seldom looked at when it is asked for
        raise
    except Exception as problem:  # a plugin may raise anything; it must not stop the others
        log.exception("evaluation failed", risk=binding.type, binding=str(binding.id), model=str(binding.model_id))
        return Evaluation(binding, (), f"{type(problem).__name__}: {problem}", perf_counter() - start)
    return Evaluation(binding, findings, seconds=perf_counter() - start, next_at=found.next_at)


def store(evaluations: Sequence[Evaluation], *, now: datetime, due: Mapping[UUID, datetime | None]) -> list[Transition]:
    """Write conditions, findings and next due times of bindings whose claim the caller holds. Returns what happened.

    `due` are the due times as they are now: one that moved since the claim asks for another evaluation.
    """
    stored = stored_conditions([e.binding.id for e in evaluations])
    transitions: list[Transition] = []
    reached: list[Reached] = []
    gone: list[int] = []
    for evaluation in evaluations:
        known = stored.get(evaluation.binding.id, {})
        for transition in advance(evaluation, {segment: condition for segment, (_, condition) in known.items()}, now=now):
            transitions.append(transition)
            id, _ = known.get(transition.segment, (None, None))
            if id is not None and transition.is_needless:
                gone.append(id)
                continue
            reached.append(Reached(id, evaluation.binding.id, transition.segment, transition.before, transition.condition, transition.explanation))
    save_conditions(reached, now=now)
    if gone:
        ConditionRow.objects.filter(pk__in=gone).delete()
    _save_findings(evaluations, now)
    _schedule_next(evaluations, now, due)
    return transitions


def advance(evaluation: Evaluation, known: Mapping[str, Condition], *, now: datetime) -> list[Transition]:
    """The step of each condition of a binding, those known so far and new ones, after one evaluation. Writes nothing: a rehearsal steps the same."""
    due_at = min(evaluation.binding.next_due_at or now, now)
    return [
        _advance(evaluation, known.get(segment, Condition()), segment, finding, _became_true(finding, due_at, now), is_new=segment not in known)
        for segment, finding in _by_segment(evaluation, known)
    ]


def _by_segment(evaluation: Evaluation, known: Collection[str]) -> list[tuple[str, Finding | None]]:
    """Each finding, and None for a failed evaluation in every segment known so far. A segment that vanished is unknown, not ok."""
    if evaluation.error:
        return [(segment, None) for segment in (known or [""])]
    found = {finding.segment: finding for finding in evaluation.findings}
    return [*found.items(), *((segment, VANISHED) for segment in known if segment not in found)]


def _became_true(finding: Finding | None, due_at: datetime, now: datetime) -> datetime:
    """The due time, not when the worker got there; later than that only when the evidence says that it became true in between."""
    return min(max(due_at, finding.since), now) if finding and finding.since else due_at


def _advance(evaluation: Evaluation, before: Condition, segment: str, finding: Finding | None, at: datetime, *, is_new: bool) -> Transition:
    if finding is None:
        after, done = fail(before, at=at)
        explanation = Text(N_("the evaluation failed: {error}"), {"error": evaluation.error})
    else:
        after, done = step(before, finding, evaluation.binding.rule, at=at)
        explanation = finding.explanation
    return Transition(evaluation.binding, segment, done, after, before, explanation, at, is_new)


def _save_findings(evaluations: Sequence[Evaluation], now: datetime) -> None:
    fired = [_fired(e.binding.id, finding, now) for e in evaluations for finding in e.findings if finding.outcome is Outcome.FIRED]
    insert_values(FiredFinding, ("binding", "segment", "at", "value", "limit", "explanation"), fired)
    names = ("binding", "day", "quiet", "fired", "unknown", "failed")
    table, fields = FindingCount._meta.db_table, [FindingCount._meta.get_field(name) for name in names]
    sql = (
        f'INSERT INTO "{table}" (binding_id, day, quiet, fired, unknown, failed) VALUES (%s, %s, %s, %s, %s, %s) '  # noqa: S608 - our own table
        "ON CONFLICT (binding_id, day) DO UPDATE SET quiet = {t}.quiet + excluded.quiet, fired = {t}.fired + excluded.fired, "
        "unknown = {t}.unknown + excluded.unknown, failed = {t}.failed + excluded.failed".format(t=f'"{table}"')
    )
    execute_many(sql, fields, [(e.binding.id, now.date(), *_tally(e)) for e in evaluations])


def _fired(binding: UUID, finding: Finding, now: datetime) -> tuple[Any, ...]:  # Any: values of columns
    return (binding, finding.segment, now, finding.value, finding.limit, finding.explanation.as_json())


def _tally(evaluation: Evaluation) -> tuple[int, int, int, int]:
    outcomes = [finding.outcome for finding in evaluation.findings]
    return (outcomes.count(Outcome.QUIET), outcomes.count(Outcome.FIRED), outcomes.count(Outcome.UNKNOWN), int(bool(evaluation.error)))


def _schedule_next(evaluations: Sequence[Evaluation], now: datetime, due: Mapping[UUID, datetime | None]) -> None:
    names = ("next_due_at", "missed", "evaluated_at", "claim", "claimed_until")
    rows = []
    for evaluation in evaluations:
        binding = evaluation.binding
        is_due = due[binding.id]
        following = is_due if is_due != binding.next_due_at else due_after(evaluation, now=now)
        rows.append((following, binding.missed + _missed(binding, now), now, "", None, binding.id))
    update_rows(RiskBinding, names, rows)


def _missed(binding: Due, now: datetime) -> int:
    if binding.evaluated_at is None or binding.next_due_at is None:
        return 0
    return missed_since(binding.schedule, due=binding.next_due_at, now=now, spread_by=binding.model_id)


def due_after(evaluation: Evaluation, *, now: datetime) -> datetime | None:
    """The schedule's next moment, or earlier when a finding asks for a known moment, or its evidence knows when there is news."""
    planned = next_due(evaluation.binding.schedule, after=now, spread_by=evaluation.binding.model_id)
    asked = [at for at in (evaluation.next_at, *(finding.recheck_at for finding in evaluation.findings)) if at and at > now]
    if evaluation.error and planned is None:
        return now + timedelta(minutes=5)
    return min([*asked, *([planned] if planned else [])], default=None)


def models_to_light(transitions: Collection[Transition]) -> set[UUID]:
    """Models whose light may have changed."""
    return {transition.binding.model_id for transition in transitions if transition.moves_light}


def dry_run(binding: UUID, *, now: datetime) -> Evaluation:
    """Evaluate and explain, store nothing of it. What the evidence has to be counted for first is asked for, as by any evaluation."""
    return next(evaluate([due_of(binding)], now=now))
